/**
 * S6, of every group, the roster and the registrar's shards included: at one index everybody who calls it committed has the same
 * chain, and what follows was chained to what had been committed before. Equal chains are equal logs up to there.
 */
import type { Checker, Violation } from '../history/history.ts'
import { indexHistory, type HistoryIndex, type Replicated } from '../history/index-history.ts'
import { aboutGroup } from './s04-promises-survive-restart.ts'

const promise = 'S6'

export const logsArePrefixes: Checker = {
  promise,
  says: 'committed logs are prefixes of one another',
  check(history) {
    const index = indexHistory(history)
    return [...index.groups.values()].flatMap((log) => contradictions(index, log))
  },
}

function contradictions(index: HistoryIndex, { group, conflicts }: Replicated): Violation[] {
  return conflicts.slice(0, 1).map(({ atMs, peer, index: entry, chain }) => ({ promise, ...aboutGroup(group), atMs, detail: `${index.nodeOf.get(peer) ?? peer} calls entry ${entry} of ${group} committed as ${chain.slice(0, 8)}…, another member had committed something else there or before` }))
}
