/**
 * Function calls for models that were not trained to make them, and for calls that must be made: the model answers with one JSON object under a grammar,
 * `{ "tool": NAME, "arguments": {…} }` or `{ "answer": … }`.
 */
import type { GbnfJsonSchema } from 'node-llama-cpp'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import type { ChatInput, ChatMessage, ToolSpec } from '../../../protocols/models/schema.ts'
import type { Grammar } from './grammar.ts'
import { grammarOf } from './grammar.ts'

export interface ToolProtocol {
  /** For the end of the system message. */
  readonly instructions: string
  readonly grammar: Grammar
}

/** What the model has said, in terms of the protocol. */
export type ToolAnswer =
  | { readonly type: 'call'; readonly name: string; readonly arguments: string }
  /** As text; with a schema, the JSON of it. */
  | { readonly type: 'answer'; readonly content: string }

/**
 * @param input one with tools and a choice other than `none`.
 * @throws MeshError `bad-input` when the function that must be called is not among the tools.
 */
export function toolProtocol({ tools = [], toolChoice = 'auto', schema }: ChatInput): ToolProtocol {
  const offered = typeof toolChoice === 'object' ? tools.filter(({ name }) => name === toolChoice.name) : tools
  if (offered.length === 0) throw new MeshError('bad-input', `the function that must be called${typeof toolChoice === 'object' ? `, "${toolChoice.name}",` : ''} is not among the tools`, { next: 'add it to the tools, or let the model choose' })
  const mayAnswer = toolChoice === 'auto'
  const calls = offered.map((tool, index) => ({ tool, grammar: grammarOf(tool.parameters ?? { type: 'object' }, `t${index}d`) }))
  const answer = schema === undefined ? undefined : grammarOf(schema, 'answer')

  const choices: GbnfJsonSchema[] = calls.map(({ tool, grammar }) => ({ type: 'object', properties: { tool: { const: tool.name }, arguments: grammar.root } }))
  if (mayAnswer) choices.push({ type: 'object', properties: { answer: answer?.root ?? { type: 'string' } } })
  return {
    instructions: [
      `You can call ${offered.length === 1 ? 'this function' : 'these functions'}:`,
      ...offered.map(describe),
      '',
      'Reply with one JSON object and nothing else:',
      '{"tool": NAME, "arguments": {…}} to call a function; its result is then told to you.',
      ...(mayAnswer ? ['{"answer": …} when you know the answer.'] : []),
    ].join('\n'),
    grammar: {
      root: { oneOf: choices },
      definitions: Object.assign({}, ...[...calls.map(({ grammar }) => grammar), ...(mayAnswer && answer !== undefined ? [answer] : [])].map(({ definitions }) => definitions)) as Grammar['definitions'],
      exact: answer?.exact ?? true,
    },
  }
}

function describe({ name, description, parameters }: ToolSpec): string {
  return `- ${name}${description === undefined ? '' : `: ${description}`}${parameters === undefined ? '' : ` Arguments, as JSON Schema: ${JSON.stringify(parameters)}`}`
}

/** The messages as a model sees them that knows functions by the protocol only. */
export function inProtocol(messages: readonly ChatMessage[]): ChatMessage[] {
  const names = new Map<string, string>()
  return messages.map((message) => {
    if (message.role === 'tool') return { role: 'user', content: `Result of ${names.get(message.toolCallId) ?? message.toolCallId}: ${message.content}` }
    if (message.role !== 'assistant' || message.toolCalls === undefined) return message
    for (const call of message.toolCalls) names.set(call.id, call.name)
    const calls = message.toolCalls.map((call) => `{"tool":${JSON.stringify(call.name)},"arguments":${call.arguments === '' ? '{}' : call.arguments}}`)
    return { role: 'assistant', content: [...(message.content === null || message.content === '' ? [] : [message.content]), ...calls].join('\n') }
  })
}

/** @returns undefined for a text that is no whole answer: it was cut off. */
export function readToolAnswer(text: string): ToolAnswer | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  if ('tool' in value && typeof value.tool === 'string') return { type: 'call', name: value.tool, arguments: JSON.stringify('arguments' in value ? value.arguments : {}) }
  if ('answer' in value) return { type: 'answer', content: typeof value.answer === 'string' ? value.answer : JSON.stringify(value.answer) }
  return undefined
}
