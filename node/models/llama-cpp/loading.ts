/** From a file that was looked at to a model that answers. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Llama, LlamaModel } from 'node-llama-cpp'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import type { ChatModel } from './chat.ts'
import type { EmbedModel } from './embedding.ts'
import { createGrammarCache } from './grammar-cache.ts'
import type { LlamaLibrary, OpenedLibrary } from './library.ts'
import { inUnits, requireMemory } from './memory.ts'
import type { ModelFile } from './model-file.ts'
import { requireWhole } from './model-file.ts'
import { callsFunctions } from './prompt.ts'
import { SequencePool } from './sequence-pool.ts'
import { createSpeedMeter } from './speed.ts'

export interface WantedModel {
  readonly name: string
  readonly does: 'chat' | 'embed'
  readonly sequences: number
  /** Of each sequence. */
  readonly contextTokens: number
  readonly threads: number
}

export interface LoadedModel {
  /** As it is: rounded up to what llama.cpp can address. */
  readonly contextTokens: number
  readonly chat?: ChatModel
  readonly embed?: EmbedModel
  dispose(): Promise<void>
}

/**
 * Nothing is loaded for this: the library's estimate of weights and context against what is free.
 * @returns that estimate, in bytes. @throws MeshError `too-large`; `bad-request` for a file that is cut off.
 */
export async function requireFit({ library, llama }: OpenedLibrary, file: ModelFile, { name, does, sequences, contextTokens }: WantedModel, freeRamBytes: () => number): Promise<number> {
  const insights = await library.GgufInsights.from(file.info, llama)
  requireWhole(file, insights.modelSize)
  const [model, context] = await Promise.all([
    insights.estimateModelResourceRequirementsV2({ gpuLayers: 0 }),
    insights.estimateContextResourceRequirementsV2({ contextSize: contextTokens, sequences, modelGpuLayers: 0, ...(does === 'embed' ? { isEmbeddingContext: true, batchSize: contextTokens } : {}) }),
  ])
  const need = { modelBytes: model.cpuRam + model.gpuVram, contextBytes: context.cpuRam + context.gpuVram }
  const vram = await llama.getVramState()
  requireMemory(name, need, { ramBytes: freeRamBytes(), vramBytes: Math.max(0, vram.free - vram.unifiedSize) })
  return need.modelBytes + need.contextBytes
}

/** @throws MeshError `bad-request` when llama.cpp does not take the file, `too-large` when the memory has gone since it was looked at. */
export async function loadModel({ library, llama, complaint }: OpenedLibrary, file: ModelFile, wanted: WantedModel): Promise<LoadedModel> {
  let model: LlamaModel | undefined
  try {
    model = await llama.loadModel({ modelPath: file.path, gpuLayers: llama.gpu === false ? 0 : { fitContext: { contextSize: wanted.contextTokens * wanted.sequences } } })
    return wanted.does === 'chat' ? await chatting(library, llama, model, wanted) : await embedding(model, wanted)
  } catch (thrown) {
    await model?.dispose()
    // What llama.cpp says comes a little later than what the library throws.
    await nextTurn()
    if (thrown instanceof library.InsufficientMemoryError) throw new MeshError('too-large', `the model "${wanted.name}" (${inUnits(file.fileBytes)}) does not fit the memory: ${thrown.message}`, { next: 'give it fewer sequences or a shorter context, or take a smaller quantisation' })
    throw new MeshError('bad-request', `llama.cpp does not load the file ${file.path}: ${complaint() ?? (thrown instanceof Error ? thrown.message : String(thrown))}`, { next: 'see whether the file is whole and of an architecture that this release of node-llama-cpp knows' })
  }
}

async function chatting(library: LlamaLibrary, llama: Llama, model: LlamaModel, { name, sequences, contextTokens, threads }: WantedModel): Promise<LoadedModel> {
  // What was asked for, or nothing: a context must not be smaller than its advert says.
  const context = await model.createContext({ sequences, contextSize: contextTokens, threads, failedCreationRemedy: false })
  const wrapper = library.resolveChatWrapper(model, { warningLogs: false })
  const pool = new SequencePool(Array.from({ length: sequences }, () => context.getSequence()))
  return {
    contextTokens: context.contextSize,
    chat: {
      name, contextTokens: context.contextSize, library, llama, model, wrapper, pool,
      callsFunctions: callsFunctions(wrapper, library.ChatWrapper.defaultSettings),
      grammars: createGrammarCache(llama), speed: createSpeedMeter(),
    },
    async dispose() {
      await context.dispose()
      await model.dispose()
    },
  }
}

async function embedding(model: LlamaModel, { name, contextTokens, threads }: WantedModel): Promise<LoadedModel> {
  // A vector is of what was read in one step: the whole text, or it would be of its end only.
  const context = await model.createEmbeddingContext({ contextSize: contextTokens, batchSize: contextTokens, threads })
  return {
    contextTokens,
    embed: { name, contextTokens, model, context },
    async dispose() {
      await context.dispose()
      await model.dispose()
    },
  }
}
