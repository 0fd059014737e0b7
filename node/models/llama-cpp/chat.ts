/** A whole call of `chat`: prompt, sequence, answer, check, and one more try where a grammar could not say all that was asked. */
import { randomUUID } from 'node:crypto'
import type { Llama, LlamaGrammar } from 'node-llama-cpp'
import type { LlmCall } from '../../../actors/ports/llm-provider.ts'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import { prefixDigests } from '../../../protocols/models/prefixes.ts'
import type { ChatInput, ChatMessage, ChatOutput, ToolCall } from '../../../protocols/models/schema.ts'
import { AnswerStream } from './answer-stream.ts'
import type { Generated } from './generation.ts'
import { generate } from './generation.ts'
import type { GrammarCache } from './grammar-cache.ts'
import { jsonCheck } from './json-check.ts'
import type { LlamaLibrary } from './library.ts'
import type { Prompt, PromptContext } from './prompt.ts'
import { promptAgain, promptOf } from './prompt.ts'
import type { Lease, SequencePool } from './sequence-pool.ts'
import type { SpeedMeter } from './speed.ts'
import { readToolAnswer } from './tool-protocol.ts'

export interface ChatModel extends PromptContext {
  readonly library: LlamaLibrary
  readonly llama: Llama
  readonly pool: SequencePool
  readonly grammars: GrammarCache
  readonly speed: SpeedMeter
}

/** In the port's terms. */
type Answer = Pick<ChatOutput, 'content' | 'toolCalls' | 'finish'>

export async function chatWith(model: ChatModel, input: ChatInput, call: LlmCall): Promise<ChatOutput> {
  call.signal.throwIfAborted()
  const check = input.schema === undefined ? undefined : jsonCheck(input.schema)
  const prompt = await promptOf(model, input)
  const grammar = prompt.grammar === undefined ? undefined : await model.grammars.get(prompt.grammar)
  const lease = await model.pool.take(model.name, prompt.tokens, call.signal)
  const abandon = (): void => lease.abandon()
  call.signal.addEventListener('abort', abandon, { once: true })
  try {
    call.signal.throwIfAborted()
    const output = await answered(model, lease, prompt, grammar, input, check, call)
    const said: ChatMessage = { role: 'assistant', content: output.content, ...(output.toolCalls.length === 0 ? {} : { toolCalls: output.toolCalls }) }
    lease.remember(prefixDigests({ messages: [...input.messages, said], ...(input.tools === undefined ? {} : { tools: input.tools }) }))
    return output
  } finally {
    call.signal.removeEventListener('abort', abandon)
    lease.release()
  }
}

async function answered(model: ChatModel, { sequence }: Lease, prompt: Prompt, grammar: LlamaGrammar | undefined, input: ChatInput, check: ((text: string) => string | undefined) | undefined, call: LlmCall): Promise<ChatOutput> {
  // An answer that may be thrown away is told when it is known to be good.
  const isCertain = check === undefined || prompt.grammar?.exact === true
  let current = prompt
  let usage = { promptTokens: 0, cachedTokens: 0, completionTokens: 0, costUsd: 0 }
  for (let attempt = 1; ; attempt++) {
    const listening = isCertain && call.onDelta !== undefined ? new Listening(prompt.isProtocol, call.onDelta) : undefined
    const generated = await generate(model.library, model, sequence, current, input, grammar, {
      signal: call.signal,
      ...(listening === undefined ? {} : { onText: (text) => listening.text(text), onCallPart: (part) => listening.callPart(part) }),
    })
    model.speed.record(generated)
    usage = {
      promptTokens: usage.promptTokens + generated.promptTokens, cachedTokens: usage.cachedTokens + generated.cachedTokens,
      completionTokens: usage.completionTokens + generated.completionTokens, costUsd: 0,
    }
    const answer = answerOf(generated, prompt.isProtocol, listening)
    const problem = problemOf(answer, generated, prompt, check)
    if (problem === undefined) {
      if (listening !== undefined) listening.end(answer)
      else if (call.onDelta !== undefined) tellWhole(answer, call.onDelta)
      // What fits is whole, even if the limit was reached with it.
      return { model: model.name, ...answer, ...(check !== undefined && answer.finish === 'length' ? { finish: 'stop' } : {}), usage }
    }
    if (attempt === 2 || isCertain || generated.end === 'length') throw new MeshError('bad-output', `the model "${model.name}" answered what does not fit the schema${attempt === 2 ? ', twice' : ''}: ${problem}`, { next: generated.end === 'length' ? 'allow it more tokens (maxTokens), or ask for a smaller answer' : 'describe in the prompt what the answer has to look like, or ask a more capable model' })
    current = await promptAgain(model, current, generated.text, `That does not fit: ${problem}. Answer again, as JSON that fits.`)
  }
}

function answerOf(generated: Generated, isProtocol: boolean, listening: Listening | undefined): Answer {
  const cut = generated.end === 'length'
  if (isProtocol) {
    const said = readToolAnswer(generated.text)
    if (said?.type === 'call') return { content: null, toolCalls: [{ id: listening?.idOf(0) ?? callId(), name: said.name, arguments: said.arguments }], finish: 'tool-calls' }
    if (said?.type === 'answer') return { content: said.content, toolCalls: [], finish: 'stop' }
    const stream = new AnswerStream()
    stream.add(generated.text)
    return { content: stream.text, toolCalls: [], finish: 'length' }
  }
  const toolCalls: ToolCall[] = generated.calls.map((made, index) => ({ id: listening?.idOf(index) ?? callId(), ...made }))
  const finish = toolCalls.length > 0 ? 'tool-calls' : cut ? 'length' : 'stop'
  return { content: generated.text === '' && toolCalls.length > 0 ? null : generated.text, toolCalls, finish }
}

function problemOf(answer: Answer, generated: Generated, prompt: Prompt, check: ((text: string) => string | undefined) | undefined): string | undefined {
  const cut = `it was cut off after ${generated.completionTokens} tokens`
  // A call that was cut off is none; half an answer in words is one.
  if (prompt.isProtocol && answer.finish === 'length' && (check !== undefined || answer.content === '')) return cut
  if (check === undefined || answer.toolCalls.length > 0) return undefined
  const problem = check(answer.content ?? '')
  return problem === undefined ? undefined : generated.end === 'length' ? cut : problem
}

/** Passes on what is written while it is written. */
class Listening {
  readonly #isProtocol: boolean
  readonly #onDelta: NonNullable<LlmCall['onDelta']>
  readonly #stream = new AnswerStream()
  readonly #ids: string[] = []
  /** The arguments of each call, as far as they were told. */
  readonly #calls: string[] = []
  #told = ''

  constructor(isProtocol: boolean, onDelta: NonNullable<LlmCall['onDelta']>) {
    this.#isProtocol = isProtocol
    this.#onDelta = onDelta
  }

  text(text: string): void {
    const known = this.#isProtocol ? this.#stream.add(text) : text
    if (known === '') return
    this.#told += known
    this.#onDelta({ content: known })
  }

  callPart({ index, name, text }: { readonly index: number; readonly name: string; readonly text: string }): void {
    const isFirst = this.#calls[index] === undefined
    this.#calls[index] = (this.#calls[index] ?? '') + text
    if (isFirst || text !== '') this.#onDelta({ toolCall: { index, ...(isFirst ? { id: this.idOf(index), name } : {}), arguments: text } })
  }

  idOf(index: number): string {
    return (this.#ids[index] ??= callId())
  }

  /** Tells what could only be known at the end. */
  end({ content, toolCalls }: Answer): void {
    const rest = content !== null && content.startsWith(this.#told) ? content.slice(this.#told.length) : ''
    if (rest !== '') this.#onDelta({ content: rest })
    for (const [index, call] of toolCalls.entries()) this.callPart({ index, name: call.name, text: call.arguments.slice(this.#calls[index]?.length ?? 0) })
  }
}

function tellWhole({ content, toolCalls }: Answer, onDelta: NonNullable<LlmCall['onDelta']>): void {
  if (content !== null && content !== '') onDelta({ content })
  for (const [index, call] of toolCalls.entries()) onDelta({ toolCall: { index, ...call } })
}

function callId(): string {
  return `call_${randomUUID().replaceAll('-', '').slice(0, 24)}`
}
