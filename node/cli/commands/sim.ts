/** `sim` as the help lists it. The bin hands `skein sim …` to scripts/sim.ts before this program is loaded: node/ knows no simulator. */
import type { Command } from 'commander'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import { type Cli, act, withCommon } from '../cli.ts'

export function addSimCommand(program: Command, cli: Cli): void {
  const sim = program.command('sim').description('a simulated mesh on virtual time: faults of all kinds, every run repeatable from its seed')
  for (const name of ['run', 'replay', 'sweep', 'compare', 'list']) {
    withCommon(sim.command(name).argument('[anything...]').allowUnknownOption()).action(act(cli, () => {
      throw new MeshError('not-available', 'the simulator is a program of its own', { next: `start it as "skein sim ${name}", or, in a clone, as "npm run sim -- ${name}"` })
    }))
  }
}
