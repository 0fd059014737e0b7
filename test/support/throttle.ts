/**
 * Makes a process really slow: it is stopped for most of the time, in slices too short for anybody to take it for dead.
 * What it computes takes that much longer; what it has to say in time it still says.
 */
import { spawn } from 'node:child_process'

export interface Throttle {
  /** Lets it run freely again. */
  release(): Promise<void>
}

/** Runs in a process of its own, which lets go when the test is gone, however that ended. */
const script = `
const [pid, runMs, stopMs] = process.argv.slice(1).map(Number)
const send = (signal) => { try { process.kill(pid, signal) } catch { process.exit(0) } }
let timer
const run = () => { send('SIGCONT'); timer = setTimeout(stop, runMs) }
const stop = () => { send('SIGSTOP'); timer = setTimeout(run, stopMs) }
const letGo = () => { clearTimeout(timer); send('SIGCONT'); process.exit(0) }
process.stdin.resume().on('end', letGo).on('error', letGo)
stop()
`

/** @param runMs of `runMs + stopMs` milliseconds it runs. */
export function throttle(pid: number, { runMs, stopMs }: { readonly runMs: number; readonly stopMs: number }, env: Readonly<Record<string, string>> = {}): Throttle {
  const child = spawn(process.execPath, ['--eval', script, String(pid), String(runMs), String(stopMs)], { stdio: ['pipe', 'ignore', 'inherit'], env: { ...env } })
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  return {
    release() {
      child.stdin.end()
      return gone
    },
  }
}
