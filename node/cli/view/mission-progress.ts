/**
 * What a watcher knows of a mission: the fold of its events, and what progress notes add that no log keeps. Pure: time
 * comes in as an argument. The state is changed in place and belongs to its one watcher.
 */
import type { BidSummary } from '../../../protocols/bidding/schema.ts'
import type { TaskId } from '../../../protocols/kernel/ids.ts'
import { type Attempt, type MissionFold, type TaskNode, applyEvent as foldEvent, isTerminal, liveAttempt, missionEnded, openMission } from '../../../protocols/tasking/mission-state.ts'
import type { AwardRecord, IndexedEvent, ProgressNote, TaskState } from '../../../protocols/tasking/schema.ts'
import { fitsRebuilt } from './mission-reset.ts'

export interface LiveNote {
  phase: ProgressNote['note']
  fraction?: number
  text?: string
}

export interface MissionProgress {
  /** Absent until the first event is here. */
  fold?: MissionFold
  readonly notes: Map<TaskId, LiveNote>
  /** Names of peers, as their bids told. */
  readonly names: Map<string, string>
  /** How far the owner's wall clock is ahead of ours, at least: the newest event cannot be from the future. */
  clockAheadMs: number
  /** Tasks awarded again after their result had been accepted. A correct mesh keeps this at 0. */
  repeated: number
  /** The fold was not made of events only. */
  isRebuilt: boolean
}

export function newProgress(): MissionProgress {
  return { notes: new Map(), names: new Map(), clockAheadMs: Number.NEGATIVE_INFINITY, repeated: 0, isRebuilt: false }
}

export function lastIndexOf(progress: MissionProgress): number {
  return progress.fold?.lastIndex ?? 0
}

/** @returns false for an event that was folded before, as comes after a reconnect. */
export function applyEvent(progress: MissionProgress, { index, event }: IndexedEvent, receivedAtWallMs: number): boolean {
  if (index <= lastIndexOf(progress)) return false
  progress.clockAheadMs = Math.max(progress.clockAheadMs, event.atWallMs - receivedAtWallMs)
  if (event.type === 'submitted') progress.fold = openMission(event, index)
  else if (progress.fold === undefined) return false
  else if (progress.isRebuilt && !fitsRebuilt(progress, event)) {
    progress.fold.lastIndex = index
    return false
  } else {
    if (event.type === 'awarded') meet(progress, event.award)
    foldEvent(progress.fold, event, index)
  }
  if (event.type === 'award-ended' || event.type === 'accepted' || event.type === 'dead') progress.notes.delete(event.taskId)
  return true
}

function meet(progress: MissionProgress, award: AwardRecord): void {
  if (progress.fold?.tasks.get(award.taskId)?.state === 'accepted') progress.repeated += 1
  for (const { peer, name } of [...award.bids, ...award.refusals]) progress.names.set(peer, name)
  progress.names.set(award.worker, award.workerName)
  progress.notes.delete(award.taskId)
}

export function applyNote(progress: MissionProgress, note: ProgressNote): void {
  const task = progress.fold?.tasks.get(note.taskId)
  if (task === undefined || isTerminal(task.state)) return
  const known = progress.notes.get(note.taskId)
  progress.notes.set(note.taskId, {
    // Text about the work arrives while it runs: it says no more than that.
    phase: note.note === 'progress' ? (known?.phase ?? 'running') : note.note,
    ...(known?.fraction === undefined ? {} : { fraction: known.fraction }),
    ...(known?.text === undefined ? {} : { text: known.text }),
    ...(note.fraction === undefined ? {} : { fraction: note.fraction }),
    ...(note.text === undefined ? {} : { text: note.text }),
  })
}

/** The task's state with what the notes add: `announced` and `running` are in no log. */
export function stateOf(progress: MissionProgress, task: TaskNode): TaskState {
  const phase = progress.notes.get(task.spec.taskId)?.phase
  // The orchestrator manages the root itself: it is never awarded, but once planned it is at work.
  if (task.state === 'pending' && task.spec.taskId === 'root' && task.planned) return 'running'
  if (task.state === 'pending' && phase === 'announced') return 'announced'
  if (task.state === 'awarded' && phase !== undefined && phase !== 'announced') return 'running'
  return task.state
}

export function nameOf(task: TaskNode): string {
  return task.spec.taskId.slice(task.spec.taskId.lastIndexOf('/') + 1)
}

export function lastAttempt(task: TaskNode): Attempt | undefined {
  return task.attempts.at(-1)
}

/** Is somebody at work on it, as far as the log tells? */
export function isRunning(task: TaskNode): boolean {
  return liveAttempt(task) !== undefined && !isTerminal(task.state)
}

export function hasEnded(progress: MissionProgress): boolean {
  return progress.fold !== undefined && missionEnded(progress.fold)
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
  for (const task of progress.fold?.tasks.values() ?? []) {
    for (const attempt of task.attempts) {
      for (const bid of attempt.award.bids) of(bid.peer).bidsMade += 1
      const winner = of(attempt.award.worker)
      winner.bidsWon += 1
      if (attempt.outcome === 'lost') winner.lost += 1
      if (task.spec.kind === 'leaf' && attempt.outcome === 'accepted') {
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
  for (const task of progress.fold?.tasks.values() ?? []) {
    if (task.spec.kind !== 'leaf') continue
    counts.leaves += 1
    if (task.state === 'accepted') counts.done += 1
    else if (task.state === 'dead') counts.dead += 1
    else if (isRunning(task)) counts.running += 1
  }
  return counts
}
