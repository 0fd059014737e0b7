/** Blobs of one short-lived run, kept in memory: for trying a skill alone. */
import { createHash } from 'node:crypto'
import { MeshError } from '../../protocols/kernel/errors.ts'
import type { Digest } from '../../protocols/kernel/ids.ts'
import type { BlobStore } from '../../actors/ports/blob-store.ts'

export interface MemoryBlobs extends BlobStore {
  readonly contents: ReadonlyMap<Digest, { readonly bytes: Uint8Array; readonly name?: string }>
}

export function createMemoryBlobs(): MemoryBlobs {
  const contents = new Map<Digest, { bytes: Uint8Array; name?: string }>()
  return {
    contents,
    has: (digest) => Promise.resolve(contents.has(digest)),
    put(bytes, about = {}) {
      const digest = createHash('sha256').update(bytes).digest('hex') as Digest
      contents.set(digest, { bytes, ...(about.name === undefined ? {} : { name: about.name }) })
      return Promise.resolve({ $blob: digest, sizeBytes: bytes.byteLength, ...about })
    },
    get: (digest) => Promise.resolve(contents.get(digest)?.bytes),
    remove(digests) {
      for (const digest of digests) contents.delete(digest)
      return Promise.resolve([])
    },
    // The run is over before anything is worth freeing.
    idle: () => Promise.resolve([]),
    onRoomWanted: () => undefined,
    fetch(ref) {
      if (contents.has(ref.$blob)) return Promise.resolve()
      return Promise.reject(new MeshError('unknown-blob', `no reachable node has the content ${ref.$blob.slice(0, 12)}…`, { next: 'submit the content again' }))
    },
  }
}
