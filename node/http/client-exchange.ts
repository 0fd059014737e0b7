/**
 * One exchange over HTTP/1.1 on a connection that is kept for the next one. Node's own client: `fetch` takes about twice the
 * processor time of it, most of it for objects of the web that nobody looks at here.
 */
import { Agent, request as requestHttp, type IncomingMessage } from 'node:http'
import { Agent as SecureAgent, request as requestHttps } from 'node:https'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

export interface Exchange {
  readonly method: string
  readonly target: URL
  readonly headers: Readonly<Record<string, string>>
  readonly content: string | Uint8Array | AsyncIterable<Uint8Array> | undefined
  readonly signal: AbortSignal | undefined
  /** Until the head of the answer; Infinity: for ever. */
  readonly timeoutMs: number
}

/** The head of an answer; its body is what can be read from it. */
export interface BridgeAnswer {
  readonly status: number
  /** @param name in lower case. */
  header(name: string): string | undefined
  text(): Promise<string>
  readonly body: Readable
}

/** No head came in time. */
export class NoHeadInTime extends Error {}

/** Idle connections keep no process alive. */
const plain = new Agent({ keepAlive: true, maxFreeSockets: 64 })
const secure = new SecureAgent({ keepAlive: true, maxFreeSockets: 64 })

/** @throws what Node says of the connection, NoHeadInTime, or the signal's reason. What goes wrong later, the body says. */
export function exchange({ method, target, headers, content, signal, timeoutMs }: Exchange): Promise<BridgeAnswer> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(aborted(signal))
    const isWhole = typeof content === 'string' || content instanceof Uint8Array
    const options = { method, headers: { ...headers, ...(isWhole ? { 'content-length': Buffer.byteLength(content) } : {}) } }
    const asked = target.protocol === 'https:' ? requestHttps(target, { ...options, agent: secure }) : requestHttp(target, { ...options, agent: plain })
    const late = Number.isFinite(timeoutMs) ? setTimeout(() => asked.destroy(new NoHeadInTime()), timeoutMs) : undefined
    const whenAborted = (): void => void asked.destroy(aborted(signal as AbortSignal))
    const forget = (): void => signal?.removeEventListener('abort', whenAborted)
    signal?.addEventListener('abort', whenAborted, { once: true })
    asked.on('response', (incoming) => {
      clearTimeout(late)
      incoming.once('close', forget)
      // Whoever reads hears of it; nobody may be reading.
      incoming.on('error', () => undefined)
      if (method === 'HEAD') incoming.resume()
      resolve(answerOf(incoming))
    })
    // After the head of an answer this changes nothing any more.
    asked.on('error', (error) => {
      clearTimeout(late)
      forget()
      reject(error)
    })
    if (content === undefined || isWhole) asked.end(content)
    else pipeline(Readable.from(content), asked).catch((error: unknown) => asked.destroy(error instanceof Error ? error : new Error(String(error))))
  })
}

function aborted({ reason }: AbortSignal): Error {
  return reason instanceof Error ? reason : new Error('aborted')
}

function answerOf(body: IncomingMessage): BridgeAnswer {
  return {
    status: body.statusCode ?? 0,
    header: (name) => {
      const value = body.headers[name]
      return Array.isArray(value) ? value.join(', ') : value
    },
    async text() {
      const chunks: Buffer[] = []
      for await (const chunk of body) chunks.push(chunk as Buffer)
      return Buffer.concat(chunks).toString('utf8')
    },
    body,
  }
}
