/** `sim compare`: the main figures of two scenarios, or of two reports, side by side. */
import { resolve } from 'node:path'
import type { CliWorld, CommonFlags, Voice } from '../../node/cli/context.ts'
import { type ExitCode, exitCodes } from '../../node/cli/exit-codes.ts'
import { table } from '../../node/cli/view/table.ts'
import { MeshError } from '../../protocols/kernel/errors.ts'
import type { SimulationReport } from '../../sim/report.ts'
import { figures, median } from './figures.ts'
import { times } from './format.ts'
import { seedsOf } from './numbers-given.ts'
import { type LoadedScenario, loadScenario, readText } from './scenario-file.ts'
import { firstFailure } from './seed-job.ts'
import { startSeedPool } from './seed-pool.ts'
import { type SimDeps, personsFolder, runCommand } from './sim-world.ts'
import { jobsOf } from './sweep-command.ts'

export interface CompareFlags extends CommonFlags {
  readonly seeds?: string
  readonly jobs?: string
}

interface Side {
  readonly name: string
  /** Read from a file, or run. */
  readonly report?: SimulationReport
  readonly loaded?: LoadedScenario
}

const seedMsMax = 3_600_000

export async function compare(a: string, b: string, flags: CompareFlags, voice: Voice, world: CliWorld, deps: SimDeps): Promise<ExitCode> {
  const here = personsFolder(world)
  const seeds = seedsOf(flags.seeds ?? '1..10')
  const jobs = jobsOf(flags.jobs)
  const sides = [a, b].map((given) => sideOf(given, here, deps))
  const scenarios = sides.flatMap((side) => side.loaded ?? [])
  const pool = startSeedPool({ scenarios, jobs, seedMsMax, ...(deps.worker === undefined ? {} : { worker: deps.worker }) })
  let reports: SimulationReport[][]
  try {
    if (scenarios.length > 0) voice.say(voice.colours.dim(`${scenarios.length * seeds.length} runs …`))
    reports = await Promise.all(sides.map(async (side) => {
      if (side.loaded === undefined) return side.report === undefined ? [] : [side.report]
      const { loaded } = side
      return await Promise.all(seeds.map(async (seed) => {
        const { report, crash } = await pool.run({ scenarioIndex: scenarios.indexOf(loaded), seed })
        if (report === undefined) throw new MeshError('internal', `${side.name}, seed ${seed}: ${crash?.message ?? 'no report'}`, { next: `see it fail: ${runCommand(loaded.given, seed, undefined)}` })
        return report
      }))
    }))
  } finally {
    pool.stop()
  }

  const [ofA = [], ofB = []] = reports
  const compared = figures.map((figure) => {
    const [left, right] = [ofA, ofB].map((side) => median(side.map((report) => figure.of(report)).filter((value) => value !== undefined)))
    return { figure, left, right, ratio: left === undefined || right === undefined || left === 0 ? undefined : right / left }
  })
  const names = sides.map((side, at) => (sides[1 - at]?.name === side.name ? `${side.name} (${'AB'.charAt(at)})` : side.name))
  const broken = sides.map((_, at) => (reports[at] ?? []).filter((report) => firstFailure({ report }) !== undefined))
  const exitCode = broken.some((side) => side.length > 0) ? exitCodes.failed : exitCodes.completed
  voice.value({
    a: { name: names[0], runs: ofA.length, failedRuns: broken[0]?.length ?? 0 }, b: { name: names[1], runs: ofB.length, failedRuns: broken[1]?.length ?? 0 },
    figures: Object.fromEntries(compared.map(({ figure, left, right, ratio }) => [figure.key, { a: left ?? null, b: right ?? null, ratio: ratio ?? null }])),
  })
  if (voice.json) return exitCode
  const { colours } = voice
  const rows = compared.filter(({ left, right }) => left !== undefined || right !== undefined)
    .map(({ figure, left, right, ratio }) => [figure.name, left === undefined ? '-' : figure.show(left), right === undefined ? '-' : figure.show(right), ratio === undefined ? (left === right ? '' : '-') : Math.abs(ratio - 1) < 0.005 ? colours.dim('same') : times(ratio)])
  for (const line of table([['', names[0] ?? '', names[1] ?? '', 'B/A'], ...rows], voice.columns, colours.bold)) voice.print(line)
  voice.say(colours.dim(`medians over ${runsText(ofA.length)} of A and ${runsText(ofB.length)} of B`))
  broken.forEach((failed, at) => {
    const [first] = failed
    if (first === undefined) return
    const loaded = sides[at]?.loaded
    const next = loaded === undefined ? '' : `; see it: ${runCommand(loaded.given, first.seed, undefined)}`
    voice.print(`${colours.red(`${names[at] ?? ''}: ${failed.length === 1 ? 'one run' : `${failed.length} runs`} broke a promise`)} (${firstFailure({ report: first })?.promise ?? ''}, seed ${first.seed})${next}`)
  })
  return exitCode
}

function runsText(count: number): string {
  return count === 1 ? 'one run' : `${count} runs`
}

function sideOf(given: string, here: string, deps: SimDeps): Side {
  if (/\.json$/i.test(given)) {
    const path = resolve(here, given)
    const report = asReport(readText(path, 'report'))
    if (report !== undefined) return { name: `${report.scenario}, seed ${report.seed}`, report }
  }
  const loaded = loadScenario(given, here, deps.scenarios)
  return { name: loaded.scenario.name, loaded }
}

/** A JSON file may also be a scenario, and then says what is wrong with it as one. */
function asReport(text: string): SimulationReport | undefined {
  try {
    const value = JSON.parse(text) as Partial<SimulationReport> | null
    const isReport = typeof value === 'object' && value !== null && typeof value.traceHash === 'string' && value.flowMs !== undefined && value.missions !== undefined && value.messages !== undefined && value.recoveryMs !== undefined
    return isReport ? value as SimulationReport : undefined
  } catch {
    return undefined
  }
}
