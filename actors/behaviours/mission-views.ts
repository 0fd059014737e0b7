/** From a mission's fold to what people and programs are shown. */
import type { PeerId, TaskId } from '../../protocols/kernel/ids.ts'
import { blobRefsIn, withHolder, type Json } from '../../protocols/kernel/payload.ts'
import type { Membership } from '../../protocols/membership/schema.ts'
import { missionEnded, type MissionFold, type TaskNode } from '../../protocols/tasking/mission-state.ts'
import { taskStates, type MissionState, type ProgressNote, type TaskState } from '../../protocols/tasking/schema.ts'
import type { AttemptView, DeadView, MissionView, ResultView, TaskView, WhyView } from '../../protocols/tasking/views.ts'

/** The newest unstored note of each task: what is announced, running, stalled. */
export type Notes = ReadonlyMap<TaskId, ProgressNote>

/** A task's state with what only the notes tell. */
export function shownState(task: TaskNode, notes: Notes): TaskState {
  if (task.state !== 'pending' && task.state !== 'awarded') return task.state
  const note = notes.get(task.spec.taskId)?.note
  if (task.state === 'pending' && (note === 'announced' || note === 'stalled')) return 'announced'
  if (task.state === 'awarded' && (note === 'running' || note === 'progress' || note === 'synthesising' || note === 'planning')) return 'running'
  return task.state
}

/** Why nothing moves, when nothing does. */
function waitingFor(fold: MissionFold, notes: Notes): string | undefined {
  if (missionEnded(fold) || fold.paused) return undefined
  for (const { taskId, note, text } of notes.values()) {
    const task = note === 'stalled' ? fold.tasks.get(taskId) : undefined
    if (task?.state === 'pending') return isAtWork(fold) ? undefined : `${taskId}: ${text ?? 'no bids'}`
  }
  return undefined
}

function isAtWork(fold: MissionFold): boolean {
  for (const { spec, state } of fold.tasks.values()) if (spec.kind === 'leaf' && state === 'awarded') return true
  return false
}

function shownMissionState(fold: MissionFold, notes: Notes): MissionState {
  if (missionEnded(fold) || fold.paused) return fold.state
  if (waitingFor(fold, notes) !== undefined) return 'waiting'
  return notes.get('root' as TaskId)?.note === 'synthesising' ? 'synthesising' : fold.state
}

function membersShown({ voters, learners }: Membership): NonNullable<MissionView['members']> {
  const votes = new Set(voters.map(({ peer }) => peer))
  return [...voters.map(({ peer }) => ({ peer, votes: true })), ...learners.filter(({ peer }) => !votes.has(peer)).map(({ peer }) => ({ peer, votes: false }))]
}

export function missionView(fold: MissionFold, notes: Notes, ownerName: string): MissionView {
  const tasks: Partial<Record<TaskState, number>> = {}
  for (const task of fold.tasks.values()) {
    if (task.spec.taskId === 'root') continue
    const shown = shownState(task, notes)
    tasks[shown] = (tasks[shown] ?? 0) + 1
  }
  const waits = waitingFor(fold, notes)
  const capability = fold.tasks.get(fold.tasks.get('root' as TaskId)?.children[0] as TaskId)?.spec.capability
  return {
    id: fold.missionId, name: fold.name, state: shownMissionState(fold, notes), ...(waits === undefined ? {} : { waitingFor: waits }), principal: fold.principal, owner: fold.owner, ownerName, epoch: fold.epoch, ...(fold.members === undefined ? {} : { members: membersShown(fold.members) }),
    ...(capability === undefined ? {} : { capability }), priority: fold.priority, acknowledgement: fold.acknowledgement, limits: fold.limits, submittedAtWallMs: fold.submittedAtWallMs,
    ...(fold.endedAtWallMs === undefined ? {} : { endedAtWallMs: fold.endedAtWallMs }), tasks: Object.fromEntries(taskStates.flatMap((state) => (tasks[state] === undefined ? [] : [[state, tasks[state]]]))) as MissionView['tasks'],
    leaves: fold.leaves, spentUsd: fold.spentUsd, ...(fold.forkOf === undefined ? {} : { forkOf: fold.forkOf }), lastIndex: fold.lastIndex, ...(fold.fault === undefined ? {} : { fault: fold.fault }),
  }
}

export function taskTree(fold: MissionFold, notes: Notes, taskId: TaskId = 'root' as TaskId): TaskView | undefined {
  const task = fold.tasks.get(taskId)
  if (task === undefined) return undefined
  const last = task.attempts.at(-1)?.award
  return {
    id: taskId, name: taskId.slice(taskId.lastIndexOf('/') + 1), kind: task.spec.kind, capability: task.spec.capability, state: taskId === 'root' ? rootState(fold) : shownState(task, notes), priority: task.spec.priority,
    after: task.spec.after, attempts: task.attempts.filter((attempt) => attempt.outcome !== 'refused').length, ...(last === undefined ? {} : { worker: last.worker, workerName: last.workerName }),
    ...(task.tookMs === undefined ? {} : { tookMs: task.tookMs }), ...(task.costUsd === undefined ? {} : { costUsd: task.costUsd }), ...(task.tokens === undefined ? {} : { tokens: task.tokens }), ...(task.reusedFrom === undefined ? {} : { reusedFrom: task.reusedFrom }), ...(task.rounds === undefined ? {} : { rounds: task.rounds }), ...(task.fault === undefined ? {} : { fault: task.fault }),
    children: task.children.flatMap((child) => taskTree(fold, notes, child) ?? []),
  }
}

function rootState(fold: MissionFold): TaskState {
  if (fold.state === 'completed') return 'accepted'
  if (fold.state === 'failed') return 'dead'
  return fold.state === 'cancelled' ? 'cancelled' : 'running'
}

function attemptViews(task: TaskNode): AttemptView[] {
  return task.attempts.map(({ award, awardedAtWallMs, endedAtWallMs, outcome, fault }) => ({
    awardId: award.awardId, attempt: award.attempt, worker: award.worker, workerName: award.workerName, awardedAtWallMs, ...(endedAtWallMs === undefined ? {} : { endedAtWallMs }), outcome,
    ...(fault === undefined ? {} : { fault }), bid: award.bid, ...(award.offer === undefined ? {} : { offer: award.offer }), bids: award.bids, refusals: award.refusals, why: award.why,
  }))
}

export function whyView(fold: MissionFold, notes: Notes, only: TaskId | undefined): WhyView {
  const tasks = [...fold.tasks.values()].filter((task) => task.spec.taskId !== 'root' && (only === undefined || task.spec.taskId === only))
  return {
    id: fold.missionId,
    tasks: tasks.map((task) => {
      const note = notes.get(task.spec.taskId)
      const open = task.state === 'pending' && (note?.note === 'stalled' || note?.note === 'announced') ? { bids: [], refusals: note.refusals ?? [], announcements: 1, reason: note.text ?? 'announced, collecting bids' } : undefined
      return { id: task.spec.taskId, capability: task.spec.capability, state: shownState(task, notes), attempts: attemptViews(task), ...(open === undefined ? {} : { open }) }
    }),
  }
}

/** @param keepers who keeps the mission: they have its artifacts, whoever else the result names. */
export function resultView(fold: MissionFold, result: Json | undefined, keepers: readonly PeerId[]): ResultView {
  const artifacts = keepers.reduce((known, keeper) => withHolder(known, keeper), blobRefsIn(result))
  return { id: fold.missionId, state: fold.state, ...(result === undefined ? {} : { result }), artifacts, ...(fold.fault === undefined ? {} : { fault: fold.fault }) }
}

/** The tasks that died of themselves: those above them died of them. */
export function deadTasks(fold: MissionFold): TaskNode[] {
  return [...fold.tasks.values()].filter((task) => task.state === 'dead' && task.spec.taskId !== 'root' && !task.children.some((child) => fold.tasks.get(child)?.state === 'dead'))
}

/** Those that nobody has put away. */
export function deadViews(fold: MissionFold): DeadView[] {
  return deadTasks(fold).filter((task) => task.droppedAtWallMs === undefined).map((task) => ({
    id: `${fold.missionId}:${task.spec.taskId}`, kind: 'task' as const, missionId: fold.missionId, missionName: fold.name, taskId: task.spec.taskId, capability: task.spec.capability,
    atWallMs: task.diedAtWallMs ?? task.attempts.at(-1)?.endedAtWallMs ?? fold.submittedAtWallMs, reason: task.fault?.detail ?? 'unknown', ...(task.fault === undefined ? {} : { fault: task.fault }), attempts: attemptViews(task),
  }))
}
