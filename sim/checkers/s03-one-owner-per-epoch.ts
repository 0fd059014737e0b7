/** S3: whoever leads a log, and with it owns a mission, does so under an epoch that nobody else has ever led it under. */
import { formatEpoch, isMissionGroup, type PeerId } from '../../protocols/kernel/ids.ts'
import type { Checker, History, Violation } from '../history/history.ts'
import { indexHistory, type HistoryIndex } from '../history/index-history.ts'

const promise = 'S3'

export const oneOwnerPerEpoch: Checker = {
  promise,
  says: 'at most one owner per mission, lineage and term',
  check(history) {
    const index = indexHistory(history)
    return [...ledTwice(history, index), ...begunTwice(index)]
  },
}

function ledTwice(history: History, index: HistoryIndex): Violation[] {
  const violations: Violation[] = []
  const leaders = new Map<string, PeerId>()
  history.records.forEach((record, at) => {
    if (record.type !== 'leads' || (index.groups.get(record.group)?.excusedAt ?? Infinity) < at) return
    const epoch = formatEpoch(record.epoch)
    const before = leaders.get(`${record.group} ${epoch}`)
    leaders.set(`${record.group} ${epoch}`, record.peer)
    if (before === undefined || before === record.peer) return
    violations.push({ promise, atMs: record.atMs, ...(isMissionGroup(record.group) ? { missionId: record.group } : {}), detail: `${record.node} leads ${record.group} under epoch ${epoch}, and so did ${index.nodeOf.get(before) ?? before}` })
  })
  return violations
}

/** As the logs themselves say it. */
function begunTwice(index: HistoryIndex): Violation[] {
  const violations: Violation[] = []
  for (const { missionId, committed } of index.logs.values()) {
    const begun = new Map<string, { owner: PeerId; entry: number }>()
    for (const { atMs, entry: { index: at, event } } of committed) {
      if (event.type !== 'submitted' && event.type !== 'took-over') continue
      const epoch = formatEpoch(event.type === 'submitted' ? { lineage: 1, term: 1 } : event.epoch)
      const before = begun.get(epoch)
      if (before === undefined) begun.set(epoch, { owner: event.owner, entry: at })
      // The founder of a log may say it a second time, in its first entries.
      else if (event.type === 'took-over') violations.push({ promise, missionId, atMs, detail: `epoch ${epoch} of ${missionId} was begun twice: by ${before.owner} in entry ${before.entry} and by ${event.owner} in entry ${at}` })
    }
  }
  return violations
}
