/** Tokens a second of a model that runs on a node, asked through another node's bridge, beside node-llama-cpp called directly. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import type OpenAI from 'openai'
import { slowModel, writeTinyGguf } from '../../tiny-gguf/model.ts'
import type { Collected } from '../figure.ts'
import { medianOf } from '../figure.ts'
import { whenInterrupted } from '../interrupted.ts'
import { cpuDuring } from '../process-cpu.ts'
import { repositoryRoot } from '../table.ts'
import { question, temperature } from './generation.ts'
import { type Generation, startDirectLlama } from './llama-direct.ts'
import { clientOf, served, startModelMesh } from './mesh.ts'

export interface SpeedOptions {
  readonly runs: number
  /** Of each answer. */
  readonly tokens: number
  /** A model whose tokens take no time, to see that it can be measured. */
  readonly tiny: boolean
  readonly profiles?: string
}

const shareLeast = 0.95
const modelName = 'bench'
const worker = 'worker'
const contextTokens = 1_024
/** It never ends an answer by itself. */
const endBias = -20

async function through(client: OpenAI, tokens: number, number: number): Promise<Generation> {
  const startedAtMs = performance.now()
  let firstMs: number | undefined
  let written = 0
  const stream = await client.chat.completions.create({ model: modelName, messages: [{ role: 'user', content: question(number) }], temperature, max_completion_tokens: tokens, stream: true, stream_options: { include_usage: true } })
  for await (const { choices: [choice], usage } of stream) {
    if ((choice?.delta.content ?? '') !== '') firstMs ??= performance.now() - startedAtMs
    written = usage?.completion_tokens ?? written
  }
  return { tokens: written, firstMs: firstMs ?? Number.NaN, allMs: performance.now() - startedAtMs }
}

export function versionOf(packageName: string): string {
  return (JSON.parse(readFileSync(join(repositoryRoot, 'node_modules', packageName, 'package.json'), 'utf8')) as { readonly version: string }).version
}

const perSecond = ({ tokens, allMs }: Generation): number => tokens / (allMs / 1_000)
const msPerToken = ({ tokens, firstMs, allMs }: Generation): number => (allMs - firstMs) / (tokens - 1)

export async function measureSpeed({ runs, tokens, tiny, profiles }: SpeedOptions, { figures, notes, versions }: Collected): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'skein-bench-model-'))
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  const forget = whenInterrupted(remove)
  try {
    const file = join(folder, `${modelName}.gguf`)
    await writeTinyGguf(file, { ...(tiny ? {} : slowModel), endBias })
    versions['node-llama-cpp'] = versionOf('node-llama-cpp')
    // As a node does it where nobody says otherwise.
    const threads = Math.max(1, availableParallelism() - 1)
    const direct = await startDirectLlama({ file, threads, contextTokens })
    const mesh = await startModelMesh([{ name: worker, config: { models: [{ file, name: modelName, slots: 1, contextTokens, threads }] } }], [], profiles).catch(async (thrown: unknown) => {
      await direct.stop()
      throw thrown
    })
    try {
      await served(mesh, modelName, 1)
      const client = clientOf(mesh)
      console.error('tokens: warming up …')
      await direct.generate(tokens, 0)
      await through(client, tokens, 0)
      const alone: Generation[] = []
      const meshed: Generation[] = []
      const nodes = mesh.living().map(({ name, child }) => ({ name, pid: child.pid ?? 0 }))
      const millis = { alone: [] as number[], meshed: [] as number[] }
      const askMesh = async (number: number): Promise<void> => {
        const { value, micros } = await cpuDuring(nodes, () => through(client, tokens, number))
        meshed.push(value)
        millis.meshed.push([...micros.values()].reduce((sum, one) => sum + one, 0) / 1_000 / tokens)
      }
      for (let run = 1; run <= runs; run++) {
        console.error(`tokens: run ${run} of ${runs} …`)
        // Each goes first every other time.
        if (run % 2 === 0) await askMesh(run)
        const { value, micros } = await cpuDuring([{ name: 'alone', pid: direct.pid }], () => direct.generate(tokens, run))
        alone.push(value)
        millis.alone.push((micros.get('alone') ?? Number.NaN) / 1_000 / tokens)
        if (run % 2 === 1) await askMesh(run)
      }
      const short = [...alone, ...meshed].find((generation) => generation.tokens < tokens)
      if (short !== undefined) throw new Error(`an answer had ${short.tokens} tokens of ${tokens}`)
      figures.push(
        { name: `an answer of ${tokens} tokens through the mesh`, unit: 'tokens/s', values: meshed.map(perSecond), against: [{ what: 'node-llama-cpp alone', value: medianOf(alone.map(perSecond)) }], beside: `target: at least ${shareLeast} ×` },
        { name: 'the same by node-llama-cpp alone', unit: 'tokens/s', values: alone.map(perSecond), beside: `${medianOf(alone.map(msPerToken)).toFixed(1)} ms a token` },
        { name: 'from the first token to the last, through the mesh', unit: 'ms/token', values: meshed.map(msPerToken), against: [{ what: 'node-llama-cpp alone', value: medianOf(alone.map(msPerToken)) }] },
        { name: 'processor time of a token, all nodes', unit: 'ms', values: millis.meshed, against: [{ what: 'node-llama-cpp alone', value: medianOf(millis.alone) }] },
      )
      notes.push(`tokens: one answer at a time, its prompt included, from the question to the end, by the openai SDK over the bridge of one node from a model on another, and by a LlamaChatSession in a process of its own; ${threads} ${threads === 1 ? 'thread' : 'threads'} each, in turn.`)
    } finally {
      await mesh.stop()
      await direct.stop()
    }
  } finally {
    remove()
    forget()
  }
}
