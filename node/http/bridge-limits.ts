import { limits } from '../../protocols/kernel/limits.ts'

/** Maxima that only the bridge has. A test may lower them; the ones of the mesh are in the kernel. */
export interface BridgeLimits {
  readonly bodyBytesMax: number
  /** YAML is parsed on the node's loop, several times slower than JSON. */
  readonly yamlBytesMax: number
  readonly uploadBytesMax: number
  readonly uploadsMax: number
  /** A client that sends or reads nothing for this long is given up. */
  readonly stallMs: number
  readonly streamsMax: number
  readonly streamQueueBytesMax: number
  readonly heartbeatMs: number
  readonly drainMs: number
}

export const bridgeLimits: BridgeLimits = Object.freeze({
  bodyBytesMax: limits.httpBodyBytesMax,
  yamlBytesMax: 256 * 1024,
  uploadBytesMax: limits.httpUploadBytesMax,
  uploadsMax: 64,
  stallMs: 30_000,
  streamsMax: 256,
  streamQueueBytesMax: 1024 * 1024,
  heartbeatMs: 15_000,
  drainMs: limits.drainMs,
})
