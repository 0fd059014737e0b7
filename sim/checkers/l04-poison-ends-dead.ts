/**
 * L4: a task that always fails is not tried for ever. Its policy counts failures, ten lost workers are enough for any task, and a
 * failure that says itself that no retry can help is the last. Refused awards are no attempts; `retried` begins anew.
 */
import type { TaskId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { Checker, Violation } from '../history/history.ts'
import { auditLog, indexHistory, type MissionLog } from '../history/index-history.ts'
import type { Ledger, LedgerTask } from '../history/ledger.ts'

const promise = 'L4'

export const poisonEndsDead: Checker = {
  promise,
  says: 'a task that keeps failing is dead after the attempts it is allowed',
  check: (history) => [...indexHistory(history).logs.values()].flatMap(endlessAttempts),
}

function endlessAttempts(log: MissionLog): Violation[] {
  const violations: Violation[] = []
  const hopeless = new Set<TaskId>()
  auditLog(log, ({ atMs, entry: { index, event } }, ledger) => {
    if (event.type === 'retried') for (let task = ledger.tasks.get(event.taskId); task !== undefined; task = task.parent) hopeless.delete(task.spec.taskId)
    if (event.type === 'award-ended' && event.outcome === 'failed' && !event.fault.retryable && isLive(ledger, event.taskId, event.awardId)) hopeless.add(event.taskId)
    if (event.type !== 'awarded') return
    const task = ledger.tasks.get(event.award.taskId)
    const problem = task === undefined ? undefined : hopeless.has(event.award.taskId) ? 'after a failure that no retry can help' : exhausted(task)
    if (problem !== undefined) violations.push({ promise, missionId: log.missionId, atMs, detail: `entry ${index} of ${log.missionId} awards ${event.award.taskId} again ${problem}` })
  })
  return violations
}

function isLive(ledger: Ledger, taskId: TaskId, awardId: string): boolean {
  return ledger.tasks.get(taskId)?.attempts.some(({ award, outcome }) => award.awardId === awardId && outcome === 'running') ?? false
}

function exhausted({ spec, failures, losses }: LedgerTask): string | undefined {
  if (failures >= spec.retry.attemptsMax) return `after ${failures} failures, ${spec.retry.attemptsMax} are allowed`
  if (losses >= limits.lostWorkersMax) return `after ${losses} workers were lost, ${limits.lostWorkersMax} are allowed`
  return undefined
}
