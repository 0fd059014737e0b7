/**
 * What a model at an endpoint wants to have said otherwise, learned from its refusals: newer OpenAI models take `max_completion_tokens` and no temperature,
 * some servers know no `stream_options` or no JSON schemas. What was learned once holds for all later calls of that model.
 */
import type { ApiError } from './faults.ts'

export interface Dialect {
  readonly maxTokensName: 'max_tokens' | 'max_completion_tokens'
  /** Asked for with the request; otherwise with words. */
  readonly takesJsonSchema: boolean
  /** Left out of requests: they say how to answer, not what. */
  readonly leftOut: ReadonlySet<Leavable>
}

const leavable = ['temperature', 'top_p', 'seed', 'stream_options', 'parallel_tool_calls'] as const
export type Leavable = (typeof leavable)[number]

/** Names of models that think before they answer: their limit counts thoughts, too, and has a name of its own. */
const reasoningModel = /^(?:[\w.-]+\/)?(?:o\d|gpt-(?:[5-9]|\d{2,}))(?![\w.]*-chat)/

export function firstDialect(model: string): Dialect {
  return { maxTokensName: reasoningModel.test(model) ? 'max_completion_tokens' : 'max_tokens', takesJsonSchema: true, leftOut: new Set() }
}

export interface Lesson {
  readonly dialect: Dialect
  /** Holds for the model, not only for this one request: one schema that an endpoint does not like says nothing about the next. */
  readonly lasts: boolean
}

/** @returns how to say it instead; undefined when the refusal is about something else. */
export function learnFrom(refusal: ApiError, dialect: Dialect): Lesson | undefined {
  if (refusal.status !== 400 && refusal.status !== 422 && refusal.status !== 501) return undefined
  const { message, param } = refusal
  const isAbout = (name: string): boolean => param === name || param?.startsWith(`${name}.`) === true || new RegExp(`(?<![\\w])${name}(?![\\w])`).test(message)
  if (/max_tokens|max_completion_tokens/.test(`${param ?? ''} ${message}`) && isRefused(refusal)) {
    const other = dialect.maxTokensName === 'max_tokens' ? 'max_completion_tokens' : 'max_tokens'
    // "Use 'max_completion_tokens' instead", or the one that was used is not known at all.
    if (param === dialect.maxTokensName || new RegExp(`['"\`]?${dialect.maxTokensName}['"\`]?`).test(message)) return { dialect: { ...dialect, maxTokensName: other }, lasts: true }
  }
  if (dialect.takesJsonSchema && (isAbout('response_format') || isAbout('json_schema'))) return { dialect: { ...dialect, takesJsonSchema: false }, lasts: !/invalid (?:json )?schema/i.test(message) }
  if (!isRefused(refusal)) return undefined
  const unwanted = leavable.find((name) => !dialect.leftOut.has(name) && isAbout(name))
  return unwanted === undefined ? undefined : { dialect: { ...dialect, leftOut: new Set([...dialect.leftOut, unwanted]) }, lasts: true }
}

/** As opposed to "is too large" or "must be a number". */
function isRefused({ code, message }: ApiError): boolean {
  return code === 'unsupported_parameter' || code === 'unsupported_value' || code === 'unknown_parameter'
    || /unsupported|not supported|does not support|unrecognized|unrecognised|unknown|unexpected|extra (?:inputs|fields)|not permitted|not allowed|deprecated|invalid (?:parameter|argument|field)/i.test(message)
}
