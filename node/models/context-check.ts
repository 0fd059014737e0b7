/** Whether a chat fits into a model's context: asked before anything is sent, so that nothing is cut. */
import { MeshError } from '../../protocols/kernel/errors.ts'
import type { ChatInput } from '../../protocols/models/schema.ts'
import type { HostedModel } from './hosted-models.ts'

/** What a chat's template adds to each message, generously. */
const tokensAroundMessage = 32

/** A token is at least a byte: a chat has no more tokens than this. */
export function tokensAtMost({ messages, tools, schema }: ChatInput): number {
  let bytes = tokensAroundMessage
  for (const message of messages) {
    bytes += tokensAroundMessage + Buffer.byteLength(message.content ?? '')
    if (message.role === 'assistant') for (const call of message.toolCalls ?? []) bytes += tokensAroundMessage + Buffer.byteLength(call.arguments) + call.name.length + call.id.length
  }
  if (tools !== undefined) bytes += Buffer.byteLength(JSON.stringify(tools)) * 2
  if (schema !== undefined) bytes += Buffer.byteLength(JSON.stringify(schema)) * 2
  return bytes
}

/** Characters of a token, about, in texts that people write. */
const charsPerToken = 4

/**
 * @returns how many tokens the chat has: counted when it might not fit, else estimated, since counting takes time.
 * @throws MeshError `context-overflow` with both numbers; what the provider's `countTokens` throws.
 */
export async function checkFits({ name, members }: HostedModel, input: ChatInput): Promise<number> {
  const contextTokens = Math.min(...members.map(({ info }) => info.contextTokens))
  const answerTokens = input.maxTokens ?? 1
  const most = tokensAtMost(input)
  const [first] = members
  if (most + answerTokens <= contextTokens || first === undefined) return Math.ceil(most / charsPerToken)
  const promptTokens = await first.by.provider.countTokens(first.info.name, input)
  if (promptTokens + answerTokens <= contextTokens) return promptTokens
  const asked = input.maxTokens === undefined ? `the prompt has ${promptTokens} tokens` : `the prompt has ${promptTokens} tokens and its answer may have ${input.maxTokens}`
  throw new MeshError('context-overflow', `${asked}, the context of ${name} has ${contextTokens}`, { next: 'condense or split the input, ask for a shorter answer (maxTokens), or name a model with a longer context' })
}
