/**
 * What is asked of a language model, and what it answers: the input and output of the capabilities `llm.chat` and `llm.embed`.
 * The shapes follow OpenAI's chat completions, in this project's spelling; `node/http/openai/` translates.
 */
import { z } from 'zod'
import { limits } from '../kernel/limits.ts'

export const chatCapability = 'llm.chat'
export const embedCapability = 'llm.embed'
/** Of both capabilities' input and output. */
export const modelsVersion = '1.0'

/** What to do where there is no model. */
export const howToGetAModel = 'give a node a model: skein node start --model FILE.gguf, or start it with OPENAI_API_KEY or SKEIN_LLM_URL set'

/** As its node names it: `qwen3-4b-instruct-q4`, `gpt-5-mini`. */
export const ModelName = z.string().min(1).max(256)

/** JSON Schema, draft 2020-12, as a plain object. */
export const JsonSchema = z.record(z.string(), z.unknown())
export type JsonSchema = z.infer<typeof JsonSchema>

/** A call of a function that the model asks for. `arguments` is the text that it wrote, which need not be JSON. */
export const ToolCall = z.object({ id: z.string().min(1).max(256), name: z.string().min(1).max(64), arguments: z.string() }).strict()
export type ToolCall = z.infer<typeof ToolCall>

export const ChatMessage = z.discriminatedUnion('role', [
  z.object({ role: z.literal('system'), content: z.string() }).strict(),
  z.object({ role: z.literal('user'), content: z.string() }).strict(),
  z.object({ role: z.literal('assistant'), content: z.string().nullable(), toolCalls: z.array(ToolCall).max(128).optional() }).strict(),
  z.object({ role: z.literal('tool'), toolCallId: z.string().min(1).max(256), content: z.string() }).strict(),
])
export type ChatMessage = z.infer<typeof ChatMessage>

/** A function that the model may ask to be called. */
export const ToolSpec = z.object({ name: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'is not a function name (letters, digits, dash, underscore; at most 64)'), description: z.string().max(4_096).optional(), parameters: JsonSchema.optional() }).strict()
export type ToolSpec = z.infer<typeof ToolSpec>

export const ToolChoice = z.union([z.enum(['auto', 'none', 'required']), z.object({ name: z.string().min(1).max(64) }).strict()])
export type ToolChoice = z.infer<typeof ToolChoice>

/** Input of `llm.chat`. */
export const ChatInput = z.object({
  /** Absent: any that the mesh has. */
  model: ModelName.optional(),
  messages: z.array(ChatMessage).min(1).max(limits.chatMessagesMax),
  tools: z.array(ToolSpec).max(128).optional(),
  toolChoice: ToolChoice.optional(),
  /** The answer is JSON that fits this schema, or the call fails. */
  schema: JsonSchema.optional(),
  /** Of the answer. Absent: the provider's own limit, at most what is left of the context. */
  maxTokens: z.number().int().min(1).max(limits.contextTokensMax).optional(),
  temperature: z.number().min(0).max(2).optional(),
  topP: z.number().min(0).max(1).optional(),
  stop: z.array(z.string().min(1).max(256)).max(4).optional(),
  seed: z.number().int().optional(),
}).strict()
export type ChatInput = z.infer<typeof ChatInput>

/** Tokens as the provider counted them (a local model exactly), money by its price table. */
export const Usage = z.object({
  promptTokens: z.number().int().min(0),
  /** Of these, those that the provider had from before: a warm prefix. */
  cachedTokens: z.number().int().min(0).default(0),
  completionTokens: z.number().int().min(0),
  costUsd: z.number().min(0),
}).strict()
export type Usage = z.infer<typeof Usage>

export const noUsage: Usage = { promptTokens: 0, cachedTokens: 0, completionTokens: 0, costUsd: 0 }

/** `length`: `maxTokens` or the context was reached. `filter`: the provider kept it back. */
export const FinishReason = z.enum(['stop', 'length', 'tool-calls', 'filter'])
export type FinishReason = z.infer<typeof FinishReason>

/** The answer was given before: to the same input, or to one that meant the same. Its `usage` is nothing. */
export const Cached = z.enum(['exact', 'similar'])
export type Cached = z.infer<typeof Cached>

/** Output of `llm.chat`. */
export const ChatOutput = z.object({
  model: ModelName,
  content: z.string().nullable(),
  toolCalls: z.array(ToolCall).default([]),
  finish: FinishReason,
  usage: Usage,
  cached: Cached.optional(),
}).strict()
export type ChatOutput = z.infer<typeof ChatOutput>

/** What a streamed answer brings piece by piece: text, or parts of the function calls. */
export const ChatDelta = z.object({
  content: z.string().optional(),
  toolCall: z.object({ index: z.number().int().min(0), id: z.string().optional(), name: z.string().optional(), arguments: z.string().optional() }).strict().optional(),
}).strict()
export type ChatDelta = z.infer<typeof ChatDelta>

/** Input of `llm.embed`. */
export const EmbedInput = z.object({ model: ModelName.optional(), texts: z.array(z.string()).min(1).max(limits.embedTextsMax), dimensions: z.number().int().min(1).max(65_536).optional() }).strict()
export type EmbedInput = z.infer<typeof EmbedInput>

/** Output of `llm.embed`: one vector per text, in order, as base64 of its float32 values, little-endian. */
export const EmbedOutput = z.object({ model: ModelName, dimensions: z.number().int().min(1), vectors: z.array(z.string()), usage: Usage, cached: Cached.optional() }).strict()
export type EmbedOutput = z.infer<typeof EmbedOutput>

/** The model that an input names, as an attribute of whoever can run it. */
export function attributesOf(capability: string, input: unknown, asked: Readonly<Record<string, string | number | boolean>> | undefined): Readonly<Record<string, string | number | boolean>> | undefined {
  if ((capability !== chatCapability && capability !== embedCapability) || asked?.['model'] !== undefined || typeof input !== 'object' || input === null) return asked
  const model = (input as Readonly<Record<string, unknown>>)['model']
  return typeof model === 'string' ? { ...asked, model } : asked
}
