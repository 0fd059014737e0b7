/** Finds processes that outlived the test that started them. */
import { readFileSync, readdirSync } from 'node:fs'

/** A variable that every process of one test inherits, so that even a grandchild that moved away is recognised. */
export const markVariable = 'MESH_UNDER_TEST'

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (thrown) {
    return thrown instanceof Error && 'code' in thrown && thrown.code === 'EPERM'
  }
}

/**
 * @param mark value of the variable. @param groups process groups that the test made; all that can be asked where there is no /proc.
 * @returns a line about each process that is still there; zombies do not count.
 */
export function leftovers(mark: string, groups: readonly number[]): string[] {
  if (process.platform !== 'linux') return groups.filter((group) => isAlive(-group)).map((group) => `process group ${group}`)
  const found: string[] = []
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (!readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(`${markVariable}=${mark}`)) continue
      const state = /^\d+ \(.*\) (\S)/s.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.[1]
      if (state === 'Z' || state === 'X' || Number(pid) === process.pid) continue
      found.push(`${pid}: ${readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').slice(0, 200)}`)
    } catch {
      // Gone between listing and reading, or not ours to read.
    }
  }
  return found
}
