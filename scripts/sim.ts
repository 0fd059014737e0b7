/**
 * The simulator's input and output: `skein sim …`, which the bin hands to this program; `npm run sim -- …` in a clone.
 *
 * @packageDocumentation
 */
import type { Cli } from '../node/cli/cli.ts'
import { type CliWorld, thisWorld } from '../node/cli/context.ts'
import { type ExitCode, exitCodes } from '../node/cli/exit-codes.ts'
import { runProgram } from '../node/cli/run-program.ts'
import { createSimulation } from '../sim/simulator.ts'
import { buildSimProgram } from './sim/program.ts'
import type { SimDeps } from './sim/sim-world.ts'

/**
 * Runs one command.
 *
 * @param argv what stands after `skein sim`
 * @returns the exit code; nothing is thrown
 */
export async function main(argv: readonly string[], world: CliWorld = thisWorld(), deps: SimDeps = { createSimulation }): Promise<ExitCode> {
  const cli: Cli = { world, exitCode: exitCodes.completed }
  return await runProgram(buildSimProgram(cli, deps), cli, argv)
}

if (import.meta.main) {
  // Without the bin, which does the same: a reader that has seen enough (`npm run sim -- run … | head`) ends the command.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
      process.exit()
    })
  }
  process.exitCode = await main(process.argv.slice(2))
}
