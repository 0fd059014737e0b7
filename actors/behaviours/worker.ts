/** Executes one leaf award through a skill: renews its lease with the skill's pulse, hands its checkpoints on, keeps the outcome until it is acknowledged. */
import type { Award } from '../../protocols/bidding/schema.ts'
import { fault } from '../../protocols/kernel/errors.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { InstantMs } from '../../protocols/kernel/units.ts'
import { checkpointDue, checkpointHeard, newCheckpoints, publish, sayCheckpointAgain, type Checkpoints } from '../../protocols/leasing/checkpoints.ts'
import { adopt, finish, isFenced, isForgettable, newHolder, outcomeDue, pulse, renewal, renewed, sayAgain, stillWanted, type Holder } from '../../protocols/leasing/holder.ts'
import { actorNames, at } from '../names.ts'
import type { SkillRunEvent } from '../ports/skill-runner.ts'
import type { ActorContext, Behaviour } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'

interface WorkerState {
  readonly holder: Holder
  readonly checkpoints: Checkpoints
  running: boolean
  /** When its progress was told last, and whether there is more to tell once that is long enough ago. */
  toldAtMs: InstantMs
  tellsMore: boolean
}

export function worker(award: Award): Behaviour<WorkerState> {
  return {
    kind: 'worker',
    supervision: 'stop',
    start: (context) => ({
      state: { holder: newHolder(award, context.nowMs), checkpoints: newCheckpoints(award.awardId, award.checkpoint), running: true, toldAtMs: -Infinity, tellsMore: false },
      effects: [
        { type: 'start-skill', run: { runId: award.awardId, capability: award.capability, version: award.version, step: 'run', input: award.input, ...(award.checkpoint === undefined ? {} : { checkpoint: award.checkpoint }), principal: award.principal, missionId: award.missionId, taskId: award.taskId, attempt: award.attempt, timeLimitMs: Math.min(award.timeLimitMs, award.remainingMs) } },
        nextTick(),
        tell(at(context.self.peer, actorNames.directory), { kind: 'watch-peers' }),
      ],
    }),
    holds: ({ holder, checkpoints }) => [award.input, checkpoints.newest, holder.outcome],
    receive(state, delivery, context) {
      const { holder } = state
      const { message, from } = delivery.message.kind === 'passed-on' ? delivery.message : delivery
      switch (message.kind) {
        case 'skill-event':
          return onSkill(state, message.event, context)
        case 'tick':
          if (message.what === 'progress') return tellProgress(state, context)
          return message.what === 'hand-back' ? handBack(state, context) : onTick(state, context)
        case 'peer-up':
          return message.peer === holder.manager.peer ? onManagerBack(state, context) : []
        case 'renewed':
          if (from.peer === holder.manager.peer) renewed(holder, message.round, message.leaseMs, context.nowMs)
          return []
        case 'checkpoint-heard':
          if (from.peer === holder.manager.peer) checkpointHeard(state.checkpoints, message.number)
          return []
        case 'adopt':
          if (message.manager.peer !== from.peer) return []
          if (!adopt(holder, message, context.nowMs)) return [tell(message.manager, { kind: 'not-holding', awardId: award.awardId })]
          sayCheckpointAgain(state.checkpoints)
          return [tell(message.manager, { kind: 'holding', awardId: award.awardId, worker: context.self }), ...sendCheckpoint(state, context), ...sendOutcome(state, context)]
        case 'acknowledge':
          return from.peer === holder.manager.peer ? end(state, context) : []
        case 'cancel':
          // This node's own desk passes on what the mission's owner of now says.
          if ((from.peer !== holder.manager.peer && from.peer !== holder.orchestrator.peer && from.peer !== context.self.peer) || isFenced(holder, message.epoch)) return []
          return [{ type: 'stop-skill', runId: award.awardId, why: fault('cancelled', message.reason) }, fact('info', 'award.cancelled', { award: award.awardId, reason: message.reason }), ...end(state, context)]
        default:
          return []
      }
    },
  }
}

function nextTick(): Effect {
  return { type: 'set-timer', key: 'tick', delayMs: limits.pulseMs, message: { kind: 'tick' } }
}

function onSkill(state: WorkerState, event: SkillRunEvent, context: ActorContext): Effect[] {
  const { holder } = state
  const { award } = holder
  if (!state.running) return []
  switch (event.type) {
    case 'started': {
      pulse(holder, undefined, undefined)
      const message = renewal(holder, context.nowMs)
      return message === undefined ? [] : [tell(holder.manager, message)]
    }
    case 'pulse':
      pulse(holder, event.fraction, event.text)
      return event.fraction === undefined && event.text === undefined ? [] : tellProgress(state, context)
    case 'checkpoint':
      publish(state.checkpoints, event.value)
      return sendCheckpoint(state, context)
    case 'done':
    case 'failed': {
      state.running = false
      finish(holder, event.type === 'done' ? { kind: 'inform', awardId: award.awardId, result: event.output, cites: [], stats: event.stats } : { kind: 'failure', awardId: award.awardId, fault: event.fault, stats: event.stats }, context.nowMs)
      return [
        ...sendOutcome(state, context),
        tell(at(context.self.peer, actorNames.participant), { kind: 'award-finished', awardId: award.awardId, effort: award.effort, capability: award.capability, version: award.version, ...(event.type === 'done' ? { runMs: event.stats.runMs } : {}) }),
        fact('info', event.type === 'done' ? 'award.done' : 'award.failed', { award: award.awardId, capability: award.capability, runMs: Math.round(event.stats.runMs), ...(event.type === 'failed' ? { code: event.fault.code, detail: event.fault.detail } : {}) }),
      ]
    }
  }
}

/** With a renewal: whoever waits for the task sees at once how far it is. */
function tellProgress(state: WorkerState, { nowMs }: ActorContext): Effect[] {
  const waitMs = state.toldAtMs + limits.progressGapMs - nowMs
  if (waitMs > 0) {
    if (state.tellsMore) return []
    state.tellsMore = true
    return [{ type: 'set-timer', key: 'progress', delayMs: waitMs, message: { kind: 'tick', what: 'progress' } }]
  }
  state.toldAtMs = nowMs
  state.tellsMore = false
  const message = renewal(state.holder, nowMs)
  return message === undefined ? [] : [tell(state.holder.manager, message)]
}

function onTick(state: WorkerState, context: ActorContext): Effect[] {
  const { holder } = state
  if (isForgettable(holder, context.nowMs)) return end(state, context)
  // Nobody may run a task with effects outside after its lease: another may have it already. A pure one does no harm.
  if (state.running && holder.award.effects === 'external' && context.nowMs >= holder.leaseEndsAtMs) {
    return [{ type: 'stop-skill', runId: holder.award.awardId, why: fault('fenced', 'the lease ran out') }, nextTick()]
  }
  const message = renewal(holder, context.nowMs)
  const question = stillWanted(holder, context.nowMs)
  return [
    ...(message === undefined ? [] : [tell(holder.manager, message)]), ...sendCheckpoint(state, context), ...sendOutcome(state, context),
    ...(question === undefined ? [] : [tell(at(context.self.peer, actorNames.missions), question)]), nextTick(),
  ]
}

/** What was said while the connection was gone is said again. */
function onManagerBack(state: WorkerState, context: ActorContext): Effect[] {
  sayAgain(state.holder)
  sayCheckpointAgain(state.checkpoints)
  return [...sendCheckpoint(state, context), ...sendOutcome(state, context)]
}

function sendCheckpoint({ checkpoints, holder, running }: WorkerState, context: ActorContext): Effect[] {
  const due = running ? checkpointDue(checkpoints, context.nowMs) : undefined
  return due === undefined ? [] : [tell(holder.manager, due, holder.award.principal)]
}

/** A failure takes the newest checkpoint along: the next attempt goes on from there. */
function sendOutcome({ checkpoints, holder }: WorkerState, context: ActorContext): Effect[] {
  const outcome = outcomeDue(holder, context.nowMs)
  if (outcome === undefined) return []
  const last = outcome.kind === 'failure' ? checkpointDue(checkpoints, context.nowMs, true) : undefined
  return [...(last === undefined ? [] : [tell(holder.manager, last, holder.award.principal)]), tell(holder.manager, outcome, holder.award.principal)]
}

function handBack(state: WorkerState, context: ActorContext): Effect[] {
  if (!state.running) return end(state, context)
  const { holder } = state
  const last = checkpointDue(state.checkpoints, context.nowMs, true)
  return [{ type: 'stop-skill', runId: holder.award.awardId, why: fault('cancelled', 'the node is stopping') }, ...(last === undefined ? [] : [tell(holder.manager, last, holder.award.principal)]), tell(holder.manager, { kind: 'hand-back', awardId: holder.award.awardId, reason: 'the node is stopping' }), ...end(state, context)]
}

function end(state: WorkerState, context: ActorContext): Effect[] {
  state.running = false
  return [tell(at(context.self.peer, actorNames.directory), { kind: 'unwatch-peers' }), tell(at(context.self.peer, actorNames.participant), { kind: 'award-forgotten', awardId: state.holder.award.awardId }), { type: 'stop-self' }]
}
