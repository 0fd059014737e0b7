/** Plants a bug while a child process loads the program, and lets it hunt for what that breaks. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import type { HuntResult } from '../../../scripts/sim/hunt.ts'
import { plantedVariable } from '../../../scripts/sim/planted-bugs.ts'
import { repositoryFolder } from '../../support/skein-command.ts'

const seeds = 3
/** The log alone is far quicker than a mesh. */
export const logSeeds = 80
const scenarioOf = (name: string): string => join('test', 'sim', 'planted', `${name}.yaml`)

/** @param bug what is planted while the program is loaded; undefined: nothing. @returns the lines that it prints. */
function withBug<Line>(bug: string | undefined, argv: readonly string[]): Promise<Line[]> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, ['--import', './scripts/sim/planted-bugs.ts', ...argv], { cwd: repositoryFolder, env: { PATH: process.env['PATH'] ?? '', ...(bug === undefined ? {} : { [plantedVariable]: bug }) } }, (error, out, err) => {
      if (error !== null) reject(new Error(err || error.message))
      else resolve(out.trim().split('\n').map((line) => JSON.parse(line) as Line))
    })
  })
}

export function hunt(bug: string | undefined, promise: string, scenarios: readonly string[], seedsMax = seeds): Promise<HuntResult[]> {
  return withBug(bug, ['scripts/sim/hunt.ts', String(seedsMax), promise, ...scenarios.map(scenarioOf)])
}

export function huntInLog(bug: string | undefined, seedsMax = logSeeds) {
  return withBug<{ readonly seedsRun: number; readonly found?: { readonly seed: number; readonly detail: string } }>(bug, ['test/sim/planted/hunt-log-bug.ts', String(seedsMax)])
}
