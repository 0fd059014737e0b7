/** What is on a virtual disk for good: logs and archives (the database), and the watermark in a file of its own. */
import type { Digest, GroupId, Incarnation, MissionId } from '../../protocols/kernel/ids.ts'
import { isUnreadable, type Unreadable } from '../../protocols/replicated-log/copy-on-disk.ts'
import type { EndedMission, FormerCopy, LogHead } from '../../protocols/replicated-log/schema.ts'
import { applyRecord, type Promised, reconcile, unvouched, type WatermarkRecord } from '../../protocols/replicated-log/watermark.ts'

export interface StoredEntry {
  readonly bytes: Uint8Array
  /** Counts the entries of the whole disk, whatever their group: neighbours in a log file. */
  readonly order: number
  /** It was read back and found to keep to the schema. */
  checked: boolean
  /** The chain of the entry before it, after which this one was found to be sound. */
  soundAfter?: string
}

export interface GroupLog {
  readonly entries: Map<number, StoredEntry>
  /** A copy of what was given, never changed. */
  head: LogHead | Unreadable | undefined
  /** The one before: what a file that lost its tail gives back. */
  formerHead: LogHead | undefined
  snapshot: Uint8Array | undefined
}

/** One write, taken apart and encoded. */
export interface PlatterWrite {
  readonly groups: readonly {
    readonly head: LogHead
    readonly wipe: boolean
    readonly snapshot: Uint8Array | undefined
    readonly dropBelow: number
    readonly truncateFrom: number
    readonly entries: readonly { readonly index: number; readonly bytes: Uint8Array }[]
  }[]
  readonly ended: readonly EndedMission[]
  readonly removed: readonly GroupId[]
  readonly former: readonly FormerCopy[]
}

interface Database {
  incarnation: Incarnation
  readonly logs: Map<GroupId, GroupLog>
  readonly ended: Map<MissionId, EndedMission>
  readonly former: Map<GroupId, FormerCopy>
  /** Of its newest write. */
  number: number
  newest: WatermarkRecord
}

interface WatermarkFile {
  readonly incarnation: Incarnation
  number: number
  promises: Map<GroupId, Promised>
  unconfirmed: WatermarkRecord | undefined
}

/** An older state of a whole disk. What is stored is never changed in place, so a copy shares it. */
export interface DiskCopy {
  readonly database: Database | undefined
  readonly watermark: WatermarkFile | undefined
  readonly blobs: ReadonlyMap<Digest, Uint8Array>
}

export interface Platter {
  logOf(group: GroupId): GroupLog | undefined
  groups(): GroupId[]
  logs(): Iterable<readonly [GroupId, GroupLog]>
  ended(): ReadonlyMap<MissionId, EndedMission>
  former(group: GroupId): FormerCopy | undefined
  promised(group: GroupId): Promised | undefined
  promises(): ReadonlyMap<GroupId, Promised>
  /** A store is opened: what a crash left is put in order. */
  open(newIncarnation: () => Incarnation): { readonly incarnation: Incarnation; readonly lostEverything: boolean }
  put(write: PlatterWrite, only?: 'database' | 'watermark'): void
  clear(): void
  loseDatabase(): void
  spoilWatermark(): void
  copy(blobs: ReadonlyMap<Digest, Uint8Array>): DiskCopy
  /** @returns the groups that had entries which are not in the copy, sorted. */
  restore(copy: DiskCopy): GroupId[]
}

const nothing: WatermarkRecord = { number: 0, heads: [], wiped: [], removed: [] }

export function createPlatter(): Platter {
  let database: Database | undefined
  let watermark: WatermarkFile | undefined
  let order = 0

  function putGroup(logs: Map<GroupId, GroupLog>, { head, wipe, snapshot, dropBelow, truncateFrom, entries }: PlatterWrite['groups'][number]): void {
    const former = logs.get(head.group)
    const log: GroupLog = former === undefined || wipe ? { entries: new Map(), head: undefined, formerHead: undefined, snapshot: undefined } : former
    if (log !== former) logs.set(head.group, log)
    if (snapshot !== undefined) log.snapshot = snapshot
    if (dropBelow > 0 || truncateFrom < Infinity) {
      for (const index of [...log.entries.keys()]) if (index < dropBelow || index >= truncateFrom) log.entries.delete(index)
    }
    for (const { index, bytes } of entries) log.entries.set(index, { bytes, order: order++, checked: false })
    log.formerHead = log.head === undefined || isUnreadable(log.head) ? undefined : log.head
    log.head = head
  }

  return {
    logOf: (group) => database?.logs.get(group),
    groups: () => [...(database?.logs.keys() ?? [])].sort(),
    logs: () => database?.logs ?? [],
    ended: () => database?.ended ?? new Map(),
    former: (group) => database?.former.get(group),
    promised: (group) => watermark?.promises.get(group),
    promises: () => watermark?.promises ?? new Map(),
    open(newIncarnation) {
      const lostEverything = database === undefined && watermark !== undefined && watermark.number > 0
      const incarnation = lostEverything ? newIncarnation() : (database?.incarnation ?? watermark?.incarnation ?? newIncarnation())
      database ??= { incarnation, logs: new Map(), ended: new Map(), former: new Map(), number: 0, newest: nothing }
      const { number, promises, isBehind } = watermark === undefined ? { number: database.number, promises: new Map<GroupId, Promised>(), isBehind: true } : reconcile(watermark, database)
      const heads = [...database.logs.values()].flatMap(({ head }) => (head === undefined || isUnreadable(head) ? [] : [head]))
      watermark = { incarnation, number, promises: isBehind ? unvouched(promises, heads) : promises, unconfirmed: undefined }
      return { incarnation, lostEverything }
    },
    put(write, only) {
      if (database === undefined || watermark === undefined) throw new Error('invariant broken: a disk is opened before it is written')
      const removed = [...write.ended.map(({ missionId }) => missionId), ...write.removed]
      const gone = new Set<GroupId>(removed)
      const record = { heads: write.groups.map(({ head }) => head).filter(({ group }) => !gone.has(group)), wiped: write.groups.filter(({ wipe }) => wipe).map(({ head }) => head.group), removed, number: watermark.number + 1 }
      if (only !== 'database') {
        if (only === 'watermark') watermark.unconfirmed = record
        else {
          applyRecord(watermark.promises, record)
          watermark.number = record.number
        }
      }
      if (only === 'watermark') return
      for (const group of write.groups) putGroup(database.logs, group)
      for (const group of removed) {
        database.logs.delete(group)
        database.ended.delete(group as MissionId)
      }
      for (const ended of write.ended) if (!write.removed.includes(ended.missionId)) database.ended.set(ended.missionId, ended)
      const [newest] = write.former
      if (newest !== undefined) for (const { group, untilWallMs } of database.former.values()) if (untilWallMs < newest.sinceWallMs) database.former.delete(group)
      for (const copy of write.former) database.former.set(copy.group, copy)
      database.number = record.number
      database.newest = record
    },
    clear() {
      database = undefined
      watermark = undefined
    },
    loseDatabase: () => (database = undefined),
    spoilWatermark: () => (watermark = undefined),
    copy: (blobs) => ({ database: databaseCopy(database), watermark: watermarkCopy(watermark), blobs: new Map(blobs) }),
    restore(copy) {
      const older = copy.database?.logs
      const lost = [...(database?.logs ?? [])].filter(([group, log]) => [...log.entries].some(([index, { bytes }]) => older?.get(group)?.entries.get(index)?.bytes !== bytes))
      database = databaseCopy(copy.database)
      watermark = watermarkCopy(copy.watermark)
      return lost.map(([group]) => group).sort()
    },
  }
}

function databaseCopy(database: Database | undefined): Database | undefined {
  if (database === undefined) return undefined
  return { ...database, logs: new Map([...database.logs].map(([group, log]) => [group, { ...log, entries: new Map(log.entries) }])), ended: new Map(database.ended), former: new Map(database.former) }
}

function watermarkCopy(watermark: WatermarkFile | undefined): WatermarkFile | undefined {
  return watermark === undefined ? undefined : { ...watermark, promises: new Map(watermark.promises) }
}
