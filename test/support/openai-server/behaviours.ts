/** What the scripted server can do with a request. Each is a plain object; `say`, `callTool` and so on make them. */

/** How fast an answer comes. What is left out is as `startOpenAiServer` was told. */
export interface Pace {
  /** Before the first byte. */
  readonly latencyMs?: number
  /** Before every piece but the first. */
  readonly tokenMs?: number
}

/** What happens to an answer on its way, after so many pieces of it. */
export interface Trouble {
  readonly afterPieces: number
  /** `cut`: the connection breaks. `stall`: nothing more comes. `end`: it ends as if it were complete, without saying why. `error`: an error comes in the stream. */
  readonly what: 'cut' | 'stall' | 'end' | 'error'
  /** Of `error`. */
  readonly error?: Readonly<Record<string, unknown>>
}

export interface Answer extends Pace {
  readonly kind: 'answer'
  readonly text?: string
  readonly toolCalls?: readonly { readonly name: string; readonly arguments: string; readonly id?: string }[]
  /** Default: `stop` or `tool_calls`; `length` when `max_tokens` cut it. */
  readonly finish?: string
  readonly trouble?: Trouble
  /** `false`: it does not tell what it used. Default: a piece is a token, and so are four characters of the prompt. */
  readonly usage?: false | { readonly prompt_tokens?: number; readonly completion_tokens?: number; readonly cached_tokens?: number }
  /** Says a model's thoughts before the answer, as some servers do. */
  readonly reasoning?: string
}

export interface Refusal extends Pace {
  readonly kind: 'refusal'
  readonly status: number
  readonly error: Readonly<Record<string, unknown>> | string
  readonly headers?: Readonly<Record<string, string>>
}

/** Anything at all: a web page, half a JSON text, events that are none. */
export interface Raw extends Pace {
  readonly kind: 'raw'
  readonly status?: number
  readonly contentType: string
  readonly body: string
}

/** Never answers. */
export interface Silence {
  readonly kind: 'silence'
}

/** Closes the connection without a word. */
export interface Hangup extends Pace {
  readonly kind: 'hangup'
}

export type Behaviour = Answer | Refusal | Raw | Silence | Hangup

type AnswerOptions = Omit<Partial<Answer>, 'kind' | 'text'>

/** Answers with this text, in pieces of a word each. */
export function say(text: string, options: AnswerOptions = {}): Answer {
  return { kind: 'answer', text, ...options }
}

/** Answers with JSON, as a model that was asked for it does. */
export function sayJson(value: unknown, options: AnswerOptions = {}): Answer {
  return say(JSON.stringify(value), options)
}

/** Asks for a function to be called; several by several arguments: `callTool(['add', { a: 1 }], ['add', { a: 2 }])`. A text as arguments is sent as it is. */
export function callTools(...calls: readonly (readonly [name: string, args: unknown])[]): Answer {
  return { kind: 'answer', toolCalls: calls.map(([name, args]) => ({ name, arguments: typeof args === 'string' ? args : JSON.stringify(args) })) }
}

export function callTool(name: string, args: unknown = {}): Answer {
  return callTools([name, args])
}

/** JSON as some models give it: with an explanation before it, fenced, and with a remark after it. */
export function sayJsonInProse(value: unknown): Answer {
  return say(`Sure! Here is what you asked for:\n\n\`\`\`json\n${JSON.stringify(value, null, 2)}\n\`\`\`\n\nLet me know if {anything} is missing.`)
}

/** An error in OpenAI's shape. */
export function refuse(status: number, message: string, more: { readonly code?: string | null; readonly type?: string; readonly param?: string | null; readonly headers?: Readonly<Record<string, string>> } = {}): Refusal {
  const { headers, ...error } = more
  return { kind: 'refusal', status, error: { message, type: status === 429 ? 'requests' : status >= 500 ? 'server_error' : 'invalid_request_error', param: null, code: null, ...error }, ...(headers === undefined ? {} : { headers }) }
}

/** 429. @param retryAfter what the header says, seconds or a date; undefined: there is none. */
export function tooMany(retryAfter?: number | string): Refusal {
  return refuse(429, 'Rate limit reached for requests', { code: 'rate_limit_exceeded', ...(retryAfter === undefined ? {} : { headers: { 'retry-after': String(retryAfter) } }) })
}

/** 500. */
export function fail(message = 'The server had an error while processing your request'): Refusal {
  return refuse(500, message)
}

/** Breaks the connection after so many pieces of the text. */
export function cut(text: string, afterPieces: number): Answer {
  return say(text, { trouble: { afterPieces, what: 'cut' } })
}

/** Stops after so many pieces of the text, and keeps the connection. */
export function stall(text: string, afterPieces: number): Answer {
  return say(text, { trouble: { afterPieces, what: 'stall' } })
}
