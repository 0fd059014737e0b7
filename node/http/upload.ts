/** Uploads of any size: streamed into the store, which refuses content with another hash. */
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { BlobStore } from '../../actors/ports/blob-store.ts'
import { fault } from '../../protocols/kernel/errors.ts'
import type { Digest } from '../../protocols/kernel/ids.ts'
import type { BlobRef } from '../../protocols/kernel/payload.ts'
import type { BridgeLimits } from './bridge-limits.ts'
import { HttpFault } from './problem.ts'
import { bodyChunks } from './request-body.ts'

/** A blob store that takes and gives content without ever holding the whole. */
export interface StreamingBlobStore extends Pick<BlobStore, 'has' | 'fetch'> {
  /** @throws MeshError `too-large`, `storage-failed`, `bad-input` for another digest than expected; or what the chunks throw. */
  putStream(chunks: AsyncIterable<Uint8Array>, about: { name?: string; mediaType?: string; expected: Digest; sizeBytesMax: number }): Promise<BlobRef>
  /** Undefined when this node does not have it. */
  open(digest: Digest): Promise<{ readonly sizeBytes: number; read(): AsyncIterable<Uint8Array> } | undefined>
}

export interface Uploader {
  /**
   * Reads the body and stores it, or only checks it when the store has it.
   * @throws HttpFault, MeshError: `bad-input` for another hash, `too-large` over the limit, `overloaded` when too many uploads are under way.
   */
  receive(incoming: IncomingMessage, digest: Digest, about: { name?: string; mediaType?: string }): Promise<{ created: boolean; ref: BlobRef }>
}

export function createUploader(blobs: StreamingBlobStore, limits: BridgeLimits): Uploader {
  let uploads = 0

  async function take(incoming: IncomingMessage, digest: Digest, about: { name?: string; mediaType?: string }): Promise<{ created: boolean; ref: BlobRef }> {
    const chunks = bodyChunks(incoming, limits.uploadBytesMax, limits.stallMs)
    if (!(await blobs.has(digest))) return { created: true, ref: await blobs.putStream(chunks, { ...about, expected: digest, sizeBytesMax: limits.uploadBytesMax }) }
    const hash = createHash('sha256')
    let sizeBytes = 0
    for await (const chunk of chunks) {
      hash.update(chunk)
      sizeBytes += chunk.byteLength
    }
    const actual = hash.digest('hex')
    if (actual !== digest) throw new HttpFault(fault('bad-input', `the content has the digest ${actual}, not ${digest}`, { next: 'hash it and send it again: it was changed or cut on the way' }))
    return { created: false, ref: { $blob: digest, sizeBytes, ...about } }
  }

  return {
    async receive(incoming, digest, about) {
      if (uploads >= limits.uploadsMax) throw new HttpFault(fault('overloaded', `${uploads} uploads are under way`, { next: 'try again when one has ended', retryAfterMs: 2_000 }))
      uploads += 1
      try {
        return await take(incoming, digest, about)
      } finally {
        uploads -= 1
      }
    },
  }
}
