/**
 * The LogStore port on a virtual disk. A write is staged at once and synced after `syncMs`; its promise resolves only then.
 * The disk outlives the stores that are opened on it, and everything that can go wrong with a disk goes wrong here;
 * the blobs of the same machine (`shelf`, `drive`) share its fate.
 */
import type { Clock } from '../actors/ports/clock.ts'
import type { GroupOnDisk, LogBatch, LogStore } from '../actors/ports/log-store.ts'
import { MeshError } from '../protocols/kernel/errors.ts'
import { hash32 } from '../protocols/kernel/hashing.ts'
import { type Digest, type GroupId, type Incarnation, isMissionGroup, type MissionId } from '../protocols/kernel/ids.ts'
import type { Random } from '../protocols/kernel/prng.ts'
import type { DurationMs } from '../protocols/kernel/units.ts'
import { assertApart, isUnreadable, judgeCopy } from '../protocols/replicated-log/copy-on-disk.ts'
import { type EndedMission, LogEntry, type LogHead } from '../protocols/replicated-log/schema.ts'
import { decodeValue, encodeValue } from '../protocols/wire.ts'
import { createDrive, diskFull, type Drive, type DriveClock } from './disk/drive.ts'
import { createPlatter, type DiskCopy, type PlatterWrite } from './disk/platter.ts'
import { entriesIn, snapshotIn, verifyStored } from './disk/reading.ts'
import { rotDisk } from './disk/rot.ts'
import type { Apply } from './disk/write-queue.ts'

export interface VirtualLogDiskInit {
  /** With a clock, every write takes `syncMs`; without one it is synced at once. The world's clock, not a node's. */
  readonly clock?: DriveClock & Pick<Clock, 'wallMs'>
  /** Default 0.5 ms. */
  readonly syncMs?: DurationMs
  /** The blobs on the same disk: wiped, rolled back and copied with the logs. */
  readonly shelf?: Map<Digest, Uint8Array>
  /** Whose disk it is: the incarnations of its stores differ from those of others. */
  readonly name?: string
}

/** `truncateFrom`: what was there from this index on is gone, before the entries were added. */
export type SyncedListener = (group: GroupId, entries: readonly LogEntry[], truncateFrom?: number) => void

export interface VirtualLogDisk {
  /** For the blob store of the same machine. */
  readonly drive: Drive
  /** @throws MeshError `wrong-state` while another store has it open. */
  open(): Promise<LogStore>
  /** The process is killed: what it had written gets to the platter all the same, as the system lives. */
  kill(): void
  /** The machine loses power: the open store is dead, and of the unsynced writes the first `unsyncedKept` (default 0) survive, and `half` of the next. */
  crash(unsyncedKept?: number, half?: 'database' | 'watermark'): void
  /** The same with a drawn number of survivors. Of the write after them one of its two files may have been synced, or neither. */
  powerCut(random: Random): void
  /** The next `count` writes fail with this reason; those in flight are not touched. */
  failWrites(count: number, reason?: string): void
  /** The next write's sync fails: nobody reads it, and after the store was opened again it may or may not be there. @returns a function that takes the failure back if nothing was written yet. */
  failNextSync(random: Random): () => void
  /** A full disk fails every write and goes on reading. */
  setFull(full: boolean): void
  setSyncMs(syncMs: DurationMs): void
  setSyncFactor(factor: number): void
  /** Writes do not end until it works again. */
  setStuck(stuck: boolean): void
  /** Loses or alters what was synced, as rot does; see `disk/rot.ts`. @returns the groups that were damaged. */
  rot(random: Random): GroupId[]
  /** A new, empty disk. An open store is dead. @returns the groups that were there. */
  wipe(): GroupId[]
  snapshot(): DiskCopy
  /** Back to an older copy. An open store is dead. @returns the groups that had entries which the copy has not. */
  restore(copy: DiskCopy): GroupId[]
  /** Overwrites what is stored under a group's index, to play a rotten disk. @returns false when nothing is there. */
  corrupt(group: GroupId, index: number): boolean
  /** Removes one entry behind the store's back. */
  lose(group: GroupId, index: number): void
  /** Stores an entry behind the store's back: altered, or one that was never promised. */
  plant(group: GroupId, entry: LogEntry): void
  /** The database has this head, or none, whatever the watermark says. */
  plantHead(group: GroupId, head: LogHead | undefined): void
  /** The database is gone, the watermark is there. */
  loseDatabase(): void
  /** The watermark is there and cannot be read. */
  spoilWatermark(): void
  /** Called with the entries of one group that are on the platter for good, in order. */
  onSynced(listener: SyncedListener): void
  /** Called once, when the next write was staged. @returns a function that takes the listener back. */
  onNextWrite(listener: () => void): () => void
  groupsStored(): GroupId[]
  /** Those of the groups that are missions'. */
  missionsStored(): MissionId[]
  unsyncedWrites(): number
  entriesStored(group: GroupId): number
}

interface Life {
  state: 'open' | 'failed' | 'closed'
}

/** A copy that nobody else holds. */
function own<T>(value: T): T {
  return decodeValue(encodeValue(value)) as T
}

function writeOf(batch: LogBatch): PlatterWrite {
  assertApart(batch.writes, [...(batch.removed ?? []), ...(batch.ended ?? []).map(({ missionId }) => missionId)])
  // Encoded when written: what the caller changes afterwards does not reach the disk.
  return {
    groups: batch.writes.map(({ head, wipe, snapshot, dropBelow, truncateFrom, entries }) => ({
      head: own(head),
      wipe: wipe === true,
      snapshot: snapshot === undefined ? undefined : encodeValue(snapshot),
      dropBelow: dropBelow ?? 0,
      truncateFrom: truncateFrom ?? Infinity,
      entries: entries.map((entry) => ({ index: entry.index, bytes: encodeValue(entry) })),
    })),
    ended: (batch.ended ?? []).map(own),
    removed: [...(batch.removed ?? [])],
    former: [...(batch.former ?? [])],
  }
}

export function createVirtualLogDisk(init: VirtualLogDiskInit = {}): VirtualLogDisk {
  const drive = createDrive(init)
  const platter = createPlatter()
  const syncedListeners: SyncedListener[] = []
  let openLife: Life | undefined
  let failing = { count: 0, reason: '' }
  /** Written, never acknowledged, and found when the disk is opened again. */
  let limbo: readonly Apply[] = []
  let stores = 0

  function writingOf(batch: LogBatch): Apply {
    const write = writeOf(batch)
    return (only) => {
      platter.put(write, only)
      if (syncedListeners.length > 0 && only !== 'watermark') tellSynced(write)
    }
  }

  function tellSynced({ groups }: PlatterWrite): void {
    for (const { head, wipe, truncateFrom, entries } of groups) {
      const from = wipe ? 1 : truncateFrom
      if (entries.length === 0 && from === Infinity) continue
      const decoded = entries.map(({ bytes }) => decodeValue(bytes) as LogEntry)
      for (const listener of syncedListeners) listener(head.group, decoded, ...(from === Infinity ? [] : [from]))
    }
  }

  function cut(kept: Parameters<Drive['cut']>[0]): void {
    drive.cut(kept)
    if (openLife !== undefined) openLife.state = 'closed'
    openLife = undefined
  }

  function found(): GroupOnDisk[] {
    const groups: GroupOnDisk[] = []
    for (const [group, promised] of [...platter.promises()].sort(([left], [right]) => (left < right ? -1 : 1))) {
      const log = platter.logOf(group)
      const judged = judgeCopy({ group, promised, head: log?.head, snapshot: log === undefined ? undefined : snapshotIn(log), entries: log === undefined ? [] : entriesIn(log) }, log === undefined ? undefined : verifyStored(log))
      if (judged !== undefined) groups.push({ ...judged, head: own(judged.head) })
    }
    return groups
  }

  function readEntries(group: GroupId, fromIndex: number, max: number): LogEntry[] {
    const lost = (index: number) => new MeshError('storage-failed', `entry ${index} of ${group} cannot be read back`, { retryable: false })
    const entries: LogEntry[] = []
    const lastIndex = platter.promised(group)?.head.last.index ?? 0
    const log = platter.logOf(group)
    const snapshot = log === undefined ? undefined : snapshotIn(log)
    const floor = snapshot === undefined || isUnreadable(snapshot) ? 0 : snapshot.at.index
    let index = Math.max(1, fromIndex)
    // A snapshot stands for those before it: they may be there or not, but not some of them.
    while (index <= floor && log?.entries.has(index) !== true) index++
    for (; entries.length < max && index <= lastIndex; index++) {
      const stored = log?.entries.get(index)
      if (stored === undefined) throw lost(index)
      const decoded = decodeValue(stored.bytes) as LogEntry
      if (!stored.checked && (!LogEntry.safeParse(decoded).success || decoded.index !== index)) throw lost(index)
      stored.checked = true
      // As it was stored: fields that a newer minor release added stay, and with them the hash chain.
      entries.push(decoded)
    }
    return entries
  }

  function endedWhere(holds: (one: EndedMission) => boolean, compare: (left: EndedMission, right: EndedMission) => number, max: number): EndedMission[] {
    const byId = (left: EndedMission, right: EndedMission): number => (left.missionId < right.missionId ? -1 : 1)
    return [...platter.ended().values()].filter(holds).sort((left, right) => compare(left, right) || byId(left, right)).slice(0, Math.max(0, max)).map(own)
  }

  function openOnce(): LogStore {
    const life: Life = { state: 'open' }
    openLife = life
    const { incarnation, lostEverything } = platter.open(() => `d${hash32(init.name ?? '').toString(36)}n${String(++stores).padStart(4, '0')}` as Incarnation)

    function assertOpen(): void {
      // Every answer is a promise that was just resolved or rejected.
      drive.stir()
      if (life.state === 'closed') throw new MeshError('wrong-state', 'the log store is closed', { next: 'open it again' })
    }

    function assertWritable(): void {
      assertOpen()
      if (life.state === 'failed') throw new MeshError('storage-failed', 'an earlier write failed, so what is on the disk is not known', { next: 'close the store and open it again' })
    }

    return {
      async found() {
        assertOpen()
        return { incarnation, lostEverything, groups: found() }
      },
      async write(batch) {
        assertWritable()
        const apply = writingOf(batch)
        if (drive.isFull()) {
          life.state = 'failed'
          throw diskFull('the log could not be written')
        }
        if (failing.count > 0) {
          failing.count--
          life.state = 'failed'
          throw new MeshError('storage-failed', `the log could not be written: ${failing.reason}`, { next: 'close the store and open it again' })
        }
        await drive.log.stage(apply)
      },
      async read(group, fromIndex, max) {
        assertOpen()
        return max <= 0 ? [] : readEntries(group, fromIndex, max)
      },
      async ended(beforeWallMs, max) {
        assertOpen()
        return endedWhere(({ endedAtWallMs }) => endedAtWallMs < beforeWallMs, (left, right) => right.endedAtWallMs - left.endedAtWallMs, max)
      },
      async endedMission(missionId) {
        assertOpen()
        const one = platter.ended().get(missionId)
        return one === undefined ? undefined : own(one)
      },
      async endedUntil(keptUntilWallMs, max) {
        assertOpen()
        return endedWhere((one) => one.keptUntilWallMs <= keptUntilWallMs, (left, right) => left.keptUntilWallMs - right.keptUntilWallMs, max)
      },
      async formerCopy(group) {
        assertOpen()
        return platter.former(group)
      },
      async room() {
        assertOpen()
        return drive.isFull() ? 'full' : 'enough'
      },
      async close() {
        await drive.unstuck()
        if (life.state === 'closed') return
        life.state = 'closed'
        drive.log.flush()
        if (openLife === life) openLife = undefined
      },
    }
  }

  return {
    drive,
    async open() {
      drive.stir()
      if (openLife !== undefined) throw new MeshError('wrong-state', 'another node uses this virtual disk', { next: 'close or crash the other store first' })
      const late = limbo
      limbo = []
      for (const apply of late) apply()
      return openOnce()
    },
    kill: () => cut({ log: Infinity, blobs: Infinity }),
    crash: (unsyncedKept = 0, half) => cut({ log: unsyncedKept, half, blobs: unsyncedKept }),
    powerCut: (random) => cut({ log: random.below(drive.log.waiting() + 1), half: ([undefined, 'database', 'watermark'] as const)[random.below(3)], blobs: random.below(drive.blobs.waiting() + 1) }),
    failWrites(count, reason = 'the virtual disk is full') {
      failing = { count, reason }
    },
    failNextSync(random) {
      return drive.log.failNext((lost) => {
        if (openLife !== undefined) openLife.state = 'failed'
        limbo = lost.slice(0, random.below(lost.length + 1))
        return new MeshError('storage-failed', 'the log could not be written: input/output error', { next: 'check the disk, then restart the node; it recovers what was synced' })
      })
    },
    setFull: drive.setFull,
    setSyncMs: drive.setSyncMs,
    setSyncFactor: drive.setSyncFactor,
    setStuck: drive.setStuck,
    rot: (random) => rotDisk(platter, random),
    wipe() {
      cut({ log: 0, blobs: 0 })
      limbo = []
      const groups = platter.groups()
      platter.clear()
      init.shelf?.clear()
      return groups
    },
    snapshot: () => platter.copy(init.shelf ?? new Map()),
    restore(copy) {
      cut({ log: 0, blobs: 0 })
      limbo = []
      init.shelf?.clear()
      for (const [digest, bytes] of copy.blobs) init.shelf?.set(digest, bytes)
      return platter.restore(copy)
    },
    corrupt(group, index) {
      const log = platter.logOf(group)
      const former = log?.entries.get(index)
      if (former === undefined) return false
      log?.entries.set(index, { bytes: encodeValue('rotten'), order: former.order, checked: false })
      return true
    },
    lose: (group, index) => void platter.logOf(group)?.entries.delete(index),
    plant: (group, entry) => void platter.logOf(group)?.entries.set(entry.index, { bytes: encodeValue(entry), order: 0, checked: false }),
    plantHead(group, head) {
      const log = platter.logOf(group)
      if (log !== undefined) log.head = head === undefined ? undefined : own(head)
    },
    loseDatabase: platter.loseDatabase,
    spoilWatermark: platter.spoilWatermark,
    onSynced: (listener) => void syncedListeners.push(listener),
    onNextWrite: (listener) => drive.log.onNextStaged(listener),
    groupsStored: () => platter.groups(),
    missionsStored: () => platter.groups().filter(isMissionGroup),
    unsyncedWrites: () => drive.log.waiting(),
    entriesStored: (group) => platter.logOf(group)?.entries.size ?? 0,
  }
}
