/** What the mesh adds to the time of its models: many calls of 50 ms at once, on workers with so many places each. */
import type { MissionRequestInput } from '../../../node/http/client.ts'
import type { MissionId } from '../../../protocols/kernel/ids.ts'
import type { Acknowledgement } from '../../../protocols/tasking/schema.ts'
import { medianOf } from '../figure.ts'
import type { Collected } from '../figure.ts'
import { until } from '../replication/figures.ts'
import type { BenchMesh } from '../replication/nodes.ts'
import { type NamedProcess, cpuDuring } from '../process-cpu.ts'
import { ended } from '../tasks/skein.ts'
import { type BenchEndpoint, slowAnswer, slowMs, slowName } from './endpoint.ts'
import { bridgeName, openAiClient, served, startModelMesh } from './mesh.ts'

export interface OverheadOptions {
  readonly acknowledgements: readonly Acknowledgement[]
  readonly runs: number
  /** In each run. */
  readonly calls: number
  readonly profiles?: string
}

const workers = ['worker-1', 'worker-2']
const placesEach = 10
const places = placesEach * workers.length
const overheadMost = 0.05
/** Missions that are not counted: until a worker has served some hundreds of calls, its code is not compiled and one takes it three times as long. */
const warmUps = 10
const messages = [{ role: 'user' as const, content: 'What does a goose say?' }]

/** Where the time of a mission went, in milliseconds. */
interface Taken {
  readonly allMs: number
  readonly toFirstAwardMs: number
  /** From the first award to the last acceptance. */
  readonly callsMs: number
}

async function mission(mesh: BenchMesh, calls: number, acknowledgement: Acknowledgement): Promise<Taken> {
  const { client } = mesh.node(bridgeName)
  const plan = { tasks: Object.fromEntries(Array.from({ length: calls }, (_, index) => [`call-${index + 1}`, { capability: 'llm.chat', input: { model: slowName, messages } }])), limits: { leavesMax: calls } }
  const startedAtMs = performance.now()
  const { id } = await client.submit({ plan, acknowledgement } as MissionRequestInput)
  let submittedAtMs = Number.NaN
  let awardedAtMs: number | undefined
  let acceptedAtMs = Number.NaN
  for await (const news of client.watch(id)) {
    if (news.type === 'end' && news.state !== 'completed') await ended(client, id)
    if (news.type !== 'event') continue
    const { event } = news
    if (event.type === 'submitted') submittedAtMs = event.atWallMs
    else if (event.type === 'awarded' && event.award.taskId !== 'root') awardedAtMs ??= event.atWallMs
    else if (event.type === 'accepted' && event.taskId !== 'root') acceptedAtMs = event.atWallMs
  }
  const allMs = performance.now() - startedAtMs
  await checkResults(mesh, id, calls)
  return { allMs, toFirstAwardMs: (awardedAtMs ?? Number.NaN) - submittedAtMs, callsMs: acceptedAtMs - (awardedAtMs ?? Number.NaN) }
}

/** @throws Error unless every call has its answer. */
async function checkResults(mesh: BenchMesh, id: MissionId, calls: number): Promise<void> {
  const { result } = await mesh.node(bridgeName).client.result(id)
  const answers = Object.values((result ?? {}) as Record<string, { readonly content?: unknown }>)
  if (answers.length !== calls || answers.some(({ content }) => content !== slowAnswer)) throw new Error(`${id} has ${answers.length} answers of ${calls}, or wrong ones`)
}

/** The same calls without a mesh, as many at a time. @returns milliseconds. */
async function directly({ url }: BenchEndpoint, calls: number): Promise<number> {
  const client = openAiClient(url)
  let left = calls
  const startedAtMs = performance.now()
  await Promise.all(Array.from({ length: places }, async () => {
    while (left > 0) {
      left -= 1
      const { choices: [choice] } = await client.chat.completions.create({ model: slowName, messages })
      if (choice?.message.content !== slowAnswer) throw new Error(`the endpoint has answered ${JSON.stringify(choice)}`)
    }
  }))
  return performance.now() - startedAtMs
}

/** A mission is kept by all of them, as the levels of acknowledgement are meant to be compared. */
async function keptByThree(mesh: BenchMesh): Promise<void> {
  const { client } = mesh.node(bridgeName)
  await until('that a mission is kept by three nodes', async () => {
    const { id } = await client.submit({ plan: { tasks: { only: { capability: 'llm.chat', input: { model: slowName, messages } } } } } as MissionRequestInput)
    const { members = [] } = await ended(client, id)
    return members.filter(({ votes }) => votes).length >= 3 ? true : undefined
  }, 120_000)
}

function sumOf(micros: ReadonlyMap<string, number>): number {
  return [...micros.values()].reduce((sum, one) => sum + one, 0)
}

export async function measureOverhead(endpoint: BenchEndpoint, { acknowledgements, runs, calls, profiles }: OverheadOptions, { figures, notes }: Collected): Promise<void> {
  const config = { endpoints: [{ name: 'bench', url: endpoint.url, models: [slowName], slots: placesEach }] }
  const mesh = await startModelMesh(workers.map((name) => ({ name, config })), [], profiles)
  const idealMs = Math.ceil(calls / places) * slowMs
  const name = `${calls} calls of ${slowMs} ms`
  try {
    await served(mesh, slowName, workers.length)
    await keptByThree(mesh)
    console.error('warming up …')
    for (let round = 0; round < warmUps; round++) {
      await directly(endpoint, calls)
      await mission(mesh, calls, 'ephemeral')
    }
    const limitsMs: number[] = []
    const limitsMicros: number[] = []
    const endpointProcess = { name: 'endpoint', pid: endpoint.pid }
    const alone: NamedProcess[] = [{ name: 'client', pid: process.pid }, endpointProcess]
    const meshed: NamedProcess[] = [...alone, ...mesh.living().map(({ name: node, child }) => ({ name: node === bridgeName ? node : 'workers', pid: child.pid ?? 0 }))]
    for (const acknowledgement of acknowledgements) {
      console.error(`${acknowledgement}: warming up …`)
      await mission(mesh, calls, acknowledgement)
      const taken: Taken[] = []
      const besideMs: number[] = []
      const micros: number[] = []
      const microsOf: string[] = []
      for (let run = 1; run <= runs; run++) {
        console.error(`${acknowledgement}: run ${run} of ${runs} …`)
        const limit = await cpuDuring(alone, () => directly(endpoint, calls))
        besideMs.push(limit.value)
        limitsMicros.push(sumOf(limit.micros) / calls)
        const used = await cpuDuring(meshed, () => mission(mesh, calls, acknowledgement))
        taken.push(used.value)
        micros.push(sumOf(used.micros) / calls)
        microsOf.push([...used.micros].map(([who, spent]) => `${who} ${Math.round(spent / calls)}`).join(', '))
      }
      limitsMs.push(...besideMs)
      const against = [{ what: 'ideal', value: idealMs }, { what: `the SDK alone, ${places} at a time`, value: medianOf(besideMs) }]
      figures.push(
        { name: `${acknowledgement}: a mission of ${name}, ${placesEach} places on each of two workers`, unit: 'ms', values: taken.map(({ allMs }) => allMs), against, beside: `target: at most ${(1 + overheadMost) * idealMs}` },
        { name: 'of the same: until the first award', unit: 'ms', values: taken.map(({ toFirstAwardMs }) => toFirstAwardMs) },
        { name: 'of the same: from the first award to the last acceptance', unit: 'ms', values: taken.map(({ callsMs }) => callsMs), against },
        { name: 'of the same: processor time of a call, all processes', unit: 'µs', values: micros, beside: microsOf.at(-1) ?? '' },
      )
    }
    figures.push(
      { name: `${name} by the SDK alone, ${places} at a time`, unit: 'ms', values: limitsMs, against: [{ what: 'ideal', value: idealMs }] },
      { name: 'of the same: processor time of a call, client and endpoint', unit: 'µs', values: limitsMicros },
    )
    notes.push(`overhead: from the POST of a plan until its end is heard, every answer checked; ideal is ${Math.ceil(calls / places)} times ${slowMs} ms. The models are one scripted endpoint, whose own slowness is in both.`)
  } finally {
    await mesh.stop()
  }
}
