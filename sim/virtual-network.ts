/**
 * The wires between virtual nodes: who can reach whom, how long a frame takes, when an end notices that the other is gone.
 * It carries bytes; what they mean is the adapters' business.
 */
import type { PeerId } from '../protocols/kernel/ids.ts'
import { hash32 } from '../protocols/kernel/hashing.ts'
import { seededRandom, type Random } from '../protocols/kernel/prng.ts'
import type { DurationMs, InstantMs } from '../protocols/kernel/units.ts'
import type { VirtualClock } from './virtual-clock.ts'

export interface VirtualNetworkInit {
  readonly clock: VirtualClock
  readonly random: Random
  /** One-way latency: every link draws its own base between these and up to a tenth more per frame; default 0.2 to 2 ms. */
  readonly latencyMsMin?: DurationMs
  readonly latencyMsMax?: DurationMs
  /** Until peers notice a killed process: its system closes the connections; default 5 ms. */
  readonly crashDetectionMs?: DurationMs
  /** Until both ends notice a cut link: nothing answers any more; default 2 s. */
  readonly cutDetectionMs?: DurationMs
  /** Until a dial into the void fails; default 5 s. */
  readonly dialTimeoutMs?: DurationMs
  /** Share of gossip deliveries that are lost, in [0,1]; default 0. Streams lose nothing while they live. */
  readonly gossipLossFraction?: number
}

export interface TrafficCounters {
  framesSent: number
  messagesSent: number
  bytesSent: number
  framesReceived: number
  messagesReceived: number
  bytesReceived: number
  gossipPublished: number
  gossipReceived: number
}

/** One process's life on the network, from `join` to `crash`. What a dead host does has no effect. */
export interface VirtualHost {
  readonly peer: PeerId
  readonly network: VirtualNetwork
  isAlive(): boolean
  /** Like the clock's, but nothing happens once this life is over. */
  schedule(delayMs: DurationMs, callback: () => void): void
  connectedPeers(): readonly PeerId[]
  isConnected(to: PeerId): boolean
  /** Opens a connection unless there is one. */
  dial(to: PeerId, done: (connected: boolean, reason: string) => void): void
  /** @returns false when this end knows of no connection. True promises nothing: the link may be cut unnoticed. */
  sendFrame(to: PeerId, bytes: Uint8Array, messages: number): boolean
  onFrame(listener: (from: PeerId, bytes: Uint8Array, messages: number) => void): void
  onPeer(listener: (peer: PeerId, state: 'up' | 'down') => void): void
}

export interface VirtualNetwork {
  readonly clock: VirtualClock
  readonly gossipLossFraction: number
  /** Starts a process's life. @throws Error when one with this id is alive. */
  join(peer: PeerId): VirtualHost
  host(peer: PeerId): VirtualHost | undefined
  /** Repairs the link if it was cut and opens a connection; the ends hear 'up' after a round trip. */
  connect(left: PeerId, right: PeerId): void
  /** Connects every pair of live hosts. */
  connectAll(): void
  /** Cuts the link: frames vanish, dials fail, and the ends hear 'down' after the detection time. */
  disconnect(left: PeerId, right: PeerId): void
  /** Closes the connection without cutting the link: either end may dial again. */
  closeConnection(left: PeerId, right: PeerId): void
  /** Cuts every link of the node; `rejoin` repairs them and connects again. */
  isolate(peer: PeerId): void
  rejoin(peer: PeerId): void
  /** Kills the process: its peers hear 'down' after the crash detection time. `join` starts the next life. */
  crash(peer: PeerId): void
  /** True when a path of live connections joins the two. */
  reaches(from: PeerId, to: PeerId): boolean
  latencyMs(from: PeerId, to: PeerId): DurationMs
  counters(peer: PeerId): TrafficCounters
  totals(): TrafficCounters
}

interface Connection {
  alive: boolean
  /** The ends that have heard 'up' and not yet 'down'. */
  readonly believedBy: Set<PeerId>
  readonly lastArrivalMs: Map<PeerId, InstantMs>
}

interface Link {
  readonly ends: readonly [PeerId, PeerId]
  readonly random: Random
  readonly baseMs: DurationMs
  cut: boolean
  connection: Connection | undefined
  dialling: ((connected: boolean, reason: string) => void)[] | undefined
}

interface HostRecord {
  readonly host: VirtualHost
  alive: boolean
  readonly frameListeners: ((from: PeerId, bytes: Uint8Array, messages: number) => void)[]
  readonly peerListeners: ((peer: PeerId, state: 'up' | 'down') => void)[]
}

const noTraffic: TrafficCounters = { framesSent: 0, messagesSent: 0, bytesSent: 0, framesReceived: 0, messagesReceived: 0, bytesReceived: 0, gossipPublished: 0, gossipReceived: 0 }

export function createVirtualNetwork(init: VirtualNetworkInit): VirtualNetwork {
  const { clock } = init
  const latencyMsMin = init.latencyMsMin ?? 0.2
  const latencyMsMax = Math.max(latencyMsMin, init.latencyMsMax ?? 2)
  const crashDetectionMs = init.crashDetectionMs ?? 5
  const cutDetectionMs = init.cutDetectionMs ?? 2_000
  const dialTimeoutMs = init.dialTimeoutMs ?? 5_000
  const seed = [init.random.below(0x1_0000_0000), init.random.below(0x1_0000_0000)] as const

  const hosts = new Map<PeerId, HostRecord>()
  const links = new Map<string, Link>()
  const linksOf = new Map<PeerId, Set<Link>>()
  const isolated = new Set<PeerId>()
  const traffic = new Map<PeerId, TrafficCounters>()
  let components: Map<PeerId, number> | undefined

  function linkBetween(left: PeerId, right: PeerId): Link {
    const ends = left < right ? ([left, right] as const) : ([right, left] as const)
    const key = `${ends[0]} ${ends[1]}`
    let link = links.get(key)
    if (link === undefined) {
      // Seeded by its ends and not by when it was first used: the order of events does not change the latencies.
      const random = seededRandom([seed[0] ^ hash32(key), seed[1] ^ hash32(`${key} link`)])
      link = { ends, random, baseMs: latencyMsMin + random.next() * (latencyMsMax - latencyMsMin), cut: false, connection: undefined, dialling: undefined }
      links.set(key, link)
      for (const end of ends) linksOf.set(end, (linksOf.get(end) ?? new Set()).add(link))
    }
    return link
  }

  const frameLatencyMs = (link: Link): DurationMs => link.baseMs * (1 + link.random.next() / 10)
  const isCut = (link: Link): boolean => link.cut || isolated.has(link.ends[0]) || isolated.has(link.ends[1])
  const otherEnd = (link: Link, end: PeerId): PeerId => (link.ends[0] === end ? link.ends[1] : link.ends[0])

  function countersOf(peer: PeerId): TrafficCounters {
    let counters = traffic.get(peer)
    if (counters === undefined) traffic.set(peer, (counters = { ...noTraffic }))
    return counters
  }

  function tellPeer(end: PeerId, peer: PeerId, state: 'up' | 'down'): void {
    for (const listener of hosts.get(end)?.peerListeners ?? []) listener(peer, state)
  }

  function hearDown(link: Link, connection: Connection, end: PeerId): void {
    if (!connection.believedBy.delete(end)) return
    tellPeer(end, otherEnd(link, end), 'down')
  }

  function breakConnection(link: Link, detectionMs: DurationMs): void {
    const connection = link.connection
    if (connection?.alive !== true) return
    connection.alive = false
    components = undefined
    for (const end of link.ends) clock.schedule(detectionMs, () => hearDown(link, connection, end))
  }

  function open(link: Link): void {
    const former = link.connection
    if (former?.alive === true) return
    if (former !== undefined) for (const end of link.ends) hearDown(link, former, end)
    link.connection = { alive: true, believedBy: new Set(link.ends), lastArrivalMs: new Map() }
    components = undefined
    for (const end of link.ends) tellPeer(end, otherEnd(link, end), 'up')
  }

  function dialLink(link: Link, done: (connected: boolean, reason: string) => void): void {
    if (link.connection?.alive === true) return done(true, '')
    if (link.dialling !== undefined) {
      link.dialling.push(done)
      return
    }
    link.dialling = [done]
    const finish = (connected: boolean, reason: string) => {
      const waiting = link.dialling ?? []
      link.dialling = undefined
      if (connected) open(link)
      for (const tell of waiting) tell(connected, reason)
    }
    clock.schedule(frameLatencyMs(link) + frameLatencyMs(link), () => {
      if (isCut(link)) clock.schedule(dialTimeoutMs, () => finish(false, 'the dial timed out'))
      else if (!link.ends.every((end) => hosts.has(end))) finish(false, 'the connection was refused')
      else finish(true, '')
    })
  }

  function sendFrame(from: PeerId, to: PeerId, bytes: Uint8Array, messages: number): boolean {
    const link = linkBetween(from, to)
    const connection = link.connection
    if (connection === undefined || !connection.believedBy.has(from)) return false
    const sent = countersOf(from)
    sent.framesSent++
    sent.messagesSent += messages
    sent.bytesSent += bytes.byteLength
    if (!connection.alive) return true
    const arrivalMs = Math.max(connection.lastArrivalMs.get(to) ?? 0, clock.nowMs() + frameLatencyMs(link))
    connection.lastArrivalMs.set(to, arrivalMs)
    clock.schedule(arrivalMs - clock.nowMs(), () => {
      const target = hosts.get(to)
      if (!connection.alive || target === undefined) return
      const received = countersOf(to)
      received.framesReceived++
      received.messagesReceived += messages
      received.bytesReceived += bytes.byteLength
      for (const listener of target.frameListeners) listener(from, bytes, messages)
    })
    return true
  }

  function componentOf(peer: PeerId): number | undefined {
    if (components === undefined) {
      components = new Map()
      let next = 0
      for (const start of hosts.keys()) {
        if (components.has(start)) continue
        const pending = [start]
        components.set(start, next)
        for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
          for (const link of linksOf.get(at) ?? []) {
            const far = otherEnd(link, at)
            if (link.connection?.alive !== true || components.has(far)) continue
            components.set(far, next)
            pending.push(far)
          }
        }
        next++
      }
    }
    return components.get(peer)
  }

  function join(peer: PeerId): VirtualHost {
    if (hosts.has(peer)) throw new Error(`a host ${peer} is already on the virtual network`)
    const record: HostRecord = {
      alive: true,
      frameListeners: [],
      peerListeners: [],
      host: {
        peer,
        network,
        isAlive: () => record.alive,
        schedule(delayMs, callback) {
          clock.schedule(delayMs, () => {
            if (record.alive) callback()
          })
        },
        connectedPeers: () => (record.alive ? [...(linksOf.get(peer) ?? [])].filter((link) => link.connection?.believedBy.has(peer) === true).map((link) => otherEnd(link, peer)).sort() : []),
        isConnected: (to) => record.alive && linkBetween(peer, to).connection?.believedBy.has(peer) === true,
        dial(to, done) {
          if (!record.alive) return
          dialLink(linkBetween(peer, to), (connected, reason) => {
            if (record.alive) done(connected, reason)
          })
        },
        sendFrame: (to, bytes, messages) => record.alive && sendFrame(peer, to, bytes, messages),
        onFrame: (listener) => void record.frameListeners.push(listener),
        onPeer: (listener) => void record.peerListeners.push(listener),
      },
    }
    hosts.set(peer, record)
    components = undefined
    return record.host
  }

  const network: VirtualNetwork = {
    clock,
    gossipLossFraction: init.gossipLossFraction ?? 0,
    join,
    host: (peer) => hosts.get(peer)?.host,
    connect(left, right) {
      const link = linkBetween(left, right)
      link.cut = false
      dialLink(link, () => undefined)
    },
    connectAll() {
      const peers = [...hosts.keys()]
      for (const [at, left] of peers.entries()) for (const right of peers.slice(at + 1)) network.connect(left, right)
    },
    disconnect(left, right) {
      const link = linkBetween(left, right)
      link.cut = true
      breakConnection(link, cutDetectionMs)
    },
    closeConnection(left, right) {
      const link = linkBetween(left, right)
      breakConnection(link, frameLatencyMs(link))
    },
    isolate(peer) {
      isolated.add(peer)
      for (const link of linksOf.get(peer) ?? []) breakConnection(link, cutDetectionMs)
    },
    rejoin(peer) {
      isolated.delete(peer)
      for (const link of [...(linksOf.get(peer) ?? [])]) {
        if (!isCut(link) && link.ends.every((end) => hosts.has(end))) dialLink(link, () => undefined)
      }
    },
    crash(peer) {
      const record = hosts.get(peer)
      if (record === undefined) return
      record.alive = false
      hosts.delete(peer)
      components = undefined
      for (const link of linksOf.get(peer) ?? []) {
        link.connection?.believedBy.delete(peer)
        breakConnection(link, isCut(link) ? cutDetectionMs : crashDetectionMs)
      }
    },
    reaches: (from, to) => componentOf(from) !== undefined && componentOf(from) === componentOf(to),
    latencyMs: (from, to) => frameLatencyMs(linkBetween(from, to)),
    counters: countersOf,
    totals() {
      const sum = { ...noTraffic }
      for (const counters of traffic.values()) for (const name of Object.keys(sum) as (keyof TrafficCounters)[]) sum[name] += counters[name]
      return sum
    },
  }
  return network
}
