/**
 * Does a mesh stay as it is under a load that goes on? Three real nodes (one that submits, two that work) run missions of small tasks at an even pace; every result is looked at,
 * and memory, files, store and event loop of each node are sampled. Printed at the end, and by Ctrl-C what there is until then.
 *
 * `npm run soak [-- --minutes 30] [--rate half|N] [--ack quorum] [--tasks 500] [--rest-seconds 60] [--archive-minutes M] [--dir FOLDER] [--profiles DIR] [--json]`.
 * `--rate`: tasks a second; `half` of what a short saturated run manages. `--tasks`: of one mission. `--rest-seconds`: how long a mission stays in memory after its end (`replication.missionRestMs`).
 * `--archive-minutes`: how long it is kept in the store after that; without it the default, 30 days, so that the store grows for as long as this runs, and memory must not.
 * `--dir`: the nodes' data, and the samples as lines of JSON, stay in that folder. Exit code 1 when a task was lost, 130 when interrupted.
 */
import { appendFileSync, existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { limits } from '../protocols/kernel/limits.ts'
import { Acknowledgement } from '../protocols/tasking/schema.ts'
import { medianOf, numberOf, text } from './bench/figure.ts'
import { whenInterrupted } from './bench/interrupted.ts'
import { machineLine } from './bench/table.ts'
import type { BenchNode } from './bench/replication/nodes.ts'
import { startSkein } from './bench/tasks/skein.ts'
import { type LoadOptions, type Tally, emptyTally, load, lookAgain } from './soak/load.ts'
import { type Soaked, describeSummary, summaryOf } from './soak/report.ts'
import { type Sample, sampleOf } from './soak/samples.ts'

const { values: flags } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' }, rate: { type: 'string', default: 'half' }, ack: { type: 'string', default: 'quorum' }, tasks: { type: 'string', default: '500' },
    'rest-seconds': { type: 'string', default: String(limits.missionRestMs / 1_000) }, 'archive-minutes': { type: 'string' }, dir: { type: 'string' }, profiles: { type: 'string' }, json: { type: 'boolean', default: false },
  },
})
const minutes = Number(flags.minutes)
if (!(minutes > 0)) throw new Error('--minutes is a number of minutes, more than 0')
const tasksPerMission = numberOf('tasks', flags.tasks)
const acknowledgement = Acknowledgement.parse(flags.ack)
const givenRate = flags.rate === 'half' ? undefined : numberOf('rate', flags.rate)
const archiveKeptMs = flags['archive-minutes'] === undefined ? limits.archiveKeptMs : numberOf('archive-minutes', flags['archive-minutes']) * 60_000
const folder = flags.dir === undefined ? undefined : emptyFolder(resolve(flags.dir))
const profiles = flags.profiles === undefined ? undefined : resolve(flags.profiles)
if (profiles !== undefined) mkdirSync(profiles, { recursive: true })
const machine = machineLine()
const say = (what: string): void => console.error(what)

const sampleEveryMs = 5_000
const sayEveryMs = 60_000
/** Of the saturated runs: the first warms up. */
const saturatedTasks = 2_000
const saturatedRuns = 3

/** Data of another mesh in it would be taken up. @throws Error when there is something in it. */
function emptyFolder(path: string): string {
  mkdirSync(path, { recursive: true })
  if (existsSync(path) && readdirSync(path).length > 0) throw new Error(`--dir ${path} is not empty`)
  return path
}

let soaked: Omit<Soaked, 'tookMs' | 'interrupted'> | undefined
let startedAtMs = Number.NaN

function report(interrupted: boolean): void {
  if (soaked === undefined) return say('interrupted before the load began: nothing was measured')
  const summary = summaryOf({ ...soaked, tookMs: performance.now() - startedAtMs, interrupted })
  console.log(flags.json ? JSON.stringify(summary) : describeSummary(summary))
}

say('starting three nodes …')
const skein = await startSkein({
  ...(folder === undefined ? {} : { folder }), ...(profiles === undefined ? {} : { profiles }),
  flags: ['--set', `replication.missionRestMs=${numberOf('rest-seconds', flags['rest-seconds']) * 1_000}`, '--set', `replication.archiveKeptMs=${archiveKeptMs}`],
})
// After the nodes' own, which ends them.
const forget = whenInterrupted(() => report(true))
try {
  const saturatedPerSecond = givenRate === undefined ? await saturatedRate() : undefined
  const askedPerSecond = givenRate ?? (saturatedPerSecond ?? Number.NaN) / 2
  await soak(askedPerSecond, saturatedPerSecond)
} finally {
  await skein.stop()
  forget()
}

async function saturatedRate(): Promise<number> {
  say('a short saturated run …')
  const rates: number[] = []
  for (let run = 0; run < saturatedRuns; run++) rates.push(saturatedTasks / ((await skein.at(acknowledgement).saturate(saturatedTasks)).tookMs / 1_000))
  return medianOf(rates.slice(1))
}

async function soak(askedPerSecond: number, saturatedPerSecond: number | undefined): Promise<void> {
  const tally = emptyTally()
  const samples: Sample[] = []
  const nodes = skein.mesh.living()
  const options: LoadOptions = { clients: nodes.map(({ client }) => client), acknowledgement, tasksPerMission, tasksPerSecond: askedPerSecond, durationMs: minutes * 60_000, tally }
  say(`${text(askedPerSecond)} tasks/s for ${minutes} minutes …`)
  startedAtMs = performance.now()
  soaked = { machine, nodes: nodes.map(({ name }) => name), tally, samples, ...(saturatedPerSecond === undefined ? {} : { saturatedPerSecond }), askedPerSecond, tasksPerMission }
  const over = new AbortController()
  const sampling = keepSampling(nodes, samples, tally, over.signal)
  await load(options)
  over.abort()
  await sampling
  const tookMs = performance.now() - startedAtMs
  say('looking at every result again …')
  soaked = { ...soaked, lookedAgain: await lookAgain(options, archiveKeptMs) }
  startedAtMs = performance.now() - tookMs
  report(false)
  if (tally.lost > 0 || (soaked.lookedAgain?.missing ?? 0) > 0) process.exitCode = 1
}

/** Until the load is over, and once more then. */
async function keepSampling(nodes: readonly BenchNode[], samples: Sample[], tally: Tally, over: AbortSignal): Promise<void> {
  for (let saidAtMs = performance.now(); ;) {
    const taken = await Promise.all(nodes.map(sampleOf))
    samples.push(...taken)
    if (folder !== undefined) appendFileSync(join(folder, 'samples.jsonl'), taken.map((sample) => `${JSON.stringify({ ...sample, tasksDone: tally.done })}\n`).join(''))
    if (over.aborted) return
    if (performance.now() - saidAtMs >= sayEveryMs) {
      saidAtMs = performance.now()
      say(`${((saidAtMs - startedAtMs) / 60_000).toFixed(1)} min: ${tally.done} tasks done, ${tally.lost} lost; RSS ${taken.map(({ rssBytes }) => text(rssBytes / 1e6)).join(' / ')} MB`)
    }
    await sleep(sampleEveryMs, undefined, { signal: over }).catch(() => undefined)
  }
}
