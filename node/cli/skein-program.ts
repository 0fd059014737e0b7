/** The command line without its commands. */
import type { Command } from 'commander'
import { bareProgram, showHelpWhenBare } from './bare-program.ts'
import type { Cli } from './cli.ts'
import { addStartCommands } from './commands/start.ts'
import { release } from '../release.ts'

const helpEnd = `
First steps:
  skein demo                            three nodes, a real mission, a killed worker, a report
  skein start                           a node on this machine; prints the line that joins the next one
  skein run repo.report --input path=.  submit a mission and watch it

Every command has --help and --json. Exit codes: 0 completed, 1 failed, 2 bad usage, 3 refused,
4 outcome unknown (the same command with the same --key is safe), 130 let go with Ctrl-C.`

export function skeinProgram(cli: Cli): Command {
  const program = bareProgram('skein', cli)
  program.description('A mesh of agents: nodes find each other, bid for work, and carry missions to the end.')
    .version(release(), '-v, --version', 'the release')
    .helpOption('-h, --help', 'this help')
    .addHelpText('after', helpEnd)
  return program
}

/** The first words of command lines for which `startProgram` is enough. */
export const startWords: readonly string[] = ['start', 'node', 'join']

/** The commands that start a node, alone: a node that starts does not wait for the code of all the others. */
export function startProgram(cli: Cli): Command {
  const program = skeinProgram(cli)
  addStartCommands(program, cli)
  showHelpWhenBare(program, 'node', cli)
  return program
}
