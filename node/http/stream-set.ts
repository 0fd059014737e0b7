import { fault } from '../../protocols/kernel/errors.ts'
import type { NodeMetrics } from '../telemetry/metrics.ts'
import type { BridgeLimits } from './bridge-limits.ts'
import { HttpFault } from './problem.ts'
import type { BridgeContext } from './route-table.ts'
import { openSseStream } from './sse-stream.ts'
import type { SseStream } from './sse-stream.ts'

/** The open streams of a bridge: bounded in number, ended together when the bridge stops. */
export interface StreamSet {
  /** @throws HttpFault 429 when the bridge has as many as it can. */
  open(c: BridgeContext): SseStream
  /**
   * Opens one that no client can go on with elsewhere (`SseInit.resumable`).
   * @param stopping is called when the bridge stops, and ends it.
   * @throws as `open`.
   */
  openOnce(c: BridgeContext, stopping: () => void): SseStream
  /** Ends every stream with a comment; none can be opened afterwards. */
  endAll(comment: string): void
}

export function createStreamSet(limits: BridgeLimits, metrics: NodeMetrics): StreamSet {
  /** Each with what ends it. */
  const streams = new Map<SseStream, (comment: string) => void>()
  let ending = false

  function opened(c: BridgeContext, stopping?: () => void): SseStream {
    if (ending || streams.size >= limits.streamsMax) {
      const why = ending ? 'this bridge is stopping' : `this bridge already serves ${streams.size} streams`
      throw new HttpFault(fault('overloaded', why, { next: 'use another bridge of the mesh, or come back later', retryAfterMs: 5_000 }))
    }
    const stream = openSseStream({ ...limits, queueBytesMax: limits.streamQueueBytesMax, outgoing: c.env.outgoing, resumable: stopping === undefined })
    streams.set(stream, stopping ?? ((comment) => stream.end(comment)))
    metrics.streams(1)
    stream.onClosed(() => {
      streams.delete(stream)
      metrics.streams(-1)
    })
    return stream
  }

  return {
    open: (c) => opened(c),
    openOnce: opened,
    endAll(comment) {
      ending = true
      for (const end of [...streams.values()]) end(comment)
    },
  }
}
