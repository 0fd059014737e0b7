/**
 * One mission as its log tells it, kept only while it lives. An entry is heard once for every replica that syncs it,
 * in any order: what was counted once is not counted again.
 */
import { compareEpochs, type Epoch, type MissionId, type PeerId, type TaskId } from '../../protocols/kernel/ids.ts'
import type { DurationMs, InstantMs } from '../../protocols/kernel/units.ts'
import type { MissionEvent, TaskSpec } from '../../protocols/tasking/schema.ts'
import type { AwardEnd } from './node-tally.ts'

interface TaskTally {
  readonly leaf: boolean
  /** `held` waits for other tasks, `ready` for an award. */
  state: 'held' | 'ready' | 'awarded' | 'ended'
  needs: number
  readonly neededBy: TaskTally[]
  readonly awards: Map<string, { readonly worker: PeerId; ended: boolean }>
  lostMs: InstantMs | undefined
}

export interface MissionTally {
  readonly missionId: MissionId
  readonly arrivedMs: InstantMs
  startedMs: InstantMs | undefined
  owner: PeerId
  epoch: Epoch
  /** When this owner came to it. */
  ownedSinceMs: InstantMs
  readonly tasks: Map<TaskId, TaskTally>
  readonly planned: Set<TaskId>
}

/** What a mission's events mean to the figures of the run. */
export interface MissionSink {
  /** Leaves that begin (1) or cease (-1) to wait for an award. */
  waiting(by: number): void
  leafAwarded(worker: PeerId, repeated: boolean): void
  leafAwardEnded(worker: PeerId, end: AwardEnd): void
  leafEnded(how: 'accepted' | 'dead' | 'cancelled'): void
  recovered(who: 'worker' | 'manager', afterMs: DurationMs): void
  /** @param ownedSinceMs when the previous owner came to the mission. */
  tookOver(previous: PeerId, ownedSinceMs: InstantMs): void
  ended(how: 'completed' | 'failed' | 'cancelled'): void
}

export function openMissionTally(event: Extract<MissionEvent, { type: 'submitted' }>, arrivedMs: InstantMs, nowMs: InstantMs): MissionTally {
  return { missionId: event.missionId, arrivedMs, startedMs: undefined, owner: event.owner, epoch: { lineage: 1, term: 1 }, ownedSinceMs: nowMs, tasks: new Map([[event.rootSpec.taskId, newTask(event.rootSpec)]]), planned: new Set() }
}

function newTask(spec: TaskSpec): TaskTally {
  return { leaf: spec.kind === 'leaf', state: 'held', needs: 0, neededBy: [], awards: new Map(), lostMs: undefined }
}

export function noteEvent(mission: MissionTally, event: MissionEvent, nowMs: InstantMs, sink: MissionSink): void {
  switch (event.type) {
    case 'planned':
      return plan(mission, event.taskId, event.children, sink)
    case 'awarded':
      return award(mission, event, nowMs, sink)
    case 'award-ended': {
      const task = mission.tasks.get(event.taskId)
      const own = task?.awards.get(event.awardId)
      if (task === undefined || own === undefined || own.ended) return
      own.ended = true
      if (event.outcome === 'lost') task.lostMs = nowMs
      if (task.leaf && event.outcome !== 'refused') sink.leafAwardEnded(own.worker, event.outcome)
      if (task.state === 'awarded') enter(task, 'ready', sink)
      return
    }
    case 'accepted': {
      const task = mission.tasks.get(event.taskId)
      if (task === undefined || task.state === 'ended') return
      const own = task.awards.get(event.awardId)
      if (own !== undefined && !own.ended) {
        own.ended = true
        if (task.leaf) sink.leafAwardEnded(own.worker, 'accepted')
      }
      endTask(task, 'accepted', sink)
      for (const next of task.neededBy) {
        next.needs -= 1
        if (next.needs === 0 && next.state === 'held') enter(next, 'ready', sink)
      }
      return
    }
    case 'dead':
      return endBelow(mission, event.taskId, 'dead', sink)
    case 'task-cancelled':
      return endBelow(mission, event.taskId, 'cancelled', sink)
    case 'took-over': {
      if (compareEpochs(event.epoch, mission.epoch) <= 0) return
      sink.tookOver(mission.owner, mission.ownedSinceMs)
      mission.epoch = event.epoch
      mission.owner = event.owner
      mission.ownedSinceMs = nowMs
      return
    }
    case 'completed':
    case 'failed':
    case 'cancelled':
      for (const task of mission.tasks.values()) endTask(task, 'cancelled', sink)
      return sink.ended(event.type)
    default:
      return
  }
}

function enter(task: TaskTally, state: TaskTally['state'], sink: MissionSink): void {
  if (task.leaf && (task.state === 'ready') !== (state === 'ready')) sink.waiting(state === 'ready' ? 1 : -1)
  task.state = state
}

function plan(mission: MissionTally, taskId: TaskId, children: readonly TaskSpec[], sink: MissionSink): void {
  if (mission.planned.has(taskId)) return
  mission.planned.add(taskId)
  for (const spec of children) mission.tasks.set(spec.taskId, newTask(spec))
  for (const spec of children) {
    const task = mission.tasks.get(spec.taskId)
    if (task === undefined) continue
    for (const needed of spec.after) {
      mission.tasks.get(needed)?.neededBy.push(task)
      task.needs += 1
    }
    if (task.needs === 0) enter(task, 'ready', sink)
  }
}

function award(mission: MissionTally, { award }: Extract<MissionEvent, { type: 'awarded' }>, nowMs: InstantMs, sink: MissionSink): void {
  const task = mission.tasks.get(award.taskId)
  if (task === undefined || task.awards.has(award.awardId)) return
  task.awards.set(award.awardId, { worker: award.worker, ended: false })
  if (task.lostMs !== undefined) sink.recovered(task.leaf ? 'worker' : 'manager', nowMs - task.lostMs)
  task.lostMs = undefined
  if (task.leaf) sink.leafAwarded(award.worker, award.attempt > 1)
  if (task.state !== 'ended') enter(task, 'awarded', sink)
}

function endTask(task: TaskTally, how: 'accepted' | 'dead' | 'cancelled', sink: MissionSink): void {
  if (task.state === 'ended') return
  enter(task, 'ended', sink)
  if (task.leaf) sink.leafEnded(how)
}

function endBelow(mission: MissionTally, taskId: TaskId, how: 'dead' | 'cancelled', sink: MissionSink): void {
  const task = mission.tasks.get(taskId)
  if (task !== undefined) endTask(task, how, sink)
  if (task?.leaf !== false) return
  for (const [id, below] of mission.tasks) if (id.startsWith(`${taskId}/`)) endTask(below, 'cancelled', sink)
}
