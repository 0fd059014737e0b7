/** One award that a worker executes: its lease is renewed with the skill's pulse, its checkpoints are handed on, its outcome is kept until it is acknowledged. */
import type { Award } from '../../protocols/bidding/schema.ts'
import { fault, type Fault } from '../../protocols/kernel/errors.ts'
import type { AwardId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { InstantMs } from '../../protocols/kernel/units.ts'
import { checkpointDue, checkpointHeard, newCheckpoints, publish, sayCheckpointAgain, type Checkpoints } from '../../protocols/leasing/checkpoints.ts'
import { adopt, finish, isForgettable, newHolder, outcomeDue, pulse, renewal, sayAgain, stillWanted, type Holder } from '../../protocols/leasing/holder.ts'
import type { MessageOf } from '../../protocols/wire.ts'
import { actorNames, at } from '../names.ts'
import type { SkillRunEvent } from '../ports/skill-runner.ts'
import type { ActorContext } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'
import { endCalls, newRunCalls, onSkillCall, withCallsOf, type RunCalls } from './skill-calls.ts'
import type { Said } from './worker-says.ts'

export interface Run {
  readonly holder: Holder
  readonly checkpoints: Checkpoints
  readonly calls: RunCalls
  /** Checkpoints that the skill waits for: which of `checkpoints` each is. */
  awaited: { readonly asked: number; readonly number: number }[]
  isRunning: boolean
  /** When its progress was told last, and whether there is more to tell once that is long enough ago. */
  toldAtMs: InstantMs
  tellsMore: boolean
}

export interface WorkerState {
  readonly runs: Map<AwardId, Run>
  /** Of the next renewal. */
  round: number
  readonly said: Said
}

export function newRun(award: Award, nowMs: InstantMs): Run {
  const { awardId, missionId, taskId, principal, priority, timeLimitMs, budgetUsd } = award
  const calls = newRunCalls({ runId: awardId, missionId, taskId, principal, priority, budgetUsd: budgetUsd ?? 0, timeLimitMs })
  return { holder: newHolder(award, nowMs), checkpoints: newCheckpoints(award.awardId, award.checkpoint), calls, awaited: [], isRunning: true, toldAtMs: -Infinity, tellsMore: false }
}

export function heldBy({ holder, checkpoints }: Run): readonly unknown[] {
  return [holder.award.input, checkpoints.newest, holder.outcome]
}

export function onSkill(state: WorkerState, run: Run, event: SkillRunEvent, context: ActorContext): Effect[] {
  const { holder } = run
  const { award } = holder
  if (!run.isRunning) return []
  switch (event.type) {
    case 'started':
      pulse(holder, undefined, undefined)
      state.said.started.push(run)
      return []
    case 'pulse':
      pulse(holder, event.fraction, event.text)
      return event.fraction === undefined && event.text === undefined ? [] : tellProgress(state, run, context)
    case 'checkpoint':
      publish(run.checkpoints, event.value)
      if (event.number !== undefined) run.awaited.push({ asked: event.number, number: run.checkpoints.number })
      sayCheckpoint(state, run, context, event.number !== undefined)
      return tellHeard(run)
    case 'chunk':
      // Nobody is told of the pieces of a task's result: it is the log's, whole.
      pulse(holder, undefined, undefined)
      return []
    case 'call':
    case 'call-cancelled':
      return onSkillCall(run.calls, event, context)
    case 'done':
    case 'failed': {
      run.isRunning = false
      const ended = endCalls(run.calls, context)
      const stats = withCallsOf(run.calls, event.stats)
      finish(holder, event.type === 'done' ? { kind: 'result', awardId: award.awardId, result: event.output, cites: [], stats } : { kind: 'failure', awardId: award.awardId, fault: event.fault, stats }, context.nowMs)
      sayOutcome(state, run, context)
      state.said.finished.push({ awardId: award.awardId, effort: award.effort, capability: award.capability, version: award.version, ...(event.type === 'done' ? { runMs: event.stats.runMs } : {}) })
      return [...ended, fact('info', event.type === 'done' ? 'award.done' : 'award.failed', { award: award.awardId, capability: award.capability, runMs: Math.round(event.stats.runMs), ...(event.type === 'failed' ? { code: event.fault.code, detail: event.fault.detail } : {}) })]
    }
  }
}

/** With a renewal: whoever waits for the task sees at once how far it is. */
export function tellProgress(state: WorkerState, run: Run, { nowMs }: ActorContext): Effect[] {
  const { manager, award } = run.holder
  const waitMs = run.toldAtMs + limits.progressGapMs - nowMs
  if (waitMs > 0) {
    if (run.tellsMore) return []
    run.tellsMore = true
    return [{ type: 'set-timer', key: `progress ${award.awardId}`, delayMs: waitMs, message: { kind: 'tick', what: award.awardId } }]
  }
  run.toldAtMs = nowMs
  run.tellsMore = false
  const round = state.round++
  const lease = renewal(run.holder, round, nowMs)
  return lease === undefined ? [] : [tell(manager, { kind: 'renew', round, leases: [lease] })]
}

/** @returns whether its lease may be renewed. */
export function lookAfter(state: WorkerState, run: Run, effects: Effect[], context: ActorContext): boolean {
  const { holder } = run
  if (isForgettable(holder, context.nowMs)) {
    endRun(state, run)
    return false
  }
  // Nobody may run a task with effects outside after its lease: another may have it already. A pure one does no harm.
  if (run.isRunning && holder.award.effects === 'external' && context.nowMs >= holder.leaseEndsAtMs) {
    effects.push(...stopSkill(run, fault('fenced', 'the lease ran out'), context))
    return false
  }
  sayCheckpoint(state, run, context)
  sayOutcome(state, run, context)
  const question = stillWanted(holder, context.nowMs)
  if (question !== undefined) effects.push(tell(at(context.self.peer, actorNames.missions), question))
  return true
}

export function adoptRun(state: WorkerState, run: Run, message: MessageOf<'adopt'>, context: ActorContext): Effect[] {
  const { awardId } = run.holder.award
  if (!adopt(run.holder, message, context.nowMs)) return [tell(message.manager, { kind: 'not-holding', awardId })]
  sayCheckpointAgain(run.checkpoints)
  sayCheckpoint(state, run, context)
  sayOutcome(state, run, context)
  return [tell(message.manager, { kind: 'holding', awardId, worker: context.self })]
}

/** What was said while the connection was gone is said again. */
export function onManagerBack(state: WorkerState, run: Run, context: ActorContext): void {
  sayAgain(run.holder)
  sayCheckpointAgain(run.checkpoints)
  sayCheckpoint(state, run, context)
  sayOutcome(state, run, context)
}

/** The newest that the log holds has this number now; `refused`: nothing of this run will ever be there. */
export function onCheckpointHeard(state: WorkerState, run: Run, number: number, refused: boolean, context: ActorContext): Effect[] {
  // Refused or not, it is not said again.
  checkpointHeard(run.checkpoints, number)
  if (refused) {
    const asked = run.awaited.at(-1)?.asked
    run.awaited = []
    return asked === undefined ? [] : [{ type: 'tell-committed', runId: run.holder.award.awardId, number: asked, problem: fault('fenced', 'the mission has no use for this run any more: another has the task, or it has ended') }]
  }
  const effects = tellHeard(run)
  // One at a time is on its way into the log: what is waited for goes next.
  if (run.awaited.length > 0) sayCheckpoint(state, run, context, true)
  return effects
}

function tellHeard(run: Run): Effect[] {
  const heard = run.awaited.findLast(({ number }) => number <= run.checkpoints.heard)
  if (heard === undefined) return []
  run.awaited = run.awaited.filter(({ number }) => number > run.checkpoints.heard)
  return [{ type: 'tell-committed', runId: run.holder.award.awardId, number: heard.asked }]
}

function sayCheckpoint(state: WorkerState, run: Run, context: ActorContext, atOnce = false): void {
  const due = run.isRunning || atOnce ? checkpointDue(run.checkpoints, context.nowMs, atOnce) : undefined
  if (due !== undefined) state.said.checkpoints.push({ holder: run.holder, message: due })
}

/** A failure takes the newest checkpoint along: the next attempt goes on from there. */
function sayOutcome(state: WorkerState, run: Run, context: ActorContext): void {
  const outcome = outcomeDue(run.holder, context.nowMs)
  if (outcome === undefined) return
  if (outcome.kind === 'failure') sayCheckpoint(state, run, context, true)
  state.said.outcomes.push({ holder: run.holder, outcome })
}

export function handBack(state: WorkerState, run: Run, context: ActorContext): Effect[] {
  const wasRunning = run.isRunning
  if (wasRunning) sayCheckpoint(state, run, context, true)
  endRun(state, run)
  if (!wasRunning) return []
  state.said.handedBack.push(run.holder)
  return stopSkill(run, fault('cancelled', 'the node is stopping'), context)
}

export function stopSkill(run: Run, why: Fault, context: ActorContext): Effect[] {
  return [...endCalls(run.calls, context), { type: 'stop-skill', runId: run.holder.award.awardId, why }]
}

/** Nothing of it is needed any more. */
export function endRun(state: WorkerState, run: Run): void {
  const { awardId } = run.holder.award
  run.isRunning = false
  if (state.runs.delete(awardId)) state.said.forgotten.push(awardId)
}
