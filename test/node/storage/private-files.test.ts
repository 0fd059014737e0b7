import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { writeRunFile } from '../../../node/cli/run-file.ts'
import { loadIdentityKey, openNodeDatastore } from '../../../node/identity.ts'
import { loadOrCreateMeshKey } from '../../../node/mesh-key.ts'
import { openFileBlobStore } from '../../../node/storage/blob-store-file-adapter.ts'
import { openLevelLogStore } from '../../../node/storage/log-store-level-adapter.ts'
import { compactStore } from '../../../node/storage/store-compaction.ts'
import { ada, patternBytes } from '../../contracts/blob-store.ts'
import { entriesAfter, missionA, writeOf } from '../../contracts/log-store.ts'

let dataDir: string
beforeEach(async () => {
  dataDir = join(await mkdtemp(join(tmpdir(), 'skein-private-')), 'not', 'there')
})
afterEach(() => rm(join(dataDir, '..', '..'), { recursive: true, force: true }))

async function keepLog(): Promise<void> {
  const log = await openLevelLogStore(join(dataDir, 'log'), { reserveBytes: 4_096 })
  await log.write({ writes: [writeOf(missionA, entriesAfter(3))] })
  await log.close()
}

async function keepBlob(): Promise<void> {
  const blobs = await openFileBlobStore({ directory: join(dataDir, 'blobs'), self: ada })
  await blobs.put(patternBytes(100))
  await blobs.close()
}

/** Whatever others could read or enter: all directories, and all files but LevelDB's own, which only its directory guards. */
async function open(): Promise<string[]> {
  const found: string[] = []
  for (const entry of [{ path: dataDir, name: '', isOwn: true }, ...(await readdir(dataDir, { recursive: true, withFileTypes: true })).map((file) => ({ path: join(file.parentPath, file.name), name: file.name, isOwn: file.isDirectory() || !/\/(log|libp2p)$/.test(file.parentPath) }))]) {
    const { mode } = await stat(entry.path)
    if (entry.isOwn && (mode & 0o077) !== 0) found.push(`${entry.path.slice(dataDir.length)} ${(mode & 0o777).toString(8)}`)
  }
  return found
}

describe('what a node keeps is for its owner only, whichever part of it is there first:', () => {
  it.each<[string, () => Promise<unknown>, readonly string[]]>([
    ['the identity', async () => {
      const store = await openNodeDatastore(dataDir)
      await loadIdentityKey(store)
      await store.close()
    }, ['libp2p']],
    ['the mesh key', () => loadOrCreateMeshKey(dataDir), ['mesh.key']],
    ['the log', keepLog, ['log', 'log.reserve', 'log.watermark']],
    ['the blobs', keepBlob, ['blobs']],
    ['the file of a run', () => writeRunFile(dataDir, { pid: process.pid, peerId: ada, name: 'a', addrs: [] }), ['run.json']],
    ['a log that was lost, when the store is compacted', async () => {
      await keepLog()
      await rm(join(dataDir, 'log'), { recursive: true })
      await compactStore(dataDir, Date.now())
    }, ['blobs', 'log', 'log.reserve', 'log.watermark']],
  ])('%s', async (_what, keep, names) => {
    await keep()
    expect(await readdir(dataDir)).toEqual(expect.arrayContaining([...names]))
    expect(await open()).toEqual([])
  })
})
