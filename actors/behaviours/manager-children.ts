/**
 * What of a manager's children needs attention: those that may be started, those that have not ended, those that ended badly. Kept
 * beside the fold, so that an event costs the same whether ten children have been planned or ten thousand.
 */
import type { TaskId } from '../../protocols/kernel/ids.ts'
import { parentTaskId } from '../../protocols/kernel/ids.ts'
import { isTerminal } from '../../protocols/tasking/mission-state.ts'
import { childrenOf, taskOf, type ManagerState } from './manager-state.ts'
import { needOf } from './needs.ts'

/** Looks at all children: after the log was folded, and now and then, so that nothing that can be started is ever overlooked for long. */
export function indexChildren(state: ManagerState): void {
  const { children } = state
  children.startable.clear()
  children.open.clear()
  children.broken.clear()
  children.neededBy.clear()
  for (const { spec: { taskId, after } } of childrenOf(state)) {
    for (const needed of after) {
      const waiting = children.neededBy.get(needed)
      if (waiting === undefined) children.neededBy.set(needed, [taskId])
      else waiting.push(taskId)
    }
    noteState(state, taskId)
  }
}

/** After an event of this task, and after its call was closed. */
export function noteChild(state: ManagerState, taskId: TaskId): void {
  if (parentTaskId(taskId) !== state.init.taskId || state.fold?.tasks.has(taskId) !== true) return
  noteState(state, taskId)
  if (!state.children.open.has(taskId)) for (const waiting of state.children.neededBy.get(taskId) ?? []) noteState(state, waiting)
}

function noteState(state: ManagerState, taskId: TaskId): void {
  const { startable, open, broken } = state.children
  const task = taskOf(state, taskId)
  if (isTerminal(task.state)) open.delete(taskId)
  else open.add(taskId)
  if (task.state === 'dead' && !task.spec.optional && !task.givenUp) broken.add(taskId)
  else broken.delete(taskId)
  if (task.state !== 'pending') return
  const { priority } = task.spec
  const need = needOf(task.spec)
  let byNeed = startable.get(priority)
  if (byNeed === undefined) startable.set(priority, (byNeed = new Map()))
  const taskIds = byNeed.get(need)
  if (taskIds === undefined) byNeed.set(need, new Set([taskId]))
  else taskIds.add(taskId)
}

/**
 * Children that may be startable, the highest priority first, then in the plan's order, as long as there is room for another of their
 * need. Each is taken out: whoever takes one and does not start it notes it again when something has changed.
 */
export function* takeStartable({ children: { startable } }: ManagerState, hasRoom: (need: string) => boolean): Generator<TaskId> {
  for (const priority of [...startable.keys()].sort((left, right) => right - left)) {
    const byNeed = startable.get(priority) as Map<string, Set<TaskId>>
    for (const [need, taskIds] of byNeed) {
      for (const taskId of taskIds) {
        if (!hasRoom(need)) break
        taskIds.delete(taskId)
        yield taskId
      }
      if (taskIds.size === 0) byNeed.delete(need)
    }
    if (byNeed.size === 0) startable.delete(priority)
  }
}
