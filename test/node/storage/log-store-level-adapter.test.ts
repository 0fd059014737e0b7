import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Level } from 'level'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { entryKey, headKey } from '../../../node/storage/log-records.ts'
import { openLevelLogStore, watermarkPathOf } from '../../../node/storage/log-store-level-adapter.ts'
import { encodeValue } from '../../../protocols/wire.ts'
import { entriesAfter, faultOf, headAfter, logStoreContract, missionA, missionB, writeOf } from '../../contracts/log-store.ts'
import { withFullDisk } from './faulty-disk.ts'

async function changeRaw(directory: string, change: (database: Level<string, Uint8Array>) => Promise<void>): Promise<void> {
  const database = new Level<string, Uint8Array>(directory, { valueEncoding: 'view' })
  await change(database)
  await database.close()
}

logStoreContract('the LevelDB log store', async () => {
  const parent = await mkdtemp(join(tmpdir(), 'skein-log-'))
  const directory = join(parent, 'log')
  return {
    open: () => openLevelLogStore(directory),
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
    openAnother: () => openLevelLogStore(join(parent, 'another')),
    stop: () => rm(parent, { recursive: true, force: true }),
  }
})

describe('the LevelDB log store', () => {
  let directory: string
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'skein-log-'))
  })
  afterEach(() => rm(directory, { recursive: true, force: true }))
  const all = entriesAfter(700)
  const batch = (first: number, last: number) => ({ writes: [writeOf(missionA, all.slice(0, last), { fresh: last - first + 1 })] })

  it('names the directory that another node uses', async () => {
    const store = await openLevelLogStore(directory)
    const fault = await faultOf(openLevelLogStore(directory))
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
        if (acknowledged >= 200) resolve()
      })
      writer.once('exit', (code) => reject(new Error(`the writer ended with ${code}`)))
    })
    const gone = once(writer, 'exit')
    writer.kill('SIGKILL')
    await gone
    const store = await openLevelLogStore(directory)
    const entries = await store.read(missionA, 1, 1_000_000)
    expect(entries.length).toBeGreaterThanOrEqual(acknowledged)
    expect(entries.map((entry) => entry.index)).toEqual(entries.map((_entry, at) => at + 1))
    expect(await store.heads()).toEqual([headAt(missionA, entries.length)])
    await store.close()
  })

  it('finishes a removal that was cut short', async () => {
    const store = await openLevelLogStore(directory)
    await store.write({ ...batch(1, 5), heads: [] })
    await store.close()
    await changeRaw(directory, (database) => database.put(`removing!${missionA}`, Uint8Array.of(0xc3)))
    const again = await openLevelLogStore(directory)
    expect(await again.read(missionA, 1, 10)).toEqual([])
    await again.close()
    await changeRaw(directory, async (database) => expect(await database.keys().all()).toEqual(['format']))
  })

  it('refuses a log of a newer release', async () => {
    await changeRaw(directory, (database) => database.put('format', Uint8Array.of(9)))
    const fault = await faultOf(openLevelLogStore(directory))
    expect(fault).toMatchObject({ code: 'storage-failed', retryable: false })
    expect(fault.detail).toContain('newer release (format 9')
  })

  it('says which entry is outside the schema, and which head', async () => {
    const store = await openLevelLogStore(directory)
    await store.write(batch(1, 3))
    await store.close()
    await changeRaw(directory, (database) => database.put(rawEntryKey(missionA, 2), Uint8Array.of(0x81, 0xa1, 0x61, 0x01)))
    await changeRaw(directory, (database) => database.put(`head!${missionB}`, Uint8Array.of(0x01)))
    const again = await openLevelLogStore(directory)
    const fault = await faultOf(again.read(missionA, 1, 10))
    expect(fault.detail).toContain(`entry 2 of mission ${missionA}`)
    expect(fault.next).toContain('restore a backup')
    expect((await faultOf(again.heads())).detail).toContain(`the head of mission ${missionB}`)
    await again.close()
  })

  it('never passes off a log as whole whose file lost its tail', async () => {
    const store = await openLevelLogStore(directory)
    for (let index = 1; index <= 50; index++) await store.write(batch(index, index))
    await store.close()
    const name = (await readdir(directory)).find((file) => file.endsWith('.log'))!
    const bytes = await readFile(join(directory, name))
    for (const keptBytes of [bytes.length - 7, bytes.length >> 1, 10]) {
      await writeFile(join(directory, name), bytes.subarray(0, keptBytes))
      const copy = await openLevelLogStore(directory)
      const entries = await copy.read(missionA, 1, 100)
      // A cut tail takes entries and their head together: what is left is a shorter log, which only other replicas can tell.
      expect((await copy.heads())[0]?.index ?? 0).toBe(entries.length)
      await copy.close()
      for (const file of await readdir(directory)) await rm(join(directory, file), { force: true })
      const fresh = await openLevelLogStore(directory)
      for (let index = 1; index <= 50; index++) await fresh.write(batch(index, index))
      await fresh.close()
    }
  })

  it('reports an entry in the middle that garbage in the file took away', async () => {
    const store = await openLevelLogStore(directory)
    for (let index = 1; index <= 600; index++) await store.write(batch(index, index))
    await store.close()
    const name = (await readdir(directory)).find((file) => file.endsWith('.log'))!
    const bytes = await readFile(join(directory, name))
    bytes.fill(0xee, 40_000, 40_004)
    await writeFile(join(directory, name), bytes)
    const again = await openLevelLogStore(directory).catch((error: unknown) => error)
    if (again instanceof Error) expect(again).toMatchObject({ fault: { code: 'storage-failed' } })
    else {
      const fault = await faultOf((again as Awaited<ReturnType<typeof openLevelLogStore>>).read(missionA, 1, 1_000))
      expect(fault.code).toBe('storage-failed')
      expect(fault.detail).toMatch(/entry \d+ of mission/)
      await (again as Awaited<ReturnType<typeof openLevelLogStore>>).close()
    }
  })

  it('says what to do about a directory that holds garbage or cannot be one', async () => {
    const store = await openLevelLogStore(directory)
    await store.close()
    await writeFile(join(directory, 'CURRENT'), 'garbage\n')
    const garbage = await faultOf(openLevelLogStore(directory))
    expect(garbage.code).toBe('storage-failed')
    expect(garbage.detail).toContain(directory)
    expect(garbage.next).toContain('backup')
    await writeFile(join(directory, 'file'), '')
    const under = await faultOf(openLevelLogStore(join(directory, 'file', 'log')))
    expect(under.code).toBe('storage-failed')
    expect(under.next).toContain('--data')
  })

  it('refuses writes on a full disk and has everything acknowledged after reopening', async (test) => {
    await withFullDisk(test, async (mount, fill, free) => {
      const path = join(mount, 'log')
      const store = await openLevelLogStore(path)
      await store.write(batch(1, 10))
      await fill()
      let acknowledged = 10
      let fault: Awaited<ReturnType<typeof faultOf>> | undefined
      while (fault === undefined) {
        const next = acknowledged + 1
        const write = store.write({ entries: [{ missionId: missionA, entry: entryAt(next, 'x'.repeat(500)) }], heads: [headAt(missionA, next)], claims: [] })
        await write.then(
          () => (acknowledged = next),
          async () => (fault = await faultOf(write)),
        )
      }
      expect(fault).toMatchObject({ code: 'storage-failed', retryable: true })
      expect(fault.detail).toContain('is full')
      expect((await store.read(missionA, 1, 10)).length).toBe(10)
      await free()
      expect((await faultOf(store.write(batch(acknowledged + 1, acknowledged + 1)))).detail).toContain('takes no more writes')
      await store.close()
      const again = await openLevelLogStore(path)
      expect((await again.read(missionA, 1, 100_000)).length).toBeGreaterThanOrEqual(acknowledged)
      await again.close()
    })
  })
})
