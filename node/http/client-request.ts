/** One request to a bridge: problems become MeshErrors again, a dead line becomes one that says what to do. */
import { fault, MeshError } from '../../protocols/kernel/errors.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { exchange, NoHeadInTime, type BridgeAnswer } from './client-exchange.ts'
import { faultOfProblem } from './problem.ts'

/** A bridge has this long for the head of its answer: longer than it gives the owner it asks. */
const answerTimeoutMs = limits.askTimeoutMs + 5_000

export interface BridgeRequest {
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly query?: Readonly<Record<string, string | number | undefined>>
  readonly headers?: Readonly<Record<string, string | undefined>>
  /** Sent as JSON. */
  readonly json?: unknown
  /** Sent as it is. */
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>
  readonly signal?: AbortSignal | undefined
  /** Undefined: the default; Infinity: none (uploads). Counts until the head of the answer. */
  readonly timeoutMs?: number
}

/** Nothing answers there any more. */
export class BridgeGone extends MeshError {
  /** The request never left: it may be made again elsewhere, whatever it is. */
  readonly isUnsent: boolean

  constructor({ fault: { code, detail, next } }: MeshError, isUnsent: boolean) {
    super(code, detail, next === undefined ? {} : { next })
    this.isUnsent = isUnsent
  }
}

export interface BridgeConnection {
  readonly url: string
  /**
   * @returns an answer with a status below 400.
   * @throws MeshError: the bridge's own fault; `owner-unreachable` when nothing answers there, `timeout` when the outcome is unknown,
   *   `cancelled` when the signal ended it.
   */
  request(request: BridgeRequest): Promise<BridgeAnswer>
  json<Answer>(request: BridgeRequest): Promise<Answer>
}

export function connectBridge(bridgeUrl: string, token?: string): BridgeConnection {
  if (!URL.canParse(bridgeUrl) || !/^https?:$/.test(new URL(bridgeUrl).protocol)) {
    throw new MeshError('bad-request', `"${bridgeUrl.slice(0, 200)}" is not the address of a bridge`, { next: 'give one like http://127.0.0.1:7420' })
  }
  const url = bridgeUrl.replace(/\/+$/, '')

  async function request({ method = 'GET', path, query = {}, headers = {}, json, body, signal, timeoutMs = answerTimeoutMs }: BridgeRequest): Promise<BridgeAnswer> {
    const target = new URL(url + path)
    for (const [name, value] of Object.entries(query)) if (value !== undefined) target.searchParams.set(name, String(value))
    const sent: Record<string, string> = { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) }
    for (const [name, value] of Object.entries(headers)) if (value !== undefined) sent[name] = value
    if (json !== undefined) sent['content-type'] = 'application/json'
    const content = json === undefined ? body : JSON.stringify(json)
    let answer: BridgeAnswer
    try {
      answer = await exchange({ method, target, headers: sent, content, signal, timeoutMs })
    } catch (thrown) {
      if (signal?.aborted === true) throw new MeshError('cancelled', 'the request was given up')
      throw thrown instanceof NoHeadInTime ? noAnswer(url, method, `did not answer within ${timeoutMs} ms`) : lineFault(url, method, thrown)
    }
    if (answer.status < 300) return answer
    // A bridge sends nobody elsewhere.
    throw await faultOf(url, answer)
  }

  return {
    url,
    request,
    async json<Answer>(asked: BridgeRequest) {
      const answer = await request(asked)
      try {
        return JSON.parse(await answer.text()) as Answer
      } catch (thrown) {
        if (asked.signal?.aborted === true) throw new MeshError('cancelled', 'the request was given up')
        throw thrown instanceof SyntaxError ? notABridge(url) : noAnswer(url, asked.method ?? 'GET', 'broke off in the middle of its answer')
      }
    },
  }
}

/** A problem of the bridge, or whatever else answered under its address. */
async function faultOf(url: string, answer: BridgeAnswer): Promise<MeshError> {
  const text = await answer.text().catch(() => '')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    value = undefined
  }
  const known = faultOfProblem(value)
  if (known !== undefined) return MeshError.from(known)
  // A HEAD has no body; its status tells what the route means by it.
  if (text === '' && answer.header('content-type')?.startsWith('application/problem+json') === true) {
    return new MeshError(answer.status === 404 ? 'unknown-blob' : answer.status === 401 ? 'unauthorised' : 'bad-request', `the bridge answered ${answer.status}`)
  }
  return notABridge(url, answer.status)
}

function notABridge(url: string, status?: number): MeshError {
  return new MeshError('owner-unreachable', `what answers at ${url} is not a Skein bridge${status === undefined ? '' : ` (status ${status})`}`, { next: 'check the address given with --url or SKEIN_URL', retryable: false })
}

function noAnswer(url: string, method: string, what: string): MeshError {
  const changes = method !== 'GET' && method !== 'HEAD'
  return new MeshError('timeout', `the bridge at ${url} ${what}${changes ? ': the outcome is unknown' : ''}`, { next: changes ? 'try again with the same idempotency key, or look with: skein mission list' : 'try again, or ask another bridge with --url' })
}

const unreachableCodes = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EHOSTUNREACH', 'ENETUNREACH', 'EAI_AGAIN', 'EADDRNOTAVAIL', 'UND_ERR_CONNECT_TIMEOUT', 'ETIMEDOUT'])

function lineFault(url: string, method: string, thrown: unknown): MeshError {
  const codes = causeCodes(thrown)
  if (codes.some((code) => unreachableCodes.has(code))) return new BridgeGone(MeshError.from(fault('owner-unreachable', `no node answers at ${url} (${codes[0] ?? 'no connection'})`, { next: 'start a node with: skein node start' })), true)
  return new BridgeGone(noAnswer(url, method, `closed the connection before it answered${codes.length > 0 ? ` (${codes[0]})` : ''}`), false)
}

/** Of a name with several addresses there are several. */
function causeCodes(thrown: unknown, depth = 0): string[] {
  if (!(thrown instanceof Error) || depth > 4) return []
  const own = 'code' in thrown && typeof thrown.code === 'string' ? [thrown.code] : []
  const inner = thrown instanceof AggregateError ? thrown.errors.flatMap((each) => causeCodes(each, depth + 1)) : []
  return [...own, ...inner, ...causeCodes(thrown.cause, depth + 1)]
}
