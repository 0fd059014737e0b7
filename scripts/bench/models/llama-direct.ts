/** node-llama-cpp called directly, in a process of its own: what the mesh is measured against. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { ended, nextReply } from '../child-reply.ts'
import { whenInterrupted } from '../interrupted.ts'
import { question, temperature } from './generation.ts'

export interface Generation {
  /** Of the answer. */
  readonly tokens: number
  /** From the question to the first piece of the answer. */
  readonly firstMs: number
  /** From the question to the end. */
  readonly allMs: number
}

export interface DirectLlama {
  readonly pid: number
  /** @param tokens of the answer. @param number of the question. */
  generate(tokens: number, number: number): Promise<Generation>
  stop(): Promise<void>
}

export interface DirectLlamaOptions {
  readonly file: string
  readonly threads: number
  readonly contextTokens: number
}

interface Wanted {
  readonly tokens: number
  readonly number: number
}

const patienceMs = 120_000
const who = 'node-llama-cpp'

/** @throws Error when it cannot be loaded, or does not take the file. */
export async function startDirectLlama(options: DirectLlamaOptions): Promise<DirectLlama> {
  const child = fork(fileURLToPath(import.meta.url), ['serve', JSON.stringify(options)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const forget = whenInterrupted(() => void child.kill('SIGKILL'))
  await nextReply<{ readonly ready: true }>(child, who, 'load the model', patienceMs)
  return {
    pid: child.pid ?? 0,
    generate(tokens, number) {
      child.send({ tokens, number } satisfies Wanted)
      return nextReply<Generation>(child, who, 'write an answer', patienceMs)
    },
    async stop() {
      await ended(child)
      forget()
    },
  }
}

/** As its documentation shows it, with the settings of `node/models/llama-cpp/`. */
async function serve({ file, threads, contextTokens }: DirectLlamaOptions): Promise<void> {
  const { getLlama, LlamaChatSession, LlamaLogLevel } = await import('node-llama-cpp')
  const llama = await getLlama({ gpu: 'auto', build: 'never', skipDownload: true, maxThreads: threads, logLevel: LlamaLogLevel.error, progressLogs: false })
  const model = await llama.loadModel({ modelPath: file })
  const context = await model.createContext({ sequences: 1, contextSize: contextTokens, threads })
  const sequence = context.getSequence()
  process.on('message', (said) => {
    const generate = async ({ tokens, number }: Wanted): Promise<Generation> => {
      await sequence.clearHistory()
      const session = new LlamaChatSession({ contextSequence: sequence, autoDisposeSequence: false })
      // Without the library's own system prompt, which a node does not send either.
      session.setChatHistory([])
      const before = sequence.tokenMeter.getState()
      const startedAtMs = performance.now()
      let firstMs: number | undefined
      await session.prompt(question(number), {
        maxTokens: tokens, temperature, minP: 0.05, repeatPenalty: false,
        onTextChunk: () => void (firstMs ??= performance.now() - startedAtMs),
      })
      const allMs = performance.now() - startedAtMs
      session.dispose({ disposeSequence: false })
      return { tokens: sequence.tokenMeter.diff(before).usedOutputTokens, firstMs: firstMs ?? Number.NaN, allMs }
    }
    generate(said as Wanted).then((generation) => process.send?.(generation), failed)
  })
  process.send?.({ ready: true })
}

function failed(thrown: unknown): void {
  process.send?.({ failed: thrown instanceof Error ? thrown.message : String(thrown) })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.once('disconnect', () => process.exit(0))
  serve(JSON.parse(process.argv[3] ?? '') as DirectLlamaOptions).catch(failed)
}
