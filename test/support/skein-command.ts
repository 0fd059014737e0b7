/** Runs the program as a person does: a process, its output, its exit code. */
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export const repositoryFolder = fileURLToPath(new URL('../../', import.meta.url))
export const bin = fileURLToPath(new URL('../../bin/skein.js', import.meta.url))

export interface CommandOptions {
  readonly cwd?: string
  /** Added to a bare environment: no setting of the machine's own reaches the command. */
  readonly env?: Readonly<Record<string, string>>
  /** Command before the command, like `ip netns exec NAME`. */
  readonly prefix?: readonly string[]
  readonly execArgv?: readonly string[]
  readonly stdin?: 'ignore' | 'pipe'
}

export interface RunningCommand {
  readonly child: ChildProcess
  readonly pid: number
  /** What it has printed so far. */
  out(): string
  err(): string
  /** Called for each line of standard output, those that were printed before included. */
  onLine(listener: (line: string) => void): void
  readonly ended: Promise<CommandResult>
}

export interface CommandResult {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly out: string
  readonly err: string
}

/** An environment without settings and secrets of the machine. */
export function bareEnvironment(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  const kept = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'SYSTEMROOT', 'NODE_COMPILE_CACHE'].flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name] as string]]))
  return { ...Object.fromEntries(kept) as Record<string, string>, ...extra }
}

/** Starts `skein …` in a process group of its own. */
export function startSkein(argv: readonly string[], options: CommandOptions = {}): RunningCommand {
  const [file = '', ...args] = [...(options.prefix ?? []), process.execPath, ...(options.execArgv ?? []), bin, ...argv]
  const child = spawn(file, args, { cwd: options.cwd ?? repositoryFolder, env: bareEnvironment(options.env), stdio: [options.stdin ?? 'ignore', 'pipe', 'pipe'], detached: true })
  child.stdin?.on('error', () => undefined)
  let out = ''
  let err = ''
  let partial = ''
  const lines: string[] = []
  const listeners: ((line: string) => void)[] = []
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    out += text
    const parts = (partial + text).split('\n')
    partial = parts.pop() ?? ''
    for (const line of parts) {
      lines.push(line)
      for (const listener of listeners) listener(line)
    }
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => { err += text })
  const ended = new Promise<CommandResult>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code, signal, out, err }))
  })
  ended.catch(() => undefined)
  return {
    child,
    pid: child.pid ?? -1,
    out: () => out,
    err: () => err,
    onLine(listener) {
      for (const line of lines) listener(line)
      listeners.push(listener)
    },
    ended,
  }
}

/** Runs `skein …` to its end. */
export function runSkein(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  return startSkein(argv, options).ended
}

/** Runs `skein … --json` and parses what it printed. @throws Error with both outputs when it ended with another code or printed no JSON. */
export async function skeinJson<T>(argv: readonly string[], options: CommandOptions & { readonly code?: number } = {}): Promise<T> {
  const result = await runSkein([...argv, '--json'], options)
  const told = `skein ${argv.join(' ')}\nstdout: ${result.out.slice(-4_000)}\nstderr: ${result.err.slice(-4_000)}`
  if (result.code !== (options.code ?? 0)) throw new Error(`exit code ${String(result.code ?? result.signal)} of ${told}`)
  try {
    return JSON.parse(result.out) as T
  } catch {
    throw new Error(`no JSON from ${told}`)
  }
}
