/**
 * Messages about a log that is not here: it may have ended, a copy of it may have been given up, or it is new. Only what the disk
 * remembers decides, for whoever votes as if it had never heard of a log must really never have.
 */
import type { GroupId, Incarnation, PeerId } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { joinGroup } from '../../../protocols/replicated-log/raft.ts'
import type { FormerCopy, RaftMessage } from '../../../protocols/replicated-log/schema.ts'
import type { EffectOutcome } from '../../messages.ts'
import { actorNames, at } from '../../names.ts'
import type { ActorContext } from '../../runtime/actor.ts'
import { tell, type Effect } from '../../runtime/effects.ts'
import { step } from './log-keeper-drive.ts'
import { aimedOf, newGroup, raftInit, type Group, type LogKeeperInit, type LogKeeperState } from './log-keeper-state.ts'

export type Recalled = Omit<Extract<EffectOutcome, { kind: 'group-recalled' }>, 'kind'>

/** Of a member that takes this node for one, or asks after the log. What must wait for the disk waits; what does not is lost, and sent again. */
export function onUnknown(init: LogKeeperInit, state: LogKeeperState, groupId: GroupId, from: PeerId, message: RaftMessage | undefined, context: ActorContext): Effect[] {
  if (state.damaged.has(groupId)) return []
  const pending = state.recalling.get(groupId)
  const asked = pending ?? { peers: new Set(), messages: new Map() }
  asked.peers.add(from)
  if (message !== undefined && (bringsALog(message) || wasJustFounded(message))) asked.messages.set(message.kind, { from, message })
  if (pending !== undefined) return []
  state.recalling.set(groupId, asked)
  const unwritten = notYetWritten(state, groupId)
  return unwritten === undefined ? [{ type: 'recall-group', group: groupId }] : onRecalled(init, state, unwritten, context)
}

/** Given up so lately that the disk does not say so yet. */
function notYetWritten(state: LogKeeperState, groupId: GroupId): Recalled | undefined {
  const ended = [...state.waitingEnded, ...state.writingEnded].find(({ missionId }) => missionId === groupId)
  if (ended !== undefined) return { group: groupId, ended }
  const former = [...state.waitingFormer, ...state.writingFormer].find(({ group }) => group === groupId)
  return former === undefined ? undefined : { group: groupId, former }
}

export function onRecalled(init: LogKeeperInit, state: LogKeeperState, { group: groupId, ended, former, fault: problem }: Recalled, context: ActorContext): Effect[] {
  const asked = state.recalling.get(groupId)
  state.recalling.delete(groupId)
  if (asked === undefined || problem !== undefined) return []
  if (ended !== undefined) return [...asked.peers].map((peer) => tell(at(peer, actorNames.logKeeper), { kind: 'group-ended', group: groupId, ended }))
  // It has ended so long ago that even the archive is gone: whoever still waits for it need not.
  if (former !== undefined && former.next === undefined) return [...asked.peers].map((peer) => tell(at(peer, actorNames.logKeeper), { kind: 'group-left', group: groupId }))
  const name = former?.next ?? state.incarnation
  return [...asked.messages.values()].flatMap(({ from, message }) => {
    const group = state.groups.get(groupId) ?? join(init, state, message, name, context)
    return group === undefined || message.toward !== group.incarnation ? tellName(message, name, from) : step(state, group, { type: 'message', from, message }, context)
  })
}

/** The leader is told who we are now: it believes that somebody is here who is not any more. */
export function tellName(message: RaftMessage, name: Incarnation | undefined, to: PeerId): Effect[] {
  if (name === undefined || message.toward === name || !bringsALog(message)) return []
  return [tell(at(to, actorNames.logKeeper), { kind: 'other-incarnation', group: message.group, incarnation: name })]
}

function bringsALog({ kind }: RaftMessage): boolean {
  return kind === 'log-append' || kind === 'log-install'
}

/** Its founder stopped before anybody had heard of the log: without the votes of members that have nothing it could never go on. */
function wasJustFounded(message: RaftMessage): boolean {
  return message.kind === 'vote-ask' && message.last.epoch?.lineage === 1 && message.last.epoch.term === 1
}

/** Its copy starts empty. */
function join(init: LogKeeperInit, state: LogKeeperState, message: RaftMessage, name: Incarnation | undefined, context: ActorContext): Group | undefined {
  if (name === undefined || message.toward !== name || state.groups.size >= limits.groupsPerNodeMax) return undefined
  const raft = joinGroup(raftInit(init, message.group, name, context))
  const group = newGroup(message.group, name, raft, true, aimedOf(message.group, limits.votersAimed, limits.rosterVotersMax))
  state.groups.set(message.group, group)
  return group
}

/** What is remembered of a copy that goes. @param next what a later one is to be called; undefined: there will be none. */
export function formerCopy(group: GroupId, next: Incarnation | undefined, { wallMs }: ActorContext): FormerCopy {
  return { group, ...(next === undefined ? {} : { next }), sinceWallMs: wallMs, untilWallMs: wallMs + limits.formerCopyKeptMs }
}

/** `store.n`: the n-th life of this group's copy in one store. */
export function nextIncarnation(last: Incarnation, store: Incarnation): Incarnation {
  const [of, life] = last.split('.')
  return `${store}.${of === store ? Number(life ?? 0) + 1 : 1}` as Incarnation
}
