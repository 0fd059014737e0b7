/** What the simulator's commands are given, so that tests can give something else. */
import { resolve } from 'node:path'
import type { CliWorld } from '../../node/cli/context.ts'
import type { Simulation, SimulationInit } from '../../sim/simulation.ts'
import { cloneRoot } from './scenario-file.ts'

export interface SimDeps {
  readonly createSimulation: (init: SimulationInit) => Promise<Simulation>
  /** The program that sweeps run their seeds with. */
  readonly worker?: URL
  /** Where the shipped scenarios are. */
  readonly scenarios?: string
}

/** The folder that the person is in: npm runs scripts in the package's own. */
export function personsFolder({ env, cwd }: CliWorld): string {
  const initial = env['INIT_CWD']
  return (env['npm_lifecycle_event'] ?? '').startsWith('sim') && initial !== undefined ? initial : resolve(cwd)
}

/** How this person starts the simulator's commands. */
export function commandFor(argv: readonly string[]): string {
  return [cloneRoot() === undefined ? 'skein sim' : 'npm run sim --', ...argv.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll('\'', '\'\\\'\'')}'`))].join(' ')
}

/** A run's own command: the same scenario, seed and length give the same run. */
export function runCommand(given: string, seed: number, untilMs: number | undefined): string {
  return commandFor(['run', given, '--seed', String(seed), ...(untilMs === undefined ? [] : ['--until', String(untilMs / 1_000)])])
}
