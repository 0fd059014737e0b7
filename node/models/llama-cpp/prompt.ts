/** One call in the form that the model takes: a history, functions or a grammar, and how many tokens that is. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { ChatHistoryItem, ChatModelFunctions, ChatWrapper, LlamaModel, LlamaText, Token } from 'node-llama-cpp'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import type { ChatInput, ChatMessage } from '../../../protocols/models/schema.ts'
import { chatHistory, modelFunctions, requirePairs } from './conversation.ts'
import type { Grammar } from './grammar.ts'
import { grammarOf } from './grammar.ts'
import { inProtocol, toolProtocol } from './tool-protocol.ts'

export interface Draft {
  readonly history: readonly ChatHistoryItem[]
  /** Functions that the model calls in its own way. */
  readonly functions?: ChatModelFunctions
  /** The answer is JSON of it. */
  readonly grammar?: Grammar
  /** The grammar is that of the protocol for function calls. */
  readonly isProtocol: boolean
  /** Of the whole prompt, with the template's own tokens. */
  readonly text: LlamaText
}

export interface Prompt extends Draft {
  readonly tokens: readonly Token[]
}

export interface PromptContext {
  readonly name: string
  readonly contextTokens: number
  readonly model: LlamaModel
  readonly wrapper: ChatWrapper
  /** It was trained to call functions, and its template says how. */
  readonly callsFunctions: boolean
}

/** The default's way of writing a call is the library's own invention, which no model was trained for. */
export function callsFunctions(wrapper: ChatWrapper, defaults: ChatWrapper['settings']): boolean {
  return JSON.stringify(wrapper.settings.functions.call.prefix) !== JSON.stringify(defaults.functions.call.prefix)
}

/** @throws MeshError `bad-input` for messages, tools or a schema that cannot be used; `context-overflow` for what leaves no room for an answer. */
export function promptOf(context: PromptContext, input: ChatInput): Promise<Prompt> {
  return tokenised(context, draftOf(context, input))
}

/** The same prompt after an answer that does not do, and why. @throws as `promptOf`. */
export function promptAgain(context: PromptContext, { history, functions, grammar, isProtocol }: Prompt, answer: string, complaint: string): Promise<Prompt> {
  return tokenised(context, draft(context, [...history, { type: 'model', response: [answer] }, { type: 'user', text: complaint }], {
    isProtocol, ...(functions === undefined ? {} : { functions }), ...(grammar === undefined ? {} : { grammar }),
  }))
}

/** @throws MeshError `bad-input`. */
export function countPrompt(context: PromptContext, input: ChatInput): Promise<number> {
  return countTokens(context.model, draftOf(context, input).text)
}

function draftOf(context: PromptContext, input: ChatInput): Draft {
  requirePairs(input.messages)
  const hasTools = input.tools !== undefined && input.tools.length > 0 && input.toolChoice !== 'none'
  // What must be called, or must fit a schema if it is not a call, only a grammar can ensure.
  const isNative = hasTools && context.callsFunctions && (input.toolChoice ?? 'auto') === 'auto' && input.schema === undefined
  if (isNative) return draft(context, chatHistory(input.messages), { functions: modelFunctions(input.tools ?? []), isProtocol: false })

  const hasCalls = input.messages.some((message) => message.role === 'tool' || (message.role === 'assistant' && message.toolCalls !== undefined))
  if (!hasTools) {
    const history = chatHistory(hasCalls && !context.callsFunctions ? inProtocol(input.messages) : input.messages)
    return draft(context, history, { isProtocol: false, ...(input.schema === undefined ? {} : { grammar: grammarOf(input.schema) }) })
  }
  const { instructions, grammar } = toolProtocol(input)
  return draft(context, chatHistory(withInstructions(inProtocol(input.messages), instructions)), { grammar, isProtocol: true })
}

function draft({ wrapper }: PromptContext, history: readonly ChatHistoryItem[], rest: Omit<Draft, 'history' | 'text'>): Draft {
  // The library goes on with a turn of the model, and begins one where there is none.
  const whole: ChatHistoryItem[] = history.at(-1)?.type === 'model' ? [...history] : [...history, { type: 'model', response: [] }]
  const { contextText } = wrapper.generateContextState({ chatHistory: whole, documentFunctionParams: true, ...(rest.functions === undefined ? {} : { availableFunctions: rest.functions }) })
  return { history: whole, text: contextText, ...rest }
}

async function tokenised({ name, model, contextTokens }: PromptContext, draft: Draft): Promise<Prompt> {
  const countedTokens = await countTokens(model, draft.text)
  if (countedTokens >= contextTokens) {
    throw new MeshError('context-overflow', `the prompt has ${countedTokens} tokens, the context of the model "${name}" holds ${contextTokens}, prompt and answer together`, { next: 'shorten or split what is asked, or ask a model with a longer context' })
  }
  return { ...draft, tokens: draft.text.tokenize(model.tokenizer) }
}

/** Some 5 ms of work. */
const pieceCharacters = 8 * 1024

/**
 * The library tokenises a text in one go, and the node's loop stands still meanwhile: a long one is counted in pieces, which may make a token more of each.
 */
async function countTokens(model: LlamaModel, text: LlamaText): Promise<number> {
  const plain = text.values.filter((value) => typeof value === 'string')
  if (plain.reduce((sum, { length }) => sum + length, 0) <= pieceCharacters) return text.tokenize(model.tokenizer).length
  let counted = text.values.length - plain.length
  for (const part of plain) {
    for (let start = 0; start < part.length; start += pieceCharacters) {
      counted += model.tokenize(part.slice(start, start + pieceCharacters)).length
      await nextTurn()
    }
  }
  return counted
}

function withInstructions(messages: readonly ChatMessage[], instructions: string): ChatMessage[] {
  const [first, ...rest] = messages
  if (first?.role === 'system') return [{ role: 'system', content: `${first.content}\n\n${instructions}` }, ...rest]
  return [{ role: 'system', content: instructions }, ...messages]
}
