/** `node-llama-cpp` is a large package that not every node needs: it is looked for when the first model file is opened. */
import { availableParallelism } from 'node:os'
import type * as LibraryModule from 'node-llama-cpp'
import type { Llama } from 'node-llama-cpp'
import { MeshError } from '../../../protocols/kernel/errors.ts'

export type LlamaLibrary = typeof LibraryModule

export const llamaPackage = 'node-llama-cpp'

/** By a variable, so that neither the bundler nor a node without local models misses it. */
export type ImportLibrary = (name: string) => Promise<unknown>
const importPackage: ImportLibrary = (name) => import(name)

export interface LlamaRuntimeOptions {
  /** `auto`: the best that this machine has. `false`: processors only. Default `auto`. */
  readonly gpu?: 'auto' | 'cuda' | 'vulkan' | 'metal' | false
  /** Default all processors but one, for the node's own loop. */
  readonly threads?: number
  readonly importLibrary?: ImportLibrary
}

/** What all models of one process share: the library, its binary, and the threads. */
export interface LlamaRuntime {
  /** For one model; all together get as many as the greediest asked for. */
  readonly threads: number
  /** @throws MeshError `not-available` when the package, or a binary for this machine, is not there. */
  open(): Promise<OpenedLibrary>
}

export interface OpenedLibrary {
  readonly library: LlamaLibrary
  readonly llama: Llama
  /** What llama.cpp has complained of last, for the errors that the library throws without a reason. */
  complaint(): string | undefined
}

/**
 * llama.cpp has one backend for the whole process, and once freed it never comes back: whoever disposed of it would take it from all others. So it is opened
 * once and goes with the process; what models and their contexts take is freed when they are closed.
 */
const opened = new Map<string, Promise<OpenedLibrary>>()

export function createLlamaRuntime({ gpu = 'auto', threads = Math.max(1, availableParallelism() - 1), importLibrary }: LlamaRuntimeOptions = {}): LlamaRuntime {
  return {
    threads,
    async open() {
      if (importLibrary !== undefined) return openLibrary(gpu, threads, importLibrary)
      const key = String(gpu)
      const opening = opened.get(key) ?? openLibrary(gpu, threads, importPackage)
      opened.set(key, opening)
      try {
        const found = await opening
        found.llama.maxThreads = Math.max(found.llama.maxThreads, threads)
        return found
      } catch (thrown) {
        // The package may be there the next time.
        opened.delete(key)
        throw thrown
      }
    },
  }
}

async function openLibrary(gpu: NonNullable<LlamaRuntimeOptions['gpu']>, threads: number, importLibrary: ImportLibrary): Promise<OpenedLibrary> {
  const library = await loadLibrary(importLibrary)
  let complaint: string | undefined
  const logger = (_level: string, message: string): void => {
    // Its last words only say that it failed.
    if (message.trim() !== '' && !/failed to load model$/i.test(message.trim())) complaint = message.trim()
  }
  try {
    const llama = await library.getLlama({ gpu, build: 'never', skipDownload: true, maxThreads: threads, logLevel: library.LlamaLogLevel.error, progressLogs: false, logger })
    return { library, llama, complaint: () => complaint }
  } catch (thrown) {
    const withGpu = gpu === 'auto' || gpu === false ? '' : ` with ${gpu}`
    throw new MeshError('not-available', `${llamaPackage} has no binary that works on this machine${withGpu}: ${thrown instanceof Error ? thrown.message : String(thrown)}`, {
      next: `look at what \`npx --no ${llamaPackage} inspect gpu\` says, or serve the model with another program and name its address (SKEIN_LLM_URL)`,
    })
  }
}

async function loadLibrary(importLibrary: ImportLibrary): Promise<LlamaLibrary> {
  try {
    return (await importLibrary(llamaPackage)) as LlamaLibrary
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown)
    const isAbsent = thrown instanceof Error && 'code' in thrown && thrown.code === 'ERR_MODULE_NOT_FOUND' && message.includes(llamaPackage)
    throw new MeshError('not-available', isAbsent ? `model files need the package ${llamaPackage}, which is not installed` : `the package ${llamaPackage} cannot be loaded: ${message}`, { next: `npm install ${llamaPackage}` })
  }
}
