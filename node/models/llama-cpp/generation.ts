/** One answer, written by one sequence. */
import type { ChatModelFunctions, LlamaChatResponse, LlamaChatResponseFunctionCallParamsChunk, LlamaContextSequence, LlamaGrammar } from 'node-llama-cpp'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import type { ChatInput } from '../../../protocols/models/schema.ts'
import type { LlamaLibrary } from './library.ts'
import type { Prompt, PromptContext } from './prompt.ts'

export interface GenerationCall {
  readonly signal: AbortSignal
  readonly onText?: (text: string) => void
  readonly onCallPart?: (part: { readonly index: number; readonly name: string; readonly text: string }) => void
}

export interface Generated {
  readonly text: string
  readonly calls: readonly { readonly name: string; readonly arguments: string }[]
  readonly end: 'stop' | 'length'
  readonly promptTokens: number
  /** Of these, known to the sequence from before. */
  readonly cachedTokens: number
  readonly completionTokens: number
  /** Reading what was not known of the prompt, up to the first token of the answer. */
  readonly promptMs: number
  readonly answerMs: number
}

/** As llama.cpp's server does it, when the caller does not say. */
const temperatureDefault = 0.8
const minPDefault = 0.05
/** A call that was given up is noticed between two pieces of its prompt. */
const promptPieceTokens = 512

/**
 * @param grammar made of `prompt.grammar`. With one, stop strings are of no use: they would leave half a value.
 * @throws MeshError `context-overflow`; the signal's reason when it was aborted, also if part of the answer was written already.
 */
export async function generate(library: LlamaLibrary, { wrapper }: PromptContext, sequence: LlamaContextSequence, prompt: Prompt, input: ChatInput, grammar: LlamaGrammar | undefined, call: GenerationCall): Promise<Generated> {
  const { signal } = call
  const roomTokens = sequence.context.contextSize - prompt.tokens.length
  const startedMs = performance.now()
  const cachedTokens = await readPrompt(sequence, prompt, signal)

  let firstTokenMs: number | undefined
  const written: WithoutTail[] = []
  const before = sequence.tokenMeter.getState()
  const chat = new library.LlamaChat({ contextSequence: sequence, chatWrapper: wrapper, autoDisposeSequence: false })
  try {
    const response: LlamaChatResponse<ChatModelFunctions> = await chat.generateResponse([...prompt.history], {
      signal,
      maxTokens: Math.min(input.maxTokens ?? roomTokens, roomTokens),
      temperature: input.temperature ?? temperatureDefault,
      minP: minPDefault,
      ...(input.topP === undefined ? {} : { topP: input.topP }),
      ...(input.seed === undefined ? {} : { seed: input.seed }),
      repeatPenalty: false,
      // Thoughts are no part of the answer, but they are written as well.
      onResponseChunk: () => void (firstTokenMs ??= performance.now()),
      ...(call.onText === undefined ? {} : { onTextChunk: call.onText }),
      contextShift: { strategy: refuseToForget },
      ...(grammar !== undefined ? { grammar } : {
        ...(input.stop === undefined ? {} : { customStopTriggers: input.stop }),
        ...(prompt.functions === undefined ? {} : {
          functions: prompt.functions, documentFunctionParams: true,
          onFunctionCallParamsChunk: (chunk: LlamaChatResponseFunctionCallParamsChunk) => {
            firstTokenMs ??= performance.now()
            const text = (written[chunk.callIndex] ??= new WithoutTail()).add(chunk.paramsChunk)
            call.onCallPart?.({ index: chunk.callIndex, name: chunk.functionName, text })
          },
        }),
      }),
    })
    signal.throwIfAborted()
    const endedMs = performance.now()
    const used = sequence.tokenMeter.diff(before)
    return {
      text: response.response,
      calls: (response.functionCalls ?? []).map(({ functionName, params }, index) => ({ name: String(functionName), arguments: written[index]?.text || JSON.stringify(params ?? {}) })),
      end: response.metadata.stopReason === 'maxTokens' ? 'length' : 'stop',
      promptTokens: prompt.tokens.length,
      cachedTokens,
      completionTokens: used.usedOutputTokens,
      promptMs: (firstTokenMs ?? endedMs) - startedMs,
      answerMs: endedMs - (firstTokenMs ?? endedMs),
    }
  } finally {
    chat.dispose({ disposeSequence: false })
  }
}

/** The grammar lets a value be followed by blank lines, which belong to nobody. */
class WithoutTail {
  #tail = ''
  text = ''

  /** @returns what is certain to be part of the value by now. */
  add(piece: string): string {
    const whole = this.#tail + piece
    const certain = whole.trimEnd()
    this.#tail = whole.slice(certain.length)
    this.text += certain
    return certain
  }
}

/** All but the last token, which is the answer's first step. @returns how many the sequence knew. */
async function readPrompt(sequence: LlamaContextSequence, { tokens }: Prompt, signal: AbortSignal): Promise<number> {
  const wanted = tokens.slice(0, -1)
  await sequence.adaptStateToTokens(wanted, false)
  const cachedTokens = sequence.nextTokenIndex
  for (let start = cachedTokens; start < wanted.length; start += promptPieceTokens) {
    signal.throwIfAborted()
    await sequence.evaluateWithoutGeneratingNewTokens(wanted.slice(start, start + promptPieceTokens))
  }
  signal.throwIfAborted()
  return cachedTokens
}

/** The library would leave out the oldest messages; here nothing is ever cut silently. */
function refuseToForget(): never {
  throw new MeshError('context-overflow', 'the conversation has outgrown its context while the answer was written', { next: 'shorten or split what is asked, or ask a model with a longer context' })
}
