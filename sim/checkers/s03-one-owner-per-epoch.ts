/** S3: whoever opens a mission or takes it over begins an epoch that nobody else ever has, its own earlier life included. */
import { formatEpoch } from '../../protocols/kernel/ids.ts'
import type { Checker, Violation } from '../history/history.ts'
import { indexHistory, type Committed } from '../history/index-history.ts'

const promise = 'S3'

export const oneOwnerPerEpoch: Checker = {
  promise,
  says: 'at most one owner per mission, lineage and term',
  check(history) {
    const violations: Violation[] = []
    for (const { missionId, committed, rewritten, damages } of indexHistory(history).logs.values()) {
      const begun = new Map<string, { owner: string; by: Committed }>()
      // A rolled-back disk does not remember its terms: what comes after damage is not judged.
      for (const by of damages.length > 0 ? committed : [...committed, ...rewritten]) {
        const { event } = by.entry
        if (event.type !== 'submitted' && event.type !== 'took-over') continue
        const epoch = formatEpoch(event.type === 'submitted' ? { lineage: 1, term: 1 } : event.epoch)
        const before = begun.get(epoch)
        if (before !== undefined) violations.push({ promise, missionId, atMs: by.atMs, detail: `epoch ${epoch} of ${missionId} was begun twice: by ${before.owner} in entry ${before.by.entry.index} and by ${event.owner} in entry ${by.entry.index}` })
        else begun.set(epoch, { owner: event.owner, by })
        if (event.owner !== by.peer) violations.push({ promise, missionId, atMs: by.atMs, detail: `entry ${by.entry.index} makes ${event.owner} the owner of ${missionId}, and was written by ${by.peer}` })
      }
    }
    return violations
  },
}
