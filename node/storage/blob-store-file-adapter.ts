/**
 * The BlobStore port in files, and what its neighbours need beyond the port: streams in (uploads) and out (the blob protocol).
 *
 * @packageDocumentation
 */
import { createHash } from 'node:crypto'
import type { BlobStore } from '../../actors/ports/blob-store.ts'
import { invariant, MeshError } from '../../protocols/kernel/errors.ts'
import type { Digest, PeerId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { BlobRef } from '../../protocols/kernel/payload.ts'
import type { Bytes, DurationMs } from '../../protocols/kernel/units.ts'
import { createBlobFetcher, type FetchFrom } from './blob-fetch.ts'
import { openBlobFiles } from './blob-files.ts'
import { createSmallBlobCache } from './small-blob-cache.ts'

export type { FetchFrom } from './blob-fetch.ts'

export interface FileBlobStoreInit {
  readonly directory: string
  /** This node: named as a holder in the references that `put` returns. */
  readonly self: PeerId
  /** How content comes from a peer; without it only what is local can be had. */
  readonly fetchFrom?: FetchFrom
  /** Asked last, after the holders that a reference names. */
  readonly connectedPeers?: () => readonly PeerId[]
  /** Default: as much as the disk holds. */
  readonly quotaBytes?: Bytes
  /** Default `limits.blobFetchTimeoutMs`. */
  readonly silenceMsMax?: DurationMs
  /** Told of each holder that did not give what it was asked for: unreachable, silent, or lying. */
  readonly onHolderFailed?: (peer: PeerId, digest: Digest, why: string) => void
}

export interface BlobAbout {
  readonly name?: string
  readonly mediaType?: string
}

export interface StreamAbout extends BlobAbout {
  /** Refuses content with another digest. */
  readonly expected?: Digest
  /** Default `limits.blobBytesMax`. */
  readonly sizeBytesMax?: Bytes
}

/** An open blob: `read` starts at `offset` (bytes, 0 by default) and yields pieces of at most `blobChunkBytes`. */
export interface OpenBlob {
  readonly sizeBytes: Bytes
  read(offset?: Bytes): AsyncIterable<Uint8Array>
}

export interface FileBlobStore extends BlobStore {
  /** Like `put`, without ever holding the whole. @throws MeshError `too-large`, `bad-input` for another digest than expected, `storage-failed`; or what the chunks throw. */
  putStream(chunks: AsyncIterable<Uint8Array>, about?: StreamAbout): Promise<BlobRef>
  /** Undefined when this node does not have it. A file that has rotted makes its reader fail at the end. */
  open(digest: Digest): Promise<OpenBlob | undefined>
  usage(): { readonly blobs: number; readonly bytes: Bytes }
  /** Gives up the fetches that are under way. */
  close(): Promise<void>
}

function* piecesOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += limits.blobChunkBytes) yield bytes.subarray(at, at + limits.blobChunkBytes)
}

/**
 * Opens or creates the store. One process per directory: open the log first, its lock guards both.
 * @throws MeshError `storage-failed` when the directory cannot be used.
 */
export async function openFileBlobStore(init: FileBlobStoreInit): Promise<FileBlobStore> {
  let askForRoom: ((bytes: Bytes) => Promise<void>) | undefined
  const files = await openBlobFiles(init.directory, init.quotaBytes ?? Infinity, async (bytes) => await askForRoom?.(bytes))
  const cache = createSmallBlobCache()
  const downloads = new Map<Digest, Promise<void>>()
  const fetcher =
    init.fetchFrom === undefined
      ? undefined
      : createBlobFetcher({ files, fetchFrom: init.fetchFrom, silenceMsMax: init.silenceMsMax ?? limits.blobFetchTimeoutMs, onHolderFailed: init.onHolderFailed ?? (() => undefined) })

  function refTo(digest: Digest, sizeBytes: Bytes, about: BlobAbout): BlobRef {
    files.touch(digest)
    return {
      $blob: digest,
      sizeBytes,
      ...(about.name === undefined ? {} : { name: about.name }),
      ...(about.mediaType === undefined ? {} : { mediaType: about.mediaType }),
      holders: [init.self],
    }
  }

  function assertSize(sizeBytes: Bytes): void {
    if (sizeBytes > limits.blobBytesMax) throw new MeshError('too-large', `a blob of ${sizeBytes} bytes is over the limit of ${limits.blobBytesMax}`, { next: 'split it into smaller parts' })
  }

  async function remove(digests: readonly Digest[], idleForMs: DurationMs = 0): Promise<readonly Digest[]> {
    const kept: Digest[] = []
    for (const digest of digests) {
      if (files.sizeOf(digest) !== undefined && files.idleForMs(digest) < idleForMs) {
        kept.push(digest)
        continue
      }
      cache.drop(digest)
      if (files.sizeOf(digest) !== undefined) await files.remove(digest)
    }
    return kept
  }

  /** Undefined when it is not here, or was here and has rotted. */
  async function readLocal(digest: Digest): Promise<Uint8Array | undefined> {
    const sizeBytes = files.sizeOf(digest)
    if (sizeBytes === undefined) return undefined
    // Filled piece by piece: copying a big blob in one go would stall the loop.
    const bytes = new Uint8Array(sizeBytes)
    let filled = 0
    try {
      for await (const piece of files.read(digest)) {
        if (filled + piece.byteLength <= sizeBytes) bytes.set(piece, filled)
        filled += piece.byteLength
      }
    } catch (error) {
      if (error instanceof MeshError && files.sizeOf(digest) === undefined) return undefined
      throw error
    }
    invariant(filled === sizeBytes, `content of one digest has one size: ${filled} and ${sizeBytes} bytes`)
    cache.keep(digest, bytes)
    return bytes
  }

  /** True when the file is as long as the reference says; one that is not is read through, and removed if it has rotted. */
  async function isWhole(ref: Pick<BlobRef, '$blob' | 'sizeBytes'>): Promise<boolean> {
    const sizeBytes = files.sizeOf(ref.$blob)
    if (sizeBytes === undefined) return false
    return sizeBytes === ref.sizeBytes || (await readLocal(ref.$blob)) !== undefined
  }

  async function download(ref: Pick<BlobRef, '$blob' | 'sizeBytes'>, named: readonly PeerId[]): Promise<void> {
    const holders = [...new Set([...named, ...(init.connectedPeers?.() ?? [])])].filter((peer) => peer !== init.self)
    if (fetcher === undefined) throw new MeshError('unknown-blob', `the content ${ref.$blob} is not here, and this node fetches from no other`)
    const running = fetcher.fetch(ref, holders).finally(() => downloads.delete(ref.$blob))
    downloads.set(ref.$blob, running)
    await running
  }

  async function fetch(ref: Pick<BlobRef, '$blob' | 'sizeBytes'>, named: readonly PeerId[]): Promise<void> {
    assertSize(ref.sizeBytes)
    while (!(await isWhole(ref))) {
      const running = downloads.get(ref.$blob)
      if (running === undefined) return await download(ref, named)
      // Somebody else's download may know other holders; only if it fails are our own asked.
      await running.catch((error: unknown) => {
        if (error instanceof MeshError && error.fault.code === 'unknown-blob') return
        throw error
      })
    }
  }

  return {
    async has(digest) {
      files.touch(digest)
      return files.sizeOf(digest) !== undefined
    },
    async put(bytes, about = {}) {
      assertSize(bytes.byteLength)
      // Content that is here and sound is not written again; hashing this little takes less than a millisecond.
      if (bytes.byteLength <= limits.blobChunkBytes) {
        const known = createHash('sha256').update(bytes).digest('hex') as Digest
        files.touch(known)
        if (cache.get(known) !== undefined || (await readLocal(known)) !== undefined) return refTo(known, bytes.byteLength, about)
      }
      const { digest } = await files.write(piecesOf(bytes), limits.blobBytesMax)
      cache.keep(digest, bytes)
      return refTo(digest, bytes.byteLength, about)
    },
    async putStream(chunks, about = {}) {
      const { digest, sizeBytes } = await files.write(chunks, Math.min(about.sizeBytesMax ?? limits.blobBytesMax, limits.blobBytesMax), (arrived) => {
        if (about.expected !== undefined && arrived !== about.expected) {
          throw new MeshError('bad-input', `the content has the digest ${arrived}, not ${about.expected}`, { next: 'send it again: it was changed or cut on the way' })
        }
      })
      return refTo(digest, sizeBytes, about)
    },
    async get(digest) {
      files.touch(digest)
      const cached = cache.get(digest)
      if (cached !== undefined) return cached
      const sizeBytes = files.sizeOf(digest)
      const local = await readLocal(digest)
      if (local !== undefined || sizeBytes === undefined || fetcher === undefined) return local
      // It was here and has rotted: whoever asked was told that it is here, so it is made good if anybody else has it.
      try {
        await fetch({ $blob: digest, sizeBytes: limits.blobBytesMax }, [])
      } catch (error) {
        if (error instanceof MeshError && error.fault.code === 'unknown-blob') return undefined
        throw error
      }
      return await readLocal(digest)
    },
    fetch(ref, alsoTry = []) {
      files.touch(ref.$blob)
      return fetch(ref, [...(ref.holders ?? []), ...alsoTry])
    },
    async open(digest) {
      files.touch(digest)
      const sizeBytes = files.sizeOf(digest)
      return sizeBytes === undefined ? undefined : { sizeBytes, read: (offset) => files.read(digest, offset) }
    },
    remove,
    idle: async (idleForMs, max, after) => files.idle(idleForMs, max, after),
    onRoomWanted(listener) {
      invariant(askForRoom === undefined, 'one is asked for room')
      askForRoom = listener
    },
    usage: () => ({ blobs: files.count, bytes: files.usedBytes() }),
    async close() {
      fetcher?.stop()
      await Promise.allSettled(downloads.values())
    },
  }
}
