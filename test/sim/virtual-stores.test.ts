import { describe, expect, it } from 'vitest'
import type { PeerId } from '../../protocols/kernel/ids.ts'
import { digestOf } from '../../protocols/kernel/hashing.ts'
import { createVirtualBlobStore, createVirtualBlobSwarm, shelfOf } from '../../sim/blob-store-virtual-adapter.ts'
import { createVirtualLogDisk } from '../../sim/log-store-virtual-adapter.ts'
import { createVirtualClock } from '../../sim/virtual-clock.ts'
import { ada, blobStoreContract, bob, patternBytes } from '../contracts/blob-store.ts'
import type { LogStore } from '../../actors/ports/log-store.ts'
import { entriesAfter, faultOf, headAfter, logStoreContract, missionA, writeOf } from '../contracts/log-store.ts'

logStoreContract('the virtual log store', () => {
  const disk = createVirtualLogDisk({ clock: { schedule: (_delayMs, callback) => (callback(), () => undefined), wallMs: () => Date.now() } })
  return {
    open: () => disk.open(),
    loseEntry: async (group, index) => disk.lose(group, index),
    corruptEntry: async (group, index) => void disk.corrupt(group, index),
    plantEntry: async (group, entry) => disk.plant(group, entry),
    plantHead: async (group, head) => disk.plantHead(group, head),
    loseDatabase: async () => disk.loseDatabase(),
    spoilWatermark: async () => disk.spoilWatermark(),
    openAnother: () => createVirtualLogDisk({ name: 'another' }).open(),
    failNextWrite: () => disk.failWrites(1),
  }
}, true)

blobStoreContract('the virtual blob store', () => {
  const world = createVirtualClock()
  const opened = new Set<PeerId>()
  const swarm = createVirtualBlobSwarm({ clock: world, nowMs: () => world.nowMs(), reaches: (_from, to) => opened.has(to) })
  return {
    async open(peer) {
      opened.add(peer)
      return createVirtualBlobStore({ self: peer, swarm })
    },
    openSmall: async (peer, quotaBytes) => createVirtualBlobStore({ self: peer, swarm, quotaBytes }),
    makeLiar(peer) {
      for (const bytes of swarm.shelves.get(peer)?.values() ?? []) bytes[0] = (bytes[0] ?? 0) ^ 0xff
    },
    async settle(promise) {
      let settled = false
      promise.then(
        () => (settled = true),
        () => (settled = true),
      )
      await world.runUntil(() => settled)
      return await promise
    },
  }
})

describe('the virtual log disk', () => {
  const all = entriesAfter(9)
  const batch = (first: number, last: number) => ({ writes: [writeOf(missionA, all.slice(0, last), { fresh: last - first + 1 })] })
  const lengthOf = async (store: LogStore): Promise<number | undefined> => (await store.found()).groups[0]?.entries.length

  it('answers a write only once it is synced, and a crash loses what is not', async () => {
    const world = createVirtualClock()
    const disk = createVirtualLogDisk({ clock: world, syncMs: 10 })
    const store = await disk.open()
    const acknowledged: number[] = []
    void store.write(batch(1, 1)).then(() => acknowledged.push(1))
    await world.runFor(5)
    void store.write(batch(2, 3)).then(() => acknowledged.push(2))
    void store.write(batch(4, 4)).then(() => acknowledged.push(3))
    await world.runFor(6)
    expect([acknowledged, disk.unsyncedWrites()]).toEqual([[1], 2])
    disk.crash()
    await world.runFor(100)
    expect(acknowledged).toEqual([1])
    expect((await faultOf(store.found())).code).toBe('wrong-state')
    const next = await disk.open()
    expect((await next.found()).groups).toEqual([{ head: headAfter(missionA, all.slice(0, 1)), entries: all.slice(0, 1) }])
  })

  it('may keep the beginning of what was not synced', async () => {
    const world = createVirtualClock()
    const disk = createVirtualLogDisk({ clock: world })
    const store = await disk.open()
    for (let index = 1; index <= 3; index++) void store.write(batch(index, index))
    await world.settle()
    disk.crash(2)
    expect(await lengthOf(await disk.open())).toBe(2)
  })

  it.each([['database', 3], ['watermark', 2]] as const)('may have synced only the %s of the write that was never acknowledged, which is no damage', async (half, length) => {
    const world = createVirtualClock()
    const disk = createVirtualLogDisk({ clock: world })
    let store = await disk.open()
    for (let index = 1; index <= 4; index++) void store.write(batch(index, index))
    await world.settle()
    disk.crash(2, half)
    for (let life = 0; life < 3; life++) {
      store = await disk.open()
      expect((await store.found()).groups).toEqual([{ head: headAfter(missionA, all.slice(0, length)), entries: all.slice(0, length) }])
      await store.close()
    }
  })

  it('syncs in the order of writing, also when the disk becomes faster', async () => {
    const world = createVirtualClock()
    const disk = createVirtualLogDisk({ clock: world, syncMs: 10 })
    const store = await disk.open()
    const acknowledged: number[] = []
    void store.write(batch(1, 1)).then(() => acknowledged.push(1))
    disk.setSyncMs(1)
    void store.write(batch(2, 2)).then(() => acknowledged.push(2))
    await world.runFor(2)
    disk.crash()
    // What was written before is on the platter as well.
    expect(acknowledged).toEqual([1, 2])
    expect(await lengthOf(await disk.open())).toBe(2)
  })
})

describe('the virtual blob swarm', () => {
  it('lets a fetch take its time and lets a cut end it', async () => {
    const world = createVirtualClock()
    let cut = false
    const swarm = createVirtualBlobSwarm({ clock: world, roundTripMs: 2, bytesPerSecond: 1_000, reaches: () => !cut })
    const [mine, theirs] = [ada, bob].map((self) => createVirtualBlobStore({ self, swarm })) as [ReturnType<typeof createVirtualBlobStore>, ReturnType<typeof createVirtualBlobStore>]
    const ref = await theirs.put(patternBytes(500))
    let outcome = ''
    void mine.fetch(ref).then(() => (outcome = 'ok'), (error: unknown) => (outcome = String(error)))
    await world.runFor(501)
    expect(outcome).toBe('')
    await world.runFor(2)
    expect(outcome).toBe('ok')
    const second = await theirs.put(patternBytes(600))
    outcome = ''
    void mine.fetch(second).then(() => (outcome = 'ok'), (error: unknown) => (outcome = String(error)))
    await world.runFor(100)
    cut = true
    await world.runUntil(() => outcome !== '')
    expect(outcome).toContain('none of the 1 nodes')
    expect(swarm.transfers.map((transfer) => transfer.sizeBytes)).toEqual([500])
  })

  it('remembers use across the lives of a node, and counts from when it is first looked at what came with an older disk', async () => {
    const world = createVirtualClock()
    const swarm = createVirtualBlobSwarm({ clock: world, nowMs: () => world.nowMs() })
    const { $blob } = await createVirtualBlobStore({ self: ada, swarm }).put(patternBytes(10))
    await world.runFor(1_000)
    const again = createVirtualBlobStore({ self: ada, swarm })
    expect(await again.idle(1_001, 10)).toEqual([])
    expect(await again.idle(1_000, 10)).toMatchObject([{ digest: $blob, sizeBytes: 10 }])
    shelfOf(swarm, ada).set(digestOf(patternBytes(20)), patternBytes(20))
    expect(await again.idle(1, 10)).toHaveLength(1)
    await world.runFor(1)
    expect(await again.idle(1, 10)).toHaveLength(2)
    expect(await again.remove([$blob], 1_002)).toEqual([$blob])
    expect(await again.remove([$blob], 1_001)).toEqual([])
  })

  it('keeps to its quota', async () => {
    const store = createVirtualBlobStore({ self: ada, swarm: createVirtualBlobSwarm(), quotaBytes: 100 })
    await store.put(patternBytes(60))
    await store.put(patternBytes(60))
    expect((await faultOf(store.put(patternBytes(61)))).code).toBe('storage-failed')
  })
})
