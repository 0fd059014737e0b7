/**
 * Executes the leaf tasks of one mission that were awarded to this node, through skills. Each award is a run of its own; what they
 * have to say in one turn leaves in one message: renewals of their leases, and outcomes.
 */
import type { Award } from '../../protocols/bidding/schema.ts'
import { fault } from '../../protocols/kernel/errors.ts'
import type { ActorAddress, AwardId, MissionId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { isFenced, renewed, type Holder } from '../../protocols/leasing/holder.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext, Behaviour, Delivery } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'
import { onCallAnswered, runOfTag } from './skill-calls.ts'
import { adoptRun, endRun, handBack, heldBy, lookAfter, newRun, onCheckpointHeard, onManagerBack, onSkill, stopSkill, tellProgress, type Run, type WorkerState } from './worker-run.ts'
import { flushSaid, newSaid, renewals } from './worker-says.ts'

export function worker(missionId: MissionId): Behaviour<WorkerState> {
  return {
    kind: 'worker',
    supervision: 'stop',
    start: (context) => ({ state: { runs: new Map(), round: 0, said: newSaid() }, effects: [nextTick(), tell(at(context.self.peer, actorNames.directory), { kind: 'watch-peers' })] }),
    holds: ({ runs }) => [...runs.values()].flatMap(heldBy),
    receive: (state, delivery, context) => receive(missionId, state, delivery, context),
    endTurn: (state, context) => flushSaid(state, context),
  }
}

function nextTick(): Effect {
  return { type: 'set-timer', key: 'tick', delayMs: limits.pulseMs, message: { kind: 'tick' } }
}

function receive(missionId: MissionId, state: WorkerState, delivery: Delivery, context: ActorContext): readonly Effect[] {
  const { message, from } = delivery.message.kind === 'passed-on' ? delivery.message : delivery
  switch (message.kind) {
    case 'run-awards':
      return message.awards.flatMap((award) => begin(state, award, context))
    case 'skill-event': {
      const run = state.runs.get(message.runId as AwardId)
      return run === undefined ? [] : onSkill(state, run, message.event, context)
    }
    case 'tick': {
      if (message.what === 'hand-back') return [...state.runs.values()].flatMap((run) => handBack(state, run, context))
      const told = message.what === undefined ? undefined : state.runs.get(message.what as AwardId)
      return told === undefined ? onTick(missionId, state, context) : tellProgress(state, told, context)
    }
    case 'peer-up':
      for (const run of state.runs.values()) if (message.peer === run.holder.manager.peer) onManagerBack(state, run, context)
      return []
    case 'renewed':
      for (const run of runsFor(state, message.awardIds, from)) renewed(run.holder, message.round, message.leaseMs, context.nowMs)
      return []
    case 'checkpoint-heard':
      return [...runsFor(state, [message.awardId], from)].flatMap((run) => onCheckpointHeard(state, run, message.number, message.refused ?? false, context))
    case 'invoke-placed':
    case 'invoke-chunk':
    case 'invoke-done':
    case 'invoke-failed':
      return onCallAnswered(state.runs.get(runOfTag(message.tag) as AwardId)?.calls, message)
    case 'adopt': {
      const run = state.runs.get(message.awardId)
      if (message.manager.peer !== from.peer) return []
      return run === undefined ? [tell(message.manager, { kind: 'not-holding', awardId: message.awardId })] : adoptRun(state, run, message, context)
    }
    case 'acknowledge':
      for (const run of runsFor(state, message.awardIds, from)) endRun(state, run)
      return []
    case 'cancel': {
      const run = state.runs.get(message.awardId)
      // This node's own desk passes on what the mission's owner of now says.
      if (run === undefined || (from.peer !== run.holder.manager.peer && from.peer !== run.holder.orchestrator.peer && from.peer !== context.self.peer) || isFenced(run.holder, message.epoch)) return []
      endRun(state, run)
      return [...stopSkill(run, fault('cancelled', message.reason), context), fact('info', 'award.cancelled', { award: message.awardId, reason: message.reason })]
    }
    case 'worker-ends':
      return state.runs.size > 0 ? [] : [tell(at(context.self.peer, actorNames.directory), { kind: 'unwatch-peers' }), { type: 'stop-self' }]
    default:
      return []
  }
}

/** Its manager alone is listened to. */
function* runsFor(state: WorkerState, awardIds: readonly AwardId[], from: ActorAddress): Generator<Run> {
  for (const awardId of awardIds) {
    const run = state.runs.get(awardId)
    if (run?.holder.manager.peer === from.peer) yield run
  }
}

function begin(state: WorkerState, award: Award, context: ActorContext): Effect[] {
  if (state.runs.has(award.awardId)) return []
  state.runs.set(award.awardId, newRun(award, context.nowMs))
  return [{
    type: 'start-skill',
    run: {
      runId: award.awardId, capability: award.capability, version: award.version, step: 'run', input: award.input, ...(award.checkpoint === undefined ? {} : { checkpoint: award.checkpoint }),
      principal: award.principal, missionId: award.missionId, taskId: award.taskId, attempt: award.attempt, timeLimitMs: Math.min(award.timeLimitMs, award.remainingMs), ...(award.attributes === undefined ? {} : { attributes: award.attributes }), ...(award.budgetUsd === undefined ? {} : { budgetUsd: award.budgetUsd }),
    },
  }]
}

function onTick(missionId: MissionId, state: WorkerState, context: ActorContext): Effect[] {
  // Awards that are on their way here are the participant's to know of: it says when this worker is not needed any more.
  if (state.runs.size === 0) return [nextTick(), tell(at(context.self.peer, actorNames.participant), { kind: 'worker-idle', missionId })]
  const effects: Effect[] = []
  const renewing: Holder[] = []
  for (const run of [...state.runs.values()]) if (lookAfter(state, run, effects, context)) renewing.push(run.holder)
  return [...effects, ...renewals(state, renewing, context), nextTick()]
}
