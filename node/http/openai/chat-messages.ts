/** A conversation as OpenAI's clients send it, and as the mesh's models take it. */
import { z } from 'zod'
import { ToolCall } from '../../../protocols/models/schema.ts'
import type { ChatMessage } from '../../../protocols/models/schema.ts'
import { refused } from './refusal.ts'

const TextPart = z.object({ type: z.literal('text'), text: z.string() })
const RefusalPart = z.object({ type: z.literal('refusal'), refusal: z.string() })
const notText = { error: 'is neither text nor a list of text parts' }
const Content = z.union([z.string(), z.array(TextPart).min(1)], notText)
const AssistantContent = z.union([z.string(), z.array(z.discriminatedUnion('type', [TextPart, RefusalPart]))], notText)

const FunctionCall = z.object({
  id: ToolCall.shape.id,
  type: z.literal('function', { error: 'only calls of functions are known' }),
  function: z.object({ name: ToolCall.shape.name, arguments: ToolCall.shape.arguments }),
})

/** What else a client keeps with a message (`name`, `refusal`, `annotations`, what the SDK has parsed) comes back with it and is ignored. */
export const RequestMessage = z.discriminatedUnion('role', [
  z.object({ role: z.literal('system'), content: Content }),
  z.object({ role: z.literal('developer'), content: Content }),
  z.object({ role: z.literal('user'), content: Content }),
  z.object({
    role: z.literal('assistant'), content: AssistantContent.nullish(), tool_calls: z.array(FunctionCall).max(128).nullish(),
    function_call: z.null({ error: '"tool_calls" has taken its place' }).optional(), audio: z.null({ error: 'is not supported: the mesh\'s models are given text' }).optional(),
  }),
  z.object({ role: z.literal('tool'), tool_call_id: ToolCall.shape.id, content: Content }),
], { error: 'is none of system, developer, user, assistant and tool' })
export type RequestMessage = z.infer<typeof RequestMessage>

/**
 * Images, sounds and files by their names: a schema would only say that they are not text.
 * @param messages as they came, of whatever shape.
 * @throws HttpFault 400 that names the part.
 */
export function refuseOtherParts(messages: unknown): void {
  if (!Array.isArray(messages)) return
  for (const [at, message] of messages.entries()) {
    const content = fieldOf(message, 'content')
    if (!Array.isArray(content)) continue
    for (const [part, value] of content.entries()) {
      const type = fieldOf(value, 'type')
      if (typeof type !== 'string' || type === 'text' || type === 'refusal') continue
      throw refused(`messages[${at}].content[${part}]`, `a part of type "${type.slice(0, 40)}" is not supported: the mesh's models are given text`, { code: 'unsupported_content', next: 'send its text as a part of type "text"' })
    }
  }
}

export function chatMessageOf(message: RequestMessage): ChatMessage {
  switch (message.role) {
    case 'system': case 'developer': return { role: 'system', content: textOf(message.content) }
    case 'user': return { role: 'user', content: textOf(message.content) }
    case 'tool': return { role: 'tool', toolCallId: message.tool_call_id, content: textOf(message.content) }
    case 'assistant': {
      const { content, tool_calls: calls } = message
      return {
        role: 'assistant',
        content: content === null || content === undefined ? null : textOf(content),
        ...(calls === null || calls === undefined || calls.length === 0 ? {} : { toolCalls: calls.map(({ id, function: called }): ToolCall => ({ id, name: called.name, arguments: called.arguments })) }),
      }
    }
  }
}

function textOf(content: z.infer<typeof AssistantContent>): string {
  return typeof content === 'string' ? content : content.map((part) => (part.type === 'text' ? part.text : part.refusal)).join('\n')
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined
}
