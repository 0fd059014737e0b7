/**
 * Messages about a log that is not here: it may have ended, a copy of it may have been given up, or it is new. Only what the disk
 * remembers decides, for whoever votes as if it had never heard of a log must really never have.
 */
import { isMissionGroup, type GroupId, type Incarnation, type PeerId } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { joinGroup, openRaft } from '../../../protocols/replicated-log/raft.ts'
import type { FormerCopy, LogHead, RaftMessage } from '../../../protocols/replicated-log/schema.ts'
import type { EffectOutcome } from '../../messages.ts'
import { actorNames, at } from '../../names.ts'
import type { ActorContext } from '../../runtime/actor.ts'
import { tell, type Effect } from '../../runtime/effects.ts'
import { step } from './log-keeper-drive.ts'
import { aimedOf, newGroup, raftInit, type Group, type LogKeeperInit, type LogKeeperState, type Recalling } from './log-keeper-state.ts'

export type Recalled = Omit<Extract<EffectOutcome, { kind: 'group-recalled' }>, 'kind'>

/** Of a member that takes this node for one, or asks after the log. What must wait for the disk waits; what does not is lost, and sent again. */
export function onUnknown(init: LogKeeperInit, state: LogKeeperState, groupId: GroupId, from: PeerId, message: RaftMessage | undefined, context: ActorContext): Effect[] {
  if (state.damaged.has(groupId)) return []
  const { asked, effects } = recall(state, groupId)
  asked.peers.add(from)
  // A voter that nothing has reached yet votes, too: without it those that have the log may be too few for ever.
  if (message !== undefined && (bringsALog(message) || message.kind === 'vote-ask')) asked.messages.set(message.kind, { from, message })
  if (effects.length === 0) return []
  const unwritten = notYetWritten(state, groupId)
  return unwritten === undefined ? effects : onRecalled(init, state, unwritten, context)
}

/** What waits until the disk has said what it remembers of a group. */
export function recall(state: LogKeeperState, groupId: GroupId): { readonly asked: Recalling; readonly effects: Effect[] } {
  const pending = state.recalling.get(groupId)
  if (pending !== undefined) return { asked: pending, effects: [] }
  const asked: Recalling = { peers: new Set(), messages: new Map(), seals: [] }
  state.recalling.set(groupId, asked)
  return { asked, effects: [{ type: 'recall-group', group: groupId }] }
}

/** Given up so lately that the disk does not say so yet. */
export function notYetWritten(state: LogKeeperState, groupId: GroupId): Recalled | undefined {
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
  const messages = [...asked.messages.values()]
  // Whoever founded it may have lost only us: whether it can go on is for it to count.
  if (former?.sealed !== undefined && isMissionGroup(groupId) && !state.groups.has(groupId)) {
    const { as } = former.sealed
    if (!messages.some(({ from, message }) => sealingFailed(former, message, from))) return [...asked.peers].map((peer) => tell(at(peer, actorNames.logKeeper), { kind: 'sealed', group: groupId, as, sealed: true }))
  } else if (former !== undefined && former.next === undefined && former.voted === undefined) {
    // It has ended so long ago that even the archive is gone: whoever still waits for it need not.
    return [...asked.peers].map((peer) => tell(at(peer, actorNames.logKeeper), { kind: 'group-left', group: groupId }))
  }
  const name = former?.next ?? former?.sealed?.as ?? former?.voted?.as ?? state.incarnation
  const head = former?.sealed?.head ?? former?.voted?.head
  return messages.flatMap(({ from, message }) => {
    const group = state.groups.get(groupId) ?? join(init, state, message, name, head, context)
    return group === undefined || message.toward !== group.incarnation ? tellName(message, name, from) : step(state, group, { type: 'message', from, message }, context)
  })
}

/** The leader is told who we are now: it believes that somebody is here who is not any more. */
export function tellName(message: RaftMessage, name: Incarnation | undefined, to: PeerId): Effect[] {
  if (name === undefined || message.toward === name || !bringsALog(message)) return []
  return [tell(at(to, actorNames.logKeeper), { kind: 'other-incarnation', group: message.group, incarnation: name })]
}

/**
 * All the others than its founder must seal a log, and who has a copy does not: one of them that has one, or an entry that is committed,
 * which one of them must have, proves that this one never was sealed, and never will be. Then it is a log like others that are new here.
 */
function sealingFailed({ sealed }: FormerCopy, message: RaftMessage, from: PeerId): boolean {
  if (message.toward !== sealed?.as) return false
  return from !== sealed.founder || message.kind === 'log-install' || (message.kind === 'log-append' && message.commit > 0)
}

function bringsALog({ kind }: RaftMessage): boolean {
  return kind === 'log-append' || kind === 'log-install'
}

/** Its copy starts empty. @param head of one that was empty, and had voted */
function join(init: LogKeeperInit, state: LogKeeperState, message: RaftMessage, name: Incarnation | undefined, head: LogHead | undefined, context: ActorContext): Group | undefined {
  if (name === undefined || message.toward !== name || state.groups.size >= limits.groupsPerNodeMax) return undefined
  const as = raftInit(init, state.pace, message.group, name, context)
  const raft = head === undefined ? joinGroup(as) : openRaft(as, { head, entries: [] }, { nowMs: context.nowMs, wallMs: context.wallMs })
  const group = newGroup(message.group, name, raft, true, aimedOf(message.group))
  group.leaderlessSinceMs = context.nowMs
  state.groups.set(message.group, group)
  return group
}
