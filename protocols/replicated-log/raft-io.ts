/** What goes into one member of one replicated log, and what comes out: plain values. */
import type { Fault } from '../kernel/errors.ts'
import type { Epoch, GroupId, Incarnation, PeerId } from '../kernel/ids.ts'
import type { Random } from '../kernel/prng.ts'
import type { DurationMs, InstantMs, WallMs } from '../kernel/units.ts'
import type { Membership } from '../membership/schema.ts'
import type { GroupWrite, LogEntry, LogHead, LogPosition, LogSnapshot, RaftMessage } from './schema.ts'

export type Role = 'follower' | 'candidate' | 'leader'

export interface RaftInit {
  readonly group: GroupId
  readonly self: PeerId
  readonly incarnation: Incarnation
  readonly random: Random
  readonly electionMsMin: DurationMs
  readonly electionMsMax: DurationMs
  readonly lostLeaderMsMax: DurationMs
  /** How long a peer may be silent before it is given up, going by how late it has been heard lately. It only adds to the times of elections. */
  readonly silenceMs?: (peer: PeerId) => DurationMs
  /** A commit that no append has carried is told within this time; default `groupPulseMs`. Where nobody but the leader acts on it, the next append may as well say it. */
  readonly commitToldMs?: DurationMs
  /** So many entries before a snapshot stay, when one that a leader offers shortens this log. */
  readonly snapshotTailEntries: number
  /** False for a witness: it asks for votes later than the others, and hands leadership on as soon as somebody else has caught up. */
  likesToLead: boolean
}

/** What a member knows of a snapshot that it keeps: all but the state. */
export type SnapshotMark = Omit<LogSnapshot, 'state'>

/** What a member starts from: what its disk holds. `entries` are all that are there, in order; those after the snapshot are kept in memory. */
export interface RaftDisk {
  readonly head: LogHead
  readonly snapshot?: SnapshotMark
  readonly entries: readonly LogEntry[]
}

export type RaftInput =
  | { readonly type: 'message'; readonly from: PeerId; readonly message: RaftMessage }
  /** Time has passed: at the latest at `wakeAtMs`. */
  | { readonly type: 'tick' }
  /** The connection to a peer was lost, or came back. A peer counts as connected until this says otherwise. */
  | { readonly type: 'peer'; readonly peer: PeerId; readonly connected: boolean }
  /** A pulse from this peer agreed with what we hold: as a follower, its leader lives; as its leader, it follows. `sentAtMs`: when it was heard; for a leader, when the pulse was sent that it answers. */
  | { readonly type: 'pulse'; readonly peer: PeerId; readonly sentAtMs: InstantMs }
  /** Of a leader's host: entries that continue the log (`extend` of chain.ts), one call at a time. Answered by `settled` with the same tag. */
  | { readonly type: 'append'; readonly tag: string; readonly entries: readonly LogEntry[] }
  /** ReadIndex: answered by `settled` once a majority has confirmed this leader after the question, and everything appended before it is committed. */
  | { readonly type: 'barrier'; readonly tag: string }
  /** Graceful stop: hand leadership to the voter that is furthest. */
  | { readonly type: 'transfer' }
  /** The disk is slow or full: follow for a while, if there is anybody else to lead. `forGood`: like a witness from now on, as its host cannot lead this log. `outrun`: only if a follower has synced what this leader has not yet. */
  | { readonly type: 'step-down'; readonly reason: string; readonly forGood?: boolean; readonly outrun?: boolean }
  /** Everything that was to be persisted up to this number is synced. */
  | { readonly type: 'persisted'; readonly upTo: number }
  /** A snapshot of our own was written (by whoever calls, with `headOf`): the log before `dropBelow` is gone. */
  | { readonly type: 'compacted'; readonly snapshot: SnapshotMark; readonly dropBelow: number }
  /** The state of the snapshot that `install` named was fetched and verified, or could not be. It is written by the `persist` that this step gives. */
  | { readonly type: 'installed'; readonly ok: boolean }
  /** By hand: go on alone under the next lineage. */
  | { readonly type: 'take-over' }

/**
 * The persistence a step asks for, with the fields of a `GroupWrite` in its order. Numbers grow by one. They are written in their
 * order, any number of them at once; outputs with `after` wait until the write of that number is synced.
 */
export interface RaftPersist extends GroupWrite {
  readonly number: number
}

export interface RaftSend {
  readonly to: PeerId
  readonly message: RaftMessage
  /** Not before the write of this number is synced; 0 at once. */
  readonly after: number
}

/** Valid until the next step of the same member: a step with nothing to say gives the same object again. */
export interface RaftOutputs {
  readonly persist: RaftPersist | undefined
  readonly send: readonly RaftSend[]
  /** Answers to `append` and `barrier`. */
  readonly settled: readonly { readonly tag: string; readonly fault?: Fault }[]
  /** The commit index has moved: it was `from` and is `to`. */
  readonly committed: { readonly from: number; readonly to: number } | undefined
  /**
   * `leads`: it leads under this epoch from now on, and has appended `took-over` (when founding: `members`), the entry at `openedAt`.
   * `follows`: it leads no more; whatever was not settled is settled with `fenced`.
   */
  readonly role: { readonly became: 'leads'; readonly epoch: Epoch; readonly openedAt: number } | { readonly became: 'follows' } | undefined
  /** The leader, when it has changed; undefined inside: nobody is known. */
  readonly leader: { readonly peer: PeerId | undefined } | undefined
  /** A peer is to be sent our snapshot: the keeper loads its state, calls `installFor` and sends what that gives. */
  readonly needsSnapshot: readonly PeerId[]
  /** A snapshot has come: its state is to be fetched; answered by `installed`. There is never more than one at a time. */
  readonly install: { readonly from: PeerId; readonly snapshot: LogSnapshot } | undefined
  /**
   * `answers-as-another`: a member answers under another incarnation than the log knows, its copy was lost.
   * `lost-what-it-held`: a member has less than it had acknowledged under the same name: it must give its copy up, and join as another.
   * `means-another`: the sender means an incarnation that is not (or no more) ours: it should be told.
   */
  readonly strangers: readonly { readonly peer: PeerId; readonly why: 'answers-as-another' | 'means-another' | 'lost-what-it-held' }[]
  /** A newer lineage has other entries from here on: what this member had there, committed or not, was given up. */
  readonly orphanedFrom: number | undefined
  /** When to call with `tick` at the latest; Infinity: never. */
  readonly wakeAtMs: InstantMs
}

/** What may be asked of a member at any time. */
export interface RaftView {
  readonly role: Role
  readonly epoch: Epoch | undefined
  readonly leader: PeerId | undefined
  readonly last: LogPosition
  readonly commit: number
  readonly membership: Membership | undefined
  /** Where the membership in force was appended: it is committed when `commit` is not below. */
  readonly membershipIndex: number
  readonly snapshot: SnapshotMark | undefined
  /** The entry before the first one kept in memory. */
  readonly base: LogPosition
  /** When a follower's patience with its leader ends. */
  readonly electionAtMs: InstantMs
  /** Of a leader: how far each member is, and when it was heard last. */
  readonly followers: ReadonlyMap<PeerId, { readonly matched: number; readonly heardAtMs: InstantMs }>
}

export interface RaftNow {
  readonly nowMs: InstantMs
  readonly wallMs: WallMs
}
