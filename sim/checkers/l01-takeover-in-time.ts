/**
 * L1: a mission whose owner is gone has another one soon, if a majority of its keepers is up and nothing else is wrong. Judged at
 * the end of every owner's process in a mesh that is otherwise in good health, and once everything is healed.
 */
import type { MissionId, PeerId } from '../../protocols/kernel/ids.ts'
import type { InstantMs } from '../../protocols/kernel/units.ts'
import type { Checker, History, Violation } from '../history/history.ts'
import { hasLiveMajority, indexHistory, lifeAt, type HistoryIndex, type MissionLog, type Order } from '../history/index-history.ts'

const promise = 'L1'

/** Noticing it, an election or two, reading the log and one commit. */
export const takenOverWithinMs = 10_000
/** After everything was wrong: connections have to be found again first. */
export const settledWithinMs = 45_000

export const takeoverInTime: Checker = {
  promise,
  says: `a mission whose owner is gone has another within ${takenOverWithinMs / 1_000} s`,
  check(history) {
    const index = indexHistory(history)
    const trouble = troubles(history)
    const leaderships = leadershipsOf(history)
    return [...index.logs.values()].flatMap((log) => [...orphanedInPeace(history, index, log, trouble), ...orphanedAfterHealing(history, index, log, leaderships)])
  },
}

interface Trouble {
  readonly fromMs: InstantMs
  toMs: InstantMs
}

/** From when on something was wrong that might keep a mission from its next owner: everything but the end of a process for good. */
function troubles(history: History): Trouble[] {
  const found: (Trouble & { readonly kind: string; readonly nodes: string })[] = []
  for (const record of history.records) {
    if (record.type === 'fault' && (record.lastsMs !== Infinity || !endsForGood.has(record.kind))) found.push({ kind: record.kind, nodes: record.nodes.join(), fromMs: record.atMs, toMs: Infinity })
    else if (record.type === 'healed') for (const one of found) if (one.toMs === Infinity && one.kind === record.kind && one.nodes === record.nodes.join()) one.toMs = record.atMs
    if (record.type === 'all-healed') for (const one of found) one.toMs = Math.min(one.toMs, record.atMs)
  }
  return found
}

const endsForGood = new Set<string>(['crash', 'power-cut', 'leave', 'owner-killed-for-good'])
/** What a trouble that is over may still be felt by. */
const aftermathMs = 20_000

function leadershipsOf(history: History): Map<MissionId, { readonly at: Order; readonly atMs: InstantMs; readonly node: string; readonly peer: PeerId }[]> {
  const found = new Map<MissionId, { at: Order; atMs: InstantMs; node: string; peer: PeerId }[]>()
  history.records.forEach((record, at) => {
    if (record.type !== 'leads') return
    const group = record.group as MissionId
    found.set(group, [...(found.get(group) ?? []), { at, atMs: record.atMs, node: record.node, peer: record.peer }])
  })
  return found
}

/** When the mission ended; Infinity: it never did. */
function endOf(log: MissionLog): InstantMs {
  return log.committed.find(({ entry: { event } }) => event.type === 'completed' || event.type === 'failed' || event.type === 'cancelled')?.atMs ?? Infinity
}

function orphanedInPeace(history: History, index: HistoryIndex, log: MissionLog, trouble: readonly Trouble[]): Violation[] {
  if (log.replicated.excusedAt < Infinity) return []
  const endedMs = endOf(log)
  const owners = log.committed.filter(({ entry: { event } }) => event.type === 'submitted' || event.type === 'took-over')
  return owners.flatMap((owned, i): Violation[] => {
    const life = lifeAt(index, owned.node, owned.at)
    const stopped = life?.stopped
    const next = owners[i + 1]
    if (life === undefined || stopped === undefined || (next !== undefined && next.at < life.stoppedAt) || endedMs < stopped.atMs) return []
    const dueMs = stopped.atMs + takenOverWithinMs
    if (dueMs > history.endMs || trouble.some(({ fromMs, toMs }) => fromMs < dueMs && toMs > stopped.atMs - aftermathMs)) return []
    if (next !== undefined ? next.atMs <= dueMs : endedMs <= dueMs) return []
    if (!isKept(index, log, life.stoppedAt, dueMs)) return []
    return [{ promise, missionId: log.missionId, atMs: dueMs, detail: `${owned.node}, which owned ${log.missionId}, was gone at ${stopped.atMs} ms, and ${next === undefined ? 'nobody ever took it over' : `${next.node} took it over only at ${next.atMs} ms`}: ${dueMs} ms was the latest` }]
  })
}

/** Whether a majority of those who kept it then stayed up meanwhile. */
function isKept(index: HistoryIndex, log: MissionLog, at: Order, untilMs: InstantMs): boolean {
  const { replicated } = log
  const members = replicated.committed.findLast(({ event }, i) => event.type === 'members' && replicated.committedAt[i]! < at)?.event
  if (members?.type !== 'members') return false
  const isUp = ({ peer }: { peer: PeerId }): boolean => {
    const life = lifeAt(index, index.nodeOf.get(peer) ?? '', at)
    return life !== undefined && life.stoppedAt > at && (life.stopped?.atMs ?? Infinity) > untilMs
  }
  const most = (voters: readonly { peer: PeerId }[]): boolean => voters.filter(isUp).length * 2 > voters.length
  return most(members.membership.voters) && (members.membership.outgoing === undefined || most(members.membership.outgoing))
}

function orphanedAfterHealing(history: History, index: HistoryIndex, log: MissionLog, leaderships: ReturnType<typeof leadershipsOf>): Violation[] {
  if (history.healedMs === undefined || index.allHealed === undefined) return []
  const dueMs = history.healedMs + settledWithinMs
  if (dueMs > history.endMs || endOf(log) <= dueMs || !hasLiveMajority(index, log.replicated)) return []
  const leader = leaderships.get(log.missionId)?.findLast(({ atMs }) => atMs <= dueMs)
  const life = leader === undefined ? undefined : lifeAt(index, leader.node, leader.at)
  if (life !== undefined && (life.stopped?.atMs ?? Infinity) > dueMs) return []
  return [{ promise, missionId: log.missionId, atMs: dueMs, detail: `everything was healed at ${history.healedMs} ms, a majority of the keepers of ${log.missionId} is up, and ${leader === undefined ? 'nobody has ever owned it' : `its last owner ${leader.node} is gone`} at ${dueMs} ms` }]
}
