/**
 * Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) with a bounded queue.
 *
 * What is sent in one turn of the loop is written together. When the client reads more slowly than that, the rest waits
 * here: a sender asks `full` and stops; `onDrained` tells when to go on. A client that reads nothing for `stallMs` while
 * something waits is dropped.
 */
import type { ServerResponse } from 'node:http'
import { written } from './answer.ts'

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

const headers = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store', 'x-accel-buffering': 'no' }

export function openSseStream({ queueBytesMax, heartbeatMs, stallMs, outgoing }: SseInit): SseStream {
  /** The first bytes send the head of the answer on its way. */
  let queue = 'retry: 1000\n\n'
  let queuedBytes = queue.length
  /** The socket has taken as much as it will for now. */
  let blocked = false
  let flushPlanned = false
  let ended = false
  let closed = false
  let stallTimer: NodeJS.Timeout | undefined
  let drainedListener: (() => void) | undefined
  const closedListeners: (() => void)[] = []
  const heartbeat = setInterval(() => {
    // A client that already has something to read needs no sign of life.
    if (queue === '' && !blocked) enqueue(': still here\n\n')
  }, heartbeatMs).unref()

  function enqueue(text: string): void {
    if (ended) return
    queue += text
    queuedBytes += Buffer.byteLength(text)
    planFlush()
  }

  function planFlush(): void {
    if (flushPlanned || blocked) return
    flushPlanned = true
    process.nextTick(flush)
  }

  function flush(): void {
    flushPlanned = false
    if (ended || closed || blocked || queue === '') return
    const text = queue
    queue = ''
    queuedBytes = 0
    if (outgoing.write(text)) tellDrained()
    else {
      blocked = true
      stallTimer ??= setTimeout(drop, stallMs).unref()
    }
  }

  outgoing.on('drain', () => {
    blocked = false
    clearTimeout(stallTimer)
    stallTimer = undefined
    if (queue === '') tellDrained()
    else flush()
  })
  outgoing.once('close', close)

  function tellDrained(): void {
    const listener = drainedListener
    if (listener === undefined || ended) return
    drainedListener = undefined
    // Not now: the listener may send. By then the stream may be over.
    setImmediate(() => {
      if (!ended) listener()
    })
  }

  function drop(): void {
    stallTimer = undefined
    queue = ''
    queuedBytes = 0
    end('too slow: nothing was read for too long; reconnect with Last-Event-ID')
  }

  function end(comment?: string): void {
    if (ended) return
    ended = true
    clearInterval(heartbeat)
    clearTimeout(stallTimer)
    // What is left reaches a client that wakes up; one that does not holds its socket no longer than this.
    const release = setTimeout(() => outgoing.destroy(), stallMs).unref()
    outgoing.once('close', () => clearTimeout(release))
    outgoing.end(comment === undefined ? queue : `${queue}: ${oneLine(comment)}\n\n`)
    queue = ''
    notifyClosed()
  }

  /** The client has gone, or has everything. */
  function close(): void {
    ended = true
    queue = ''
    clearInterval(heartbeat)
    clearTimeout(stallTimer)
    notifyClosed()
  }

  function notifyClosed(): void {
    if (closed) return
    closed = true
    for (const listener of closedListeners.splice(0)) listener()
  }

  outgoing.writeHead(200, headers)
  planFlush()
  // A client that went before it was answered is not heard of again.
  if (outgoing.destroyed) setImmediate(close)
  return {
    response: written(200),
    send({ event, id, data }) {
      if (queuedBytes + outgoing.writableLength >= queueBytesMax) return
      enqueue(`${event === undefined ? '' : `event: ${event}\n`}${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`)
    },
    full: () => queuedBytes + outgoing.writableLength >= queueBytesMax,
    onDrained(listener) {
      drainedListener = listener
      if (queue === '' && !blocked) tellDrained()
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
