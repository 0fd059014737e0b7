/**
 * S16 as tasking promises it (T6): an award sets aside what it may cost when it is committed, a refused one gives all of it back, a result
 * what it has not cost, and what is set aside and spent together never exceeds the budget: of the mission, or of the composite task above that has one.
 */
import type { Checker, History, Violation } from '../history/history.ts'
import { heldBy, payer, type LedgerTask } from '../history/ledger.ts'
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
    if (event.type === 'accepted') {
      const done = before.tasks.get(event.taskId)
      const award = done?.attempts.find((attempt) => attempt.award.awardId === event.awardId)?.award
      if (done?.spec.kind === 'leaf' && award !== undefined && event.costUsd !== undefined && event.costUsd > Math.max(heldBy(award), done.spec.budgetUsd ?? 0) + roundingUsd) {
        violations.push({ promise, missionId: log.missionId, atMs, detail: `entry ${index} of ${log.missionId}: ${event.taskId} has cost ${event.costUsd} USD, ${heldBy(award)} were set aside for it` })
      }
      return
    }
    const task = event.type === 'awarded' ? before.tasks.get(event.award.taskId) : undefined
    if (event.type !== 'awarded' || task === undefined) return
    const purse = payer(before, task)
    const budgetUsd = 'spec' in purse ? (purse as LedgerTask).spec.budgetUsd ?? 0 : before.limits.budgetUsd
    const heldUsd = purse.heldUsd + heldBy(event.award)
    if (heldBy(event.award) <= 0 || heldUsd <= budgetUsd + roundingUsd) return
    violations.push({ promise, missionId: log.missionId, atMs, detail: `entry ${index} of ${log.missionId} awards ${event.award.taskId} for ${heldBy(event.award)} USD: with it ${heldUsd} of ${budgetUsd} USD are spent or set aside` })
  })
  const view = history.views.get(log.missionId)
  if (ledger !== undefined && view !== undefined && !isExcused(log) && view.lastIndex === log.committed.at(-1)?.entry.index && Math.abs(view.spentUsd - ledger.heldUsd) > roundingUsd) {
    violations.push({ promise, missionId: log.missionId, atMs: history.endMs, detail: `the awards of ${log.missionId} come to ${ledger.heldUsd} USD, its owner shows ${view.spentUsd}` })
  }
  return violations
}
