/**
 * `<data directory>/run.json`: how the commands of this machine find the node that runs on it.
 * Written when the node is ready, removed when it stops; a stale one is recognised by its dead process.
 */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'

export const RunFile = z.object({
  pid: z.number().int().min(1),
  peerId: z.string(),
  name: z.string(),
  addrs: z.array(z.string()),
  /** Absent when the node serves no bridge. */
  http: z.string().optional(),
  token: z.string().optional(),
})
export type RunFile = z.infer<typeof RunFile>

function pathIn(dataDir: string): string {
  return join(dataDir, 'run.json')
}

export async function writeRunFile(dataDir: string, run: RunFile): Promise<void> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  const draft = `${pathIn(dataDir)}.${process.pid}`
  await writeFile(draft, JSON.stringify(run), { mode: 0o600 })
  await rename(draft, pathIn(dataDir))
}

/** @returns what the running node left, or undefined when there is none or its process is gone. */
export async function readRunFile(dataDir: string): Promise<RunFile | undefined> {
  let run: RunFile
  try {
    run = RunFile.parse(JSON.parse(await readFile(pathIn(dataDir), 'utf8')))
  } catch {
    return undefined
  }
  return isAlive(run.pid) ? run : undefined
}

/** Removes the file unless another node has written its own in the meantime. */
export async function removeRunFile(dataDir: string, pid: number): Promise<void> {
  try {
    const run = RunFile.parse(JSON.parse(await readFile(pathIn(dataDir), 'utf8')))
    if (run.pid === pid) await rm(pathIn(dataDir), { force: true })
  } catch {
    // No file, or none of ours: nothing to remove.
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (thrown) {
    // EPERM: it lives, but belongs to somebody else.
    return thrown instanceof Error && 'code' in thrown && thrown.code === 'EPERM'
  }
}
