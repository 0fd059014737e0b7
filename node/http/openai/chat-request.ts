/** What is posted to `/v1/chat/completions`: everything that OpenAI's own client sends is taken, ignored or refused by its name. */
import { z } from 'zod'
import { limits } from '../../../protocols/kernel/limits.ts'
import { ChatInput } from '../../../protocols/models/schema.ts'
import { chatMessageOf, refuseOtherParts, RequestMessage } from './chat-messages.ts'
import { RequestTool, RequestToolChoice, ResponseFormat, schemaOf, toolsOf } from './chat-tools.ts'
import { refused, refusedBody } from './refusal.ts'

/** Who asks, how it is billed or kept, how hard to think: the answer means the same without. */
const ignored = z.unknown().optional().describe('Taken and ignored.')

/** Served only as long as they say nothing. */
const unsupported: Readonly<Record<string, string>> = {
  n: 'there is one answer to a request, ask again for another',
  frequency_penalty: 'the mesh\'s models are not told of penalties',
  presence_penalty: 'the mesh\'s models are not told of penalties',
  logit_bias: 'tokens differ from model to model',
  logprobs: 'the mesh\'s models do not say them',
  top_logprobs: 'the mesh\'s models do not say them',
  modalities: 'answers are text',
  audio: 'answers are text',
  functions: '"tools" has taken its place',
  function_call: '"tool_choice" has taken its place',
  moderation: 'nothing here judges what is said',
  web_search_options: 'a model here searches nothing by itself, offer it a function that does',
}

export const ChatCompletionRequest = z.object({
  model: z.string().max(256).nullish().describe('A name of `GET /v1/models`. `auto`, empty or absent: any model of the mesh.'),
  messages: z.array(RequestMessage).min(1).max(limits.chatMessagesMax),
  tools: z.array(RequestTool).max(128).nullish(),
  tool_choice: RequestToolChoice.nullish(),
  parallel_tool_calls: z.boolean().nullish().describe('With `false` the answer has at most one call.'),
  response_format: ResponseFormat.nullish(),
  max_completion_tokens: ChatInput.shape.maxTokens.nullable(),
  max_tokens: ChatInput.shape.maxTokens.nullable(),
  temperature: ChatInput.shape.temperature.nullable(),
  top_p: ChatInput.shape.topP.nullable(),
  stop: z.union([z.string().min(1).max(256), z.array(z.string().min(1).max(256)).max(4)], { error: 'is neither text nor a list of up to four, of 1 to 256 characters each' }).nullish(),
  seed: ChatInput.shape.seed.nullable(),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish(), include_obfuscation: z.boolean().nullish() }).nullish(),

  n: z.literal(1).nullish(),
  frequency_penalty: z.literal(0).nullish(),
  presence_penalty: z.literal(0).nullish(),
  logit_bias: z.object({}).strict().nullish(),
  logprobs: z.literal(false).nullish(),
  top_logprobs: z.literal(0).nullish(),
  modalities: z.array(z.literal('text')).nullish(),
  audio: z.null().optional(),
  functions: z.null().optional(),
  function_call: z.null().optional(),
  moderation: z.null().optional(),
  web_search_options: z.null().optional(),

  user: ignored, metadata: ignored, store: ignored, service_tier: ignored, safety_identifier: ignored, prompt_cache_key: ignored, prompt_cache_options: ignored,
  prompt_cache_retention: ignored, prediction: ignored, reasoning_effort: ignored, verbosity: ignored,
}).strict()

/** A request as the mesh takes it. */
export interface ChatAsked {
  readonly input: ChatInput
  readonly model: string | undefined
  readonly stream: boolean
  /** The stream's last chunk tells the usage. */
  readonly includeUsage: boolean
  /** Calls of functions that the client wants in one answer. */
  readonly callsMax: number
}

/** @param document as it was posted. @throws HttpFault 400 that names the parameter. */
export function chatAsked(document: unknown): ChatAsked {
  if (typeof document === 'object' && document !== null && 'messages' in document) refuseOtherParts(document.messages)
  const parsed = ChatCompletionRequest.safeParse(document)
  if (!parsed.success) throw refusedBody(parsed.error, unsupported)
  const body = parsed.data
  const stream = body.stream ?? false
  if (!stream && body.stream_options !== undefined && body.stream_options !== null) {
    throw refused('stream_options', 'stream_options is for streams', { next: 'leave it out, or set "stream": true' })
  }
  const model = modelNamed(body.model)
  const schema = schemaOf(body.response_format)
  const maxTokens = body.max_completion_tokens ?? body.max_tokens ?? undefined
  const { temperature, top_p: topP, seed, stop } = body
  const stops = stop === null || stop === undefined ? [] : typeof stop === 'string' ? [stop] : stop
  const input: ChatInput = {
    ...(model === undefined ? {} : { model }),
    messages: body.messages.map(chatMessageOf),
    ...toolsOf(body.tools, body.tool_choice),
    ...(schema === undefined ? {} : { schema }),
    ...(maxTokens === undefined ? {} : { maxTokens }),
    ...(typeof temperature === 'number' ? { temperature } : {}),
    ...(typeof topP === 'number' ? { topP } : {}),
    ...(stops.length === 0 ? {} : { stop: stops }),
    ...(typeof seed === 'number' ? { seed } : {}),
  }
  return { input, model, stream, includeUsage: body.stream_options?.include_usage ?? false, callsMax: body.parallel_tool_calls === false ? 1 : Infinity }
}

/** @returns undefined when any model will do. */
export function modelNamed(name: string | null | undefined): string | undefined {
  return name === null || name === undefined || name === '' || name === 'auto' ? undefined : name
}
