/** Faults as HTTP says them: RFC 9457 problem details, and OpenAI's error object on OpenAI's routes. */
import { z } from 'zod'
import { errorCodes } from '../../protocols/kernel/errors.ts'
import type { ErrorCode, Fault } from '../../protocols/kernel/errors.ts'

/** Every code's status, mapped once. 4xx: the client must change something. 5xx: the mesh could not. */
export const statusOfCode = {
  'bad-request': 400,
  'bad-input': 422,
  'bad-plan': 422,
  'unknown-capability': 422,
  'version-mismatch': 422,
  'no-provider': 503,
  'unknown-mission': 404,
  'unknown-task': 404,
  'unknown-blob': 404,
  'owner-unreachable': 503,
  'key-conflict': 409,
  'wrong-state': 409,
  'too-large': 413,
  'over-limit': 422,
  'deadline-exceeded': 422,
  overloaded: 429,
  unauthorised: 401,
  forbidden: 403,
  'skill-failed': 502,
  'skill-timeout': 502,
  'skill-out-of-memory': 502,
  'skill-silent': 502,
  'skill-exited': 502,
  'context-overflow': 422,
  'provider-failed': 502,
  'bad-output': 502,
  'lost-worker': 502,
  cancelled: 409,
  fenced: 409,
  'storage-failed': 503,
  timeout: 504,
  'not-available': 501,
  internal: 500,
} as const satisfies Record<ErrorCode, number>

export const Problem = z.object({
  /** `urn:skein:error:<code>` */
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  detail: z.string(),
  code: z.enum(Object.keys(errorCodes) as [ErrorCode, ...ErrorCode[]]),
  retryable: z.boolean(),
  /** What to do next. */
  next: z.string().optional(),
  retryAfterMs: z.number().int().optional(),
})
export type Problem = z.infer<typeof Problem>

/** What an answer may say beyond the fault. */
export interface AnswerOptions {
  /** A more exact status than the code's own (404, 405, 415 are all malformed requests). */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** On OpenAI's routes: the parameter that is wrong, `messages[0].content`, and OpenAI's own name for what is wrong with it. */
  readonly param?: string
  readonly openAiCode?: string
}

/** An error that knows more than its code about how HTTP should say it. Thrown inside the bridge only. */
export class HttpFault extends Error {
  readonly fault: Fault
  readonly options: AnswerOptions

  constructor(fault: Fault, options: AnswerOptions = {}) {
    super(fault.detail)
    this.name = 'HttpFault'
    this.fault = fault
    this.options = options
  }
}

export function problemOf(fault: Fault, status: number = statusOfCode[fault.code]): Problem {
  return {
    type: `urn:skein:error:${fault.code}`,
    title: errorCodes[fault.code].means,
    status,
    detail: fault.detail,
    code: fault.code,
    retryable: fault.retryable,
    ...(fault.next === undefined ? {} : { next: fault.next }),
    ...(fault.retryAfterMs === undefined ? {} : { retryAfterMs: fault.retryAfterMs }),
  }
}

/** The fault inside a problem that another bridge sent, or undefined when it is none. */
export function faultOfProblem(value: unknown): Fault | undefined {
  const parsed = Problem.safeParse(value)
  if (!parsed.success) return undefined
  const { code, detail, retryable, next, retryAfterMs } = parsed.data
  return { code, detail, retryable, ...(next === undefined ? {} : { next }), ...(retryAfterMs === undefined ? {} : { retryAfterMs }) }
}

/** The routes of OpenAI's API, whose clients expect OpenAI's errors. */
export function isOpenAiPath(path: string): boolean {
  return /^\/v1\/(chat\/completions|completions|embeddings|models|responses)(\/|$)/.test(path)
}

/** https://platform.openai.com/docs/guides/error-codes: `{ error: { message, type, code, param } }`. */
export const OpenAiError = z.object({
  error: z.object({ message: z.string(), type: z.string(), code: z.string().nullable(), param: z.string().nullable() }),
})

export type OpenAiError = z.infer<typeof OpenAiError>

/** Where OpenAI's clients expect another status than a problem has: their error classes and their retries go by it. */
const openAiStatusOfCode: Partial<Record<ErrorCode, number>> = {
  'bad-input': 400,
  'context-overflow': 400,
  'unknown-capability': 503,
  'version-mismatch': 503,
  'over-limit': 429,
  'deadline-exceeded': 504,
  cancelled: 503,
}

/** What OpenAI has its own word for. */
const openAiCodeOf: Partial<Record<ErrorCode, string>> = {
  unauthorised: 'invalid_api_key',
  overloaded: 'rate_limit_exceeded',
  'over-limit': 'insufficient_quota',
  'context-overflow': 'context_length_exceeded',
}

/** The status of a code as the path's clients expect it. */
export function statusFor(path: string, code: ErrorCode): number {
  return (isOpenAiPath(path) ? openAiStatusOfCode[code] : undefined) ?? statusOfCode[code]
}

/** A fault in OpenAI's shape. */
export function openAiErrorOf(fault: Fault, options: AnswerOptions = {}): OpenAiError {
  const status = options.status ?? openAiStatusOfCode[fault.code] ?? statusOfCode[fault.code]
  const type = status === 401 ? 'authentication_error' : status === 403 ? 'permission_error' : status === 429 ? 'rate_limit_error' : status < 500 ? 'invalid_request_error' : 'server_error'
  return { error: { message: fault.next === undefined ? fault.detail : `${fault.detail}; ${fault.next}`, type, code: options.openAiCode ?? openAiCodeOf[fault.code] ?? fault.code, param: options.param ?? null } }
}

/** A fault as a whole answer in the shape that the path's clients expect. 429 and 503 say when to come back. */
export function faultAnswer(fault: Fault, path: string, options: AnswerOptions = {}): Response {
  const status = options.status ?? statusFor(path, fault.code)
  const openAi = isOpenAiPath(path)
  const headers: Record<string, string> = { 'content-type': openAi ? 'application/json' : 'application/problem+json', 'cache-control': 'no-store', ...options.headers }
  const retryAfterMs = fault.retryAfterMs ?? (status === 429 && fault.retryable ? 1_000 : undefined)
  if (retryAfterMs !== undefined) headers['retry-after'] = String(Math.max(1, Math.ceil(retryAfterMs / 1000)))
  if (openAi) {
    // OpenAI's clients read these two before they look at the status.
    if (retryAfterMs !== undefined) headers['retry-after-ms'] = String(retryAfterMs)
    if (!fault.retryable) headers['x-should-retry'] = 'false'
  }
  if (status === 401) headers['www-authenticate'] ??= 'Bearer realm="skein"'
  return new Response(JSON.stringify(openAi ? openAiErrorOf(fault, options) : problemOf(fault, status)), { status, headers })
}
