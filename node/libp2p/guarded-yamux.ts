/**
 * yamux 8.0.3 opens a stream by a window update that it sends in a microtask of its own, where nobody can catch what that
 * throws: a connection that closes in between (its peer was killed) ends the process with `StreamStateError`. Here such a
 * stream is aborted, as one on a closed connection would be.
 *
 * @packageDocumentation
 */
import type { StreamMuxer, StreamMuxerFactory } from '@libp2p/interface'
import { yamux, type YamuxMuxerInit } from '@libp2p/yamux'

interface OpensStreams {
  onCreateStream(options: unknown): { sendWindowUpdate(): void; abort(error: Error): void }
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
  const opens = muxer as unknown as OpensStreams
  const onCreateStream = opens.onCreateStream.bind(opens)
  opens.onCreateStream = (options) => {
    const stream = onCreateStream(options)
    const sendWindowUpdate = stream.sendWindowUpdate.bind(stream)
    stream.sendWindowUpdate = () => {
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
