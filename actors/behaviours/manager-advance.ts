/** Whatever a manager's state allows now: the end, dependants that can never start, new calls. */
import type { ActorContext } from '../runtime/actor.ts'
import type { Effect } from '../runtime/effects.ts'
import { withdrawUndecided } from './manager-calls.ts'
import { finishIfDone, synthesiseGiven } from './manager-planning.ts'
import { startReadyTasks } from './manager-preparing.ts'
import { hasUnsettled, type ManagerState } from './manager-state.ts'

export function advance(state: ManagerState, context: ActorContext): Effect[] {
  state.mayAdvance = false
  if (state.phase !== 'running') return []
  // Once a task that is needed is dead nothing new is started: what runs may finish, so that a retry finds it done.
  const isBroken = state.children.broken.size > 0
  const withdrawn = isBroken ? withdrawUndecided(state, context) : []
  const finished = finishIfDone(state, context)
  if (finished !== undefined || isBroken) return [...withdrawn, ...(finished ?? [])]
  return startReadyTasks(state, context)
}

/** A value for the result of a plan of one's own has arrived. */
export function finishGiven(state: ManagerState, context: ActorContext): Effect[] {
  return state.phase === 'running' && !hasUnsettled(state) && state.children.open.size === 0 ? synthesiseGiven(state, context) : []
}
