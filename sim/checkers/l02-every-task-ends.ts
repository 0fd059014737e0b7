/** L2: once everything is healed, every mission whose owner is there ends, and with it all of its tasks. A mission that a person paused waits for that person. */
import type { Checker, History, Violation } from '../history/history.ts'
import { auditLog, indexHistory, lastLife, type HistoryIndex, type MissionLog } from '../history/index-history.ts'

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
  const [first] = log.committed
  const ledger = auditLog(log)
  if (first === undefined || ledger === undefined || log.damages.length > 0 || lastLife(index, first.node) === undefined) return []
  const open = [...ledger.tasks.values()].filter((task) => task.state === 'open' && task.parent !== undefined)
  if (ledger.state !== 'open') {
    const [left] = open
    return left === undefined ? [] : [{ promise, missionId: log.missionId, atMs: history.endMs, detail: `${log.missionId} is ${ledger.state}, and ${left.spec.taskId} is still open` }]
  }
  if (ledger.paused || history.endMs < deadlineMs) return []
  const waits = history.views.get(log.missionId)?.waitingFor
  return [{ promise, missionId: log.missionId, atMs: deadlineMs, detail: `${log.missionId} of ${first.node} has not ended by ${deadlineMs} ms, after everything was healed: ${open.length} tasks are open (${open.slice(0, 3).map(({ spec, attempts }) => `${spec.taskId} after ${attempts.length} awards`).join(', ')})${waits === undefined ? '' : `; it waits for ${waits}`}` }]
}
