/** L2: once everything is healed, every mission that a majority of its keepers still has ends, and with it all of its tasks. A mission that a person paused waits for that person. */
import type { Checker, History, Violation } from '../history/history.ts'
import { auditLog, hasLiveMajority, indexHistory, type HistoryIndex, type MissionLog } from '../history/index-history.ts'

const promise = 'L2'

export const everyTaskEnds: Checker = {
  promise,
  says: 'after healing every mission ends, and so does every task',
  check(history) {
    const index = indexHistory(history)
    const deadlineMs = index.allHealed?.record.deadlineMs
    // A run that was cut short proves nothing of what would have ended.
    if (deadlineMs === undefined) return []
    return [...index.logs.values()].flatMap((log) => unended(history, index, log, deadlineMs))
  },
}

function unended(history: History, index: HistoryIndex, log: MissionLog, deadlineMs: number): Violation[] {
  const ledger = auditLog(log)
  if (ledger === undefined || !hasLiveMajority(index, log.replicated)) return []
  const open = [...ledger.tasks.values()].filter((task) => task.state === 'open' && task.parent !== undefined)
  if (ledger.state !== 'open') {
    const [left] = open
    return left === undefined ? [] : [{ promise, missionId: log.missionId, atMs: history.endMs, detail: `${log.missionId} is ${ledger.state}, and ${left.spec.taskId} is still open` }]
  }
  if (ledger.paused || history.endMs < deadlineMs) return []
  const waits = history.views.get(log.missionId)?.waitingFor
  return [{ promise, missionId: log.missionId, atMs: deadlineMs, detail: `${log.missionId}, kept by ${log.replicated.membership?.voters.map(({ peer }) => index.nodeOf.get(peer) ?? peer).join(', ') ?? 'nobody'}, has not ended by ${deadlineMs} ms, after everything was healed: ${open.length} tasks are open (${open.slice(0, 3).map(({ spec, attempts }) => `${spec.taskId} after ${attempts.length} awards`).join(', ')})${waits === undefined ? '' : `; it waits for ${waits}`}` }]
}
