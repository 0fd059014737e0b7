/** The whole command line: names, flags, help. */
import type { Command } from 'commander'
import { bareProgram, showHelpWhenBare } from './bare-program.ts'
import type { Cli } from './cli.ts'
import { addConfigCommands } from './commands/config-show.ts'
import { addDemoCommand } from './commands/demo.ts'
import { addDoctorCommand } from './commands/doctor.ts'
import { addInviteCommand } from './commands/invite.ts'
import { addLaterCommands } from './commands/later.ts'
import { addMeshCommands } from './commands/mesh.ts'
import { addMissionCommands } from './commands/mission.ts'
import { addRunCommand } from './commands/run.ts'
import { addServiceCommands } from './commands/service.ts'
import { addSimCommand } from './commands/sim.ts'
import { addSkillCommands } from './commands/skill.ts'
import { addStartCommands } from './commands/start.ts'
import { addStoreCommands } from './commands/store.ts'
import { addUpCommand } from './commands/up.ts'
import { release } from '../release.ts'

const helpEnd = `
First steps:
  skein demo                            three nodes, a real mission, a killed worker, a report
  skein start                           a node on this machine; prints the line that joins the next one
  skein run repo.report --input path=.  submit a mission and watch it

Every command has --help and --json. Exit codes: 0 completed, 1 failed, 2 bad usage, 3 refused,
4 outcome unknown (the same command with the same --key is safe), 130 let go with Ctrl-C.`

/** @param cli gets the exit code of the command that ran */
export function buildProgram(cli: Cli): Command {
  const program = bareProgram('skein', cli)
  program.description('A mesh of agents: nodes find each other, bid for work, and carry missions to the end.')
    .version(release(), '-v, --version', 'the release')
    .helpOption('-h, --help', 'this help')
    .addHelpText('after', helpEnd)

  addStartCommands(program, cli)
  addUpCommand(program, cli)
  addInviteCommand(program, cli)
  addServiceCommands(program, cli)
  addStoreCommands(program, cli)
  addConfigCommands(program, cli)
  addRunCommand(program, cli)
  addMissionCommands(program, cli)
  addMeshCommands(program, cli)
  addDoctorCommand(program, cli)
  program.commandsGroup('Skills and more:')
  addSkillCommands(program, cli)
  addDemoCommand(program, cli)
  addSimCommand(program, cli)
  addLaterCommands(program, cli)
  program.helpCommand('help [command]', 'help for a command')
  for (const group of ['node', 'mission', 'skill', 'service', 'store', 'config']) showHelpWhenBare(program, group, cli)
  return program
}
