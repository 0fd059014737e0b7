/** The whole command line: names, flags, help. */
import { Command, type HelpConfiguration } from 'commander'
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
import { addSkillCommands } from './commands/skill.ts'
import { addStartCommands } from './commands/start.ts'
import { addUpCommand } from './commands/up.ts'
import type { CliWorld } from './context.ts'
import { release } from '../release.ts'
import { coloursFor } from './view/colours.ts'

const helpEnd = `
First steps:
  skein demo                            three nodes, a real mission, a killed worker, a report
  skein start                           a node on this machine; prints the line that joins the next one
  skein run repo.report --input path=.  submit a mission and watch it

Every command has --help and --json. Exit codes: 0 completed, 1 failed, 2 bad usage, 3 refused,
4 outcome unknown (the same command with the same --key is safe), 130 let go with Ctrl-C.`

/** Of a command's own commands its line in the list names so many. */
const namesShownMax = 4

/** @param cli gets the exit code of the command that ran */
export function buildProgram(cli: Cli): Command {
  const { world } = cli
  const program = new Command('skein')
  // Subcommands inherit these when they are made, so they come first.
  program.exitOverride().showHelpAfterError(false).showSuggestionAfterError(true).enablePositionalOptions()
  program.configureOutput({
    writeOut: (text) => world.stdout.write(text),
    // Errors are told once, by main().
    writeErr: () => undefined,
    getOutHelpWidth: () => Math.min(world.stdout.columns ?? 100, 110),
    getOutHasColors: () => coloursFor(world.stdout.isTTY === true, world.env).isColorSupported,
  })
  program.configureHelp(helpStyle(world))
  program.description('A mesh of agents: nodes find each other, bid for work, and carry missions to the end.')
    .version(release(), '-v, --version', 'the release')
    .helpOption('-h, --help', 'this help')
    .addHelpText('after', helpEnd)

  addStartCommands(program, cli)
  addUpCommand(program, cli)
  addInviteCommand(program, cli)
  addServiceCommands(program, cli)
  addConfigCommands(program, cli)
  addRunCommand(program, cli)
  addMissionCommands(program, cli)
  addMeshCommands(program, cli)
  addDoctorCommand(program, cli)
  program.commandsGroup('Skills and more:')
  addSkillCommands(program, cli)
  addDemoCommand(program, cli)
  addLaterCommands(program, cli)
  program.helpCommand('help [command]', 'help for a command')
  for (const group of ['node', 'mission', 'skill', 'service', 'config']) showHelpWhenBare(program, group, cli)
  return program
}

/** `skein mission` alone is a question, not a mistake. */
function showHelpWhenBare(program: Command, name: string, cli: Cli): void {
  const group = program.commands.find((command) => command.name() === name)
  if (group === undefined) return
  const bare = [group, ...group.commands.filter((command) => command.commands.length > 0)]
  for (const command of bare) {
    command.helpOption('-h, --help', 'this help').usage('<command>').argument('[command]').action((given: string | undefined) => {
      if (given !== undefined) command.error(`error: unknown command '${given}'`, { code: 'commander.unknownCommand' })
      cli.world.stdout.write(command.helpInformation())
    })
  }
}

function helpStyle(world: CliWorld): HelpConfiguration {
  const colours = coloursFor(world.stdout.isTTY === true, world.env)
  return {
    styleTitle: (text) => colours.bold(text),
    styleCommandText: (text) => colours.cyan(text),
    styleSubcommandText: (text) => colours.cyan(text),
    styleOptionText: (text) => colours.cyan(text),
    subcommandTerm: (command) => {
      const args = command.registeredArguments.map((argument) => (argument.required ? `<${argument.name()}>` : `[${argument.name()}]`)).join(' ')
      const inner = command.createHelp().visibleCommands(command).map((sub) => sub.name())
      const shown = inner.length <= namesShownMax ? inner.join('|') : `${inner.slice(0, namesShownMax).join('|')}|…`
      return `${command.name()}${inner.length > 0 ? ` ${shown}` : args === '' ? '' : ` ${args}`}`
    },
  }
}

