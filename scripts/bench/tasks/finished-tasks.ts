/** Stores that hold many finished tasks, in the archives of missions of a thousand each. */
import { createHash } from 'node:crypto'
import { link, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Digest } from '../../../protocols/kernel/ids.ts'
import type { EndedMission } from '../../../protocols/replicated-log/schema.ts'
import { endedMission, fillStore } from '../replication/restart.ts'

export const tasksPerMission = 1_000
/** What the archive of a mission of many no-op tasks holds for each of them, as measured: the fold, and every event. */
const archiveBytesPerTask = 4_000

/**
 * Writes them into a node that does not run.
 * @param like another node that has them already, on the same file system: archives so large are blobs, the same on every member of a mission, and the nodes share their files.
 */
export async function fillWithTasks(dataDir: string, tasks: number, like?: string): Promise<void> {
  const missions = Math.ceil(tasks / tasksPerMission)
  const blobs: Blob[] = []
  for (let number = 0; number < missions; number++) blobs.push(await archive(dataDir, number, like))
  await fillStore(join(dataDir, 'log'), missions, (number, nowMs) => withTasks(endedMission(number, nowMs), blobs[number]))
}

interface Blob {
  readonly digest: Digest
  readonly sizeBytes: number
}

function withTasks(ended: EndedMission, blob: Blob | undefined): EndedMission {
  if (blob === undefined) throw new Error('a mission without an archive')
  return { ...ended, archive: { blob: { $blob: blob.digest, sizeBytes: blob.sizeBytes } }, view: { ...ended.view as object, tasks: { accepted: tasksPerMission }, leaves: tasksPerMission } }
}

async function archive(dataDir: string, number: number, like: string | undefined): Promise<Blob> {
  const content = Buffer.from(JSON.stringify({ bench: number, filler: 'x'.repeat(tasksPerMission * archiveBytesPerTask) }))
  const digest = createHash('sha256').update(content).digest('hex') as Digest
  const path = join('blobs', digest.slice(0, 2), digest.slice(2))
  await mkdir(dirname(join(dataDir, path)), { recursive: true })
  if (like === undefined) await writeFile(join(dataDir, path), content)
  else await link(join(like, path), join(dataDir, path))
  return { digest, sizeBytes: content.byteLength }
}
