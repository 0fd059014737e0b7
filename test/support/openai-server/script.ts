/** What a script sees of a request, and how a script is written as a list of rules. */
import type { Behaviour } from './behaviours.ts'

interface WireMessage {
  readonly role: string
  readonly content?: string | null | readonly { readonly type?: string; readonly text?: string }[]
  readonly tool_calls?: readonly { readonly id: string; readonly function: { readonly name: string; readonly arguments: string } }[]
  readonly tool_call_id?: string
}

/** The body of a request, as far as it is looked at; all of it is in `ChatRequest.body`. */
export interface WireChat {
  readonly model?: string
  readonly messages?: readonly WireMessage[]
  readonly tools?: readonly { readonly function: { readonly name: string; readonly description?: string; readonly parameters?: unknown } }[]
  readonly tool_choice?: unknown
  readonly response_format?: { readonly type?: string; readonly json_schema?: { readonly name?: string; readonly schema?: Readonly<Record<string, unknown>>; readonly strict?: boolean } }
  readonly stream?: boolean
  readonly stream_options?: { readonly include_usage?: boolean }
  readonly max_tokens?: number
  readonly max_completion_tokens?: number
  readonly [name: string]: unknown
}

/** A request for an answer, taken apart. */
export interface ChatRequest {
  readonly body: WireChat
  readonly model: string
  readonly messages: readonly { readonly role: string; readonly content: string }[]
  /** All system messages. */
  readonly system: string
  /** The last message of a user. */
  readonly user: string
  /** The last result of a function; empty unless it is the last message. */
  readonly toolResult: string
  /** All messages, one after another. */
  readonly prompt: string
  /** Names of the functions that may be called. */
  readonly tools: readonly string[]
  readonly schema: Readonly<Record<string, unknown>> | undefined
}

/**
 * Decides what happens to a request. @param count how many chats there have been, this one included.
 * What throws, or gives nothing, is a 400 that names the request: a test finds out what it forgot.
 */
export type Script = (request: ChatRequest, count: number) => Behaviour | undefined | Promise<Behaviour | undefined>

type TextMatch = string | RegExp | readonly (string | RegExp)[]

/** All that is given must hold. A text must be contained (any case); of a list, every entry. */
export interface Match {
  readonly system?: TextMatch
  readonly user?: TextMatch
  readonly toolResult?: TextMatch
  /** Anywhere in the messages. */
  readonly promptIncludes?: TextMatch
  /** Nowhere in the messages; of a list, none. */
  readonly promptLacks?: TextMatch
  readonly model?: TextMatch
  /** Whether there are functions to call; or one that there must be. */
  readonly tools?: boolean | string
  /** Whether an answer in JSON is asked for; or a property that its schema must have. */
  readonly schema?: boolean | string
  readonly where?: (request: ChatRequest) => boolean
}

export interface Rule {
  readonly when: Match
  /** A list is done one after another: the first time the first, and its last ever after. */
  readonly then: Behaviour | readonly Behaviour[] | ((request: ChatRequest, times: number) => Behaviour | Promise<Behaviour>)
  /** It is used so often, then the next one that matches. */
  readonly times?: number
}

/** A rule: `on({ system: 'planner', promptIncludes: 'compare' }, sayJson(plan))`. */
export function on(when: Match, then: Rule['then'], options: { readonly times?: number } = {}): Rule {
  return { when, then, ...options }
}

/** The first rule that matches decides. */
export function rules(...list: readonly Rule[]): Script {
  const used = new Map<Rule, number>()
  return (request) => {
    const rule = list.find((each) => (used.get(each) ?? 0) < (each.times ?? Infinity) && matches(each.when, request))
    if (rule === undefined) return undefined
    const times = (used.get(rule) ?? 0) + 1
    used.set(rule, times)
    const { then } = rule
    if (typeof then === 'function') return then(request, times)
    if (isList(then)) return then[Math.min(times, then.length) - 1]
    return then
  }
}

function isList(then: Behaviour | readonly Behaviour[]): then is readonly Behaviour[] {
  return Array.isArray(then)
}

/** One after another whatever is asked; the last ever after. */
export function inTurn(...list: readonly Behaviour[]): Script {
  return (_request, count) => list[Math.min(count, list.length) - 1]
}

export function matches(match: Match, request: ChatRequest): boolean {
  const { tools, schema } = match
  return holds(match.system, request.system)
    && holds(match.user, request.user)
    && holds(match.toolResult, request.toolResult)
    && holds(match.promptIncludes, request.prompt)
    && (match.promptLacks === undefined || [match.promptLacks].flat().every((each) => !holds(each, request.prompt)))
    && holds(match.model, request.model)
    && (tools === undefined || (typeof tools === 'string' ? request.tools.includes(tools) : tools === request.tools.length > 0))
    && (schema === undefined || (typeof schema === 'string' ? Object.hasOwn((request.schema?.['properties'] ?? {}) as object, schema) : schema === (request.schema !== undefined)))
    && match.where?.(request) !== false
}

function holds(match: TextMatch | undefined, text: string): boolean {
  if (match === undefined) return true
  return [match].flat().every((each) => (typeof each === 'string' ? text.toLowerCase().includes(each.toLowerCase()) : new RegExp(each.source, each.flags.replace('g', '')).test(text)))
}

export function readChat(body: WireChat): ChatRequest {
  const messages = (body.messages ?? []).map(({ role, content }) => ({ role, content: typeof content === 'string' ? content : (content ?? []).map((part) => part.text ?? '').join('') }))
  const of = (role: string): string[] => messages.filter((message) => message.role === role).map(({ content }) => content)
  const last = messages.at(-1)
  return {
    body,
    model: body.model ?? '',
    messages,
    system: of('system').join('\n'),
    user: of('user').at(-1) ?? '',
    toolResult: last?.role === 'tool' ? last.content : '',
    prompt: messages.map(({ content }) => content).join('\n'),
    tools: (body.tools ?? []).map((tool) => tool.function.name),
    schema: body.response_format?.json_schema?.schema,
  }
}
