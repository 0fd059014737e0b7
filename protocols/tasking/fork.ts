/**
 * Forking a mission: another one that begins where this one stood before one of its tasks. What does not depend on that task is taken over with
 * its results; the task itself, everything that waits for it, and the syntheses above run again.
 */
import { fault, type Fault } from '../kernel/errors.ts'
import { parentTaskId, type TaskId } from '../kernel/ids.ts'
import type { Json } from '../kernel/payload.ts'
import type { WallMs } from '../kernel/units.ts'
import type { MissionFold, TaskNode } from './fold.ts'
import type { MissionEvent, TaskSpec } from './schema.ts'

/**
 * @param at the task to begin at; not the root.
 * @param model the task's own calls go to this one.
 * @returns what the new mission's log begins with after `submitted`, or why it cannot be forked there.
 */
export function forkEvents(fold: MissionFold, at: TaskId, model: string | undefined, atWallMs: WallMs): MissionEvent[] | Fault {
  const task = fold.tasks.get(at)
  if (at === 'root') return fault('bad-request', 'a mission is forked at one of its tasks, not at its root', { next: 'submit it again, or name a task: skein mission show ID lists them' })
  if (task === undefined) return fault('unknown-task', `mission ${fold.missionId} has no task ${at}`, { next: 'list its tasks: skein mission show ID' })
  const above = pathTo(fold, at)
  const hidden = above.find((one) => one.state !== 'accepted' && one.spec.taskId !== 'root' && !one.planned)
  if (hidden !== undefined) return fault('wrong-state', `${hidden.spec.taskId} has no plan yet`, { next: 'fork it when it has ended' })
  const again = affectedBy(fold, at)
  return above.flatMap((parent) => [...planAgain(parent, fold, at, model, atWallMs), ...parent.children.flatMap((childId) => takenOver(fold, childId, again, atWallMs))])
}

/** The composite tasks above, the root first. */
function pathTo(fold: MissionFold, at: TaskId): TaskNode[] {
  const path: TaskNode[] = []
  for (let up = parentTaskId(at); up !== undefined; up = parentTaskId(up)) {
    const task = fold.tasks.get(up)
    if (task !== undefined) path.unshift(task)
  }
  return path
}

/** The task, those above it, and at every level whatever waits for one of these. */
function affectedBy(fold: MissionFold, at: TaskId): ReadonlySet<TaskId> {
  const again = new Set<TaskId>()
  for (let one: TaskId | undefined = at; one !== undefined; one = parentTaskId(one)) {
    again.add(one)
    const siblings = fold.tasks.get(parentTaskId(one) ?? ('' as TaskId))?.children ?? []
    for (let more = true; more;) {
      more = false
      for (const sibling of siblings) {
        if (again.has(sibling) || fold.tasks.get(sibling)?.spec.after.some((needed) => again.has(needed)) !== true) continue
        again.add(sibling)
        more = true
      }
    }
  }
  return again
}

/** Its children as they were planned, those that were added later included, in as many rounds: what is added from now on comes after them. */
function planAgain(parent: TaskNode, fold: MissionFold, at: TaskId, model: string | undefined, atWallMs: WallMs): MissionEvent[] {
  const { taskId } = parent.spec
  const children = parent.children.flatMap((childId) => fold.tasks.get(childId)?.spec ?? []).map((spec) => (spec.taskId === at && model !== undefined ? withModel(spec, model) : spec))
  const rounds = Array.from({ length: parent.rounds ?? 0 }, (_, i): MissionEvent => ({ type: 'planned', atWallMs, taskId, children: [], round: i + 1 }))
  return [{ type: 'planned', atWallMs, taskId, children, ...(parent.planResult === undefined ? {} : { result: parent.planResult }) }, ...rounds]
}

/** A model's own capability is asked for it by attribute; agents are told which model decides and writes. */
function withModel(spec: TaskSpec, model: string): TaskSpec {
  const { input, capability, attributes } = spec
  if (capability.startsWith('llm.')) return { ...spec, attributes: { ...attributes, model }, input: changed(input, { model }) }
  return capability.startsWith('agent.') ? { ...spec, input: changed(input, { models: { decide: model, write: model } }) } : spec
}

function changed(input: TaskSpec['input'], change: { readonly [key: string]: Json }): TaskSpec['input'] {
  const value = 'inline' in input ? input.inline : undefined
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { inline: { ...value, ...change } } : input
}

function takenOver(fold: MissionFold, childId: TaskId, again: ReadonlySet<TaskId>, atWallMs: WallMs): MissionEvent[] {
  const child = fold.tasks.get(childId)
  if (child === undefined || again.has(childId)) return []
  if (child.state !== 'accepted' || child.result === undefined || child.acceptedAward === undefined) return [{ type: 'task-cancelled', atWallMs, taskId: childId, reason: `it had not ended well in ${fold.missionId}` }]
  return [{ type: 'reused', atWallMs, taskId: childId, result: child.result, from: { missionId: fold.missionId, awardId: child.acceptedAward } }]
}
