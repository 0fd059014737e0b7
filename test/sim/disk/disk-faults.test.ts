import { describe, expect, it } from 'vitest'
import type { LogStore } from '../../../actors/ports/log-store.ts'
import type { MissionId, Principal } from '../../../protocols/kernel/ids.ts'
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import { chainOrigin, extend, verifyLog } from '../../../protocols/replicated-log/chain.ts'
import { createVirtualLogDisk } from '../../../sim/log-store-virtual-adapter.ts'
import { createVirtualClock } from '../../../sim/virtual-clock.ts'
import { entriesBetween, entryAt, faultOf, headAt, missionA, missionB } from '../../contracts/log-store.ts'

const batch = (first: number, last: number, missionId: MissionId = missionA) => ({ entries: entriesBetween(missionId, first, last), heads: [headAt(missionId, last)], claims: [] })
const claim = (key: string) => ({ principal: 'p' as Principal, key, requestDigest: 'd', missionId: missionA, atWallMs: Date.UTC(2026, 0, 1) })
const seeds = Array.from({ length: 40 }, (_, seed) => seed)

function machine(syncMs = 1) {
  const world = createVirtualClock()
  let stirred = 0
  const disk = createVirtualLogDisk({ clock: { schedule: (delayMs, callback) => world.schedule(delayMs, callback), wallMs: () => world.wallMs(), stir: () => stirred++ }, syncMs })
  return {
    world, disk,
    stirred: () => stirred,
    /** Writes and waits; the fault's detail when it failed, 'open' when nothing came. */
    async outcome(promise: Promise<void>, withinMs = 1_000): Promise<string> {
      let ended = 'open'
      promise.then(() => (ended = 'ok'), (error: unknown) => (ended = String(error)))
      const untilMs = world.nowMs() + withinMs
      while (ended === 'open' && world.nowMs() < untilMs) await world.runFor(0.25)
      return ended
    },
  }
}

async function lengthOf(store: LogStore, missionId = missionA): Promise<number> {
  return (await store.read(missionId, 1, 1_000)).length
}

describe('a power cut', () => {
  it('keeps what was synced and the beginning of the rest, each length for some seed, whole batches only', async () => {
    const lengths = new Set<number>()
    for (const seed of seeds) {
      const { world, disk, outcome } = machine(5)
      const store = await disk.open()
      expect(await outcome(store.write(batch(1, 2)))).toBe('ok')
      for (let index = 3; index <= 7; index += 2) void store.write(batch(index, index + 1))
      disk.powerCut(seededRandom([seed, 1]))
      await world.runFor(100)
      lengths.add(await lengthOf(await disk.open()))
    }
    expect([...lengths].sort()).toEqual([2, 4, 6, 8])
  })

  it('a killed process loses nothing that it had written', async () => {
    const { disk } = machine(5)
    const store = await disk.open()
    void store.write(batch(1, 3))
    disk.kill()
    expect(await lengthOf(await disk.open())).toBe(3)
    expect((await faultOf(store.heads())).code).toBe('wrong-state')
  })
})

describe('a failed sync', () => {
  it('fails its write and those behind it, is not read, and may be there after opening again', async () => {
    const after = new Set<number>()
    for (const seed of seeds) {
      const { disk, outcome } = machine()
      const store = await disk.open()
      await outcome(store.write(batch(1, 1)))
      const synced: number[] = []
      disk.onSynced((_missionId, entries) => synced.push(...entries.map((entry) => entry.index)))
      disk.failNextSync(seededRandom([seed, 2]))
      const outcomes = await Promise.all([outcome(store.write(batch(2, 2))), store.write(batch(3, 3)).catch(String)])
      expect(outcomes).toEqual([expect.stringContaining('input/output error'), expect.stringContaining('input/output error')])
      expect(await outcome(store.write(batch(4, 4)))).toContain('an earlier write failed')
      expect(await lengthOf(store)).toBe(1)
      expect(synced).toEqual([])
      await store.close()
      const length = await lengthOf(await disk.open())
      expect(synced).toEqual([2, 3].slice(0, length - 1))
      after.add(length)
    }
    expect([...after].sort()).toEqual([1, 2, 3])
  })

  it('can be taken back before anything is written', async () => {
    const { disk, outcome } = machine()
    const store = await disk.open()
    disk.failNextSync(seededRandom([1, 2]))()
    expect(await outcome(store.write(batch(1, 1)))).toBe('ok')
  })
})

describe('a disk that is full, slow or stuck', () => {
  it('fails writes while it is full and goes on reading', async () => {
    const { disk, outcome } = machine()
    const store = await disk.open()
    await outcome(store.write(batch(1, 1)))
    disk.setFull(true)
    expect(await outcome(store.write(batch(2, 2)))).toContain('full')
    expect(await lengthOf(store)).toBe(1)
    disk.setFull(false)
    expect(await outcome(store.write(batch(2, 2)))).toContain('an earlier write failed')
    await store.close()
    expect(await outcome((await disk.open()).write(batch(2, 2)))).toBe('ok')
  })

  it('takes as many times as long as it is told', async () => {
    const { world, disk, outcome } = machine(2)
    const store = await disk.open()
    disk.setSyncFactor(50)
    await outcome(store.write(batch(1, 1)))
    expect(world.nowMs()).toBeCloseTo(100, 0)
    disk.setSyncFactor(1)
    await outcome(store.write(batch(2, 2)))
    expect(world.nowMs()).toBeCloseTo(102, 0)
    disk.setSyncFactor(1_000_000)
    const slow = store.write(batch(3, 3))
    await world.runFor(1_000)
    disk.setSyncFactor(1)
    expect(await outcome(slow, 5)).toBe('ok')
  })

  it('answers nothing while it is stuck, then all in order, and closing waits', async () => {
    const { world, disk, outcome, stirred } = machine()
    const store = await disk.open()
    disk.setStuck(true)
    const acknowledged: number[] = []
    for (const index of [1, 2]) void store.write(batch(index, index)).then(() => acknowledged.push(index))
    expect(await outcome(store.close(), 500)).toBe('open')
    expect(acknowledged).toEqual([])
    const before = stirred()
    disk.setStuck(false)
    await world.settle()
    expect(stirred()).toBeGreaterThan(before)
    expect(acknowledged).toEqual([1, 2])
    expect(await lengthOf(await disk.open())).toBe(2)
  })

  it('a process that is killed on a stuck disk leaves it for the next', async () => {
    const { disk } = machine()
    const store = await disk.open()
    disk.setStuck(true)
    void store.write(batch(1, 1))
    disk.crash()
    disk.setStuck(false)
    expect(await lengthOf(await disk.open())).toBe(0)
  })
})

describe('rot', () => {
  /** A real chain, so that an altered entry shows. */
  async function written() {
    const { disk } = machine()
    const store = await disk.open()
    const heads = new Map([missionA, missionB].map((missionId) => [missionId, { index: 0, chain: chainOrigin }]))
    const epoch = { lineage: 1, term: 1 }
    for (let round = 0; round < 10; round++) {
      const events = Array.from({ length: 3 }, (_, at) => entryAt(round * 3 + at + 1).event)
      for (const missionId of [missionA, missionB]) {
        const entries = extend(heads.get(missionId)!, epoch, events)
        const last = entries.at(-1)!
        heads.set(missionId, { index: last.index, chain: last.chain })
        void store.write({ entries: entries.map((entry) => ({ missionId, entry })), heads: [{ missionId, index: last.index, chain: last.chain, epoch, sealed: false }], claims: [] })
      }
    }
    await store.close()
    return disk
  }

  it('opens without an error, and what was damaged is named and can be seen by who reads it', async () => {
    const hows = new Set<string>()
    for (const seed of seeds) {
      const disk = await written()
      const damaged = disk.rot(seededRandom([seed, 3]))
      expect(damaged.length).toBeGreaterThan(0)
      const store = await disk.open()
      for (const missionId of [missionA, missionB]) {
        const head = (await store.heads()).find((one) => one.missionId === missionId)!
        const read = await store.read(missionId, 1, 1_000).then(
          (entries) => verifyLog(entries, head)?.detail,
          (error: unknown) => String(error),
        )
        expect(read === undefined).toBe(!damaged.includes(missionId))
        if (read !== undefined) hows.add(read.includes('altered') ? 'chain' : 'read')
      }
    }
    expect([...hows].sort()).toEqual(['chain', 'read'])
  })

  it('has nothing to damage on an empty disk, and may strike twice', async () => {
    expect(machine().disk.rot(seededRandom([1, 1]))).toEqual([])
    const disk = await written()
    const random = seededRandom([9, 9])
    for (let time = 0; time < 60; time++) disk.rot(random)
    expect(disk.entriesStored(missionA) + disk.entriesStored(missionB)).toBeLessThan(60)
  })
})

describe('wiped and rolled back disks', () => {
  it('are empty, and say what was there', async () => {
    const { disk, outcome } = machine()
    const store = await disk.open()
    await outcome(store.write({ ...batch(1, 2), claims: [claim('k')] }))
    await outcome(store.write(batch(1, 1, missionB)))
    expect(disk.missionsStored()).toEqual([missionA, missionB])
    expect(disk.wipe()).toEqual([missionA, missionB])
    expect((await faultOf(store.heads())).code).toBe('wrong-state')
    const next = await disk.open()
    expect([await next.heads(), await next.claims(), disk.missionsStored()]).toEqual([[], [], []])
  })

  it('go back to their copy, whatever happened since, and say which missions lost something', async () => {
    const { disk, outcome } = machine()
    const store = await disk.open()
    await outcome(store.write({ ...batch(1, 2), claims: [claim('old')] }))
    const copy = disk.snapshot()
    await outcome(store.write({ ...batch(1, 3, missionB), claims: [claim('new')] }))
    expect(disk.restore(copy)).toEqual([missionB])
    const again = await disk.open()
    expect([await lengthOf(again), await lengthOf(again, missionB), (await again.claims()).map((one) => one.key)]).toEqual([2, 0, ['old']])
    await outcome(again.write(batch(3, 4)))
    expect(disk.restore(copy)).toEqual([missionA])
    expect(disk.restore(copy)).toEqual([])
  })
})

describe('an observer', () => {
  it('is told what is on the platter for good, and of the next write once', async () => {
    const { disk, outcome } = machine(5)
    const told: unknown[] = []
    disk.onSynced((missionId, entries) => told.push([missionId, entries.map((entry) => entry.index)]))
    let writes = 0
    const store = await disk.open()
    disk.onNextWrite(() => writes++)
    disk.onNextWrite(() => (writes += 100))()
    const write = store.write({ entries: [...entriesBetween(missionA, 1, 2), ...entriesBetween(missionB, 1, 1)], heads: [headAt(missionA, 2)], claims: [] })
    expect([writes, told]).toEqual([1, []])
    await outcome(write)
    await outcome(store.write(batch(3, 3)))
    expect(told).toEqual([[missionA, [1, 2]], [missionB, [1]], [missionA, [3]]])
    expect(writes).toBe(1)
  })
})

describe('the price', () => {
  it('of an empty disk is next to nothing', () => {
    const disks = Array.from({ length: 20_000 }, () => createVirtualLogDisk())
    expect(disks.every((disk) => disk.missionsStored().length === 0)).toBe(true)
  })
})
