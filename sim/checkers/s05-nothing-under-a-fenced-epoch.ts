/**
 * S5: an owner's commands carry its epoch, and a newer owner's `took-over` ends them. A sub-manager is fenced by its own award
 * instead: until it hears of the new owner its awards may still name the old epoch.
 */
import { awardIdOf, compareEpochs, formatEpoch, taskDepth, type TaskId } from '../../protocols/kernel/ids.ts'
import type { Checker, Violation } from '../history/history.ts'
import { auditLog, indexHistory, lifeAt, type Committed, type HistoryIndex, type MissionLog } from '../history/index-history.ts'
import type { Ledger } from '../history/ledger.ts'

const promise = 'S5'

export const nothingUnderAFencedEpoch: Checker = {
  promise,
  says: 'nothing is appended under a fenced epoch',
  check(history) {
    const index = indexHistory(history)
    return [...index.logs.values()].flatMap((log) => fencedEntries(index, log))
  },
}

function fencedEntries(index: HistoryIndex, log: MissionLog): Violation[] {
  const violations: Violation[] = []
  let previous: Committed | undefined
  auditLog(log, (committed, ledger) => {
    const problem = fencedBy(index, committed, previous, ledger, log)
    if (problem !== undefined) violations.push({ promise, missionId: log.missionId, atMs: committed.atMs, detail: `entry ${committed.entry.index} of ${log.missionId} (${committed.entry.event.type}) ${problem}` })
    previous = committed
  })
  return violations
}

function fencedBy(index: HistoryIndex, { at, node, peer, entry }: Committed, previous: Committed | undefined, ledger: Ledger, { missionId }: MissionLog): string | undefined {
  const { event, epoch } = entry
  const now = formatEpoch(ledger.epoch)
  if (compareEpochs(epoch, ledger.epoch) < 0) return `is written under epoch ${formatEpoch(epoch)}, ${now} has begun`
  if (event.type === 'took-over') return compareEpochs(event.epoch, ledger.epoch) > 0 ? undefined : `begins epoch ${formatEpoch(event.epoch)} after ${now}`
  if (compareEpochs(epoch, ledger.epoch) > 0) return `is written under epoch ${formatEpoch(epoch)}, which has not begun: it is ${now}`
  if (peer !== ledger.owner) return `is written by ${peer}, the owner is ${ledger.owner}`
  // A mission that had ended is not taken over: nothing of it runs.
  if (previous !== undefined && ledger.state === 'open' && lifeAt(index, previous.node, previous.at) !== lifeAt(index, node, at)) return `comes from a new life of ${node}, which has not taken over: the epoch is still ${now}`
  if (event.type === 'awarded') {
    const { award } = event
    if (compareEpochs(award.epoch, ledger.epoch) > 0) return `awards ${award.awardId} under an epoch that has not begun: it is ${now}`
    if (taskDepth(award.taskId) === 1 && compareEpochs(award.epoch, ledger.epoch) < 0) return `awards ${award.awardId}, and epoch ${now} has begun`
  }
  if (event.type === 'accepted' && event.taskId === 'root' && event.awardId !== awardIdOf(missionId, 'root' as TaskId, 1, ledger.epoch)) return `ends the mission in the name of ${event.awardId}, and the epoch is ${now}`
  return undefined
}
