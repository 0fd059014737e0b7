/**
 * Which node founds its mesh's roster: the one that was started first, with nobody to join, and only once. A file beside
 * the mesh key says that this directory belongs to a mesh that has a roster: with its logs lost it must be admitted again,
 * as a second roster would split the mesh.
 *
 * @packageDocumentation
 */
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { LogStore } from '../actors/ports/log-store.ts'
import { MeshError } from '../protocols/kernel/errors.ts'

const markerOf = (dataDir: string): string => join(dataDir, 'mesh.member')

async function mark(dataDir: string, how: 'joined' | 'founded'): Promise<void> {
  try {
    await writeFile(markerOf(dataDir), `${how}\n`, { mode: 0o600, flag: 'wx', flush: true })
  } catch (thrown) {
    if ((thrown as { code?: string }).code === 'EEXIST') return
    throw new MeshError('storage-failed', `${markerOf(dataDir)} cannot be written: ${thrown instanceof Error ? thrown.message : String(thrown)}`, { next: 'check the rights and the free space of the data directory', retryable: false })
  }
}

/**
 * @param joins whether it was told whom to join.
 * @returns whether this start may found the roster, and the store to use: its first write of a roster is remembered.
 * @throws MeshError `storage-failed`.
 */
export async function founding(dataDir: string, joins: boolean, store: LogStore): Promise<{ readonly founds: boolean; readonly store: LogStore }> {
  if (joins) await mark(dataDir, 'joined')
  if (existsSync(markerOf(dataDir))) return { founds: false, store }
  let isMarked = false
  return {
    founds: true,
    store: {
      ...store,
      async write(batch) {
        await store.write(batch)
        if (isMarked || !batch.writes.some(({ head }) => head.group === 'roster')) return
        isMarked = true
        await mark(dataDir, 'founded')
      },
    },
  }
}
