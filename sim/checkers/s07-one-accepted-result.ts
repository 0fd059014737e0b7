/** S7: a task has at most one accepted result, and every reader sees that one: the log, watchers, clients, the owner at the end. */
import type { MissionId, TaskId } from '../../protocols/kernel/ids.ts'
import type { Json } from '../../protocols/kernel/payload.ts'
import type { Checker, History, Violation } from '../history/history.ts'
import { auditLog, indexHistory, isExcused, type HistoryIndex, type MissionLog } from '../history/index-history.ts'
import { sameValue } from '../history/same-value.ts'

const promise = 'S7'

export const oneAcceptedResult: Checker = {
  promise,
  says: 'at most one accepted result per task, the same for every reader',
  check(history) {
    const index = indexHistory(history)
    return [...[...index.logs.values()].flatMap((log) => [...acceptedTwice(log), ...miscounted(history, log)]), ...toldOtherwise(history, index), ...answeredOtherwise(index)]
  },
}

function acceptedTwice({ missionId, committed }: MissionLog): Violation[] {
  const violations: Violation[] = []
  const acceptances = new Map<TaskId, number>()
  for (const { atMs, entry: { index, event } } of committed) {
    if (event.type !== 'accepted') continue
    const before = acceptances.get(event.taskId)
    if (before !== undefined) violations.push({ promise, missionId, atMs, detail: `${event.taskId} of ${missionId} has two accepted results: entries ${before} and ${index}` })
    acceptances.set(event.taskId, before ?? index)
  }
  return violations
}

/** The owner at the end counts as many accepted tasks as its log has. */
function miscounted(history: History, log: MissionLog): Violation[] {
  const view = history.views.get(log.missionId)
  const last = log.committed.at(-1)?.entry.index
  if (view === undefined || isExcused(log) || view.lastIndex !== last) return []
  const ledger = auditLog(log)
  const accepted = [...(ledger?.tasks.values() ?? [])].filter((task) => task.parent !== undefined && task.state === 'accepted').length
  const shown = view.tasks.accepted ?? 0
  if (ledger === undefined || shown === accepted) return []
  return [{ promise, missionId: log.missionId, atMs: history.endMs, detail: `the log of ${log.missionId} has ${accepted} accepted tasks, its owner shows ${shown} at the same entry ${last}` }]
}

function toldOtherwise(history: History, index: HistoryIndex): Violation[] {
  const violations: Violation[] = []
  for (const record of history.records) {
    if (record.type !== 'told') continue
    const log = index.logs.get(record.missionId)
    const committed = log?.byIndex.get(record.index)
    if (committed === undefined || log === undefined || isExcused(log) || sameValue(committed.entry.event, record.event)) continue
    violations.push({ promise, missionId: record.missionId, atMs: record.atMs, detail: `a watcher at ${record.node} was told ${record.event.type} as entry ${record.index} of ${record.missionId}, the log has another ${committed.entry.event.type} there` })
  }
  return violations
}

function answeredOtherwise(index: HistoryIndex): Violation[] {
  const violations: Violation[] = []
  const answers = new Map<MissionId, { operation: number; result: Json }>()
  for (const { asked, end } of index.operations) {
    if (asked.op !== 'result' || end?.type !== 'ok') continue
    const log = index.logs.get(asked.missionId)
    const { answer } = end
    if (log === undefined || isExcused(log) || typeof answer !== 'object' || answer === null || Array.isArray(answer) || answer['result'] === undefined) continue
    const result = answer['result']
    const wrong = (than: string): void => void violations.push({ promise, missionId: asked.missionId, atMs: end.atMs, detail: `operation ${end.operation} was answered with another result of ${asked.missionId} than ${than}` })
    const before = answers.get(asked.missionId)
    if (before === undefined) answers.set(asked.missionId, { operation: end.operation, result })
    else if (!sameValue(before.result, result)) wrong(`operation ${before.operation}`)
    const completed = log.committed.find(({ entry }) => entry.event.type === 'completed')?.entry.event
    if (completed?.type === 'completed' && 'inline' in completed.result && !sameValue(completed.result.inline, result)) wrong('its log has')
  }
  return violations
}
