/**
 * yamux 8.0.3, but for two of its habits.
 *
 * It opens a stream by a window update that it sends in a microtask of its own, where nobody can catch what that
 * throws: a connection that closes in between (its peer was killed) ends the process with `StreamStateError`. Here such a
 * stream is aborted, as one on a closed connection would be.
 *
 * And it answers every frame of data with a window update, which is a message of its own, ciphered and written by itself.
 * Here, as in other implementations, the window is opened again when half of it is used up.
 *
 * @packageDocumentation
 */
import type { StreamMuxer, StreamMuxerFactory } from '@libp2p/interface'
import { yamux, type YamuxMuxerInit } from '@libp2p/yamux'

interface YamuxStream {
  /** How much the other side may send in all, and from now on, before it hears of more. */
  readonly recvWindow: number
  readonly recvWindowCapacity: number
  sendWindowUpdate(): void
  abort(error: Error): void
}

/** What makes both the streams that are opened here and those that the other side opens. */
interface MakesStreams {
  _newStream(...about: readonly unknown[]): YamuxStream
}

export function guardedYamux(init: YamuxMuxerInit): () => StreamMuxerFactory {
  const create = yamux(init)
  return () => {
    const factory = create()
    return {
      ...factory,
      protocol: factory.protocol,
      createStreamMuxer: (connection) => guarded(factory.createStreamMuxer(connection)),
    }
  }
}

function guarded(muxer: StreamMuxer): StreamMuxer {
  const makes = muxer as unknown as MakesStreams
  const newStream = makes._newStream.bind(makes)
  makes._newStream = (...about) => {
    const stream = newStream(...about)
    const sendWindowUpdate = stream.sendWindowUpdate.bind(stream)
    let isOpened = false
    stream.sendWindowUpdate = () => {
      // The first one opens the stream, or accepts it, whatever it says of the window.
      if (isOpened && stream.recvWindowCapacity > stream.recvWindow / 2) return
      isOpened = true
      try {
        sendWindowUpdate()
      } catch (thrown) {
        stream.abort(thrown instanceof Error ? thrown : new Error(String(thrown)))
      }
    }
    return stream
  }
  return muxer
}
