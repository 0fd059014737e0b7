/** A manager and the mission's log: what it is sent when it attaches, what becomes of the events it proposes. */
import { fault } from '../../protocols/kernel/errors.ts'
import type { AwardId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { withHolder, type Json } from '../../protocols/kernel/payload.ts'
import { judgeEvent } from '../../protocols/tasking/append-rules.ts'
import { decodeFold } from '../../protocols/tasking/fold-snapshot.ts'
import { applyEvent, foldEvents, type MissionFold } from '../../protocols/tasking/mission-state.ts'
import type { IndexedEvent, MissionEvent } from '../../protocols/tasking/schema.ts'
import type { MessageOf } from '../../protocols/wire.ts'
import type { ActorContext } from '../runtime/actor.ts'
import { fact, type Effect } from '../runtime/effects.ts'
import { advance } from './manager-advance.ts'
import { closeCall, withdrawCalls, withdrawUndecided } from './manager-calls.ts'
import { indexChildren, noteChild } from './manager-children.ts'
import { onCheckpointCommitted, onCheckpointRefused } from './manager-checkpoints.ts'
import { adoptLiveAwards, callOff, endAward, onAwardCommitted } from './manager-contracts.ts'
import { cancelAll, end, stopSkill } from './manager-ending.ts'
import { fail, startPlanning } from './manager-planning.ts'
import { freePlace } from './manager-offers.ts'
import { newSaid } from './manager-said.ts'
import { proposeAgain, recordMessage } from './manager-says.ts'
import { attach, foldOf, record, settleRecord, taskOf, type ManagerState } from './manager-state.ts'

export function onAttached(state: ManagerState, message: MessageOf<'attached'>, context: ActorContext): Effect[] {
  if (state.phase === 'finished') return []
  if (state.phase !== 'attaching') return message.last ? onRefreshed(state, message, context) : []
  state.attachEvents.push(...message.events)
  state.attachBase = message.base ?? state.attachBase
  if (!message.last) return []
  const base = state.attachBase
  if (base === undefined || 'inline' in base) return begin(state, message, base?.inline, context)
  state.attached = message
  return [{ type: 'load-value', payload: base, alsoTry: [state.orchestrator.peer], tag: baseTag }]
}

export const baseTag = 'base'

/** What the events come after has been fetched. When it cannot be had, the owner is asked again in time. */
export function onBaseLoaded(state: ManagerState, base: Json | undefined, context: ActorContext): Effect[] {
  const message = state.attached
  return state.phase !== 'attaching' || message === undefined || base === undefined ? [] : begin(state, message, base, context)
}

/** Everything is there: the part of the mission that is this manager's is folded, and its work begins or goes on. */
function begin(state: ManagerState, message: MessageOf<'attached'>, base: Json | undefined, context: ActorContext): Effect[] {
  // Frames of two answers may have come: each is complete and in order, so together they hold every event at least once.
  const events = [...new Map(state.attachEvents.map((indexed) => [indexed.index, indexed])).values()].sort((left, right) => left.index - right.index)
  Object.assign(state, { attachEvents: [], attachBase: undefined, attached: undefined })
  if (state.stale) {
    state.stale = false
    return [attach(state, context)]
  }
  state.fold = base === undefined ? foldEvents(events) : foldAfter(base, events)
  takeTerms(state, message, context)
  indexChildren(state)
  const task = taskOf(state, state.init.taskId)
  if (!task.planned) return startPlanning(state, context)
  state.phase = 'running'
  return [...adoptLiveAwards(state, context), ...advance(state, context)]
}

function foldAfter(base: Json, events: readonly IndexedEvent[]): MissionFold {
  const fold = decodeFold(base)
  for (const { index, event } of events) if (index > fold.lastIndex) applyEvent(fold, event, index)
  return fold
}

/** The mission's terms as its owner has them now. */
function takeTerms(state: ManagerState, message: MessageOf<'attached'>, context: ActorContext): void {
  const fold = foldOf(state)
  // Of the mission's own state a manager keeps only these: the owner judges by the rest.
  Object.assign(fold, { limits: message.limits, epoch: message.epoch, paused: false, cancelling: false })
  // The mission's priority overrides its tasks' own once somebody has changed it.
  const submitted = fold.tasks.get(fold.tasks.has(rootId) ? rootId : state.init.taskId)?.spec.priority
  Object.assign(state, { epoch: message.epoch, paused: message.paused, leavesLeft: message.leavesLeft, deadlineAtMs: context.nowMs + message.remainingMs, priority: message.priority === submitted ? undefined : message.priority })
}

const rootId = 'root' as ManagerState['init']['taskId']

/** A manager at work asked for the terms alone. */
function onRefreshed(state: ManagerState, message: MessageOf<'attached'>, context: ActorContext): Effect[] {
  takeTerms(state, message, context)
  return state.paused ? withdrawUndecided(state, context) : advance(state, context)
}

export function onRecorded(state: ManagerState, requestId: number, firstIndex: number, context: ActorContext): Effect[] {
  const events = state.fold === undefined ? undefined : settleRecord(state, requestId)?.flat()
  if (events === undefined) return []
  const effects: Effect[] = []
  for (const [i, proposed] of events.entries()) {
    // The owner has made what it cites its own before it appended it. Those who named it first may be gone when it is needed.
    const event = withHolder(proposed, state.orchestrator.peer)
    const verdict = judgeEvent(foldOf(state), event, state.init.taskId)
    if (typeof verdict === 'object') return [...effects, ...resync(state, verdict.detail, context)]
    if (verdict === 'apply') applyEvent(foldOf(state), event, firstIndex + i)
    noteChanged(state, event)
    effects.push(...onCommitted(state, { index: firstIndex + i, event }, context))
    if (state.phase === 'finished') return effects
  }
  state.mayAdvance = true
  return effects
}

function noteChanged(state: ManagerState, event: MissionEvent): void {
  if (event.type === 'planned') indexChildren(state)
  else if (event.type === 'awarded') noteChild(state, event.award.taskId)
  else if (event.type !== 'checkpointed' && 'taskId' in event) noteChild(state, event.taskId)
}

/** What follows from an event that is in the log. */
function onCommitted(state: ManagerState, { event }: IndexedEvent, context: ActorContext): Effect[] {
  switch (event.type) {
    case 'planned':
      state.phase = 'running'
      return []
    case 'awarded':
      return onAwardCommitted(state, event.award.awardId, context)
    case 'award-ended':
      acknowledge(state, event.awardId)
      return []
    case 'checkpointed':
      return onCheckpointCommitted(state, event.awardId)
    case 'accepted': {
      if (event.taskId === state.init.taskId) return end(state, context)
      const contract = state.contracts.get(event.awardId)
      for (const table of [state.contracts, state.leases, state.adopting]) table.delete(event.awardId)
      freePlace(state, event.awardId)
      if (contract !== undefined) state.said.outcomes.push({ peer: contract.peer, good: true, promisedMs: contract.promised.estimatedFinishMs, actualMs: context.nowMs - contract.sinceMs, samples: contract.adopted ? 0 : contract.promised.breakdown?.samples ?? 0 })
      acknowledge(state, event.awardId)
      return []
    }
    case 'dead':
      return event.taskId === state.init.taskId ? end(state, context) : closeCall(state, event.taskId, context)
    default:
      return []
  }
}

function acknowledge(state: ManagerState, awardId: AwardId): void {
  const settling = state.settling.get(awardId)
  state.settling.delete(awardId)
  if (settling !== undefined) state.said.acknowledged.push({ to: settling, awardId })
}

export function onRecordRefused(state: ManagerState, message: MessageOf<'record-refused'>, context: ActorContext): Effect[] {
  const groups = settleRecord(state, message.requestId)
  const { code, detail } = message.fault
  // Fenced: a successor has the task, and the children with it. This manager only has to go.
  if (code === 'fenced') return [fact('info', 'manager.fenced', { task: state.init.taskId, detail }), ...end(state, context)]
  // The mission is over, and everything of it that still runs.
  if (code === 'cancelled') return [fact('info', 'manager.over', { task: state.init.taskId, detail }), ...cancelAll(state, detail, context)]
  if (groups === undefined) return []
  // Which of them it was the owner does not say: each is proposed alone.
  if (groups.length > 1) return groups.flatMap((group) => proposeAgain(state, group, context))
  const events = groups.flat()
  const checkpointed = events.find((event): event is Extract<MissionEvent, { type: 'checkpointed' }> => event.type === 'checkpointed')
  if (checkpointed !== undefined) return onCheckpointRefused(state, checkpointed.awardId, message.fault)
  const awarded = events.find((event): event is Extract<MissionEvent, { type: 'awarded' }> => event.type === 'awarded')
  const accepted = events.find((event): event is Extract<MissionEvent, { type: 'accepted' }> => event.type === 'accepted')
  if (events.some((event) => event.type === 'planned')) return fail(state, { ...message.fault, retryable: false }, context)
  if (awarded !== undefined && code === 'over-limit') {
    const { awardId, worker } = awarded.award
    const begun = state.committing.get(awardId)?.sentAtMs !== undefined
    state.committing.delete(awardId)
    state.settling.delete(awardId)
    freePlace(state, awardId)
    return [...(begun ? [callOff(state, { awardId, worker }, detail)] : []), ...closeCall(state, awarded.award.taskId, context), ...record(state, [{ type: 'dead', atWallMs: context.wallMs, taskId: awarded.award.taskId, fault: { ...message.fault, retryable: false } }])]
  }
  // A result whose content cannot be had is no result.
  if (accepted !== undefined && (code === 'unknown-blob' || code === 'bad-request')) {
    const problem = fault('bad-output', code === 'unknown-blob' ? `the result cites content that cannot be fetched: ${detail}` : `the result cannot be stored: ${detail}`)
    return accepted.taskId === state.init.taskId ? fail(state, problem, context) : endAward(state, accepted.awardId, 'failed', problem, context)
  }
  // It was proposed ahead, and its award was refused, or had to be proposed once more.
  if (accepted !== undefined && accepted.taskId !== state.init.taskId && !taskOf(state, accepted.taskId).attempts.some(({ award }) => award.awardId === accepted.awardId)) {
    if (state.committing.has(accepted.awardId)) return proposeAgain(state, events, context)
    state.settling.delete(accepted.awardId)
    return []
  }
  return resync(state, detail, context)
}

/** The owner's picture is another than this manager's: it has no use for its own. */
function resync(state: ManagerState, detail: string, context: ActorContext): Effect[] {
  // One that comes right after another would go round for ever if the two pictures never agreed: the tick asks then.
  const eager = context.nowMs - state.attachSentAtMs >= limits.pulseMs
  return [fact('warn', 'manager.resync', { task: state.init.taskId, detail }), ...attachAgain(state, context, eager)]
}

/** Forgets what it believed and folds the owner's events again; live awards are asked for by their ids. */
export function attachAgain(state: ManagerState, context: ActorContext, eager = true): Effect[] {
  if (state.phase === 'finished') return []
  if (state.phase === 'attaching') {
    state.stale = true
    return []
  }
  const left = [...withdrawCalls(state, context), ...stopSkill(state, 'the mission was changed', context)]
  Object.assign(state, { phase: 'attaching', fold: undefined, unsettled: 0, said: newSaid(), draft: undefined, attachEvents: [], attachBase: undefined, attached: undefined })
  for (const collection of [state.leases, state.adopting, state.records, state.unsettledOf, state.committing, state.contracts, state.preparing, state.inputs, state.questions, state.loading, state.settling, state.checkpoints, state.places.of, state.places.taken]) collection.clear()
  return eager ? [...left, attach(state, context)] : left
}

/** Sends again what was not answered for `olderThanMs`. */
export function resend(state: ManagerState, context: ActorContext, olderThanMs: number): Effect[] {
  const effects: Effect[] = []
  for (const [requestId, pending] of state.records) {
    if (context.nowMs - pending.sentAtMs < olderThanMs) continue
    pending.sentAtMs = context.nowMs
    effects.push(recordMessage(state, requestId, pending.groups))
  }
  if (state.phase === 'attaching' && context.nowMs - state.attachSentAtMs >= Math.max(olderThanMs, 1)) effects.push(attach(state, context))
  return effects
}
