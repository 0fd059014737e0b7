/**
 * The program behind the `skein` bin.
 *
 * @packageDocumentation
 */
import { type CliWorld, thisWorld } from './context.ts'
import type { Cli } from './cli.ts'
import { type ExitCode, exitCodes } from './exit-codes.ts'
import { runProgram } from './run-program.ts'
import { startProgram, startWords } from './skein-program.ts'

/**
 * Runs one command.
 *
 * @param argv without the interpreter and the script
 * @returns the exit code; nothing is thrown
 */
export async function main(argv: readonly string[], world: CliWorld = thisWorld()): Promise<ExitCode> {
  const cli: Cli = { world, exitCode: exitCodes.completed }
  const program = startWords.includes(argv[0] ?? '') ? startProgram(cli) : (await import('./program.ts')).buildProgram(cli)
  return await runProgram(program, cli, argv)
}
