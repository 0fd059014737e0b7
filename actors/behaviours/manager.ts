/**
 * Owns one composite task: attaches to the mission's log, plans its children (or finds them planned), lets contracts for
 * them, watches their leases, and hands the synthesis to its parent. Everything it decides is committed by the mission's
 * owner first, fenced by the manager's own award; a successor attaches to the same events and carries on.
 */
import { fault } from '../../protocols/kernel/errors.ts'
import type { ActorAddress, AwardId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { adopt, isForgettable, newHolder, outcomeDue, pulse, renewal, renewed } from '../../protocols/leasing/holder.ts'
import { expiredLeases, renewLease } from '../../protocols/leasing/lease.ts'
import { failedCheck } from '../../protocols/tasking/acceptance.ts'
import { applyEvent, foldEvents, isTerminal, liveAttempt } from '../../protocols/tasking/mission-state.ts'
import type { IndexedEvent, MissionEvent, ProgressNote } from '../../protocols/tasking/schema.ts'
import type { MessageOf } from '../../protocols/wire.ts'
import { actorNames, at } from '../names.ts'
import type { SkillRunEvent } from '../ports/skill-runner.ts'
import type { ActorContext, Behaviour, Delivery } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'
import { adoptLiveAwards, closeCall, drive, endAward, onAwardCommitted, onAwardRefused, onConfirm, onHolding, onInputResolved, onPeerDown, onValueForInput, openCalls, startReadyTasks, taskIdOf, withdrawCalls } from './manager-contracts.ts'
import { complete, fail, finishIfDone, onPlan, onPlannedInput, onPlanOffers, startPlanning, synthesiseGiven } from './manager-planning.ts'
import { childrenOf, foldOf, newManagerState, note, record, taskOf, type ManagerInit, type ManagerState } from './manager-state.ts'

const recordRetryMs = 2_000

export function manager(init: ManagerInit): Behaviour<ManagerState> {
  return {
    kind: 'manager',
    supervision: 'restart',
    start(context) {
      const state = newManagerState(init, init.award === undefined ? undefined : newHolder(init.award, context.nowMs), context.nowMs)
      return { state, effects: [tell(at(context.self.peer, actorNames.directory), { kind: 'watch-peers' }), attach(state), nextTick()] }
    },
    receive: (state, delivery, context) => receive(state, delivery, context),
  }
}

function nextTick(): Effect {
  return { type: 'set-timer', key: 'tick', delayMs: limits.pulseMs, message: { kind: 'tick' } }
}

function attach(state: ManagerState): Effect {
  return tell(state.orchestrator, { kind: 'attach', missionId: state.init.missionId, taskId: state.init.taskId, awardId: state.init.awardId }, state.init.principal)
}

function receive(state: ManagerState, { message, from }: Delivery, context: ActorContext): readonly Effect[] {
  switch (message.kind) {
    // ---- the mission's owner
    case 'attached':
      return onAttached(state, message, context)
    case 'recorded':
      return onRecorded(state, message.requestId, message.firstIndex, context)
    case 'record-refused':
      return onRecordRefused(state, message, context)
    case 'control':
      return onControl(state, message, context)
    // ---- contractors
    case 'propose':
      return drive(state, { type: 'propose', peer: from.peer, participant: message.participant, name: message.name, bids: message.bids }, context)
    case 'refuse':
      return drive(state, { type: 'refuse', peer: from.peer, name: message.name, refusals: message.refusals }, context)
    case 'confirm':
      return onConfirm(state, message.awardId, context)
    case 'refuse-award':
      return onAwardRefused(state, from.peer, message.awardId, message.refusal, context)
    case 'renew':
      return onRenew(state, message, from, context)
    case 'holding':
      return onHolding(state, message.awardId, message.worker, context)
    case 'not-holding':
      return state.adopting.has(message.awardId) ? endAward(state, message.awardId, 'lost', fault('lost-worker', 'the worker does not have the award any more'), context) : []
    case 'hand-back':
      return holds(state, message.awardId, from) ? endAward(state, message.awardId, 'lost', fault('lost-worker', message.reason), context) : []
    case 'inform':
    case 'failure':
      return onOutcome(state, message, from, context)
    case 'peer-down':
      return state.fold === undefined ? [] : [...onPeerDown(state, message.peer, context), ...advance(state, context)]
    // ---- its own parent
    case 'renewed':
      if (state.holder !== undefined) renewed(state.holder, message.leaseMs, context.nowMs)
      return []
    case 'adopt':
      return onAdopt(state, message, context)
    case 'acknowledge':
      return state.holder !== undefined && from.peer === state.holder.manager.peer ? end(state, context) : []
    case 'cancel':
      return state.holder === undefined || from.peer === state.holder.manager.peer ? cancelAll(state, message.reason, context) : []
    case 'drain':
      return state.holder === undefined || state.phase === 'finished' ? [] : handBack(state, context)
    // ---- effects
    case 'skill-event':
      return onSkill(state, message.runId, message.event, context)
    case 'offers':
      return message.tag === 'plan' ? onPlanOffers(state, message.offers, context) : state.fold === undefined ? [] : openCalls(state, message.tag, message.offers, context)
    case 'value-loaded':
    case 'value-stored':
      return onValue(state, message, context)
    case 'tick':
      if (message.what === 'auction') return drive(state, { type: 'tick' }, context)
      return message.what === 'hand-back' ? handBack(state, context) : onTick(state, context)
    default:
      return []
  }
}

// ---- the log ------------------------------------------------------------------------------------------------------

function onAttached(state: ManagerState, message: MessageOf<'attached'>, context: ActorContext): Effect[] {
  if (state.phase !== 'attaching') return []
  state.attachEvents.push(...message.events)
  if (!message.last) return []
  const events = state.attachEvents.sort((left, right) => left.index - right.index)
  Object.assign(state, { fold: foldEvents(events), attachEvents: [], epoch: message.epoch, paused: message.paused, leavesLeft: message.leavesLeft, deadlineAtMs: context.nowMs + message.remainingMs })
  foldOf(state).limits = message.limits
  const task = taskOf(state, state.init.taskId)
  if (!task.planned) return startPlanning(state, context)
  state.phase = 'running'
  return [...adoptLiveAwards(state, context), ...advance(state, context)]
}

function onRecorded(state: ManagerState, requestId: number, firstIndex: number, context: ActorContext): Effect[] {
  const pending = state.records.get(requestId)
  if (pending === undefined || state.fold === undefined) return []
  state.records.delete(requestId)
  const effects: Effect[] = []
  pending.events.forEach((event, i) => effects.push(...onCommitted(state, { index: firstIndex + i, event }, context)))
  return [...effects, ...advance(state, context)]
}

/** What follows from an event once it is in the log. */
function onCommitted(state: ManagerState, { index, event }: IndexedEvent, context: ActorContext): Effect[] {
  applyEvent(foldOf(state), event, index)
  switch (event.type) {
    case 'planned':
      state.phase = 'running'
      return []
    case 'awarded':
      return onAwardCommitted(state, event.award.awardId, context)
    case 'award-ended':
      return acknowledge(state, event.awardId)
    case 'accepted': {
      if (event.taskId === state.init.taskId) {
        state.phase = 'finished'
        return [...leaveDirectory(context), { type: 'stop-self' }]
      }
      const contract = state.contracts.get(event.awardId)
      state.contracts.delete(event.awardId)
      state.leases.delete(event.awardId)
      const learned: Effect[] = contract === undefined ? [] : [tell(at(context.self.peer, actorNames.directory), { kind: 'outcome-learned', peer: contract.peer, good: true, promisedMs: contract.promised.estimatedFinishMs, actualMs: context.nowMs - contract.sinceMs, samples: contract.promised.breakdown.samples })]
      return [...acknowledge(state, event.awardId), ...learned]
    }
    case 'dead':
      if (event.taskId !== state.init.taskId) return closeCall(state, event.taskId, context)
      state.phase = 'finished'
      return [...leaveDirectory(context), { type: 'stop-self' }]
    default:
      return []
  }
}

function acknowledge(state: ManagerState, awardId: AwardId): Effect[] {
  const settling = state.settling.get(awardId)
  state.settling.delete(awardId)
  return settling === undefined ? [] : [tell(settling, { kind: 'acknowledge', awardId })]
}

function onRecordRefused(state: ManagerState, message: MessageOf<'record-refused'>, context: ActorContext): Effect[] {
  const pending = state.records.get(message.requestId)
  state.records.delete(message.requestId)
  // Fenced: a successor has the task, and the children with it. This manager only has to go.
  if (message.fault.code === 'fenced') return [fact('info', 'manager.fenced', { task: state.init.taskId, detail: message.fault.detail }), ...end(state, context)]
  if (pending?.events.some((event) => event.type === 'planned') === true) return fail(state, { ...message.fault, retryable: false }, context)
  const awarded = pending?.events.find((event): event is Extract<MissionEvent, { type: 'awarded' }> => event.type === 'awarded')
  if (awarded !== undefined && message.fault.code === 'over-limit') {
    state.committing.delete(awarded.award.awardId)
    return [...closeCall(state, awarded.award.taskId, context), ...record(state, [{ type: 'dead', atWallMs: context.wallMs, taskId: awarded.award.taskId, fault: { ...message.fault, retryable: false } }], context)]
  }
  return [fact('warn', 'manager.resync', { task: state.init.taskId, code: message.fault.code, detail: message.fault.detail }), ...attachAgain(state, context)]
}

/** Forgets what it believed and folds the owner's events again; live awards are asked for by their ids. */
function attachAgain(state: ManagerState, context: ActorContext): Effect[] {
  const withdrawn = state.fold === undefined ? [] : withdrawCalls(state, context)
  state.phase = 'attaching'
  state.fold = undefined
  state.attachSentAtMs = context.nowMs
  for (const collection of [state.leases, state.adopting, state.records, state.committing, state.contracts, state.preparing, state.inputs, state.questions, state.loading, state.settling]) collection.clear()
  state.attachEvents = []
  return [...withdrawn, attach(state)]
}

function onControl(state: ManagerState, message: MessageOf<'control'>, context: ActorContext): Effect[] {
  if (state.fold === undefined) return []
  const passedOn = childrenOf(state).flatMap((child) => {
    const contract = child.spec.kind === 'composite' ? [...state.contracts].find(([awardId]) => taskIdOf(awardId, state) === child.spec.taskId)?.[1] : undefined
    return contract === undefined ? [] : [tell(contract.actor, message)]
  })
  switch (message.action) {
    case 'pause':
      state.paused = true
      return [...passedOn, ...withdrawCalls(state, context)]
    case 'resume':
      state.paused = false
      return [...passedOn, ...advance(state, context)]
    case 'change':
      state.priority = message.priority ?? state.priority
      return [...passedOn, ...withdrawCalls(state, context), ...advance(state, context)]
    case 'retry':
      return [...passedOn, ...attachAgain(state, context)]
  }
}

// ---- contractors --------------------------------------------------------------------------------------------------

function holds(state: ManagerState, awardId: AwardId, from: ActorAddress): boolean {
  return state.contracts.get(awardId)?.peer === from.peer
}

function onRenew(state: ManagerState, message: MessageOf<'renew'>, from: ActorAddress, context: ActorContext): Effect[] {
  const kept = message.leases.filter(({ awardId }) => renewLease(state.leases, awardId, from.peer, state.init.tuning.leaseMs, context.nowMs))
  if (kept.length === 0) return []
  const notes: ProgressNote[] = kept.flatMap(({ awardId, fraction, text }) => {
    const taskId = taskIdOf(awardId, state)
    return taskId === undefined || (fraction === undefined && text === undefined) ? [] : [{ taskId, note: 'progress' as const, worker: from.peer, ...(fraction === undefined ? {} : { fraction }), ...(text === undefined ? {} : { text }) }]
  })
  return [tell(from, { kind: 'renewed', awardIds: kept.map(({ awardId }) => awardId), leaseMs: state.init.tuning.leaseMs }), ...(notes.length > 0 ? [note(state, ...notes)] : [])]
}

/** A result or a failure. What is late or unknown is acknowledged, so that its holder can forget it, and counted. */
function onOutcome(state: ManagerState, message: MessageOf<'inform'> | MessageOf<'failure'>, from: ActorAddress, context: ActorContext): Effect[] {
  if (state.fold === undefined || state.settling.has(message.awardId)) return []
  const taskId = taskIdOf(message.awardId, state)
  const task = taskId === undefined ? undefined : taskOf(state, taskId)
  const newest = task?.attempts.at(-1)
  if (task === undefined || newest?.award.awardId !== message.awardId || newest.award.worker !== from.peer || isTerminal(task.state)) {
    return [tell(from, { kind: 'acknowledge', awardId: message.awardId }), fact('info', 'award.late-outcome', { award: message.awardId, outcome: message.kind })]
  }
  const confirmed = onConfirm(state, message.awardId, context)
  if (message.kind === 'failure') {
    if (newest.outcome !== 'running') return [...confirmed, tell(from, { kind: 'acknowledge', awardId: message.awardId })]
    state.settling.set(message.awardId, from)
    return [...confirmed, ...endAward(state, message.awardId, 'failed', message.fault, context)]
  }
  state.settling.set(message.awardId, from)
  const value = 'inline' in message.result ? message.result.inline : undefined
  if (task.spec.accept.length > 0 && value === undefined) {
    state.values.delete(`result ${message.awardId}`)
    return [...confirmed, { type: 'load-value', payload: message.result, alsoTry: [from.peer], tag: `check ${JSON.stringify({ awardId: message.awardId, result: message.result, cites: message.cites })}` }]
  }
  return [...confirmed, ...settle(state, message, value, context)]
}

function settle(state: ManagerState, { awardId, result, cites }: Pick<MessageOf<'inform'>, 'awardId' | 'result' | 'cites'>, value: unknown, context: ActorContext): Effect[] {
  const taskId = taskIdOf(awardId, state)
  if (taskId === undefined) return []
  const failed = failedCheck(taskOf(state, taskId).spec.accept, value)
  if (failed !== undefined) return endAward(state, awardId, 'failed', fault('bad-output', `the result was not accepted: ${failed}`), context)
  const contract = state.contracts.get(awardId)
  return [...closeCall(state, taskId, context), ...record(state, [{ type: 'accepted', atWallMs: context.wallMs, taskId, awardId, result, cites, tookMs: contract === undefined ? 0 : context.nowMs - contract.sinceMs }], context)]
}

// ---- its own parent -----------------------------------------------------------------------------------------------

function onAdopt(state: ManagerState, message: MessageOf<'adopt'>, context: ActorContext): Effect[] {
  const { holder } = state
  if (holder === undefined || !adopt(holder, message, context.nowMs)) return [tell(message.manager, { kind: 'not-holding', awardId: message.awardId })]
  state.orchestrator = message.orchestrator
  state.epoch = message.epoch
  const due = outcomeDue(holder, context.nowMs)
  return [tell(message.manager, { kind: 'holding', awardId: message.awardId, worker: context.self }), ...resend(state, context, 0), ...(due === undefined ? [] : [tell(holder.manager, due)])]
}

function resend(state: ManagerState, context: ActorContext, olderThanMs: number): Effect[] {
  const effects: Effect[] = []
  for (const [requestId, pending] of state.records) {
    if (context.nowMs - pending.sentAtMs < olderThanMs) continue
    pending.sentAtMs = context.nowMs
    effects.push(tell(state.orchestrator, { kind: 'record', missionId: state.init.missionId, taskId: state.init.taskId, awardId: state.init.awardId, requestId, events: [...pending.events] }, state.init.principal))
  }
  if (state.phase === 'attaching' && context.nowMs - state.attachSentAtMs >= Math.max(olderThanMs, 1)) {
    state.attachSentAtMs = context.nowMs
    state.attachEvents = []
    effects.push(attach(state))
  }
  return effects
}

/** Cancellation reaches every running child. */
function cancelAll(state: ManagerState, reason: string, context: ActorContext): Effect[] {
  const live = state.fold === undefined ? [] : childrenOf(state).flatMap((child) => liveAttempt(child)?.award ?? [])
  const children = live.map(({ awardId, worker }) => tell(at(worker, actorNames.award(awardId)), { kind: 'cancel', awardId, reason }))
  const calls = state.fold === undefined ? [] : withdrawCalls(state, context)
  return [...children, ...calls, ...stopSkills(state, reason), ...end(state, context)]
}

function stopSkills(state: ManagerState, reason: string): Effect[] {
  if (!state.skillRunning) return []
  return (['plan', 'synthesise'] as const).map((step) => ({ type: 'stop-skill' as const, runId: `${state.init.awardId}:${step}`, why: fault('cancelled', reason) }))
}

/** A graceful stop: the parent awards the task again, and the successor finds the children running. */
function handBack(state: ManagerState, context: ActorContext): Effect[] {
  const { holder } = state
  if (holder === undefined) return []
  const told = holder.outcome === undefined ? [tell(holder.manager, { kind: 'hand-back', awardId: state.init.awardId, reason: 'the node is stopping' })] : []
  return [...told, ...(state.fold === undefined ? [] : withdrawCalls(state, context)), ...stopSkills(state, 'the node is stopping'), ...end(state, context)]
}

function leaveDirectory(context: ActorContext): Effect[] {
  return [tell(at(context.self.peer, actorNames.directory), { kind: 'unwatch-peers' })]
}

function end(state: ManagerState, context: ActorContext): Effect[] {
  state.phase = 'finished'
  const forgotten = state.holder === undefined ? [] : [tell(at(context.self.peer, actorNames.participant), { kind: 'award-forgotten', awardId: state.init.awardId })]
  return [...leaveDirectory(context), ...forgotten, { type: 'stop-self' }]
}

// ---- effects and time ---------------------------------------------------------------------------------------------

function onSkill(state: ManagerState, runId: string, event: SkillRunEvent, context: ActorContext): Effect[] {
  if (!state.skillRunning) return []
  switch (event.type) {
    case 'started':
    case 'pulse':
      if (state.holder !== undefined) pulse(state.holder, undefined, event.type === 'pulse' ? event.text : undefined)
      return []
    case 'failed':
      return fail(state, event.fault, context)
    case 'done':
      state.skillRunning = false
      if (runId.endsWith(':synthesise')) return complete(state, event.output, context)
      return 'inline' in event.output ? onPlan(state, event.output.inline, context) : [{ type: 'load-value', payload: event.output, alsoTry: [], tag: 'plan' }]
  }
}

function onValue(state: ManagerState, message: Extract<Delivery['message'], { kind: 'value-loaded' | 'value-stored' }>, context: ActorContext): Effect[] {
  const space = message.tag.indexOf(' ')
  const what = space < 0 ? message.tag : message.tag.slice(0, space)
  const which = message.tag.slice(space + 1)
  if (state.fold === undefined) return []
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
  if (what === 'resolved') return onInputResolved(state, which as never, message.payload, context)
  return complete(state, message.payload, context)
}

function finishGiven(state: ManagerState, context: ActorContext): Effect[] {
  return state.phase === 'running' && childrenOf(state).every((child) => isTerminal(child.state)) ? synthesiseGiven(state, context) : []
}

/** Whatever the state allows now: new calls, cancelled dependants, the end. */
function advance(state: ManagerState, context: ActorContext): Effect[] {
  if (state.phase !== 'running') return []
  const finished = finishIfDone(state, context)
  if (finished !== undefined) return finished
  return [...skipBlocked(state, context), ...startReadyTasks(state, context)]
}

/** A task whose dependency was cancelled can never start. One that needs an optional task's output goes on without it. */
function skipBlocked(state: ManagerState, context: ActorContext): Effect[] {
  if (state.records.size > 0) return []
  const blocked = childrenOf(state).filter((child) => child.state === 'pending' && child.spec.after.some((needed) => taskOf(state, needed).state === 'cancelled'))
  return record(state, blocked.map((child) => ({ type: 'task-cancelled', atWallMs: context.wallMs, taskId: child.spec.taskId, reason: 'a task it needs was cancelled' })), context)
}

function onTick(state: ManagerState, context: ActorContext): Effect[] {
  const { holder } = state
  const effects: Effect[] = [nextTick(), ...resend(state, context, recordRetryMs)]
  if (holder !== undefined) {
    if (isForgettable(holder, context.nowMs)) return end(state, context)
    // A manager runs on the node's loop, so its own turn is its pulse; a planning or synthesising skill has one of its own.
    if (!state.skillRunning) pulse(holder, undefined, undefined)
    const message = renewal(holder)
    if (message !== undefined) effects.push(tell(holder.manager, message))
    const due = outcomeDue(holder, context.nowMs)
    if (due !== undefined) effects.push(tell(holder.manager, due))
  }
  if (state.fold === undefined) return effects
  for (const awardId of expiredLeases(state.leases, context.nowMs)) {
    const contract = state.contracts.get(awardId)
    if (state.settling.has(awardId)) continue
    if (contract !== undefined) effects.push(tell(contract.actor, { kind: 'cancel', awardId, reason: 'the lease ran out without a sign of life' }))
    effects.push(...endAward(state, awardId, 'failed', fault('skill-silent', `no sign of life for ${Math.round(state.init.tuning.leaseMs / 1_000)} s`), context))
  }
  for (const [awardId, untilMs] of state.adopting) if (untilMs <= context.nowMs) effects.push(...endAward(state, awardId, 'lost', fault('lost-worker', 'the worker did not answer the new owner'), context))
  return [...effects, ...advance(state, context)]
}
