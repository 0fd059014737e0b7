/**
 * Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) with a bounded queue.
 *
 * What is sent waits in a queue until the client has read what came before. A sender asks `full` and stops;
 * `onDrained` tells when to go on. A client that reads nothing for `stallMs` while something waits is dropped.
 */
import type { ServerResponse } from 'node:http'

export interface SseMessage {
  readonly event?: string
  /** Becomes the client's `Last-Event-ID`. */
  readonly id?: number
  /** Written as one line of JSON. */
  readonly data: unknown
}

export interface SseInit {
  readonly queueBytesMax: number
  readonly heartbeatMs: number
  readonly stallMs: number
  readonly outgoing: ServerResponse
}

export interface SseStream {
  readonly response: Response
  send(message: SseMessage): void
  /** The queue has reached its maximum: send nothing more until `onDrained`. What is sent nevertheless is dropped. */
  full(): boolean
  /** Calls the listener once, when everything queued has been taken by the client. */
  onDrained(listener: () => void): void
  /** Sends what is queued and a last comment, then ends. No effect on an ended stream. */
  end(comment?: string): void
  /** Calls the listener once, when the stream is over for whatever reason; at once when it is over already. */
  onClosed(listener: () => void): void
}

const encoder = new TextEncoder()

export function openSseStream({ queueBytesMax, heartbeatMs, stallMs, outgoing }: SseInit): SseStream {
  let queue: Uint8Array[] = []
  let queuedBytes = 0
  let wanted: ReadableStreamDefaultController<Uint8Array> | undefined
  let taken: (() => void) | undefined
  let ended = false
  let closed = false
  let stallTimer: NodeJS.Timeout | undefined
  let drainedListener: (() => void) | undefined
  const closedListeners: (() => void)[] = []
  const heartbeat = setInterval(() => {
    // A client that already has something to read needs no sign of life.
    if (queue.length === 0) enqueue(': still here\n\n')
  }, heartbeatMs).unref()

  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (queue.length > 0 || ended) {
        give(controller)
        return undefined
      }
      wanted = controller
      return new Promise<void>((resolve) => {
        taken = resolve
      })
    },
    cancel: close,
  }, { highWaterMark: 0 })

  function enqueue(text: string): void {
    if (ended) return
    const bytes = encoder.encode(text)
    queue.push(bytes)
    queuedBytes += bytes.byteLength
    flush()
    if (queue.length > 0) stallTimer ??= setTimeout(drop, stallMs).unref()
  }

  function flush(): void {
    const controller = wanted
    if (controller === undefined) return
    wanted = undefined
    give(controller)
    taken?.()
    taken = undefined
  }

  function give(controller: ReadableStreamDefaultController<Uint8Array>): void {
    clearTimeout(stallTimer)
    stallTimer = undefined
    if (queue.length > 0) {
      controller.enqueue(Buffer.concat(queue))
      queue = []
      queuedBytes = 0
    }
    if (ended) {
      controller.close()
      close()
      return
    }
    const listener = drainedListener
    drainedListener = undefined
    // Not now: the listener may send, and this pull is not over.
    if (listener !== undefined) setImmediate(listener)
  }

  function drop(): void {
    stallTimer = undefined
    queue = []
    queuedBytes = 0
    end('too slow: nothing was read for too long; reconnect with Last-Event-ID')
  }

  function end(comment?: string): void {
    if (ended) return
    if (comment !== undefined) queue.push(encoder.encode(`: ${oneLine(comment)}\n\n`))
    ended = true
    clearInterval(heartbeat)
    clearTimeout(stallTimer)
    // What is left reaches a client that wakes up; one that does not holds its socket no longer than this.
    const release = setTimeout(() => outgoing.destroy(), stallMs).unref()
    outgoing.once('close', () => clearTimeout(release))
    notifyClosed()
    flush()
  }

  function close(): void {
    ended = true
    queue = []
    clearInterval(heartbeat)
    clearTimeout(stallTimer)
    taken?.()
    notifyClosed()
  }

  function notifyClosed(): void {
    if (closed) return
    closed = true
    for (const listener of closedListeners.splice(0)) listener()
  }

  // The first bytes send the head of the answer on its way.
  enqueue('retry: 1000\n\n')
  return {
    response: new Response(body, { headers: { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store', 'x-accel-buffering': 'no' } }),
    send({ event, id, data }) {
      if (queuedBytes >= queueBytesMax) return
      enqueue(`${event === undefined ? '' : `event: ${event}\n`}${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`)
    },
    full: () => queuedBytes >= queueBytesMax,
    onDrained(listener) {
      drainedListener = listener
      if (queue.length === 0 && !ended) setImmediate(() => {
        if (drainedListener !== listener) return
        drainedListener = undefined
        listener()
      })
    },
    end,
    onClosed(listener) {
      if (closed) listener()
      else closedListeners.push(listener)
    },
  }
}

function oneLine(text: string): string {
  return text.replace(/[\r\n]+/g, ' ')
}
