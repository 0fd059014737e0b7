/** What the mesh adds until the first token: the bridge on one node, the model on another, the official client before both. */
import type OpenAI from 'openai'
import type { Collected } from '../figure.ts'
import { medianOf, quantileOf } from '../figure.ts'
import { type BenchEndpoint, instantName } from './endpoint.ts'
import { clientOf, openAiClient, served, startModelMesh } from './mesh.ts'

export interface FirstTokenOptions {
  readonly runs: number
  /** In each run, by each way. */
  readonly requests: number
  readonly profiles?: string
}

const addedMsMost = 5
const worker = 'worker'

/** @returns milliseconds until the first piece of the answer. */
export async function toFirstToken(client: OpenAI, model: string): Promise<number> {
  const startedAtMs = performance.now()
  let firstMs: number | undefined
  const stream = await client.chat.completions.create({ model, messages: [{ role: 'user', content: 'Why do geese fly in a V?' }], stream: true })
  // To its end, so that nothing of it is left for the next.
  for await (const { choices: [choice] } of stream) if (firstMs === undefined && (choice?.delta.content ?? '') !== '') firstMs = performance.now() - startedAtMs
  if (firstMs === undefined) throw new Error(`${model} has answered nothing`)
  return firstMs
}

const shares = { p50: 0.5, p95: 0.95 } as const

export async function measureFirstToken(endpoint: BenchEndpoint, { runs, requests, profiles }: FirstTokenOptions, { figures, notes }: Collected): Promise<void> {
  const mesh = await startModelMesh([{ name: worker, config: { endpoints: [{ name: 'bench', url: endpoint.url, models: [instantName], slots: 10 }] } }], [], profiles)
  try {
    await served(mesh, instantName, 1)
    const direct = openAiClient(endpoint.url)
    const through = clientOf(mesh)
    const both = async (times: number): Promise<{ directMs: number[]; throughMs: number[] }> => {
      const directMs: number[] = []
      const throughMs: number[] = []
      // In turn, so that whatever else the machine does meets both.
      for (let time = 0; time < times; time++) {
        directMs.push(await toFirstToken(direct, instantName))
        throughMs.push(await toFirstToken(through, instantName))
      }
      return { directMs, throughMs }
    }
    console.error('first token: warming up …')
    await both(requests)
    const measured = { direct: { p50: [] as number[], p95: [] as number[] }, through: { p50: [] as number[], p95: [] as number[] } }
    for (let run = 1; run <= runs; run++) {
      console.error(`first token: run ${run} of ${runs} …`)
      const { directMs, throughMs } = await both(requests)
      for (const share of ['p50', 'p95'] as const) {
        measured.direct[share].push(quantileOf(directMs, shares[share]))
        measured.through[share].push(quantileOf(throughMs, shares[share]))
      }
    }
    for (const share of ['p50', 'p95'] as const) {
      const directMs = measured.direct[share]
      figures.push(
        { name: `first token through the mesh, ${share}`, unit: 'ms', values: measured.through[share], against: [{ what: 'the endpoint asked directly', value: medianOf(directMs) }] },
        { name: `the same, added by the mesh, ${share}`, unit: 'ms', values: measured.through[share].map((ms, run) => ms - (directMs[run] ?? Number.NaN)), beside: `target: under ${addedMsMost}` },
      )
    }
    notes.push(`first token: ${requests} streamed chats a run by each way, one at a time and in turn, by the openai SDK; the bridge and the model are on two nodes, and the model is an endpoint that answers at once, asked by its node with the SDK as well.`)
  } finally {
    await mesh.stop()
  }
}
