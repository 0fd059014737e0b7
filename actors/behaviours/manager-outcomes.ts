/** What contractors send while they run and when they are done: renewals, results, failures; and what silence means. */
import { fault } from '../../protocols/kernel/errors.ts'
import type { Result, RunStats } from '../../protocols/bidding/schema.ts'
import type { ActorAddress, AwardId, TaskId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { Outcome } from '../../protocols/leasing/holder.ts'
import { expiredLeases, renewLease } from '../../protocols/leasing/lease.ts'
import { failedCheck } from '../../protocols/tasking/acceptance.ts'
import { isTerminal, type TaskNode } from '../../protocols/tasking/mission-state.ts'
import { owedFor, setAsideBy } from '../../protocols/tasking/spending.ts'
import type { ProgressNote } from '../../protocols/tasking/schema.ts'
import type { MessageOf } from '../../protocols/wire.ts'
import type { ActorContext, Delivery } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'
import { closeCall } from './manager-calls.ts'
import { callOff, endAward, inlineOf, isTooLarge, onConfirm } from './manager-contracts.ts'
import { freePlace } from './manager-offers.ts'
import { note, record, taskIdOf, taskOf, type ManagerState } from './manager-state.ts'

export function onRenew(state: ManagerState, message: MessageOf<'renew'>, from: ActorAddress, context: ActorContext): Effect[] {
  const kept = message.leases.filter(({ awardId }) => renewLease(state.leases, awardId, from.peer, state.init.tuning.leaseMs, context.nowMs))
  if (kept.length === 0) return []
  const notes: ProgressNote[] = kept.flatMap(({ awardId, fraction, text }) => {
    const taskId = taskIdOf(awardId, state)
    return taskId === undefined || (fraction === undefined && text === undefined) ? [] : [{ taskId, note: 'progress' as const, worker: from.peer, ...(fraction === undefined ? {} : { fraction }), ...(text === undefined ? {} : { text }) }]
  })
  const begun = kept.flatMap(({ awardId }) => (state.contracts.get(awardId)?.isRunning === false ? onConfirm(state, awardId, from.peer, context) : []))
  note(state, ...notes)
  return [tell(from, { kind: 'renewed', round: message.round, awardIds: kept.map(({ awardId }) => awardId), leaseMs: state.init.tuning.leaseMs }), ...begun]
}

/** A result or a failure. What is late or unknown is acknowledged, so that its holder can forget it, and is a dead letter. */
export function onOutcome(state: ManagerState, message: Outcome, delivery: Delivery, context: ActorContext): Effect[] {
  const { from } = delivery
  const { awardId } = message
  if (state.fold === undefined || state.settling.has(awardId)) return []
  const taskId = taskIdOf(awardId, state)
  const task = taskId === undefined ? undefined : taskOf(state, taskId)
  const newest = task?.attempts.at(-1)
  const acknowledge = (): void => {
    state.said.acknowledged.push({ to: from, awardId })
  }
  // The acknowledgement and a repeated result have crossed.
  if (task?.acceptedAward === awardId) {
    acknowledge()
    return []
  }
  if (task === undefined || newest?.award.awardId !== awardId || newest.award.worker !== from.peer || isTerminal(task.state) || isOvertaken(state, task.spec.taskId, awardId)) {
    acknowledge()
    return [fact('info', 'award.late-outcome', { award: awardId, outcome: message.kind }), { type: 'dead-letter', delivery, reason: 'it came late: the award is not the newest of an open task' }]
  }
  freePlace(state, awardId)
  state.mayAdvance = true
  const confirmed = onConfirm(state, awardId, from.peer, context)
  if (message.kind === 'failure') {
    if (newest.outcome !== 'running') {
      acknowledge()
      return confirmed
    }
    state.settling.set(awardId, from)
    // A worker that stopped because its lease ran out has not failed at the task. Of one that broke down nobody knows what it has spent.
    return [...confirmed, ...endAward(state, awardId, message.fault.code === 'fenced' ? 'lost' : 'failed', message.fault, context, message.fault.code === 'internal' ? undefined : costOf(task, message.stats)), ...overcharged(task, message.stats)]
  }
  state.settling.set(awardId, from)
  const value = inlineOf(message.result)
  if (isTooLarge(value)) return [...confirmed, ...endAward(state, awardId, 'failed', fault('bad-output', `the result is over the ${limits.payloadInlineBytesMax} bytes that travel inline`), context)]
  if (task.spec.accept.length > 0 && value === undefined) {
    return [...confirmed, { type: 'load-value', payload: message.result, alsoTry: [from.peer], tag: `check ${JSON.stringify({ awardId, result: message.result, cites: message.cites, stats: message.stats })}` }]
  }
  return [...confirmed, ...settle(state, message, value, context)]
}

function isOvertaken(state: ManagerState, taskId: TaskId, awardId: AwardId): boolean {
  if (!state.unsettledOf.has(taskId)) return false
  for (const { award } of state.committing.values()) if (award.taskId === taskId && award.awardId !== awardId) return true
  return false
}

/** The result's value is known as far as the checks need it: accepted, or a failed attempt. */
export function settle(state: ManagerState, { awardId, result, cites, stats }: Result, value: unknown, context: ActorContext): Effect[] {
  const taskId = taskIdOf(awardId, state)
  if (taskId === undefined || !state.settling.has(awardId)) return []
  const task = taskOf(state, taskId)
  const failed = failedCheck(task.spec.accept, value)
  if (failed !== undefined) return endAward(state, awardId, 'failed', fault('bad-output', `the result was not accepted: ${failed}`), context, costOf(task, stats))
  const contract = state.contracts.get(awardId)
  const tookMs = contract !== undefined && !contract.adopted ? context.nowMs - contract.sinceMs : Math.max(0, context.wallMs - (task.attempts.at(-1)?.awardedAtWallMs ?? context.wallMs))
  const costUsd = owed(task, stats)
  return [...overcharged(task, stats), ...closeCall(state, taskId, context), ...record(state, [{ type: 'accepted', atWallMs: context.wallMs, taskId, awardId, result, cites: task.spec.kind === 'leaf' ? [] : cites, tookMs, ...(costs(task, costUsd) ? { costUsd } : {}), ...(stats.tokens === undefined ? {} : { tokens: stats.tokens }) }])]
}

/** Whether what was set aside for it is to be settled. */
function costs({ spec, attempts }: TaskNode, costUsd: number): boolean {
  const award = attempts.at(-1)?.award
  return costUsd > 0 || spec.budgetUsd !== undefined || (award !== undefined && setAsideBy(award) > 0)
}

/** What it has cost, when anything was set aside for it or it has cost something. */
function costOf(task: TaskNode, stats: RunStats): number | undefined {
  return costs(task, stats.costUsd) ? owed(task, stats) : undefined
}

/** Who bids a price, and takes a budget, keeps to them: what a worker says beyond that is its own affair. */
function owed({ spec, attempts }: TaskNode, { costUsd }: RunStats): number {
  const award = attempts.at(-1)?.award
  return spec.kind === 'leaf' && award !== undefined ? owedFor(award, costUsd) : costUsd
}

function overcharged(task: TaskNode, stats: RunStats): Effect[] {
  const agreedUsd = owed(task, stats)
  return agreedUsd < stats.costUsd ? [fact('warn', 'award.overcharged', { task: task.spec.taskId, by: task.attempts.at(-1)?.award.workerName ?? '', toldUsd: stats.costUsd, agreedUsd })] : []
}

/** The worker ends a run at its time limit; one that does not has had this much longer for its inputs and its last word. */
const overtimeMs = limits.blobFetchTimeoutMs

/** Leases that ran out, runs that should have ended long ago, and awards of an earlier manager that nobody has answered for. */
export function onSilence(state: ManagerState, context: ActorContext): Effect[] {
  const effects: Effect[] = overdue(state, context)
  for (const awardId of expiredLeases(state.leases, context.nowMs)) {
    const contract = state.contracts.get(awardId)
    if (state.settling.has(awardId) || contract === undefined) continue
    effects.push(callOff(state, { awardId, worker: contract.peer }, 'the lease ran out without a sign of life'))
    effects.push(...(context.connected(contract.peer)
      ? endAward(state, awardId, 'failed', fault('skill-silent', `no sign of life for ${Math.round(state.init.tuning.leaseMs / 1_000)} s`), context)
      : endAward(state, awardId, 'lost', fault('lost-worker', 'the connection to the worker was lost'), context)))
  }
  for (const [awardId, untilMs] of state.adopting) {
    if (untilMs <= context.nowMs && !state.settling.has(awardId)) effects.push(...endAward(state, awardId, 'lost', fault('lost-worker', 'the worker did not answer the new owner'), context))
  }
  return effects
}

/** A worker that renews for ever must not hold its task for ever. */
function overdue(state: ManagerState, context: ActorContext): Effect[] {
  const effects: Effect[] = []
  for (const [awardId, contract] of state.contracts) {
    const taskId = taskIdOf(awardId, state)
    if (taskId === undefined || state.settling.has(awardId)) continue
    const { kind, timeLimitMs } = taskOf(state, taskId).spec
    if (kind !== 'leaf' || context.nowMs - contract.sinceMs <= timeLimitMs + overtimeMs) continue
    effects.push(callOff(state, { awardId, worker: contract.peer }, 'its time limit is long over'), ...endAward(state, awardId, 'failed', fault('skill-timeout', `nothing came within the time limit of ${timeLimitMs} ms`), context))
  }
  return effects
}
