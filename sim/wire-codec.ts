/** How a node puts envelopes into bytes: as this release does, or as another would. */
import { MeshError } from '../protocols/kernel/errors.ts'
import { decodeFrame, encodeFrame, encodeValue, protocolMajor, type Envelope } from '../protocols/wire.ts'

export interface WireCodec {
  encode(batch: readonly Envelope[]): Uint8Array
  /** @throws MeshError for what it cannot read. */
  decode(bytes: Uint8Array): Envelope[]
  /** Its frames and this release's are the same: what was sent need not be read back from the bytes to be understood. */
  readonly isOwn: boolean
}

export const ownCodec: WireCodec = { encode: encodeFrame, decode: decodeFrame, isOwn: true }

/** A later release of the same major: its envelopes and messages have fields that nobody here has heard of. */
export const newerMinorCodec: WireCodec = {
  encode: (batch) => encodeFrame(batch.map((envelope) => ({ ...envelope, sentBy: 'a newer release', message: { ...envelope.message, addedLater: { because: ['it', 'could'] } } }) as unknown as Envelope)),
  decode: decodeFrame,
  isOwn: false,
}

/** A release with which there is no common language. */
export const otherMajorCodec: WireCodec = {
  encode: (batch) => encodeValue([protocolMajor + 1, batch]),
  decode() {
    throw new MeshError('bad-request', `the frame speaks protocol major ${protocolMajor}, this node speaks ${protocolMajor + 1}`, { next: 'run the same major release of Skein on both nodes' })
  },
  isOwn: false,
}
