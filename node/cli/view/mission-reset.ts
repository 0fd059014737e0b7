/** A watcher that comes too late for the events gets the mission as it is: its progress is rebuilt from that. Pure. */
import type { BidSummary } from '../../../protocols/bidding/schema.ts'
import type { AwardId, CapabilityName, TaskId } from '../../../protocols/kernel/ids.ts'
import { type Attempt, type MissionFold, type TaskNode, liveAttempt, newTask } from '../../../protocols/tasking/mission-state.ts'
import type { AwardRecord, MissionEvent, TaskSpec } from '../../../protocols/tasking/schema.ts'
import type { MissionView, TaskView } from '../../../protocols/tasking/views.ts'

/** What of a watcher's progress is made anew. */
export interface Rebuildable {
  fold?: MissionFold
  readonly notes: { clear(): void }
  readonly names: Map<string, string>
  isRebuilt: boolean
}

/** Of an award of which only the worker is known. */
const unknownAward = '?' as AwardId

/** Forgets what was folded and goes on from a mission's view and tree of tasks: the bids are not in it. */
export function resetProgress(progress: Rebuildable, mission: MissionView, root: TaskView): void {
  const tasks = new Map<TaskId, TaskNode>()
  const walk = (task: TaskView): void => {
    tasks.set(task.id, taskNode(task, mission))
    if (task.worker !== undefined) progress.names.set(task.worker, task.workerName ?? task.worker)
    for (const child of task.children) walk(child)
  }
  walk(root)
  progress.names.set(mission.owner, mission.ownerName)
  progress.notes.clear()
  progress.isRebuilt = true
  progress.fold = {
    missionId: mission.id, name: mission.name, principal: mission.principal, owner: mission.owner, epoch: mission.epoch ?? { lineage: 1, term: 1 }, state: mission.state, paused: mission.state === 'paused', cancelling: false,
    priority: mission.priority, limits: mission.limits, acknowledgement: mission.acknowledgement, submittedAtWallMs: mission.submittedAtWallMs, request: { inline: null }, tasks, lastIndex: mission.lastIndex, leaves: mission.leaves,
    spentUsd: mission.spentUsd, ...(mission.endedAtWallMs === undefined ? {} : { endedAtWallMs: mission.endedAtWallMs }), ...(mission.fault === undefined ? {} : { fault: mission.fault }),
  }
}

/**
 * Makes an event fit what was rebuilt: the tree may be a little newer than the view's index, and its awards have no ids.
 * @returns false when the event is in it already, or speaks of what is not there.
 */
export function fitsRebuilt({ fold }: Pick<Rebuildable, 'fold'>, event: MissionEvent): boolean {
  if (fold === undefined) return false
  const root = fold.tasks.get('root' as TaskId)
  // The tree says of a root only that it is at work, until its mission has ended.
  if (event.type === 'completed' && root !== undefined) root.state = 'accepted'
  const taskId = event.type === 'awarded' ? event.award.taskId : 'taskId' in event ? event.taskId : undefined
  const task = taskId === undefined ? undefined : fold.tasks.get(taskId)
  if (taskId === undefined) return true
  if (task === undefined) return false
  if (event.type === 'planned') return !task.planned
  const live = liveAttempt(task)
  if (event.type === 'awarded') {
    // The award that the tree told of.
    if (live?.award.awardId === unknownAward) task.attempts.splice(task.attempts.indexOf(live), 1)
  } else if (event.type === 'award-ended' && !task.attempts.some(({ award }) => award.awardId === event.awardId)) {
    const known = live?.award.awardId === unknownAward ? live : undefined
    const attempt: Attempt = { award: { ...(known?.award ?? awardOf(task.spec, undefined, '', task.attempts.length + 1)), awardId: event.awardId }, awardedAtWallMs: known?.awardedAtWallMs ?? event.atWallMs, outcome: 'running' }
    if (known !== undefined) task.attempts.splice(task.attempts.indexOf(known), 1)
    task.attempts.push(attempt)
  } else if (event.type === 'accepted' && live?.award.awardId === unknownAward) {
    task.attempts.splice(task.attempts.indexOf(live), 1, { ...live, award: { ...live.award, awardId: event.awardId } })
  }
  return true
}

function taskNode(view: TaskView, mission: MissionView): TaskNode {
  const spec: TaskSpec = {
    taskId: view.id, kind: view.kind, capability: view.capability as CapabilityName, effects: 'none', input: { inline: null }, after: view.after, priority: view.priority, effort: 1, accept: [], retry: { attemptsMax: 1, backoffMs: 0 },
    timeLimitMs: 1, optional: false,
  }
  const state = view.state === 'announced' || (view.id === 'root' && view.state === 'running') ? 'pending' : view.state === 'running' ? 'awarded' : view.state
  const outcome = state === 'accepted' ? 'accepted' : state === 'awarded' ? 'running' : state === 'cancelled' ? 'cancelled' : 'failed'
  const endedAtWallMs = mission.endedAtWallMs ?? mission.submittedAtWallMs
  const attempts: Attempt[] = view.worker === undefined || state === 'pending' ? [] : [{
    award: awardOf(spec, view.worker, view.workerName ?? view.worker, Math.max(1, view.attempts)), awardedAtWallMs: mission.submittedAtWallMs, outcome, ...(outcome === 'running' ? {} : { endedAtWallMs }),
  }]
  return {
    ...newTask(spec), state, attempts, children: view.children.map(({ id }) => id), planned: view.children.length > 0, ...(view.tookMs === undefined ? {} : { tookMs: view.tookMs }), ...(view.fault === undefined ? {} : { fault: view.fault }),
  }
}

function awardOf(spec: TaskSpec, worker: AwardRecord['worker'] | undefined, workerName: string, attempt: number): AwardRecord {
  const peer = worker ?? ('?' as AwardRecord['worker'])
  const bid: BidSummary = {
    peer, name: workerName, version: '1.0', estimatedFinishMs: 0, calibratedFinishMs: 0, priceUsd: 0, slotsFree: 0, breakdown: { queueMs: 0, warmUpMs: 0, transferMs: 0, runMs: 0, samples: 0 },
    terms: { finish: 0, price: 0, reliability: 0, headroom: 0, spread: 0 }, total: 0,
  }
  return { awardId: unknownAward, taskId: spec.taskId, attempt, epoch: { lineage: 1, term: 1 }, worker: peer, workerName, capability: spec.capability, version: '1.0', bid, bids: [], refusals: [], why: '' }
}
