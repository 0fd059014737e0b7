/** Whom a member follows, and what ends when it hears of a newer epoch (Raft §5.1; thesis §4.2.3). */
import { fault, type Fault } from '../kernel/errors.ts'
import type { Epoch, PeerId } from '../kernel/ids.ts'
import type { InstantMs } from '../kernel/units.ts'
import { boxOf, drawElection, drawSilence, recordEpoch, type RaftState } from './raft-state.ts'

/** Follows from now on, under the newest epoch heard of. */
export function follow(state: RaftState, leader: PeerId | undefined, nowMs: InstantMs): void {
  if (state.role === 'leader') stopLeading(state)
  state.role = 'follower'
  state.campaign = undefined
  state.leader = leader
  if (leader === undefined) return
  state.heardLeaderAtMs = nowMs
  state.hurriedTries = 0
  state.leaderLost = state.disconnected.has(leader)
  state.electionAtMs = nowMs + drawSilence(state)
}

/** A newer epoch was heard of: whoever led or asked for votes in an older one stops. */
export function adopt(state: RaftState, epoch: Epoch, nowMs: InstantMs): void {
  const led = state.role !== 'follower'
  follow(state, undefined, nowMs)
  recordEpoch(state, epoch, undefined)
  if (led || state.electionAtMs === Number.POSITIVE_INFINITY) state.electionAtMs = nowMs + drawElection(state)
}

/** Whether a leader was heard so recently that nobody else should be elected. */
export function hearsLeader(state: RaftState, nowMs: InstantMs): boolean {
  if (state.role === 'leader') return true
  if (state.leader === undefined || state.leaderLost) return false
  return nowMs - state.heardLeaderAtMs < Math.max(state.init.electionMsMin, state.init.silenceMs?.(state.leader) ?? 0)
}

/** Leads no more. What was asked and not settled may still be committed by another. */
export function stopLeading(state: RaftState): void {
  const { leading } = state
  if (leading === undefined) return
  const box = boxOf(state)
  const tags = [...leading.appends.map(({ tag }) => tag), ...leading.held.map(({ tag }) => tag), ...leading.reads.flatMap(({ tags: asked }) => asked)]
  for (const tag of tags) box.settled.push({ tag, fault: fenced(state, 'this node leads the log no more; what was appended last may be committed or not') })
  state.leading = undefined
  box.role = { became: 'follows' }
}

export function fenced(state: RaftState, why: string): Fault {
  return fault('fenced', `${state.init.group}: ${why}`, { next: 'ask the node that leads now' })
}
