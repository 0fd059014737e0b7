/**
 * The Discovery port over kad-dht: one provider record per key, under the CID of the key's SHA-256.
 *
 * A record is told again when peers appear and at intervals; finding is bounded in time and number. Records outlive
 * dead peers, so what is found is a hint.
 *
 * @packageDocumentation
 */
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as createMultihash } from 'multiformats/hashes/digest'
import { sha256 } from 'multiformats/hashes/sha2'
import type { Discovery } from '../../actors/ports/discovery.ts'
import type { Telemetry } from '../../actors/ports/telemetry.ts'
import { toFault } from '../../protocols/kernel/errors.ts'
import { digestOfText } from '../../protocols/kernel/hashing.ts'
import type { PeerId } from '../../protocols/kernel/ids.ts'
import type { MeshLibp2p } from './libp2p-node.ts'

export interface DhtDiscovery extends Discovery {
  start(): void
  stop(): Promise<void>
}

const provideTimeoutMs = 10_000
const retryMs = 5_000
/** A key that was told to somebody is told again after this long: records of new peers must not depend on old ones. */
const againMs = 10 * 60_000
/** New peers come in bursts; one round is enough for all of them. */
const settleMs = 300
const findMaxEver = 20

/** The CID under which a key is provided: raw codec, SHA-256 of the key's text. */
export function cidOfKey(key: string): CID {
  return CID.createV1(raw.code, createMultihash(sha256.code, new Uint8Array(Buffer.from(digestOfText(key), 'hex'))))
}

export function createDhtDiscovery(options: { readonly libp2p: MeshLibp2p; readonly telemetry: Telemetry }): DhtDiscovery {
  const { libp2p, telemetry } = options
  const { dht } = libp2p.services
  const self = libp2p.peerId.toString()
  /** Key → when it was last told to at least one peer; undefined: to nobody yet. */
  const wanted = new Map<string, number | undefined>()
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
    round = tellAll().finally(() => {
      round = undefined
      if (wanted.size > 0) schedule(againWanted ? settleMs : [...wanted.values()].includes(undefined) ? retryMs : againMs)
      againWanted = false
    })
  }

  async function tellAll(): Promise<void> {
    const nowMs = performance.now()
    for (const [key, toldMs] of [...wanted]) {
      if (stopping.signal.aborted) return
      if (toldMs !== undefined && nowMs - toldMs < againMs) continue
      // A lone node tells nobody and would only wait for its own queries.
      if (libp2p.getConnections().length === 0) return
      const told = await tell(key)
      if (told > 0 && wanted.has(key)) wanted.set(key, performance.now())
    }
  }

  /** @returns how many peers stored the record. */
  async function tell(key: string): Promise<number> {
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

  function onPeer(): void {
    if (wanted.size === 0) return
    // A newcomer may be the closest to a key: in a small mesh everybody is told everything again.
    if (libp2p.getPeers().length <= findMaxEver) for (const key of wanted.keys()) wanted.set(key, undefined)
    schedule(settleMs)
  }

  return {
    provide(keys) {
      const next = new Set(keys)
      for (const key of [...wanted.keys()]) {
        if (next.has(key)) continue
        wanted.delete(key)
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
    },
    async stop() {
      libp2p.removeEventListener('peer:identify', onPeer)
      stopping.abort()
      clearTimeout(timer)
      await round
    },
  }
}
