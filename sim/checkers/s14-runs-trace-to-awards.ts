/**
 * S14, as far as there are no capability tokens yet: a skill runs only for an award or an invocation that this node heard in this life, through a
 * capability it offers; work with effects outside begins after the award is committed; and what was accepted did run.
 */
import { parentTaskId, type AwardId, type CallId, type TaskId } from '../../protocols/kernel/ids.ts'
import type { Checker, RecordOf, Violation } from '../history/history.ts'
import { auditLog, indexHistory, isHonest, lifeAt, runKey, type Committed, type HistoryIndex, type MissionLog } from '../history/index-history.ts'
import { sameValue } from '../history/same-value.ts'

const promise = 'S14'

export const runsTraceToAwards: Checker = {
  promise,
  says: 'every run traces to an award and to a capability on offer, and every accepted result to a run',
  check(history) {
    const index = indexHistory(history)
    return [...index.runsStarted.flatMap(({ at, record }) => untracedRun(index, at, record)), ...[...index.logs.values()].flatMap((log) => neverRan(index, log))]
  },
}

function untracedRun(index: HistoryIndex, at: number, run: RecordOf<'run-started'>): Violation[] {
  const awardId = runKey(run.runId, run.step).slice(run.step.length + 1) as AwardId
  const wrong = (what: string): Violation[] => [{ promise, missionId: run.missionId, atMs: run.atMs, detail: `${run.node} started ${run.step} of ${run.taskId} of ${run.missionId} (${run.runId}), ${what}` }]
  if (!run.offered) return wrong(`although it does not offer ${run.capability}`)
  if (isInvocation(run.runId)) return untracedInvocation(index, at, run, wrong)
  const commits = index.awards.get(awardId) ?? []
  const own = commits.filter(({ entry: { event } }) => event.type === 'awarded' && event.award.worker === run.peer && event.award.taskId === run.taskId && event.award.capability === run.capability)
  if (commits.length > 0 && own.length === 0) return wrong('and the award is another’s, or for something else')
  const committed = own.findLast((commit) => commit.at < at)
  const bornAt = lifeAt(index, run.node, at)?.startedAt ?? 0
  const heard = index.awardsHeard.get(awardId)?.filter(({ at: heardAt, record }) => record.to === run.peer && heardAt > bornAt && heardAt < at && record.missionId === run.missionId && record.taskId === run.taskId) ?? []
  // A manager's own node is awarded without the wire, and only after the commit.
  if (heard.length === 0) return committed !== undefined && managesToo(index, committed, run.taskId) ? [] : wrong('and had heard no award of it')
  if (heard.some(({ record }) => record.external) && committed === undefined) return wrong('which has effects outside, before the award was committed')
  return []
}

/** Its id is that of its call, which names who calls: see actors/behaviours/invoker.ts. */
function isInvocation(runId: string): boolean {
  return runId.includes('~')
}

/** Heard by the wire, or asked for by a run of the same task on the same node, which has begun before. */
function untracedInvocation(index: HistoryIndex, at: number, run: RecordOf<'run-started'>, wrong: (what: string) => Violation[]): Violation[] {
  const bornAt = lifeAt(index, run.node, at)?.startedAt ?? 0
  const heard = index.invokesHeard.get(run.runId as CallId)?.some(({ at: heardAt, record }) => record.to === run.peer && heardAt > bornAt && heardAt < at) ?? false
  const asked = index.runsStarted.some(({ at: begunAt, record }) => record.node === run.node && begunAt > bornAt && begunAt < at && !isInvocation(record.runId) && record.missionId === run.missionId && record.taskId === run.taskId)
  return heard || asked ? [] : wrong('and nobody had asked for it')
}

/** Whether the worker manages the task as well: as the mission's owner, or by an award of the task above. */
function managesToo(index: HistoryIndex, { peer, entry }: Committed, taskId: TaskId): boolean {
  const { event } = entry
  if (event.type !== 'awarded') return false
  const above = parentTaskId(taskId)
  if (above === undefined || above === 'root') return event.award.worker === peer
  return index.workersOf.get(`${event.award.awardId.slice(0, event.award.awardId.indexOf(':'))}:${above}`)?.has(event.award.worker) ?? false
}

function neverRan(index: HistoryIndex, log: MissionLog): Violation[] {
  const violations: Violation[] = []
  auditLog(log, ({ at, atMs, entry }, ledger) => {
    const { event } = entry
    if (event.type !== 'accepted') return
    const task = ledger.tasks.get(event.taskId)
    const worker = index.awards.get(event.awardId)?.[0]?.entry.event
    const node = worker?.type === 'awarded' ? index.nodeOf.get(worker.award.worker) : undefined
    if (task?.parent === undefined || node === undefined) return
    const step = task.spec.kind === 'leaf' ? 'run' : 'synthesise'
    const done = (index.runsEnded.get(`${node} ${step} ${event.awardId}`) ?? []).filter((run) => run.at < at && run.record.outcome === 'done')
    const wrong = (what: string): void => void violations.push({ promise, missionId: log.missionId, atMs, detail: `entry ${entry.index} of ${log.missionId} accepts ${event.taskId} under ${event.awardId}, ${what}` })
    if (done.length === 0) wrong(`and no ${step} of it had ended well on ${node}`)
    // A node that lies sends something else than its skill gave: that is its own affair.
    else if (isHonest(index, node) && done.every(({ record }) => record.output !== undefined && !sameValue(record.output, event.result, 'holders'))) wrong(`with another result than its ${step} on ${node} gave`)
  })
  return violations
}
