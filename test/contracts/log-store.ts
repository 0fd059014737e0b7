import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Claim, LogStore } from '../../actors/ports/log-store.ts'
import { MeshError } from '../../protocols/kernel/errors.ts'
import type { MissionId, Principal } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { LogEntry, LogHead } from '../../protocols/replicated-log/schema.ts'

export interface LogStoreUnderTest {
  open(): Promise<LogStore>
  /** Removes one stored entry behind the store's back. Called while the store is closed. */
  loseEntry(missionId: MissionId, index: number): Promise<void>
  /** Makes one stored entry unreadable. Called while the store is closed. */
  corruptEntry(missionId: MissionId, index: number): Promise<void>
  /** Absent where that takes a real fault: then the adapter's own tests make writes fail. */
  failNextWrite?(): void
  stop?(): Promise<void>
}

export const missionA = 'm-aaaaaaaa-aaaaaaaaaaaa' as MissionId
export const missionB = 'm-aaaaaaaa-aaaaaaaaaaab' as MissionId
const epoch = { lineage: 1, term: 1 }

export function entryAt(index: number, reason = `entry ${index}`): LogEntry {
  return { index, epoch, event: { type: 'cancel-requested', atWallMs: index, by: 'local' as Principal, reason }, chain: index.toString(16).padStart(64, '0') }
}

export function headAt(missionId: MissionId, index: number, sealed = false): LogHead {
  return { missionId, index, chain: index.toString(16).padStart(64, '0'), epoch, sealed }
}

export function entriesBetween(missionId: MissionId, first: number, last: number): { missionId: MissionId; entry: LogEntry }[] {
  return Array.from({ length: last - first + 1 }, (_, at) => ({ missionId, entry: entryAt(first + at) }))
}

export async function faultOf(promise: Promise<unknown>): Promise<MeshError['fault']> {
  const outcome: unknown = await promise.then(
    (value) => value,
    (error: unknown) => error,
  )
  if (outcome instanceof MeshError) return outcome.fault
  throw new Error(`expected a MeshError, got ${String(outcome)}`)
}

/** What every LogStore must do. @param injectsFailures true when `failNextWrite` is there. */
export function logStoreContract(name: string, setup: () => LogStoreUnderTest | Promise<LogStoreUnderTest>, injectsFailures = false): void {
  describe(`${name} keeps the log store contract`, () => {
    let under: LogStoreUnderTest
    let store: LogStore
    beforeEach(async () => {
      under = await setup()
      store = await under.open()
    })
    afterEach(async () => {
      await store.close()
      await under.stop?.()
    })
    const reopen = async (): Promise<void> => {
      await store.close()
      store = await under.open()
    }
    const claim = (key: string, atWallMs = Date.now(), requestDigest = 'd'): Claim => ({ principal: 'local', key, requestDigest, missionId: missionA, atWallMs })

    it('is empty at first', async () => {
      expect(await store.heads()).toEqual([])
      expect(await store.claims()).toEqual([])
      expect(await store.read(missionA, 1, 10)).toEqual([])
    })

    it('returns what was written, also after reopening', async () => {
      await store.write({ entries: entriesBetween(missionA, 1, 3), heads: [headAt(missionA, 3)], claims: [claim('k')] })
      await store.write({ entries: entriesBetween(missionB, 1, 1), heads: [headAt(missionB, 1, true)], claims: [] })
      for (let round = 0; round < 2; round++) {
        expect(await store.read(missionA, 1, 10)).toEqual([entryAt(1), entryAt(2), entryAt(3)])
        expect(await store.read(missionB, 1, 10)).toEqual([entryAt(1)])
        expect(await store.heads()).toEqual([headAt(missionA, 3), headAt(missionB, 1, true)])
        expect((await store.claims()).map((one) => one.key)).toEqual(['k'])
        await reopen()
      }
    })

    it('reads in the order of the indexes, from an index on, at most so many', async () => {
      await store.write({ entries: entriesBetween(missionA, 1, 120).reverse(), heads: [headAt(missionA, 120)], claims: [] })
      const all = await store.read(missionA, 1, 1_000)
      expect(all.map((entry) => entry.index)).toEqual(Array.from({ length: 120 }, (_, at) => at + 1))
      expect((await store.read(missionA, 9, 3)).map((entry) => entry.index)).toEqual([9, 10, 11])
      expect(await store.read(missionA, 0, 1)).toEqual([entryAt(1)])
      expect(await store.read(missionA, 121, 10)).toEqual([])
      expect(await store.read(missionA, 1, 0)).toEqual([])
    })

    it('keeps the newest head and the newest claim of a key', async () => {
      await store.write({ entries: [], heads: [headAt(missionA, 0)], claims: [claim('k', Date.now(), 'first')] })
      await store.write({ entries: entriesBetween(missionA, 1, 2), heads: [headAt(missionA, 2)], claims: [claim('k', Date.now(), 'second'), claim('other')] })
      expect(await store.heads()).toEqual([headAt(missionA, 2)])
      expect((await store.claims()).map((one) => [one.key, one.requestDigest])).toEqual([['k', 'second'], ['other', 'd']])
    })

    it('keeps what was given at the time of writing', async () => {
      const entry = entryAt(1)
      const written = store.write({ entries: [{ missionId: missionA, entry }], heads: [headAt(missionA, 1)], claims: [] })
      ;(entry as { chain: string }).chain = 'f'.repeat(64)
      await written
      const [read] = await store.read(missionA, 1, 1)
      expect(read).toEqual(entryAt(1))
      ;(read as { chain: string }).chain = 'e'.repeat(64)
      expect(await store.read(missionA, 1, 1)).toEqual([entryAt(1)])
    })

    it('takes many writes at once', async () => {
      await Promise.all(Array.from({ length: 50 }, (_, at) => store.write({ entries: entriesBetween(missionA, at + 1, at + 1), heads: [headAt(missionA, at + 1)], claims: [] })))
      await reopen()
      expect(await store.read(missionA, 1, 100)).toHaveLength(50)
      expect(await store.heads()).toEqual([headAt(missionA, 50)])
    })

    it('removes one mission and nothing else, and takes it up again', async () => {
      await store.write({ entries: [...entriesBetween(missionA, 1, 200), ...entriesBetween(missionB, 1, 2)], heads: [headAt(missionA, 200), headAt(missionB, 2)], claims: [claim('k')] })
      await store.remove(missionA)
      await store.remove('m-zzzzzzzz-zzzzzzzzzzzz' as MissionId)
      expect(await store.read(missionA, 1, 10)).toEqual([])
      expect(await store.heads()).toEqual([headAt(missionB, 2)])
      await store.write({ entries: entriesBetween(missionA, 1, 1), heads: [headAt(missionA, 1)], claims: [] })
      await reopen()
      expect(await store.read(missionA, 1, 10)).toEqual([entryAt(1)])
      expect(await store.read(missionB, 1, 10)).toHaveLength(2)
      expect(await store.claims()).toHaveLength(1)
    })

    it('drops expired claims when it opens', async () => {
      const nowMs = Date.now()
      await store.write({ entries: [], heads: [], claims: [claim('old', nowMs - limits.idempotencyKeyKeptMs - 60_000), claim('young', nowMs - limits.idempotencyKeyKeptMs + 60_000)] })
      await reopen()
      expect((await store.claims()).map((one) => one.key)).toEqual(['young'])
    })

    it('is one store at a time', async () => {
      const fault = await faultOf(under.open())
      expect(fault.code).toBe('wrong-state')
      expect(fault.next).toBeTruthy()
      expect(await store.heads()).toEqual([])
    })

    it('refuses everything once closed, and closing twice is no error', async () => {
      await store.close()
      await store.close()
      for (const attempt of [() => store.write({ entries: [], heads: [], claims: [] }), () => store.heads(), () => store.claims(), () => store.read(missionA, 1, 1), () => store.remove(missionA)]) {
        expect((await faultOf(attempt())).code).toBe('wrong-state')
      }
    })

    it.each([2, 5])('says which entry is missing (%i of 5)', async (index) => {
      await store.write({ entries: [...entriesBetween(missionA, 1, 5), ...entriesBetween(missionB, 1, 1)], heads: [headAt(missionA, 5), headAt(missionB, 1)], claims: [] })
      await store.close()
      await under.loseEntry(missionA, index)
      store = await under.open()
      const fault = await faultOf(store.read(missionA, 1, 100))
      expect(fault).toMatchObject({ code: 'storage-failed', retryable: false })
      expect(fault.detail).toContain(`entry ${index} of mission ${missionA}`)
      expect(await store.read(missionB, 1, 100)).toEqual([entryAt(1)])
    })

    it('says which entry is unreadable', async () => {
      await store.write({ entries: entriesBetween(missionA, 1, 5), heads: [headAt(missionA, 5)], claims: [] })
      await store.close()
      await under.corruptEntry(missionA, 3)
      store = await under.open()
      expect(await store.read(missionA, 1, 2)).toHaveLength(2)
      const fault = await faultOf(store.read(missionA, 1, 100))
      expect(fault.code).toBe('storage-failed')
      expect(fault.detail).toContain(`entry 3 of mission ${missionA}`)
    })

    if (injectsFailures) it('takes no more writes after a failed one, until it is reopened', async () => {
      await store.write({ entries: entriesBetween(missionA, 1, 1), heads: [headAt(missionA, 1)], claims: [] })
      under.failNextWrite?.()
      const write = () => store.write({ entries: entriesBetween(missionA, 2, 2), heads: [headAt(missionA, 2)], claims: [] })
      for (let attempt = 0; attempt < 2; attempt++) {
        const fault = await faultOf(write())
        expect(fault.code).toBe('storage-failed')
        expect(fault.next).toBeTruthy()
      }
      expect((await faultOf(store.remove(missionA))).code).toBe('storage-failed')
      await reopen()
      expect((await store.read(missionA, 1, 10))[0]).toEqual(entryAt(1))
      await write()
      expect(await store.read(missionA, 1, 10)).toHaveLength(2)
    })
  })
}
