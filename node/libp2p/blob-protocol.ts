/**
 * `/skein/blob/1`: content by its digest, point to point, one stream per transfer.
 *
 * The asker writes one frame `{ digest, offset }` and ends its side. The holder answers one frame
 * `{ found: true, sizeBytes }` or `{ found: false, code, detail }`, then the content from the offset on in frames of at
 * most `blobChunkBytes`, and ends. Both sides keep the size limit; the asker's caller verifies the digest.
 *
 * @packageDocumentation
 */
import type { Connection, Stream } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { z } from 'zod'
import type { Telemetry } from '../../actors/ports/telemetry.ts'
import { MeshError, toFault } from '../../protocols/kernel/errors.ts'
import { Digest } from '../../protocols/kernel/ids.ts'
import type { PeerId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { decodeValue, encodeValue } from '../../protocols/wire.ts'
import { explainDialError } from './dial-failures.ts'
import { frame } from './framer.ts'
import type { MeshLibp2p } from './libp2p-node.ts'
import { createSlots } from './slots.ts'
import { framesOf, writeTo } from './stream-bytes.ts'

export const blobProtocol = '/skein/blob/1'

/** Where a node takes the content from that others ask it for. */
export interface BlobSource {
  /** Undefined when this node does not have it. `read` starts at `offset` (bytes, 0 by default). */
  open(digest: Digest): Promise<{ readonly sizeBytes: number; read(offset?: number): AsyncIterable<Uint8Array> } | undefined>
}

export interface FetchBlobOptions {
  readonly sizeBytesMax?: number
  /** Skips this many bytes, to go on where an earlier transfer broke off. */
  readonly offset?: number
  readonly signal?: AbortSignal
}

export interface BlobProtocol {
  /** From now on answers from this source; until then every question is answered "not here". */
  serve(source: BlobSource): void
  /**
   * The content of a blob from one peer, in pieces. Not verified: whoever stores it checks the digest.
   *
   * @throws MeshError `unknown-blob` (the peer does not have it), `too-large`, `overloaded`, `timeout` (silence),
   *   `lost-worker` (the peer cannot be reached or the connection was lost).
   */
  fetch(peer: PeerId, digest: Digest, options?: FetchBlobOptions): AsyncIterable<Uint8Array>
  start(): Promise<void>
  stop(): Promise<void>
}

const Request = z.object({ digest: Digest, offset: z.number().int().min(0).optional() })
const Answer = z.discriminatedUnion('found', [
  z.object({ found: z.literal(true), sizeBytes: z.number().int().min(0) }),
  z.object({ found: z.literal(false), code: z.enum(['unknown-blob', 'too-large', 'overloaded', 'bad-request', 'storage-failed']), detail: z.string().max(500) }),
])
type Answer = z.infer<typeof Answer>

const requestBytesMax = 1_024
const servedAtOnce = 16
const servedWaitingMax = 256
const fetchesWaitingMax = 10_000

export interface BlobProtocolOptions {
  readonly libp2p: MeshLibp2p
  readonly telemetry: Telemetry
  readonly silenceMsMax?: number
}

export function createBlobProtocol(options: BlobProtocolOptions): BlobProtocol {
  const { libp2p, telemetry } = options
  const silenceMsMax = options.silenceMsMax ?? limits.blobFetchTimeoutMs
  const fetchSlots = createSlots(limits.blobFetchConcurrencyMax, fetchesWaitingMax)
  const serveSlots = createSlots(servedAtOnce, servedWaitingMax)
  const stopping = new AbortController()
  let source: BlobSource | undefined

  async function answer(stream: Stream): Promise<void> {
    const request = await readRequest(stream)
    const opened = await source?.open(request.digest)
    if (opened === undefined) return await reply(stream, { found: false, code: 'unknown-blob', detail: 'this node does not have it' })
    if (opened.sizeBytes > limits.blobBytesMax) {
      return await reply(stream, { found: false, code: 'too-large', detail: `${opened.sizeBytes} bytes are over the limit of ${limits.blobBytesMax}` })
    }
    const offset = Math.min(request.offset ?? 0, opened.sizeBytes)
    await reply(stream, { found: true, sizeBytes: opened.sizeBytes })
    let leftBytes = opened.sizeBytes - offset
    for await (const piece of opened.read(offset)) {
      for (let start = 0; start < piece.byteLength; start += limits.blobChunkBytes) {
        const chunk = piece.subarray(start, start + limits.blobChunkBytes)
        leftBytes -= chunk.byteLength
        if (leftBytes < 0) throw new MeshError('storage-failed', `the source gave more than the ${opened.sizeBytes} bytes it announced`)
        await writeTo(stream, frame(chunk), silenceMsMax)
      }
    }
    if (leftBytes !== 0) throw new MeshError('storage-failed', `the source ended ${leftBytes} bytes early`)
  }

  async function readRequest(stream: Stream): Promise<z.infer<typeof Request>> {
    for await (const bytes of framesOf(stream, { frameBytesMax: requestBytesMax, silenceMsMax, signal: stopping.signal, keepOpen: true })) {
      const parsed = Request.safeParse(decodeOrUndefined(bytes))
      if (!parsed.success) throw new MeshError('bad-request', 'the request for a blob is malformed')
      stream.addEventListener('message', () => undefined)
      return parsed.data
    }
    throw new MeshError('bad-request', 'the stream ended without a request')
  }

  async function reply(stream: Stream, value: Answer): Promise<void> {
    await writeTo(stream, frame(encodeValue(value)), silenceMsMax)
  }

  async function onStream(stream: Stream, connection: Connection): Promise<void> {
    let release: (() => void) | undefined
    try {
      release = await serveSlots.take(stopping.signal)
      await answer(stream)
      await stream.close({ signal: AbortSignal.timeout(silenceMsMax) })
    } catch (error) {
      const fault = toFault(error)
      telemetry.record({ name: 'blob.serve-failed', level: 'warn', fields: { peer: connection.remotePeer.toString(), code: fault.code, reason: fault.detail } })
      if (fault.code === 'overloaded' && stream.status === 'open') {
        stream.send(frame(encodeValue({ found: false, code: 'overloaded', detail: fault.detail } satisfies Answer)))
        await stream.close({ signal: AbortSignal.timeout(1_000) }).catch(() => undefined)
      }
      stream.abort(error instanceof Error ? error : new Error(String(error)))
    } finally {
      release?.()
    }
  }

  async function* fetch(peer: PeerId, digest: Digest, { sizeBytesMax = limits.blobBytesMax, offset = 0, signal }: FetchBlobOptions = {}): AsyncGenerator<Uint8Array> {
    const combined = signal === undefined ? stopping.signal : AbortSignal.any([signal, stopping.signal])
    const release = await fetchSlots.take(combined)
    let stream: Stream | undefined
    try {
      stream = await openStream(peer, combined)
      const frames = framesOf(stream, { frameBytesMax: limits.blobChunkBytes, silenceMsMax, signal: combined })
      await writeTo(stream, frame(encodeValue({ digest, offset })), silenceMsMax)
      await stream.close({ signal: combined })
      let leftBytes: number | undefined
      for await (const bytes of frames) {
        if (leftBytes === undefined) {
          leftBytes = readAnswer(bytes, peer, sizeBytesMax) - offset
          if (leftBytes < 0) throw new MeshError('bad-request', `offset ${offset} is beyond the end of the blob`)
        } else {
          leftBytes -= bytes.byteLength
          if (leftBytes < 0) throw new MeshError('bad-request', `${peer} sent more than the size it announced`)
          yield bytes
        }
      }
      if (leftBytes === undefined || leftBytes > 0) throw new MeshError('lost-worker', `the transfer from ${peer} ended early`)
    } catch (error) {
      if (error instanceof MeshError || signal?.aborted) throw error
      throw new MeshError('lost-worker', `the transfer from ${peer} broke off: ${explainDialError(error).reason}`)
    } finally {
      release()
      stream?.abort(new Error('the transfer is over'))
    }
  }

  async function openStream(peer: PeerId, signal: AbortSignal): Promise<Stream> {
    const opening = AbortSignal.any([signal, AbortSignal.timeout(silenceMsMax)])
    try {
      return await libp2p.dialProtocol(peerIdFromString(peer), blobProtocol, { signal: opening, maxOutboundStreams: 64 })
    } catch (error) {
      signal.throwIfAborted()
      throw new MeshError('lost-worker', `${peer} cannot be asked for the blob: ${explainDialError(error).reason}`)
    }
  }

  return {
    serve(next) {
      source = next
    },
    fetch,
    start: () => libp2p.handle(blobProtocol, (stream, connection) => void onStream(stream, connection), { maxInboundStreams: 512, maxOutboundStreams: 64 }),
    async stop() {
      stopping.abort(new MeshError('cancelled', 'this node is stopping'))
      await libp2p.unhandle(blobProtocol)
    },
  }
}

/** @returns the size of the whole blob. */
function readAnswer(bytes: Uint8Array, peer: PeerId, sizeBytesMax: number): number {
  const parsed = Answer.safeParse(decodeOrUndefined(bytes))
  if (!parsed.success) throw new MeshError('bad-request', `${peer} answered with something unreadable`)
  if (!parsed.data.found) throw new MeshError(parsed.data.code, `${peer}: ${parsed.data.detail}`)
  if (parsed.data.sizeBytes > sizeBytesMax) throw new MeshError('too-large', `the blob of ${parsed.data.sizeBytes} bytes is over the limit of ${sizeBytesMax}`)
  return parsed.data.sizeBytes
}

function decodeOrUndefined(bytes: Uint8Array): unknown {
  try {
    return decodeValue(bytes)
  } catch {
    return undefined
  }
}
