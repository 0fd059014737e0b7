/**
 * Who is dialled, when, and again: libp2p has no auto-dial of its own.
 *
 * Targets are the addresses a person gave (tried for as long as the node runs), peers that mDNS or the DHT announce, and
 * peers met before. Of two nodes that know each other the one with the lower peer id dials at once; the other waits a
 * grace, so that a pair makes one connection, yet a node behind a one-way network still gets through.
 *
 * @packageDocumentation
 */
import type { Connection, IdentifyResult, PeerId, PeerInfo } from '@libp2p/interface'
import { KEEP_ALIVE } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { CODE_P2P, multiaddr } from '@multiformats/multiaddr'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Telemetry } from '../../actors/ports/telemetry.ts'
import { MeshError } from '../../protocols/kernel/errors.ts'
import type { DialFailures } from './dial-failures.ts'
import type { MeshLibp2p } from './libp2p-node.ts'

export interface RedialOptions {
  readonly libp2p: MeshLibp2p
  readonly telemetry: Telemetry
  readonly failures: DialFailures
  /** Multiaddrs, with or without `/p2p/<peer id>`. */
  readonly peers: readonly string[]
  /** How many connections are sought; beyond that, announced peers are left to those who need them. */
  readonly connectionsAimed: number
  /** In [0, 1). */
  readonly random: () => number
}

export interface Redial {
  start(): Promise<void>
  stop(): Promise<void>
  /**
   * Dials an address now; keeps it as a target from then on.
   *
   * @throws MeshError `bad-request` for what is no address, `owner-unreachable` with the reason when it does not answer.
   */
  dial(addr: string): Promise<void>
}

interface Target {
  readonly key: string
  /** Who answers there; of an address without a peer id, who answered last. */
  peer?: PeerId
  /** Tried besides what the peer store knows. */
  readonly addr?: Multiaddr
  /** Given by a person: never given up. */
  readonly explicit: boolean
  attempts: number
  timer: NodeJS.Timeout | undefined
  dialling: boolean
}

const backoffMsMin = 250
const backoffMsMax = 30_000
const graceMs = 600
const dialTimeoutMs = 10_000
const identifyTimeoutMs = 5_000
/** A peer nobody asked for is forgotten after this many failures in a row (about twenty minutes). */
const attemptsMax = 45
const knownPeersDialledMax = 64
/** The routing table hears of a new peer a moment after the connection. */
const askAroundMs = 300
const askAroundGapMs = 2_000
const askAroundTimeoutMs = 10_000
/** A node that has run for less than this, or has no more neighbours than these, asks new ones who else is there. */
const newcomerMs = 30_000
const fewPeers = 3

export function createRedial(options: RedialOptions): Redial {
  const { libp2p, telemetry, failures, random } = options
  const self = libp2p.peerId.toString()
  const targets = new Map<string, Target>()
  const identifying = new Set<string>()
  const stopping = new AbortController()
  const running = new Set<Promise<unknown>>()
  let startedAtMs = performance.now()
  let askedAtMs = -Infinity
  let asking: NodeJS.Timeout | undefined

  function isConnected(target: Target): boolean {
    return target.peer !== undefined && libp2p.getConnections(target.peer).length > 0
  }

  function addTarget(addr: Multiaddr | undefined, peer: PeerId | undefined, explicit: boolean): Target | undefined {
    if (stopping.signal.aborted || peer?.toString() === self) return undefined
    const key = explicit && addr !== undefined ? addr.toString() : (peer?.toString() ?? addr?.toString())
    if (key === undefined) return undefined
    const existing = targets.get(key)
    if (existing !== undefined) return existing
    const target: Target = { key, ...(peer === undefined ? {} : { peer }), ...(addr === undefined ? {} : { addr }), explicit, attempts: 0, timer: undefined, dialling: false }
    targets.set(key, target)
    return target
  }

  function schedule(target: Target, delayMs: number): void {
    if (stopping.signal.aborted || target.timer !== undefined || target.dialling) return
    target.timer = setTimeout(() => {
      target.timer = undefined
      track(attempt(target))
    }, delayMs)
  }

  function track(work: Promise<unknown>): void {
    running.add(work)
    void work.finally(() => running.delete(work))
  }

  /** Spread by half in both directions, so that a mesh that lost its power does not redial in step. */
  function jittered(delayMs: number): number {
    return delayMs * (0.5 + random())
  }

  function graceFor(peer: PeerId): number {
    return self < peer.toString() ? 0 : graceMs
  }

  async function attempt(target: Target): Promise<void> {
    if (stopping.signal.aborted || target.dialling) return
    if (isConnected(target)) {
      target.attempts = 0
      return
    }
    if (!target.explicit && libp2p.getConnections().length >= options.connectionsAimed) {
      targets.delete(target.key)
      return
    }
    target.dialling = true
    const error = await dialOnce(target).then(() => undefined, (thrown: unknown) => ({ thrown }))
    target.dialling = false
    if (stopping.signal.aborted) return
    if (error === undefined) {
      target.attempts = 0
      return
    }
    // It may have dialled us in the meantime.
    if (isConnected(target)) return
    target.attempts++
    const addr = await addressOf(target)
    if (stopping.signal.aborted || isConnected(target)) return
    const failure = failures.record(addr, target.peer?.toString(), error.thrown)
    telemetry.record({
      name: 'discovery.dial-failed',
      level: target.attempts === 1 && target.explicit ? 'warn' : 'debug',
      fields: { addr: failure.addr, peer: failure.peer, reason: failure.reason, attempts: failure.attempts },
    })
    if (!target.explicit && target.attempts >= attemptsMax) {
      targets.delete(target.key)
      return
    }
    schedule(target, jittered(Math.min(backoffMsMin * 2 ** Math.min(target.attempts, 10), backoffMsMax)))
  }

  /** Where it was looked for, for people: of several addresses the first that is known. */
  async function addressOf(target: Target): Promise<string> {
    if (target.addr !== undefined) return target.addr.toString()
    const known = target.peer === undefined ? undefined : await libp2p.peerStore.get(target.peer).catch(() => undefined)
    return known?.addresses[0]?.multiaddr.toString() ?? target.key
  }

  async function dialOnce(target: Target): Promise<Connection> {
    const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(dialTimeoutMs)])
    const connection = await libp2p.dial(target.addr ?? target.peer ?? multiaddr(target.key), { signal })
    target.peer = connection.remotePeer
    failures.clear(target.addr?.toString() ?? target.key, connection.remotePeer.toString())
    return connection
  }

  function onDiscovered({ detail }: CustomEvent<PeerInfo>): void {
    // libp2p also announces peers it has merely heard the name of, a failed dial's among them.
    if (detail.multiaddrs.length === 0 || libp2p.getConnections(detail.id).length > 0) return
    if (libp2p.getConnections().length >= options.connectionsAimed) return
    const target = addTarget(undefined, detail.id, false)
    if (target !== undefined && target.attempts === 0) schedule(target, graceFor(detail.id) + jittered(20))
  }

  function onIdentified({ detail }: CustomEvent<IdentifyResult>): void {
    const peer = detail.peerId
    addTarget(undefined, peer, false)
    // Only the side that dials asks libp2p to reconnect, or both would at once.
    if (graceFor(peer) === 0) track(keepAlive(peer))
    if (performance.now() - startedAtMs < newcomerMs || libp2p.getPeers().length <= fewPeers) askAroundSoon()
  }

  function askAroundSoon(): void {
    if (stopping.signal.aborted || asking !== undefined) return
    asking = setTimeout(() => {
      asking = undefined
      askedAtMs = performance.now()
      track(askAround())
    }, Math.max(askAroundMs, askedAtMs + askAroundGapMs - performance.now()))
    asking.unref()
  }

  /** Looks for this node's own neighbours in the DHT: it says of each peer that it hears of `peer:discovery`. The DHT does so itself, but every ten seconds only. */
  async function askAround(): Promise<void> {
    const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(askAroundTimeoutMs)])
    try {
      for await (const event of libp2p.services.dht.getClosestPeers(libp2p.peerId.toMultihash().bytes, { signal })) if (event.name === 'FINAL_PEER') continue
    } catch (error) {
      if (!stopping.signal.aborted) telemetry.record({ name: 'discovery.ask-ended', level: 'debug', fields: { reason: String(error) } })
    }
  }

  async function keepAlive(peer: PeerId): Promise<void> {
    try {
      await libp2p.peerStore.merge(peer, { tags: { [`${KEEP_ALIVE}-skein`]: { value: 50 } } })
    } catch (error) {
      if (!stopping.signal.aborted) telemetry.record({ name: 'discovery.tag-failed', level: 'debug', fields: { peer: peer.toString(), reason: String(error) } })
    }
  }

  function onDisconnected({ detail: peer }: CustomEvent<PeerId>): void {
    for (const target of targets.values()) {
      if (target.explicit ? target.addr !== undefined && !isConnected(target) : target.peer?.equals(peer) === true) {
        schedule(target, jittered(100) + (target.explicit ? 0 : graceFor(peer)))
      }
    }
  }

  /** A peer whose identify timed out is connected, but in no routing table and without a stream: ask again. */
  function onConnection({ detail: connection }: CustomEvent<Connection>): void {
    track(identifyAgain(connection))
  }

  async function identifyAgain(connection: Connection): Promise<void> {
    const id = connection.remotePeer.toString()
    for (let round = 0; round < 5; round++) {
      await pause(identifyTimeoutMs * (round + 1))
      if (stopping.signal.aborted || connection.status !== 'open' || identifying.has(id)) return
      const known = await libp2p.peerStore.get(connection.remotePeer).catch(() => undefined)
      if (known !== undefined && known.protocols.length > 0 && known.metadata.has('AgentVersion')) return
      identifying.add(id)
      try {
        await libp2p.services.identify.identify(connection, { signal: AbortSignal.timeout(identifyTimeoutMs) })
        return
      } catch (error) {
        telemetry.record({ name: 'discovery.identify-failed', level: 'warn', fields: { peer: id, reason: error instanceof Error ? error.message : String(error) } })
      } finally {
        identifying.delete(id)
      }
    }
  }

  async function pause(delayMs: number): Promise<void> {
    if (stopping.signal.aborted) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(done, delayMs)
      timer.unref()
      function done(): void {
        clearTimeout(timer)
        stopping.signal.removeEventListener('abort', done)
        resolve()
      }
      stopping.signal.addEventListener('abort', done)
    })
  }

  async function dialKnownPeers(): Promise<void> {
    const known = await libp2p.peerStore.all()
    for (const { id, addresses } of known.slice(0, knownPeersDialledMax)) {
      if (id.toString() === self || addresses.length === 0) continue
      const target = addTarget(undefined, id, false)
      if (target !== undefined) schedule(target, jittered(50) + graceFor(id))
    }
  }

  function explicitTarget(text: string): Target | undefined {
    const addr = parseAddr(text)
    return addTarget(addr, peerIn(addr), true)
  }

  return {
    async start() {
      startedAtMs = performance.now()
      libp2p.addEventListener('peer:discovery', onDiscovered)
      libp2p.addEventListener('peer:identify', onIdentified)
      libp2p.addEventListener('peer:disconnect', onDisconnected)
      libp2p.addEventListener('connection:open', onConnection)
      for (const peer of options.peers) {
        const target = explicitTarget(peer)
        if (target !== undefined) schedule(target, 0)
      }
      await dialKnownPeers()
    },
    async stop() {
      libp2p.removeEventListener('peer:discovery', onDiscovered)
      libp2p.removeEventListener('peer:identify', onIdentified)
      libp2p.removeEventListener('peer:disconnect', onDisconnected)
      libp2p.removeEventListener('connection:open', onConnection)
      stopping.abort()
      clearTimeout(asking)
      for (const target of targets.values()) clearTimeout(target.timer)
      targets.clear()
      await Promise.allSettled(running)
    },
    async dial(text) {
      const target = explicitTarget(text)
      if (target === undefined) return
      try {
        await dialOnce(target)
        target.attempts = 0
      } catch (thrown) {
        target.attempts++
        const { reason } = failures.record(target.key, target.peer?.toString(), thrown)
        schedule(target, jittered(backoffMsMin * 2))
        throw new MeshError('owner-unreachable', `${text}: ${reason}`, { next: 'it is tried again in the background; `skein doctor` says what is known' })
      }
    },
  }
}

/** @throws MeshError `bad-request`. */
export function parseAddr(text: string): Multiaddr {
  try {
    return multiaddr(text)
  } catch {
    throw new MeshError('bad-request', `${text} is not a multiaddr`, { next: 'write it like /ip4/192.168.1.20/tcp/4747/p2p/12D3Koo…' })
  }
}

function peerIn(addr: Multiaddr): PeerId | undefined {
  const text = addr.getComponents().findLast((component) => component.code === CODE_P2P)?.value
  return text === undefined ? undefined : peerIdFromString(text)
}
