import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type FileBlobStore, openFileBlobStore } from '../../../node/storage/blob-store-file-adapter.ts'
import { entryKey, headKey } from '../../../node/storage/log-records.ts'
import { type LevelLogStore, openLevelLogStore } from '../../../node/storage/log-store-level-adapter.ts'
import { Level } from 'level'
import type { MissionId } from '../../../protocols/kernel/ids.ts'
import type { BlobRef } from '../../../protocols/kernel/payload.ts'
import { ada, patternBytes } from '../../contracts/blob-store.ts'
import { endedMission, entriesAfter, headAfter, missionA, missionB, snapshotAt, writeOf } from '../../contracts/log-store.ts'
import { type Said, say } from './cli-fixture.ts'

const missionC = 'm-aaaaaaaa-aaaaaaaaaaac' as MissionId

describe('skein store', () => {
  let data: string
  let refs: BlobRef[]
  const store = (...argv: string[]): Promise<Said> => say(['store', ...argv, '--data', data])
  const openLog = (): Promise<LevelLogStore> => openLevelLogStore(join(data, 'log'), { reserveBytes: 4_096 })
  const openBlobs = (): Promise<FileBlobStore> => openFileBlobStore({ directory: join(data, 'blobs'), self: ada })
  const changeRaw = async (change: (database: Level<string, Uint8Array>) => Promise<void>): Promise<void> => {
    const database = new Level<string, Uint8Array>(join(data, 'log'), { valueEncoding: 'view' })
    await change(database)
    await database.close()
  }
  const blobPath = (ref: BlobRef): string => join(data, 'blobs', ref.$blob.slice(0, 2), ref.$blob.slice(2))

  /** A live mission, a shared log with a snapshot, an archive that is kept and one whose time is over; they share a blob. */
  beforeEach(async () => {
    data = await mkdtemp(join(tmpdir(), 'skein-store-'))
    const blobs = await openBlobs()
    refs = []
    for (let at = 0; at < 5; at++) refs.push(await blobs.put(patternBytes(10_000 + at)))
    const [oldArchive, sharedByAll, onlyOld, newArchive, snapshotState] = refs as [BlobRef, BlobRef, BlobRef, BlobRef, BlobRef]
    const inSnapshot = await blobs.put(new TextEncoder().encode(JSON.stringify({ cited: snapshotState })))
    await blobs.close()
    const log = await openLog()
    const entries = entriesAfter(8)
    await log.write({
      writes: [writeOf(missionA, entries.slice(0, 3)), writeOf('roster', entries, { snapshot: { ...snapshotAt(entries[5]!), state: { blob: inSnapshot } }, head: headAfter('roster', entries, { others: 1 }) })],
      ended: [
        { ...endedMission(missionB, 1_000, 2_000), archive: { blob: oldArchive }, cites: [sharedByAll.$blob, onlyOld.$blob, snapshotState.$blob] },
        { ...endedMission(missionC, Date.now(), Date.now() + 1e9), archive: { blob: newArchive }, cites: [sharedByAll.$blob, 'c'.repeat(64) as BlobRef['$blob']] },
      ],
    })
    await log.write({ writes: [writeOf('roster', entries, { fresh: 0, dropBelow: 5, head: headAfter('roster', entries, { others: 1 }) })] })
    await log.close()
  })
  afterEach(() => rm(data, { recursive: true, force: true }))

  it('finds nothing wrong where nothing is, and changes nothing', async () => {
    const before = await readdir(data)
    const said = await store('verify')
    expect(said).toMatchObject({ code: 0, err: '' })
    expect(said.out).toContain(`✓ ${missionA}  3 entries`)
    expect(said.out).toContain('✓ roster  up to entry 8, 4 of them here')
    expect(said.out).toContain('✓ 2 archives  (1 blob that they cite only on other nodes)')
    expect(said.out).toContain('✓ 6 blobs, ')
    expect(said.out).toContain(`nothing is wrong in ${data}`)
    expect(await readdir(data)).toEqual(before)
  })

  it('says what is damaged, log by log, archive by archive, blob by blob', async () => {
    await changeRaw(async (database) => {
      await database.del(entryKey(missionA, 2))
      await database.del(headKey('roster'))
    })
    await rm(blobPath(refs[0]!))
    await writeFile(blobPath(refs[1]!), patternBytes(10_001, 3).fill(1, 5, 9))
    for (let time = 0; time < 2; time++) {
      const said = await store('verify')
      expect(said).toMatchObject({ code: 1, err: '' })
      expect(said.out).toContain(`✗ the log of ${missionA} is damaged: entry 2 is missing or altered`)
      expect(said.out).toContain('✗ the log of roster is damaged: its head is missing')
      expect(said.out).toContain(`✗ the archive of ${missionB} is damaged: its archive, blob ${refs[0]!.$blob}, is missing`)
      expect(said.out).toContain(`✗ the archive of ${missionC} is damaged: of its blobs 1 has rotted`)
      expect(said.out).toContain(`✗ blob ${refs[1]!.$blob} is not what it was`)
      expect(said.out).toContain(`5 problems in ${data}`)
    }
    const json = await store('verify', '--json')
    expect(json.code).toBe(1)
    expect(JSON.parse(json.out)).toMatchObject({ ok: false, data, groups: [{ group: missionA, entries: 2, lastIndex: 3, damage: expect.stringContaining('entry 2') as string }, { group: 'roster' }], blobs: { count: 5, rotten: [refs[1]!.$blob] } })
  })

  it('says that the watermark does not vouch, and does not make it forget that', async () => {
    const path = join(data, 'log.watermark')
    const bytes = await readFile(path)
    await writeFile(path, bytes.fill(0, 20, 30))
    for (let time = 0; time < 2; time++) {
      const said = await store('verify')
      expect(said.code).toBe(1)
      expect(said.out).toContain('✗ the watermark beside the log does not vouch for it')
      expect(said.out).toContain('✗ the log of roster is damaged')
      expect(said.out).toContain(`✓ ${missionA}`)
    }
  })

  it('says what was lost with the whole database', async () => {
    await rm(join(data, 'log'), { recursive: true })
    const said = await store('verify')
    expect(said.code).toBe(1)
    expect(said.out).toContain(`✗ the log of ${missionA} is lost: its database is gone`)
    expect(await readdir(data)).not.toContain('log')
  })

  it('compacts: what is over goes, with the blobs that nobody else cites', async () => {
    const said = await store('compact', '--json')
    expect(said).toMatchObject({ code: 0, err: '' })
    const { beforeBytes, afterBytes, ...removed } = JSON.parse(said.out) as { beforeBytes: number; afterBytes: number }
    // Of the old mission's blobs one is cited by the other archive, and one by what is inside a snapshot.
    expect(removed).toEqual({ data, archivesRemoved: 1, blobsRemoved: 2 })
    expect(beforeBytes).toBeGreaterThan(afterBytes)
    const blobs = await openBlobs()
    expect(await Promise.all(refs.map((ref) => blobs.has(ref.$blob)))).toEqual([false, true, false, true, true])
    await blobs.close()
    const verified = await store('verify')
    expect(verified.code).toBe(0)
    expect((await store('compact')).out).toMatch(/^\S+ \S+ before, \S+ \S+ now; 0 archives and 0 blobs removed\n$/)
  })

  it('keeps every blob while a log is damaged: nobody knows what it cites', async () => {
    await changeRaw((database) => database.del(entryKey(missionA, 2)))
    const said = await store('compact')
    expect(said.code).toBe(0)
    expect(said.err).toContain('archives and their blobs were kept: the log of')
    expect(said.out).toContain('0 archives and 0 blobs removed')
    expect((await store('verify', '--json')).code).toBe(1)
  })

  it.each(['verify', 'compact'])('%s is refused while the node runs, and where there was none', async (command) => {
    const log = await openLog()
    const running = await store(command)
    expect(running).toMatchObject({ code: 3, out: '' })
    expect(running.err).toContain(`a node is running in ${data}\n  → stop it`)
    await log.close()
    const empty = join(data, 'empty')
    const nowhere = await say(['store', command, '--data', empty])
    expect(nowhere).toMatchObject({ code: 2, out: '' })
    expect(nowhere.err).toContain(`no node has kept anything in ${empty}`)
    await expect(cp(empty, join(data, 'copy'), { recursive: true })).rejects.toThrow('ENOENT')
  })
})
