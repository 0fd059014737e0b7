/** Commands that are expected to say no: what they said, within a bounded time. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Fault } from '../../protocols/kernel/errors.ts'
import { type CommandOptions, type CommandResult, startSkein } from './skein-command.ts'

/** Longer than anything takes on a busy machine; what takes longer hangs. */
export const patienceMs = 90_000

export interface Said extends CommandResult {
  /** The error that `--json` printed on standard error. */
  readonly fault: Fault | undefined
}

/** The promise, or an error that names what hung. */
export async function within<T>(what: string, work: Promise<T>, limitMs = patienceMs): Promise<T> {
  const done = new AbortController()
  const late = sleep(limitMs, undefined, { signal: done.signal }).then((): never => {
    throw new Error(`${what} did not end within ${limitMs / 1_000} s`)
  })
  late.catch(() => undefined)
  try {
    return await Promise.race([work, late])
  } finally {
    done.abort()
  }
}

/** Runs a command with `--json` to its end. @throws Error with both outputs when it hangs. */
export async function say(argv: readonly string[], options: CommandOptions = {}): Promise<Said> {
  const command = startSkein([...argv, '--json'], options)
  try {
    const result = await within(`skein ${argv.join(' ').slice(0, 200)}`, command.ended)
    return { ...result, fault: faultIn(result.err) }
  } catch (thrown) {
    command.child.kill('SIGKILL')
    throw new Error(`${String(thrown)}\nstdout: ${command.out().slice(-2_000)}\nstderr: ${command.err().slice(-2_000)}`, { cause: thrown })
  }
}

/** The error object wherever it stands among the lines. */
export function faultIn(text: string): Fault | undefined {
  for (const line of text.split('\n').reverse()) {
    if (!line.startsWith('{"error"')) continue
    const parsed = Fault.safeParse((JSON.parse(line) as { error: unknown }).error)
    if (parsed.success) return parsed.data
  }
  return undefined
}
