import type { ChildProcess } from 'node:child_process'
import type { DurationMs } from '../../protocols/kernel/units.ts'

/** The next thing that a process says. @throws Error when that is `{ failed }`, or when the process ends or says nothing for so long. */
export function nextReply<Reply extends object>(child: ChildProcess, who: string, what: string, patienceMs: DurationMs): Promise<Exclude<Reply, { readonly failed: string }>> {
  return new Promise((resolve, reject) => {
    const finish = (): void => {
      clearTimeout(timer)
      child.off('message', onReply)
      child.off('exit', onExit)
    }
    const onReply = (said: unknown): void => {
      finish()
      const got = said as object
      if ('failed' in got) reject(new Error(`${what}: ${String(got.failed)}`))
      else resolve(got as Exclude<Reply, { readonly failed: string }>)
    }
    const onExit = (code: number | null): void => {
      finish()
      reject(new Error(`${who} ended with ${String(code)} while it had to ${what}`))
    }
    const timer = setTimeout(() => {
      finish()
      reject(new Error(`${who} did not answer to ${what} within ${patienceMs / 1_000} s`))
    }, patienceMs)
    child.on('message', onReply)
    child.once('exit', onExit)
  })
}

/** It ends by itself when it hears nothing from here any more. */
export function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise((resolve) => {
    child.once('exit', () => resolve())
    child.disconnect()
  })
}
