/**
 * S5: an owner's commands carry its epoch, and a newer owner's `took-over` ends them. A sub-manager is fenced by its own award
 * instead: until it hears of the new owner its awards may still name the old epoch.
 */
import { awardIdOf, compareEpochs, formatEpoch, taskDepth, type TaskId } from '../../protocols/kernel/ids.ts'
import type { Checker, Violation } from '../history/history.ts'
import { auditLog, indexHistory, type Committed, type MissionLog } from '../history/index-history.ts'
import type { Ledger } from '../history/ledger.ts'

const promise = 'S5'

export const nothingUnderAFencedEpoch: Checker = {
  promise,
  says: 'nothing is appended under a fenced epoch',
  check(history) {
    const index = indexHistory(history)
    return [...index.logs.values()].flatMap(fencedEntries)
  },
}

function fencedEntries(log: MissionLog): Violation[] {
  const violations: Violation[] = []
  auditLog(log, (committed, ledger) => {
    const problem = fencedBy(committed, ledger, log)
    if (problem !== undefined) violations.push({ promise, missionId: log.missionId, atMs: committed.atMs, detail: `entry ${committed.entry.index} of ${log.missionId} (${committed.entry.event.type}) ${problem}` })
  })
  return violations
}

function fencedBy({ entry }: Committed, ledger: Ledger, { missionId }: MissionLog): string | undefined {
  const { event, epoch } = entry
  const now = formatEpoch(ledger.epoch)
  if (compareEpochs(epoch, ledger.epoch) < 0) return `is written under epoch ${formatEpoch(epoch)}, ${now} has begun`
  if (event.type === 'took-over') {
    if (compareEpochs(event.epoch, epoch) !== 0) return `begins epoch ${formatEpoch(event.epoch)}, and is written under ${formatEpoch(epoch)}`
    return compareEpochs(event.epoch, ledger.epoch) > 0 ? undefined : `begins epoch ${formatEpoch(event.epoch)} after ${now}`
  }
  if (compareEpochs(epoch, ledger.epoch) > 0) return `is written under epoch ${formatEpoch(epoch)}, which has not begun: it is ${now}`
  if (event.type === 'awarded') {
    const { award } = event
    if (compareEpochs(award.epoch, ledger.epoch) > 0) return `awards ${award.awardId} under an epoch that has not begun: it is ${now}`
    if (taskDepth(award.taskId) === 1 && compareEpochs(award.epoch, ledger.epoch) < 0) return `awards ${award.awardId}, and epoch ${now} has begun`
  }
  if (event.type === 'accepted' && event.taskId === 'root' && event.awardId !== awardIdOf(missionId, 'root' as TaskId, 1, ledger.epoch)) return `ends the mission in the name of ${event.awardId}, and the epoch is ${now}`
  return undefined
}
