/** Whatever a manager's state allows now: the end, dependants that can never start, new calls. */
import { isTerminal } from '../../protocols/tasking/mission-state.ts'
import type { ActorContext } from '../runtime/actor.ts'
import type { Effect } from '../runtime/effects.ts'
import { withdrawUndecided } from './manager-calls.ts'
import { startReadyTasks } from './manager-preparing.ts'
import { finishIfDone, synthesiseGiven } from './manager-planning.ts'
import { childrenOf, hasUnsettled, record, taskOf, type ManagerState } from './manager-state.ts'

export function advance(state: ManagerState, context: ActorContext): Effect[] {
  if (state.phase !== 'running') return []
  // Once a task that is needed is dead nothing new is started: what runs may finish, so that a retry finds it done.
  const broken = childrenOf(state).some((child) => child.state === 'dead' && !child.spec.optional)
  const withdrawn = broken ? withdrawUndecided(state, context) : []
  const finished = finishIfDone(state, context)
  if (finished !== undefined || broken) return [...withdrawn, ...(finished ?? [])]
  return [...skipBlocked(state, context), ...startReadyTasks(state, context)]
}

/** A value for the result of a plan of one's own has arrived. */
export function finishGiven(state: ManagerState, context: ActorContext): Effect[] {
  return state.phase === 'running' && !hasUnsettled(state) && childrenOf(state).every((child) => isTerminal(child.state)) ? synthesiseGiven(state, context) : []
}

/** A task whose dependency was cancelled can never start. One that needs an optional task's output goes on without it. */
function skipBlocked(state: ManagerState, context: ActorContext): Effect[] {
  if (hasUnsettled(state)) return []
  const blocked = childrenOf(state).filter((child) => child.state === 'pending' && child.spec.after.some((needed) => taskOf(state, needed).state === 'cancelled'))
  return record(state, blocked.map((child) => ({ type: 'task-cancelled', atWallMs: context.wallMs, taskId: child.spec.taskId, reason: 'a task it needs was cancelled' })), context)
}
