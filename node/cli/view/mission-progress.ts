/**
 * What a watcher knows of a mission: the fold of its events and progress notes. Pure: time comes in as an argument.
 * `step` style: the state is changed in place and belongs to this fold alone.
 */
import type { BidSummary } from '../../../protocols/bidding/schema.ts'
import type { Fault } from '../../../protocols/kernel/errors.ts'
import type { MissionId, TaskId } from '../../../protocols/kernel/ids.ts'
import type { AwardRecord, IndexedEvent, MissionEvent, MissionState, ProgressNote, TaskSpec, TaskState } from '../../../protocols/tasking/schema.ts'

export interface AttemptProgress {
  readonly award: AwardRecord
  readonly awardedAtWallMs: number
  endedAtWallMs?: number
  outcome: 'running' | 'accepted' | 'refused' | 'lost' | 'failed' | 'cancelled'
  fault?: Fault
}

export interface TaskProgress {
  readonly id: TaskId
  readonly name: string
  readonly kind: TaskSpec['kind']
  readonly capability: string
  readonly after: readonly TaskId[]
  readonly children: TaskId[]
  readonly attempts: AttemptProgress[]
  state: TaskState
  tookMs?: number
  fraction?: number
  text?: string
  fault?: Fault
}

export interface MissionProgress {
  missionId?: MissionId
  name: string
  capability?: string
  state: MissionState
  owner?: string
  priority?: number
  submittedAtWallMs?: number
  endedAtWallMs?: number
  fault?: Fault
  lastIndex: number
  readonly tasks: Map<TaskId, TaskProgress>
  /** Names of peers, as their bids told. */
  readonly names: Map<string, string>
  /** How far the owner's wall clock is ahead of ours, at least: the newest event cannot be from the future. */
  clockAheadMs: number
  /** Tasks awarded again after their result had been accepted. A correct mesh keeps this at 0. */
  repeated: number
}

export function newProgress(): MissionProgress {
  return { name: 'mission', state: 'accepted', lastIndex: 0, tasks: new Map(), names: new Map(), clockAheadMs: Number.NEGATIVE_INFINITY, repeated: 0 }
}

/** The feed starts again from a snapshot or from the beginning. */
export function forgetAll(progress: MissionProgress): void {
  progress.tasks.clear()
  progress.lastIndex = 0
  progress.repeated = 0
  progress.state = 'accepted'
}

/** @returns false for an event that was folded before (after a reconnect). */
export function applyEvent(progress: MissionProgress, indexed: IndexedEvent, receivedAtWallMs: number): boolean {
  if (indexed.index <= progress.lastIndex) return false
  progress.lastIndex = indexed.index
  progress.clockAheadMs = Math.max(progress.clockAheadMs, indexed.event.atWallMs - receivedAtWallMs)
  fold(progress, indexed.event)
  return true
}

export function applyNote(progress: MissionProgress, note: ProgressNote): void {
  const task = progress.tasks.get(note.taskId)
  if (task === undefined || isEnded(task.state)) return
  if (note.fraction !== undefined) task.fraction = note.fraction
  if (note.text !== undefined) task.text = note.text
  if (note.note === 'announced' && task.state === 'pending') task.state = 'announced'
  if (note.note === 'running' && (task.state === 'awarded' || task.state === 'announced' || task.state === 'pending')) task.state = 'running'
  if (task.id === 'root' && note.note === 'synthesising') progress.state = 'synthesising'
  if (task.id === 'root' && note.note === 'planning' && progress.state === 'accepted') progress.state = 'planning'
}

function fold(progress: MissionProgress, event: MissionEvent): void {
  const task = 'taskId' in event ? progress.tasks.get(event.taskId) : undefined
  switch (event.type) {
    case 'submitted':
      progress.missionId = event.missionId
      progress.name = event.name
      progress.capability = event.rootSpec.capability
      progress.owner = event.owner
      progress.priority = event.priority
      progress.submittedAtWallMs = event.atWallMs
      addTask(progress, event.rootSpec)
      return
    case 'took-over':
      progress.owner = event.owner
      return
    case 'planned':
      progress.state = 'running'
      for (const spec of event.children) {
        if (!progress.tasks.has(spec.taskId)) task?.children.push(spec.taskId)
        addTask(progress, spec)
      }
      return
    case 'awarded': {
      const awarded = progress.tasks.get(event.award.taskId)
      if (awarded === undefined) return
      if (awarded.state === 'accepted') progress.repeated += 1
      for (const bid of event.award.bids) progress.names.set(bid.peer, bid.name)
      for (const refusal of event.award.refusals) progress.names.set(refusal.peer, refusal.name)
      progress.names.set(event.award.worker, event.award.workerName)
      awarded.attempts.push({ award: event.award, awardedAtWallMs: event.atWallMs, outcome: 'running' })
      awarded.state = 'awarded'
      delete awarded.fraction
      delete awarded.text
      if (progress.state === 'accepted') progress.state = 'running'
      return
    }
    case 'award-ended':
      endAttempt(task, event.awardId, event.outcome, event.atWallMs, event.fault)
      if (task !== undefined && !isEnded(task.state)) task.state = 'pending'
      return
    case 'accepted':
      endAttempt(task, event.awardId, 'accepted', event.atWallMs)
      if (task !== undefined) {
        task.state = 'accepted'
        task.tookMs = event.tookMs
        delete task.fault
      }
      return
    case 'dead':
      if (task !== undefined) {
        task.state = 'dead'
        task.fault = event.fault
      }
      return
    case 'retried':
      if (task !== undefined) {
        task.state = 'pending'
        delete task.fault
      }
      progress.state = 'running'
      delete progress.endedAtWallMs
      delete progress.fault
      return
    case 'task-cancelled':
      if (task !== undefined) cancel(task, event.atWallMs)
      return
    case 'paused':
      progress.state = 'paused'
      return
    case 'resumed':
      progress.state = 'running'
      return
    case 'changed':
      if (event.priority !== undefined) progress.priority = event.priority
      return
    case 'cancel-requested':
      return
    case 'completed':
      progress.state = 'completed'
      progress.endedAtWallMs = event.atWallMs
      return
    case 'failed':
      progress.state = 'failed'
      progress.fault = event.fault
      progress.endedAtWallMs = event.atWallMs
      for (const open of progress.tasks.values()) if (!isEnded(open.state)) cancel(open, event.atWallMs)
      return
    case 'cancelled':
      progress.state = 'cancelled'
      progress.endedAtWallMs = event.atWallMs
      for (const open of progress.tasks.values()) if (!isEnded(open.state)) cancel(open, event.atWallMs)
  }
}

function addTask(progress: MissionProgress, spec: TaskSpec): void {
  if (progress.tasks.has(spec.taskId)) return
  progress.tasks.set(spec.taskId, {
    id: spec.taskId,
    name: spec.taskId.slice(spec.taskId.lastIndexOf('/') + 1),
    kind: spec.kind,
    capability: spec.capability,
    after: spec.after,
    children: [],
    attempts: [],
    state: 'pending',
  })
}

function endAttempt(task: TaskProgress | undefined, awardId: string, outcome: AttemptProgress['outcome'], atWallMs: number, fault?: Fault): void {
  const attempt = task?.attempts.find((candidate) => candidate.award.awardId === awardId)
  if (attempt === undefined) return
  attempt.outcome = outcome
  attempt.endedAtWallMs = atWallMs
  if (fault !== undefined) attempt.fault = fault
}

function cancel(task: TaskProgress, atWallMs: number): void {
  task.state = 'cancelled'
  const attempt = lastAttempt(task)
  if (attempt?.outcome === 'running') {
    attempt.outcome = 'cancelled'
    attempt.endedAtWallMs = atWallMs
  }
}

export function isEnded(state: TaskState): boolean {
  return state === 'accepted' || state === 'dead' || state === 'cancelled'
}

export function missionEnded(progress: MissionProgress): boolean {
  return progress.state === 'completed' || progress.state === 'failed' || progress.state === 'cancelled' || progress.state === 'orphaned'
}

export function lastAttempt(task: TaskProgress): AttemptProgress | undefined {
  return task.attempts.at(-1)
}

/** Is somebody at work on it, as far as the log and the notes tell? */
export function isRunning(task: TaskProgress): boolean {
  return lastAttempt(task)?.outcome === 'running' && !isEnded(task.state)
}

/** The bids of an award, the winner's first, then by the time they promised. */
export function rankedBids(award: AwardRecord): BidSummary[] {
  return [...award.bids].sort((left, right) =>
    Number(right.peer === award.worker) - Number(left.peer === award.worker) || left.calibratedFinishMs - right.calibratedFinishMs)
}

/** What one node did for a mission, as its log tells. */
export interface NodeTally {
  readonly peer: string
  readonly name: string
  leavesRun: number
  busyMs: number
  bidsMade: number
  bidsWon: number
  lost: number
}

/** Per peer, in the order in which they first appeared. Bids beyond those the log keeps per award are not counted. */
export function tallies(progress: MissionProgress): Map<string, NodeTally> {
  const byPeer = new Map<string, NodeTally>()
  const of = (peer: string): NodeTally => {
    const known = byPeer.get(peer) ?? { peer, name: progress.names.get(peer) ?? peer, leavesRun: 0, busyMs: 0, bidsMade: 0, bidsWon: 0, lost: 0 }
    byPeer.set(peer, known)
    return known
  }
  for (const task of progress.tasks.values()) {
    for (const attempt of task.attempts) {
      for (const bid of attempt.award.bids) of(bid.peer).bidsMade += 1
      const winner = of(attempt.award.worker)
      winner.bidsWon += 1
      if (attempt.outcome === 'lost') winner.lost += 1
      if (task.kind === 'leaf' && attempt.outcome === 'accepted') {
        winner.leavesRun += 1
        winner.busyMs += task.tookMs ?? 0
      }
    }
  }
  return byPeer
}

/** Leaves by how far they are. */
export function leafCounts(progress: MissionProgress): { leaves: number; done: number; running: number; dead: number } {
  const counts = { leaves: 0, done: 0, running: 0, dead: 0 }
  for (const task of progress.tasks.values()) {
    if (task.kind !== 'leaf') continue
    counts.leaves += 1
    if (task.state === 'accepted') counts.done += 1
    else if (task.state === 'dead') counts.dead += 1
    else if (isRunning(task)) counts.running += 1
  }
  return counts
}
