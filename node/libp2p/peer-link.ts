/**
 * The sending half to one peer: a bounded queue in front of one long-lived stream that only this node writes to.
 *
 * What is sent in one tick leaves together, in frames of at most `frameCoalesceBytes` or `frameMessagesMax` messages.
 * When the stream is full the queue grows to its bound and then refuses. When the stream is lost, what still waits is
 * reported as undelivered: nothing is sent twice.
 *
 * @packageDocumentation
 */
import type { Stream } from '@libp2p/interface'
import { limits } from '../../protocols/kernel/limits.ts'
import type { Envelope } from '../../protocols/wire.ts'
import { encodeEnvelope, frameHeaderBytesMax, frameParts } from './frame-batch.ts'
import { frame } from './framer.ts'

export interface PeerLinkOptions {
  /** Finds or dials a connection and opens the stream. Rejects with a reason for people. */
  openStream(): Promise<Stream>
  onOpen(): void
  onUndelivered(envelope: Envelope, reason: string): void
  readonly queueBytesMax?: number
}

export interface PeerLink {
  /** Never throws. */
  send(envelope: Envelope): void
  /** Opens the stream now rather than with the first message. */
  open(): void
  /** Drops the stream and reports what waits. The link can be used again. */
  reset(reason: string): void
  /** Sends what waits, as far as the stream takes it within `timeoutMs`, and ends the stream. The link is spent. */
  close(timeoutMs: number): Promise<void>
  readonly queuedBytes: number
}

interface Waiting {
  readonly envelope: Envelope
  readonly bytes: Uint8Array
}

/** After a failed attempt to open, sends are refused at once for this long: a dead peer costs one dial, not one per message. */
const reopenDelayMs = 200
const compactAt = 16_384

export function createPeerLink(options: PeerLinkOptions): PeerLink {
  const queueBytesMax = options.queueBytesMax ?? limits.peerQueueBytesMax
  let queue: Waiting[] = []
  /** Where the queue begins; what lies before it has been sent and is cut off now and then. */
  let head = 0
  let queuedBytes = 0
  let stream: Stream | undefined
  let opening = false
  let flushScheduled = false
  let refuseUntilMs = 0
  let lastReason = ''
  let closed = false
  /** Counts resets, so that a stream that opens after one is not taken for the current one. */
  let generation = 0

  function refuse(envelope: Envelope, reason: string): void {
    setImmediate(() => options.onUndelivered(envelope, reason))
  }

  function failAll(reason: string): void {
    const failed = queue.slice(head)
    queue = []
    head = 0
    queuedBytes = 0
    for (const { envelope } of failed) refuse(envelope, reason)
  }

  function scheduleFlush(): void {
    if (flushScheduled) return
    flushScheduled = true
    setImmediate(() => {
      flushScheduled = false
      flush()
    })
  }

  function flush(): void {
    if (head === queue.length) return
    if (stream === undefined) return void open()
    while (head < queue.length && !stream.writableNeedsDrain) {
      const batch = nextBatch()
      try {
        stream.send(frame(...frameParts(batch.map(({ bytes }) => bytes))))
      } catch (error) {
        for (const { envelope } of batch) refuse(envelope, `the stream was lost: ${reasonOf(error)}`)
        lose('the stream was lost')
        return
      }
    }
  }

  function nextBatch(): Waiting[] {
    const batch: Waiting[] = []
    let sizeBytes = frameHeaderBytesMax
    for (let waiting = queue[head]; waiting !== undefined && batch.length < limits.frameMessagesMax; waiting = queue[head]) {
      if (batch.length > 0 && sizeBytes + waiting.bytes.byteLength > limits.frameCoalesceBytes) break
      batch.push(waiting)
      sizeBytes += waiting.bytes.byteLength
      queuedBytes -= waiting.bytes.byteLength
      head++
    }
    if (head === queue.length || head > compactAt) {
      queue = queue.slice(head)
      head = 0
    }
    return batch
  }

  function lose(reason: string): void {
    const lost = stream
    stream = undefined
    generation++
    opening = false
    if (lost?.status === 'open') lost.abort(new Error(reason))
    failAll(reason)
  }

  function open(): void {
    if (stream !== undefined || opening || closed) return
    opening = true
    const mine = generation
    options.openStream().then(
      (opened) => {
        if (mine !== generation || closed) return opened.abort(new Error('no longer wanted'))
        opening = false
        stream = opened
        // The other side says nothing on this stream; what it sends is dropped instead of piling up.
        opened.addEventListener('message', () => undefined)
        opened.addEventListener('drain', scheduleFlush)
        opened.addEventListener('close', () => {
          if (stream === opened) lose('the connection was lost')
        })
        if (opened.status !== 'open') return lose('the connection was lost')
        options.onOpen()
        scheduleFlush()
      },
      (error: unknown) => {
        if (mine !== generation || closed) return
        opening = false
        lastReason = reasonOf(error)
        refuseUntilMs = performance.now() + reopenDelayMs
        failAll(lastReason)
      },
    )
  }

  return {
    send(envelope) {
      if (closed) return refuse(envelope, 'this node is stopping')
      if (stream === undefined && !opening && performance.now() < refuseUntilMs) return refuse(envelope, lastReason)
      let bytes: Uint8Array
      try {
        bytes = encodeEnvelope(envelope)
      } catch (error) {
        return refuse(envelope, `the message cannot be encoded: ${reasonOf(error)}`)
      }
      if (bytes.byteLength + frameHeaderBytesMax > limits.frameBytesMax) return refuse(envelope, `the message of ${bytes.byteLength} bytes is over the limit of ${limits.frameBytesMax}`)
      if (queuedBytes + bytes.byteLength > queueBytesMax) return refuse(envelope, 'queue full')
      queue.push({ envelope, bytes })
      queuedBytes += bytes.byteLength
      scheduleFlush()
    },
    open,
    reset(reason) {
      lose(reason)
    },
    async close(timeoutMs) {
      const deadlineMs = performance.now() + timeoutMs
      flush()
      while ((opening || stream !== undefined) && (head < queue.length || (stream?.writeBufferLength ?? 0) > 0) && performance.now() < deadlineMs) {
        await new Promise((resolve) => setTimeout(resolve, 5))
        flush()
      }
      closed = true
      const last = stream
      stream = undefined
      generation++
      failAll('this node is stopping')
      await last?.close({ signal: AbortSignal.timeout(500) }).catch((error: unknown) => last.abort(error instanceof Error ? error : new Error(String(error))))
    },
    get queuedBytes() {
      return queuedBytes
    },
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
