/** What a follower does with what a leader sends: Raft's consistency check, by chain; and what becomes of an older lineage. */
import { invariant } from '../kernel/errors.ts'
import { compareEpochs, type Epoch, type Incarnation, type PeerId } from '../kernel/ids.ts'
import type { InstantMs } from '../kernel/units.ts'
import { chainOf } from './chain.ts'
import { campaign } from './raft-election.ts'
import { adopt, follow } from './raft-epochs.ts'
import type { RaftNow } from './raft-io.ts'
import { appendToLog, emptyLog, entryAt, mayCampaign, moveCommit, positionAt, truncateLog } from './raft-log.ts'
import { boxOf, compareWithOurs, sameEpoch, send, type RaftState } from './raft-state.ts'
import type { LogEntry, LogPosition, RaftMessage } from './schema.ts'

type LogAppend = Extract<RaftMessage, { kind: 'log-append' }>
type LeadNow = Extract<RaftMessage, { kind: 'lead-now' }>
/** Of a message of a leader: what its answer needs. */
interface Asked { readonly as: Incarnation; readonly epoch: Epoch; readonly round: number }

/** @returns whether the sender leads, as far as this member knows; an older leader is told that it does not. */
export function acceptLeader(state: RaftState, from: PeerId, asked: Asked, nowMs: InstantMs): boolean {
  const newer = compareWithOurs(state, asked.epoch)
  if (newer < 0) {
    answer(state, from, asked, false, 0)
    return false
  }
  if (newer > 0) adopt(state, asked.epoch, nowMs)
  // Two that lead under one epoch: both were told by hand to take over. Neither follows the other.
  if (state.role === 'leader' || (state.leader !== undefined && state.leader !== from)) return false
  follow(state, from, nowMs)
  return true
}

/** Under the epoch this member is in: an older leader hears that there is a newer one. */
export function answer(state: RaftState, to: PeerId, { as, epoch, round }: Asked, ok: boolean, matched: number): void {
  send(state, to, { kind: 'log-appended', group: state.init.group, as: state.init.incarnation, toward: as, epoch: state.epoch ?? epoch, ok, matched, round }, true)
}

/** Whether a leader's lineage is newer than all we hold: then nothing of ours need be in its log, committed or not. */
export function isForeign(state: RaftState, epoch: Epoch): boolean {
  return state.last.epoch !== undefined && epoch.lineage > state.last.epoch.lineage
}

export function onAppend(state: RaftState, from: PeerId, append: LogAppend, now: RaftNow): void {
  if (!acceptLeader(state, from, append, now.nowMs)) return
  const foreign = isForeign(state, append.epoch)
  let { previous, entries } = append
  if (previous.index < state.base.index) {
    const skipped = state.base.index - previous.index
    const atBase = entries[skipped - 1]
    if (atBase === undefined && !foreign) return answer(state, from, append, true, state.base.index)
    if (atBase?.chain !== state.base.chain) return giveUpLog(state, from, append, foreign, (atBase?.index ?? previous.index + entries.length + 1))
    previous = state.base
    entries = entries.slice(skipped)
  }
  const ours = positionAt(state, previous.index)
  if (ours === undefined) return answer(state, from, append, false, state.last.index)
  if (ours.chain !== previous.chain || !sameEpoch(ours.epoch, previous.epoch)) {
    invariant(foreign || previous.index > state.commit, `${state.init.group}: a leader of ${append.epoch.lineage}.${append.epoch.term} contradicts entry ${previous.index}, which is committed here`)
    if (previous.index <= floorOf(state)) return giveUpLog(state, from, append, foreign, previous.index)
    return answer(state, from, append, false, tryNext(state, previous.index, foreign))
  }
  take(state, from, append, previous, entries, foreign)
}

/** Below this the log is not cut. */
function floorOf(state: RaftState): number {
  return Math.max(state.base.index, state.snapshot?.at.index ?? 0)
}

/** Before the entries of the epoch that is contradicted, all at once (Raft §5.3, end). */
function tryNext(state: RaftState, contradicted: number, foreign: boolean): number {
  const floor = foreign ? floorOf(state) : Math.max(state.base.index, state.commit)
  const { epoch } = positionAt(state, contradicted) as LogPosition
  let index = contradicted - 1
  while (index > floor && sameEpoch(entryAt(state, index)?.epoch, epoch)) index -= 1
  return index
}

/** The logs meet at `previous`: what follows there and not here is added, what differs here goes. */
function take(state: RaftState, from: PeerId, append: LogAppend, previous: LogPosition, entries: readonly LogEntry[], foreign: boolean): void {
  let known = 0
  while (known < entries.length && positionAt(state, previous.index + known + 1)?.chain === entries[known]?.chain) known += 1
  const fresh = entries.slice(known)
  const meet = known === 0 ? previous : (entries[known - 1] as LogEntry)
  // Damaged on its way or in the leader's memory: not answered, and so sent again.
  if (!continues(meet, fresh, append.epoch)) return
  const [first] = fresh
  const ours = first === undefined ? undefined : entryAt(state, first.index)
  if (first !== undefined && ours !== undefined) {
    if (sameEpoch(ours.epoch, first.epoch)) return
    invariant(foreign || first.index > state.commit, `${state.init.group}: a leader of ${append.epoch.lineage}.${append.epoch.term} would overwrite entry ${first.index}, which is committed here`)
    if (first.index <= floorOf(state)) return giveUpLog(state, from, append, foreign, first.index)
    if (foreign) boxOf(state).orphanedFrom = first.index
    truncateLog(state, first.index)
    state.commit = Math.min(state.commit, first.index - 1)
  }
  if (fresh.length > 0) appendToLog(state, fresh)
  const matched = previous.index + entries.length
  moveCommit(state, Math.min(append.commit, matched))
  answer(state, from, append, true, matched)
}

function continues(after: LogPosition, entries: readonly LogEntry[], under: Epoch): boolean {
  let { index, chain, epoch } = after
  for (const entry of entries) {
    index += 1
    chain = chainOf(chain, index, entry.epoch, entry.event)
    if (entry.index !== index || entry.chain !== chain || compareEpochs(entry.epoch, under) > 0) return false
    if (epoch !== undefined && compareEpochs(entry.epoch, epoch) < 0) return false
    epoch = entry.epoch
  }
  return true
}

/** Older lineages are refused and their tails sealed: what cannot be cut is dropped whole, and the new lineage's log is taken from its beginning. */
function giveUpLog(state: RaftState, from: PeerId, asked: Asked, foreign: boolean, differsAt: number): void {
  invariant(foreign, `${state.init.group}: a leader of ${asked.epoch.lineage}.${asked.epoch.term} contradicts entry ${differsAt}, which is folded into a snapshot here`)
  boxOf(state).orphanedFrom = differsAt
  emptyLog(state)
  answer(state, from, asked, false, 0)
}

/** The leader leaves and wants this member to take its place (thesis §3.10). */
export function onLeadNow(state: RaftState, from: PeerId, message: LeadNow, now: RaftNow): void {
  if (compareWithOurs(state, message.epoch) !== 0 || state.role === 'leader' || !mayCampaign(state)) return
  if (state.leader === undefined || state.leader === from) campaign(state, false, true, now)
}
