/**
 * The receiving half of a stream: bytes → frames → checked envelopes, without stalling the node's loop.
 *
 * @packageDocumentation
 */
import type { Stream } from '@libp2p/interface'
import { toFault } from '../../protocols/kernel/errors.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { decodeFrame } from '../../protocols/wire.ts'
import type { Envelope } from '../../protocols/wire.ts'
import { createFrameReader } from './framer.ts'

/** Decoding goes on for this long before the loop gets its turn. */
const decodeBudgetMs = 8

/**
 * Reads a stream until it ends. The first thing that is not a legal frame aborts the stream and is told once to `onOffence`.
 * While decoding is behind, the stream is paused, so that the sender feels it.
 */
export function readFrames(stream: Stream, onEnvelope: (envelope: Envelope) => void, onOffence: (reason: string) => void): void {
  const reader = createFrameReader(limits.frameBytesMax)
  let pending: Uint8Array[] = []
  let over = false
  let resting = false

  function offend(error: unknown): void {
    over = true
    pending = []
    const reason = toFault(error, 'bad-request').detail
    stream.abort(new Error(reason))
    onOffence(reason)
  }

  function decodePending(): void {
    resting = false
    const startedMs = performance.now()
    let next = 0
    while (next < pending.length && !over) {
      if (next > 0 && performance.now() - startedMs > decodeBudgetMs) {
        pending = pending.slice(next)
        resting = true
        if (stream.status === 'open') stream.pause()
        setImmediate(decodePending)
        return
      }
      const bytes = pending[next++]
      if (bytes === undefined) break
      let envelopes: Envelope[]
      try {
        envelopes = decodeFrame(bytes)
      } catch (error) {
        return offend(error)
      }
      for (const envelope of envelopes) onEnvelope(envelope)
    }
    pending = []
    if (!over && stream.status === 'open') stream.resume()
  }

  stream.addEventListener('message', ({ data }) => {
    if (over) return
    try {
      pending.push(...reader.push(data))
    } catch (error) {
      return offend(error)
    }
    if (!resting) decodePending()
  })
  stream.addEventListener('remoteCloseWrite', () => {
    stream.close().catch(() => stream.abort(new Error('could not be closed')))
  })
}
