/**
 * The Discovery port over kad-dht: one provider record per key, under the CID of the key's SHA-256.
 *
 * A record is told again at intervals, and to who is new; finding is bounded in time and number. Records outlive
 * dead peers, so what is found is a hint.
 *
 * In a mesh so small that each node is among the closest to every key, each peer is told of all keys over one stream; in a larger one the DHT is asked, key by
 * key, who is to know of it. A node may offer a thousand capabilities, so neither is done at once: cold discovery is in no hurry, and tasks are.
 *
 * @packageDocumentation
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as createMultihash } from 'multiformats/hashes/digest'
import { sha256 } from 'multiformats/hashes/sha2'
import type { PeerId as Libp2pPeerId } from '@libp2p/interface'
import type { Discovery } from '../../actors/ports/discovery.ts'
import type { Telemetry } from '../../actors/ports/telemetry.ts'
import { toFault } from '../../protocols/kernel/errors.ts'
import { digestOfText } from '../../protocols/kernel/hashing.ts'
import type { PeerId } from '../../protocols/kernel/ids.ts'
import type { DurationMs, InstantMs } from '../../protocols/kernel/units.ts'
import { dhtProtocol, type MeshLibp2p } from './libp2p-node.ts'
import { tellOfProviding } from './provider-records.ts'

export interface DhtDiscovery extends Discovery {
  start(): void
  stop(): Promise<void>
}

const provideTimeoutMs = 10_000
const tellTimeoutMs = 60_000
const retryMs = 5_000
/** Records are valid for an hour, and kad-dht tells those again by itself, all at once, that are half as old: before that they are told again here. */
const againMs: DurationMs = 20 * 60_000
/** New peers come in bursts; one round is enough for all of them. */
const settleMs = 300
/** Between two batches of records for one peer. */
const batchRestMs: DurationMs = 50
/** So many keys are told to the DHT without a rest; from then on it rests for as long as each takes. */
const keysAtOnce = 16
const findMaxEver = 20
/** A record is kept by so many nodes that are closest to its key (kad-dht's k): where there are no more, by all. */
const closestMax = 20

/** The CID under which a key is provided: raw codec, SHA-256 of the key's text. */
export function cidOfKey(key: string): CID {
  return CID.createV1(raw.code, createMultihash(sha256.code, new Uint8Array(Buffer.from(digestOfText(key), 'hex'))))
}

export function createDhtDiscovery(options: { readonly libp2p: MeshLibp2p; readonly telemetry: Telemetry }): DhtDiscovery {
  const { libp2p, telemetry } = options
  const { dht } = libp2p.services
  const self = libp2p.peerId.toString()
  /** Key → when the DHT was last told of it; undefined: not yet. */
  const wanted = new Map<string, InstantMs | undefined>()
  /** Connected peer → key → when it was last told itself. */
  const toldPeers = new Map<string, Map<string, InstantMs>>()
  const stopping = new AbortController()
  let timer: NodeJS.Timeout | undefined
  let timerAtMs = Infinity
  let round: Promise<void> | undefined
  let againWanted = false

  function schedule(delayMs: number): void {
    if (stopping.signal.aborted) return
    const atMs = performance.now() + delayMs
    if (atMs >= timerAtMs) return
    clearTimeout(timer)
    timerAtMs = atMs
    timer = setTimeout(() => {
      timerAtMs = Infinity
      startRound()
    }, delayMs)
    timer.unref()
  }

  function startRound(): void {
    if (round !== undefined) {
      againWanted = true
      return
    }
    round = tellAll().then((isDone) => {
      round = undefined
      if (wanted.size > 0) schedule(againWanted ? settleMs : isDone ? againMs : retryMs)
      againWanted = false
    })
  }

  /** @returns whether everybody knows of everything. */
  async function tellAll(): Promise<boolean> {
    const peers = libp2p.getPeers()
    // A lone node tells nobody and would only wait for its own queries.
    if (peers.length === 0) return false
    const known = await libp2p.peerStore.all().catch(() => [])
    if (Math.max(known.length, peers.length) > closestMax) return await tellDht()
    // One after the other: what is sent to many at once keeps the loop from everything else.
    let isDone = true
    for (const peer of peers) isDone = await tellPeer(peer) && isDone
    return isDone
  }

  async function tellPeer(peer: Libp2pPeerId): Promise<boolean> {
    const [connection] = libp2p.getConnections(peer).filter(({ status }) => status === 'open')
    // It will be told when it is back.
    if (connection === undefined || stopping.signal.aborted) return true
    const told = toldPeers.get(peer.toString()) ?? new Map<string, InstantMs>()
    toldPeers.set(peer.toString(), told)
    const due = [...wanted.keys()].filter((key) => performance.now() - (told.get(key) ?? -Infinity) >= againMs)
    if (due.length === 0) return true
    let count = 0
    try {
      await tellOfProviding(connection, due.map(cidOfKey), {
        protocol: dhtProtocol, peerId: libp2p.peerId, addrs: libp2p.getMultiaddrs(),
        signal: AbortSignal.any([stopping.signal, AbortSignal.timeout(tellTimeoutMs)]),
        onTold(more) {
          for (const key of due.slice(count, count + more)) told.set(key, performance.now())
          count += more
        },
        rest: () => rest(batchRestMs),
      })
      return true
    } catch (error) {
      if (!stopping.signal.aborted) telemetry.record({ name: 'discovery.tell-failed', level: 'debug', fields: { peer: peer.toString(), told: count, of: due.length, reason: toFault(error).detail } })
      return false
    }
  }

  async function tellDht(): Promise<boolean> {
    let asked = 0
    for (const [key, toldMs] of [...wanted]) {
      const beganMs = performance.now()
      if (stopping.signal.aborted) return false
      if (toldMs !== undefined && beganMs - toldMs < againMs) continue
      if (await provide(key) > 0 && wanted.has(key)) wanted.set(key, performance.now())
      asked++
      if (asked >= keysAtOnce) await rest(performance.now() - beganMs)
    }
    return ![...wanted.values()].includes(undefined)
  }

  /** @returns how many peers stored the record. */
  async function provide(key: string): Promise<number> {
    let told = 0
    try {
      const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(provideTimeoutMs)])
      for await (const event of dht.provide(cidOfKey(key), { signal })) {
        if (event.name === 'PEER_RESPONSE' && event.messageName === 'ADD_PROVIDER') told++
      }
    } catch (error) {
      if (!stopping.signal.aborted) telemetry.record({ name: 'discovery.provide-failed', level: 'debug', fields: { key, reason: toFault(error).detail } })
    }
    return told
  }

  /** Also over when this node stops. */
  async function rest(durationMs: DurationMs): Promise<void> {
    await sleep(durationMs, undefined, { signal: stopping.signal, ref: false }).catch(() => undefined)
  }

  function onPeer(): void {
    if (wanted.size > 0) schedule(settleMs)
  }

  /** It may be another process when it is back, that knows nothing. */
  function onGone({ detail }: CustomEvent<Libp2pPeerId>): void {
    toldPeers.delete(detail.toString())
  }

  return {
    provide(keys) {
      const next = new Set(keys)
      for (const key of [...wanted.keys()]) {
        if (next.has(key)) continue
        wanted.delete(key)
        for (const told of toldPeers.values()) told.delete(key)
        dht.cancelReprovide(cidOfKey(key)).catch((error: unknown) => {
          telemetry.record({ name: 'discovery.withdraw-failed', level: 'debug', fields: { key, reason: toFault(error).detail } })
        })
      }
      for (const key of next) if (!wanted.has(key)) wanted.set(key, undefined)
      if (wanted.size > 0) schedule(0)
    },
    async findProviders(key, max, timeoutMs) {
      const found = new Set<PeerId>()
      const wantedCount = Math.min(max, findMaxEver)
      if (wantedCount <= 0) return []
      const enough = new AbortController()
      try {
        const signal = AbortSignal.any([stopping.signal, enough.signal, AbortSignal.timeout(timeoutMs)])
        for await (const event of dht.findProviders(cidOfKey(key), { signal })) {
          if (event.name !== 'PROVIDER') continue
          for (const provider of event.providers) {
            const peer = provider.id.toString()
            if (peer !== self && found.size < wantedCount) found.add(peer as PeerId)
          }
          if (found.size >= wantedCount) break
        }
      } catch (error) {
        // Running out of time is an ordinary end of a search.
        telemetry.record({ name: 'discovery.find-ended', level: 'debug', fields: { key, found: found.size, reason: toFault(error).detail } })
      } finally {
        enough.abort()
      }
      return [...found]
    },
    start() {
      libp2p.addEventListener('peer:identify', onPeer)
      libp2p.addEventListener('peer:disconnect', onGone)
    },
    async stop() {
      libp2p.removeEventListener('peer:identify', onPeer)
      libp2p.removeEventListener('peer:disconnect', onGone)
      stopping.abort()
      clearTimeout(timer)
      await round
    },
  }
}
