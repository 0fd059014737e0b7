/** The end of a mission's group: every member keeps the archive and one record, and drops the log. */
import type { Fault } from '../../../protocols/kernel/errors.ts'
import type { GroupId, MissionId, PeerId } from '../../../protocols/kernel/ids.ts'
import { blobRefsIn } from '../../../protocols/kernel/payload.ts'
import { isMissionGroup } from '../../../protocols/kernel/ids.ts'
import { peersOf } from '../../../protocols/membership/members.ts'
import { viewOf } from '../../../protocols/replicated-log/raft.ts'
import type { EndedMission } from '../../../protocols/replicated-log/schema.ts'
import { actorNames, at } from '../../names.ts'
import type { ActorContext } from '../../runtime/actor.ts'
import { fact, tell, type Effect } from '../../runtime/effects.ts'
import type { Group, LogKeeperInit, LogKeeperState } from './log-keeper-state.ts'
import { formerCopy, nextIncarnation } from './log-keeper-names.ts'
import { onUnknown } from './log-keeper-unknown.ts'

/** Of a leader's host. The others are told at once; who does not hear it asks when it has missed its leader for a while. */
export function endGroup(state: LogKeeperState, missionId: MissionId, ended: EndedMission, context: ActorContext): Effect[] {
  const group = state.groups.get(missionId)
  if (group === undefined) return []
  const others = peersOf(viewOf(group.raft).membership).filter((peer) => peer !== context.self.peer)
  return [...others.map((peer) => tell(at(peer, actorNames.logKeeper), { kind: 'group-ended', group: missionId, ended })), ...drop(state, group, ended, context)]
}

/** Of a leader's host. The others ask when they have missed their leader for a while, and are told that they need not wait. */
export function endUnbegun(state: LogKeeperState, missionId: MissionId, context: ActorContext): Effect[] {
  const group = state.groups.get(missionId)
  if (group === undefined || viewOf(group.raft).role !== 'leader') return []
  state.groups.delete(missionId)
  if (group.durable) {
    state.waitingRemoved.push(missionId)
    state.waitingFormer.push(formerCopy(missionId, undefined, context))
  }
  return [{ type: 'clear-timer', key: `raft ${missionId}` }]
}

function drop(state: LogKeeperState, group: Group, ended: EndedMission, context: ActorContext): Effect[] {
  state.groups.delete(group.group)
  const cleared: Effect = { type: 'clear-timer', key: `raft ${group.group}` }
  // What was never kept leaves nothing but the news that it is over.
  if (!group.durable) return [cleared, tell(at(context.self.peer, actorNames.missions), { kind: 'group-ended', ended })]
  state.waitingEnded.push(ended)
  return [cleared]
}

/** From a member of the group: the archive is fetched first, so that nothing is dropped that is nowhere else on this node. */
export function onGroupEnded(state: LogKeeperState, groupId: GroupId, ended: EndedMission, from: PeerId): Effect[] {
  const group = state.groups.get(groupId)
  if (group === undefined || !isMissionGroup(groupId) || ended.missionId !== groupId) return []
  // A member that was added later than this copy has heard of is a replica at least.
  const isLaterMember = ended.members.includes(from) && state.roster?.replicas.some(({ peer }) => peer === from) === true
  if (!peersOf(viewOf(group.raft).membership).includes(from) && !isLaterMember) return [fact('warn', 'group.end-forged', { group: groupId, from })]
  const tag = `ended ${groupId}`
  if (state.ending.has(tag)) return []
  state.ending.set(tag, ended)
  return [{ type: 'fetch-blobs', refs: blobRefsIn(ended.archive), alsoTry: [from, ...ended.members], tag }]
}

export function onArchiveFetched(state: LogKeeperState, tag: string, problem: Fault | undefined, context: ActorContext): Effect[] {
  const ended = state.ending.get(tag)
  state.ending.delete(tag)
  const group = ended === undefined ? undefined : state.groups.get(ended.missionId)
  // It asks again while it hears of no leader.
  if (ended === undefined || group === undefined || problem !== undefined) return []
  return drop(state, group, ended, context)
}

/** A member that has heard of no leader asks. The leader tells whether it is a member still; where the group is not known, it may have ended. */
export function onAsked(init: LogKeeperInit, state: LogKeeperState, groupId: GroupId, from: PeerId, context: ActorContext): Effect[] {
  const group = state.groups.get(groupId)
  if (group === undefined) return onUnknown(init, state, groupId, from, undefined, context)
  const view = viewOf(group.raft)
  if (view.role !== 'leader' || view.commit < view.membershipIndex || peersOf(view.membership).some((peer) => peer === from)) return []
  return [tell(at(from, actorNames.logKeeper), { kind: 'group-left', group: groupId })]
}

/** This node was replaced: another has its copy's place. */
export function onLeft(state: LogKeeperState, groupId: GroupId, from: PeerId, context: ActorContext): Effect[] {
  const group = state.groups.get(groupId)
  if (group === undefined || state.incarnation === undefined) return []
  const view = viewOf(group.raft)
  if (view.role === 'leader' || view.leader === from || (view.membership !== undefined && !peersOf(view.membership).includes(from) && view.membership.voters.length > 1)) return []
  state.groups.delete(groupId)
  state.waitingRemoved.push(groupId)
  state.waitingFormer.push(formerCopy(groupId, nextIncarnation(group.incarnation, state.incarnation), context))
  return [{ type: 'clear-timer', key: `raft ${groupId}` }, fact('info', 'group.left', { group: groupId })]
}

/** A member that has missed its leader for long asks the others whether there is anything left to lead. */
export function askWhetherEnded(state: LogKeeperState, silentMs: number, context: ActorContext): Effect[] {
  return [...state.groups.values()].flatMap((group) => {
    if (group.leaderlessSinceMs === undefined || context.nowMs - group.leaderlessSinceMs < silentMs) return []
    return peersOf(viewOf(group.raft).membership).filter((peer) => peer !== context.self.peer && context.connected(peer)).map((peer) => tell(at(peer, actorNames.logKeeper), { kind: 'group-ask', group: group.group }))
  })
}
