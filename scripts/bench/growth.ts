/**
 * Whether a task costs more in a mesh that has grown: with more capabilities, with more finished missions in the stores, with more nodes. Printed, not asserted.
 *
 * `npm run bench:growth [-- --only capabilities,missions,tasks,nodes] [--runs 3] [--tasks 1000] [--capabilities 1,100,1000] [--finished 1000,10000,100000] [--finished-tasks 1000,100000,1000000] [--nodes 20]
 * [--settle 30] [--profiles DIR] [--json]`. `missions`: of few tasks, archived in a record; `tasks`: finished ones in missions of a thousand, whose archives are files of 4 MB: 4 GB in all for a million.
 * `--settle`: seconds between a mesh's start and the measurement, in which a node tells the others what it offers.
 * `nodes` (twenty real nodes on this machine) is measured only when it is named. `--profiles`: each node leaves a profile of its processor time in DIR/SIZE.
 */
import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { MeshClient, MissionRequestInput } from '../../node/http/client.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { type Collected, medianOf, numberOf, quantileOf, reportOf } from './figure.ts'
import { cpuDuring } from './process-cpu.ts'
import type { BenchMesh } from './replication/nodes.ts'
import { measureNames, measureTasks } from './tasks/measure.ts'
import { type SkeinOptions, startSkein } from './tasks/skein.ts'
import { capabilitiesLeast } from './tasks/skills.ts'
import { taskInput } from './tasks/system.ts'

const parts = ['capabilities', 'missions', 'tasks', 'nodes'] as const
const { values: flags } = parseArgs({
  options: {
    only: { type: 'string', default: 'capabilities,missions,tasks' }, runs: { type: 'string', default: '3' }, tasks: { type: 'string', default: '1000' },
    capabilities: { type: 'string', default: '1,100,1000' }, finished: { type: 'string', default: '1000,10000,100000' }, 'finished-tasks': { type: 'string', default: '1000,100000,1000000' }, nodes: { type: 'string', default: '20' }, settle: { type: 'string', default: '30' }, profiles: { type: 'string' }, json: { type: 'boolean', default: false },
  },
})
const wanted = flags.only.split(',')
const unknown = wanted.find((name) => !parts.some((part) => part === name))
if (unknown !== undefined) throw new Error(`--only names "${unknown}"; there are ${parts.join(', ')}`)
const runs = numberOf('runs', flags.runs)
const tasks = numberOf('tasks', flags.tasks)
const numbersOf = (name: string, list: string): number[] => list.split(',').map((one) => numberOf(name, one))
const idleMs = 20_000
/** So many have a 99th percentile. */
const announcementsMin = 100
const say = (text: string): void => console.error(`${text} …`)
const count = (value: number): string => value.toLocaleString('en-US')

function profilesFolder(name: string): string {
  const folder = resolve(flags.profiles ?? '.', name)
  mkdirSync(folder, { recursive: true })
  return folder
}

async function settle(name: string): Promise<void> {
  say(`${name}: ${flags.settle} s of rest`)
  await sleep(numberOf('settle', flags.settle) * 1_000)
}

/** One mesh of each size, and the cost of a task in each beside that in the smallest. */
async function measureSizes({ figures }: Collected, what: string, sizes: readonly number[], optionsOf: (size: number) => SkeinOptions): Promise<void> {
  let smallest: { readonly what: string; readonly cpu: number; readonly rate: number } | undefined
  for (const size of sizes) {
    const name = `${count(size)} ${what}`
    say(`starting a mesh with ${name}`)
    const skein = await startSkein({ ...optionsOf(size), ...(flags.profiles === undefined ? {} : { profiles: profilesFolder(`${size}-${what.replaceAll(' ', '-')}`) }) })
    try {
      await settle(name)
      const system = skein.at('quorum')
      const measures = await measureTasks(system, { loads: ['saturated'], runs, tasks, oneByOne: 1, fanOuts: 1, fanOutTasks: 1, fanOutMs: 1, say: (text) => say(`${name}: ${text}`) })
      const cpu = measures.get(measureNames.cpuOfAll)?.values ?? []
      const rate = measures.get(measureNames.rate)?.values ?? []
      figures.push(
        { name: `${name}: processor time per task, all processes`, unit: 'µs', values: cpu, ...(smallest === undefined ? {} : { against: [{ what: smallest.what, value: smallest.cpu }] }) },
        { name: `${name}: saturated`, unit: 'tasks/s', values: rate, ...(smallest === undefined ? {} : { against: [{ what: smallest.what, value: smallest.rate }] }) },
      )
      smallest ??= { what: name, cpu: medianOf(cpu), rate: medianOf(rate) }
    } finally {
      await skein.stop()
    }
  }
}

/** From the first announcement of a task to its award, as a client of the submitter's bridge hears of both. */
async function announcedToAwarded(client: MeshClient): Promise<number> {
  const { id } = await client.submit({ plan: { tasks: { only: { capability: 'bench.noop', input: taskInput() } } } } as MissionRequestInput)
  let announcedAtMs = Number.NaN
  let tookMs = Number.NaN
  for await (const news of client.watch(id)) {
    if (news.type === 'event' && news.event.type === 'planned') announcedAtMs = news.event.atWallMs
    if (news.type === 'event' && news.event.type === 'awarded' && news.event.award.taskId !== 'root' && Number.isNaN(tookMs)) tookMs = news.event.atWallMs - announcedAtMs
  }
  return tookMs
}

/** As each end counted it, since the nodes started. */
async function connectionsLost(mesh: BenchMesh): Promise<number> {
  const counts = await Promise.all(mesh.living().map(async ({ client }) => {
    const text = await (await fetch(`${client.url}/metrics`)).text()
    return Number(/^skein_facts_total\{name="transport\.peer-down",[^}]*\} (\d+)$/m.exec(text)?.[1] ?? 0)
  }))
  return counts.reduce((sum, lost) => sum + lost, 0)
}

async function measureNodes({ figures }: Collected): Promise<void> {
  const nodes = numberOf('nodes', flags.nodes)
  say(`starting ${nodes} nodes`)
  const skein = await startSkein({ workers: nodes - 1 })
  try {
    const { client } = skein.mesh.node('submitter')
    await settle(`${nodes} nodes`)
    const idle = await cpuDuring(skein.mesh.living().map(({ child }) => ({ name: 'nodes', pid: child.pid ?? 0 })), () => sleep(idleMs))
    await announcedToAwarded(client)
    const lostBefore = await connectionsLost(skein.mesh)
    const timesMs: number[] = []
    for (let run = 0; run < Math.max(announcementsMin, runs * 10); run++) timesMs.push(await announcedToAwarded(client))
    figures.push(
      { name: `${nodes} nodes: a task planned and announced → awarded, by its log`, unit: 'ms', values: timesMs, beside: `p95 ${quantileOf(timesMs, 0.95)} ms`, against: [{ what: 'the longest that bids are waited for', value: limits.bidWindowMs }] },
      { name: `${nodes} nodes: processor time of an idle node in a second`, unit: 'ms', values: [(idle.micros.get('nodes') ?? Number.NaN) / 1_000 / (idleMs / 1_000) / nodes] },
      { name: `${nodes} nodes: connections lost, while they were announced`, unit: '', values: [await connectionsLost(skein.mesh) - lostBefore], beside: `${lostBefore} since the start before that` },
    )
  } finally {
    await skein.stop()
  }
}

await reportOf('growth', flags.json, async (report) => {
  // No worker offers fewer than those that come with Skein and those of the load.
  const capabilities = numbersOf('capabilities', flags.capabilities).map((size) => Math.max(size, capabilitiesLeast))
  if (wanted.includes('capabilities')) await measureSizes(report, 'capabilities of a worker', capabilities, (size) => ({ capabilities: size }))
  if (wanted.includes('missions')) await measureSizes(report, 'finished missions', numbersOf('finished', flags.finished), (finishedMissions) => ({ finishedMissions }))
  if (wanted.includes('tasks')) await measureSizes(report, 'finished tasks', numbersOf('finished-tasks', flags['finished-tasks']), (finishedTasks) => ({ finishedTasks }))
  if (wanted.includes('nodes')) await measureNodes(report)
})
