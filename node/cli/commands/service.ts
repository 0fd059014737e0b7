/** `service install|remove`: a node that starts with its user's session. */
import { resolve } from 'node:path'
import type { Command } from 'commander'
import type { ServiceResult } from '../../service/service.ts'
import { installService, removeService } from '../../service/service.ts'
import { type Cli, act, withCommon } from '../cli.ts'
import type { CommonFlags, Voice } from '../context.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { type StartFlags, configOf } from './start.ts'

interface ServiceFlags extends CommonFlags {
  readonly data?: string
  readonly config?: string
  readonly dryRun?: boolean
}

export function addServiceCommands(program: Command, cli: Cli): void {
  const service = program.command('service').description('start a node with your session (systemd, launchd)')
  withCommon(service.command('install').description('install and start it, or update it')
    .option('--data <folder>', 'its data directory')
    .option('--config <file>', 'its configuration file')
    .option('--dry-run', 'say what would be done'))
    .action(act<ServiceFlags>(cli, async ({ flags, voice, world }) => {
      // Read now, so that a mistake shows here and not in a log.
      const { config, origins } = await configOf(flags as StartFlags, world)
      if (origins['endpoints']?.includes('environment') === true) voice.warn(`skein: the service does not have your environment, so it will not use the models that OPENAI_API_KEY or SKEIN_LLM_URL name here: put them under endpoints into ${resolve(config.data, 'skein.config.yaml')}`)
      const file = flags.config === undefined ? [] : ['--config', resolve(world.cwd, flags.config)]
      return tell(await installService({ binPath: resolve(world.bin), dataDir: config.data, args: file, env: world.env, ...(flags.dryRun === true ? { dryRun: true } : {}) }), flags, voice)
    }))
  withCommon(service.command('remove').description('stop and remove it; its data stays').option('--dry-run', 'say what would be done'))
    .action(act<ServiceFlags>(cli, async ({ flags, voice, world }) => tell(await removeService({ env: world.env, ...(flags.dryRun === true ? { dryRun: true } : {}) }), flags, voice)))
}

function tell(result: ServiceResult, flags: ServiceFlags, voice: Voice): ExitCode {
  voice.value(result)
  const isDry = flags.dryRun === true
  for (const file of result.files) voice.print(`${isDry ? 'would be ' : ''}${file.change}  ${file.path}`)
  if (isDry) for (const file of result.files) voice.say(`\n${file.text}`)
  for (const command of result.commands) voice.print(`${isDry || !result.done ? 'to run' : 'ran'}  ${command}`)
  for (const note of result.notes) voice.say(note)
  return isDry || result.done ? exitCodes.completed : exitCodes.failed
}
