/** What one member of a log holds, and the outbox that its current step fills. Owned and changed by the machine alone. */
import { invariant, type Fault } from '../kernel/errors.ts'
import { compareEpochs, type Epoch, type Incarnation, type PeerId } from '../kernel/ids.ts'
import type { DurationMs, InstantMs } from '../kernel/units.ts'
import type { Member, Membership } from '../membership/schema.ts'
import { logOrigin } from './chain.ts'
import type { RaftInit, RaftOutputs, Role, SnapshotMark } from './raft-io.ts'
import type { LogEntry, LogHead, LogPosition, LogSnapshot, RaftMessage } from './schema.ts'

/** How far a leader has come with one member (thesis §10.2.1: pipelined after the first match). */
export interface Follower {
  readonly incarnation: Incarnation
  /** The next entry to send. */
  next: number
  matched: number
  /** What was sent after this round was sent to somebody who had said that it matches up to there. */
  acknowledgedAtRound: number
  /** One append at a time, until it is known where the logs meet. */
  probing: boolean
  /** The rounds of the appends that were not answered. */
  inFlight: number[]
  /** Refusals of earlier rounds are about what was given up since. */
  sinceRound: number
  waitingSinceMs: InstantMs
  heardAtMs: InstantMs
  /** It followed us still when it answered this round. */
  answeredRound: number
  /** The same, of the pulse sent then. */
  answeredPulseMs: InstantMs
  commitSent: number
  /** An append is worth sending even when it is empty. */
  owed: boolean
  /** It waits for our snapshot. */
  installing: boolean
  /** The end of the newest snapshot that was offered to it, to shorten its log by or because it lacked that. */
  offered: number
}

/** Questions that one round of answers settles. */
export interface Reads {
  readonly round: number
  askedAtMs: InstantMs
  index: number
  readonly tags: string[]
}

export interface Leading {
  readonly openedAt: number
  readonly followers: Map<PeerId, Follower>
  round: number
  appends: { readonly tag: string; readonly index: number }[]
  reads: Reads[]
  /** Everybody was asked after this round; -1: no question is out. */
  readRound: number
  /** Something happened that may move the commit index. */
  moved: boolean
  commitDueAtMs: InstantMs
  /** Whether a majority follows is looked at then. */
  checkAtMs: InstantMs
  transfer: { readonly target: PeerId; readonly index: number; readonly untilMs: InstantMs; told: boolean } | undefined
  /** Came while the target of a transfer was already told to ask for votes: it could not be elected without the entries. Questions (no entries) wait behind them. */
  held: { readonly tag: string; readonly entries: readonly LogEntry[] | undefined }[]
  /** Of one that would rather not lead: not before. */
  handOnAtMs: InstantMs
}

export interface Campaign {
  readonly pre: boolean
  readonly epoch: Epoch
  readonly granted: Set<PeerId>
}

/** What the current step says; absent while it has said nothing. */
export interface Outbox {
  dirty: boolean
  newEpoch: boolean
  wipe: boolean
  snapshot: LogSnapshot | undefined
  dropBelow: number | undefined
  truncateFrom: number | undefined
  entries: LogEntry[]
  send: { readonly to: PeerId; readonly message: RaftMessage; readonly promises: boolean }[]
  settled: { tag: string; fault?: Fault }[]
  committed: RaftOutputs['committed']
  role: RaftOutputs['role']
  needsSnapshot: PeerId[]
  install: RaftOutputs['install']
  strangers: { peer: PeerId; why: 'answers-as-another' | 'means-another' | 'lost-what-it-held' }[]
  orphanedFrom: number | undefined
}

export interface RaftState {
  readonly init: RaftInit
  role: Role
  epoch: Epoch | undefined
  votedFor: PeerId | undefined
  leader: PeerId | undefined
  leaderTold: PeerId | undefined
  // ---- the log
  snapshot: SnapshotMark | undefined
  base: LogPosition
  entries: LogEntry[]
  last: LogPosition
  commit: number
  membership: Membership | undefined
  membershipIndex: number
  // ---- its disk
  persistNumber: number
  synced: number
  /** The write that recorded the epoch. */
  epochPersist: number
  syncedIndex: number
  unsynced: { readonly number: number; index: number }[]
  // ---- time and connections
  electionAtMs: InstantMs
  heardLeaderAtMs: InstantMs
  /** The connection to the leader is gone; the tries that need not wait for silence. */
  leaderLost: boolean
  hurriedTries: number
  readonly disconnected: Set<PeerId>
  // ---- what it is doing
  campaign: Campaign | undefined
  leading: Leading | undefined
  installing: { readonly from: PeerId; readonly as: Incarnation; readonly epoch: Epoch; readonly snapshot: LogSnapshot; round: number } | undefined
  box: Outbox | undefined
  readonly quiet: { -readonly [Field in keyof RaftOutputs]: RaftOutputs[Field] }
}

const nothing: readonly never[] = Object.freeze([])

export function emptyState(init: RaftInit): RaftState {
  return {
    init, role: 'follower', epoch: undefined, votedFor: undefined, leader: undefined, leaderTold: undefined,
    snapshot: undefined, base: logOrigin, entries: [], last: logOrigin, commit: 0, membership: undefined, membershipIndex: 0,
    persistNumber: 0, synced: 0, epochPersist: 0, syncedIndex: 0, unsynced: [],
    electionAtMs: Number.POSITIVE_INFINITY, heardLeaderAtMs: Number.NEGATIVE_INFINITY, leaderLost: false, hurriedTries: 0, disconnected: new Set(),
    campaign: undefined, leading: undefined, installing: undefined, box: undefined,
    quiet: { persist: undefined, send: nothing, settled: nothing, committed: undefined, role: undefined, leader: undefined, needsSnapshot: nothing, install: undefined, strangers: nothing, orphanedFrom: undefined, wakeAtMs: Number.POSITIVE_INFINITY },
  }
}

export function headOf(state: RaftState): LogHead {
  const { epoch, votedFor, membership } = state
  return {
    group: state.init.group, incarnation: state.init.incarnation, last: state.last, commit: state.commit,
    ...(epoch === undefined ? {} : { epoch }), ...(votedFor === undefined ? {} : { votedFor }), ...(membership === undefined ? {} : { membership }),
  }
}

// ---- itself ---------------------------------------------------------------------------------------------------------

export function selfOf(state: RaftState): Member {
  return { peer: state.init.self, incarnation: state.init.incarnation }
}

/** Negative, zero or positive as an epoch is older than, the same as or newer than the newest one heard of. */
export function compareWithOurs(state: RaftState, epoch: Epoch): number {
  return state.epoch === undefined ? 1 : compareEpochs(epoch, state.epoch)
}

export function sameEpoch(left: Epoch | undefined, right: Epoch | undefined): boolean {
  return left === undefined || right === undefined ? left === right : compareEpochs(left, right) === 0
}

/** How long its leader may be silent for a follower: a time that is drawn, or longer when that leader is often heard late. */
export function drawSilence(state: RaftState): DurationMs {
  return Math.max(drawElection(state), state.leader === undefined ? 0 : (state.init.silenceMs?.(state.leader) ?? 0))
}

/** A time to wait before asking for votes: one that would rather not lead waits twice as long. */
export function drawElection(state: RaftState): DurationMs {
  const { electionMsMin, electionMsMax, random, likesToLead } = state.init
  return (electionMsMin + random.below(electionMsMax - electionMsMin + 1)) * (likesToLead ? 1 : 2)
}

/** A newer epoch: whatever this member did in the one before is over. */
export function recordEpoch(state: RaftState, epoch: Epoch, votedFor: PeerId | undefined): void {
  const box = boxOf(state)
  box.dirty = true
  box.newEpoch = true
  state.epoch = epoch
  state.votedFor = votedFor
}

// ---- the outbox -----------------------------------------------------------------------------------------------------

export function boxOf(state: RaftState): Outbox {
  state.box ??= {
    dirty: false, newEpoch: false, wipe: false, snapshot: undefined, dropBelow: undefined, truncateFrom: undefined, entries: [], send: [], settled: [],
    committed: undefined, role: undefined, needsSnapshot: [], install: undefined, strangers: [], orphanedFrom: undefined,
  }
  return state.box
}

/** A message that promises something (a vote, a match) leaves after everything before it is synced; any other after its epoch is. */
export function send(state: RaftState, to: PeerId, message: RaftMessage, promises: boolean): void {
  boxOf(state).send.push({ to, message, promises })
}

/** Ends a step: what it said, as outputs. */
export function emptyBox(state: RaftState, wakeAtMs: InstantMs): RaftOutputs {
  const { box, quiet } = state
  const leader = state.leader === state.leaderTold ? undefined : { peer: state.leader }
  if (box === undefined && leader === undefined) {
    quiet.wakeAtMs = wakeAtMs
    return quiet
  }
  state.leaderTold = state.leader
  state.box = undefined
  if (box === undefined) return { ...quiet, leader, wakeAtMs }
  if (box.dirty) {
    state.persistNumber += 1
    state.unsynced.push({ number: state.persistNumber, index: state.last.index })
    if (box.newEpoch) state.epochPersist = state.persistNumber
  }
  const afterAll = state.persistNumber > state.synced ? state.persistNumber : 0
  const afterEpoch = state.epochPersist > state.synced ? state.epochPersist : 0
  return {
    persist: box.dirty
      ? {
          number: state.persistNumber, head: headOf(state), entries: box.entries,
          ...(box.wipe ? { wipe: true } : {}), ...(box.snapshot === undefined ? {} : { snapshot: box.snapshot }),
          ...(box.dropBelow === undefined ? {} : { dropBelow: box.dropBelow }), ...(box.truncateFrom === undefined || box.wipe ? {} : { truncateFrom: box.truncateFrom }),
        }
      : undefined,
    send: box.send.map(({ to, message, promises }) => ({ to, message, after: promises ? afterAll : afterEpoch })),
    settled: box.settled, committed: box.committed, role: box.role, leader, needsSnapshot: box.needsSnapshot, install: box.install,
    strangers: box.strangers, orphanedFrom: box.orphanedFrom, wakeAtMs,
  }
}

/** Everything up to a write is on the disk. */
export function noteSynced(state: RaftState, upTo: number): void {
  invariant(upTo <= state.persistNumber, 'only what was given to be persisted is synced')
  state.synced = Math.max(state.synced, upTo)
  while (state.unsynced[0] !== undefined && state.unsynced[0].number <= upTo) state.syncedIndex = (state.unsynced.shift() as { index: number }).index
  if (state.leading !== undefined) state.leading.moved = true
}
