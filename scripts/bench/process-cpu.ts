/** The processor time that other processes have used, as Linux counts it. */
import { readFileSync } from 'node:fs'

/** Linux counts processor time for its readers in hundredths of a second, whatever its own clock is. */
const tickMicros = 10_000

/** User and system time of a process with all its threads, in microseconds. NaN where there is no /proc, and of a process that is gone. */
export function cpuMicrosOf(pid: number): number {
  try {
    return cpuMicrosIn(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return Number.NaN
  }
}

/** @param stat a line of /proc/PID/stat: the name of the program, in parentheses, may hold blanks and parentheses. */
export function cpuMicrosIn(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  // utime and stime are the 14th and 15th of all; the first here is the third.
  return (Number(fields[11]) + Number(fields[12])) * tickMicros
}

export interface NamedProcess {
  readonly name: string
  readonly pid: number
}

/** What each of them has used while something was done, in microseconds, by name: processes of one name together. */
export async function cpuDuring<Value>(processes: readonly NamedProcess[], work: () => Promise<Value>): Promise<{ value: Value; micros: ReadonlyMap<string, number> }> {
  const before = processes.map(({ pid }) => cpuMicrosOf(pid))
  const value = await work()
  const micros = new Map<string, number>()
  for (const [index, { name, pid }] of processes.entries()) micros.set(name, (micros.get(name) ?? 0) + cpuMicrosOf(pid) - (before[index] ?? Number.NaN))
  return { value, micros }
}
