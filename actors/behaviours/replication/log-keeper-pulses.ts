/**
 * One pulse between two nodes for all groups that one leads and the other is in. What costs is the number of pairs, not
 * of groups: an idle group sends nothing of its own.
 */
import { hash32 } from '../../../protocols/kernel/hashing.ts'
import { formatEpoch, type GroupId, type PeerId } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { peersOf } from '../../../protocols/membership/members.ts'
import { viewOf, type RaftView } from '../../../protocols/replicated-log/raft.ts'
import type { MessageOf } from '../../../protocols/wire.ts'
import { actorNames, at } from '../../names.ts'
import type { ActorContext } from '../../runtime/actor.ts'
import { tell, type Effect } from '../../runtime/effects.ts'
import { hearPulses, step } from './log-keeper-drive.ts'
import type { Group, LogKeeperState } from './log-keeper-state.ts'

/** Unanswered pulses that are remembered of a peer. */
const pulsedMax = 16

/** What changes seldom is worked out once: with every pulse each group of the node is looked at. */
function digestOf(group: Group, { epoch }: RaftView): number {
  if (group.digest === undefined || group.digest.of !== epoch) group.digest = { of: epoch, value: hash32(`${group.group} ${epoch === undefined ? '' : formatEpoch(epoch)}`) }
  return group.digest.value
}

function othersIn(group: Group, { membership }: RaftView, self: PeerId): readonly PeerId[] {
  if (group.others === undefined || group.others.of !== membership) group.others = { of: membership, peers: peersOf(membership).filter((peer) => peer !== self) }
  return group.others.peers
}

/** To every connected node that is in a group led here. */
export function sendPulses(state: LogKeeperState, context: ActorContext): Effect[] {
  const sums = new Map<PeerId, { groups: number; digest: number }>()
  for (const group of state.groups.values()) {
    const view = viewOf(group.raft)
    if (view.role !== 'leader') continue
    const value = digestOf(group, view)
    for (const peer of othersIn(group, view, context.self.peer)) {
      const sum = sums.get(peer)
      if (sum === undefined) sums.set(peer, { groups: 1, digest: value })
      else {
        sum.groups += 1
        sum.digest = (sum.digest ^ value) >>> 0
      }
    }
  }
  for (const peer of state.pulsed.keys()) if (!sums.has(peer)) state.pulsed.delete(peer)
  const beat = state.beat++
  return [...sums].flatMap(([peer, { groups, digest }]) => {
    if (!context.connected(peer)) return []
    const pulsed = state.pulsed.get(peer) ?? []
    state.pulsed.set(peer, [...pulsed.slice(1 - pulsedMax), { beat, sentAtMs: context.nowMs }])
    return [tell(at(peer, actorNames.logKeeper), { kind: 'group-pulse', beat, groups, digest: digest >>> 0 })]
  })
}

export function onPulse(state: LogKeeperState, message: MessageOf<'group-pulse'>, from: PeerId, context: ActorContext): Effect[] {
  let groups = 0
  let digest = 0
  for (const group of state.groups.values()) {
    if (group.leader !== from) continue
    groups += 1
    digest = (digest ^ digestOf(group, viewOf(group.raft))) >>> 0
  }
  const agrees = groups === message.groups && digest === message.digest
  if (agrees) state.leaderHeardAtMs.set(from, context.nowMs)
  return [tell(at(from, actorNames.logKeeper), { kind: 'group-pulse-heard', beat: message.beat, agrees, differ: [] })]
}

export function onPulseHeard(state: LogKeeperState, message: MessageOf<'group-pulse-heard'>, from: PeerId, context: ActorContext): Effect[] {
  const pulsed = state.pulsed.get(from)?.find(({ beat }) => beat === message.beat)
  if (pulsed === undefined) return []
  if (!message.agrees) {
    const shared = [...state.groups.values()].flatMap((group) => {
      const view = viewOf(group.raft)
      return view.role === 'leader' && view.epoch !== undefined && othersIn(group, view, context.self.peer).includes(from) ? [{ group: group.group, epoch: view.epoch }] : []
    })
    const effects: Effect[] = []
    for (let i = 0; i < shared.length; i += limits.groupTermsMax) effects.push(tell(at(from, actorNames.logKeeper), { kind: 'group-terms', beat: message.beat, groups: shared.slice(i, i + limits.groupTermsMax) }))
    return effects
  }
  const differ = new Set<GroupId>(message.differ)
  state.followedAtMs.set(from, Math.max(pulsed.sentAtMs, state.followedAtMs.get(from) ?? -Infinity))
  const effects: Effect[] = []
  for (const group of state.groups.values()) {
    const view = viewOf(group.raft)
    if (view.role !== 'leader' || !view.followers.has(from)) continue
    // Whoever differs is not heard by this: it is sent what it lacks, and answers for itself.
    if (differ.has(group.group)) effects.push(...step(state, group, { type: 'peer', peer: from, connected: true }, context))
    else if (group.askers.size > 0) effects.push(...hearPulses(state, group, context))
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
