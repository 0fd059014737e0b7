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
  /**
   * Whether a client can go on with it on another connection; default yes. Of one that cannot, nothing is written before the first message or
   * sign of life, so that until then the answer can still be an error.
   */
  readonly resumable?: boolean
}

export interface SseStream {
  readonly response: Response
  send(message: SseMessage): void
  /** Sends a message whose data is this one line as it stands. */
  sendLine(line: string): void
  /** The queue has reached its maximum: send nothing more until `onDrained`. What is sent nevertheless is dropped. */
  full(): boolean
  /** Calls the listener once, when everything queued has been taken by the client. */
  onDrained(listener: () => void): void
  /** Sends what is queued, however much that is, a last message and a last comment, then ends. No effect on an ended stream. */
  end(comment?: string, last?: SseMessage): void
  /** Leaves the answer to others, if nothing of it was written yet. @returns whether that is so. */
  withdraw(): boolean
  /** Calls the listener once, when the stream is over for whatever reason; at once when it is over already. */
  onClosed(listener: () => void): void
}

const headers = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store', 'x-accel-buffering': 'no' }

export function openSseStream({ queueBytesMax, heartbeatMs, stallMs, outgoing, resumable = true }: SseInit): SseStream {
  /** The first bytes send the head of the answer on its way. */
  let queue = resumable ? 'retry: 1000\n\n' : ''
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

  function full(): boolean {
    return queuedBytes + outgoing.writableLength >= queueBytesMax
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
    writeHead()
    if (outgoing.write(text)) tellDrained()
    else {
      blocked = true
      stallTimer ??= setTimeout(drop, stallMs).unref()
    }
  }

  function writeHead(): void {
    if (!outgoing.headersSent) outgoing.writeHead(200, headers)
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
    end(`too slow: nothing was read for too long${resumable ? '; reconnect with Last-Event-ID' : ''}`)
  }

  function end(comment?: string, last?: SseMessage): void {
    if (ended) return
    ended = true
    clearInterval(heartbeat)
    clearTimeout(stallTimer)
    // What is left reaches a client that wakes up; one that does not holds its socket no longer than this.
    const release = setTimeout(() => outgoing.destroy(), stallMs).unref()
    outgoing.once('close', () => clearTimeout(release))
    writeHead()
    outgoing.end(`${queue}${last === undefined ? '' : textOf(last)}${comment === undefined ? '' : `: ${oneLine(comment)}\n\n`}`)
    queue = ''
    notifyClosed()
  }

  /** The client has gone, or has everything, or gets another answer. */
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

  if (resumable) {
    writeHead()
    planFlush()
  }
  // A client that went before it was answered is not heard of again.
  if (outgoing.destroyed) setImmediate(close)
  return {
    response: written(200),
    send(message) {
      if (!full()) enqueue(textOf(message))
    },
    sendLine(line) {
      if (!full()) enqueue(`data: ${oneLine(line)}\n\n`)
    },
    full,
    onDrained(listener) {
      drainedListener = listener
      if (queue === '' && !blocked) tellDrained()
    },
    end,
    withdraw() {
      if (outgoing.headersSent) return false
      close()
      return true
    },
    onClosed(listener) {
      if (closed) listener()
      else closedListeners.push(listener)
    },
  }
}

function textOf({ event, id, data }: SseMessage): string {
  return `${event === undefined ? '' : `event: ${event}\n`}${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`
}

function oneLine(text: string): string {
  return text.replace(/[\r\n]+/g, ' ')
}
