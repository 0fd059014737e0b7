/**
 * The pieces of a streamed answer, put together. It reads what servers send rather than what they should: calls without ids or numbers, usage in any
 * piece, whole messages instead of pieces.
 */
import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import type { ChatDelta, FinishReason, ToolCall } from '../../../protocols/models/schema.ts'

const Count = z.number().int().min(0)

/** Of a piece, what is looked at. */
const Call = z.object({ index: z.number().int().min(0).nullish(), id: z.string().nullish(), function: z.object({ name: z.string().nullish(), arguments: z.union([z.string(), z.record(z.string(), z.unknown())]).nullish() }).nullish() })
const Said = z.object({ content: z.string().nullish(), refusal: z.string().nullish(), tool_calls: z.array(Call).nullish() })
export const Piece = z.object({
  choices: z.array(z.object({ index: z.number().nullish(), delta: Said.nullish(), message: Said.nullish(), finish_reason: z.string().nullish() })).nullish(),
  usage: z.object({ prompt_tokens: Count.nullish(), completion_tokens: Count.nullish(), prompt_tokens_details: z.object({ cached_tokens: Count.nullish() }).nullish() }).nullish(),
})
export type Piece = z.infer<typeof Piece>

/** What the endpoint has counted. */
export interface CountedTokens {
  readonly promptTokens: number
  readonly completionTokens: number
  readonly cachedTokens: number
}

export interface RawAnswer {
  readonly content: string | null
  readonly toolCalls: readonly ToolCall[]
  readonly finish: FinishReason
  /** Undefined: it did not say. */
  readonly counted: CountedTokens | undefined
}

export interface AnswerBuilder {
  /** Whether anything of the answer has come. */
  hasBegun(): boolean
  add(piece: unknown): void
  /** What has come, as if it ended here. */
  soFar(): RawAnswer
  /** @throws MeshError `provider-failed` when the answer has no end. */
  end(): RawAnswer
}

interface OpenCall {
  id: string
  name: string
  arguments: string
}

const finishReasons: Readonly<Record<string, FinishReason>> = { stop: 'stop', length: 'length', tool_calls: 'tool-calls', function_call: 'tool-calls', content_filter: 'filter', eos: 'stop' }

/** @param endpoint for people. @param onDelta gets every piece of it once, in order. */
export function buildAnswer(endpoint: string, onDelta: (delta: ChatDelta) => void): AnswerBuilder {
  const calls: OpenCall[] = []
  let content = ''
  let hasContent = false
  let hasRefused = false
  let finish: string | undefined
  let counted: CountedTokens | undefined

  function say(text: string): void {
    hasContent = true
    content += text
    if (text !== '') onDelta({ content: text })
  }

  function addCall({ index, id, function: called }: z.infer<typeof Call>): void {
    const last = calls.at(-1)
    // Without a number it belongs to the last one, unless it has another id, or a name although that has one.
    const isNew = last === undefined || (id ? id !== last.id : Boolean(called?.name) && last.name !== '')
    const at = Math.min(calls.length, index ?? (isNew ? calls.length : calls.length - 1))
    const name = called?.name ?? ''
    const text = typeof called?.arguments === 'object' && called.arguments !== null ? JSON.stringify(called.arguments) : called?.arguments ?? ''
    const open = calls[at]
    if (open === undefined) {
      const begun = { id: id ? id : `call_${randomUUID()}`, name, arguments: text }
      calls.push(begun)
      onDelta({ toolCall: { index: at, id: begun.id, ...(name === '' ? {} : { name }), ...(text === '' ? {} : { arguments: text }) } })
      return
    }
    // Some say the name again with every piece.
    const isNamed = open.name === '' && name !== ''
    if (isNamed) open.name = name
    open.arguments += text
    if (isNamed || text !== '') onDelta({ toolCall: { index: at, ...(isNamed ? { name } : {}), ...(text === '' ? {} : { arguments: text }) } })
  }

  return {
    hasBegun: () => content !== '' || calls.length > 0,
    add(piece) {
      const read = Piece.safeParse(piece)
      if (!read.success) throw new MeshError('provider-failed', `the endpoint ${endpoint} sent a piece that cannot be understood: ${read.error.issues.slice(0, 3).map(({ path, message }) => `${path.map(String).join('.')}: ${message}`).join('; ')}`)
      const { choices, usage } = read.data
      if (usage && (typeof usage.prompt_tokens === 'number' || typeof usage.completion_tokens === 'number')) {
        counted = { promptTokens: usage.prompt_tokens ?? 0, completionTokens: usage.completion_tokens ?? 0, cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? 0 }
      }
      for (const choice of choices ?? []) {
        if ((choice.index ?? 0) !== 0) continue
        const said = choice.delta ?? choice.message
        if (typeof said?.content === 'string') say(said.content)
        if (said?.refusal) {
          hasRefused = true
          say(said.refusal)
        }
        for (const call of said?.tool_calls ?? []) addCall(call)
        if (choice.finish_reason) finish = choice.finish_reason
      }
    },
    soFar: () => ({ content: content === '' ? null : content, toolCalls: calls.map((call) => ({ ...call })), finish: 'stop', counted }),
    end() {
      if (finish === undefined) {
        throw new MeshError('provider-failed', `the endpoint ${endpoint} ended its answer in the middle, after ${content.length} characters${calls.length === 0 ? '' : ` and ${calls.length} calls`}`, { next: 'ask again' })
      }
      const reason = finishReasons[finish] ?? 'stop'
      return {
        content: hasContent && !(content === '' && calls.length > 0) ? content : null,
        toolCalls: calls.map((call) => ({ ...call })),
        finish: hasRefused ? 'filter' : calls.length > 0 && reason === 'stop' ? 'tool-calls' : calls.length === 0 && reason === 'tool-calls' ? 'stop' : reason,
        counted,
      }
    },
  }
}
