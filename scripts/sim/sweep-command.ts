/** `sim sweep`: many seeds of one or more scenarios on all cores; failures are made short and kept as tests. */
import { availableParallelism } from 'node:os'
import { relative, resolve } from 'node:path'
import type { CliWorld, CommonFlags, Voice } from '../../node/cli/context.ts'
import { usageError } from '../../node/cli/context.ts'
import { type ExitCode, exitCodes } from '../../node/cli/exit-codes.ts'
import { printable } from '../../node/cli/view/format.ts'
import { table } from '../../node/cli/view/table.ts'
import { warmUpMs } from '../../sim/simulator.ts'
import { time, times, whole } from './format.ts'
import { secondsToMs, seedsOf, wholeNumber } from './numbers-given.ts'
import { writeRegressionTest } from './regression-test.ts'
import { bar, wrapped } from './report-text.ts'
import { type LoadedScenario, cloneRoot, loadScenario } from './scenario-file.ts'
import { crashed, firstFailure } from './seed-job.ts'
import { type SeedPool, SweepStopped, startSeedPool } from './seed-pool.ts'
import { shortestFailing } from './shrink.ts'
import { type SimDeps, personsFolder, runCommand } from './sim-world.ts'
import { sweepProgress } from './sweep-progress.ts'
import { type SeedFailure, type SweepTally, sweepTally } from './sweep-tally.ts'

export interface SweepFlags extends CommonFlags {
  readonly seeds?: string
  readonly until?: string
  readonly jobs?: string
  readonly seedTimeout?: string
  readonly failuresMax?: string
  readonly regressions?: string | false
}

/** A failing seed, with all that is told of it. */
interface ToldFailure {
  readonly scenario: string
  readonly seed: number
  readonly promise: string
  readonly detail: string
  readonly atMs: number
  readonly violations: number
  readonly untilMs: number
  readonly runsToShrink: number
  /** Repeated as it was, the run kept its promises: what failed is this machine, or the run is no function of its seed. */
  readonly notSeenAgain?: true
  readonly replay: string
  readonly regression?: string
  readonly stack?: string
}

/** So many failing seeds are made short and kept; the others are only listed. */
const shrunkMax = 10
/** Of real time: a long run that breaks a promise only at its end is not run again and again for hours. */
const shrinkMsMax = 180_000
const stackLinesShown = 8
/** A timer that is set for longer goes off at once. */
const timerMsMax = 2 ** 31 - 1

export async function sweep(given: readonly string[], flags: SweepFlags, voice: Voice, world: CliWorld, deps: SimDeps): Promise<ExitCode> {
  const here = personsFolder(world)
  const seeds = seedsOf(flags.seeds ?? '1..100')
  const untilMs = flags.until === undefined ? undefined : secondsToMs('--until', flags.until)
  const jobs = jobsOf(flags.jobs)
  const failuresMax = wholeNumber('--failures-max', flags.failuresMax ?? '20', 1, 1_000_000)
  const seedMsMax = secondsToMs('--seed-timeout', flags.seedTimeout ?? '600', 1, timerMsMax)
  const scenarios = given.map((name) => loadScenario(name, here, deps.scenarios))
  const root = cloneRoot()
  if (typeof flags.regressions === 'string' && root === undefined) throw usageError('regression tests are written for a clone of Skein, and this is the published package', 'leave --regressions out; the command that replays a failing seed is printed')
  const folder = flags.regressions === false || root === undefined ? undefined : flags.regressions === undefined ? resolve(root, 'test/sim/regressions') : resolve(here, flags.regressions)

  const interrupt = new AbortController()
  const stop = (): void => interrupt.abort()
  process.once('SIGINT', stop)
  const pool = startSeedPool({ scenarios, jobs, seedMsMax, signal: interrupt.signal, ...(deps.worker === undefined ? {} : { worker: deps.worker }) })
  const startedAtMs = performance.now()
  const tally = sweepTally(new Set(scenarios.flatMap(({ scenario }, at) => (scenario.anyFaultEveryMs === undefined ? [] : [at]))))
  const progress = sweepProgress(voice, (text) => world.stdout.write(text), { total: seeds.length * scenarios.length, jobs })
  try {
    await runAll({ pool, scenarios, seeds, untilMs, jobs, failuresMax, tally, onResult: () => progress.seed(tally) })
    const worth = worthShrinking(tally.failures)
    if (worth.length > 0) progress.shrinking(worth.length)
    const told = await Promise.all(worth.map((failure) => shrink(failure, { pool, scenarios, untilMs, folder, root, signal: interrupt.signal })))
    progress.close()
    summarise({ tally, told, scenarios, wallMs: performance.now() - startedAtMs, seedsAsked: seeds.length * scenarios.length, untilMs, here, voice })
    return interrupt.signal.aborted ? exitCodes.detached : tally.failures.length > 0 ? exitCodes.failed : exitCodes.completed
  } finally {
    progress.close()
    pool.stop()
    process.removeListener('SIGINT', stop)
  }
}

export function jobsOf(text: string | undefined): number {
  return text === undefined ? availableParallelism() : wholeNumber('--jobs', text, 1, 1_024)
}

/** Seed by seed and scenario by scenario, each lane taking the next one as soon as it is free. */
async function runAll({ pool, scenarios, seeds, untilMs, jobs, failuresMax, tally, onResult }: {
  readonly pool: SeedPool
  readonly scenarios: readonly LoadedScenario[]
  readonly seeds: readonly number[]
  readonly untilMs: number | undefined
  readonly jobs: number
  readonly failuresMax: number
  readonly tally: SweepTally
  readonly onResult: () => void
}): Promise<void> {
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < seeds.length * scenarios.length && tally.failures.length < failuresMax) {
      const at = next++
      const seed = seeds[Math.floor(at / scenarios.length)]
      if (seed === undefined) return
      try {
        tally.add(await pool.run({ scenarioIndex: at % scenarios.length, seed, ...(untilMs === undefined ? {} : { untilMs }) }))
      } catch (thrown) {
        if (thrown instanceof SweepStopped) return
        throw thrown
      }
      onResult()
    }
  }
  await Promise.all(Array.from({ length: jobs }, lane))
}

/** One of each scenario and promise first: ten seeds that show the same bug say no more than one. */
function worthShrinking(failures: readonly SeedFailure[]): SeedFailure[] {
  const seen = new Set<string>()
  const first: SeedFailure[] = []
  const rest: SeedFailure[] = []
  for (const failure of failures) {
    const kind = `${failure.scenarioIndex} ${failure.violation.promise}`
    if (seen.has(kind)) rest.push(failure)
    else first.push(failure)
    seen.add(kind)
  }
  return [...first, ...rest].slice(0, shrunkMax)
}

async function shrink(failure: SeedFailure, { pool, scenarios, untilMs, folder, root, signal }: {
  readonly pool: SeedPool
  readonly scenarios: readonly LoadedScenario[]
  readonly untilMs: number | undefined
  readonly folder: string | undefined
  readonly root: string | undefined
  readonly signal: AbortSignal
}): Promise<ToldFailure> {
  const { scenarioIndex, seed, violation } = failure
  const loaded = scenarios[scenarioIndex]
  if (loaded === undefined) throw new Error(`there is no scenario ${scenarioIndex}`)
  const overAtMs = performance.now() + shrinkMsMax
  const fails = async (at: number): Promise<boolean> => {
    try {
      const result = await pool.run({ scenarioIndex, seed, untilMs: at })
      return firstFailure(result)?.promise === violation.promise || result.report?.violations.some((other) => other.promise === violation.promise) === true
    } catch (thrown) {
      if (signal.aborted) return false
      throw thrown
    }
  }
  const wholeMs = Math.min(untilMs ?? loaded.scenario.durationMs, loaded.scenario.durationMs)
  const shortest = failure.timedOut ? { untilMs: wholeMs, runs: 0 } : await shortestFailing({
    untilMs: wholeMs, isOver: () => signal.aborted || performance.now() > overAtMs, seenAtMs: violation.atMs - warmUpMs,
    fails,
  })
  const isSeenAgain = failure.timedOut || signal.aborted || shortest.untilMs < wholeMs || await fails(wholeMs) || signal.aborted
  return {
    scenario: loaded.scenario.name, seed, promise: violation.promise, detail: violation.detail, atMs: violation.atMs, violations: failure.violations,
    untilMs: shortest.untilMs, runsToShrink: shortest.runs,
    replay: runCommand(loaded.given, seed, shortest.untilMs < loaded.scenario.durationMs ? shortest.untilMs : undefined),
    ...(isSeenAgain ? {} : { notSeenAgain: true as const }),
    ...(folder === undefined || root === undefined || !isSeenAgain ? {} : { regression: writeRegressionTest({ loaded, seed, untilMs: shortest.untilMs, violation }, folder, root) }),
    ...(failure.stack === undefined ? {} : { stack: failure.stack }),
  }
}

function summarise({ tally, told, scenarios, wallMs, seedsAsked, untilMs, here, voice }: {
  readonly tally: SweepTally
  readonly told: readonly ToldFailure[]
  readonly scenarios: readonly LoadedScenario[]
  readonly wallMs: number
  readonly seedsAsked: number
  readonly untilMs: number | undefined
  readonly here: string
  readonly voice: Voice
}): void {
  const listed = tally.failures.filter((failure) => !told.some((one) => one.seed === failure.seed && one.scenario === scenarios[failure.scenarioIndex]?.scenario.name))
    .map((failure) => ({ scenario: scenarios[failure.scenarioIndex]?.scenario.name ?? '', seed: failure.seed, promise: failure.violation.promise, detail: failure.violation.detail, atMs: failure.violation.atMs, violations: failure.violations, replay: runCommand(scenarios[failure.scenarioIndex]?.given ?? '', failure.seed, untilMs) }))
  voice.value({
    scenarios: scenarios.map(({ scenario }) => scenario.name), seedsAsked, seeds: tally.seeds, virtualMs: tally.virtualMs, wallMs: Math.round(wallMs), events: tally.events, missions: tally.missions,
    faults: Object.fromEntries(tally.faults), neverInjected: tally.neverInjected(), failedSeeds: tally.failures.length, failures: [...told, ...listed],
  })
  if (voice.json) return
  const { colours } = voice
  const say = (line: string): void => voice.print(line)
  for (const failure of told) {
    say(`${colours.red('✗')} ${colours.bold(`${failure.scenario}, seed ${failure.seed}`)}: ${failure.promise === crashed ? colours.red('the run crashed') : `${colours.red(failure.promise)} at ${time(failure.atMs)}`}${failure.violations > 1 ? `, and ${failure.violations - 1} more` : ''}`)
    say(`  ${printable(failure.detail)}`)
    const stack = (failure.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line)).slice(0, stackLinesShown)
    for (const line of stack) say(colours.dim(`    ${printable(line.trim())}`))
    if (failure.notSeenAgain === true) say(colours.yellow(failure.promise === crashed ? '  the same run, repeated, came to its end: look for what ended the process, memory for one' : '  the same run, repeated, kept it: a run must be a function of its seed'))
    else if (failure.runsToShrink > 0) say(`  shortest failing prefix found: ${time(failure.untilMs)} ${colours.dim(`(${failure.runsToShrink} runs)`)}`)
    say(`  replay  ${failure.replay}`)
    if (failure.regression !== undefined) say(`  test    ${relative(here, failure.regression)}`)
    say('')
  }
  for (const failure of listed) say(`${colours.red('✗')} ${failure.scenario}, seed ${failure.seed}: ${failure.promise}   ${colours.dim(failure.replay)}`)
  if (listed.length > 0) say('')
  const counts = [...tally.faults].sort(([, m], [, n]) => n - m)
  if (counts.length > 0) {
    say(colours.bold('Faults injected'))
    for (const line of table(counts.map(([kind, count]) => [`  ${kind}`, whole(count), colours.cyan(bar(count, counts[0]?.[1] ?? 0))]), voice.columns)) say(line)
  }
  const never = tally.neverInjected()
  if (counts.length === 0 && scenarios.some(({ scenario }) => scenario.faults.length > 0 || scenario.anyFaultEveryMs !== undefined)) say(colours.yellow('No fault was injected.'))
  else if (never.length > 0) {
    say(colours.yellow('Never injected:'))
    for (const line of wrapped(never, voice.columns - 2)) say(`  ${line}`)
  }
  say('')
  const failed = tally.failures.length
  const verdict = failed > 0 ? colours.red(`${whole(failed)} of ${whole(tally.seeds)} runs failed`) : tally.seeds > 0 ? colours.green(`${whole(tally.seeds)} runs, all promises kept`) : 'nothing was run'
  say(`${verdict}${tally.seeds < seedsAsked ? colours.yellow(` (of ${whole(seedsAsked)} asked for)`) : ''}; ${whole(tally.virtualMs / 1_000)} s simulated in ${time(wallMs)} (${times(tally.virtualMs / Math.max(1, wallMs))}), ${whole(tally.missions)} missions, ${whole(tally.events)} events`)
}
