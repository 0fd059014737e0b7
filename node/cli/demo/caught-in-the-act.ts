/** When to kill whom, and what came of it: pure, from a mission's own events. */
import type { TaskId } from '../../../protocols/kernel/ids.ts'
import { type TaskNode, isTerminal, liveAttempt } from '../../../protocols/tasking/mission-state.ts'
import type { MissionEvent } from '../../../protocols/tasking/schema.ts'
import { counted, seconds } from '../view/format.ts'
import { type MissionProgress, leafCounts, nameOf } from '../view/mission-progress.ts'

/** From this share of finished leaves on, a node that also manages may be taken: waiting longer might miss the moment. */
const pickyShareMax = 0.3

/**
 * The node to kill now, if this is the moment: one of `candidates` is in the middle of a leaf, and some leaf is finished,
 * so that there is something that must not be repeated. A node that manages nothing is preferred: then what is seen is a
 * worker's death alone.
 */
export function chooseVictim(progress: MissionProgress, candidates: readonly string[]): string | undefined {
  const counts = leafCounts(progress)
  if (counts.done === 0) return undefined
  const working = new Map<string, number>()
  const managing = new Set<string>()
  for (const task of progress.fold?.tasks.values() ?? []) {
    const attempt = liveAttempt(task)
    if (attempt === undefined || isTerminal(task.state)) continue
    if (task.spec.kind === 'composite') managing.add(attempt.award.worker)
    else if (candidates.includes(attempt.award.worker)) working.set(attempt.award.worker, Math.max(working.get(attempt.award.worker) ?? 0, attempt.awardedAtWallMs))
  }
  const free = [...working].filter(([peer]) => !managing.has(peer))
  if (free.length === 0 && counts.done / counts.leaves < pickyShareMax) return undefined
  // The one whose leaf began last has the most of it before it.
  return (free.length > 0 ? free : [...working]).sort((left, right) => right[1] - left[1])[0]?.[0]
}

/** What a kill did to a mission, told by the mission's log. */
export interface Death {
  readonly peer: string
  readonly name: string
  readonly killedAtWallMs: number
  /** Tasks it was in the middle of when it died, and those that were on their way to it. */
  readonly lost: Set<TaskId>
  /** The first of them to be awarded again. */
  takeover?: { readonly by: string; readonly task: string; readonly afterMs: number }
}

export function deathOf(progress: MissionProgress, peer: string, name: string, killedAtWallMs: number): Death {
  const lost = new Set<TaskId>()
  for (const task of progress.fold?.tasks.values() ?? []) if (runsOn(task, peer)) lost.add(task.spec.taskId)
  return { peer, name, killedAtWallMs, lost }
}

function runsOn(task: TaskNode, peer: string): boolean {
  return !isTerminal(task.state) && liveAttempt(task)?.award.worker === peer
}

/** Takes note of what was lost with it, and of the first award of a lost task to somebody else. @returns true when this event was that. */
export function witness(death: Death, event: MissionEvent, progress: MissionProgress): boolean {
  if (event.type === 'award-ended' && event.outcome === 'lost') {
    const attempts = progress.fold?.tasks.get(event.taskId)?.attempts
    if (attempts?.find(({ award }) => award.awardId === event.awardId)?.award.worker === death.peer) death.lost.add(event.taskId)
  }
  if (death.takeover !== undefined || event.type !== 'awarded' || !death.lost.has(event.award.taskId) || event.award.worker === death.peer) return false
  const task = progress.fold?.tasks.get(event.award.taskId)
  death.takeover = { by: event.award.workerName, task: task === undefined ? event.award.taskId : nameOf(task), afterMs: Math.max(0, event.atWallMs - death.killedAtWallMs) }
  return true
}

/** `killed node-b at 3.2 s · node-c took over after 0.1 s · 0 finished tasks repeated`, or in as many words what happened instead. */
export function deathLine(progress: MissionProgress, death: Death | undefined): string {
  const repeated = `${counted(progress.repeated, 'finished task')} repeated`
  if (death === undefined) return 'no node was killed: every task was over before one could be caught in the middle of it (try a bigger folder: npm start -- PATH)'
  const at = `killed ${death.name} at ${seconds(death.killedAtWallMs - (progress.fold?.submittedAtWallMs ?? death.killedAtWallMs))}`
  if (death.takeover === undefined) return `${at} · its task had just ended, so nobody had to take over · ${repeated}`
  return `${at} · ${death.takeover.by} took over after ${seconds(death.takeover.afterMs)} · ${repeated}`
}
