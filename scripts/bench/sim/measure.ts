/**
 * One measurement of the simulator, alone in its process: `measure.ts JOB`, a job as JSON. Prints what was measured as one line of JSON.
 */
import { availableParallelism } from 'node:os'
import type { AwardId, PeerId } from '../../../protocols/kernel/ids.ts'
import type { History } from '../../../sim/history/history.ts'
import { virtualPeerId } from '../../../sim/identity-virtual-adapter.ts'
import type { SimulationReport } from '../../../sim/report.ts'
import type { Scenario } from '../../../sim/scenario/schema.ts'
import type { Simulation, SimulationInit, SimulationOutcome } from '../../../sim/simulation.ts'
import { createSimulation, warmUpMs } from '../../../sim/simulator.ts'
import { loadScenario } from '../../sim/scenario-file.ts'
import { firstFailure } from '../../sim/seed-job.ts'
import { startSeedPool } from '../../sim/seed-pool.ts'
import { type Job, type Measured, meshOf } from './jobs.ts'

/** Managers have to meet a liar before they can know it. */
const awardsToLearnFrom = 50
const seedMsMax = 600_000

/** What thousands of nodes are run with: no history, and one frame in so many is decoded and checked. */
const lean = { checks: false, decodeEvery: 1_000 }

const parent = process.ppid
/** A bench that is gone needs no measurement any more. */
function endWithParent(): void {
  if (process.ppid !== parent) process.exit(1)
}

function start(init: SimulationInit): Promise<Simulation> {
  return createSimulation({ ...init, onProgress: endWithParent })
}

async function toItsEnd(init: SimulationInit): Promise<SimulationOutcome> {
  return (await start(init)).finish()
}

async function measure(job: Job): Promise<Measured> {
  const { seed, simulatedMs } = job
  switch (job.kind) {
    case 'pace':
      return await pace(seed, meshOf(job.nodes, simulatedMs))
    case 'large':
      return await wallAndMemory(seed, simulatedMs)
    case 'messages': {
      const { report } = await toItsEnd({ scenario: meshOf(job.nodes, simulatedMs), seed, ...lean })
      return { values: { addedPerTask: report.messages.addedPerTask ?? Number.NaN }, ...doubtOf(report) }
    }
    case 'foresight':
      return await foresight(seed, simulatedMs, job.load)
    case 'liar': {
      const { scenario } = loadScenario('one-liar', process.cwd())
      const { report, history } = await toItsEnd({ scenario, seed, untilMs: simulatedMs })
      return { values: { share: shareOf(history, scenario) }, ...doubtOf(report) }
    }
    case 'sweep':
      return await sweep(seed, simulatedMs, job.seeds)
  }
}

/** From the end of the warm-up to the end of the work. */
async function pace(seed: number, scenario: Scenario): Promise<Measured> {
  const simulation = await start({ scenario, seed, ...lean })
  await simulation.runTo({ atMs: warmUpMs })
  const startedAtMs = performance.now()
  await simulation.runTo({ atMs: warmUpMs + scenario.durationMs })
  const wallMs = performance.now() - startedAtMs
  return { values: { simulatedPerWall: scenario.durationMs / wallMs }, ...doubtOf((await simulation.finish()).report) }
}

/** All of it: the nodes' start, the warm-up, the work and its end. */
async function wallAndMemory(seed: number, untilMs: number): Promise<Measured> {
  const { scenario } = loadScenario('internet', process.cwd())
  const startedAtMs = performance.now()
  const { report } = await toItsEnd({ scenario, seed, untilMs, ...lean })
  return { values: { wallMin: (performance.now() - startedAtMs) / 60_000, rssGiB: process.resourceUsage().maxRSS / 1024 ** 2, addedPerTask: report.messages.addedPerTask ?? Number.NaN }, ...doubtOf(report) }
}

async function foresight(seed: number, untilMs: number, load: number): Promise<Measured> {
  const { scenario, traces } = loadScenario('llm-serving', process.cwd())
  const workload = scenario.workload.map((work) => (work.kind === 'trace' ? { ...work, load } : work))
  const { report } = await toItsEnd({ scenario: { ...scenario, workload }, traces, seed, untilMs, ...lean })
  return { values: { p50: report.clairvoyant?.ratioP50 ?? Number.NaN, p99: report.clairvoyant?.ratioP99 ?? Number.NaN }, ...doubtOf(report) }
}

/** Of the awards as the owners' disks have them, in the order in which they were synced, without the first. */
function shareOf({ records }: History, { nodes }: Scenario): number {
  const liars = new Set(nodes.filter(({ conduct }) => conduct !== undefined).map(({ group }) => virtualPeerId(group)))
  const awards = new Map<AwardId, PeerId>()
  for (const record of records) {
    if (record.type !== 'synced') continue
    for (const { event } of record.entries) if (event.type === 'awarded') awards.set(event.award.awardId, event.award.worker)
  }
  const learnt = [...awards.values()].slice(awardsToLearnFrom)
  return learnt.filter((worker) => liars.has(worker)).length / learnt.length
}

/** As `skein sim sweep` runs them: a process for each core, the checkers on. */
async function sweep(firstSeed: number, untilMs: number, seeds: number): Promise<Measured> {
  const watch = setInterval(endWithParent, 1_000)
  const pool = startSeedPool({ scenarios: [loadScenario('all-faults', process.cwd())], jobs: availableParallelism(), seedMsMax })
  try {
    const startedAtMs = performance.now()
    const results = await Promise.all(Array.from({ length: seeds }, (_, index) => pool.run({ scenarioIndex: 0, seed: firstSeed + index, untilMs })))
    const wallMs = performance.now() - startedAtMs
    const broken = results.filter((result) => firstFailure(result) !== undefined)
    const mean = (of: (report: SimulationReport) => number): number => results.reduce((sum, { report }) => sum + (report === undefined ? 0 : of(report)), 0) / seeds
    return {
      values: { wallS: wallMs / 1_000, seedsInFourMin: seeds / wallMs * 240_000, simulatedS: mean(({ virtualMs }) => virtualMs / 1_000), missions: mean(({ missions }) => missions.submitted) },
      ...(broken.length === 0 ? {} : { doubt: `${broken.length} of ${seeds} seeds failed, the first is ${broken[0]?.seed ?? 0}` }),
    }
  } finally {
    pool.stop()
    clearInterval(watch)
  }
}

function doubtOf({ missions, violations }: SimulationReport): Pick<Measured, 'doubt'> {
  if (violations.length > 0) return { doubt: `promises were broken: ${[...new Set(violations.map(({ promise }) => promise))].join(', ')}` }
  return missions.completed === missions.submitted ? {} : { doubt: `${missions.submitted - missions.completed} of ${missions.submitted} missions were not completed` }
}

console.log(JSON.stringify(await measure(JSON.parse(process.argv[2] ?? '') as Job)))
