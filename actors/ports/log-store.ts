import type { Fault } from '../../protocols/kernel/errors.ts'
import type { GroupId, Incarnation, MissionId } from '../../protocols/kernel/ids.ts'
import type { WallMs } from '../../protocols/kernel/units.ts'
import type { EndedMission, FormerCopy, GroupWrite, LogEntry, LogHead, LogSnapshot } from '../../protocols/replicated-log/schema.ts'

export type { GroupWrite } from '../../protocols/replicated-log/schema.ts'

/** One atomic write. All of it is on disk (synced) when the promise resolves, and in the watermark outside; none of it, when it rejects. */
export interface LogBatch {
  readonly writes: readonly GroupWrite[]
  /** Missions that have ended: their group's log goes, this record stays. */
  readonly ended?: readonly EndedMission[]
  /** Groups and records of which nothing stays. None that is written at once. */
  readonly removed?: readonly GroupId[]
  /** Instead of what was remembered of the same groups. Those whose time is over by then may be forgotten. */
  readonly former?: readonly FormerCopy[]
}

/** A group as it was found when the store was opened. */
export interface GroupOnDisk {
  readonly head: LogHead
  readonly snapshot?: LogSnapshot
  /** All that are there, in order: what the head says, unless the copy is damaged. */
  readonly entries: readonly LogEntry[]
  /**
   * The copy is not what was promised: entries at or below the watermark are missing or altered, or the database is behind it.
   * The head is then the newest known of both. What was written above the watermark and torn was dropped, and is no damage.
   */
  readonly damage?: Fault
}

/** What opening the store found. */
export interface StoreOnDisk {
  /** Of this store: a new one for a new directory. */
  readonly incarnation: Incarnation
  /** True when there was a store before and everything in it is gone: whoever kept the watermark says so. */
  readonly lostEverything: boolean
  readonly groups: readonly GroupOnDisk[]
}

/** Room on the disk, as the store sees it. `low`: new missions are refused; `full`: writes fail, what was reserved has been given up. */
export type DiskRoom = 'enough' | 'low' | 'full'

/** The logs of the groups of this node. Implementations do not interpret events. */
export interface LogStore {
  /** What was found, verified: the chain of every live group against its watermark. Archives are not looked at. */
  found(): Promise<StoreOnDisk>
  /** @throws MeshError `storage-failed`; after that the store must be closed and opened again. */
  write(batch: LogBatch): Promise<void>
  /** Entries from `fromIndex` on, in order of index, at most `max`. @throws MeshError `storage-failed` for what cannot be read back. */
  read(group: GroupId, fromIndex: number, max: number): Promise<readonly LogEntry[]>
  /** Archived missions that ended before an instant, the newest first, at most `max`. */
  ended(beforeWallMs: WallMs, max: number): Promise<readonly EndedMission[]>
  endedMission(missionId: MissionId): Promise<EndedMission | undefined>
  /** Those to be forgotten by then, at most `max`. */
  endedUntil(keptUntilWallMs: WallMs, max: number): Promise<readonly EndedMission[]>
  formerCopy(group: GroupId): Promise<FormerCopy | undefined>
  room(): Promise<DiskRoom>
  close(): Promise<void>
}
