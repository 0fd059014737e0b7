/** What a command has of the world outside: streams, environment, folder, and how to speak to them. */
import type { Readable } from 'node:stream'
import { type Fault, MeshError, toFault } from '../../protocols/kernel/errors.ts'
import { type Colours, coloursFor } from './view/colours.ts'

export interface OutStream {
  write(text: string): unknown
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
  readonly rows?: number | undefined
}

export interface CliWorld {
  readonly stdin: Readable
  readonly stdout: OutStream
  readonly stderr: OutStream
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  /** The script that started this program: children are started from it. */
  readonly bin: string
}

export function thisWorld(): CliWorld {
  return { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr, env: process.env, cwd: process.cwd(), bin: process.argv[1] ?? '' }
}

/** Flags that every command has. */
export interface CommonFlags {
  readonly json?: boolean
  readonly quiet?: boolean
}

/** How a command speaks: results on standard output, everything else where it does not get in their way. */
export interface Voice {
  readonly json: boolean
  readonly quiet: boolean
  readonly colours: Colours
  /** A terminal that can be redrawn. */
  readonly isLive: boolean
  readonly columns: number
  /** The answer, for people. Nothing with `--json`. */
  print(text: string): void
  /** Commentary: nothing with `--quiet` or `--json`. */
  say(text: string): void
  /** The answer, for programs: one line. Nothing without `--json`. */
  value(value: unknown): void
  /** On standard error, also with `--json`. */
  warn(text: string): void
}

export function voiceOf(world: CliWorld, flags: CommonFlags): Voice {
  const json = flags.json === true
  const quiet = flags.quiet === true || (world.env['SKEIN_QUIET'] ?? '') !== ''
  const isTty = world.stdout.isTTY === true
  return {
    json,
    quiet,
    colours: coloursFor(isTty, world.env),
    isLive: isTty && !json && !quiet && world.env['TERM'] !== 'dumb',
    columns: isTty ? (world.stdout.columns ?? 80) : 200,
    print(text) {
      if (!json) world.stdout.write(`${text}\n`)
    },
    say(text) {
      if (!json && !quiet) world.stdout.write(`${text}\n`)
    },
    value(value) {
      if (json) world.stdout.write(`${JSON.stringify(value)}\n`)
    },
    warn(text) {
      world.stderr.write(`${text}\n`)
    },
  }
}

/** An error as it leaves the program. With `--json`: `{"error":{"code","detail","retryable","next"?,"retryAfterMs"?}}` on standard error. */
export function reportError(world: CliWorld, json: boolean, thrown: unknown): Fault {
  const fault = toFault(thrown)
  if (json) {
    world.stderr.write(`${JSON.stringify({ error: fault })}\n`)
    return fault
  }
  const colours = coloursFor(world.stderr.isTTY === true, world.env)
  world.stderr.write(`${colours.red('skein:')} ${fault.detail}\n`)
  if (fault.next !== undefined) world.stderr.write(`  ${colours.dim('→')} ${fault.next}\n`)
  // Only a bug has a stack worth showing; everything else has said what to do.
  if (fault.code === 'internal' && thrown instanceof Error && thrown.stack !== undefined) world.stderr.write(`${colours.dim(thrown.stack)}\n`)
  return fault
}

export function usageError(detail: string, next: string): MeshError {
  return new MeshError('bad-request', detail, { next })
}
