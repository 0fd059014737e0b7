/** The ways in which a manager goes: done, called off, superseded, or handed back. */
import { fault } from '../../protocols/kernel/errors.ts'
import { liveAttempt } from '../../protocols/tasking/mission-state.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext } from '../runtime/actor.ts'
import { tell, type Effect } from '../runtime/effects.ts'
import { withdrawCalls } from './manager-calls.ts'
import { callOff } from './manager-contracts.ts'
import { flushSaid } from './manager-says.ts'
import { endCalls } from './skill-calls.ts'
import { childrenOf, type ManagerState } from './manager-state.ts'

/** Cancellation reaches every running child. */
export function cancelAll(state: ManagerState, reason: string, context: ActorContext): Effect[] {
  const live = state.fold === undefined ? [] : childrenOf(state).flatMap((child) => liveAttempt(child)?.award ?? [])
  const begun = [...state.committing.values()].flatMap(({ award: { awardId }, participant, sentAtMs }) => (sentAtMs === undefined ? [] : [callOff(state, { awardId, worker: participant.peer }, reason)]))
  return [...live.map((award) => callOff(state, award, reason)), ...begun, ...end(state, context, reason)]
}

/** A graceful stop: the parent awards the task again, and the successor finds the children running. */
export function handBack(state: ManagerState, context: ActorContext): Effect[] {
  const { holder } = state
  if (holder === undefined) return []
  const reason = 'the node is stopping'
  return [...(holder.outcome === undefined ? [tell(holder.manager, { kind: 'hand-back' as const, awardId: state.init.awardId, reason })] : []), ...end(state, context, reason)]
}

/** Leaves everything to others: what runs below is the owner's and a successor's business. */
export function end(state: ManagerState, context: ActorContext, reason = 'the manager has ended'): Effect[] {
  const calls = state.fold === undefined ? [] : withdrawCalls(state, context)
  state.phase = 'finished'
  const forgotten = state.holder === undefined ? [] : [tell(at(context.self.peer, actorNames.participant), { kind: 'awards-forgotten' as const, awardIds: [state.init.awardId] })]
  // Who stops has no end of its turn.
  return [...calls, ...flushSaid(state, context), ...stopSkill(state, reason, context), tell(at(context.self.peer, actorNames.directory), { kind: 'unwatch-peers' }), ...forgotten, { type: 'stop-self' }]
}

export function stopSkill(state: ManagerState, reason: string, context: ActorContext): Effect[] {
  const { skill } = state
  state.skill = undefined
  return skill === undefined ? [] : [...endCalls(skill.calls, context), { type: 'stop-skill', runId: skill.runId, why: fault('cancelled', reason) }]
}
