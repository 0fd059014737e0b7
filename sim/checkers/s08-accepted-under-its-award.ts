/**
 * S8: a result is accepted under the newest committed award of its task, from the worker who has it, as that worker sent it, and
 * only if it passes the checks that the plan states (of one that is a blob nothing is seen here).
 * A manager and a worker on one node speak without the wire: of theirs only the award is checked here, and the run by S14.
 */
import { awardIdOf, type AwardId, type TaskId } from '../../protocols/kernel/ids.ts'
import { failedCheck } from '../../protocols/tasking/acceptance.ts'
import type { MissionEvent } from '../../protocols/tasking/schema.ts'
import type { Checker, Violation } from '../history/history.ts'
import { auditLog, indexHistory, managerOf, type Committed, type HistoryIndex, type MissionLog } from '../history/index-history.ts'
import type { Ledger } from '../history/ledger.ts'
import { sameValue } from '../history/same-value.ts'

const promise = 'S8'

export const acceptedUnderItsAward: Checker = {
  promise,
  says: 'an accepted result matches a committed award, is what its worker sent, and passes its checks',
  check(history) {
    const index = indexHistory(history)
    return [...index.logs.values()].flatMap((log) => unfoundedAcceptances(index, log))
  },
}

type Accepted = Extract<MissionEvent, { type: 'accepted' }>

function unfoundedAcceptances(index: HistoryIndex, log: MissionLog): Violation[] {
  const violations: Violation[] = []
  auditLog(log, (committed, ledger) => {
    const { event } = committed.entry
    if (event.type !== 'accepted') return
    const problem = problemOf(index, log, committed, event, ledger)
    if (problem !== undefined) violations.push({ promise, missionId: log.missionId, atMs: committed.atMs, detail: `entry ${committed.entry.index} of ${log.missionId} accepts ${event.taskId} under ${event.awardId}, ${problem}` })
  })
  return violations
}

function problemOf(index: HistoryIndex, { missionId }: MissionLog, committed: Committed, event: Accepted, ledger: Ledger): string | undefined {
  const task = ledger.tasks.get(event.taskId)
  if (task === undefined) return 'a task that was never planned'
  // The root is not awarded: whoever owns the mission ends it, in the name of its epoch.
  if (task.parent === undefined) return event.awardId === awardIdOf(missionId, 'root' as TaskId, 1, ledger.epoch) ? undefined : 'which is not its owner’s'
  const attempt = task.attempts.at(-1)
  if (attempt === undefined) return 'and no award of that task is in the log'
  if (attempt.award.awardId !== event.awardId) return `and the newest award is ${attempt.award.awardId}`
  if (attempt.outcome === 'refused' || attempt.outcome === 'failed') return `which had ended: ${attempt.outcome}`
  const failed = 'inline' in event.result ? failedCheck(task.spec.accept, event.result.inline) : undefined
  if (failed !== undefined) return `and its result fails a check: ${failed}`
  const { worker } = attempt.award
  if (worker === managerOf(ledger, event.taskId)) return undefined
  const heard = heardResults(index, event.awardId, committed.at).filter(({ from, failed }) => from === worker && !failed)
  if (heard.length === 0) return `and no result of it had come from ${worker}`
  if (heard.every(({ result }) => result !== undefined && !sameValue(result, event.result, 'holders'))) return `with another result than ${worker} had sent`
  return undefined
}

function heardResults(index: HistoryIndex, awardId: AwardId, before: number) {
  return (index.results.get(awardId) ?? []).filter(({ at }) => at < before).map(({ record }) => record)
}
