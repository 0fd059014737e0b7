/** The whole command line: names, flags, help. */
import type { Command } from 'commander'
import { showHelpWhenBare } from './bare-program.ts'
import type { Cli } from './cli.ts'
import { addConfigCommands } from './commands/config-show.ts'
import { addDemoCommand } from './commands/demo.ts'
import { addDoctorCommand } from './commands/doctor.ts'
import { addInviteCommand } from './commands/invite.ts'
import { addLaterCommands } from './commands/later.ts'
import { addMeshCommands } from './commands/mesh.ts'
import { addMissionCommands } from './commands/mission.ts'
import { addModelsCommand } from './commands/models.ts'
import { addRolesCommands } from './commands/roles.ts'
import { addAskCommand, addRunCommand } from './commands/run.ts'
import { addServiceCommands } from './commands/service.ts'
import { addSimCommand } from './commands/sim.ts'
import { addSkillCommands } from './commands/skill.ts'
import { addStartCommands } from './commands/start.ts'
import { addStoreCommands } from './commands/store.ts'
import { addUpCommand } from './commands/up.ts'
import { skeinProgram } from './skein-program.ts'

/** @param cli gets the exit code of the command that ran */
export function buildProgram(cli: Cli): Command {
  const program = skeinProgram(cli)
  addStartCommands(program, cli)
  addUpCommand(program, cli)
  addInviteCommand(program, cli)
  addServiceCommands(program, cli)
  addStoreCommands(program, cli)
  addConfigCommands(program, cli)
  addRunCommand(program, cli)
  addAskCommand(program, cli)
  addMissionCommands(program, cli)
  addMeshCommands(program, cli)
  addModelsCommand(program, cli)
  addDoctorCommand(program, cli)
  program.commandsGroup('Skills and more:')
  addSkillCommands(program, cli)
  addRolesCommands(program, cli)
  addDemoCommand(program, cli)
  addSimCommand(program, cli)
  addLaterCommands(program, cli)
  program.helpCommand('help [command]', 'help for a command')
  for (const group of ['node', 'mission', 'skill', 'service', 'store', 'config']) showHelpWhenBare(program, group, cli)
  return program
}
