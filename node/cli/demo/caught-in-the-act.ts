/** When to kill whom: pure, from a mission's own events. */
import { isTerminal, liveAttempt } from '../../../protocols/tasking/mission-state.ts'
import { type MissionProgress, leafCounts, stateOf } from '../view/mission-progress.ts'

/** From this share of finished leaves on, a node that also manages may be taken: waiting longer might miss the moment. */
const pickyShareMax = 0.3

/**
 * The worker to kill now, if this is the moment: one of `candidates` is in the middle of a leaf. A node that manages nothing
 * is preferred: then what is seen is a worker's death alone.
 */
export function chooseWorker(progress: MissionProgress, candidates: readonly string[]): string | undefined {
  const working = new Map<string, number>()
  const managing = new Set<string>()
  for (const task of progress.fold?.tasks.values() ?? []) {
    const attempt = liveAttempt(task)
    if (attempt === undefined || isTerminal(task.state)) continue
    const { worker } = attempt.award
    if (task.spec.kind === 'composite') managing.add(worker)
    else if (candidates.includes(worker) && stateOf(progress, task) === 'running') working.set(worker, Math.max(working.get(worker) ?? 0, attempt.awardedAtWallMs))
  }
  const free = [...working].filter(([peer]) => !managing.has(peer))
  const counts = leafCounts(progress)
  if (free.length === 0 && counts.done / counts.leaves < pickyShareMax) return undefined
  // The one whose leaf began last has the most of it before it.
  return (free.length > 0 ? free : [...working]).sort((left, right) => right[1] - left[1])[0]?.[0]
}

/** How far the leaves are: what an owner that dies now leaves behind. */
export interface LeafStands {
  readonly accepted: number
  readonly running: number
  readonly waiting: number
}

export function leafStands(progress: MissionProgress): LeafStands {
  const { leaves, done, running, dead } = leafCounts(progress)
  return { accepted: done, running, waiting: leaves - done - running - dead }
}

/**
 * Is this the owner's moment: leaves that are accepted, leaves that run and leaves that wait? The worker should be back by
 * then, so that two of three nodes are left. When the last waiting leaf is about to be taken, the moment will not be better
 * any more: then the mission has to wait for the worker.
 */
export function isOwnersMoment(progress: MissionProgress, workerIsBack: boolean): boolean {
  const { accepted, running, waiting } = leafStands(progress)
  return accepted > 0 && running > 0 && (workerIsBack || waiting <= 1)
}
