import { describe, expect, it } from 'vitest'
import type { LogStore } from '../../../actors/ports/log-store.ts'
import type { GroupId } from '../../../protocols/kernel/ids.ts'
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import type { LogEntry } from '../../../protocols/replicated-log/schema.ts'
import { createVirtualLogDisk } from '../../../sim/log-store-virtual-adapter.ts'
import { createVirtualClock } from '../../../sim/virtual-clock.ts'
import { endedMission, entriesAfter, faultOf, headAfter, missionA, missionB, snapshotAt, writeOf } from '../../contracts/log-store.ts'

const all = entriesAfter(30)
const write = (first: number, last: number, group: GroupId = missionA) => writeOf(group, all.slice(0, last), { fresh: last - first + 1 })
const batch = (first: number, last: number, group: GroupId = missionA) => ({ writes: [write(first, last, group)] })
const indexesOf = (entries: readonly LogEntry[]): number[] => entries.map(({ index }) => index)
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

async function lengthOf(store: LogStore, group: GroupId = missionA): Promise<number> {
  return (await store.read(group, 1, 1_000)).length
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
      const next = await disk.open()
      expect((await next.found()).groups.map(({ damage }) => damage)).toEqual([undefined])
      lengths.add(await lengthOf(next))
    }
    expect([...lengths].sort()).toEqual([2, 4, 6, 8])
  })

  it('a killed process loses nothing that it had written', async () => {
    const { disk } = machine(5)
    const store = await disk.open()
    void store.write(batch(1, 3))
    disk.kill()
    expect(await lengthOf(await disk.open())).toBe(3)
    expect((await faultOf(store.found())).code).toBe('wrong-state')
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
      disk.onSynced((_group, entries) => synced.push(...entries.map((entry) => entry.index)))
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
  const shared: GroupId = 'roster'
  /** Two logs written by turns; `others`: the second one has other voters. One has a snapshot. */
  async function written(others = 1) {
    const { disk } = machine()
    const store = await disk.open()
    for (let round = 0; round < 10; round++) {
      const last = 3 * (round + 1)
      const head = headAfter(shared, all.slice(0, last), { others })
      void store.write({ writes: [write(last - 2, last), { ...write(last - 2, last, shared), head }] })
      if (round === 5) void store.write({ writes: [writeOf(missionA, all.slice(0, last), { fresh: 0, snapshot: snapshotAt(all[10]!), dropBelow: 6 })] })
    }
    await store.close()
    return disk
  }

  it('opens without an error, and what was damaged is named and told, no more and no less', async () => {
    const hows = new Set<string>()
    for (const seed of Array.from({ length: 120 }, (_, at) => at)) {
      const disk = await written(seed % 2)
      const damaged = disk.rot(seededRandom([seed, 3]))
      expect(damaged.length).toBeGreaterThan(0)
      for (let time = 0; time < 2; time++) {
        const store = await disk.open()
        const { groups } = await store.found()
        expect(groups.map(({ head }) => [head.group, head.last.index])).toEqual([[missionA, 30], [shared, 30]])
        expect(groups.flatMap(({ head, damage }) => (damage === undefined ? [] : [head.group]))).toEqual(damaged)
        for (const { damage } of groups) if (damage !== undefined) hows.add(damage.detail.replace(/^.* is damaged: /, '').replace(/\d+/g, 'n'))
        await store.close()
      }
    }
    const told = [...hows].join('\n')
    for (const how of ['entry n is missing or altered', 'entries n to n are missing', 'its head is missing', 'its head cannot be read', 'was promised', 'its snapshot cannot be read', 'nothing vouches for it']) expect(told).toContain(how)
  })

  it('has nothing to damage on an empty disk, and may strike twice', async () => {
    expect(machine().disk.rot(seededRandom([1, 1]))).toEqual([])
    const disk = await written()
    const random = seededRandom([9, 9])
    for (let time = 0; time < 60; time++) disk.rot(random)
    expect(disk.entriesStored(missionA) + disk.entriesStored(shared)).toBeLessThan(55)
    const { groups } = await (await disk.open()).found()
    expect(groups.every(({ damage }) => damage !== undefined)).toBe(true)
  })
})

describe('wiped and rolled back disks', () => {
  it('are empty, of another incarnation, and say what was there', async () => {
    const { disk, outcome } = machine()
    const store = await disk.open()
    const { incarnation } = await store.found()
    await outcome(store.write({ ...batch(1, 2), ended: [endedMission(missionB, 1)] }))
    await outcome(store.write(batch(1, 1, 'registrar-01')))
    expect([disk.groupsStored(), disk.missionsStored()]).toEqual([[missionA, 'registrar-01'], [missionA]])
    expect(disk.wipe()).toEqual([missionA, 'registrar-01'])
    expect((await faultOf(store.found())).code).toBe('wrong-state')
    const next = await disk.open()
    expect([await next.ended(Infinity, 10), disk.groupsStored()]).toEqual([[], []])
    expect(await next.found()).toEqual({ incarnation: expect.not.stringContaining(incarnation) as string, lostEverything: false, groups: [] })
  })

  it('go back to their copy, whatever happened since, and say which groups lost something', async () => {
    const { disk, outcome } = machine()
    const store = await disk.open()
    const { incarnation } = await store.found()
    await outcome(store.write(batch(1, 2)))
    const copy = disk.snapshot()
    await outcome(store.write({ ...batch(1, 3, missionB), ended: [endedMission(missionA, 1)] }))
    expect(disk.restore(copy)).toEqual([missionB])
    const again = await disk.open()
    expect([await lengthOf(again), await lengthOf(again, missionB), await again.ended(Infinity, 10)]).toEqual([2, 0, []])
    await outcome(again.write(batch(3, 4)))
    expect(disk.restore(copy)).toEqual([missionA])
    expect(disk.restore(copy)).toEqual([])
    // Nothing on such a disk tells of it: only a peer that remembers more can.
    expect(await (await disk.open()).found()).toEqual({ incarnation, lostEverything: false, groups: [{ head: headAfter(missionA, all.slice(0, 2)), entries: all.slice(0, 2) }] })
    expect([disk.wipe(), (await (await disk.open()).found()).incarnation === incarnation]).toEqual([[missionA], false])
  })
})

describe('an observer', () => {
  it('is told what is on the platter for good, and of the next write once', async () => {
    const { disk, outcome } = machine(5)
    const told: unknown[] = []
    disk.onSynced((group, entries, truncateFrom) => told.push([group, indexesOf(entries), ...(truncateFrom === undefined ? [] : [truncateFrom])]))
    let writes = 0
    const store = await disk.open()
    disk.onNextWrite(() => writes++)
    disk.onNextWrite(() => (writes += 100))()
    const first = store.write({ writes: [write(1, 2), write(1, 1, missionB)] })
    expect([writes, told]).toEqual([1, []])
    await outcome(first)
    await outcome(store.write(batch(3, 3)))
    await outcome(store.write({ writes: [writeOf(missionA, all.slice(0, 2), { fresh: 1, truncateFrom: 2 }), writeOf(missionB, [], { wipe: true })] }))
    await outcome(store.write({ writes: [writeOf(missionA, all.slice(0, 2), { fresh: 0 })] }))
    expect(told).toEqual([[missionA, [1, 2]], [missionB, [1]], [missionA, [3]], [missionA, [2], 2], [missionB, [], 1]])
    expect(writes).toBe(1)
  })
})

describe('the price', () => {
  it('of an empty disk is next to nothing', () => {
    const disks = Array.from({ length: 20_000 }, () => createVirtualLogDisk())
    expect(disks.every((disk) => disk.groupsStored().length === 0)).toBe(true)
  })
})
