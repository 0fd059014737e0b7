/**
 * The one union of everything that nodes say to each other, and its bytes.
 *
 * An envelope is msgpack (records off, so that frames of different processes decode alike); the same schema check
 * runs on streams, gossip and disk. Frames on a stream are length-prefixed by the transport and hold a batch.
 */
import { Packr } from 'msgpackr'
import { z } from 'zod'
import { biddingMessages } from './bidding/schema.ts'
import { capabilityMessages } from './capability/schema.ts'
import { invokingMessages } from './invoking/schema.ts'
import { invariant, MeshError } from './kernel/errors.ts'
import { Principal, type PeerId } from './kernel/ids.ts'
import { unplain } from './kernel/json.ts'
import { limits } from './kernel/limits.ts'
import { leasingMessages } from './leasing/schema.ts'
import { membershipMessages } from './membership/schema.ts'
import { replicatedLogMessages } from './replicated-log/schema.ts'
import { taskingMessages } from './tasking/schema.ts'

/** `/skein/<name>/<major>`; a higher minor only adds. */
export const protocolMajor = 2
export const protocolMinor = 1

export const Message = z.discriminatedUnion('kind', [...capabilityMessages, ...biddingMessages, ...invokingMessages, ...leasingMessages, ...membershipMessages, ...replicatedLogMessages, ...taskingMessages])
export type Message = z.infer<typeof Message>
export type MessageKind = Message['kind']
export type MessageOf<Kind extends MessageKind> = Extract<Message, { kind: Kind }>

/** A message on its way: to which actor, from which, for whom, in which trace. The sending peer is what the stream authenticated. */
export const Envelope = z.object({
  to: z.string().min(1).max(800),
  from: z.string().min(1).max(800),
  principal: Principal.optional(),
  trace: z.string().max(64).optional(),
  message: Message,
})
export type Envelope = z.infer<typeof Envelope>
/** Made once: to make a schema costs as much as to check a small message by it. */
const Envelopes = z.array(Envelope)

/** An envelope with the peer that the transport or the gossip signature vouches for. */
export interface Received {
  readonly peer: PeerId
  readonly envelope: Envelope
}

// Without structured clones: a pointer in a frame could make a value that contains itself, and whoever walks it would never end.
const packr = new Packr({ useRecords: false, encodeUndefinedAsNil: false, copyBuffers: true, structuredClone: false })

/** @returns the bytes of a batch of envelopes: one frame on a stream, one gossip message. */
export function encodeFrame(envelopes: readonly Envelope[]): Uint8Array {
  return packr.pack([protocolMajor, envelopes])
}

/**
 * @throws MeshError `bad-request` on garbage, an unknown major, what is not plain data, or a message outside the schema;
 *   `too-large` when the frame or the batch is over its limit.
 */
export function decodeFrame(bytes: Uint8Array): Envelope[] {
  if (bytes.byteLength > limits.frameBytesMax) throw new MeshError('too-large', `a frame of ${bytes.byteLength} bytes is over the limit of ${limits.frameBytesMax}`)
  let frame: unknown
  try {
    frame = packr.unpack(bytes)
  } catch {
    throw new MeshError('bad-request', 'the frame is not msgpack')
  }
  if (!Array.isArray(frame) || frame.length !== 2 || !Array.isArray(frame[1])) throw new MeshError('bad-request', 'the frame is not [major, envelopes]')
  if (frame[0] !== protocolMajor) throw new MeshError('bad-request', `the frame speaks protocol major ${typeof frame[0] === 'number' ? frame[0] : `of type ${typeof frame[0]}`}, this node speaks ${protocolMajor}`, { next: 'run the same major release of Skein on both nodes' })
  if (frame[1].length > limits.frameMessagesMax) throw new MeshError('too-large', `a frame of ${frame[1].length} messages is over the limit of ${limits.frameMessagesMax}`)
  const foreign = unplain(frame[1], limits.frameDepthMax)
  if (foreign !== undefined) throw new MeshError('bad-request', `the frame is not plain data: ${foreign}`)
  const parsed = Envelopes.safeParse(frame[1])
  if (!parsed.success) throw new MeshError('bad-request', `the frame holds a message outside the schema: ${z.prettifyError(parsed.error).slice(0, 500)}`)
  return parsed.data
}

/** Bytes of any JSON-like value, for disk and size checks. */
export function encodeValue(value: unknown): Uint8Array {
  return packr.pack(value)
}

export function decodeValue(bytes: Uint8Array): unknown {
  return packr.unpack(bytes)
}

/** What `encodeValue` gives for the list of the values that `encoded` are the bytes of: they are copied, not encoded again. */
export function packList(encoded: readonly Uint8Array[]): Uint8Array {
  return joined([listHeader(encoded.length), ...encoded])
}

/** The same for an object of so many fields. */
export function packFields(fields: Readonly<Record<string, Uint8Array>>): Uint8Array {
  const names = Object.keys(fields)
  invariant(names.length < 16, 'an object of encoded values has fewer than 16 fields')
  return joined([Uint8Array.of(0x80 | names.length), ...names.flatMap((name) => [encodedName(name), fields[name] as Uint8Array])])
}

/** Before the values of a msgpack list: fixarray up to 15 of them, array 16, array 32. */
export function listHeader(count: number): Uint8Array {
  if (count < 16) return Uint8Array.of(0x90 | count)
  if (count < 0x1_0000) return Uint8Array.of(0xdc, count >> 8, count & 0xff)
  return Uint8Array.of(0xdd, count >>> 24, (count >> 16) & 0xff, (count >> 8) & 0xff, count & 0xff)
}

const encodedNames = new Map<string, Uint8Array>()

function encodedName(name: string): Uint8Array {
  let bytes = encodedNames.get(name)
  if (bytes === undefined) encodedNames.set(name, (bytes = encodeValue(name)))
  return bytes
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  let at = 0
  for (const { byteLength } of parts) at += byteLength
  const bytes = new Uint8Array(at)
  at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.byteLength
  }
  return bytes
}
