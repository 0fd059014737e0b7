import { encodeValue, listHeader, protocolMajor } from '../../protocols/wire.ts'
import type { Envelope } from '../../protocols/wire.ts'

/**
 * The bytes of `encodeFrame([...])`, put together from envelopes that are already encoded: each is encoded once,
 * when it is sent, so that its size is known while it waits.
 *
 * @returns the parts of one frame; together they are byte for byte what `encodeFrame` makes of the same batch.
 */
export function frameParts(encoded: readonly Uint8Array[]): Uint8Array[] {
  // msgpack: [major, [envelope, …]].
  return [Uint8Array.of(0x92, protocolMajor, ...listHeader(encoded.length)), ...encoded]
}

/** Bytes that `frameParts` adds at most. */
export const frameHeaderBytesMax = 5

/** One envelope in the form that `frameParts` takes. */
export function encodeEnvelope(envelope: Envelope): Uint8Array {
  return encodeValue(envelope)
}
