/** A manager's contracts: awards that are in the log, what their holders say of them, how they end, and those taken over from an earlier manager. */
import { dropOffersOf, exhaustOffersOf } from '../../protocols/bidding/offer-book.ts'
import type { Result, Refusal } from '../../protocols/bidding/schema.ts'
import { fault, type Fault } from '../../protocols/kernel/errors.ts'
import type { ActorAddress, AwardId, PeerId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { Json, Payload } from '../../protocols/kernel/payload.ts'
import { grantLease, leasesOf } from '../../protocols/leasing/lease.ts'
import { liveAttempt } from '../../protocols/tasking/mission-state.ts'
import { failedCheck } from '../../protocols/tasking/acceptance.ts'
import { decideRetry } from '../../protocols/tasking/retry.ts'
import type { MissionEvent } from '../../protocols/tasking/schema.ts'
import type { PassedOn } from '../messages.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'
import { closeCall, drive } from './manager-calls.ts'
import { freePlace, takePlace } from './manager-offers.ts'
import { lookUpProviders } from './manager-providers.ts'
import { childrenOf, endCall, note, record, taskIdOf, taskOf, type Committing, type ManagerState } from './manager-state.ts'

/**
 * What the worker of an award says before that is in the log waits until it is, but for a result that is as it should be: its acceptance is
 * proposed at once, and comes behind the award in the log, or not at all. @returns whether nothing else is to be done about it now.
 */
export function waitsForCommit(state: ManagerState, awardId: AwardId, message: PassedOn, from: ActorAddress, context: ActorContext): boolean {
  const committing = state.committing.get(awardId)
  if (committing?.sentAtMs === undefined) return false
  if (committing.participant.peer !== from.peer || committing.heard.length >= heardMax || state.settling.has(awardId)) return true
  const result = message.kind === 'inform' ? message.results[0] : undefined
  if (result === undefined || !acceptAhead(state, committing, result, from, context)) committing.heard.push({ message, from })
  if (message.kind === 'confirm') return true
  // Whatever it was, the worker has its place back.
  freePlace(state, awardId)
  state.mayAdvance = true
  return true
}

/** A worker that says the same again says nothing new. */
const heardMax = 4

/** @returns false when the result has to be looked at further, for which there is time once the award is in the log. */
function acceptAhead(state: ManagerState, { award, sentAtMs }: Committing, { awardId, result, stats }: Result, from: ActorAddress, context: ActorContext): boolean {
  const { accept, budgetUsd } = taskOf(state, award.taskId).spec
  // What was set aside for it is settled by its award, which is not in the log yet.
  if (budgetUsd !== undefined || stats.costUsd > 0 || stats.tokens !== undefined) return false
  const value = inlineOf(result)
  if (isTooLarge(value)) return false
  if (accept.length > 0 && (value === undefined || failedCheck(accept, value) !== undefined)) return false
  state.settling.set(awardId, from)
  record(state, [{ type: 'accepted', atWallMs: context.wallMs, taskId: award.taskId, awardId, result, cites: [], tookMs: context.nowMs - (sentAtMs ?? context.nowMs) }])
  return true
}

export function inlineOf(result: Payload): Json | undefined {
  return 'inline' in result ? result.inline : undefined
}

/** An honest node puts it into a blob: inline it would be in every log and message from here on. */
export function isTooLarge(value: Json | undefined): boolean {
  return value !== undefined && JSON.stringify(value).length > limits.payloadInlineBytesMax
}

/** An award is in the log: now its worker may hear of it, if it has not begun already. */
export function onAwardCommitted(state: ManagerState, awardId: AwardId, context: ActorContext): Effect[] {
  const committed = state.committing.get(awardId)
  if (committed === undefined) return []
  state.committing.delete(awardId)
  const { peer } = committed.participant
  const attempt = liveAttempt(taskOf(state, committed.award.taskId))
  if (attempt?.award.awardId !== awardId) return []
  const isSettled = state.settling.has(awardId)
  if (!context.connected(peer) && !isSettled) return endAward(state, awardId, 'lost', fault('lost-worker', `the connection to ${attempt.award.workerName} was lost before the award reached it`), context)
  state.contracts.set(awardId, { peer, capability: attempt.award.capability, promised: attempt.award.bid, sinceMs: committed.sentAtMs ?? context.nowMs, adopted: false, isRunning: false })
  // Its result is on its way into the log, and nothing more is expected of the worker.
  if (isSettled) return closeCall(state, committed.award.taskId, context)
  grantLease(state.leases, awardId, peer, state.init.tuning.leaseMs, context.nowMs)
  const isLost = committed.isDoubtful && committed.heard.length === 0
  if (committed.sentAtMs === undefined || isLost) state.said.awards.push({ to: committed.participant, award: { ...committed.award, remainingMs: Math.max(1, state.deadlineAtMs - context.nowMs) }, isCalled: committed.isCalled })
  return committed.heard.map(({ message, from }) => tell(context.self, { kind: 'passed-on', message, from }))
}

export function onConfirm(state: ManagerState, awardId: AwardId, from: PeerId, context: ActorContext): Effect[] {
  const contract = state.contracts.get(awardId)
  const taskId = taskIdOf(awardId, state)
  if (contract?.peer !== from || taskId === undefined) return []
  if (!contract.isRunning) note(state, { taskId, note: 'running', worker: contract.peer })
  contract.isRunning = true
  const callId = endCall(state, taskId)
  return callId === undefined ? [] : drive(state, { type: 'confirmed', callId }, context)
}

/** The worker could not take it after all: the next bid is tried under a new award. */
export function onAwardRefused(state: ManagerState, peer: PeerId, awardId: AwardId, refusal: Refusal, context: ActorContext): Effect[] {
  const contract = state.contracts.get(awardId)
  if (contract?.peer !== peer) return []
  exhaustOffersOf(state.offers, peer)
  const ended = endAward(state, awardId, 'refused', fault('overloaded', refusal.detail), context)
  return [...ended, ...drive(state, { type: 'award-refused', callId: refusal.callId, peer, refusal }, context)]
}

/** Every award that ran on a lost peer ends, but those with effects outside: their lease must run out first. */
export function onPeerDown(state: ManagerState, peer: PeerId, context: ActorContext): Effect[] {
  // An award on its way into the log has its call closed here, and ends as lost when it is in.
  const effects = [...state.committing.values()].filter(({ participant }) => participant.peer === peer).flatMap(({ award: { taskId } }) => closeCall(state, taskId, context))
  dropOffersOf(state.offers, peer)
  for (const committing of state.committing.values()) if (committing.participant.peer === peer) committing.isDoubtful = true
  effects.push(...drive(state, { type: 'peer-down', peer }, context))
  const adopting = [...state.adopting.keys()].filter((awardId) => workerOf(state, awardId) === peer)
  for (const awardId of [...leasesOf(state.leases, peer), ...adopting]) {
    const taskId = taskIdOf(awardId, state)
    if (taskId === undefined || state.settling.has(awardId) || taskOf(state, taskId).spec.effects === 'external') continue
    effects.push(...endAward(state, awardId, 'lost', fault('lost-worker', 'the connection to the worker was lost'), context))
  }
  const open = [...state.callOf.keys()].map((taskId) => taskOf(state, taskId))
  return [...effects, ...lookUpProviders(state, open, context, 'update')]
}

function workerOf(state: ManagerState, awardId: AwardId): PeerId | undefined {
  const taskId = taskIdOf(awardId, state)
  const attempt = taskId === undefined ? undefined : liveAttempt(taskOf(state, taskId))
  return attempt?.award.awardId === awardId ? attempt.award.worker : undefined
}

/** Calls off what runs under an award, by the way the award went. */
export function callOff(state: ManagerState, award: { readonly awardId: AwardId; readonly worker: PeerId }, reason: string): Effect {
  return tell(at(award.worker, actorNames.participant), { kind: 'cancel', awardId: award.awardId, reason, epoch: state.epoch })
}

/** Ends a live award that gave no result: retried, or the task is dead. */
export function endAward(state: ManagerState, awardId: AwardId, outcome: 'refused' | 'lost' | 'failed', problem: Fault, context: ActorContext, costUsd?: number): Effect[] {
  const taskId = taskIdOf(awardId, state)
  if (taskId === undefined) return []
  const task = taskOf(state, taskId)
  state.leases.delete(awardId)
  state.adopting.delete(awardId)
  // One whose result was proposed ahead may not be in the log yet: this comes behind it.
  const peer = state.contracts.get(awardId)?.peer ?? state.committing.get(awardId)?.participant.peer
  state.contracts.delete(awardId)
  state.committing.delete(awardId)
  freePlace(state, awardId)
  const decision = decideRetry(task.spec.retry, outcome, problem, task.failures + (outcome === 'failed' ? 1 : 0), task.losses + (outcome === 'lost' ? 1 : 0))
  const events: MissionEvent[] = [{ type: 'award-ended', atWallMs: context.wallMs, awardId, taskId, outcome, fault: problem, ...(costUsd === undefined ? {} : { costUsd }), ...(decision.retry ? { retryInMs: decision.inMs } : {}) }]
  if (!decision.retry) events.push({ type: 'dead', atWallMs: context.wallMs, taskId, fault: { ...problem, detail: decision.reason.slice(0, 4_000), retryable: false } })
  const effects: Effect[] = []
  if (outcome !== 'refused') {
    effects.push(...closeCall(state, taskId, context))
    if (peer !== undefined) state.said.outcomes.push({ peer, good: false })
    effects.push(fact('warn', 'award.ended', { award: awardId, outcome, detail: problem.detail, retry: decision.retry }))
  }
  return [...effects, ...record(state, events)]
}

/** Asks for every live award of an earlier manager by its id. */
export function adoptLiveAwards(state: ManagerState, context: ActorContext): Effect[] {
  const effects: Effect[] = []
  for (const child of childrenOf(state)) {
    const attempt = liveAttempt(child)
    if (attempt === undefined) continue
    const { award } = attempt
    // Who is not connected yet may be: this node has just started. Effects outside must have had their lease before they are tried again.
    const patienceMs = context.connected(award.worker) && child.spec.effects !== 'external' ? limits.adoptTimeoutMs : state.init.tuning.leaseMs + limits.pulseMs
    state.adopting.set(award.awardId, context.nowMs + patienceMs)
    effects.push(claim(state, award, context))
  }
  return effects
}

function claim(state: ManagerState, award: { readonly awardId: AwardId; readonly worker: PeerId }, context: ActorContext): Effect {
  return tell(at(award.worker, actorNames.participant), { kind: 'adopt', awardId: award.awardId, epoch: state.epoch, manager: context.self, orchestrator: state.orchestrator, leaseMs: state.init.tuning.leaseMs }, state.init.principal)
}

/** A worker that was away is back: claimed again, it answers now. */
export function claimAgain(state: ManagerState, peer: PeerId, context: ActorContext): Effect[] {
  return [...state.adopting.keys()].filter((awardId) => workerOf(state, awardId) === peer).map((awardId) => claim(state, { awardId, worker: peer }, context))
}

export function onHolding(state: ManagerState, awardId: AwardId, worker: ActorAddress, context: ActorContext): Effect[] {
  const taskId = taskIdOf(awardId, state)
  if (taskId === undefined || !state.adopting.has(awardId)) return []
  const attempt = liveAttempt(taskOf(state, taskId))
  if (attempt?.award.awardId !== awardId || attempt.award.worker !== worker.peer) return []
  state.adopting.delete(awardId)
  if (taskOf(state, taskId).spec.kind === 'leaf') takePlace(state, awardId, worker.peer, attempt.award.capability)
  state.contracts.set(awardId, { peer: worker.peer, capability: attempt.award.capability, promised: attempt.award.bid, sinceMs: context.nowMs, adopted: true, isRunning: true })
  grantLease(state.leases, awardId, worker.peer, state.init.tuning.leaseMs, context.nowMs)
  note(state, { taskId, note: 'running', worker: worker.peer })
  return [fact('info', 'award.adopted', { award: awardId, worker: worker.peer })]
}
