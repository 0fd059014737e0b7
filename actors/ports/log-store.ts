import type { MissionId } from '../../protocols/kernel/ids.ts'
import type { LogEntry, LogHead } from '../../protocols/replicated-log/schema.ts'

/** Who asked for what under which idempotency key. */
export interface Claim {
  readonly principal: string
  readonly key: string
  readonly requestDigest: string
  readonly missionId: MissionId
  readonly atWallMs: number
}

/** One atomic write. All of it is on disk (synced) when the promise resolves; none of it, when it rejects. */
export interface LogBatch {
  readonly entries: readonly { readonly missionId: MissionId; readonly entry: LogEntry }[]
  readonly heads: readonly LogHead[]
  readonly claims: readonly Claim[]
}

/** The log of every mission this node keeps. Implementations do not interpret events. */
export interface LogStore {
  /** @throws MeshError `storage-failed`; after that the store must be closed and opened again. */
  write(batch: LogBatch): Promise<void>
  heads(): Promise<readonly LogHead[]>
  /** Entries from `fromIndex` on, in order of index, at most `max`. */
  read(missionId: MissionId, fromIndex: number, max: number): Promise<readonly LogEntry[]>
  claims(): Promise<readonly Claim[]>
  /** Removes a mission's entries and head. */
  remove(missionId: MissionId): Promise<void>
  close(): Promise<void>
}
