/** The most recently used small blobs, so that a template or a shared input is not read from disk for every task. */
import type { Digest } from '../../protocols/kernel/ids.ts'
import type { Bytes } from '../../protocols/kernel/units.ts'

export interface SmallBlobCache {
  /** A copy: what the caller does to it stays with the caller. */
  get(digest: Digest): Uint8Array | undefined
  keep(digest: Digest, bytes: Uint8Array): void
  drop(digest: Digest): void
}

export function createSmallBlobCache(totalBytesMax: Bytes = 16 * 2 ** 20, blobBytesMax: Bytes = 64 * 2 ** 10): SmallBlobCache {
  // A Map iterates in the order of insertion: the first key is the one unused for longest.
  const kept = new Map<Digest, Uint8Array>()
  let totalBytes = 0

  function drop(digest: Digest): void {
    totalBytes -= kept.get(digest)?.byteLength ?? 0
    kept.delete(digest)
  }

  return {
    get(digest) {
      const bytes = kept.get(digest)
      if (bytes === undefined) return undefined
      kept.delete(digest)
      kept.set(digest, bytes)
      return bytes.slice()
    },
    keep(digest, bytes) {
      if (bytes.byteLength > blobBytesMax) return
      drop(digest)
      kept.set(digest, bytes.slice())
      totalBytes += bytes.byteLength
      for (const oldest of kept.keys()) {
        if (totalBytes <= totalBytesMax) break
        drop(oldest)
      }
    },
    drop,
  }
}
