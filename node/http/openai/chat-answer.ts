/** What a model has answered, as OpenAI's clients read it. */
import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import type { Invoked } from '../../../actors/mesh-api.ts'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import { PeerId } from '../../../protocols/kernel/ids.ts'
import { Cached } from '../../../protocols/models/schema.ts'
import type { ChatOutput, FinishReason, ToolCall, Usage } from '../../../protocols/models/schema.ts'

/** Skein's own: who has answered, and what it cost. */
export const Provenance = z.object({
  node: z.string(),
  peer_id: PeerId,
  cost_usd: z.number(),
  /** The answer was kept from an earlier call. */
  cached: Cached.optional(),
})
export type Provenance = z.infer<typeof Provenance>

const Tokens = z.number().int()
export const CompletionUsage = z.object({ prompt_tokens: Tokens, completion_tokens: Tokens, total_tokens: Tokens, prompt_tokens_details: z.object({ cached_tokens: Tokens }) })
const FinishName = z.enum(['stop', 'length', 'tool_calls', 'content_filter'])
const CalledFunction = z.object({ id: z.string(), type: z.literal('function'), function: z.object({ name: z.string(), arguments: z.string() }) })

export const ChatCompletion = z.object({
  id: z.string(),
  object: z.literal('chat.completion'),
  created: z.number().int().describe('Seconds since 1970.'),
  model: z.string(),
  choices: z.array(z.object({
    index: z.literal(0),
    message: z.object({ role: z.literal('assistant'), content: z.string().nullable(), refusal: z.null(), tool_calls: z.array(CalledFunction).optional() }),
    logprobs: z.null(),
    finish_reason: FinishName,
  })),
  usage: CompletionUsage,
  system_fingerprint: z.string().describe('The name of the node that answered.'),
  skein: Provenance,
})
export type ChatCompletion = z.infer<typeof ChatCompletion>

export const ChunkDelta = z.object({
  role: z.literal('assistant').optional(),
  content: z.string().optional(),
  refusal: z.null().optional(),
  tool_calls: z.array(z.object({
    index: z.number().int(),
    id: z.string().optional(),
    type: z.literal('function').optional(),
    function: z.object({ name: z.string().optional(), arguments: z.string() }),
  })).optional(),
})
export type ChunkDelta = z.infer<typeof ChunkDelta>

/** What a stream's `data:` lines hold until `[DONE]`; after an error there is an OpenAiError in its place, and no `[DONE]`. */
export const ChatCompletionChunk = z.object({
  id: z.string(),
  object: z.literal('chat.completion.chunk'),
  created: z.number().int().describe('Seconds since 1970.'),
  model: z.string().describe('As it was asked for, until the last chunk tells which one it was.'),
  choices: z.array(z.object({ index: z.literal(0), delta: ChunkDelta, logprobs: z.null(), finish_reason: FinishName.nullable() })),
  usage: CompletionUsage.nullable().optional(),
  system_fingerprint: z.string().optional(),
  skein: Provenance.optional(),
})
export type ChatCompletionChunk = z.infer<typeof ChatCompletionChunk>

const finishNames: Record<FinishReason, z.infer<typeof FinishName>> = { stop: 'stop', length: 'length', 'tool-calls': 'tool_calls', filter: 'content_filter' }

export function finishNameOf(finish: FinishReason): z.infer<typeof FinishName> {
  return finishNames[finish]
}

export function usageOf({ promptTokens, cachedTokens, completionTokens }: Usage): z.infer<typeof CompletionUsage> {
  return { prompt_tokens: promptTokens, completion_tokens: completionTokens, total_tokens: promptTokens + completionTokens, prompt_tokens_details: { cached_tokens: cachedTokens } }
}

export function provenanceOf({ by, stats }: Invoked, cached: Cached | undefined): Provenance {
  return { node: by.name, peer_id: by.peer, cost_usd: stats.costUsd, ...(cached === undefined ? {} : { cached }) }
}

/** `chatcmpl-…`, one per answer. */
export function completionId(): string {
  return `chatcmpl-${randomBytes(18).toString('base64url')}`
}

export function nowInSeconds(): number {
  return Math.floor(Date.now() / 1000)
}

export function completionOf(invoked: Invoked, { model, content, toolCalls, finish, usage, cached }: ChatOutput, callsMax: number): ChatCompletion {
  const calls = toolCalls.slice(0, callsMax).map(calledFunctionOf)
  return {
    id: completionId(),
    object: 'chat.completion',
    created: nowInSeconds(),
    model,
    choices: [{ index: 0, message: { role: 'assistant', content, refusal: null, ...(calls.length === 0 ? {} : { tool_calls: calls }) }, logprobs: null, finish_reason: finishNameOf(finish) }],
    usage: usageOf(usage),
    system_fingerprint: invoked.by.name,
    skein: provenanceOf(invoked, cached),
  }
}

function calledFunctionOf({ id, name, arguments: text }: ToolCall): z.infer<typeof CalledFunction> {
  return { id, type: 'function', function: { name, arguments: text } }
}

/** @throws MeshError `bad-output` when a node sent something else than what its capability promises. */
export function checkedOutput<T>(schema: z.ZodType<T>, { output, by }: Invoked): T {
  const parsed = schema.safeParse(output)
  if (parsed.success) return parsed.data
  throw new MeshError('bad-output', `${by.name} answered in a form that this bridge does not know: ${parsed.error.issues[0]?.path.join('.') ?? ''} ${parsed.error.issues[0]?.message ?? ''}`, { next: 'run the same release of Skein on both nodes' })
}
