/** Executes one leaf award through a skill: renews its lease with the skill's pulse, keeps the outcome until it is acknowledged. */
import type { Award } from '../../protocols/bidding/schema.ts'
import { fault } from '../../protocols/kernel/errors.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { adopt, finish, isForgettable, newHolder, outcomeDue, pulse, renewal, renewed, sayAgain, stillWanted, type Holder } from '../../protocols/leasing/holder.ts'
import { actorNames, at } from '../names.ts'
import type { SkillRunEvent } from '../ports/skill-runner.ts'
import type { ActorContext, Behaviour } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'

interface WorkerState {
  readonly holder: Holder
  running: boolean
}

export function worker(award: Award): Behaviour<WorkerState> {
  return {
    kind: 'worker',
    supervision: 'stop',
    start: (context) => ({
      state: { holder: newHolder(award, context.nowMs), running: true },
      effects: [
        { type: 'start-skill', run: { runId: award.awardId, capability: award.capability, version: award.version, step: 'run', input: award.input, principal: award.principal, missionId: award.missionId, taskId: award.taskId, attempt: award.attempt, timeLimitMs: Math.min(award.timeLimitMs, award.remainingMs) } },
        nextTick(),
        tell(at(context.self.peer, actorNames.directory), { kind: 'watch-peers' }),
      ],
    }),
    receive(state, delivery, context) {
      const { holder } = state
      const { message, from } = delivery.message.kind === 'passed-on' ? delivery.message : delivery
      switch (message.kind) {
        case 'skill-event':
          return onSkill(state, message.event, context)
        case 'tick':
          return message.what === 'hand-back' ? handBack(state, context) : onTick(state, context)
        case 'peer-up':
          return message.peer === holder.manager.peer ? onManagerBack(state, context) : []
        case 'renewed':
          if (from.peer === holder.manager.peer) renewed(holder, message.round, message.leaseMs, context.nowMs)
          return []
        case 'adopt':
          if (message.manager.peer !== from.peer) return []
          if (!adopt(holder, message, context.nowMs)) return [tell(message.manager, { kind: 'not-holding', awardId: award.awardId })]
          return [tell(message.manager, { kind: 'holding', awardId: award.awardId, worker: context.self }), ...sendOutcome(holder, context)]
        case 'acknowledge':
          return from.peer === holder.manager.peer ? end(state, context) : []
        case 'cancel':
          if (from.peer !== holder.manager.peer && from.peer !== holder.orchestrator.peer) return []
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
      return []
    case 'done':
    case 'failed': {
      state.running = false
      finish(holder, event.type === 'done' ? { kind: 'inform', awardId: award.awardId, result: event.output, cites: [], stats: event.stats } : { kind: 'failure', awardId: award.awardId, fault: event.fault, stats: event.stats }, context.nowMs)
      return [
        ...sendOutcome(holder, context),
        tell(at(context.self.peer, actorNames.participant), { kind: 'award-finished', awardId: award.awardId, effort: award.effort, capability: award.capability, version: award.version, ...(event.type === 'done' ? { runMs: event.stats.runMs } : {}) }),
        fact('info', event.type === 'done' ? 'award.done' : 'award.failed', { award: award.awardId, capability: award.capability, runMs: Math.round(event.stats.runMs), ...(event.type === 'failed' ? { code: event.fault.code, detail: event.fault.detail } : {}) }),
      ]
    }
  }
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
    ...(message === undefined ? [] : [tell(holder.manager, message)]), ...sendOutcome(holder, context),
    ...(question === undefined ? [] : [tell(at(holder.orchestrator.peer, actorNames.missions), question)]), nextTick(),
  ]
}

/** What was said while the connection was gone is said again. */
function onManagerBack({ holder }: WorkerState, context: ActorContext): Effect[] {
  sayAgain(holder)
  return sendOutcome(holder, context)
}

function sendOutcome(holder: Holder, context: ActorContext): Effect[] {
  const outcome = outcomeDue(holder, context.nowMs)
  return outcome === undefined ? [] : [tell(holder.manager, outcome, holder.award.principal)]
}

function handBack(state: WorkerState, context: ActorContext): Effect[] {
  if (!state.running) return end(state, context)
  const { holder } = state
  return [{ type: 'stop-skill', runId: holder.award.awardId, why: fault('cancelled', 'the node is stopping') }, tell(holder.manager, { kind: 'hand-back', awardId: holder.award.awardId, reason: 'the node is stopping' }), ...end(state, context)]
}

function end(state: WorkerState, context: ActorContext): Effect[] {
  state.running = false
  return [tell(at(context.self.peer, actorNames.directory), { kind: 'unwatch-peers' }), tell(at(context.self.peer, actorNames.participant), { kind: 'award-forgotten', awardId: state.holder.award.awardId }), { type: 'stop-self' }]
}
