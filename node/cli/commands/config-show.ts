/** `config show`: every setting, its value and where it came from. */
import type { Command } from 'commander'
import { aboutSetting, flagName, redacted, valueAt, variableName } from '../../config.ts'
import { type Cli, act, withCommon } from '../cli.ts'
import { printable } from '../view/format.ts'
import { table } from '../view/table.ts'
import { type StartFlags, configOf, withNodeFlags } from './start.ts'

export function addConfigCommands(program: Command, cli: Cli): void {
  const config = program.command('config').description('the configuration of a node here')
  const show = config.command('show').description('every setting, its value and where it came from; secrets are not shown')
  withCommon(withNodeFlags(show)).addHelpText('after', `
Flags win over the environment, that over skein.config.yaml (or .json) in this folder, that over the one in the data
directory, that over the defaults. The setting limits.leaseMs is ${variableName('limits.leaseMs')} in the environment and
--set limits.leaseMs=… as a flag; listen.port is ${variableName('listen.port')} and ${flagName('listen.port')}.`)
    .action(act<StartFlags>(cli, async ({ flags, voice, world }) => {
      const { config: settings, origins, files, ignored, endpointProblem } = await configOf(flags, world)
      const shown = Object.keys(origins).map((path) => ({ path, value: redacted(path, valueAt(settings, path)), from: origins[path] ?? 'default' }))
      voice.value({ settings: Object.fromEntries(shown.map(({ path, value, from }) => [path, { value, from }])), files, ignored })
      const rows = shown.map(({ path, value, from }) => [path, printable(typeof value === 'string' ? value : JSON.stringify(value)), from === 'default' ? voice.colours.dim(from) : from, voice.colours.dim(aboutSetting(path))])
      voice.print(table([['SETTING', 'VALUE', 'FROM', ''], ...rows], voice.columns, voice.colours.dim).join('\n'))
      for (const { variable, nearest } of ignored) voice.warn(`skein: ${variable} is no setting${nearest === undefined ? '' : `; did you mean ${nearest}?`}`)
      if (endpointProblem !== undefined) voice.warn(`skein: ${endpointProblem.fault.detail}`)
      return undefined
    }))
}
