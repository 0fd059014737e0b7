/** Not a promise to users but the ground under all of them: an actor of an honest node that throws is a bug. */
import type { Checker } from '../history/history.ts'
import { indexHistory, isHonest } from '../history/index-history.ts'

export const actorsDoNotFail: Checker = {
  promise: 'actors',
  says: 'no actor of an honest node fails',
  check(history) {
    const index = indexHistory(history)
    return history.records.flatMap((record) => (record.type === 'actor-failed' && isHonest(index, record.node) ? [{ promise: 'actors', atMs: record.atMs, detail: `${record.actor} of ${record.node} failed: ${record.reason}` }] : []))
  },
}
