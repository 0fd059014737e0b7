/** L1 with one member: the owner's own restart is the takeover. Judged when its node is in good health and nothing was lost. */
import type { MissionId } from '../../protocols/kernel/ids.ts'
import type { InstantMs } from '../../protocols/kernel/units.ts'
import type { Checker, History, RecordOf, Violation } from '../history/history.ts'
import { indexHistory, type HistoryIndex, type Life, type MissionLog } from '../history/index-history.ts'
import { openLedger, postEvent } from '../history/ledger.ts'

const promise = 'L1'

/** Opening the store, reading the log and one sync. */
export const backWithinMs = 10_000

/** What slows a node's loop, its disk or its clock. A mesh that is cut in pieces does not keep an owner from its own disk. */
const ailments = new Set(['pause', 'suspend', 'torn-write', 'sync-error', 'disk-full', 'disk-slow', 'disk-stuck', 'bit-rot', 'clock-drift', 'crash-between-effects'])

export const ownerIsBackInTime: Checker = {
  promise,
  says: `an owner that starts again takes its live missions over within ${backWithinMs / 1_000} s`,
  check(history) {
    const index = indexHistory(history)
    const ill = illnesses(history)
    return [...index.logs.values()].flatMap((log) => lateTakeovers(history, index, log, ill))
  },
}

interface Illness {
  readonly node: string
  readonly fromMs: InstantMs
  toMs: InstantMs
}

function illnesses(history: History): Illness[] {
  const found: (Illness & { readonly kind: string })[] = []
  for (const record of history.records) {
    if (record.type === 'fault' && ailments.has(record.kind)) for (const node of record.nodes) found.push({ node, kind: record.kind, fromMs: record.atMs, toMs: Infinity })
    else if (record.type === 'healed') for (const one of found) if (one.toMs === Infinity && one.kind === record.kind && record.nodes.includes(one.node)) one.toMs = record.atMs
    if (record.type === 'all-healed') for (const one of found) one.toMs = Math.min(one.toMs, record.atMs)
  }
  return found
}

function lateTakeovers(history: History, index: HistoryIndex, log: MissionLog, ill: readonly Illness[]): Violation[] {
  const [first] = log.committed
  if (first?.entry.event.type !== 'submitted' || log.damages.length > 0) return []
  const ledger = openLedger(first.entry.event)
  let read = 0
  return (index.lives.get(first.node) ?? []).flatMap((life): Violation[] => {
    if (life.startedAt < first.at) return []
    for (; (log.committed[read]?.at ?? Infinity) < life.startedAt; read++) postEvent(ledger, log.committed[read]!.entry.event)
    if (ledger.state !== 'open') return []
    const sinceMs = healthySinceMs(history, life, ill)
    const dueMs = sinceMs + backWithinMs
    if (dueMs > endOf(history, life) || ill.some((one) => one.node === life.node && one.fromMs < dueMs && one.toMs > sinceMs)) return []
    const took = log.committed.find(({ at, entry }) => at > life.startedAt && entry.event.type === 'took-over')
    return took !== undefined && took.atMs <= dueMs ? [] : [late(log.missionId, life, dueMs, took?.atMs)]
  })
}

/** A node may start while it is unwell; its time runs from when it is not any more. */
function healthySinceMs(history: History, life: Life, ill: readonly Illness[]): InstantMs {
  const over = ill.filter((one) => one.node === life.node && one.fromMs <= life.started.atMs && one.toMs > life.started.atMs).map((one) => one.toMs)
  return Math.min(Math.max(life.started.atMs, ...over), Math.max(life.started.atMs, history.healedMs ?? Infinity))
}

function endOf(history: History, life: Life): InstantMs {
  return (life.stopped as RecordOf<'stopped'> | undefined)?.atMs ?? history.endMs
}

function late(missionId: MissionId, life: Life, dueMs: InstantMs, tookMs: InstantMs | undefined): Violation {
  return { promise, missionId, atMs: dueMs, detail: `${life.node} started at ${life.started.atMs} ms with the live mission ${missionId} on its disk, ${tookMs === undefined ? 'and never took it over' : `and took it over only at ${tookMs} ms`}: ${dueMs} ms was the latest` }
}
