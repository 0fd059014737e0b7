/** `sim list`: the scenarios that Skein ships. */
import { relative } from 'node:path'
import type { CliWorld, Voice } from '../../node/cli/context.ts'
import { type ExitCode, exitCodes } from '../../node/cli/exit-codes.ts'
import { printable } from '../../node/cli/view/format.ts'
import { MeshError } from '../../protocols/kernel/errors.ts'
import { time, whole } from './format.ts'
import { filled } from './report-text.ts'
import { loadScenario, shippedFolder, shippedNames } from './scenario-file.ts'
import { type SimDeps, commandFor, personsFolder } from './sim-world.ts'

export function list(voice: Voice, world: CliWorld, deps: SimDeps): ExitCode {
  const folder = deps.scenarios ?? shippedFolder
  const here = personsFolder(world)
  const names = shippedNames(folder)
  if (names.length === 0) throw new MeshError('bad-request', `there are no scenarios in ${folder}`, { next: 'install the package again' })
  const found = names.map((name) => {
    const { scenario, path } = loadScenario(name, here, folder)
    return { name, about: scenario.about.trim(), nodes: scenario.nodes.reduce((sum, group) => sum + group.count, 0), durationMs: scenario.durationMs, path }
  })
  voice.value({ scenarios: found })
  if (voice.json) return exitCodes.completed
  for (const { name, about, nodes, durationMs } of found) {
    voice.print(`${voice.colours.bold(name)}  ${voice.colours.dim(`${whole(nodes)} ${nodes === 1 ? 'node' : 'nodes'}, ${time(durationMs)}`)}`)
    for (const line of filled(printable(about), Math.min(voice.columns, 100) - 2)) voice.print(`  ${line}`)
  }
  voice.say(voice.colours.dim(`\nThey are in ${relative(here, folder) || folder}. Run one: ${commandFor(['run', found[0]?.name ?? '', '--seed', '1'])}`))
  return exitCodes.completed
}
