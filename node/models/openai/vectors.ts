/** Embeddings as endpoints send them: as numbers, or as base64 of little-endian float32 values. */
import { MeshError } from '../../../protocols/kernel/errors.ts'

export interface Vector {
  readonly dimensions: number
  /** Base64 of float32 values, little-endian. */
  readonly base64: string
}

/** @throws MeshError `provider-failed` for what is neither. */
export function readVector(embedding: unknown, endpoint: string): Vector {
  if (typeof embedding === 'string') {
    const bytes = Buffer.from(embedding, 'base64')
    if (bytes.length > 0 && bytes.length % 4 === 0) return { dimensions: bytes.length / 4, base64: bytes.toString('base64') }
  } else if (Array.isArray(embedding) && embedding.length > 0 && embedding.every((value) => typeof value === 'number' && Number.isFinite(value))) {
    const bytes = Buffer.alloc(4 * embedding.length)
    for (const [i, value] of (embedding as number[]).entries()) bytes.writeFloatLE(value, 4 * i)
    return { dimensions: embedding.length, base64: bytes.toString('base64') }
  }
  throw new MeshError('provider-failed', `the endpoint ${endpoint} sent an embedding that is neither numbers nor base64 of float32 values`, { retryable: false })
}
