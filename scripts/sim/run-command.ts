/** `sim run`: one scenario, one seed; a report in the terminal and as a page. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import type { CliWorld, CommonFlags, Voice } from '../../node/cli/context.ts'
import { type ExitCode, exitCodes } from '../../node/cli/exit-codes.ts'
import { MeshError } from '../../protocols/kernel/errors.ts'
import type { Scenario } from '../../sim/scenario/schema.ts'
import type { Simulation, SimulationInit } from '../../sim/simulation.ts'
import { warmUpMs } from '../../sim/simulator.ts'
import { kept } from './format.ts'
import { secondsToMs, seedOf } from './numbers-given.ts'
import { reportPage } from './page/page.ts'
import { reportText } from './report-text.ts'
import { runPane } from './run-pane.ts'
import { type LoadedScenario, loadScenario, messageOf } from './scenario-file.ts'
import { type SimDeps, commandFor, personsFolder, runCommand } from './sim-world.ts'

export interface RunFlags extends CommonFlags {
  readonly seed?: string
  readonly html?: string | false
  readonly until?: string
  readonly checks?: boolean
}

export async function runOne(given: string, flags: RunFlags, voice: Voice, world: CliWorld, deps: SimDeps): Promise<ExitCode> {
  const here = personsFolder(world)
  const seed = seedOf(flags.seed)
  const untilMs = flags.until === undefined ? undefined : secondsToMs('--until', flags.until)
  const loaded = loadScenario(given, here, deps.scenarios)
  const pane = runPane(voice, (text) => world.stdout.write(text), workEndMs(loaded.scenario, untilMs))
  voice.say(voice.colours.dim(`${loaded.scenario.name}, seed ${seed} …`))

  const startedAtMs = performance.now()
  const simulation = await prepare(deps, loaded, { seed, ...(untilMs === undefined ? {} : { untilMs }), ...(flags.checks === false ? { checks: false } : {}), onProgress: pane.onProgress })
  const { report } = await simulation.finish().finally(pane.close)
  const wallMs = performance.now() - startedAtMs

  voice.value(report)
  const again = runCommand(given, seed, untilMs)
  for (const line of voice.json ? [] : reportText(report, voice.colours, voice.columns, wallMs)) voice.print(line)
  // A program that reads the report asked for no files.
  const page = flags.html === false || (flags.html === undefined && voice.json) ? undefined : resolve(here, flags.html ?? join('skein-sim', `${report.scenario}-${seed}.html`))
  if (page !== undefined) {
    const json = `${page.replace(/\.html?$/i, '')}.json`
    save(page, reportPage(report, { wallMs, command: again }))
    save(json, `${JSON.stringify(report, null, 1)}\n`)
    voice.say(`page ${relative(here, page) || page}, figures ${relative(here, json) || json}`)
  }
  if (kept(report).all) return exitCodes.completed
  const [first] = report.violations
  const stop = ['replay', given, '--seed', String(seed), ...(untilMs === undefined ? [] : ['--until', String(untilMs / 1_000)]), '--at', String((first?.atMs ?? report.virtualMs) / 1_000)]
  voice.say(`look closer: ${commandFor(stop)}`)
  return exitCodes.failed
}

/** Of virtual time: the mesh warms up before the scenario's own time begins. */
export function workEndMs({ durationMs }: Scenario, untilMs = Number.POSITIVE_INFINITY): number {
  return warmUpMs + Math.min(durationMs, untilMs)
}

/** @throws MeshError `bad-request` when the scenario contradicts itself. */
export async function prepare(deps: SimDeps, { scenario, traces, path }: LoadedScenario, init: Omit<SimulationInit, 'scenario' | 'traces'>): Promise<Simulation> {
  try {
    return await deps.createSimulation({ scenario, traces, ...init })
  } catch (thrown) {
    const isBug = thrown instanceof TypeError || thrown instanceof RangeError || /invariant/.test(messageOf(thrown))
    if (isBug || thrown instanceof MeshError) throw thrown
    throw new MeshError('bad-request', `${path}: ${messageOf(thrown)}`, { next: 'mend the scenario and run it again' })
  }
}

function save(path: string, text: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  } catch (thrown) {
    throw new MeshError('bad-request', `${path} cannot be written: ${messageOf(thrown)}`, { next: 'give another place with --html, or --no-html' })
  }
}
