/** ReadIndex (thesis §6.4): a leader answers a question once a majority has confirmed it after the question was asked. */
import type { Member } from '../membership/schema.ts'
import type { InstantMs } from '../kernel/units.ts'
import { fenced } from './raft-epochs.ts'
import { agreed } from './raft-quorum.ts'
import { boxOf, type Leading, type RaftState, type Reads } from './raft-state.ts'

/** Questions between two messages of the leader share one answer. */
export function onBarrier(state: RaftState, tag: string, nowMs: InstantMs): void {
  const { leading } = state
  if (leading === undefined) {
    boxOf(state).settled.push({ tag, fault: fenced(state, 'this node does not lead the log') })
    return
  }
  // Behind what waits, or it would be answered for something that is in no log.
  if (leading.held.length > 0) {
    leading.held.push({ tag, entries: undefined })
    return
  }
  const latest = leading.reads.at(-1)
  if (latest?.round !== leading.round) leading.reads.push({ round: leading.round, askedAtMs: nowMs, index: state.last.index, tags: [tag] })
  else {
    latest.tags.push(tag)
    latest.askedAtMs = nowMs
    latest.index = state.last.index
  }
}

/**
 * Everything appended before the question is waited for, the entry that opened this epoch among it: until that one is
 * committed, a leader does not know what is (thesis §6.4, step 1).
 */
export function settleReads(state: RaftState, leading: Leading): void {
  const isConfirmed = (round: number, askedAtMs: InstantMs): boolean => confirmed(state, leading, round, askedAtMs)
  while (leading.reads[0] !== undefined && leading.reads[0].index <= state.commit && isConfirmed(leading.reads[0].round, leading.reads[0].askedAtMs)) {
    for (const tag of (leading.reads.shift() as Reads).tags) boxOf(state).settled.push({ tag })
  }
  if (leading.readRound >= 0 && isConfirmed(leading.readRound, Number.POSITIVE_INFINITY)) leading.readRound = -1
  const latest = leading.reads.at(-1)
  if (latest === undefined || leading.readRound >= 0 || isConfirmed(latest.round, latest.askedAtMs)) return
  leading.readRound = leading.round
  for (const follower of leading.followers.values()) follower.owed = true
}

function confirmed(state: RaftState, leading: Leading, round: number, askedAtMs: InstantMs): boolean {
  return state.membership !== undefined && agreed(state.membership, (member) => confirms(state, leading, member, round, askedAtMs))
}

function confirms(state: RaftState, leading: Leading, member: Member, round: number, askedAtMs: InstantMs): boolean {
  if (member.peer === state.init.self) return member.incarnation === state.init.incarnation
  const follower = leading.followers.get(member.peer)
  return follower?.incarnation === member.incarnation && (follower.answeredRound > round || follower.answeredPulseMs > askedAtMs)
}
