import { readProcessTree } from '../../../node/skills/program/process-tree.ts'

/** Resolves when the condition holds; asks every `everyMs`. The test's own time limit bounds it. */
export async function until(condition: () => boolean | Promise<boolean>, everyMs = 10): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, everyMs))
}

/** Whether a process exists and has not ended (a zombie has ended). */
export async function isAlive(pid: number): Promise<boolean> {
  const reading = (await readProcessTree(pid)).find((one) => one.pid === pid)
  return reading !== undefined && reading.state !== 'Z'
}
