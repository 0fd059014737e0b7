/** Replicated logs: hash-chained entries under an epoch, what a disk keeps of them, and what their members say to each other. */
import { z } from 'zod'
import { Digest, Epoch, GroupId, Incarnation, MissionId, PeerId } from '../kernel/ids.ts'
import { limits } from '../kernel/limits.ts'
import { BlobRef, Payload } from '../kernel/payload.ts'
import { Membership, RegistrarEvent, RosterEvent } from '../membership/schema.ts'
import { MissionEvent } from '../tasking/schema.ts'

/** What an entry may hold. Which of them belong in which group is for its host to judge. */
export const LogRecord = z.discriminatedUnion('type', [...MissionEvent.options, ...RosterEvent.options, ...RegistrarEvent.options])
export type LogRecord = z.infer<typeof LogRecord>

export const Chain = z.string().length(64)

export const LogEntry = z.object({
  index: z.number().int().min(1),
  epoch: Epoch,
  event: LogRecord,
  /** SHA-256 over the previous entry's chain and this entry's bytes. */
  chain: Chain,
})
export type LogEntry = z.infer<typeof LogEntry>

/** A place in a log: two logs that have the same one are equal up to there. `index` 0 is the beginning. */
export const LogPosition = z.object({ index: z.number().int().min(0), epoch: Epoch.optional(), chain: Chain })
export type LogPosition = z.infer<typeof LogPosition>

/** Everything up to a position, folded. `state` is of the group's own kind, in the shape that `version` names. */
export const LogSnapshot = z.object({ at: LogPosition, membership: Membership, version: z.number().int().min(1), state: Payload })
export type LogSnapshot = z.infer<typeof LogSnapshot>

/**
 * What is kept beside a log, written with it: its head (the watermark), and what was promised to others.
 * The newest one of every group is kept a second time outside the log's own files.
 */
export const LogHead = z.object({
  group: GroupId,
  /** This node's own: another one once its copy was lost. */
  incarnation: Incarnation,
  /** The newest epoch heard of, and whom this member voted for in it. */
  epoch: Epoch.optional(),
  votedFor: PeerId.optional(),
  last: LogPosition,
  /** Known to be committed; the truth may be more. */
  commit: z.number().int().min(0),
  /** The newest in the log, committed or not; absent in a copy that has heard of none yet. */
  membership: Membership.optional(),
})
export type LogHead = z.infer<typeof LogHead>

/** What a node keeps of a mission that has ended: what lists show, and where everything about it is. */
export const EndedMission = z.object({
  missionId: MissionId,
  endedAtWallMs: z.number(),
  /** Then the record goes, and with it the archive and what only that cites. */
  keptUntilWallMs: z.number(),
  /** Everything about the mission: inline when it is small, else a blob on the disk of every member. */
  archive: Payload,
  /** Blobs that the archive cites: the results' and inputs'. */
  cites: z.array(Digest).max(limits.archiveCitesMax),
  members: z.array(PeerId).max(limits.votersMax + limits.learnersMax),
  /** The mission as a list shows it (`MissionView`). */
  view: z.unknown(),
  /** Its dead letters, as a list shows them (`DeadView`). */
  dead: z.array(z.unknown()).max(limits.deadLettersKept).optional(),
})
export type EndedMission = z.infer<typeof EndedMission>

/**
 * What stays of a copy that a node gave up: who has promised something, and has forgotten it, does not vote again under the same
 * name, or a founder that was away for long could be elected with a log that the others have long gone past.
 */
export const FormerCopy = z.object({
  group: GroupId,
  /** What a new copy here is to be called; absent: the log has ended, and there is no new one, or there was none and never will be (`sealed`), or it goes on as it was (`voted`). */
  next: Incarnation.optional(),
  /** As this member it has nothing of the log, and has promised to have nothing ever while this founder's may be the only copy. `head`: for whom it had voted. */
  sealed: z.object({ as: Incarnation, founder: PeerId, head: LogHead.optional() }).optional(),
  /** As this member it has nothing of the log, but has voted: it is the same member as soon as somebody speaks of the log again. */
  voted: z.object({ as: Incarnation, head: LogHead }).optional(),
  sinceWallMs: z.number(),
  untilWallMs: z.number(),
})
export type FormerCopy = z.infer<typeof FormerCopy>

/** Changes of one group, applied in the order of the fields. */
export interface GroupWrite {
  /** The head after the changes. */
  readonly head: LogHead
  /** Forget the copy first: entries, snapshot, everything. */
  readonly wipe?: boolean
  /** Replaces an older snapshot. Entries below its position may stay until `dropBelow`. */
  readonly snapshot?: LogSnapshot
  /** Removes the entries before this index. */
  readonly dropBelow?: number
  /** Removes the entries from this index on: a newer leader has others. */
  readonly truncateFrom?: number
  /** In order, following what is there then. */
  readonly entries: readonly LogEntry[]
}

// ---- between members ------------------------------------------------------------------------------------------------

/** `as` is who the sender believes to be in this group, `toward` whom it means: a message to an earlier life is not for this one. */
const between = { group: GroupId, as: Incarnation, toward: Incarnation, epoch: Epoch }

/** `pre`: would you vote for me? Nothing is promised. `transfer`: the leader itself asked for this election. */
export const VoteAsk = z.object({ kind: z.literal('vote-ask'), ...between, pre: z.boolean(), transfer: z.boolean(), last: LogPosition })
export const Vote = z.object({ kind: z.literal('vote'), ...between, pre: z.boolean(), granted: z.boolean() })
/** `round` grows with every append of a leader: an answer to it proves that it still led when it sent that. */
export const LogAppend = z.object({ kind: z.literal('log-append'), ...between, previous: LogPosition, entries: z.array(LogEntry).max(limits.appendEntriesMax), commit: z.number().int().min(0), round: z.number().int().min(0) })
/** `matched`: everything up to there is on the sender's disk and the leader's. When refused: where to try next. */
export const LogAppended = z.object({ kind: z.literal('log-appended'), ...between, ok: z.boolean(), matched: z.number().int().min(0), round: z.number().int().min(0) })
/** For a member that is behind the oldest entry kept. Answered by `log-appended`. */
export const LogInstall = z.object({ kind: z.literal('log-install'), ...between, snapshot: LogSnapshot, round: z.number().int().min(0) })
/** The leader leaves: whoever hears this asks for votes at once. */
export const LeadNow = z.object({ kind: z.literal('lead-now'), ...between })

/** Between two nodes, for all groups that the sender leads and the receiver is in: their number and a digest of (group, epoch). */
export const GroupPulse = z.object({ kind: z.literal('group-pulse'), beat: z.number().int().min(0), groups: z.number().int().min(0), digest: z.number().int().min(0) })
/** `agrees`: the receiver counts the same groups, but for those that `differ`; otherwise it is sent `group-terms`. */
export const GroupPulseHeard = z.object({ kind: z.literal('group-pulse-heard'), beat: z.number().int().min(0), agrees: z.boolean(), differ: z.array(GroupId).max(limits.groupTermsMax) })
/** The groups one by one, for a member whose digest differed. Answered by `group-pulse-heard` with those that differ, which are then sent what they lack. */
export const GroupTerms = z.object({ kind: z.literal('group-terms'), beat: z.number().int().min(0), groups: z.array(z.object({ group: GroupId, epoch: Epoch })).max(limits.groupTermsMax) })
/** The receiver's copy is not (or no more) a member's: the incarnation it is under now, so that the leader can make it one. */
export const OtherIncarnation = z.object({ kind: z.literal('other-incarnation'), group: GroupId, incarnation: Incarnation })
/** From a group's leader: the receiver has less than it had acknowledged, as a disk does that was put back to an older copy. It gives its copy up. */
export const CopyLost = z.object({ kind: z.literal('copy-lost'), group: GroupId, toward: Incarnation })
/** The group has ended, and is in this archive: nobody votes there any more. */
export const GroupEnded = z.object({ kind: z.literal('group-ended'), group: GroupId, ended: EndedMission })

/** To a node whose copy can go: from the group's leader, as it is no member any more, or from whoever remembers that the group ended and has forgotten the archive. */
export const GroupLeft = z.object({ kind: z.literal('group-left'), group: GroupId })
/** From a member that has heard of no leader for long. Answered by `group-ended` if it has ended, by `group-left` if the asker was replaced. */
export const GroupAsk = z.object({ kind: z.literal('group-ask'), group: GroupId })

/**
 * Have you nothing of this mission's log, and will you never? `toward` is the life in which the receiver was claimed for it, `founder`
 * who was to found it and cannot be reached. Once all the others have sealed it nothing of it can ever be committed.
 */
export const SealAsk = z.object({ kind: z.literal('seal-ask'), group: MissionId, founder: PeerId, toward: Incarnation })
/** Also the answer of a member that has sealed a log to whatever is said of it. True once that is on its disk; false: it has, or had, a copy. */
export const Sealed = z.object({ kind: z.literal('sealed'), group: MissionId, as: Incarnation, sealed: z.boolean() })

/** The leader asks a voter to put blobs on its disk. Answered by `blobs-held`. */
export const HoldBlobs = z.object({ kind: z.literal('hold-blobs'), requestId: z.string().max(64), refs: z.array(BlobRef).max(limits.blobsHeldAtOnceMax) })
export const BlobsHeld = z.object({ kind: z.literal('blobs-held'), requestId: z.string().max(64), ok: z.boolean() })

/** What one group's members say to each other: the Raft machine's own messages. */
export const raftMessages = [VoteAsk, Vote, LogAppend, LogAppended, LogInstall, LeadNow] as const
export const RaftMessage = z.discriminatedUnion('kind', [...raftMessages])
export type RaftMessage = z.infer<typeof RaftMessage>

export const replicatedLogMessages = [...raftMessages, GroupPulse, GroupPulseHeard, GroupTerms, OtherIncarnation, CopyLost, GroupEnded, GroupLeft, GroupAsk, SealAsk, Sealed, HoldBlobs, BlobsHeld] as const
