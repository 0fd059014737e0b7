import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { GroupOnDisk, GroupWrite, LogStore } from '../../actors/ports/log-store.ts'
import { MeshError } from '../../protocols/kernel/errors.ts'
import type { Digest, GroupId, Incarnation, MissionId, PeerId, Principal } from '../../protocols/kernel/ids.ts'
import { extend, logOrigin, positionOf } from '../../protocols/replicated-log/chain.ts'
import type { EndedMission, FormerCopy, LogEntry, LogHead, LogPosition, LogSnapshot } from '../../protocols/replicated-log/schema.ts'

/** A store, and what may happen to its disk while it is closed. */
export interface LogStoreUnderTest {
  open(): Promise<LogStore>
  /** Removes one stored entry behind the store's back. */
  loseEntry(group: GroupId, index: number): Promise<void>
  /** Makes one stored entry unreadable. */
  corruptEntry(group: GroupId, index: number): Promise<void>
  /** Stores an entry of the right shape behind the store's back. */
  plantEntry(group: GroupId, entry: LogEntry): Promise<void>
  /** The database has this head, or none; the watermark keeps its own. */
  plantHead(group: GroupId, head: LogHead | undefined): Promise<void>
  loseDatabase(): Promise<void>
  /** The watermark is there and is garbage. */
  spoilWatermark(): Promise<void>
  /** Another directory, on the same machine. */
  openAnother(): Promise<LogStore>
  /** Absent where that takes a real fault: then the adapter's own tests make writes fail. */
  failNextWrite?(): void
  stop?(): Promise<void>
}

export const missionA = 'm-aaaaaaaa-aaaaaaaaaaaa' as MissionId
export const missionB = 'm-aaaaaaaa-aaaaaaaaaaab' as MissionId
export const firstEpoch = { lineage: 1, term: 1 }
const incarnation = 'life01' as Incarnation
const [me, you] = ['me', 'you'] as PeerId[] as [PeerId, PeerId]

/** Entries that continue a log: `count` of them after `from`, by default from the beginning. */
export function entriesAfter(count: number, from: LogPosition = logOrigin, reason = 'entry'): LogEntry[] {
  return extend(from, firstEpoch, Array.from({ length: count }, (_, at) => ({ type: 'cancel-requested' as const, atWallMs: from.index + at + 1, by: 'local' as Principal, reason: `${reason} ${from.index + at + 1}` })))
}

/** The head after these entries; `others`: voters beside this node. */
export function headAfter(group: GroupId, entries: readonly LogEntry[], { others = 0, ...more }: Partial<LogHead> & { readonly others?: number } = {}): LogHead {
  const last = entries.at(-1)
  const voters = [me, you].slice(0, 1 + others).map((peer) => ({ peer, incarnation }))
  return { group, incarnation, epoch: firstEpoch, last: last === undefined ? logOrigin : positionOf(last), commit: last?.index ?? 0, membership: { voters, learners: [] }, ...more }
}

/** A write of the whole log so far: its last `fresh` entries (default all) are new. */
export function writeOf(group: GroupId, entries: readonly LogEntry[], more: Partial<Omit<GroupWrite, 'head'>> & { readonly head?: LogHead; readonly fresh?: number } = {}): GroupWrite {
  const { fresh = entries.length, ...rest } = more
  return { head: headAfter(group, entries), entries: fresh === 0 ? [] : entries.slice(-fresh), ...rest }
}

export function snapshotAt(entry: LogEntry): LogSnapshot {
  return { at: positionOf(entry), membership: headAfter(missionA, []).membership!, version: 1, state: { inline: { upTo: entry.index } } }
}

export function endedMission(missionId: MissionId, endedAtWallMs: number, keptUntilWallMs = endedAtWallMs + 1_000): EndedMission {
  return { missionId, endedAtWallMs, keptUntilWallMs, archive: { blob: { $blob: 'a'.repeat(64) as Digest, sizeBytes: 10 } }, cites: ['b'.repeat(64) as Digest], members: [me], view: { id: missionId, state: 'completed' } }
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
    const reopen = async (harm: () => Promise<void> = async () => undefined): Promise<void> => {
      await store.close()
      await harm()
      store = await under.open()
    }
    const groupFound = async (group: GroupId): Promise<GroupOnDisk | undefined> => (await store.found()).groups.find((one) => one.head.group === group)
    const indexesOf = (entries: readonly LogEntry[] | undefined): number[] | undefined => entries?.map(({ index }) => index)

    it('is empty at first, under an incarnation that it keeps and nobody else has', async () => {
      const first = await store.found()
      expect(first).toEqual({ incarnation: expect.stringMatching(/^[a-z0-9]{6,32}$/), lostEverything: false, groups: [] })
      expect(await store.read(missionA, 1, 10)).toEqual([])
      await reopen()
      expect(await store.found()).toEqual(first)
      await store.write({ writes: [writeOf(missionA, entriesAfter(1))] })
      await reopen()
      expect((await store.found()).incarnation).toBe(first.incarnation)
    })

    it('returns what was written, also after reopening', async () => {
      const [a, roster] = [entriesAfter(3), entriesAfter(1)]
      const head = headAfter('roster', roster, { others: 1, epoch: { lineage: 1, term: 4 }, votedFor: you, commit: 0 })
      await store.write({ writes: [writeOf(missionA, a), writeOf('roster', roster, { head })] })
      await store.write({ writes: [{ head: { group: 'registrar-07', incarnation, last: logOrigin, commit: 0 }, entries: [] }] })
      for (let round = 0; round < 2; round++) {
        expect((await store.found()).groups).toEqual([
          { head: headAfter(missionA, a), entries: a },
          { head: { group: 'registrar-07', incarnation, last: logOrigin, commit: 0 }, entries: [] },
          { head, entries: roster },
        ])
        expect(await store.read(missionA, 1, 10)).toEqual(a)
        expect(await store.read('roster', 1, 10)).toEqual(roster)
        await reopen()
      }
    })

    it('reads in the order of the indexes, from an index on, at most so many', async () => {
      const entries = entriesAfter(120)
      await store.write({ writes: [writeOf(missionA, entries)] })
      expect(await store.read(missionA, 1, 1_000)).toEqual(entries)
      expect(indexesOf(await store.read(missionA, 9, 3))).toEqual([9, 10, 11])
      expect(indexesOf(await store.read(missionA, 0, 1))).toEqual([1])
      expect(await store.read(missionA, 121, 10)).toEqual([])
      expect(await store.read(missionA, 1, 0)).toEqual([])
      expect(await store.read(missionB, 1, 10)).toEqual([])
    })

    it('keeps what was given at the time of writing', async () => {
      const entries = entriesAfter(1)
      const write = writeOf(missionA, entries)
      const written = store.write({ writes: [write] })
      ;(write.entries[0] as { chain: string }).chain = 'f'.repeat(64)
      ;(write.head as { commit: number }).commit = 7
      await written
      const [read] = await store.read(missionA, 1, 1)
      expect(read).toEqual(entriesAfter(1)[0])
      ;(read as { chain: string }).chain = 'e'.repeat(64)
      expect(await store.read(missionA, 1, 1)).toEqual(entriesAfter(1))
      await reopen()
      expect(await groupFound(missionA)).toEqual({ head: headAfter(missionA, entriesAfter(1)), entries: entriesAfter(1) })
    })

    it('takes many writes at once, in their order', async () => {
      const entries = entriesAfter(50)
      await Promise.all(entries.map((_entry, at) => store.write({ writes: [writeOf(missionA, entries.slice(0, at + 1), { fresh: 1 })] })))
      await reopen()
      expect(await groupFound(missionA)).toEqual({ head: headAfter(missionA, entries), entries })
    })

    it('replaces the end of a log that a newer leader has otherwise', async () => {
      const former = entriesAfter(8)
      const kept = former.slice(0, 3)
      const others = [...kept, ...entriesAfter(2, positionOf(kept[2]!), 'other')]
      await store.write({ writes: [writeOf(missionA, former), writeOf(missionB, former)] })
      await store.write({ writes: [writeOf(missionA, others, { fresh: 2, truncateFrom: 4 })] })
      for (let round = 0; round < 2; round++) {
        expect(await groupFound(missionA)).toEqual({ head: headAfter(missionA, others), entries: others })
        expect(await store.read(missionA, 1, 100)).toEqual(others)
        expect((await groupFound(missionB))?.entries).toEqual(former)
        await reopen()
      }
    })

    it('keeps a snapshot, the log after it, and what is left of the log before it', async () => {
      const entries = entriesAfter(20)
      const snapshot = snapshotAt(entries[11]!)
      await store.write({ writes: [writeOf(missionA, entries)] })
      await store.write({ writes: [writeOf(missionA, entries, { fresh: 0, snapshot })] })
      expect(await groupFound(missionA)).toEqual({ head: headAfter(missionA, entries), snapshot, entries })
      await store.write({ writes: [writeOf(missionA, entries, { fresh: 0, dropBelow: 9 })] })
      for (let round = 0; round < 2; round++) {
        expect(await groupFound(missionA)).toEqual({ head: headAfter(missionA, entries), snapshot, entries: entries.slice(8) })
        expect(indexesOf(await store.read(missionA, 1, 3))).toEqual([9, 10, 11])
        expect(indexesOf(await store.read(missionA, 19, 30))).toEqual([19, 20])
        await reopen()
      }
      const newer = snapshotAt(entries[19]!)
      await store.write({ writes: [writeOf(missionA, entries, { fresh: 0, snapshot: newer, dropBelow: 21 })] })
      await reopen()
      expect(await groupFound(missionA)).toEqual({ head: headAfter(missionA, entries), snapshot: newer, entries: [] })
      expect(await store.read(missionA, 1, 30)).toEqual([])
      const more = entriesAfter(1, positionOf(entries[19]!))
      await store.write({ writes: [writeOf(missionA, more)] })
      await reopen()
      expect(await groupFound(missionA)).toEqual({ head: headAfter(missionA, more), snapshot: newer, entries: more })
      expect(await store.read(missionA, 1, 30)).toEqual(more)
    })

    it('forgets a copy and takes up another in one write, in the order of the fields', async () => {
      const former = entriesAfter(9)
      await store.write({ writes: [writeOf(missionA, former, { snapshot: snapshotAt(former[4]!) })] })
      const others = entriesAfter(30, logOrigin, 'other')
      const snapshot = snapshotAt(others[19]!)
      const write = writeOf(missionA, others, { fresh: 13, wipe: true, snapshot, dropBelow: 5, truncateFrom: 2 })
      await store.write({ writes: [write] })
      for (let round = 0; round < 2; round++) {
        expect(await groupFound(missionA)).toEqual({ head: headAfter(missionA, others), snapshot, entries: others.slice(17) })
        await reopen()
      }
      await store.write({ writes: [writeOf(missionA, [], { wipe: true })] })
      await reopen()
      expect(await groupFound(missionA)).toEqual({ head: headAfter(missionA, []), entries: [] })
    })

    it('takes several writes of one group in one batch, in their order', async () => {
      const former = entriesAfter(3)
      const others = [...former.slice(0, 1), ...entriesAfter(1, positionOf(former[0]!), 'other')]
      await store.write({ writes: [writeOf(missionA, former), writeOf(missionA, others, { fresh: 1, truncateFrom: 2 })] })
      await reopen()
      expect(await groupFound(missionA)).toEqual({ head: headAfter(missionA, others), entries: others })
    })

    it('keeps a record of a mission that has ended, and nothing else of it', async () => {
      await store.write({ writes: [writeOf(missionA, entriesAfter(200), { snapshot: snapshotAt(entriesAfter(100)[99]!) }), writeOf(missionB, entriesAfter(2))] })
      await store.write({ writes: [], ended: [endedMission(missionA, 500)] })
      for (let round = 0; round < 2; round++) {
        expect((await store.found()).groups.map(({ head }) => head.group)).toEqual([missionB])
        expect(await store.read(missionA, 1, 10)).toEqual([])
        expect(await store.endedMission(missionA)).toEqual(endedMission(missionA, 500))
        expect(await store.endedMission(missionB)).toBeUndefined()
        await reopen()
      }
      await store.write({ writes: [], ended: [endedMission(missionA, 700)] })
      expect(await store.ended(10_000, 10)).toEqual([endedMission(missionA, 700)])
    })

    it('lists archived missions the newest first, those before an instant, and those to be forgotten by one', async () => {
      const missions = Array.from({ length: 9 }, (_, at) => endedMission(`m-aaaaaaaa-${String(at).padStart(12, '0')}` as MissionId, 100 * (at + 1), at % 2 === 0 ? 5_000 - at : 9_000))
      await store.write({ writes: [], ended: missions })
      const endsOf = (found: readonly EndedMission[]): number[] => found.map(({ endedAtWallMs }) => endedAtWallMs)
      for (let round = 0; round < 2; round++) {
        expect(endsOf(await store.ended(Infinity, 3))).toEqual([900, 800, 700])
        expect(endsOf(await store.ended(700, 2))).toEqual([600, 500])
        expect(endsOf(await store.ended(100, 10))).toEqual([])
        expect(await store.ended(Infinity, 0)).toEqual([])
        expect(endsOf(await store.endedUntil(4_996, 10))).toEqual([900, 700, 500])
        expect(endsOf(await store.endedUntil(4_999, 1))).toEqual([900])
        expect(await store.endedUntil(10_000, 100)).toHaveLength(9)
        await reopen()
      }
      await store.write({ writes: [], removed: missions.slice(0, 8).map(({ missionId }) => missionId) })
      expect(await store.ended(Infinity, 10)).toEqual([missions[8]])
      expect(await store.endedUntil(Infinity, 10)).toEqual([missions[8]])
      expect(await store.endedMission(missions[0]!.missionId)).toBeUndefined()
    })

    it('removes groups and nothing else, and takes one up again', async () => {
      await store.write({ writes: [writeOf(missionA, entriesAfter(200)), writeOf(missionB, entriesAfter(2))] })
      await store.write({ writes: [], removed: [missionA, 'm-zzzzzzzz-zzzzzzzzzzzz' as MissionId] })
      expect(await store.read(missionA, 1, 10)).toEqual([])
      await reopen()
      expect((await store.found()).groups.map(({ head }) => head.group)).toEqual([missionB])
      await store.write({ writes: [writeOf(missionA, entriesAfter(1))] })
      await reopen()
      expect(await groupFound(missionA)).toEqual({ head: headAfter(missionA, entriesAfter(1)), entries: entriesAfter(1) })
    })

    it('remembers copies that were given up, of each the last word, through restarts and through a new copy, and forgets those whose time is over', async () => {
      const former = (group: MissionId, sinceWallMs: number, next?: string): FormerCopy => ({ group, ...(next === undefined ? {} : { next: next as Incarnation }), sinceWallMs, untilWallMs: sinceWallMs + 100 })
      await store.write({ writes: [writeOf(missionA, entriesAfter(2)), writeOf(missionB, entriesAfter(2))] })
      expect(await store.formerCopy(missionA)).toBeUndefined()
      await store.write({ writes: [], removed: [missionA], former: [former(missionA, 1_000, 'life01.1')] })
      await store.write({ writes: [writeOf(missionA, entriesAfter(1))] })
      for (let round = 0; round < 2; round++) {
        expect(await store.formerCopy(missionA)).toEqual(former(missionA, 1_000, 'life01.1'))
        expect(await store.formerCopy(missionB)).toBeUndefined()
        await reopen()
      }
      await store.write({ writes: [], removed: [missionA], former: [former(missionA, 1_090, 'life01.2')] })
      await store.write({ writes: [], removed: [missionB], former: [former(missionB, 1_150)] })
      expect(await store.formerCopy(missionA), 'its first time is over, its second is not').toEqual(former(missionA, 1_090, 'life01.2'))
      const another = 'm-zzzzzzzz-zzzzzzzzzzzz' as MissionId
      await store.write({ writes: [], removed: [another], former: [former(another, 1_200)] })
      await reopen()
      expect(await store.formerCopy(missionA)).toBeUndefined()
      expect(await store.formerCopy(missionB)).toEqual(former(missionB, 1_150))
      expect(await store.formerCopy(another)).toEqual(former(another, 1_200))
      const { head } = writeOf(another, [])
      const sealed: FormerCopy = { ...former(another, 1_210), sealed: { as: 'life01' as Incarnation, founder: you, head: { ...head, epoch: { lineage: 1, term: 2 }, votedFor: you } } }
      await store.write({ writes: [], removed: [another], former: [sealed] })
      await reopen()
      expect(await store.formerCopy(another), 'and what was promised instead of a copy').toEqual(sealed)
      const { sealed: _, ...putAway } = { ...sealed, voted: { as: 'life01' as Incarnation, head: { ...head, epoch: { lineage: 1, term: 3 }, votedFor: you } } }
      await store.write({ writes: [], removed: [another], former: [putAway] })
      expect(await store.formerCopy(another), 'or whom an empty one had voted for').toEqual(putAway)
    })

    it('refuses a write that removes what it writes', async () => {
      await store.write({ writes: [writeOf(missionA, entriesAfter(1))] })
      await expect(store.write({ writes: [writeOf(missionA, entriesAfter(1, positionOf(entriesAfter(1)[0]!)))], removed: [missionA] })).rejects.toThrow('does not remove what it writes')
      await expect(store.write({ writes: [writeOf(missionA, [])], ended: [endedMission(missionA, 700)] })).rejects.toThrow('does not remove what it writes')
      expect(await store.read(missionA, 1, 10)).toHaveLength(1)
    })

    it('is one store at a time', async () => {
      const fault = await faultOf(under.open())
      expect(fault.code).toBe('wrong-state')
      expect(fault.next).toBeTruthy()
      expect((await store.found()).groups).toEqual([])
    })

    it('has an incarnation of its own in every directory', async () => {
      const other = await under.openAnother()
      expect((await other.found()).incarnation).not.toBe((await store.found()).incarnation)
      await other.close()
    })

    it('says how much room there is', async () => {
      expect(['enough', 'low', 'full']).toContain(await store.room())
    })

    it('refuses everything once closed, and closing twice is no error', async () => {
      await store.close()
      await store.close()
      for (const attempt of [() => store.write({ writes: [] }), () => store.found(), () => store.read(missionA, 1, 1), () => store.ended(1, 1), () => store.endedMission(missionA), () => store.endedUntil(1, 1), () => store.room()]) {
        expect((await faultOf(attempt())).code).toBe('wrong-state')
      }
    })

    describe('tells damage', () => {
      const entries = entriesAfter(6)
      const whole = { head: headAfter(missionA, entries), entries }
      beforeEach(async () => {
        await store.write({ writes: [writeOf(missionA, entries), writeOf(missionB, entries.slice(0, 1))] })
      })
      const expectDamage = async (says: string): Promise<GroupOnDisk> => {
        const found = (await groupFound(missionA))!
        expect(found.damage).toMatchObject({ code: 'storage-failed', retryable: false })
        expect(found.damage?.detail).toContain(says)
        expect(found.damage?.detail).toContain(missionA)
        expect(found.damage?.next).toBeTruthy()
        expect((await groupFound(missionB))?.damage).toBeUndefined()
        return found
      }

      it.each([1, 3, 6])('of an entry that is missing (%i of 6), and reads no further', async (index) => {
        await reopen(() => under.loseEntry(missionA, index))
        const found = await expectDamage(index === 6 ? 'entries 6 to 6 are missing' : `entry ${index} is missing or altered`)
        expect(found.head).toEqual(whole.head)
        expect(indexesOf(found.entries)).toEqual([1, 2, 3, 4, 5, 6].filter((other) => other !== index))
        const fault = await faultOf(store.read(missionA, 1, 100))
        expect(fault).toMatchObject({ code: 'storage-failed', retryable: false })
        expect(fault.detail).toContain(`entry ${index} of ${missionA}`)
        expect(await store.read(missionB, 1, 100)).toHaveLength(1)
      })

      it('of an entry that cannot be read', async () => {
        await reopen(() => under.corruptEntry(missionA, 3))
        await expectDamage('entry 3 is missing or altered')
        expect(await store.read(missionA, 1, 2)).toHaveLength(2)
        expect((await faultOf(store.read(missionA, 1, 100))).detail).toContain(`entry 3 of ${missionA}`)
      })

      it('of an entry that was altered', async () => {
        await reopen(() => under.plantEntry(missionA, { ...entries[3]!, event: { ...entries[3]!.event, atWallMs: 99 } }))
        await expectDamage('entry 4 is missing or altered')
      })

      it('of an end that is another, though sound', async () => {
        await reopen(() => under.plantEntry(missionA, entriesAfter(1, positionOf(entries[4]!), 'other')[0]!))
        await expectDamage('entry 6 is not the one that was written last')
      })

      it('of a head that is gone', async () => {
        await reopen(() => under.plantHead(missionA, undefined))
        expect(await expectDamage('its head is missing')).toMatchObject(whole)
      })

      it('of a vote that the database has forgotten', async () => {
        const promised = headAfter(missionA, entries, { epoch: { lineage: 1, term: 9 }, votedFor: you })
        await store.write({ writes: [{ head: promised, entries: [] }] })
        await reopen(() => under.plantHead(missionA, whole.head))
        expect((await expectDamage('1.9')).head).toEqual(promised)
        await reopen()
        expect((await expectDamage('1.9')).head).toEqual(promised)
      })

      it('of an older log that is sound in itself', async () => {
        const longer = [...entries, ...entriesAfter(1, positionOf(entries[5]!))]
        await store.write({ writes: [writeOf(missionA, longer, { fresh: 1 })] })
        await reopen(async () => {
          await under.plantHead(missionA, whole.head)
          await under.loseEntry(missionA, 7)
        })
        expect((await expectDamage('entry 7')).head).toEqual(headAfter(missionA, longer))
      })

      it('and none of a torn end above the head, which is dropped', async () => {
        const next = entriesAfter(2, positionOf(entries[5]!), 'torn')
        await reopen(() => under.plantEntry(missionA, next[1]!))
        expect(await groupFound(missionA)).toEqual(whole)
        await reopen(() => under.plantEntry(missionA, next[0]!))
        expect(await groupFound(missionA)).toEqual(whole)
        expect(await store.read(missionA, 1, 100)).toEqual(entries)
        const longer = [...entries, ...entriesAfter(1, positionOf(entries[5]!))]
        await store.write({ writes: [writeOf(missionA, longer, { fresh: 1 })] })
        await reopen()
        expect(await groupFound(missionA)).toEqual({ head: headAfter(missionA, longer), entries: longer })
      })

      it('until the copy is wiped or removed', async () => {
        await reopen(() => under.loseEntry(missionA, 3))
        await expectDamage('entry 3')
        await store.write({ writes: [writeOf(missionA, entries, { wipe: true, head: headAfter(missionA, entries, { incarnation: 'life01.1' as Incarnation }) })] })
        await reopen(() => under.plantHead(missionA, undefined))
        await expectDamage('head')
        await store.write({ writes: [], removed: [missionA] })
        await reopen()
        expect(await groupFound(missionA)).toBeUndefined()
      })

      it('of everything, when the database is gone', async () => {
        const { incarnation: before } = await store.found()
        await reopen(() => under.loseDatabase())
        const found = await store.found()
        expect(found.lostEverything).toBe(true)
        expect(found.incarnation).not.toBe(before)
        expect(found.groups.map(({ head, entries: left, damage }) => [head, left, damage?.code])).toEqual([[whole.head, [], 'storage-failed'], [headAfter(missionB, entries.slice(0, 1)), [], 'storage-failed']])
        await store.write({ writes: [], removed: [missionA, missionB] })
        await reopen()
        expect(await store.found()).toEqual({ incarnation: found.incarnation, lostEverything: false, groups: [] })
      })

      it('of what others count on, when the watermark vouches for nothing', async () => {
        const shared = headAfter('roster', entries, { others: 1 })
        await store.write({ writes: [writeOf('roster', entries, { head: shared })] })
        const { incarnation: before } = await store.found()
        await reopen(() => under.spoilWatermark())
        expect(await store.found()).toMatchObject({ incarnation: before, lostEverything: false })
        // It is not forgotten because the store was opened once more.
        for (let round = 0; round < 2; round++) {
          expect(await groupFound(missionA)).toEqual(whole)
          expect(await groupFound('roster')).toMatchObject({ head: shared, entries, damage: { code: 'storage-failed' } })
          expect((await groupFound('roster'))?.damage?.detail).toContain('watermark')
          await reopen()
        }
        await store.write({ writes: [writeOf('roster', [], { wipe: true, head: headAfter('roster', [], { others: 1 }) })] })
        await reopen()
        expect(await groupFound('roster')).toEqual({ head: headAfter('roster', [], { others: 1 }), entries: [] })
      })
    })

    if (injectsFailures) it('takes no more writes after a failed one, until it is reopened', async () => {
      const entries = entriesAfter(2)
      await store.write({ writes: [writeOf(missionA, entries.slice(0, 1))] })
      under.failNextWrite?.()
      const write = () => store.write({ writes: [writeOf(missionA, entries, { fresh: 1 })] })
      for (let attempt = 0; attempt < 2; attempt++) {
        const fault = await faultOf(write())
        expect(fault.code).toBe('storage-failed')
        expect(fault.next).toBeTruthy()
      }
      await reopen()
      expect(await groupFound(missionA)).toEqual({ head: headAfter(missionA, entries.slice(0, 1)), entries: entries.slice(0, 1) })
      await write()
      expect(await store.read(missionA, 1, 10)).toEqual(entries)
    })
  })
}
