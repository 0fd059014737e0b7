/**
 * S16 as tasking promises it today (T6): an award sets its price aside when it is committed, only a refused one gives it back, and
 * the sum never exceeds the budget. What runs report as their cost is not counted against a budget yet, so it is not judged.
 */
import type { Checker, History, Violation } from '../history/history.ts'
import { auditLog, indexHistory, isExcused, type MissionLog } from '../history/index-history.ts'

const promise = 'S16'

/** Sums of prices are not exact. */
const roundingUsd = 1e-9

export const spendWithinBudget: Checker = {
  promise,
  says: 'spend ≤ budget: awards set their price aside, a lost attempt counts as spent',
  check: (history) => [...indexHistory(history).logs.values()].flatMap((log) => overspent(history, log)),
}

function overspent(history: History, log: MissionLog): Violation[] {
  const violations: Violation[] = []
  const ledger = auditLog(log, ({ atMs, entry: { index, event } }, before) => {
    if (event.type !== 'awarded' || before.heldUsd + event.award.bid.priceUsd <= before.limits.budgetUsd + roundingUsd) return
    violations.push({ promise, missionId: log.missionId, atMs, detail: `entry ${index} of ${log.missionId} awards ${event.award.taskId} for ${event.award.bid.priceUsd} USD: with it ${before.heldUsd + event.award.bid.priceUsd} of ${before.limits.budgetUsd} USD are spent or set aside` })
  })
  const view = history.views.get(log.missionId)
  if (ledger !== undefined && view !== undefined && !isExcused(log) && view.lastIndex === log.committed.at(-1)?.entry.index && Math.abs(view.spentUsd - ledger.heldUsd) > roundingUsd) {
    violations.push({ promise, missionId: log.missionId, atMs: history.endMs, detail: `the awards of ${log.missionId} come to ${ledger.heldUsd} USD, its owner shows ${view.spentUsd}` })
  }
  return violations
}
