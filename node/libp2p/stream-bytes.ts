/**
 * Reading and writing a libp2p 3 stream in order, with back-pressure both ways and a limit on silence.
 *
 * @packageDocumentation
 */
import type { Stream } from '@libp2p/interface'
import { MeshError } from '../../protocols/kernel/errors.ts'
import { createFrameReader } from './framer.ts'

/** The stream is paused while this much waits to be consumed. */
const pauseAtBytes = 1024 * 1024

export interface FramesOptions {
  readonly frameBytesMax: number
  /** How long the other side may say nothing. */
  readonly silenceMsMax: number
  readonly signal?: AbortSignal
  /** Leaves the stream open when the consumer stops early, to write the answer; it is aborted otherwise. */
  readonly keepOpen?: boolean
}

/**
 * The frames of a stream, one after the other; ends when the other side has ended its writing.
 * The stream is paused while the consumer is behind. Listening begins at once, not with the first `next()`: libp2p drops
 * what is unread when a stream is closed.
 *
 * @throws MeshError `timeout` after `silenceMsMax` without a byte, `too-large` for an oversized frame, `lost-worker` when the stream
 *   ends in the middle of one, as it does when the other side stops; what aborted the stream or the signal otherwise.
 */
export function framesOf(stream: Stream, options: FramesOptions): AsyncGenerator<Uint8Array> {
  const reader = createFrameReader(options.frameBytesMax)
  const frames: Uint8Array[] = []
  let bufferedBytes = 0
  let failure: Error | undefined
  let ended = false
  let wake: (() => void) | undefined
  let silence: NodeJS.Timeout | undefined

  function settle(error?: Error): void {
    if (error === undefined) ended = true
    else failure ??= error
    wake?.()
  }
  function onSilence(): void {
    settle(new MeshError('timeout', `nothing arrived for ${options.silenceMsMax} ms`))
  }
  function onMessage({ data }: { readonly data: Parameters<typeof reader.push>[0] }): void {
    silence?.refresh()
    if (failure !== undefined) return
    try {
      for (const bytes of reader.push(data)) {
        frames.push(bytes)
        bufferedBytes += bytes.byteLength
      }
    } catch (error) {
      settle(error instanceof Error ? error : new Error(String(error)))
    }
    if (bufferedBytes > pauseAtBytes && stream.readStatus === 'readable') stream.pause()
    wake?.()
  }
  function onAbort(): void {
    const reason: unknown = options.signal?.reason
    settle(reason instanceof Error ? reason : new Error('aborted'))
  }

  const onEnd = (): void => settle()
  // A stream that was closed while it was paused still has something to read; `end` follows when that is read.
  const onClose = (event: { readonly error?: Error }): void => {
    if (event.error !== undefined || stream.readableEnded) settle(event.error)
  }
  stream.addEventListener('message', onMessage)
  stream.addEventListener('end', onEnd)
  stream.addEventListener('close', onClose)
  options.signal?.addEventListener('abort', onAbort)
  if (options.signal?.aborted) onAbort()
  // Everything may have arrived and ended before anybody listened.
  if (stream.readableEnded) ended = true

  async function* read(): AsyncGenerator<Uint8Array> {
    try {
      silence = setTimeout(onSilence, options.silenceMsMax)
      while (true) {
        const next = frames.shift()
        if (next !== undefined) {
          bufferedBytes -= next.byteLength
          if (bufferedBytes <= pauseAtBytes / 2 && stream.readStatus === 'paused') stream.resume()
          // While the consumer works the silence is its own.
          clearTimeout(silence)
          silence = undefined
          yield next
          silence = setTimeout(onSilence, options.silenceMsMax)
          continue
        }
        if (failure !== undefined) throw failure
        if (ended) {
          if (reader.bufferedBytes > 0) throw new MeshError('lost-worker', 'the stream ended in the middle of a frame')
          return
        }
        await new Promise<void>((resolve) => {
          wake = resolve
        })
        wake = undefined
      }
    } finally {
      clearTimeout(silence)
      stream.removeEventListener('message', onMessage)
      stream.removeEventListener('end', onEnd)
      stream.removeEventListener('close', onClose)
      options.signal?.removeEventListener('abort', onAbort)
      if (!ended && (failure !== undefined || options.keepOpen !== true)) stream.abort(failure ?? new Error('no longer wanted'))
    }
  }
  return read()
}

/**
 * Writes to a stream; resolves when more may be written.
 *
 * @throws MeshError `timeout` when the other side takes nothing for `silenceMsMax`.
 */
export async function writeTo(stream: Stream, bytes: Parameters<Stream['send']>[0], silenceMsMax: number): Promise<void> {
  if (stream.status !== 'open') throw new Error(`the stream is ${stream.status}`)
  if (stream.send(bytes)) return
  // `stream.onDrain()` works only once per stream in this version of libp2p; the event works always.
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => done(new MeshError('timeout', `the other side took nothing for ${silenceMsMax} ms`)), silenceMsMax)
    const onDrain = (): void => done()
    const onClose = (event: { readonly error?: Error }): void => done(event.error ?? new Error('the stream was closed'))
    function done(error?: Error): void {
      clearTimeout(timer)
      stream.removeEventListener('drain', onDrain)
      stream.removeEventListener('close', onClose)
      if (error === undefined) resolve()
      else reject(error)
    }
    stream.addEventListener('drain', onDrain)
    stream.addEventListener('close', onClose)
  })
}
