/**
 * Owns one composite task: attaches to the mission's log, plans its children (or finds them planned), lets contracts for
 * them, watches their leases, and hands the synthesis to its parent. Everything it decides is proposed to the mission's
 * owner, fenced by the manager's own award, and counts once that has committed it; a successor attaches to the same events and carries on.
 * Only a pure task may begin on another node meanwhile.
 */
import { rankAgain } from '../../protocols/bidding/offer-book.ts'
import { fault } from '../../protocols/kernel/errors.ts'
import type { ActorAddress, AwardId, TaskId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { adopt, isFenced, isForgettable, newHolder, outcomeDue, pulse, renewal, renewed, sayAgain, stillWanted } from '../../protocols/leasing/holder.ts'
import { liveAttempt } from '../../protocols/tasking/mission-state.ts'
import type { MessageOf } from '../../protocols/wire.ts'
import { actorNames, at } from '../names.ts'
import type { SkillRunEvent } from '../ports/skill-runner.ts'
import type { ActorContext, Behaviour, Delivery } from '../runtime/actor.ts'
import { tell, type Effect } from '../runtime/effects.ts'
import { advance, finishGiven } from './manager-advance.ts'
import { onProposal } from './manager-awarding.ts'
import { drive, onOffers, withdrawUndecided } from './manager-calls.ts'
import { indexChildren } from './manager-children.ts'
import { noteContested, onOffersChanged, stopTendering } from './manager-offers.ts'
import { onCheckpoint } from './manager-checkpoints.ts'
import { claimAgain, endAward, onAwardRefused, onConfirm, onHolding, onPeerDown, waitsForCommit } from './manager-contracts.ts'
import { cancelAll, end, handBack } from './manager-ending.ts'
import { attachAgain, baseTag, onAttached, onBaseLoaded, onRecorded, onRecordRefused, resend } from './manager-log.ts'
import { onOutcome, onRenew, onSilence, settle } from './manager-outcomes.ts'
import { complete, fail, onPlan, onPlannedInput, onPlanOffers, onStepDone, tellDue } from './manager-planning.ts'
import { flushSaid } from './manager-says.ts'
import { onInputResolved, onValueForInput } from './manager-preparing.ts'
import { endCalls, onCallAnswered, onSkillCall, withCallsOf } from './skill-calls.ts'
import { attach, childrenOf, heldBy, newManagerState, taskIdOf, taskOf, type ManagerInit, type ManagerState, type SkillInProgress } from './manager-state.ts'

const recordRetryMs = 2_000
/** How often a paused manager looks whether it still is: the word to go on may have been lost with a connection. */
const pausedLookMs = 5_000

export function manager(init: ManagerInit): Behaviour<ManagerState> {
  return {
    kind: 'manager',
    supervision: 'restart',
    start(context) {
      const state = newManagerState(init, init.award === undefined ? undefined : newHolder(init.award, context.nowMs), context.nowMs)
      return { state, effects: [tell(at(context.self.peer, actorNames.directory), { kind: 'watch-peers' }), attach(state, context), nextTick()] }
    },
    receive: (state, delivery, context) => receive(state, delivery, context),
    endTurn: (state, context) => [...(state.mayAdvance ? advance(state, context) : []), ...flushSaid(state, context)],
    holds: heldBy,
  }
}

function nextTick(): Effect {
  return { type: 'set-timer', key: 'tick', delayMs: limits.pulseMs, message: { kind: 'tick' } }
}

function receive(state: ManagerState, given: Delivery, context: ActorContext): readonly Effect[] {
  const delivery: Delivery = given.message.kind === 'passed-on' ? { ...given, message: given.message.message, from: given.message.from } : given
  const { message, from } = delivery
  switch (message.kind) {
    // ---- the mission's owner
    case 'attached':
      return from.peer === state.orchestrator.peer ? onAttached(state, message, context) : []
    case 'recorded':
      return from.peer === state.orchestrator.peer ? onRecorded(state, message.requestId, message.firstIndex, context) : []
    case 'record-refused':
      return from.peer === state.orchestrator.peer ? onRecordRefused(state, message, context) : []
    // ---- contractors
    case 'propose':
      return message.participant.peer === from.peer ? onProposal(state, message, context) : []
    case 'refuse':
      stopTendering(state, message.refusals)
      noteContested(state, from.peer, message.refusals, context)
      return drive(state, { type: 'refuse', peer: from.peer, name: message.name, refusals: message.refusals }, context)
    case 'offers-changed':
      return onOffersChanged(state, from.peer, message.offers, context)
    case 'confirm':
      return message.awardIds.flatMap((awardId) => (waitsForCommit(state, awardId, { kind: 'confirm', awardIds: [awardId] }, from, context) ? [] : onConfirm(state, awardId, from.peer, context)))
    case 'refuse-award':
      return waitsForCommit(state, message.awardId, message, from, context) ? [] : onAwardRefused(state, from.peer, message.awardId, message.refusal, context)
    case 'renew':
      return onRenew(state, message, from, context)
    case 'checkpoint':
      return onCheckpoint(state, message, from, context)
    case 'holding':
      return message.worker.peer === from.peer ? onHolding(state, message.awardId, message.worker, context) : []
    case 'not-holding':
      return onNotHolding(state, message.awardId, from, context)
    case 'hand-back':
      if (waitsForCommit(state, message.awardId, message, from, context)) return []
      return state.contracts.get(message.awardId)?.peer === from.peer ? endAward(state, message.awardId, 'lost', fault('lost-worker', message.reason), context) : []
    case 'inform':
      return message.results.flatMap((result) => (waitsForCommit(state, result.awardId, { kind: 'inform', results: [result] }, from, context) ? [] : onOutcome(state, { kind: 'result', ...result }, delivery, context)))
    case 'failure':
      return waitsForCommit(state, message.awardId, message, from, context) ? [] : onOutcome(state, message, delivery, context)
    case 'peer-down':
      return state.fold === undefined ? [] : [...onPeerDown(state, message.peer, context), ...advance(state, context)]
    case 'peer-up':
      if (message.peer === state.holder?.manager.peer) sayAgain(state.holder)
      return [...(message.peer === state.orchestrator.peer ? resend(state, context, 0) : []), ...(state.fold === undefined ? [] : claimAgain(state, message.peer, context)), ...sendOutcome(state, context)]
    // ---- its own parent
    case 'control':
      return isAbove(state, from, context) ? onControl(state, message, context) : []
    case 'renewed':
      if (state.holder !== undefined && isAbove(state, from, context)) renewed(state.holder, message.round, message.leaseMs, context.nowMs)
      return []
    case 'adopt':
      return message.manager.peer === from.peer ? onAdopt(state, message, context) : []
    case 'acknowledge':
      return state.holder !== undefined && isAbove(state, from, context) && message.awardIds.includes(state.init.awardId) ? end(state, context) : []
    case 'cancel':
      if (state.holder !== undefined && isFenced(state.holder, message.epoch)) return []
      // This node's own desk passes on what the mission's owner of now says.
      return isAbove(state, from, context) || from.peer === state.orchestrator.peer || from.peer === context.self.peer ? cancelAll(state, message.reason, context) : []
    case 'drain':
      return state.phase === 'finished' ? [] : handBack(state, context)
    // ---- effects
    case 'skill-event':
      return state.skill !== undefined && message.runId === state.skill.runId ? onSkill(state, state.skill, message.event, context) : []
    case 'invoke-placed':
    case 'invoke-chunk':
    case 'invoke-done':
    case 'invoke-failed':
      return onCallAnswered(state.skill?.calls, message)
    case 'offers':
      if (message.tag === 'plan') return onPlanOffers(state, message.offers, context)
      return state.fold === undefined ? [] : onOffers(state, message.tag, message.offers, context)
    case 'assessments':
      for (const [peer, assessment] of message.assessments) {
        state.assessments.set(peer, assessment)
        rankAgain(state.offers, peer)
      }
      return []
    case 'value-loaded':
    case 'value-stored':
      return onValue(state, message, context)
    case 'tick':
      if (message.what === 'auction') {
        state.mayAdvance = true
        return drive(state, { type: 'tick' }, context)
      }
      return message.what === 'hand-back' ? handBack(state, context) : onTick(state, context)
    default:
      return []
  }
}

/** A composite task's manager answers to whoever awarded it, the root's manager to the owner on its own node. */
function isAbove(state: ManagerState, from: ActorAddress, context: ActorContext): boolean {
  return from.peer === (state.holder?.manager.peer ?? context.self.peer)
}

function onNotHolding(state: ManagerState, awardId: AwardId, from: ActorAddress, context: ActorContext): Effect[] {
  const taskId = taskIdOf(awardId, state)
  if (taskId === undefined || !state.adopting.has(awardId) || liveAttempt(taskOf(state, taskId))?.award.worker !== from.peer) return []
  return endAward(state, awardId, 'lost', fault('lost-worker', 'the worker does not have the award any more'), context)
}

function onControl(state: ManagerState, message: MessageOf<'control'>, context: ActorContext): Effect[] {
  if (state.phase === 'finished') return []
  if (state.fold === undefined) {
    state.stale = true
    return []
  }
  const passedOn = childrenOf(state).flatMap((child) => {
    const award = child.spec.kind === 'composite' ? liveAttempt(child)?.award : undefined
    return award === undefined ? [] : [tell(at(award.worker, actorNames.award(award.awardId)), message)]
  })
  switch (message.action) {
    case 'pause':
      state.paused = true
      return [...passedOn, ...withdrawUndecided(state, context)]
    case 'resume':
      state.paused = false
      return [...passedOn, ...advance(state, context)]
    case 'change':
      // The limits may have changed with the priority: the owner tells.
      state.priority = message.priority ?? state.priority
      return [...passedOn, ...withdrawUndecided(state, context), ...advance(state, context), attach(state, context)]
    case 'retry':
      return [...passedOn, ...attachAgain(state, context)]
  }
}

function onAdopt(state: ManagerState, message: MessageOf<'adopt'>, context: ActorContext): Effect[] {
  const { holder } = state
  if (holder === undefined || !adopt(holder, message, context.nowMs)) return [tell(message.manager, { kind: 'not-holding', awardId: message.awardId })]
  state.orchestrator = message.orchestrator
  state.epoch = message.epoch
  if (state.fold !== undefined) state.fold.epoch = message.epoch
  return [tell(message.manager, { kind: 'holding', awardId: message.awardId, worker: context.self }), ...resend(state, context, 0), ...sendOutcome(state, context)]
}

function sendOutcome({ holder }: ManagerState, context: ActorContext): Effect[] {
  const due = holder === undefined ? undefined : outcomeDue(holder, context.nowMs)
  return holder === undefined || due === undefined ? [] : [tellDue(holder, due)]
}

// ---- effects and time ---------------------------------------------------------------------------------------------

function onSkill(state: ManagerState, skill: SkillInProgress, event: SkillRunEvent, context: ActorContext): Effect[] {
  switch (event.type) {
    case 'started':
    case 'pulse':
    case 'chunk':
      if (state.holder !== undefined) pulse(state.holder, undefined, event.type === 'pulse' ? event.text : undefined)
      return []
    case 'checkpoint':
      // A step is begun anew by a successor: nothing of it is kept.
      if (state.holder !== undefined) pulse(state.holder, undefined, undefined)
      return event.number === undefined ? [] : [{ type: 'tell-committed', runId: skill.runId, number: event.number }]
    case 'call':
    case 'call-cancelled':
      return onSkillCall(skill.calls, event, context)
    case 'failed':
    case 'done': {
      const ended = endCalls(skill.calls, context)
      const { costUsd } = withCallsOf(skill.calls, event.stats)
      state.unbilledUsd = Math.min(limits.usdMax, state.unbilledUsd + costUsd)
      state.skill = undefined
      return [...ended, ...(event.type === 'failed' ? fail(state, event.fault, context) : onStepDone(state, skill, event.output, context))]
    }
  }
}

function onValue(state: ManagerState, message: Extract<Delivery['message'], { kind: 'value-loaded' | 'value-stored' }>, context: ActorContext): Effect[] {
  const space = message.tag.indexOf(' ')
  const what = space < 0 ? message.tag : message.tag.slice(0, space)
  const which = message.tag.slice(space + 1)
  if (what === baseTag && message.kind === 'value-loaded') return onBaseLoaded(state, message.value, context)
  if (state.fold === undefined || state.phase === 'finished') return []
  if (message.fault !== undefined) {
    if (what === 'check') return endAward(state, (JSON.parse(which) as { awardId: AwardId }).awardId, 'failed', message.fault, context)
    return fail(state, { ...message.fault, retryable: state.holder !== undefined }, context)
  }
  if (message.kind === 'value-loaded') {
    if (what === 'plan') return onPlan(state, message.value ?? null, context)
    if (what === 'check') return settle(state, JSON.parse(which) as Parameters<typeof settle>[1], message.value, context)
    state.values.set(which, message.value ?? null)
    state.loading.delete(which)
    const waiting = onValueForInput(state, context)
    return waiting.length > 0 || state.preparing.size > 0 || state.init.award !== undefined ? waiting : finishGiven(state, context)
  }
  if (message.payload === undefined) return []
  if (what === 'planned') return onPlannedInput(state, which, message.payload, context)
  if (what === 'resolved') return onInputResolved(state, which as TaskId, message.payload, context)
  return complete(state, message.payload, context)
}

function onTick(state: ManagerState, context: ActorContext): Effect[] {
  const { holder } = state
  const effects: Effect[] = [nextTick(), ...resend(state, context, recordRetryMs)]
  if (holder !== undefined) {
    if (isForgettable(holder, context.nowMs)) return end(state, context)
    // A manager runs on the node's loop, so its own turn is its pulse; a planning or synthesising skill has one of its own.
    if (state.skill === undefined) pulse(holder, undefined, undefined)
    const round = state.renewals++
    const lease = renewal(holder, round, context.nowMs)
    if (lease !== undefined) effects.push(tell(holder.manager, { kind: 'renew', round, leases: [lease] }))
    effects.push(...sendOutcome(state, context))
    const question = stillWanted(holder, context.nowMs)
    if (question !== undefined) effects.push(tell(at(context.self.peer, actorNames.missions), question))
  }
  if (state.fold === undefined || state.phase === 'finished') return effects
  if (state.paused && context.nowMs - state.attachSentAtMs >= pausedLookMs) effects.push(attach(state, context))
  indexChildren(state)
  return [...effects, ...onSilence(state, context), ...advance(state, context)]
}
