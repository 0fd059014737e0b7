/** Runs one command of a program and tells every error once. */
import { type Command, CommanderError } from 'commander'
import { MeshError } from '../../protocols/kernel/errors.ts'
import type { Cli } from './cli.ts'
import { reportError } from './context.ts'
import { type ExitCode, exitCodeOf, exitCodes } from './exit-codes.ts'

/**
 * @param argv without the interpreter and the script
 * @returns the exit code; nothing is thrown
 */
export async function runProgram(program: Command, cli: Cli, argv: readonly string[]): Promise<ExitCode> {
  const { world } = cli
  try {
    if (argv.length === 0) {
      world.stdout.write(program.helpInformation())
      return exitCodes.completed
    }
    await program.parseAsync([...argv], { from: 'user' })
    return cli.exitCode
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return exitCodes.completed
    const fault = reportError(world, argv.includes('--json'), thrown instanceof CommanderError ? usageOf(thrown, program, argv) : thrown)
    return exitCodeOf(fault.code)
  }
}

function usageOf(error: CommanderError, program: Command, argv: readonly string[]): MeshError {
  const [line = '', suggestion] = error.message.replace(/^error: /, '').split('\n')
  const help = `see "${commandMeant(program, argv)} --help"`
  return new MeshError('bad-request', line, { next: suggestion === undefined ? help : `${suggestion.replace(/^\((.*)\)$/, '$1').toLowerCase()} ${help}` })
}

/** As much of the command line as is a known command. */
function commandMeant(program: Command, argv: readonly string[]): string {
  const names = [program.name()]
  let command = program
  for (const word of argv) {
    const inner = command.commands.find((candidate) => candidate.name() === word)
    if (inner === undefined) break
    names.push(word)
    command = inner
  }
  return names.join(' ')
}
