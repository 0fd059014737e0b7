/** A write of the log as operations of the database, and as the watermark's record. */
import type { GroupWrite, LogBatch } from '../../actors/ports/log-store.ts'
import type { GroupId, MissionId } from '../../protocols/kernel/ids.ts'
import type { WallMs } from '../../protocols/kernel/units.ts'
import { assertApart } from '../../protocols/replicated-log/copy-on-disk.ts'
import { type EndedMission, FormerCopy, type LogHead } from '../../protocols/replicated-log/schema.ts'
import type { WatermarkRecord } from '../../protocols/replicated-log/watermark.ts'
import { decodeValue, encodeValue, packFields } from '../../protocols/wire.ts'
import { type Database, endedKey, entriesOf, entryKey, formerKey, formerUntilKey, formerUntilPrefix, groupIn, headKey, IndexedMission, indexKeysOf, type Operation, snapshotKey, startingWith } from './log-records.ts'

interface EncodedGroup extends Pick<GroupWrite, 'wipe' | 'dropBelow' | 'truncateFrom'> {
  readonly head: LogHead
  readonly headBytes: Uint8Array
  readonly snapshot: Uint8Array | undefined
  readonly entries: readonly { readonly index: number; readonly bytes: Uint8Array }[]
}

/** A batch as it was when it was given: what the caller changes afterwards does not reach the disk. */
export interface EncodedBatch {
  readonly groups: readonly EncodedGroup[]
  readonly ended: readonly EndedMission[]
  readonly removed: readonly GroupId[]
  readonly former: readonly FormerCopy[]
}

export function encodeBatch(batch: LogBatch): EncodedBatch {
  assertApart(batch.writes, [...(batch.removed ?? []), ...(batch.ended ?? []).map(({ missionId }) => missionId)])
  const own = <T>(value: T): T => decodeValue(encodeValue(value)) as T
  return {
    groups: batch.writes.map(({ head, wipe, snapshot, dropBelow, truncateFrom, entries }) => ({
      // Its parts are never changed; the head itself is made anew for every write.
      head: { ...head },
      headBytes: encodeValue(head),
      ...(wipe === undefined ? {} : { wipe }),
      ...(dropBelow === undefined ? {} : { dropBelow }),
      ...(truncateFrom === undefined ? {} : { truncateFrom }),
      snapshot: snapshot === undefined ? undefined : encodeValue(snapshot),
      entries: entries.map((entry) => ({ index: entry.index, bytes: encodeValue(entry) })),
    })),
    ended: (batch.ended ?? []).map(own),
    removed: [...(batch.removed ?? [])],
    former: [...(batch.former ?? [])],
  }
}

export interface Prepared {
  readonly operations: readonly Operation[]
  readonly record: WatermarkRecord
  /** The record's heads, encoded, in their order. */
  readonly heads: readonly Uint8Array[]
}

/** Several batches as one write, in their order. Reads the keys that are to go: nothing else may be written meanwhile. */
export async function prepare(database: Database, batches: readonly EncodedBatch[], number: number): Promise<Prepared> {
  const encodedNumber = encodeValue(number)
  /** By key, the last word on it. */
  const values = new Map<string, Uint8Array | undefined>()
  /** Indexes of entries that this write has put so far. */
  const put = new Map<GroupId, Set<number>>()
  const heads = new Map<GroupId, Pick<EncodedGroup, 'head' | 'headBytes'>>()
  const wiped = new Set<GroupId>()
  const removed = new Set<GroupId>()

  async function removeEntries(group: GroupId, from: number, below: number): Promise<void> {
    if (from >= below) return
    const range = below === Infinity ? { gte: entryKey(group, from), lt: startingWith(entriesOf(group)).lt } : { gte: entryKey(group, from), lt: entryKey(group, below) }
    for (const key of await database.keys(range).all()) values.set(key, undefined)
    for (const index of put.get(group) ?? []) {
      if (index < from || index >= below) continue
      put.get(group)?.delete(index)
      values.set(entryKey(group, index), undefined)
    }
  }

  async function removeCopy(group: GroupId): Promise<void> {
    await removeEntries(group, 0, Infinity)
    values.set(headKey(group), undefined)
    values.set(snapshotKey(group), undefined)
    heads.delete(group)
  }

  async function removeEnded(missionId: MissionId): Promise<void> {
    const key = endedKey(missionId)
    const stored = values.has(key) ? values.get(key) : await database.get(key)
    if (stored === undefined) return
    values.set(key, undefined)
    const former = IndexedMission.safeParse(decodeOr(stored))
    if (former.success) for (const indexKey of indexKeysOf(former.data)) values.set(indexKey, undefined)
  }

  async function forgetFormer(untilWallMs: WallMs): Promise<void> {
    for (const indexKey of await database.keys({ gte: formerUntilPrefix, lt: formerUntilKey(untilWallMs), limit: formerForgottenAtOnce }).all()) {
      // This very write has put something newer there.
      if (values.has(indexKey)) continue
      values.set(indexKey, undefined)
      values.set(formerKey(groupIn(indexKey)), undefined)
    }
  }

  async function putFormer(copy: FormerCopy): Promise<void> {
    const key = formerKey(copy.group)
    const stored = values.get(key) ?? (await database.get(key))
    const earlier = stored === undefined ? undefined : FormerCopy.safeParse(decodeOr(stored))
    if (earlier?.success === true) values.set(formerUntilKey(earlier.data.untilWallMs, copy.group), undefined)
    values.set(key, encodeValue(copy))
    values.set(formerUntilKey(copy.untilWallMs, copy.group), nothing)
  }

  for (const { groups, ended, removed: toRemove, former } of batches) {
    for (const { head, headBytes, wipe, snapshot, dropBelow, truncateFrom, entries } of groups) {
      const { group } = head
      if (wipe === true) {
        await removeCopy(group)
        wiped.add(group)
      }
      if (snapshot !== undefined) values.set(snapshotKey(group), snapshot)
      if (dropBelow !== undefined) await removeEntries(group, 0, dropBelow)
      if (truncateFrom !== undefined) await removeEntries(group, truncateFrom, Infinity)
      let indexes = put.get(group)
      if (entries.length > 0 && indexes === undefined) put.set(group, (indexes = new Set()))
      for (const { index, bytes } of entries) {
        values.set(entryKey(group, index), bytes)
        indexes?.add(index)
      }
      values.set(headKey(group), packFields({ number: encodedNumber, head: headBytes }))
      heads.set(group, { head, headBytes })
    }
    for (const group of [...ended.map(({ missionId }) => missionId), ...toRemove]) {
      await removeCopy(group)
      await removeEnded(group as MissionId)
      removed.add(group)
    }
    for (const one of ended) {
      if (toRemove.includes(one.missionId)) continue
      values.set(endedKey(one.missionId), encodeValue(one))
      for (const indexKey of indexKeysOf(one)) values.set(indexKey, nothing)
    }
    if (former[0] !== undefined) await forgetFormer(former[0].sinceWallMs)
    for (const copy of former) await putFormer(copy)
  }
  const record = { number, heads: Array.from(heads.values(), ({ head }) => head), wiped: [...wiped].filter((group) => heads.has(group)), removed: [...removed] }
  values.set('written', encodeValue({ number, wiped: record.wiped, removed: record.removed }))
  return { record, heads: Array.from(heads.values(), ({ headBytes }) => headBytes), operations: [...values].map(([key, value]) => (value === undefined ? { type: 'del', key } : { type: 'put', key, value })) }
}

/** With every write that adds to them: more than it adds, so that they get fewer. */
const formerForgottenAtOnce = 100

/** The index's keys say everything. */
const nothing = Uint8Array.of(0xc0)

function decodeOr(bytes: Uint8Array): unknown {
  try {
    return decodeValue(bytes)
  } catch {
    return undefined
  }
}
