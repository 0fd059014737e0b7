/**
 * The `LlmProvider` port on a GGUF file, run in this process by llama.cpp (through the optional package node-llama-cpp).
 *
 * @packageDocumentation
 * ```ts
 * const provider = await openLlamaCpp({ file: 'qwen3-4b-q4_k_m.gguf', sequences: 4 })
 * const { content, usage } = await provider.chat('qwen3-4b-q4_k_m', { messages: [{ role: 'user', content: 'Hello' }] }, { signal })
 * await provider.close()
 * ```
 */
import type { LlmProvider, ModelInfo } from '../../../actors/ports/llm-provider.ts'
import { MeshError, invariant } from '../../../protocols/kernel/errors.ts'
import type { ChatModel } from './chat.ts'
import { chatWith } from './chat.ts'
import type { EmbedModel } from './embedding.ts'
import { embedWith } from './embedding.ts'
import type { LlamaRuntimeOptions } from './library.ts'
import { createLlamaRuntime } from './library.ts'
import type { LoadedModel } from './loading.ts'
import { loadModel, requireFit } from './loading.ts'
import { freeRamBytes } from './memory.ts'
import { readModelFile } from './model-file.ts'
import { countPrompt } from './prompt.ts'
import type { ModelSpeed } from './speed.ts'

export interface LlamaCppOptions extends LlamaRuntimeOptions {
  readonly file: string
  /** Default the file's name without its ending. */
  readonly name?: string
  /** Calls at the same time. Default 2. */
  readonly sequences?: number
  /** Of each sequence, prompt and answer together. Default what the model was trained for, at most 8,192, for vectors 2,048. */
  readonly contextTokens?: number
  /** Default what the file says: one that pools is for vectors. */
  readonly does?: 'chat' | 'embed'
  /** Replaces what the system says of its memory. */
  readonly freeRamBytes?: () => number
}

export interface ModelAbout extends ModelInfo, ModelSpeed {
  readonly parameters: number
  readonly fileBytes: number
  /** Weights and context, as estimated before loading. */
  readonly memoryBytes: number
  /** Of all GPUs; 0 where the processors do the work. */
  readonly vramFreeBytes: number
  /** `cuda`, `vulkan`, `metal`; undefined where the processors do the work. */
  readonly gpu?: string
  readonly threads: number
}

export interface LlamaCppProvider extends LlmProvider {
  /** `prefixDigests` of the conversations that are in memory. */
  warmPrefixes(model: string): string[]
  about(model: string): Promise<ModelAbout>
}

const sequencesDefault = 2
const contextTokensDefault = 8_192
/** All of a text for a vector is read in one step, which takes memory for each of its tokens. */
const embedContextTokensDefault = 2_048

/**
 * Loads the model, after it has been looked at: whether it is one, and whether it fits.
 * @throws MeshError `not-available` without the package or a binary for this machine, `bad-request` for a file that is no model, `too-large` for one that does not fit.
 */
export async function openLlamaCpp(options: LlamaCppOptions): Promise<LlamaCppProvider> {
  const runtime = createLlamaRuntime(options)
  const opened = await runtime.open()
  const { llama } = opened
  const file = await readModelFile(opened.library, options.file)
  const name = options.name ?? file.name
  const does = options.does ?? file.does
  // The library reads texts for vectors one after the other.
  const sequences = does === 'embed' ? 1 : (options.sequences ?? sequencesDefault)
  const contextTokensMax = does === 'embed' ? embedContextTokensDefault : contextTokensDefault
  const contextTokens = options.contextTokens ?? Math.min(file.trainContextTokens ?? contextTokensMax, contextTokensMax)
  const wanted = { name, does, sequences, contextTokens, threads: runtime.threads }
  const memoryBytes = await requireFit(opened, file, wanted, options.freeRamBytes ?? freeRamBytes)
  const loaded = await loadModel(opened, file, wanted)

  const info: ModelInfo = {
    name, does, contextTokens: loaded.contextTokens, slots: sequences, inputUsdPerMillion: 0, outputUsdPerMillion: 0,
    ...(file.quantisation === undefined ? {} : { quantisation: file.quantisation }),
  }
  const closing = new AbortController()
  const underWay = new Set<Promise<unknown>>()
  let closed: Promise<void> | undefined

  /** Ends at once when the caller gives up, or the provider closes; the work itself ends a little later. */
  async function cancellable<T>(asked: string, does: 'chat' | 'embed', signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    requireModel(info, asked, does)
    const either = AbortSignal.any([signal, closing.signal])
    if (either.aborted) throw cancelled(closing.signal)
    const working = work(either)
    underWay.add(working)
    const over = (): void => void underWay.delete(working)
    void working.then(over, over)
    const gaveUp = Promise.withResolvers<never>()
    const giveUp = (): void => gaveUp.reject(cancelled(closing.signal))
    either.addEventListener('abort', giveUp, { once: true })
    try {
      return await Promise.race([working, gaveUp.promise])
    } catch (thrown) {
      if (either.aborted) throw cancelled(closing.signal)
      throw thrown instanceof MeshError ? thrown : new MeshError('provider-failed', `the model "${name}" failed: ${thrown instanceof Error ? thrown.message : String(thrown)}`, { next: 'try again; if it goes on, restart the node' })
    } finally {
      either.removeEventListener('abort', giveUp)
    }
  }

  return {
    origin: file.path,
    models: () => [info],
    async countTokens(asked, input) {
      requireModel(info, asked, 'chat')
      requireOpen(closing.signal)
      return countPrompt(chatModel(loaded), input)
    },
    chat: (asked, input, { signal, onDelta }) => cancellable(asked, 'chat', signal, (either) => chatWith(chatModel(loaded), input, {
      signal: either,
      ...(onDelta === undefined ? {} : { onDelta: (delta) => (either.aborted ? undefined : onDelta(delta)) }),
    })),
    embed: (asked, input, { signal }) => cancellable(asked, 'embed', signal, (either) => embedWith(embedModel(loaded), input, either)),
    warmPrefixes: (asked) => (asked === name && loaded.chat !== undefined ? loaded.chat.pool.warm() : []),
    async about(asked) {
      requireModel(info, asked, does)
      requireOpen(closing.signal)
      const vram = await llama.getVramState()
      return {
        ...info, ...loaded.chat?.speed.speed(),
        parameters: file.parameters, fileBytes: file.fileBytes, memoryBytes, vramFreeBytes: vram.free, threads: runtime.threads,
        ...(llama.gpu === false ? {} : { gpu: llama.gpu }),
      }
    },
    close() {
      closed ??= (async () => {
        closing.abort()
        await Promise.allSettled(underWay)
        await loaded.dispose()
      })()
      return closed
    },
  }
}

function chatModel({ chat }: LoadedModel): ChatModel {
  invariant(chat !== undefined, 'a model that chats has what it takes')
  return chat
}

function embedModel({ embed }: LoadedModel): EmbedModel {
  invariant(embed !== undefined, 'a model for vectors has what it takes')
  return embed
}

function requireModel(info: ModelInfo, asked: string, does: 'chat' | 'embed'): void {
  if (asked !== info.name) throw new MeshError('bad-input', `the model "${asked}" is not here; here is "${info.name}"`, { next: `ask for "${info.name}", or leave the model to the mesh` })
  if (does !== info.does) throw new MeshError('bad-input', `the model "${info.name}" is ${info.does === 'embed' ? 'for vectors and does not chat' : 'for chats and makes no vectors'}`, { next: 'ask for another model; which there are says skein models' })
}

function requireOpen(closing: AbortSignal): void {
  if (closing.aborted) throw cancelled(closing)
}

function cancelled(closing: AbortSignal): MeshError {
  return closing.aborted ? new MeshError('cancelled', 'the model was closed', { next: 'ask another node' }) : new MeshError('cancelled', 'the call was cancelled')
}
