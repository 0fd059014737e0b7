/**
 * Runs one command-line tool within a time and an output limit, and never rejects.
 * Parsing what the tool printed is somebody else's work.
 */
import type { ChildProcessByStdio } from 'node:child_process'
import { spawn } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import type { Readable } from 'node:stream'

export interface ToolLimits {
  readonly timeoutMs: number
  /** Of standard output and of standard error, each. What is over it ends the tool. */
  readonly outputBytesMax: number
  /** Replaces this process's environment. */
  readonly env?: Readonly<Record<string, string | undefined>>
}

export type ToolOutcome =
  | { readonly kind: 'output'; readonly text: string }
  /** There is no such program, or it may not be executed. */
  | { readonly kind: 'missing' }
  /** It ended with another code than 0, ran too long or printed too much. `text` holds what it printed until then. */
  | { readonly kind: 'failed'; readonly reason: string; readonly text: string }

/** The seam at which tests replace real tools by recorded output. */
export type RunTool = (file: string, args: readonly string[], limits: ToolLimits) => Promise<ToolOutcome>

/**
 * @param file a name looked up in PATH, or an absolute path. No shell is involved.
 * @returns when the tool has ended, or at `timeoutMs` even if it cannot be killed (a driver that hangs in the kernel).
 */
export const runTool: RunTool = async (file, args, limits) => {
  // Most machines lack most tools. To find that out by starting them would copy this process's page tables each time, on the loop.
  if (!(await mayBeThere(file, limits.env ?? process.env))) return { kind: 'missing' }
  return await new Promise((resolve) => {
    const running = start(file, args, limits)
    if (running instanceof Error) {
      resolve({ kind: 'failed', reason: running.message, text: '' })
      return
    }
    const printed = { stdout: collector(), stderr: collector() }
    const text = (): string => [printed.stdout.text(), printed.stderr.text()].filter((part) => part !== '').join('\n')
    let settled = false

    const settle = (outcome: ToolOutcome): void => {
      if (settled) return
      settled = true
      clearTimeout(timer)
      resolve(outcome)
    }
    const giveUp = (reason: string): void => {
      running.kill('SIGKILL')
      // A grandchild may hold the pipes open for ever; nobody listens to it any more.
      running.stdout.destroy()
      running.stderr.destroy()
      running.unref()
      settle({ kind: 'failed', reason, text: text() })
    }
    const timer = setTimeout(() => giveUp(`${file} gave no answer within ${limits.timeoutMs} ms`), limits.timeoutMs)

    for (const name of ['stdout', 'stderr'] as const) {
      running[name].on('data', (chunk: Buffer) => {
        if (printed[name].add(chunk) > limits.outputBytesMax) giveUp(`${file} printed more than ${limits.outputBytesMax} bytes`)
      })
      running[name].on('error', () => undefined)
    }
    running.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'EACCES' || error.code === 'ENOTDIR') settle({ kind: 'missing' })
      else settle({ kind: 'failed', reason: error.message, text: text() })
    })
    running.on('close', (code, signal) => {
      if (code === 0) settle({ kind: 'output', text: printed.stdout.text() })
      else settle({ kind: 'failed', reason: signal === null ? `${file} ended with code ${code}` : `${file} was ended by ${signal}`, text: text() })
    })
  })
}

/** False only when there is surely no such program. Windows looks in more places than PATH. */
async function mayBeThere(file: string, env: Readonly<Record<string, string | undefined>>): Promise<boolean> {
  if (process.platform === 'win32' || env['PATH'] === undefined) return true
  const places = file.includes('/') ? [file] : env['PATH'].split(delimiter).map((folder) => join(folder, file))
  const found = await Promise.all(places.map((place) => access(place, constants.X_OK).then(() => true, () => false)))
  return found.includes(true)
}

function start(file: string, args: readonly string[], limits: ToolLimits): ChildProcessByStdio<null, Readable, Readable> | Error {
  try {
    // Numbers and messages are parsed, so they must not follow the user's language.
    return spawn(file, [...args], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...(limits.env ?? process.env), LC_ALL: 'C' }, windowsHide: true })
  } catch (thrown) {
    return thrown instanceof Error ? thrown : new Error(String(thrown))
  }
}

function collector(): { add(chunk: Buffer): number; text(): string } {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  return {
    add(chunk) {
      chunks.push(chunk)
      sizeBytes += chunk.byteLength
      return sizeBytes
    },
    text: () => Buffer.concat(chunks).toString('utf8'),
  }
}
