/**
 * A mission's state is the fold of its events, nothing else. The owner folds all of them, a manager the ones of its
 * subtree. `judgeEvent` says whether an event may be appended to this state; `applyEvent` assumes that it may.
 */
import { invariant } from '../kernel/errors.ts'
import type { TaskId } from '../kernel/ids.ts'
import { parentTaskId } from '../kernel/ids.ts'
import type { WallMs } from '../kernel/units.ts'
import type { Attempt, MissionFold, TaskNode } from './fold.ts'
import type { IndexedEvent, MissionEvent, TaskSpec, TaskState } from './schema.ts'
import { charge, chargeSkill, purseOf, setAsideBy, settleCost } from './spending.ts'

export type { Attempt, MissionFold, TaskNode } from './fold.ts'

export function newTask(spec: TaskSpec): TaskNode {
  return { spec, state: 'pending', attempts: [], children: [], planned: false, failures: 0, losses: 0, notBeforeWallMs: 0 }
}

export function liveAttempt(task: TaskNode): Attempt | undefined {
  const last = task.attempts.at(-1)
  return last?.outcome === 'running' ? last : undefined
}

export function isTerminal(state: TaskState): boolean {
  return state === 'accepted' || state === 'dead' || state === 'cancelled'
}

export function missionEnded(fold: MissionFold): boolean {
  return fold.state === 'completed' || fold.state === 'failed' || fold.state === 'cancelled'
}

/** The state after the `submitted` event. */
export function openMission(event: Extract<MissionEvent, { type: 'submitted' }>, index: number): MissionFold {
  return {
    missionId: event.missionId, name: event.name, principal: event.principal, owner: event.owner, epoch: { lineage: 1, term: 1 }, state: 'accepted',
    paused: false, cancelling: false, priority: event.priority, limits: event.limits, acknowledgement: event.acknowledgement,
    submittedAtWallMs: event.atWallMs, request: event.request, tasks: new Map([[event.rootSpec.taskId, newTask(event.rootSpec)]]), lastIndex: index, leaves: 0, spentUsd: 0, ...(event.forkOf === undefined ? {} : { forkOf: event.forkOf }),
  }
}

/**
 * @param events from the log's first entry on; before `submitted` there is only what the log says of itself: who keeps it, who leads it.
 * @throws when they start otherwise: the log is damaged or belongs to something else.
 */
export function foldEvents(events: readonly IndexedEvent[]): MissionFold {
  const start = events.findIndex(({ event }) => event.type !== 'members' && event.type !== 'took-over')
  const first = events[start]
  invariant(first?.event.type === 'submitted', 'a mission log starts with "submitted"')
  const fold = openMission(first.event, first.index)
  for (const { event } of events.slice(0, start)) applyEvent(fold, event, first.index)
  for (const { index, event } of events.slice(start + 1)) applyEvent(fold, event, index)
  return fold
}

function taskOf(fold: MissionFold, taskId: TaskId): TaskNode {
  const task = fold.tasks.get(taskId)
  invariant(task !== undefined, `task ${taskId} is in the mission`)
  return task
}

export function applyEvent(fold: MissionFold, event: MissionEvent, index: number): void {
  fold.lastIndex = index
  switch (event.type) {
    case 'submitted':
      return
    case 'took-over':
      fold.epoch = event.epoch
      fold.owner = event.owner
      return
    case 'members':
      fold.members = event.membership
      return
    case 'archived':
      fold.archive = event.archive
      return
    case 'planned': {
      const task = taskOf(fold, event.taskId)
      task.planned = true
      if (event.result !== undefined) task.planResult = event.result
      if (event.costUsd !== undefined) chargeSkill(fold, event.taskId, event.costUsd)
      if (event.round !== undefined) task.rounds = event.round
      for (const taskId of event.givesUp ?? []) giveUp(fold, task, taskId, event.atWallMs)
      for (const spec of event.children) {
        fold.tasks.set(spec.taskId, newTask(spec))
        task.children.push(spec.taskId)
        if (spec.kind === 'leaf') fold.leaves += 1
      }
      break
    }
    case 'awarded': {
      const task = taskOf(fold, event.award.taskId)
      task.attempts.push({ award: event.award, awardedAtWallMs: event.atWallMs, outcome: 'running' })
      // An award sets its price aside at once, and only one that was refused gives it back: a lost attempt counts as spent.
      charge(fold, purseOf(fold, event.award.taskId), setAsideBy(event.award))
      task.state = 'awarded'
      break
    }
    case 'award-ended': {
      const task = taskOf(fold, event.taskId)
      const attempt = task.attempts.find(({ award }) => award.awardId === event.awardId)
      invariant(attempt !== undefined, `award ${event.awardId} is in the mission`)
      Object.assign(attempt, { outcome: event.outcome, endedAtWallMs: event.atWallMs, fault: event.fault })
      if (event.outcome === 'failed') task.failures += 1
      if (event.outcome === 'lost') task.losses += 1
      if (event.outcome !== 'refused') task.fault = event.fault
      if (event.outcome === 'refused') charge(fold, purseOf(fold, event.taskId), -setAsideBy(attempt.award))
      else if (event.costUsd !== undefined) settleCost(fold, task, attempt, event.costUsd, false)
      task.notBeforeWallMs = event.atWallMs + (event.retryInMs ?? 0)
      task.state = 'pending'
      break
    }
    case 'checkpointed':
      taskOf(fold, event.taskId).checkpoint = event.checkpoint
      return
    case 'accepted': {
      const task = taskOf(fold, event.taskId)
      const attempt = task.attempts.find(({ award }) => award.awardId === event.awardId)
      if (attempt !== undefined) {
        Object.assign(attempt, { outcome: 'accepted', endedAtWallMs: event.atWallMs })
        delete attempt.fault
      }
      if (event.costUsd !== undefined) settleCost(fold, task, attempt, event.costUsd, true)
      if (event.tokens !== undefined) task.tokens = event.tokens
      Object.assign(task, { state: 'accepted', result: event.result, acceptedAward: event.awardId, tookMs: event.tookMs })
      delete task.fault
      delete task.checkpoint
      break
    }
    case 'reused': {
      Object.assign(taskOf(fold, event.taskId), { state: 'accepted', result: event.result, acceptedAward: event.from.awardId, reusedFrom: event.from.missionId, tookMs: 0 })
      break
    }
    case 'dead': {
      const task = taskOf(fold, event.taskId)
      task.state = 'dead'
      task.diedAtWallMs = event.atWallMs
      task.fault = event.fault
      endLiveAttempt(task, event.atWallMs, 'failed')
      cancelOpenTasks(fold, event.atWallMs, `${event.taskId}/`)
      break
    }
    case 'dead-dropped':
      taskOf(fold, event.taskId).droppedAtWallMs = event.atWallMs
      return
    case 'retried':
      revive(fold, event.taskId)
      delete fold.endedAtWallMs
      delete fold.fault
      break
    case 'task-cancelled': {
      const task = taskOf(fold, event.taskId)
      task.state = 'cancelled'
      endLiveAttempt(task, event.atWallMs, 'cancelled')
      cancelOpenTasks(fold, event.atWallMs, `${event.taskId}/`)
      break
    }
    case 'paused':
      fold.paused = true
      break
    case 'resumed':
      fold.paused = false
      break
    case 'changed':
      fold.priority = event.priority ?? fold.priority
      fold.limits = { ...fold.limits, ...withoutUndefined(event.limits ?? {}) }
      return
    case 'cancel-requested':
      fold.cancelling = true
      return
    case 'completed':
      Object.assign(fold, { state: 'completed', result: event.result, endedAtWallMs: event.atWallMs })
      return
    case 'failed':
      Object.assign(fold, { state: 'failed', fault: event.fault, endedAtWallMs: event.atWallMs })
      cancelOpenTasks(fold, event.atWallMs)
      return
    case 'cancelled':
      Object.assign(fold, { state: 'cancelled', endedAtWallMs: event.atWallMs })
      cancelOpenTasks(fold, event.atWallMs)
      return
  }
  fold.state = fold.paused ? 'paused' : fold.leaves === 0 ? 'planning' : 'running'
}

function withoutUndefined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== undefined)) as { [K in keyof T]: Exclude<T[K], undefined> }
}

/** What waits for it, however far, can never be as it was planned. */
function giveUp(fold: MissionFold, parent: TaskNode, taskId: TaskId, atWallMs: WallMs): void {
  taskOf(fold, taskId).givenUp = true
  const gone = new Set([taskId])
  for (let more = true; more;) {
    more = false
    for (const childId of parent.children) {
      const child = taskOf(fold, childId)
      if (gone.has(childId) || isTerminal(child.state) || !child.spec.after.some((needed) => gone.has(needed))) continue
      child.state = 'cancelled'
      endLiveAttempt(child, atWallMs, 'cancelled')
      gone.add(childId)
      more = true
    }
  }
}

function endLiveAttempt(task: TaskNode, atWallMs: WallMs, outcome: 'failed' | 'cancelled'): void {
  const attempt = liveAttempt(task)
  if (attempt !== undefined) Object.assign(attempt, { outcome, endedAtWallMs: atWallMs })
}

function cancelOpenTasks(fold: MissionFold, atWallMs: WallMs, below = ''): void {
  for (const task of fold.tasks.values()) {
    if (isTerminal(task.state) || !task.spec.taskId.startsWith(below)) continue
    task.state = 'cancelled'
    endLiveAttempt(task, atWallMs, 'cancelled')
  }
}

/** A dead task starts again, and with it everything that was given up because of it; accepted work stays. */
function revive(fold: MissionFold, taskId: TaskId): void {
  for (let at: TaskId | undefined = taskId; at !== undefined; at = parentTaskId(at)) {
    const task = fold.tasks.get(at)
    if (task === undefined || (task.state !== 'dead' && task.state !== 'cancelled')) continue
    Object.assign(task, { state: 'pending', failures: 0, losses: 0, notBeforeWallMs: 0 })
    delete task.fault
    delete task.diedAtWallMs
    delete task.droppedAtWallMs
  }
  // Parents come before their children. What was given up below a task that stays ended stays given up.
  for (const task of fold.tasks.values()) {
    const parent = parentTaskId(task.spec.taskId)
    if (task.state !== 'cancelled' || (parent !== undefined && isTerminal(taskOf(fold, parent).state))) continue
    task.state = 'pending'
    task.notBeforeWallMs = 0
  }
}
