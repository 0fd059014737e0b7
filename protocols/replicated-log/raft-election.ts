/** Who leads: pre-vote, vote, and what a member does when a newer epoch is heard of (Raft §5.2, §5.4.1; thesis §4.2.3, §9.6). */
import { compareEpochs, type PeerId } from '../kernel/ids.ts'
import type { InstantMs } from '../kernel/units.ts'
import type { RaftNow } from './raft-io.ts'
import { adopt, follow, hearsLeader } from './raft-epochs.ts'
import { lead } from './raft-leading.ts'
import { mayCampaign } from './raft-log.ts'
import { agreed, eachMember, decides, memberOf } from './raft-quorum.ts'
import { boxOf, compareWithOurs, drawElection, recordEpoch, selfOf, send, type RaftState } from './raft-state.ts'
import type { LogPosition, RaftMessage } from './schema.ts'

type VoteAsk = Extract<RaftMessage, { kind: 'vote-ask' }>
type Vote = Extract<RaftMessage, { kind: 'vote' }>

/** With the leader's connection gone, so many elections are tried without waiting for silence. */
const hurriedTriesMax = 4

/** The connection to the leader has closed: its process is gone, most likely, so silence need not be waited for. */
export function loseLeader(state: RaftState, nowMs: InstantMs): void {
  state.leaderLost = true
  state.hurriedTries = hurriedTriesMax
  if (mayCampaign(state)) state.electionAtMs = Math.min(state.electionAtMs, nowMs + 1 + state.init.random.below(state.init.lostLeaderMsMax))
}

/** The election timer has run out. */
export function askForVotes(state: RaftState, now: RaftNow): void {
  if (!mayCampaign(state)) {
    follow(state, undefined, now.nowMs)
    state.electionAtMs = Number.POSITIVE_INFINITY
    return
  }
  campaign(state, true, false, now)
}

/** @param pre only asks whether it would be elected, and raises no epoch. @param transfer the leader itself wants this. */
export function campaign(state: RaftState, pre: boolean, transfer: boolean, now: RaftNow): void {
  const membership = state.membership
  if (membership === undefined || state.epoch === undefined) return
  const epoch = { lineage: state.epoch.lineage, term: state.epoch.term + 1 }
  const alone = agreed(membership, ({ peer }) => peer === state.init.self)
  const asksOnly = pre && !alone
  state.role = 'candidate'
  state.leader = undefined
  state.campaign = { pre: asksOnly, epoch, granted: new Set([state.init.self]) }
  state.electionAtMs = now.nowMs + patience(state)
  if (!asksOnly) recordEpoch(state, epoch, state.init.self)
  if (alone) {
    state.electionAtMs = Number.POSITIVE_INFINITY
    return
  }
  const as = state.init.incarnation
  eachMember(membership, (member) => {
    if (member.peer === state.init.self || !decides(membership, member)) return
    send(state, member.peer, { kind: 'vote-ask', group: state.init.group, as, toward: member.incarnation, epoch, pre: asksOnly, transfer, last: state.last }, false)
  })
}

/** When the leader is known to be gone, others find out at about the same time: asking again soon is worth it, a few times. */
function patience(state: RaftState): number {
  if (state.hurriedTries === 0) return drawElection(state)
  state.hurriedTries -= 1
  return state.init.lostLeaderMsMax + state.init.random.below(2 * state.init.lostLeaderMsMax + 1)
}

/** Whoever decides alone leads once its vote for itself is synced; before that, the same epoch could be opened twice. */
export function leadAlone(state: RaftState, now: RaftNow): void {
  const { campaign: running, membership } = state
  if (running === undefined || running.pre || membership === undefined || state.epochPersist > state.synced) return
  if (agreed(membership, ({ peer }) => peer === state.init.self)) lead(state, now)
}

export function onVoteAsk(state: RaftState, from: PeerId, ask: VoteAsk, now: RaftNow): void {
  const newer = compareWithOurs(state, ask.epoch)
  const willing = newer >= 0 && (ask.transfer || !hearsLeader(state, now.nowMs)) && upToDate(ask.last, state.last)
  if (ask.pre) return answer(state, from, ask, willing && newer > 0)
  // Whoever is refused for the leader's sake does not raise the epoch either, or it would depose that leader (thesis §4.2.3).
  if (newer > 0 && (ask.transfer || !hearsLeader(state, now.nowMs))) adopt(state, ask.epoch, now.nowMs)
  const granted = willing && (state.votedFor === undefined || state.votedFor === from)
  if (granted) {
    state.role = 'follower'
    state.campaign = undefined
    if (state.votedFor === undefined) boxOf(state).dirty = true
    state.votedFor = from
    state.electionAtMs = now.nowMs + drawElection(state)
  }
  answer(state, from, ask, granted)
}

function answer(state: RaftState, to: PeerId, ask: VoteAsk, granted: boolean): void {
  const epoch = granted ? ask.epoch : (state.epoch ?? ask.epoch)
  send(state, to, { kind: 'vote', group: state.init.group, as: state.init.incarnation, toward: ask.as, epoch, pre: ask.pre, granted }, true)
}

/** Raft §5.4.1: nobody is elected whose log is behind a majority's. */
function upToDate(theirs: LogPosition, ours: LogPosition): boolean {
  if (ours.epoch === undefined) return true
  if (theirs.epoch === undefined) return false
  return (compareEpochs(theirs.epoch, ours.epoch) || theirs.index - ours.index) >= 0
}

export function onVote(state: RaftState, from: PeerId, vote: Vote, now: RaftNow): void {
  const { membership, campaign: running } = state
  const member = membership === undefined ? undefined : memberOf(membership, from)
  if (membership === undefined || member === undefined) return
  if (member.incarnation !== vote.as) {
    boxOf(state).strangers.push({ peer: from, why: 'answers-as-another' })
    return
  }
  if (!vote.granted) {
    if (compareWithOurs(state, vote.epoch) > 0) adopt(state, vote.epoch, now.nowMs)
    return
  }
  if (running === undefined || state.role !== 'candidate' || running.pre !== vote.pre || compareEpochs(running.epoch, vote.epoch) !== 0) return
  running.granted.add(from)
  if (!agreed(membership, (voter) => (voter.peer === state.init.self ? decides(membership, selfOf(state)) : running.granted.has(voter.peer)))) return
  if (running.pre) campaign(state, false, false, now)
  else lead(state, now)
}
