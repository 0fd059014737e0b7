/** S4: nobody hears of what a crash can still undo, and what is synced is there after a restart, as it was. */
import type { MissionId } from '../../protocols/kernel/ids.ts'
import { chainOf } from '../../protocols/replicated-log/chain.ts'
import type { Checker, History, RecordOf, Violation } from '../history/history.ts'
import { indexHistory, lifeAt, type HistoryIndex, type MissionLog } from '../history/index-history.ts'

const promise = 'S4'

export const promisesSurviveRestart: Checker = {
  promise,
  says: 'what is synced survives a restart, and nobody is told of anything that is not',
  check(history) {
    const index = indexHistory(history)
    return [...[...index.logs.values()].flatMap((log) => [...rewrittenEntries(log), ...brokenRow(index, log), ...forgotten(index, log)]), ...toldTooEarly(history, index)]
  },
}

function rewrittenEntries({ missionId, rewritten }: MissionLog): Violation[] {
  return rewritten.slice(0, 1).map(({ atMs, node, entry }) => ({ promise, missionId, atMs, detail: `${node} wrote entry ${entry.index} of ${missionId} again with another content (${entry.event.type}): the first was synced` }))
}

/** Entries follow each other, and the first of a new life is chained to what was there. Within a life the chain is what the store contract tests. */
function brokenRow(index: HistoryIndex, { missionId, committed }: MissionLog): Violation[] {
  for (const [i, { at, atMs, node, entry }] of committed.entries()) {
    const before = committed[i - 1]
    if (entry.index !== (before?.entry.index ?? 0) + 1) return [{ promise, missionId, atMs, detail: `${node} synced entry ${entry.index} of ${missionId} after entry ${before?.entry.index ?? 0}` }]
    if (before === undefined || lifeAt(index, before.node, before.at) === lifeAt(index, node, at)) continue
    if (chainOf(before.entry.chain, entry.index, entry.epoch, entry.event) !== entry.chain) return [{ promise, missionId, atMs, detail: `${node} came back and chained entry ${entry.index} of ${missionId} to something else than the entry ${before.entry.index} that had been synced` }]
  }
  return []
}

/** A node that starts finds every mission that it had synced entries of. */
function forgotten(index: HistoryIndex, { missionId, committed: [first], damages }: MissionLog): Violation[] {
  if (first === undefined || damages.length > 0) return []
  const lost = index.lives.get(first.node)?.find((life) => life.startedAt > first.at && !life.onDisk.has(missionId))
  return lost === undefined ? [] : [{ promise, missionId, atMs: lost.started.atMs, detail: `${lost.node} had synced ${missionId} and does not find it when it starts, although its disk was not damaged` }]
}

/** Watchers and clients hear of entries that are synced, no others. */
function toldTooEarly(history: History, index: HistoryIndex): Violation[] {
  const violations: Violation[] = []
  const synced = new Map<MissionId, number>()
  const told = new Set<MissionId>()
  const judge = (missionId: MissionId, known: number, atMs: number, whom: string): void => {
    if (known <= (synced.get(missionId) ?? 0) || told.has(missionId) || (index.logs.get(missionId)?.damages.length ?? 0) > 0) return
    told.add(missionId)
    violations.push({ promise, missionId, atMs, detail: `${whom} was told of entry ${known} of ${missionId} while ${synced.get(missionId) ?? 0} were synced` })
  }
  for (const record of history.records) {
    if (record.type === 'synced') {
      const last = record.entries.at(-1)
      if (last !== undefined) synced.set(record.missionId, Math.max(synced.get(record.missionId) ?? 0, last.index))
    } else if (record.type === 'told') judge(record.missionId, record.index, record.atMs, `a watcher at ${record.node}`)
    else if (record.type === 'ok') {
      const view = viewIn(record)
      if (view !== undefined) judge(view.id, view.lastIndex, record.atMs, record.client)
    }
  }
  return violations
}

function viewIn({ answer }: RecordOf<'ok'>): { id: MissionId; lastIndex: number } | undefined {
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) return undefined
  const { id, lastIndex } = answer
  return typeof id === 'string' && typeof lastIndex === 'number' ? { id: id as MissionId, lastIndex } : undefined
}
