/** What is asked of a model, as the body of a request to `/chat/completions`. It is always streamed: a silent endpoint is noticed, and an abort is quick. */
import type OpenAI from 'openai'
import type { ChatInput, ChatMessage, JsonSchema } from '../../../protocols/models/schema.ts'
import { askForJson } from '../json-answer.ts'
import type { Dialect } from './dialect.ts'

export type ChatRequestBody = OpenAI.Chat.Completions.ChatCompletionCreateParamsStreaming

export function chatRequest(model: string, input: ChatInput, dialect: Dialect): ChatRequestBody {
  const { tools, toolChoice, schema, maxTokens, temperature, topP, stop, seed } = input
  const spoken = schema !== undefined && !dialect.takesJsonSchema ? [...input.messages, { role: 'user', content: askForJson(schema) } as const] : input.messages
  const hasTools = tools !== undefined && tools.length > 0
  const body: ChatRequestBody = {
    model,
    messages: spoken.map(chatMessage),
    stream: true,
    stream_options: { include_usage: true },
    ...(hasTools ? { tools: tools.map(({ name, description, parameters }) => ({ type: 'function' as const, function: { name, ...(description === undefined ? {} : { description }), parameters: parameters ?? { type: 'object', properties: {} } } })) } : {}),
    ...(hasTools && toolChoice !== undefined ? { tool_choice: typeof toolChoice === 'string' ? toolChoice : { type: 'function' as const, function: { name: toolChoice.name } } } : {}),
    ...(schema !== undefined && dialect.takesJsonSchema ? { response_format: { type: 'json_schema' as const, json_schema: { name: 'answer', schema, strict: isStrict(schema) } } } : {}),
    ...(maxTokens === undefined ? {} : { [dialect.maxTokensName]: maxTokens }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(topP === undefined ? {} : { top_p: topP }),
    ...(stop === undefined ? {} : { stop }),
    ...(seed === undefined ? {} : { seed }),
  }
  for (const name of dialect.leftOut) delete body[name]
  return body
}

function chatMessage(message: ChatMessage): OpenAI.Chat.Completions.ChatCompletionMessageParam {
  switch (message.role) {
    case 'system':
    case 'user':
      return { role: message.role, content: message.content }
    case 'tool':
      return { role: 'tool', tool_call_id: message.toolCallId, content: message.content }
    case 'assistant': {
      const calls = (message.toolCalls ?? []).map(({ id, name, arguments: text }) => ({ id, type: 'function' as const, function: { name, arguments: text } }))
      // Nothing at all is refused by many.
      return calls.length === 0 ? { role: 'assistant', content: message.content ?? '' } : { role: 'assistant', content: message.content, tool_calls: calls }
    }
  }
}

/** Keywords that OpenAI holds a model to when asked to be strict; with any other it refuses the request. */
const strictKeywords = new Set(['type', 'properties', 'required', 'additionalProperties', 'items', 'enum', 'const', 'anyOf', '$ref', '$defs', 'definitions', 'description', 'title', '$schema', 'pattern', 'format', 'minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf', 'minItems', 'maxItems'])

/** Whether a schema is one that a model can be held to strictly: every object is closed, and all its properties are required. */
export function isStrict(schema: JsonSchema): boolean {
  return schema['type'] === 'object' && isStrictPart(schema)
}

function isStrictPart(part: unknown): boolean {
  if (typeof part !== 'object' || part === null || Array.isArray(part)) return false
  const schema = part as Readonly<Record<string, unknown>>
  if (Object.keys(schema).some((key) => !strictKeywords.has(key))) return false
  if (schema['type'] === 'object' || schema['properties'] !== undefined) {
    const names = isRecord(schema['properties']) ? Object.keys(schema['properties']) : []
    const required = Array.isArray(schema['required']) ? schema['required'] : []
    if (schema['additionalProperties'] !== false || names.some((name) => !required.includes(name))) return false
  }
  const parts = [
    ...['properties', '$defs', 'definitions'].flatMap((key) => (isRecord(schema[key]) ? Object.values(schema[key]) : [])),
    ...(schema['items'] === undefined ? [] : [schema['items']]),
    ...(Array.isArray(schema['anyOf']) ? (schema['anyOf'] as unknown[]) : []),
  ]
  return parts.every(isStrictPart)
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
