/** What the command definitions share: the world, the flags that every command has, and how an action ends. */
import { type Command, Option } from 'commander'
import type { CliWorld, CommonFlags, Voice } from './context.ts'
import { voiceOf } from './context.ts'
import type { ExitCode } from './exit-codes.ts'
import { exitCodes } from './exit-codes.ts'

export interface Cli {
  readonly world: CliWorld
  /** Set by the action that ran. */
  exitCode: ExitCode
}

/** Flags of the commands that talk to a mesh. */
export interface TalkFlags extends CommonFlags {
  readonly url?: string
  readonly token?: string
  readonly data?: string
}

/** Adds `--json` and `--quiet`. */
export function withCommon(command: Command): Command {
  return command.optionsGroup('Everywhere:')
    .option('--json', 'print results (and errors, on standard error) as JSON')
    .option('-q, --quiet', 'print results only (SKEIN_QUIET)')
    .helpOption('-h, --help', 'this help')
}

/** Adds what is needed to reach a node. */
export function withTalk(command: Command): Command {
  command.optionsGroup('Which mesh:')
    .option('--url <url>', "a bridge of the mesh (SKEIN_URL; default: this machine's node)")
    .option('--token <token>', 'token for that bridge (SKEIN_TOKEN, which other users cannot see)')
    .option('--data <folder>', "data directory of this machine's node")
  return withCommon(command)
}

/** Wraps an action: it gets its flags typed, a voice that obeys them, and its return value becomes the exit code. */
export function act<Flags extends CommonFlags>(cli: Cli, run: (invocation: { readonly args: readonly string[]; readonly flags: Flags; readonly voice: Voice; readonly world: CliWorld; readonly command: Command }) => Promise<ExitCode | undefined> | Promise<void> | ExitCode | undefined) {
  return async (...given: unknown[]): Promise<void> => {
    const command = given.at(-1) as Command
    const flags = command.opts<Flags>()
    const code = await run({ args: command.processedArgs.flat().filter((arg): arg is string => typeof arg === 'string'), flags, voice: voiceOf(cli.world, flags), world: cli.world, command })
    cli.exitCode = code ?? exitCodes.completed
  }
}

/** For an option that may be given several times. */
export function collect(value: string, previous: readonly string[] | undefined): string[] {
  return [...(previous ?? []), value]
}

export function hidden(flags: string, description: string): Option {
  return new Option(flags, description).hideHelp()
}
