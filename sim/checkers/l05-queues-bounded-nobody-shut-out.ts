/**
 * L5: no mailbox of an honest node was ever full, no more calls wait than may, and no honest node is left out. Dead letters are
 * counted for people, and only the last of them kept: their number says nothing. Who wins an auction is a
 * question of speed and luck, so a node counts as left out only when it does not even bid: it was up, free and capable for all of
 * the healed time, and so many calls went out meanwhile that some must have asked it.
 */
import { limits } from '../../protocols/kernel/limits.ts'
import type { Checker, History, Violation } from '../history/history.ts'
import { indexHistory, isHonest, lastLife, type HistoryIndex, type Life } from '../history/index-history.ts'

const promise = 'L5'

/** Connections, adverts and topics find together again meanwhile. */
const settledAfterMs = 30_000
/** Calls that a node must have been asked for, at the rate aimed at, before its silence means something: by chance it happens once in e²⁰ cases. */
const askedAtLeast = 20

export const queuesBoundedNobodyShutOut: Checker = {
  promise,
  says: 'queues stay bounded and no honest node is shut out',
  check(history) {
    const index = indexHistory(history)
    return [...longQueues(history, index), ...shutOut(history, index)]
  },
}

function longQueues(history: History, index: HistoryIndex): Violation[] {
  return history.records.flatMap((record): Violation[] => {
    if (record.type !== 'depths' || !isHonest(index, record.node)) return []
    const over = (what: string, count: number, max: number): Violation[] => (count < max ? [] : [{ promise, atMs: record.atMs, detail: `${record.node} had ${count} ${what}, the limit is ${max}` }])
    return [...over('messages in one mailbox', record.mailboxMax, limits.mailboxMessagesMax), ...over('calls waiting', record.waitingCalls, limits.waitingCallsMax + 1)]
  })
}

function shutOut(history: History, index: HistoryIndex): Violation[] {
  if (history.healedMs === undefined || index.allHealed === undefined) return []
  const fromMs = history.healedMs + settledAfterMs
  const candidates = [...index.lives.keys()].flatMap((node) => {
    const life = lastLife(index, node)
    return life !== undefined && life.started.atMs <= history.healedMs! && life.started.slots > 0 && isHonest(index, node) ? [life] : []
  })
  const busy = new Set(unendedRuns(index))
  for (const record of history.records) {
    if (record.atMs < fromMs) continue
    if (record.type === 'run-started' || record.type === 'run-ended') busy.add(record.node)
    else if (record.type === 'proposed') busy.add(index.nodeOf.get(record.from) ?? '')
  }
  return candidates.filter(({ node }) => !busy.has(node)).flatMap((life) => silent(index, candidates, life, fromMs))
}

/** Nodes whose slots may be taken by what began before. */
function unendedRuns(index: HistoryIndex): string[] {
  const ended = new Set([...index.runsEnded.values()].flatMap((runs) => runs.map(({ record }) => `${record.node} ${record.runId}`)))
  return index.runsStarted.filter(({ record }) => !ended.has(`${record.node} ${record.runId}`)).map(({ record }) => record.node)
}

function silent(index: HistoryIndex, candidates: readonly Life[], life: Life, fromMs: number): Violation[] {
  let asked = 0
  for (const { atMs, node, entry: { event } } of [...index.awards.values()].flat()) {
    // A node's own missions ask it without the wire, and a repeated call may leave out whom it was tried on.
    if (event.type !== 'awarded' || atMs < fromMs || node === life.node || event.award.attempt > 1 || !life.started.capabilities.includes(event.award.capability)) continue
    const able = candidates.filter((other) => other.started.capabilities.includes(event.award.capability)).length
    asked += Math.min(1, limits.biddersAimed / able)
  }
  if (asked < askedAtLeast) return []
  return [{ promise, atMs: index.history.endMs, detail: `${life.node} was up, free and able since everything was healed, and has not bid once since ${fromMs} ms, while about ${Math.round(asked)} calls must have reached it` }]
}
