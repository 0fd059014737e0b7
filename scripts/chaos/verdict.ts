/** What a campaign's history says about the promises. Each expectation is judged from what was seen outside the mesh only. */
import type { History, LedgerLine, MissionHistory, TaskHistory } from './history.ts'
import { acceptedAwards, firstSeenAcceptedMs } from './history.ts'
import { checkRegister } from './linearizable.ts'
import { nowMs } from './machine.ts'

export interface Expectation {
  readonly name: string
  /** What went against it: none is expected. */
  readonly violations: readonly Violation[]
}

export interface Violation {
  readonly mission: string
  /** When it was seen or happened: it is held against the fault before it, or, with `after`, against the next. */
  readonly atMs: number
  readonly after?: boolean
  readonly detail: string
}

export interface Verdict {
  readonly expectations: readonly Expectation[]
  /** Not promised, but worth knowing. */
  readonly notes: Readonly<Record<string, number>>
}

export function judge(history: History): Verdict {
  const missions = [...history.missions.values()]
  const acknowledged = missions.filter((mission) => mission.acknowledgedMs !== undefined)
  const tasks = missions.flatMap((mission) => [...mission.tasks.values()].map((task) => ({ mission, task })))
  const starts = startsByTask(history.ledger)
  const lateStarts = tasks.flatMap(({ mission, task }) => startsAfterAcceptance(mission, task, starts))
  return {
    expectations: [
      { name: 'missions lost', violations: acknowledged.filter((mission) => mission.state !== 'completed').map((mission) => ({ mission: mission.key, atMs: lastSignOfLifeMs(mission), after: true, detail: `acknowledged as ${[...mission.ids].join(', ')}, at the end it was ${mission.state}${mission.failure === undefined ? '' : `: ${mission.failure}`}` })) },
      { name: 'double acceptances', violations: tasks.flatMap(({ mission, task }) => doubleAcceptance(mission, task)) },
      { name: 'accepted subtasks run again', violations: lateStarts.filter(({ stale }) => !stale) },
      { name: 'double submissions', violations: missions.filter((mission) => mission.ids.size > 1).map((mission) => ({ mission: mission.key, atMs: mission.acknowledgedMs ?? mission.startedMs, detail: `one key, missions ${[...mission.ids].join(', ')}` })) },
      { name: 'unordered reads', violations: tasks.flatMap(({ mission, task }) => unordered(mission, task)) },
      { name: 'logs that differ', violations: missions.flatMap((mission) => mission.forks.map((detail) => ({ mission: mission.key, atMs: mission.endedMs ?? mission.startedMs, detail }))) },
      { name: 'accepted without a run', violations: tasks.flatMap(({ mission, task }) => acceptedWithoutRun(mission, task, starts)) },
      { name: 'refused submissions', violations: history.refusals.map((detail) => ({ mission: '', atMs: 0, detail })) },
    ],
    notes: {
      'missions submitted': missions.length,
      'missions acknowledged': acknowledged.length,
      'leaves run': history.ledger.filter((line) => line.phase === 'start').length,
      'leaves run more than once': [...starts.values()].filter((lines) => lines.length > 1).length,
      'late starts under an award older than the acceptance': lateStarts.filter(({ stale }) => stale).length,
      'denials of acknowledged missions': missions.reduce((sum, mission) => sum + mission.denials, 0),
      reads: history.reads,
      'tasks checked for linearizability': tasks.length,
    },
  }
}

/** On the clock of the campaign. */
function lastSignOfLifeMs(mission: MissionHistory): number {
  const behindMs = Date.now() - nowMs()
  return Math.max(mission.acknowledgedMs ?? 0, ...[...mission.progressWallMs].map((wallMs) => wallMs - behindMs))
}

function startsByTask(ledger: readonly LedgerLine[]): Map<string, LedgerLine[]> {
  const starts = new Map<string, LedgerLine[]>()
  for (const line of ledger) {
    if (line.phase !== 'start') continue
    const key = taskKey(line.missionId, line.task)
    starts.set(key, [...(starts.get(key) ?? []), line])
  }
  return starts
}

const taskKey = (missionId: string, task: string): string => `${missionId} ${task}`
/** Of the mission that was read: others under the same key are a violation of their own. */
const startsOf = (mission: MissionHistory, task: TaskHistory, starts: ReadonlyMap<string, LedgerLine[]>): LedgerLine[] => starts.get(taskKey([...mission.ids][0] ?? '', task.task)) ?? []

function doubleAcceptance(mission: MissionHistory, task: TaskHistory): Violation[] {
  const awards = acceptedAwards(task)
  const atMs = Math.max(...[...task.first.values()].map((read) => read.returnedMs))
  if (awards.length > 1) return [{ mission: mission.key, atMs, detail: `task ${task.task} was accepted as ${awards.join(' and ')}` }]
  return [...task.results].filter(([, digests]) => digests.size > 1).map(([award]) => ({ mission: mission.key, atMs, detail: `award ${award} of task ${task.task} has different results` }))
}

/**
 * Starts at a time at which some reader had already seen the task accepted. `stale`: the award was in the log before the acceptance was, so
 * nobody decided to run it again: a node that had been stopped or cut off began late what it had been given before. (A dead node cannot be
 * told from a slow one.) A task without external effects may start before its award is committed, so an award that is in no log excuses it too.
 */
function startsAfterAcceptance(mission: MissionHistory, task: TaskHistory, starts: ReadonlyMap<string, LedgerLine[]>): (Violation & { stale: boolean })[] {
  const seenMs = firstSeenAcceptedMs(task)
  if (seenMs === undefined) return []
  return startsOf(mission, task, starts).filter((line) => line.atMs > seenMs).map((line) => {
    const logged = [...task.awardedAt.values()].filter((award) => award.attempt === line.attempt)
    const older = logged.length > 0 && task.acceptedAt !== undefined && logged.every((award) => award.index < (task.acceptedAt ?? 0))
    const uncommitted = logged.length === 0 && line.effects === 'none'
    // Nobody has read the log: nothing can be held against the mesh.
    const unread = task.acceptedAt === undefined
    return { mission: mission.key, atMs: line.atMs, stale: older || uncommitted || unread, detail: `${task.task} (${line.label}, attempt ${line.attempt}, ${line.effects === 'none' ? 'pure' : 'external effects'}) started on ${line.node ?? line.pid} ${(line.atMs - seenMs).toFixed(0)} ms after it had been seen accepted` }
  })
}

function unordered(mission: MissionHistory, task: TaskHistory): Violation[] {
  const verdict = checkRegister([...(task.lastEmpty === undefined ? [] : [task.lastEmpty]), ...task.first.values()], { writes: 'hidden' })
  if (verdict.ok) return []
  return [{ mission: mission.key, atMs: Math.max(...(verdict.conflict ?? []).map((operation) => operation.invokedMs)), detail: `task ${task.task}: ${verdict.why ?? ''}` }]
}

function acceptedWithoutRun(mission: MissionHistory, task: TaskHistory, starts: ReadonlyMap<string, LedgerLine[]>): Violation[] {
  const seenMs = firstSeenAcceptedMs(task)
  // Only leaves note their runs. Their names are those of the plan.
  if (seenMs === undefined || !/(^|[/.])leaf-\d+$/.test(task.task)) return []
  return startsOf(mission, task, starts).some((line) => line.atMs < seenMs) ? [] : [{ mission: mission.key, atMs: seenMs, detail: `task ${task.task} was seen accepted, but had not started` }]
}
