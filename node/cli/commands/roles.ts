/** `roles`: the profiles under which agents work, those that Skein ships and those of this machine's configuration. */
import type { Command } from 'commander'
import { loadConfig } from '../../config.ts'
import { type KnownRole, loadRoles, roleNamed } from '../../roles/load-roles.ts'
import { showHelpWhenBare } from '../bare-program.ts'
import { type Cli, act, withCommon } from '../cli.ts'
import type { CliWorld, CommonFlags } from '../context.ts'
import type { Colours } from '../view/colours.ts'
import { printable } from '../view/format.ts'
import { table } from '../view/table.ts'

interface RolesFlags extends CommonFlags {
  readonly roles?: string
  readonly config?: string
  readonly data?: string
}

export function addRolesCommands(program: Command, cli: Cli): void {
  const roles = program.command('roles').description('the roles that agents work under')
  withRoles(roles.command('list').description('every role, what it is good at and where it comes from')).action(act<RolesFlags>(cli, async ({ flags, voice, world }) => {
    const known = [...(await rolesOf(flags, world)).values()]
    voice.value(known.map(roleValue))
    voice.print(roleLines(known, voice.columns, voice.colours).join('\n'))
  }))
  withRoles(roles.command('show').description('one role: its prompt, its models, what it may call, its limits').argument('<name>', 'as "skein roles list" shows it')).action(act<RolesFlags>(cli, async ({ args, flags, voice, world }) => {
    const role = roleNamed(await rolesOf(flags, world), args.join(' '))
    voice.value(roleValue(role))
    if (voice.json) return
    const { stringify } = await import('../../config/yaml.ts')
    const { digest, ...file } = role.profile
    voice.print(`# ${originOf(role)}; digest ${digest.slice(0, 12)}\n${printable(stringify(file, { lineWidth: 0 }).trimEnd())}`)
  }))
  showHelpWhenBare(program, 'roles', cli)
}

function withRoles(command: Command): Command {
  command.optionsGroup('Which roles:')
    .option('--roles <folder>', 'a folder of YAML files with more of them (SKEIN_ROLES; "roles" in the configuration)')
    .option('--config <file>', 'read this configuration file and no other (SKEIN_CONFIG)')
    .option('--data <folder>', "data directory of this machine's node")
  return withCommon(command)
}

async function rolesOf(flags: RolesFlags, world: CliWorld): Promise<ReadonlyMap<string, KnownRole>> {
  const { config } = await loadConfig({ flags: { roles: flags.roles, data: flags.data }, env: world.env, cwd: world.cwd, ...(flags.config === undefined ? {} : { file: flags.config }) })
  return await loadRoles(config.roles)
}

function roleValue({ profile, origin, overridesShipped }: KnownRole): Record<string, unknown> {
  return { ...profile, origin, overridesShipped }
}

function originOf({ origin, overridesShipped }: KnownRole): string {
  return `${printable(origin)}${overridesShipped ? ' (instead of the shipped one)' : ''}`
}

function roleLines(known: readonly KnownRole[], columns: number, colours: Colours): string[] {
  const rows = known.map((role) => [role.profile.name, role.origin === 'shipped' ? colours.dim('shipped') : originOf(role), printable(role.profile.summary)])
  return table([['ROLE', 'FROM', ''], ...rows], columns, colours.dim)
}
