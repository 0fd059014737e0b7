/** Whatever goes wrong with a request to an endpoint, as a MeshError that says what to do about it. */
import { MeshError } from '../../../protocols/kernel/errors.ts'
import type { FaultOptions } from '../../../protocols/kernel/errors.ts'
import type { DurationMs, WallMs } from '../../../protocols/kernel/units.ts'
import { overflowIn } from './overflow.ts'
import type { Overflow } from './overflow.ts'
import { SilentEndpoint } from './patient-fetch.ts'
import { retryAfterMs } from './retry-after.ts'

export interface FaultContext {
  /** The endpoint, for people. */
  readonly name: string
  readonly model?: string
  /** Where its key is set, for people. */
  readonly keySetting: string
  readonly redact: (text: string) => string
  readonly signal: AbortSignal
  readonly nowWallMs: () => WallMs
}

/** What the client throws for an answer that is an error, as far as it is looked at. */
export interface ApiError {
  /** Undefined: the error came in the middle of a stream. */
  readonly status: number | undefined
  readonly headers: Pick<Headers, 'get'> | undefined
  readonly code: string | undefined
  readonly type: string | undefined
  readonly param: string | undefined
  readonly message: string
}

const detailCharsMax = 600

/** @returns undefined for what no endpoint has said: a connection that broke, a bug. */
export function apiError(thrown: unknown): ApiError | undefined {
  if (!(thrown instanceof Error) || !('status' in thrown) || !('headers' in thrown) || !('error' in thrown)) return undefined
  const { status, headers, error } = thrown
  if (typeof status !== 'number' && (typeof error !== 'object' && typeof error !== 'string' || error === null)) return undefined
  const body: Readonly<Record<string, unknown>> = typeof error === 'object' && error !== null ? { ...error } : {}
  const word = (value: unknown): string | undefined => (typeof value === 'string' || typeof value === 'number' ? String(value) : undefined)
  return {
    status: typeof status === 'number' ? status : statusIn(body),
    headers: headers instanceof Headers ? headers : undefined,
    code: word(body['code']),
    type: word(body['type']),
    param: word(body['param']),
    message: said(body, error) ?? thrown.message,
  }
}

/** An error within a stream that has begun with 200 sometimes carries the status that it would have had. */
function statusIn(body: Readonly<Record<string, unknown>>): number | undefined {
  const code = Number(body['code'] ?? body['status'])
  return Number.isInteger(code) && code >= 400 && code < 600 ? code : undefined
}

function said(body: Readonly<Record<string, unknown>>, error: unknown): string | undefined {
  if (typeof error === 'string' && error !== '') return error
  for (const key of ['message', 'error', 'detail']) {
    const value = body[key]
    if (typeof value === 'string' && value !== '') return value
    if (typeof value === 'object' && value !== null) return JSON.stringify(value)
  }
  return undefined
}

export function endpointFault(thrown: unknown, context: FaultContext): MeshError {
  // Whatever it looks like: an answer that was cut by us is no failure of the endpoint.
  if (context.signal.aborted) return new MeshError('cancelled', 'the call was given up')
  if (thrown instanceof MeshError) return thrown
  const silent = findCause(thrown, (cause) => cause instanceof SilentEndpoint)
  if (silent !== undefined) return new MeshError('provider-failed', `the endpoint ${context.name} fell silent: ${silent.message}`, { next: 'see whether it still works, or allow it more time' })
  const answer = apiError(thrown)
  return answer === undefined ? lineFault(thrown, context) : answerFault(answer, context)
}

function answerFault(answer: ApiError, context: FaultContext): MeshError {
  const { name, model, keySetting } = context
  const { status, code, type } = answer
  const what = context.redact(answer.message).slice(0, detailCharsMax)
  const waitMs = retryAfterMs(answer.headers, context.nowWallMs())
  const overflow = overflowIn(code, answer.message) ?? overflowIn(type, answer.message)
  const fault = (as: ConstructorParameters<typeof MeshError>[0], detail: string, options: FaultOptions = {}): MeshError =>
    new MeshError(as, detail, { ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }), ...options })

  if (status !== 401 && status !== 403 && status !== 429 && overflow !== undefined) return overflowFault(model ?? 'the model', overflow, what)
  if (status === 401 || status === 403) return new MeshError('unauthorised', `the endpoint ${name} does not accept the key (${status}): ${what}`, { next: `set a valid key with ${keySetting}` })
  if (status === 402) return new MeshError('unauthorised', `the account at the endpoint ${name} has no credit: ${what}`, { next: 'add credit there, or use another model' })
  if (code === 'insufficient_quota') return fault('overloaded', `the account at the endpoint ${name} has no credit or quota left: ${what}`, { retryable: false, next: 'add credit there, or use another model' })
  if (status === 429 || code === 'rate_limit_exceeded' || type === 'rate_limit_error') return fault('overloaded', `the endpoint ${name} wants fewer requests (429): ${what}`)
  if (status === 404 && isAboutModel(answer)) return new MeshError('bad-input', `the endpoint ${name} has no model "${model ?? ''}": ${what}`, { next: 'ask for one that it lists: skein models' })
  if (status === 404 || status === 405) return new MeshError('provider-failed', `the endpoint ${name} knows no such address (${status}): ${what}`, { retryable: false, next: 'check its address: it usually ends in /v1' })
  if (status === 400 || status === 413 || status === 422) return new MeshError('bad-input', `the endpoint ${name} refuses the request (${status}): ${what}`)
  if (status === 408 || status === 409 || (status !== undefined && status >= 500)) return fault('provider-failed', `the endpoint ${name} failed (${status}): ${what}`)
  return fault('provider-failed', status === undefined ? `the endpoint ${name} broke off its answer with an error: ${what}` : `the endpoint ${name} answered ${status}: ${what}`, status === undefined ? {} : { retryable: false })
}

function isAboutModel({ code, message }: ApiError): boolean {
  return code === 'model_not_found' || /\bmodel\b/i.test(message)
}

export function overflowFault(model: string, { neededTokens, contextTokens }: Overflow, what?: string): MeshError {
  const numbers = neededTokens !== undefined && contextTokens !== undefined
    ? `needs ${neededTokens} tokens, and the context of ${model} has ${contextTokens}`
    : contextTokens !== undefined ? `does not fit the context of ${model}, which has ${contextTokens} tokens` : `does not fit the context of ${model}`
  return new MeshError('context-overflow', `the prompt ${numbers}${what === undefined ? '' : `; its endpoint says: ${what}`}`, { next: 'send less, split it, or use a model with a larger context' })
}

/** What to do next, by what the system calls the failure. */
const lineFailures: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there: start it, or check the address',
  ENOTFOUND: 'its name is not known: check the address',
  EAI_AGAIN: 'names cannot be looked up now: check the network',
  EHOSTUNREACH: 'there is no way to it: check the network',
  ENETUNREACH: 'there is no way to it: check the network',
}

function lineFault(thrown: unknown, { name, redact }: FaultContext): MeshError {
  if (thrown instanceof SyntaxError) return new MeshError('provider-failed', `the endpoint ${name} sent something that cannot be read: ${redact(thrown.message).slice(0, detailCharsMax)}`, { next: 'check that its address is that of an OpenAI-compatible endpoint' })
  const code = findCause(thrown, (cause) => 'code' in cause && typeof cause.code === 'string')
  const why = code === undefined ? deepest(thrown) : `${(code as { code?: unknown }).code}`
  return new MeshError('provider-failed', `the connection to the endpoint ${name} failed: ${redact(why).slice(0, detailCharsMax)}`, { next: lineFailures[why] ?? 'try again, or use another model' })
}

function findCause(thrown: unknown, wanted: (cause: Error) => boolean): Error | undefined {
  for (let cause = thrown, depth = 0; cause instanceof Error && depth < 8; cause = cause.cause, depth++) {
    if (wanted(cause)) return cause
    // A name with several addresses fails at each.
    if (cause instanceof AggregateError && cause.errors[0] instanceof Error && wanted(cause.errors[0])) return cause.errors[0]
  }
  return undefined
}

function deepest(thrown: unknown): string {
  let cause = thrown
  for (let depth = 0; depth < 8 && cause instanceof Error && cause.cause instanceof Error; depth++) cause = cause.cause
  return cause instanceof Error ? cause.message : String(cause)
}

/** Whether the same request may succeed if it is sent again, after `retryAfterMs` at least. */
export function isWorthARetry({ fault }: MeshError): boolean {
  return fault.retryable && (fault.code === 'provider-failed' || fault.code === 'overloaded')
}

/** Before the second request, the third, …: twice as long each time, and never for all callers the same. */
export function backoffMs(tries: number, baseMs: DurationMs, random: number): DurationMs {
  return Math.round(baseMs * 2 ** (tries - 1) * (0.75 + random / 2))
}
