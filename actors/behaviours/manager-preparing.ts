/** What a manager does before it calls for proposals: it finds the tasks that are ready, puts their inputs together, and asks who offers what they need. */
import type { TaskId } from '../../protocols/kernel/ids.ts'
import type { Payload } from '../../protocols/kernel/payload.ts'
import { isTerminal, type TaskNode } from '../../protocols/tasking/mission-state.ts'
import { referencesIn, resolveReferences } from '../../protocols/tasking/plan.ts'
import type { ActorContext } from '../runtime/actor.ts'
import type { Effect } from '../runtime/effects.ts'
import { awardOpenCalls, tender } from './manager-awarding.ts'
import { takeStartable } from './manager-children.ts'
import { callsMost, placesNow } from './manager-offers.ts'
import { beginPreparing, record, taskName, taskOf, type ManagerState } from './manager-state.ts'
import { needOf } from './needs.ts'

/**
 * Starts whatever can be started now, and ends what never can. Of each need as many tasks as standing offers have places for, and as
 * many more as there may be calls (`callsMost`): those that wait here cost nobody anything.
 */
export function startReadyTasks(state: ManagerState, context: ActorContext): Effect[] {
  if (state.phase !== 'running' || state.paused) return []
  const ready: TaskNode[] = []
  const never: TaskNode[] = []
  const rooms = new Map<string, number>()
  const roomFor = (need: string): number => {
    let room = rooms.get(need)
    if (room === undefined) rooms.set(need, (room = placesNow(state, need, context) + Math.max(0, callsMost(state, need, context) - (state.underWay.get(need) ?? 0))))
    return room
  }
  for (const taskId of takeStartable(state, (need) => roomFor(need) > 0)) {
    const child = taskOf(state, taskId)
    if (!isStartable(state, child, context)) continue
    if (child.spec.after.some((needed) => taskOf(state, needed).state === 'cancelled')) never.push(child)
    else {
      const need = needOf(child.spec)
      rooms.set(need, roomFor(need) - 1)
      ready.push(child)
      beginPreparing(state, child)
    }
  }
  return [...cancelNever(state, never, context), ...prepare(state, ready, context), ...awardOpenCalls(state, context)]
}

/** What is only too early is looked at again with the next tick. */
function isStartable(state: ManagerState, { spec: { taskId, after }, state: taskState, notBeforeWallMs }: TaskNode, context: ActorContext): boolean {
  if (taskState !== 'pending' || state.preparing.has(taskId) || state.callOf.has(taskId) || state.unsettledOf.has(taskId) || notBeforeWallMs > context.wallMs) return false
  return after.every((needed) => isTerminal(taskOf(state, needed).state))
}

/** A task whose dependency was cancelled can never start. One that needs an optional task's output goes on without it. */
function cancelNever(state: ManagerState, tasks: readonly TaskNode[], context: ActorContext): Effect[] {
  return record(state, tasks.map(({ spec: { taskId } }) => ({ type: 'task-cancelled', atWallMs: context.wallMs, taskId, reason: 'a task it needs was cancelled' })))
}

function prepare(state: ManagerState, ready: readonly TaskNode[], context: ActorContext): Effect[] {
  return [...ready.flatMap((child) => resolveInput(state, child)), ...tender(state, ready.filter((child) => state.inputs.has(child.spec.taskId)), context)]
}

/** An input that refers to other tasks' outputs is put together once all of those are loaded. */
function resolveInput(state: ManagerState, task: TaskNode): Effect[] {
  const { taskId, input, after } = task.spec
  if (state.inputs.has(taskId)) return []
  if (after.length === 0) {
    state.inputs.set(taskId, input)
    return []
  }
  const inputKey = `input of ${taskId}`
  const own = 'inline' in input ? input.inline : state.values.get(inputKey)
  if (own === undefined) return load(state, inputKey, input)
  const names = referencesIn(own)
  if (names.length === 0) {
    state.inputs.set(taskId, input)
    return []
  }
  const outputs = new Map<string, unknown>()
  const loads: Effect[] = []
  for (const neededId of after) {
    const needed = taskOf(state, neededId)
    const name = taskName(neededId)
    if (!names.includes(name) || needed.result === undefined) continue
    const value = 'inline' in needed.result ? needed.result.inline : state.values.get(neededId)
    if (value === undefined) loads.push(...load(state, neededId, needed.result))
    else outputs.set(name, value)
  }
  if (loads.length > 0 || [...after].some((neededId) => state.loading.has(neededId))) return loads
  return [{ type: 'store-value', value: resolveReferences(own, outputs), tag: `resolved ${taskId}` }]
}

function load(state: ManagerState, key: string, payload: Payload): Effect[] {
  if (state.loading.has(key)) return []
  state.loading.add(key)
  return [{ type: 'load-value', payload, alsoTry: [state.orchestrator.peer], tag: `load ${key}` }]
}

/** A value arrived that some task's input waited for. */
export function onValueForInput(state: ManagerState, context: ActorContext): Effect[] {
  const waiting = [...state.preparing].filter((taskId) => !state.inputs.has(taskId)).map((taskId) => taskOf(state, taskId))
  return [...waiting.flatMap((task) => resolveInput(state, task)), ...tender(state, waiting.filter((task) => state.inputs.has(task.spec.taskId)), context)]
}

export function onInputResolved(state: ManagerState, taskId: TaskId, payload: Payload, context: ActorContext): Effect[] {
  state.inputs.set(taskId, payload)
  return tender(state, [taskOf(state, taskId)], context)
}
