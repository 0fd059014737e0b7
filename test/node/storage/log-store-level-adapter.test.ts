import { fork } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Level } from 'level'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { GroupOnDisk, LogStore } from '../../../actors/ports/log-store.ts'
import { entryKey, headKey } from '../../../node/storage/log-records.ts'
import { watermarkPathOf } from '../../../node/storage/log-recovery.ts'
import { openLevelLogStore, reservePathOf } from '../../../node/storage/log-store-level-adapter.ts'
import type { GroupId, Incarnation, PeerId } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { encodeValue } from '../../../protocols/wire.ts'
import { endedMission, entriesAfter, faultOf, headAfter, logStoreContract, missionA, missionB, writeOf } from '../../contracts/log-store.ts'
import { withFullDisk } from './faulty-disk.ts'

/** The real reserve takes its time to write. */
const small = { reserveBytes: 4_096 }

async function changeRaw(directory: string, change: (database: Level<string, Uint8Array>) => Promise<void>): Promise<void> {
  const database = new Level<string, Uint8Array>(directory, { valueEncoding: 'view' })
  await change(database)
  await database.close()
}

logStoreContract('the LevelDB log store', async () => {
  const parent = await mkdtemp(join(tmpdir(), 'skein-log-'))
  const directory = join(parent, 'log')
  return {
    open: () => openLevelLogStore(directory, small),
    loseEntry: (group, index) => changeRaw(directory, (database) => database.del(entryKey(group, index))),
    corruptEntry: (group, index) => changeRaw(directory, (database) => database.put(entryKey(group, index), Uint8Array.of(0xc1, 0xff))),
    plantEntry: (group, entry) => changeRaw(directory, (database) => database.put(entryKey(group, entry.index), encodeValue(entry))),
    plantHead: (group, head) => changeRaw(directory, (database) => (head === undefined ? database.del(headKey(group)) : database.put(headKey(group), encodeValue({ number: 1, head })))),
    loseDatabase: () => rm(directory, { recursive: true }),
    async spoilWatermark() {
      const bytes = await readFile(watermarkPathOf(directory))
      bytes.fill(0xee, 20, 24)
      await writeFile(watermarkPathOf(directory), bytes)
    },
    openAnother: () => openLevelLogStore(join(parent, 'another'), small),
    stop: () => rm(parent, { recursive: true, force: true }),
  }
})

describe('the LevelDB log store', () => {
  let parent: string
  let directory: string
  beforeEach(async () => {
    parent = await mkdtemp(join(tmpdir(), 'skein-log-'))
    directory = join(parent, 'log')
  })
  afterEach(() => rm(parent, { recursive: true, force: true }))
  const all = entriesAfter(600)
  const batch = (first: number, last: number) => ({ writes: [writeOf(missionA, all.slice(0, last), { fresh: last - first + 1 })] })
  const shared = (last: number) => ({ writes: [writeOf('roster', all.slice(0, last), { fresh: 1, head: headAfter('roster', all.slice(0, last), { others: 1 }) })] })
  const open = (): Promise<LogStore> => openLevelLogStore(directory, small)
  /** What the store finds, by group. */
  async function found(): Promise<Map<GroupId, GroupOnDisk>> {
    const store = await open()
    const { groups } = await store.found()
    await store.close()
    return new Map(groups.map((one) => [one.head.group, one]))
  }
  const lengthFound = async (group: GroupId = missionA): Promise<number | string | undefined> => {
    const one = (await found()).get(group)
    return one?.damage?.detail ?? one?.entries.length
  }
  async function writing(work: (store: LogStore) => Promise<void>): Promise<void> {
    const store = await open()
    await work(store)
    await store.close()
  }
  const logFile = async (): Promise<string> => join(directory, (await readdir(directory)).find((file) => file.endsWith('.log'))!)

  it('names the directory that another node uses', async () => {
    const store = await open()
    const fault = await faultOf(open())
    expect(fault.code).toBe('wrong-state')
    expect(fault.detail).toContain(`another skein node uses this data directory: ${directory}`)
    expect(fault.next).toContain('--data')
    await store.close()
  })

  it('has every acknowledged entry after kill -9 of the writer', async () => {
    const writer = fork(join(import.meta.dirname, 'log-writer.fixture.ts'), [directory], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    let acknowledged = 0
    await new Promise<void>((resolve, reject) => {
      writer.on('message', (index) => {
        acknowledged = Number(index)
        if (acknowledged >= 100) resolve()
      })
      writer.once('exit', (code) => reject(new Error(`the writer ended with ${code}`)))
    })
    const gone = once(writer, 'exit')
    writer.kill('SIGKILL')
    await gone
    const copy = (await found()).get(missionA)!
    expect(copy.damage).toBeUndefined()
    expect(copy.entries.length).toBeGreaterThanOrEqual(acknowledged)
    expect(copy.head.last.index).toBe(copy.entries.length)
  })

  describe('and its watermark', () => {
    const watermark = (): Promise<Buffer> => readFile(watermarkPathOf(directory))
    const setWatermark = (bytes: Uint8Array): Promise<void> => writeFile(watermarkPathOf(directory), bytes)
    const copyPath = (): string => join(parent, 'copy')
    const putBackDatabase = async (): Promise<void> => {
      await rm(directory, { recursive: true })
      await cp(copyPath(), directory, { recursive: true })
    }
    /** Without its last record. */
    const shortened = (bytes: Buffer): Buffer => bytes.subarray(0, bytes.lastIndexOf('SKwm'))

    /** Two writes, a copy of the database, `more` writes. @returns the watermark of before. */
    async function written(more: number): Promise<Buffer> {
      await writing(async (store) => {
        for (const index of [1, 2]) await Promise.all([store.write(batch(index, index)), store.write(shared(index))])
      })
      await cp(directory, copyPath(), { recursive: true })
      const before = await watermark()
      await writing(async (store) => {
        for (let index = 3; index < 3 + more; index++) await Promise.all([store.write(batch(index, index)), store.write(shared(index))])
      })
      return before
    }

    it('agree after a power cut that only the watermark knew the last write of', async () => {
      await written(1)
      // The write was never noted as being in the database too.
      await setWatermark(shortened(await watermark()))
      await putBackDatabase()
      expect([await lengthFound(), await lengthFound('roster')]).toEqual([2, 2])
      await writing((store) => store.write(batch(3, 3)))
      expect(await lengthFound()).toBe(3)
    })

    it('agree after a power cut that only the database knew the last write of, or that tore the watermark', async () => {
      const before = await written(1)
      const after = await watermark()
      const unconfirmed = shortened(after)
      for (const bytes of [before, shortened(unconfirmed), unconfirmed.subarray(0, -5), after.subarray(0, -3)]) {
        await setWatermark(bytes)
        expect([await lengthFound(), await lengthFound('roster')]).toEqual([3, 3])
        expect([await lengthFound(), await lengthFound('roster')]).toEqual([3, 3])
      }
    })

    it('agree about a removal that only one of them knew', async () => {
      await writing((store) => store.write(batch(1, 2)))
      const [before] = [await watermark(), await cp(directory, copyPath(), { recursive: true })]
      await writing((store) => store.write({ writes: [writeOf(missionB, all.slice(0, 1))], ended: [endedMission(missionA, 5)] }))
      const after = await watermark()
      await setWatermark(before)
      expect([...(await found()).keys()]).toEqual([missionB])
      await setWatermark(after)
      await putBackDatabase()
      // It was confirmed: a database from before has lost the other write, and this mission is no more.
      expect([...(await found()).keys()]).toEqual([missionB])
      expect(await lengthFound(missionB)).toContain('its head is missing')
    })

    it('tell a database that was put back to an older copy', async () => {
      await written(1)
      await putBackDatabase()
      expect([await lengthFound(), await lengthFound('roster')]).toEqual([expect.stringContaining('entry 3'), expect.stringContaining('entry 3')])
    })

    it('tell a watermark that was put back: others may have been promised what it has forgotten', async () => {
      const before = await written(3)
      await setWatermark(before)
      expect([await lengthFound(), await lengthFound('roster')]).toEqual([5, expect.stringContaining('the watermark outside the log was lost')])
    })

    it.each([
      ['gone', () => rm(watermarkPathOf(directory))],
      ['empty', () => setWatermark(new Uint8Array())],
      ['of another log', async () => {
        const other = await openLevelLogStore(join(parent, 'other'), small)
        await other.write(batch(1, 1))
        await other.close()
        await cp(watermarkPathOf(join(parent, 'other')), watermarkPathOf(directory))
      }],
      ['garbage in its middle', async () => {
        const bytes = await watermark()
        await setWatermark(bytes.fill(0xee, bytes.length >> 1, (bytes.length >> 1) + 4))
      }],
    ])('tell a watermark that is %s', async (_what, harm) => {
      await written(3)
      await harm()
      expect([await lengthFound(), await lengthFound('roster')]).toEqual([5, expect.stringContaining('the watermark outside the log was lost')])
      await writing((store) => store.write(batch(6, 6)))
      expect([await lengthFound(), await lengthFound('roster')]).toEqual([6, expect.stringContaining('the watermark outside the log was lost')])
    })

    it('keep it short', async () => {
      const groups = Array.from({ length: 200 }, (_, at) => `m-aaaaaaaa-${String(at).padStart(12, '0')}` as GroupId)
      const voters = Array.from({ length: 5 }, (_, at) => ({ peer: `${at}`.padEnd(128, 'x') as PeerId, incarnation: 'life01' as Incarnation }))
      const rounds = 40
      await writing(async (store) => {
        for (let round = 0; round < rounds; round++) await store.write({ writes: groups.map((group) => ({ head: { ...headAfter(group, []), commit: round, membership: { voters, learners: [] } }, entries: [] })) })
      })
      const bytes = (await watermark()).length
      expect(bytes).toBeGreaterThan(100_000)
      // All of them together would be more than this.
      expect(bytes).toBeLessThan(limits.watermarkBytesMax + 500_000)
      expect(rounds * groups.length * voters.length * 128).toBeGreaterThan(limits.watermarkBytesMax + 500_000)
      const now = await found()
      expect([now.size, now.get(groups[7]!)?.head.commit]).toEqual([groups.length, rounds - 1])
    })
  })

  it('refuses a log of another release, except an old one that has no mission in it', async () => {
    await changeRaw(directory, (database) => database.put('format', Uint8Array.of(9)))
    const newer = await faultOf(open())
    expect(newer.code).toBe('wrong-state')
    expect(newer.detail).toContain('newer release (format 9')
    await changeRaw(directory, async (database) => {
      await database.put('format', Uint8Array.of(1))
      await database.put(`head!${missionA}`, encodeValue({ missionId: missionA, index: 0 }))
    })
    const older = await faultOf(open())
    expect(older.code).toBe('wrong-state')
    expect(older.detail).toContain('older release (format 1')
    expect(older.next).toContain('finish its missions with the older release')
    await changeRaw(directory, (database) => database.del(`head!${missionA}`))
    expect((await found()).size).toBe(0)
  })

  it('does not look at archives when it is opened, and says which of them cannot be read', async () => {
    await writing((store) => store.write({ writes: [], ended: [endedMission(missionA, 5), endedMission(missionB, 6)] }))
    await changeRaw(directory, (database) => database.put(`ended!${missionA}`, Uint8Array.of(0xc1)))
    await writing(async (store) => {
      expect((await faultOf(store.endedMission(missionA))).detail).toContain(`the record of ${missionA}`)
      expect(await store.ended(100, 10)).toEqual([endedMission(missionB, 6)])
      await store.write({ writes: [], removed: [missionA] })
      expect(await store.endedMission(missionA)).toBeUndefined()
    })
  })

  it('never passes off a log as whole whose file lost its tail', async () => {
    await writing(async (store) => {
      for (let index = 1; index <= 50; index++) await store.write(batch(index, index))
    })
    const name = await logFile()
    const bytes = await readFile(name)
    await cp(directory, join(parent, 'copy'), { recursive: true })
    const promised = await readFile(watermarkPathOf(directory))
    for (const keptBytes of [bytes.length - 7, bytes.length >> 1, 10]) {
      await rm(directory, { recursive: true })
      await cp(join(parent, 'copy'), directory, { recursive: true })
      await writeFile(watermarkPathOf(directory), promised)
      await writeFile(name, bytes.subarray(0, keptBytes))
      const copy = (await found()).get(missionA)!
      expect(copy.damage?.code).toBe('storage-failed')
      expect(copy.head.last.index).toBe(50)
    }
  })

  it('reports what garbage in the middle of its file took away', async () => {
    await writing(async (store) => {
      for (let index = 1; index <= 600; index++) await store.write(batch(index, index))
    })
    const name = await logFile()
    const bytes = await readFile(name)
    bytes.fill(0xee, 40_000, 40_004)
    await writeFile(name, bytes)
    const again = await open().catch((error: unknown) => error)
    if (again instanceof Error) expect(again).toMatchObject({ fault: { code: 'storage-failed' } })
    else {
      expect((await (again as LogStore).found()).groups[0]?.damage?.detail).toMatch(/entr(y|ies) \d+/)
      await (again as LogStore).close()
    }
  })

  it('says what to do about a directory that holds garbage or cannot be one', async () => {
    await writing(async () => undefined)
    await writeFile(join(directory, 'CURRENT'), 'garbage\n')
    const garbage = await faultOf(open())
    expect(garbage.code).toBe('storage-failed')
    expect(garbage.detail).toContain(directory)
    expect(garbage.next).toContain('backup')
    await writeFile(join(parent, 'file'), '')
    const under = await faultOf(openLevelLogStore(join(parent, 'file', 'log'), small))
    expect(under.code).toBe('storage-failed')
    expect(under.next).toContain('--data')
  })

  it('refuses writes on a full disk, gives up its reserve, and goes on from there when it is opened again', async (test) => {
    await withFullDisk(test, async (mount, fill) => {
      const path = join(mount, 'log')
      const roomy = { reserveBytes: 600_000, lowBytes: 100_000 }
      const store = await openLevelLogStore(path, roomy)
      expect((await stat(reservePathOf(path))).size).toBe(600_000)
      await store.write(batch(1, 10))
      await fill()
      expect(await store.room()).toBe('low')
      let acknowledged = 10
      let fault: Awaited<ReturnType<typeof faultOf>> | undefined
      while (fault === undefined) {
        const next = acknowledged + 1
        const write = store.write(batch(next, next))
        await write.then(
          () => (acknowledged = next),
          async () => (fault = await faultOf(write)),
        )
      }
      expect(fault).toMatchObject({ code: 'storage-failed', retryable: true })
      expect(fault.detail).toContain('is full')
      await expect(stat(reservePathOf(path))).rejects.toThrow('ENOENT')
      expect((await store.read(missionA, 1, 10)).length).toBe(10)
      expect((await faultOf(store.write(batch(acknowledged + 1, acknowledged + 1)))).detail).toContain('takes no more writes')
      await store.close()
      const again = await openLevelLogStore(path, roomy)
      const copy = (await again.found()).groups[0]!
      expect(copy.damage).toBeUndefined()
      expect(copy.entries.length).toBeGreaterThanOrEqual(acknowledged)
      const next = copy.entries.length + 1
      await again.write(batch(next, next))
      await again.close()
    })
  })
})
