/**
 * S9: a task is awarded only when nothing that was awarded before can still be live, and an award is given once. Nor is anything
 * awarded before its turn: while the mission is paused, or while a task that it waits for has never ended.
 */
import type { AwardId, TaskId } from '../../protocols/kernel/ids.ts'
import type { Checker, Violation } from '../history/history.ts'
import { auditLog, indexHistory, type MissionLog } from '../history/index-history.ts'
import { liveAttemptOf, type Ledger, type LedgerTask } from '../history/ledger.ts'

const promise = 'S9'

export const oneLiveAward: Checker = {
  promise,
  says: 'at most one live committed award per task, and none before its turn',
  check: (history) => [...indexHistory(history).logs.values()].flatMap(awardsTooMany),
}

function awardsTooMany(log: MissionLog): Violation[] {
  const violations: Violation[] = []
  const given = new Set<AwardId>()
  /** Tasks that had ended once when something was retried: who waited for them may have begun. */
  const ended = new Set<TaskId>()
  auditLog(log, ({ atMs, entry: { index, event } }, ledger) => {
    if (event.type === 'retried') for (const [taskId, { state }] of ledger.tasks) if (state !== 'open') ended.add(taskId)
    if (event.type !== 'awarded') return
    const { awardId, taskId } = event.award
    const task = ledger.tasks.get(taskId)
    const live = task === undefined ? undefined : liveAttemptOf(task)
    const problem = task === undefined ? 'which was never planned'
      : given.has(awardId) ? `under ${awardId}, which had been given before`
        : live !== undefined ? `to ${event.award.worker} while ${live.award.awardId} is live with ${live.award.worker}`
          : task.state !== 'open' ? `which is ${task.state}`
            : ledger.state !== 'open' ? `of a mission that is ${ledger.state}`
              : ledger.paused ? 'of a mission that is paused' : early(ledger, task, ended)
    given.add(awardId)
    if (problem !== undefined) violations.push({ promise, missionId: log.missionId, atMs, detail: `entry ${index} of ${log.missionId} awards ${taskId} ${problem}` })
  })
  return violations
}

function early(ledger: Ledger, task: LedgerTask, ended: ReadonlySet<TaskId>): string | undefined {
  const open = task.spec.after.find((needed) => ledger.tasks.get(needed)?.state === 'open' && !ended.has(needed))
  return open === undefined ? undefined : `before ${open}, which it waits for, has ended`
}
