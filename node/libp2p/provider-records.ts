/**
 * Tells one peer of many provider records of this node, over one stream of kad-dht's protocol.
 *
 * kad-dht itself opens a stream to each peer for each record, after another to each for asking who is closest to the key. Where every peer is among the closest
 * to every key that question has one answer, and its listener takes as many messages from one stream as are sent.
 *
 * @packageDocumentation
 */
import type { Connection, Stream } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { varint } from 'multiformats'
import type { CID } from 'multiformats/cid'

/** Field numbers and kinds of libp2p's DHT messages (github.com/libp2p/specs, kad-dht), as protobuf writes them. */
const tags = { type: 8, key: 18, providers: 74, peerId: 10, peerAddr: 18 } as const
const types = { addProvider: 2, ping: 5 } as const

/** Records that are sent before the peer is asked whether it has them: it stores each of them apart. */
export const recordsPerBatch = 32

export interface TellOptions {
  /** kad-dht's. */
  readonly protocol: string
  readonly peerId: { toMultihash(): { readonly bytes: Uint8Array } }
  readonly addrs: readonly Multiaddr[]
  readonly signal: AbortSignal
  /** The peer has so many more of them, in their order. */
  readonly onTold: (count: number) => void
  /** Between two batches. */
  readonly rest: () => Promise<void>
}

/** Resolves when the peer has them all. @throws what opening the stream throws, or an Error when it ends early. */
export async function tellOfProviding(connection: Pick<Connection, 'newStream'>, cids: readonly CID[], options: TellOptions): Promise<void> {
  const { signal } = options
  const stream = await connection.newStream(options.protocol, { signal, maxOutboundStreams: 64 })
  try {
    const provider = bytesOf(lengthDelimited(tags.peerId, options.peerId.toMultihash().bytes), ...options.addrs.map((addr) => lengthDelimited(tags.peerAddr, addr.bytes)))
    for (let first = 0; first < cids.length; first += recordsPerBatch) {
      if (first > 0) await options.rest()
      const batch = cids.slice(first, first + recordsPerBatch)
      // Records are not answered; a ping behind them is, when they are stored. Before that the stream must not end: the listener reads no further then.
      const answered = nextMessage(stream, signal)
      stream.send(bytesOf(...batch.map((cid) => message(types.addProvider, lengthDelimited(tags.key, cid.multihash.bytes), lengthDelimited(tags.providers, provider))), message(types.ping)))
      await answered
      options.onTold(batch.length)
    }
    await stream.close({ signal })
  } catch (thrown) {
    stream.abort(thrown instanceof Error ? thrown : new Error(String(thrown)))
    throw thrown
  }
}

function nextMessage(stream: Stream, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error): void => {
      stream.removeEventListener('message', onMessage)
      stream.removeEventListener('close', onClose)
      signal.removeEventListener('abort', onAbort)
      if (error === undefined) resolve()
      else reject(error)
    }
    const onMessage = (): void => settle()
    const onClose = (): void => settle(new Error('the peer ended the stream'))
    const onAbort = (): void => settle(signal.reason instanceof Error ? signal.reason : new Error('not told in time'))
    stream.addEventListener('message', onMessage)
    stream.addEventListener('close', onClose)
    signal.addEventListener('abort', onAbort)
    if (signal.aborted) onAbort()
  })
}

function message(type: number, ...fields: readonly Uint8Array[]): Uint8Array {
  const body = bytesOf(number(tags.type), number(type), ...fields)
  return bytesOf(number(body.byteLength), body)
}

function lengthDelimited(tag: number, content: Uint8Array): Uint8Array {
  return bytesOf(number(tag), number(content.byteLength), content)
}

function number(value: number): Uint8Array {
  return varint.encodeTo(value, new Uint8Array(varint.encodingLength(value)))
}

function bytesOf(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}
