/** Messages in the form that node-llama-cpp's chat templates take: a model's turn holds its function calls with their results. */
import type { ChatHistoryItem, ChatModelFunctionCall, ChatModelFunctions, ChatModelResponse } from 'node-llama-cpp'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import type { ChatMessage, ToolSpec } from '../../../protocols/models/schema.ts'
import { grammarOf, wholeSchema } from './grammar.ts'

type Turn = { readonly type: 'model'; readonly response: ChatModelResponse['response'] }

/** @throws MeshError `bad-input` for a function's result without its call, or a call without its result. */
export function requirePairs(messages: readonly ChatMessage[]): void {
  const open = new Set<string>()
  const requireResults = (): void => {
    const [id] = open
    if (id !== undefined) throw new MeshError('bad-input', `the call "${id}" has no result`, { next: 'add a tool message with its result before going on' })
  }
  for (const message of messages) {
    if (message.role === 'tool') {
      if (!open.delete(message.toolCallId)) throw new MeshError('bad-input', `a message holds the result of the call "${message.toolCallId}", which nobody has made just before`, { next: 'keep the assistant message with that call in front of its results' })
      continue
    }
    requireResults()
    if (message.role === 'assistant') for (const { id } of message.toolCalls ?? []) open.add(id)
  }
  requireResults()
}

/** @param messages that `requirePairs` has found good. */
export function chatHistory(messages: readonly ChatMessage[]): ChatHistoryItem[] {
  const history: ChatHistoryItem[] = []
  const calls = new Map<string, ChatModelFunctionCall>()
  let turn: Turn | undefined
  for (const message of messages) {
    if (message.role === 'tool') {
      const call = calls.get(message.toolCallId)
      if (call !== undefined) call.result = jsonOr(message.content)
      continue
    }
    if (message.role !== 'assistant') {
      turn = undefined
      history.push(message.role === 'system' ? { type: 'system', text: message.content } : { type: 'user', text: message.content })
      continue
    }
    if (turn === undefined) {
      turn = { type: 'model', response: [] }
      history.push(turn)
    }
    if (message.content !== null && message.content !== '') turn.response.push(message.content)
    for (const [index, { id, name, arguments: text }] of (message.toolCalls ?? []).entries()) {
      const call: ChatModelFunctionCall = { type: 'functionCall', name, params: jsonOr(text), result: undefined, startsNewChunk: index === 0 }
      calls.set(id, call)
      turn.response.push(call)
    }
  }
  return history
}

/** Functions in the library's form: their parameters as far as a grammar can say them. */
export function modelFunctions(tools: readonly ToolSpec[]): ChatModelFunctions {
  return Object.fromEntries(tools.map(({ name, description, parameters }) => [
    name, { ...(description === undefined ? {} : { description }), ...(parameters === undefined ? {} : { params: wholeSchema(grammarOf(parameters)) }) },
  ]))
}

function jsonOr(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
