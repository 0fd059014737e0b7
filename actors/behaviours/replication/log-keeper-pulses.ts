/**
 * One pulse between two nodes for all groups that one leads and the other is in. What costs is the number of pairs, not
 * of groups: an idle group sends nothing of its own.
 */
import { formatEpoch, type GroupId, type PeerId } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { peersOf } from '../../../protocols/membership/members.ts'
import { viewOf } from '../../../protocols/replicated-log/raft.ts'
import type { MessageOf } from '../../../protocols/wire.ts'
import { actorNames, at } from '../../names.ts'
import type { ActorContext } from '../../runtime/actor.ts'
import { tell, type Effect } from '../../runtime/effects.ts'
import { hearPulses, step } from './log-keeper-drive.ts'
import { noteHeard } from './log-keeper-pace.ts'
import type { Group, LogKeeperState } from './log-keeper-state.ts'

/** Unanswered pulses that are remembered of a peer. */
const pulsedMax = 16

/** To every connected node that is in a group led here. */
export function sendPulses(state: LogKeeperState, context: ActorContext): Effect[] {
  const { led } = state.groups
  for (const peer of state.pulsed.keys()) if (!led.has(peer)) state.pulsed.delete(peer)
  const beat = state.beat++
  return [...led].flatMap(([peer, { groups, digest }]) => {
    if (!context.connected(peer)) return []
    const pulsed = state.pulsed.get(peer) ?? []
    state.pulsed.set(peer, [...pulsed.slice(1 - pulsedMax), { beat, sentAtMs: context.nowMs }])
    return [tell(at(peer, actorNames.logKeeper), { kind: 'group-pulse', beat, groups, digest })]
  })
}

export function onPulse(state: LogKeeperState, message: MessageOf<'group-pulse'>, from: PeerId, context: ActorContext): Effect[] {
  noteHeard(state.pace, from, context.nowMs)
  const { groups, digest } = state.groups.followed.get(from) ?? { groups: 0, digest: 0 }
  const agrees = groups === message.groups && digest === message.digest
  if (agrees) state.leaderHeardAtMs.set(from, context.nowMs)
  return [tell(at(from, actorNames.logKeeper), { kind: 'group-pulse-heard', beat: message.beat, agrees, differ: [] })]
}

export function onPulseHeard(state: LogKeeperState, message: MessageOf<'group-pulse-heard'>, from: PeerId, context: ActorContext): Effect[] {
  noteHeard(state.pace, from, context.nowMs)
  const pulsed = state.pulsed.get(from)?.find(({ beat }) => beat === message.beat)
  if (pulsed === undefined) return []
  if (!message.agrees) {
    const shared = [...state.groups.values()].flatMap((group) => {
      const view = viewOf(group.raft)
      return view.role === 'leader' && view.epoch !== undefined && from !== context.self.peer && peersOf(view.membership).includes(from) ? [{ group: group.group, epoch: view.epoch }] : []
    })
    const effects: Effect[] = []
    for (let i = 0; i < shared.length; i += limits.groupTermsMax) effects.push(tell(at(from, actorNames.logKeeper), { kind: 'group-terms', beat: message.beat, groups: shared.slice(i, i + limits.groupTermsMax) }))
    return effects
  }
  state.followedAtMs.set(from, Math.max(pulsed.sentAtMs, state.followedAtMs.get(from) ?? -Infinity))
  const differ = new Set<GroupId>(message.differ)
  const followsIn = (group: Group): boolean => {
    const { role, followers } = viewOf(group.raft)
    return role === 'leader' && followers.has(from)
  }
  const effects: Effect[] = []
  // Whoever differs is not heard by this: it is sent what it lacks, and answers for itself.
  for (const groupId of differ) {
    const group = state.groups.get(groupId)
    if (group !== undefined && followsIn(group)) effects.push(...step(state, group, { type: 'peer', peer: from, connected: true }, context))
  }
  for (const group of [...state.groups.asked]) {
    if (group.askers.size === 0) state.groups.asked.delete(group)
    else if (!differ.has(group.group) && followsIn(group)) effects.push(...hearPulses(state, group, context))
  }
  return effects
}

/** The groups of a pair one by one: those that are as the leader says are heard, the others are named. */
export function onTerms(state: LogKeeperState, message: MessageOf<'group-terms'>, from: PeerId, context: ActorContext): Effect[] {
  const differ: GroupId[] = []
  const effects: Effect[] = []
  for (const { group: groupId, epoch } of message.groups) {
    const group = state.groups.get(groupId)
    const held = group === undefined ? undefined : viewOf(group.raft).epoch
    if (group !== undefined && held !== undefined && group.leader === from && formatEpoch(held) === formatEpoch(epoch)) effects.push(...step(state, group, { type: 'pulse', peer: from, sentAtMs: context.nowMs }, context))
    else differ.push(groupId)
  }
  return [...effects, tell(at(from, actorNames.logKeeper), { kind: 'group-pulse-heard', beat: message.beat, agrees: true, differ })]
}
