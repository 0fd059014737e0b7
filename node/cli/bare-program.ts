/** What every program of Skein has in common: how it speaks, how its help looks. */
import { Command, type HelpConfiguration } from 'commander'
import type { Cli } from './cli.ts'
import type { CliWorld } from './context.ts'
import { coloursFor } from './view/colours.ts'

/** Of a command's own commands its line in the list names so many. */
const namesShownMax = 4

/** A program without commands, which throws where commander would end the process. */
export function bareProgram(name: string, { world }: Cli): Command {
  const program = new Command(name)
  // Subcommands inherit these when they are made, so they come first.
  program.exitOverride().showHelpAfterError(false).showSuggestionAfterError(true).enablePositionalOptions()
  program.configureOutput({
    writeOut: (text) => world.stdout.write(text),
    // Errors are told once, by runProgram().
    writeErr: () => undefined,
    getOutHelpWidth: () => Math.min(world.stdout.columns ?? 100, 110),
    getOutHasColors: () => coloursFor(world.stdout.isTTY === true, world.env).isColorSupported,
  })
  program.configureHelp(helpStyle(world))
  return program
}

/** `skein mission` alone is a question, not a mistake. */
export function showHelpWhenBare(program: Command, name: string, cli: Cli): void {
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
