/**
 * A node that is about to stop says so to the other replicas. Where those that stay would be too few, their leader makes a spare a voter
 * in the place of one that leaves, and the node waits for that. Of two that leave at once, one at least has heard of the other when the
 * other has heard of it: so they never both go from a log that can spare but one.
 */
import type { PeerId } from '../../../protocols/kernel/ids.ts'
import type { InstantMs } from '../../../protocols/kernel/units.ts'
import { peersOf } from '../../../protocols/membership/members.ts'
import { waitsForSpare } from '../../../protocols/membership/placement.ts'
import { viewOf } from '../../../protocols/replicated-log/raft.ts'
import { actorNames, at } from '../../names.ts'
import type { ActorContext, Delivery } from '../../runtime/actor.ts'
import { fact, tell, type Effect } from '../../runtime/effects.ts'
import { lookAfterMembers } from './log-keeper-members.ts'
import type { Group, LogKeeperInit, LogKeeperState } from './log-keeper-state.ts'

/** Of the timer that says it again: each time the leaders also take their next step. */
export const leavingTimer = 'leaving'
const sayAgainMs = 250

/** Answered by `may-leave`, once nothing here is waited for. How long it waits at most is for the asker to say. */
export function startLeaving(init: LogKeeperInit, state: LogKeeperState, asker: Delivery['from'], context: ActorContext): Effect[] {
  state.leaving.set(context.self.peer, undefined)
  state.goes = { asker, unheard: new Set(others(state, context)) }
  return [...sayThatItLeaves(state, context), ...lookAfterMembers(init, state, context), ...mayLeave(state, context)]
}

function others({ roster, groups }: LogKeeperState, { self, connected }: ActorContext): PeerId[] {
  const known = new Set((roster?.replicas ?? []).map(({ peer }) => peer))
  for (const { raft } of groups.values()) for (const peer of peersOf(viewOf(raft).membership)) known.add(peer)
  return [...known].filter((peer) => peer !== self.peer && connected(peer))
}

function sayThatItLeaves(state: LogKeeperState, context: ActorContext): Effect[] {
  return [...others(state, context).map((peer) => tell(at(peer, actorNames.logKeeper), { kind: 'member-leaves' })), { type: 'set-timer', key: leavingTimer, delayMs: sayAgainMs, message: { kind: 'tick', what: leavingTimer } }]
}

export function onLeavingTime(init: LogKeeperInit, state: LogKeeperState, context: ActorContext): Effect[] {
  if (state.goes === undefined) return []
  return [...sayThatItLeaves(state, context), ...lookAfterMembers(init, state, context), ...mayLeave(state, context)]
}

export function onLeavingHeard(state: LogKeeperState, from: PeerId, context: ActorContext): Effect[] {
  state.goes?.unheard.delete(from)
  return mayLeave(state, context)
}

function mayLeave(state: LogKeeperState, context: ActorContext): Effect[] {
  const { goes } = state
  if (goes === undefined) return []
  const voters = [...state.groups.values()].filter((group) => isVoter(group, context.self.peer))
  // Whoever shares a log, and may be leaving as well, has heard of it.
  const isHeard = voters.every(({ raft }) => peersOf(viewOf(raft).membership).every((peer) => !goes.unheard.has(peer) || !context.connected(peer)))
  if (!isHeard || voters.some((group) => waits(state, group, context))) return []
  state.goes = undefined
  return [tell(goes.asker, { kind: 'may-leave' }), { type: 'clear-timer', key: leavingTimer }]
}

function isVoter({ durable, raft }: Group, self: PeerId): boolean {
  const { membership } = viewOf(raft)
  return durable && membership !== undefined && [...membership.voters, ...(membership.outgoing ?? [])].some(({ peer }) => peer === self)
}

function waits({ roster, leaving }: LogKeeperState, { raft, incarnation }: Group, context: ActorContext): boolean {
  const { membership } = viewOf(raft)
  if (membership === undefined || roster === undefined) return false
  return waitsForSpare({ current: membership, self: { peer: context.self.peer, incarnation }, replicas: roster.replicas, reachable: (peer) => context.connected(peer), leaving: new Set(leaving.keys()) })
}

// ---- another leaves -------------------------------------------------------------------------------------------------

/** The word of it is kept until it is back. */
export function onMemberLeaves(init: LogKeeperInit, state: LogKeeperState, from: PeerId, context: ActorContext): Effect[] {
  const isKnown = state.roster?.replicas.some(({ peer }) => peer === from) === true || [...state.groups.values()].some(({ raft }) => peersOf(viewOf(raft).membership).includes(from))
  if (!isKnown) return []
  const said = state.leaving.has(from) ? [] : [fact('info', 'group.member-leaves', { peer: from })]
  // Its connection may have closed before its word came.
  state.leaving.set(from, context.connected(from) ? undefined : (state.leaving.get(from) ?? context.nowMs))
  return [...said, tell(at(from, actorNames.logKeeper), { kind: 'leaving-heard' }), ...lookAfterMembers(init, state, context)]
}

/** One that had left and is back has only been restarted. Its shards come back to it when it has stayed for a while. */
export function onConnection(state: LogKeeperState, peer: PeerId, isUp: boolean, nowMs: InstantMs): void {
  if (!state.leaving.has(peer)) return
  if (!isUp) state.leaving.set(peer, nowMs)
  else if (state.leaving.delete(peer)) state.replicasSinceMs.set(peer, nowMs)
}
