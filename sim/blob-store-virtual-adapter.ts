/** The BlobStore port in memory. The stores of one world see each other through a shared swarm, as far as their network lets them. */
import type { BlobStore } from '../actors/ports/blob-store.ts'
import { MeshError } from '../protocols/kernel/errors.ts'
import { digestOf } from '../protocols/kernel/hashing.ts'
import { createRecentUse, type RecentUse } from '../protocols/kernel/recent-use.ts'
import type { Digest, PeerId } from '../protocols/kernel/ids.ts'
import { limits } from '../protocols/kernel/limits.ts'
import type { Bytes, DurationMs, InstantMs } from '../protocols/kernel/units.ts'
import { diskFull, type Drive, type DriveClock } from './disk/drive.ts'

export interface VirtualBlobSwarmInit {
  /** With a clock, fetching takes `roundTripMs` and the time of its bytes. The world's clock, not a node's. */
  readonly clock?: DriveClock
  /** The world's time, by which use is remembered, also when a node starts again; without it everything was used just now. */
  readonly nowMs?: () => InstantMs
  /** Default 2 ms. */
  readonly roundTripMs?: DurationMs
  /** Default 100 MB/s. */
  readonly bytesPerSecond?: number
  /** Default: everybody reaches everybody. */
  readonly reaches?: (from: PeerId, to: PeerId) => boolean
}

export interface VirtualBlobSwarm {
  readonly init: VirtualBlobSwarmInit
  /** What each peer serves. Kept when a peer crashes: blobs are synced before `put` resolves. */
  readonly shelves: Map<PeerId, Map<Digest, Uint8Array>>
  /** When each peer used what it serves: kept with it. */
  readonly uses: Map<PeerId, RecentUse>
  /** Transfers between two peers that were completed. */
  readonly transfers: { readonly from: PeerId; readonly to: PeerId; readonly digest: Digest; readonly sizeBytes: Bytes }[]
}

export function createVirtualBlobSwarm(init: VirtualBlobSwarmInit = {}): VirtualBlobSwarm {
  return { init, shelves: new Map(), uses: new Map(), transfers: [] }
}

/** The blobs of one peer, for the disk that they share with its logs. */
export function shelfOf(swarm: VirtualBlobSwarm, peer: PeerId): Map<Digest, Uint8Array> {
  let shelf = swarm.shelves.get(peer)
  if (shelf === undefined) swarm.shelves.set(peer, (shelf = new Map()))
  return shelf
}

function usesOf(swarm: VirtualBlobSwarm, peer: PeerId): RecentUse {
  let uses = swarm.uses.get(peer)
  if (uses === undefined) swarm.uses.set(peer, (uses = createRecentUse()))
  return uses
}

export interface VirtualBlobStoreInit {
  readonly self: PeerId
  readonly swarm: VirtualBlobSwarm
  readonly quotaBytes?: Bytes
  /** The machine's disk: then storing takes its sync, and suffers what the disk suffers. */
  readonly drive?: Drive
}

/** The store of one peer. Created again under the same peer, it finds what was there before. */
export function createVirtualBlobStore({ self, swarm, quotaBytes = Infinity, drive }: VirtualBlobStoreInit): BlobStore {
  const shelf = shelfOf(swarm, self)
  const uses = usesOf(swarm, self)
  const nowMs = (): InstantMs => swarm.init.nowMs?.() ?? 0
  const touch = (digest: Digest): void => {
    if (shelf.has(digest)) uses.touch(digest, nowMs())
  }
  let askForRoom: ((bytes: Bytes) => Promise<void>) | undefined
  const fetching = new Map<Digest, Promise<void>>()
  const cutsAtFirst = drive?.cuts()
  const stir = (): void => swarm.init.clock?.stir?.()

  async function keep(digest: Digest, bytes: Uint8Array): Promise<void> {
    // A transfer that ends after its process did: nobody is there to store what arrived.
    if (drive?.cuts() !== cutsAtFirst) return await new Promise(() => undefined)
    if (shelf.has(digest)) return
    if (drive?.isFull() === true) throw diskFull('a blob could not be stored')
    if (quotaBytes < Infinity) await findRoom(bytes.byteLength)
    const own = bytes.slice()
    const store = (): void => {
      shelf.set(digest, own)
      touch(digest)
    }
    if (drive === undefined) store()
    else await drive.blobs.stage(store)
  }

  async function findRoom(moreBytes: Bytes): Promise<void> {
    const held = (): Bytes => [...shelf.values()].reduce((sum, { byteLength }) => sum + byteLength, 0)
    if (held() + moreBytes > quotaBytes) await askForRoom?.(held() + moreBytes - quotaBytes)
    const heldBytes = held()
    if (heldBytes + moreBytes <= quotaBytes) return
    throw new MeshError('storage-failed', `the blob store holds ${heldBytes} bytes, ${moreBytes} more would be over its quota of ${quotaBytes}`, { next: 'raise the quota or remove finished missions' })
  }

  function elapse(bytes: Bytes): Promise<void> {
    const { clock, roundTripMs = 2, bytesPerSecond = 100e6 } = swarm.init
    if (clock === undefined) return Promise.resolve()
    return new Promise((resolve) => {
      clock.schedule(roundTripMs + (bytes / bytesPerSecond) * 1_000, () => {
        resolve()
        stir()
      })
    })
  }

  const reaches = (peer: PeerId): boolean => peer !== self && (swarm.init.reaches?.(self, peer) ?? true)

  async function fetchFromAny(digest: Digest, sizeBytesMax: Bytes, holders: readonly PeerId[]): Promise<void> {
    for (const holder of holders) {
      const offered = reaches(holder) ? swarm.shelves.get(holder)?.get(digest) : undefined
      await elapse(Math.min(offered?.byteLength ?? 0, sizeBytesMax))
      // Reached again after the transfer: a link that was cut meanwhile delivered nothing.
      if (offered === undefined || !reaches(holder) || offered.byteLength > sizeBytesMax || digestOf(offered) !== digest) continue
      await keep(digest, offered)
      swarm.transfers.push({ from: holder, to: self, digest, sizeBytes: offered.byteLength })
      return
    }
    throw new MeshError('unknown-blob', `none of the ${holders.length} nodes asked has the content ${digest}`, { next: 'start a node that holds it, or upload it again' })
  }

  return {
    async remove(digests, idleForMs = 0) {
      stir()
      const kept = digests.filter((digest) => shelf.has(digest) && uses.idleForMs(digest, nowMs()) < idleForMs)
      // Unsynced: a blob that a power cut brings back is removed with its archive later, or never missed.
      if (drive?.cuts() === cutsAtFirst) for (const digest of digests) if (!kept.includes(digest)) shelf.delete(digest)
      return kept
    },
    async idle(idleForMs, max, after) {
      stir()
      // Of what came with a disk that was put back nothing is known.
      for (const digest of shelf.keys()) if (!uses.knows(digest)) uses.touch(digest, nowMs())
      const gone = uses.unusedSince(nowMs() - idleForMs, Infinity).filter(({ digest }) => !shelf.has(digest))
      for (const { digest } of gone) uses.forget(digest)
      return uses.unusedSince(nowMs() - idleForMs, max, after).map((use) => ({ ...use, sizeBytes: shelf.get(use.digest)?.byteLength ?? 0 }))
    },
    onRoomWanted: (listener) => void (askForRoom = listener),
    async has(digest) {
      stir()
      touch(digest)
      return shelf.has(digest)
    },
    async put(bytes, about = {}) {
      stir()
      if (bytes.byteLength > limits.blobBytesMax) throw new MeshError('too-large', `a blob of ${bytes.byteLength} bytes is over the limit of ${limits.blobBytesMax}`)
      const digest = digestOf(bytes)
      await keep(digest, bytes)
      touch(digest)
      return {
        $blob: digest,
        sizeBytes: bytes.byteLength,
        ...(about.name === undefined ? {} : { name: about.name }),
        ...(about.mediaType === undefined ? {} : { mediaType: about.mediaType }),
        holders: [self],
      }
    },
    async get(digest) {
      stir()
      touch(digest)
      return shelf.get(digest)?.slice()
    },
    async fetch(ref, alsoTry = []) {
      stir()
      touch(ref.$blob)
      if (ref.sizeBytes > limits.blobBytesMax) throw new MeshError('too-large', `a blob of ${ref.sizeBytes} bytes is over the limit of ${limits.blobBytesMax}`)
      const holders = [...new Set([...(ref.holders ?? []), ...alsoTry])].filter((holder) => holder !== self)
      while (!shelf.has(ref.$blob)) {
        const running = fetching.get(ref.$blob)
        if (running === undefined) {
          const own = fetchFromAny(ref.$blob, ref.sizeBytes, holders).finally(() => fetching.delete(ref.$blob))
          fetching.set(ref.$blob, own)
          return await own
        }
        // Somebody else's fetch may know other holders; only if it fails are our own asked.
        await running.catch((error: unknown) => {
          if (!(error instanceof MeshError && error.fault.code === 'unknown-blob')) throw error
        })
      }
    },
  }
}
