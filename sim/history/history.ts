/**
 * What happened in a run, as an omniscient observer wrote it down, in order. The checkers of the promises judge nothing else.
 *
 * A client's operation is invoked, and then ends as `ok`, `fail` (nothing happened) or `unknown` (it may have, or may yet).
 * Entries are recorded when the disk has them for good (synced); runs when a skill really starts and ends.
 */
import type { Bid } from '../../protocols/bidding/schema.ts'
import type { Advert } from '../../protocols/capability/schema.ts'
import type { Fault } from '../../protocols/kernel/errors.ts'
import type { AwardId, CallId, Epoch, GroupId, Incarnation, MissionId, PeerId, TaskId } from '../../protocols/kernel/ids.ts'
import type { Json, Payload } from '../../protocols/kernel/payload.ts'
import type { InstantMs } from '../../protocols/kernel/units.ts'
import type { LogEntry } from '../../protocols/replicated-log/schema.ts'
import type { MissionEvent, MissionOperation } from '../../protocols/tasking/schema.ts'
import type { MissionView } from '../../protocols/tasking/views.ts'
import type { Conduct, FaultKind } from '../scenario/schema.ts'

interface At {
  /** World time. */
  readonly atMs: InstantMs
}

/** One step of a client's operation. `operation` is unique per call. */
export type ClientRecord = At & { readonly operation: number; readonly client: string; readonly node: string } & (
  | { readonly type: 'invoke'; readonly asked: MissionOperation; readonly principal: string; readonly key?: string }
  | { readonly type: 'ok'; readonly answer: Json }
  | { readonly type: 'fail'; readonly fault: Fault }
  | { readonly type: 'unknown'; readonly reason: string }
)

/** A node's life. `started` begins one, with the release's protocol and what its disk still had. */
export type NodeRecord = At & { readonly node: string; readonly peer: PeerId } & (
  | { readonly type: 'started'; readonly life: number; readonly capabilities: readonly string[]; readonly slots: number; readonly conduct?: Conduct['kind']; readonly missionsOnDisk: readonly MissionId[] }
  /** The process is gone: killed, without power, or ended by itself (`reason`). */
  | { readonly type: 'stopped'; readonly how: 'crash' | 'power-cut' | 'left' | 'gave-up'; readonly reason?: string }
  | { readonly type: 'paused' }
  | { readonly type: 'resumed' }
  /** Its copy of one log is not what was promised, and the node says so. */
  | { readonly type: 'damage-told'; readonly group: GroupId; readonly detail: string }
  /** It had a store once, finds nothing of it, and says so. */
  | { readonly type: 'lost-everything-told' }
  /** What it says is committed. */
  | { readonly type: 'committed'; readonly group: GroupId; readonly index: number; readonly chain: string }
  /** It leads this log now. */
  | { readonly type: 'leads'; readonly group: GroupId; readonly epoch: Epoch }
  /** It has handed its copy over: the log has ended, or others keep it. */
  | { readonly type: 'group-left'; readonly group: GroupId }
  /** At the end: the logs that are on its disk. */
  | { readonly type: 'copies'; readonly groups: readonly GroupId[] }
)

export type DiskRecord = At & { readonly node: string; readonly peer: PeerId } & (
  /** `truncateFrom`: what was there from this index on is gone, before the entries were added. */
  | { readonly type: 'synced'; readonly group: GroupId; readonly entries: readonly LogEntry[]; readonly truncateFrom?: number }
  /** What was synced before is not there any more, or not as it was. `lost` says which logs suffered. */
  | { readonly type: 'disk-damaged'; readonly how: FaultKind; readonly lost: readonly GroupId[] }
)

/** A message that reached a live actor system, of the kinds that the checkers judge; or, where it says so, that was sent. */
export type MessageRecord = At & { readonly from: PeerId; readonly to: PeerId } & (
  | { readonly type: 'proposed'; readonly bids: readonly Bid[]; readonly participant: string }
  | { readonly type: 'invoke-heard'; readonly callId: CallId; readonly missionId: MissionId; readonly taskId: TaskId }
  | { readonly type: 'award-heard'; readonly awardId: AwardId; readonly missionId: MissionId; readonly taskId: TaskId; readonly epoch: { readonly lineage: number; readonly term: number }; readonly external: boolean }
  | { readonly type: 'result-heard'; readonly awardId: AwardId; readonly failed: boolean; readonly result?: Payload }
  /** A vote that was granted, or a member's word that it has everything up to there on its disk. */
  | { readonly type: 'vote-said'; readonly group: GroupId; readonly as: Incarnation; readonly epoch: Epoch }
  | { readonly type: 'append-said'; readonly group: GroupId; readonly as: Incarnation; readonly epoch: Epoch; readonly matched: number }
)

export type SkillRecord = At & { readonly node: string; readonly peer: PeerId; readonly runId: string; readonly missionId: MissionId; readonly taskId: TaskId } & (
  | { readonly type: 'run-started'; readonly step: 'run' | 'plan' | 'revise' | 'synthesise'; readonly capability: string; readonly attempt: number; readonly offered: boolean }
  | { readonly type: 'run-ended'; readonly outcome: 'done' | 'failed' | 'stopped' | 'lost'; readonly code?: string; readonly costUsd: number; readonly output?: Payload }
)

/** What one node's watcher of a mission was told. */
export type WatchRecord = At & { readonly type: 'told'; readonly node: string; readonly missionId: MissionId; readonly index: number; readonly event: MissionEvent }

/** Adverts as they left a node, and what others made of them. */
export type AdvertRecord = At & (
  | { readonly type: 'advert-published'; readonly by: PeerId; readonly advert: Advert; readonly honest: boolean }
  /** An advert, rightly signed by a peer that equivocates, reached the directory of a node. Those of other peers are not recorded: they are many. */
  | { readonly type: 'advert-heard'; readonly node: string; readonly of: PeerId; readonly sequence: number; readonly digest: string }
  | { readonly type: 'equivocation-told'; readonly node: string; readonly of: PeerId; readonly sequence: number }
  | { readonly type: 'forgery-told'; readonly node: string; readonly of: PeerId }
)

export type WorldRecord = At & (
  | { readonly type: 'fault'; readonly kind: FaultKind; readonly nodes: readonly string[]; readonly lastsMs: number }
  | { readonly type: 'healed'; readonly kind: FaultKind; readonly nodes: readonly string[] }
  /** From here on nothing goes wrong any more: what must happen, happens by `deadlineMs`. */
  | { readonly type: 'all-healed'; readonly deadlineMs: InstantMs }
  | { readonly type: 'actor-failed'; readonly node: string; readonly actor: string; readonly reason: string }
  /** At the end: what is still kept in queues and mailboxes of a live, honest node. */
  | { readonly type: 'depths'; readonly node: string; readonly mailboxMax: number; readonly waitingCalls: number; readonly deadLetters: number }
)

export type HistoryRecord = ClientRecord | NodeRecord | DiskRecord | MessageRecord | SkillRecord | WatchRecord | AdvertRecord | WorldRecord
export type RecordType = HistoryRecord['type']
export type RecordOf<Type extends RecordType> = Extract<HistoryRecord, { type: Type }>

/** A finished run as the checkers get it. */
export interface History {
  readonly records: readonly HistoryRecord[]
  /** When the run ended, and when everything was healed (undefined: it never was). */
  readonly endMs: InstantMs
  readonly healedMs: InstantMs | undefined
  /** What each mission looks like at the end to whoever owns it; absent: nobody answers for it. */
  readonly views: ReadonlyMap<MissionId, MissionView>
}

/** A broken promise. `detail` says what was found, in a sentence that names the records. */
export interface Violation {
  /** `S7`, `L2`, … */
  readonly promise: string
  readonly detail: string
  readonly atMs: InstantMs
  readonly missionId?: MissionId
}

/** One promise of the design, as a pure function over a history. One file each in `sim/checkers/`. */
export interface Checker {
  readonly promise: string
  /** The promise in one line, for reports. */
  readonly says: string
  check(history: History): Violation[]
}
