/**
 * A mission that was claimed and whose founder is gone before anybody else had its log: the other members of the claim seal it.
 * Each promises on its disk that it will never have it. When all of them have, nothing of it can ever be committed.
 */
import { fault } from '../../../protocols/kernel/errors.ts'
import type { PeerId } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { headOf, viewOf } from '../../../protocols/replicated-log/raft.ts'
import type { FormerCopy, LogHead } from '../../../protocols/replicated-log/schema.ts'
import type { MessageOf } from '../../../protocols/wire.ts'
import { actorNames, at } from '../../names.ts'
import type { ActorContext, Delivery } from '../../runtime/actor.ts'
import { fact, tell, type Effect } from '../../runtime/effects.ts'
import { isEmpty } from './log-keeper-empty.ts'
import type { LogKeeperInit, LogKeeperState, SealAsked } from './log-keeper-state.ts'
import { formerCopy } from './log-keeper-names.ts'
import { notYetWritten, onRecalled, recall, type Recalled } from './log-keeper-unknown.ts'

/** Only who keeps logs takes submissions, and so may find that one is stuck. What is being looked up is decided when the disk has answered. */
export function onSealAsk(state: LogKeeperState, { group, founder, toward }: MessageOf<'seal-ask'>, from: Delivery['from'], context: ActorContext): Effect[] {
  if (state.roster?.replicas.some(({ peer }) => peer === from.peer) !== true) return []
  const asked: SealAsked = { group, founder, toward, to: from }
  const unwritten = notYetWritten(state, group)
  if (unwritten !== undefined || state.groups.has(group) || state.damaged.has(group)) return decide(state, asked, unwritten, context)
  const { asked: waiting, effects } = recall(state, group)
  waiting.seals.push(asked)
  return effects
}

/** The members' own messages come first: if one of them brings a copy, there is one. */
export function onRecalledForSeals(init: LogKeeperInit, state: LogKeeperState, recalled: Recalled, context: ActorContext): Effect[] {
  const seals = state.recalling.get(recalled.group)?.seals ?? []
  const effects = onRecalled(init, state, recalled, context)
  if (recalled.fault !== undefined) return effects
  return [...effects, ...seals.flatMap((asked) => decide(state, asked, notYetWritten(state, asked.group) ?? recalled, context))]
}

function decide(state: LogKeeperState, asked: SealAsked, known: Recalled | undefined, context: ActorContext): Effect[] {
  const group = state.groups.get(asked.group)
  if (state.incarnation === undefined || state.damaged.has(asked.group) || asked.founder === context.self.peer) return [answer(asked, false)]
  if (group !== undefined) return isEmpty(group) && group.incarnation === asked.toward ? seal(state, asked, headOf(group.raft), context) : [answer(asked, false)]
  if (known?.former?.sealed !== undefined) return promised(state, asked, known.former)
  if (known?.former?.voted !== undefined) return known.former.voted.as === asked.toward ? seal(state, asked, known.former.voted.head, context) : [answer(asked, false)]
  // In another life it may have had a copy.
  if (known?.ended !== undefined || known?.former !== undefined || asked.toward !== state.incarnation) return [answer(asked, false)]
  return seal(state, asked, undefined, context)
}

/** Sealed before: told again, but not before it is synced. */
function promised(state: LogKeeperState, asked: SealAsked, { group, sealed }: FormerCopy): Effect[] {
  if (sealed?.as !== asked.toward) return [answer(asked, false)]
  if (![...state.waitingFormer, ...state.writingFormer].some((former) => former.group === group)) return [answer(asked, true)]
  state.sealing = [...state.sealing, asked]
  return []
}

function answer({ group, toward, to }: SealAsked, sealed: boolean): Effect {
  return tell(to, { kind: 'sealed', group, as: toward, sealed })
}

/** @param head for whom it had voted: if the sealing fails, it does not vote again */
function seal(state: LogKeeperState, asked: SealAsked, head: LogHead | undefined, context: ActorContext): Effect[] {
  state.sealing = [...state.sealing, asked]
  return [...giveUp(state, asked, head, context), fact('info', 'group.sealed', { group: asked.group, founder: asked.founder })]
}

function giveUp(state: LogKeeperState, { group, founder, toward }: Omit<SealAsked, 'to'>, head: LogHead | undefined, context: ActorContext): Effect[] {
  const had = state.groups.delete(group)
  state.waitingRemoved.push(group)
  state.waitingFormer.push({ ...formerCopy(group, undefined, context), sealed: { as: toward, founder, ...(head === undefined ? {} : { head }) }, untilWallMs: context.wallMs + limits.sealedCopyKeptMs })
  return [{ type: 'clear-timer', key: `raft ${group}` }, tell(at(context.self.peer, actorNames.missions), { kind: 'group-sealed', group }), ...(had ? [fact('info', 'group.left', { group })] : [])]
}

/** Seals that are on this disk by now. */
export function tellSealed(state: LogKeeperState, synced: readonly FormerCopy[]): Effect[] {
  const groups = new Set(synced.map(({ group }) => group))
  const due = state.sealing.filter(({ group }) => groups.has(group))
  if (due.length > 0) state.sealing = state.sealing.filter(({ group }) => !groups.has(group))
  return due.map((asked) => answer(asked, true))
}

/**
 * From a member that has sealed a log that is here. Once all the other voters have, it goes: leading it or not, its founder is the only
 * one that has it. What was to be appended may be asked for again: its key names another mission, or will.
 */
export function onSealed(state: LogKeeperState, { group: missionId, as, sealed }: MessageOf<'sealed'>, from: PeerId, context: ActorContext): Effect[] {
  const group = state.groups.get(missionId)
  if (!sealed || group === undefined) return []
  const { membership, commit } = viewOf(group.raft)
  if (membership === undefined || membership.outgoing !== undefined || commit > 0) return []
  if (!membership.voters.some(({ peer, incarnation }) => peer === from && incarnation === as)) return []
  group.sealedBy = new Set([...group.sealedBy, from])
  if (!membership.voters.every(({ peer }) => peer === context.self.peer || group.sealedBy.has(peer))) return []
  const problem = fault('fenced', `${missionId} was sealed while this node could not be reached: nothing of it can be committed`, { retryable: true, next: 'try again with the same key' })
  const refused = [...group.askers.values()].map(({ to, tag }) => tell(to, { kind: 'appended', tag, fault: problem }))
  return [...giveUp(state, { group: missionId, founder: context.self.peer, toward: group.incarnation }, undefined, context), ...refused]
}
