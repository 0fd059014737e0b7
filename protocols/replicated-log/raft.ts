/**
 * One member of one replicated log: Raft (Ongaro & Ousterhout 2014; Ongaro's thesis for pre-vote, leadership transfer,
 * joint consensus, learners and ReadIndex), as a machine that does nothing itself. See SPEC.md.
 *
 *     const { state, outputs } = foundGroup(init, membership, now)
 *     stepRaft(state, { type: 'message', from, message }, now)     // → what to persist, what to send after it, when to come back
 *
 * The state belongs to the machine: callers read it through `viewOf`, `entriesOf` and `headOf`.
 *
 * @packageDocumentation
 */
import { invariant } from '../kernel/errors.ts'
import { compareEpochs, type Epoch, type PeerId } from '../kernel/ids.ts'
import type { InstantMs } from '../kernel/units.ts'
import type { Membership } from '../membership/schema.ts'
import { logOrigin, positionOf } from './chain.ts'
import { askForVotes, leadAlone, loseLeader, onVote, onVoteAsk } from './raft-election.ts'
import { stopLeading } from './raft-epochs.ts'
import { onAppend, onLeadNow } from './raft-following.ts'
import type { RaftDisk, RaftInit, RaftInput, RaftNow, RaftOutputs, RaftView } from './raft-io.ts'
import { attend, leaderWakesAt, onHostAppend, openEpoch, stepDown, transfer } from './raft-leading.ts'
import { readMembership } from './raft-log.ts'
import { agreed, decides } from './raft-quorum.ts'
import { onBarrier } from './raft-reads.ts'
import { onAppended, onConnection } from './raft-replication.ts'
import { onCompacted, onInstall, onInstalled } from './raft-snapshots.ts'
import { boxOf, drawElection, drawSilence, emptyBox, emptyState, noteSynced, recordEpoch, selfOf, type RaftState } from './raft-state.ts'
import type { LogEntry, RaftMessage } from './schema.ts'

export type * from './raft-io.ts'
export type { RaftState } from './raft-state.ts'
export { headOf } from './raft-state.ts'
export { installFor } from './raft-replication.ts'

/** The only member that can: it leads at once under (1, 1), and entry 1 says who the members are. */
export function foundGroup(init: RaftInit, membership: Membership, now: RaftNow): { state: RaftState; outputs: RaftOutputs } {
  const state = emptyState(init)
  invariant(decides(membership, selfOf(state)), 'whoever founds a group is a voter of it')
  recordEpoch(state, { lineage: 1, term: 1 }, init.self)
  openEpoch(state, [{ type: 'members', atWallMs: now.wallMs, membership }], now)
  return { state, outputs: finish(state, now) }
}

/** An empty copy, for a member that was just heard of: it votes, takes what a leader sends, and never asks for votes before. */
export function joinGroup(init: RaftInit): RaftState {
  return emptyState(init)
}

/** After a restart: a follower of nobody yet. One that is the only voter elects itself at its first tick, and leads once that is synced. */
export function openRaft(init: RaftInit, { head, snapshot, entries }: RaftDisk, { nowMs }: RaftNow): RaftState {
  const state = emptyState(init)
  const [first] = entries
  state.snapshot = snapshot
  const end = snapshot?.at ?? logOrigin
  if (first === undefined || first.index === end.index + 1) {
    state.base = end
    state.entries = [...entries]
  } else {
    // The place before the first entry is not known any more, so the first one stands for it.
    invariant(first.index <= end.index, 'the entries kept follow the snapshot or begin before it')
    state.base = positionOf(first)
    state.entries = entries.slice(1)
  }
  const last = entries.at(-1)
  state.last = last === undefined || last.index < end.index ? end : positionOf(last)
  state.syncedIndex = state.last.index
  state.commit = Math.max(end.index, Math.min(head.commit, state.last.index))
  readMembership(state)
  state.membership ??= head.membership
  state.epoch = newest(head.epoch, state.last.epoch)
  state.votedFor = head.votedFor
  const { membership } = state
  if (membership === undefined) return state
  const alone = decides(membership, selfOf(state)) && agreed(membership, ({ peer }) => peer === init.self)
  state.electionAtMs = alone ? nowMs : nowMs + drawElection(state)
  return state
}

function newest(left: Epoch | undefined, right: Epoch | undefined): Epoch | undefined {
  if (left === undefined || right === undefined) return left ?? right
  return compareEpochs(left, right) < 0 ? right : left
}

/** One input, and everything that follows from it. @throws when a leader contradicts what is committed here: somebody's disk or code is broken. */
export function stepRaft(state: RaftState, input: RaftInput, now: RaftNow): RaftOutputs {
  const { leading } = state
  switch (input.type) {
    case 'message':
      onMessage(state, input.from, input.message, now)
      break
    case 'tick':
      if (leading === undefined && now.nowMs >= state.electionAtMs) askForVotes(state, now)
      break
    case 'peer':
      onPeer(state, input.peer, input.connected, now.nowMs)
      break
    case 'pulse':
      onPulse(state, input.peer, input.sentAtMs)
      break
    case 'append':
      onHostAppend(state, input.tag, input.entries, now.nowMs)
      break
    case 'barrier':
      onBarrier(state, input.tag, now.nowMs)
      break
    case 'transfer':
      if (leading !== undefined) transfer(state, leading, now.nowMs)
      break
    case 'step-down':
      if (input.forGood === true) state.init.likesToLead = false
      if (leading !== undefined) stepDown(state, leading, input.outrun === true, now.nowMs)
      break
    case 'persisted':
      noteSynced(state, input.upTo)
      leadAlone(state, now)
      break
    case 'compacted':
      onCompacted(state, input.snapshot, input.dropBelow)
      break
    case 'installed':
      onInstalled(state, input.ok)
      break
    case 'take-over':
      takeOver(state, now)
      break
  }
  return finish(state, now)
}

function finish(state: RaftState, now: RaftNow): RaftOutputs {
  if (state.leading !== undefined) attend(state, state.leading, now)
  return emptyBox(state, state.leading === undefined ? state.electionAtMs : leaderWakesAt(state, state.leading, now.nowMs))
}

function onMessage(state: RaftState, from: PeerId, message: RaftMessage, now: RaftNow): void {
  if (message.toward !== state.init.incarnation) {
    boxOf(state).strangers.push({ peer: from, why: 'means-another' })
    return
  }
  switch (message.kind) {
    case 'vote-ask':
      return onVoteAsk(state, from, message, now)
    case 'vote':
      return onVote(state, from, message, now)
    case 'log-append':
      return onAppend(state, from, message, now)
    case 'log-appended':
      return onAppended(state, from, message, now.nowMs)
    case 'log-install':
      return onInstall(state, from, message, now.nowMs)
    case 'lead-now':
      return onLeadNow(state, from, message, now)
  }
}

function onPeer(state: RaftState, peer: PeerId, connected: boolean, nowMs: InstantMs): void {
  if (connected) state.disconnected.delete(peer)
  else state.disconnected.add(peer)
  if (state.leading !== undefined) onConnection(state.leading, peer)
  else if (state.leader === peer && connected) state.leaderLost = false
  else if (state.leader === peer && !state.leaderLost) loseLeader(state, nowMs)
}

function onPulse(state: RaftState, peer: PeerId, sentAtMs: InstantMs): void {
  if (state.leading === undefined) {
    // It was heard before its connection went: that it lived then says nothing of now.
    if (state.leader !== peer || state.role !== 'follower' || state.leaderLost) return
    if (sentAtMs <= state.heardLeaderAtMs) return
    state.heardLeaderAtMs = sentAtMs
    state.electionAtMs = sentAtMs + drawSilence(state)
    return
  }
  const follower = state.leading.followers.get(peer)
  if (follower === undefined) return
  // Told late, maybe: it followed when that pulse was sent, and since then nobody knows.
  follower.heardAtMs = Math.max(follower.heardAtMs, sentAtMs)
  follower.answeredPulseMs = Math.max(follower.answeredPulseMs, sentAtMs)
}

/** By hand, when the others are gone for good: alone under the next lineage, whose first entries say so. */
function takeOver(state: RaftState, now: RaftNow): void {
  if (state.membership === undefined || state.epoch === undefined) return
  stopLeading(state)
  const epoch = { lineage: state.epoch.lineage + 1, term: 1 }
  recordEpoch(state, epoch, state.init.self)
  openEpoch(state, [
    { type: 'took-over', atWallMs: now.wallMs, epoch, owner: state.init.self },
    { type: 'members', atWallMs: now.wallMs, membership: { voters: [selfOf(state)], learners: [] } },
  ], now)
}

const nobody: RaftView['followers'] = new Map()

/** A look at the moment: what it holds may change with the next step. */
export function viewOf(state: RaftState): RaftView {
  const { role, epoch, leader, last, commit, membership, membershipIndex, snapshot, base, electionAtMs, leading } = state
  return { role, epoch, leader, last, commit, membership, membershipIndex, snapshot, base, electionAtMs, followers: leading?.followers ?? nobody }
}

/** Those in memory: all after the snapshot, and a tail before it. */
export function entriesOf(state: RaftState, fromIndex: number): readonly LogEntry[] {
  return state.entries.slice(Math.max(0, fromIndex - state.base.index - 1))
}
