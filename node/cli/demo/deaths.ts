/** What the kills did to a mission, told by its log: pure. */
import type { TaskId } from '../../../protocols/kernel/ids.ts'
import { type TaskNode, isTerminal, liveAttempt } from '../../../protocols/tasking/mission-state.ts'
import type { MissionEvent } from '../../../protocols/tasking/schema.ts'
import { counted, seconds } from '../view/format.ts'
import { type MissionProgress, nameOf } from '../view/mission-progress.ts'
import { type LeafStands, leafStands } from './caught-in-the-act.ts'

export interface Victim {
  readonly peer: string
  readonly name: string
  readonly killedAtWallMs: number
}

export interface WorkerDeath extends Victim {
  /** Tasks it was in the middle of when it died, and those that were on their way to it. */
  readonly lost: Set<TaskId>
  /** The first of them to be awarded again. */
  takeover?: { readonly by: string; readonly task: string; readonly afterMs: number }
  /** When it had been started again and saw the others. */
  backAfterMs?: number
  /** Why it did not come back. */
  notBack?: string
}

export interface OwnerDeath extends Victim {
  readonly left: LeafStands
  /** Who leads the mission instead. */
  successor?: { readonly name: string; readonly afterMs: number }
}

export function workerDeath(progress: MissionProgress, victim: Victim): WorkerDeath {
  const lost = new Set<TaskId>()
  for (const task of progress.fold?.tasks.values() ?? []) if (runsOn(task, victim.peer)) lost.add(task.spec.taskId)
  return { ...victim, lost }
}

export function ownerDeath(progress: MissionProgress, victim: Victim): OwnerDeath {
  return { ...victim, left: leafStands(progress) }
}

function runsOn(task: TaskNode, peer: string): boolean {
  return !isTerminal(task.state) && liveAttempt(task)?.award.worker === peer
}

/** Takes note of what was lost with a worker, and of the first award of a lost task to somebody else. @returns true when this event was that. */
export function witnessWorker(death: WorkerDeath, event: MissionEvent, progress: MissionProgress): boolean {
  if (death.takeover !== undefined) return false
  if (event.type === 'award-ended' && event.outcome === 'lost') {
    const attempts = progress.fold?.tasks.get(event.taskId)?.attempts
    if (attempts?.find(({ award }) => award.awardId === event.awardId)?.award.worker === death.peer) death.lost.add(event.taskId)
  }
  if (event.type !== 'awarded' || !death.lost.has(event.award.taskId) || event.award.worker === death.peer) return false
  const task = progress.fold?.tasks.get(event.award.taskId)
  death.takeover = { by: event.award.workerName, task: task === undefined ? event.award.taskId : nameOf(task), afterMs: Math.max(0, event.atWallMs - death.killedAtWallMs) }
  return true
}

/** Takes note of the first who leads the mission after its owner. @returns true when this event was that. */
export function witnessOwner(death: OwnerDeath, event: MissionEvent, nameOfPeer: (peer: string) => string): boolean {
  if (death.successor !== undefined || event.type !== 'took-over' || event.owner === death.peer) return false
  death.successor = { name: nameOfPeer(event.owner), afterMs: Math.max(0, event.atWallMs - death.killedAtWallMs) }
  return true
}

function when(progress: MissionProgress, { killedAtWallMs }: Victim): string {
  return seconds(killedAtWallMs - (progress.fold?.submittedAtWallMs ?? killedAtWallMs))
}

/** `killed node-c at 3.6 s · node-a took over after 0.2 s · node-c is back after 1.9 s`, or in as many words what happened instead. */
export function workerLine(progress: MissionProgress, death: WorkerDeath | undefined): string {
  if (death === undefined) return 'no worker was killed: every task was over before one could be caught in the middle of it (try a bigger folder: npm start -- PATH)'
  const takeover = death.takeover === undefined ? 'its task had just ended, so nobody had to take over' : `${death.takeover.by} took over after ${seconds(death.takeover.afterMs)}`
  return `killed ${death.name} at ${when(progress, death)} · ${takeover} · ${backWords(death)}`
}

/** `node-c is back after 1.9 s`. */
export function backWords({ name, backAfterMs, notBack }: WorkerDeath): string {
  if (backAfterMs !== undefined) return `${name} is back after ${seconds(backAfterMs)}`
  return notBack === undefined ? `${name} is being started again` : `${name} did not come back: ${notBack}`
}

/** `killed the owner node-a at 7.1 s · node-b leads the mission after 0.9 s`, or in as many words what happened instead. */
export function ownerLine(progress: MissionProgress, death: OwnerDeath | undefined): string {
  if (death === undefined) return 'the owner was not killed: the mission was over before some of its tasks were accepted and others running (try a bigger folder: npm start -- PATH)'
  const successor = death.successor === undefined ? 'nobody leads the mission yet' : `${death.successor.name} leads the mission after ${seconds(death.successor.afterMs)}`
  return `killed the owner ${death.name} at ${when(progress, death)} · ${successor}`
}

/** `3 tasks accepted, 2 running, 5 waiting`. */
export function leftWords({ accepted, running, waiting }: LeafStands): string {
  return `${counted(accepted, 'task')} accepted, ${running} running, ${waiting === 0 ? 'none' : waiting} waiting`
}

/** `0 finished tasks repeated`. */
export function repeatedWords(count: number): string {
  return `${counted(count, 'finished task')} repeated`
}
