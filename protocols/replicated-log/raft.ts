/**
 * One member of one replicated log: Raft (Ongaro & Ousterhout 2014; Ongaro's thesis for pre-vote, leadership transfer,
 * joint consensus, learners and ReadIndex), as a machine that does nothing itself. See SPEC.md.
 */
import type { Fault } from '../kernel/errors.ts'
import type { Epoch, GroupId, Incarnation, PeerId } from '../kernel/ids.ts'
import type { Random } from '../kernel/prng.ts'
import type { DurationMs, InstantMs, WallMs } from '../kernel/units.ts'
import type { Membership } from '../membership/schema.ts'
import type { LogEntry, LogHead, LogPosition, LogRecord, LogSnapshot, RaftMessage } from './schema.ts'

export type Role = 'follower' | 'candidate' | 'leader'

export interface RaftInit {
  readonly group: GroupId
  readonly self: PeerId
  readonly incarnation: Incarnation
  readonly random: Random
  readonly electionMsMin: DurationMs
  readonly electionMsMax: DurationMs
  readonly lostLeaderMsMax: DurationMs
  /** False for a witness: it asks for votes later than the others, and hands leadership on as soon as somebody else has caught up. */
  readonly likesToLead: boolean
}

/** What a member starts from: what its disk holds. `entries` are all that are there, in order; those after the snapshot are kept in memory. */
export interface RaftDisk {
  readonly head: LogHead
  readonly snapshot?: Omit<LogSnapshot, 'state'>
  readonly entries: readonly LogEntry[]
}

export type RaftInput =
  | { readonly type: 'message'; readonly from: PeerId; readonly message: RaftMessage }
  /** Time has passed: at the latest at `wakeAtMs`. */
  | { readonly type: 'tick' }
  /** The connection to a peer was lost, or came back. */
  | { readonly type: 'peer'; readonly peer: PeerId; readonly connected: boolean }
  /** A pulse from this peer agreed with what we hold: as a follower, its leader lives; as its leader, it follows. `sentAtMs`: when the pulse that it answers was sent (leaders only). */
  | { readonly type: 'pulse'; readonly peer: PeerId; readonly sentAtMs: InstantMs }
  /** Of a leader's host: entries that continue the log (`extend` of chain.ts), one call at a time. Answered by `settled` with the same tag. */
  | { readonly type: 'append'; readonly tag: string; readonly entries: readonly LogEntry[] }
  /** ReadIndex: answered by `settled` once a majority has confirmed this leader after the question, and everything appended before it is committed. */
  | { readonly type: 'barrier'; readonly tag: string }
  /** Graceful stop: hand leadership to the voter that is furthest. */
  | { readonly type: 'transfer' }
  /** The disk is slow or full: follow for a while, if there is anybody else to lead. */
  | { readonly type: 'step-down'; readonly reason: string }
  /** Everything that was to be persisted up to this number is synced. */
  | { readonly type: 'persisted'; readonly upTo: number }
  /** A snapshot of our own was written: the log before `dropBelow` is gone. */
  | { readonly type: 'compacted'; readonly snapshot: Omit<LogSnapshot, 'state'>; readonly dropBelow: number }
  /** The snapshot that a `log-install` brought is on this disk (its state fetched and verified), or could not be fetched. */
  | { readonly type: 'installed'; readonly ok: boolean }
  /** By hand: go on alone under the next lineage. */
  | { readonly type: 'take-over' }

/** The persistence a step asks for. Outputs with `after` wait until the write of this number is synced. */
export interface RaftPersist {
  readonly number: number
  readonly head: LogHead
  readonly truncateFrom?: number
  readonly entries: readonly LogEntry[]
  /** Replaces everything: the snapshot of a `log-install`. */
  readonly snapshot?: LogSnapshot
}

export interface RaftOutputs {
  readonly persist: RaftPersist | undefined
  /** `after`: not before the write of this number is synced; 0 at once. */
  readonly send: readonly { readonly to: PeerId; readonly message: RaftMessage; readonly after: number }[]
  /** Answers to `append` and `barrier`. */
  readonly settled: readonly { readonly tag: string; readonly fault?: Fault }[]
  /** The commit index has moved: it was `from` and is `to`. */
  readonly committed: { readonly from: number; readonly to: number } | undefined
  /**
   * `leads`: it leads under this epoch from now on, and has appended `took-over`, the entry at `openedAt`.
   * `follows`: it leads no more; whatever was not settled is settled with `fenced`.
   */
  readonly role: { readonly became: 'leads'; readonly epoch: Epoch; readonly openedAt: number } | { readonly became: 'follows' } | undefined
  /** The leader, when it is known and has changed; undefined inside: nobody is known. */
  readonly leader: { readonly peer: PeerId | undefined } | undefined
  /** A peer is to be sent our snapshot: the keeper loads its state and calls `installFor`. */
  readonly needsSnapshot: readonly PeerId[]
  /** A snapshot has come: its state is to be fetched and written; answered by `installed`. */
  readonly install: { readonly from: PeerId; readonly snapshot: LogSnapshot } | undefined
  /** A member answers under another incarnation than the log knows: its copy was lost. */
  readonly strangers: readonly { readonly peer: PeerId }[]
  /** When to call with `tick` at the latest; Infinity: never. */
  readonly wakeAtMs: InstantMs
}

/** What may be asked of a member at any time. */
export interface RaftView {
  readonly role: Role
  readonly epoch: Epoch
  readonly leader: PeerId | undefined
  readonly last: LogPosition
  readonly commit: number
  readonly membership: Membership | undefined
  /** Of a leader: how far each member is, and when it was heard last. */
  readonly followers: ReadonlyMap<PeerId, { readonly matched: number; readonly heardAtMs: InstantMs }>
}

export interface RaftNow {
  readonly nowMs: InstantMs
  readonly wallMs: WallMs
}

// To be exported from here: 
//   foundGroup(init, membership, now): { state, outputs }   the only member that can found it; leads at once under (1, 1); entry 1 is `members`, no `took-over`
//   joinGroup(init): RaftState                              an empty copy, for a member that was just heard of
//   openRaft(init, disk, now): RaftState                    after a restart: a follower, its election timer freshly drawn
//   stepRaft(state, input, now): RaftOutputs
//   viewOf(state): RaftView       entriesOf(state, fromIndex): readonly LogEntry[]     installFor(state, peer, snapshot): RaftMessage | undefined
