/** A manager asks the directory who offers what its tasks need. */
import type { TaskNode } from '../../protocols/tasking/mission-state.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext } from '../runtime/actor.ts'
import { tell, type Effect } from '../runtime/effects.ts'
import type { ManagerState } from './manager-state.ts'

/** Asks who offers what these tasks need. */
export function lookUpProviders(state: ManagerState, tasks: readonly TaskNode[], context: ActorContext, what: 'offers' | 'update' = 'offers'): Effect[] {
  if (tasks.length === 0) return []
  const tag = `${what} ${state.nextRequest++}`
  state.questions.set(tag, tasks.map((task) => task.spec.taskId))
  const queries = tasks.map(({ spec }) => ({ capability: spec.capability, ...(spec.version === undefined ? {} : { version: spec.version }), ...(spec.attributes === undefined ? {} : { attributes: spec.attributes }) }))
  return [tell(at(context.self.peer, actorNames.directory), { kind: 'who-offers', tag, patient: false, queries })]
}
