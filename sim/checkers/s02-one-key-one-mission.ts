/** S2: whichever bridge a key is used at, it is one mission; the claim for it is committed before anybody hears of that. */
import type { MissionId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { Checker, Violation } from '../history/history.ts'
import { indexHistory, submittedOf, type HistoryIndex, type Order, type Replicated } from '../history/index-history.ts'
import { answeredView, digestOfSubmission, submissionsOf } from './s01-acknowledged-missions-stay.ts'

const promise = 'S2'

export const oneKeyOneMission: Checker = {
  promise,
  says: 'the same idempotency key gives one mission, for one request',
  check(history) {
    const index = indexHistory(history)
    return [...twoMissionsOfOneKey(index), ...answeredBeforeClaimed(index), ...answersOfOneKey(index)]
  },
}

function twoMissionsOfOneKey(index: HistoryIndex): Violation[] {
  const violations: Violation[] = []
  const claimed = new Map<string, { missionId: MissionId; node: string; atWallMs: number }>()
  const shards = shardsOf(index)
  for (const log of index.logs.values()) {
    const first = submittedOf(log)
    if (first?.event.key === undefined) continue
    const { event, node } = first
    const key = JSON.stringify([event.principal, event.key])
    const before = claimed.get(key)
    if (before === undefined) claimed.set(key, { missionId: log.missionId, node, atWallMs: event.atWallMs })
    else if (Math.abs(before.atWallMs - event.atWallMs) < limits.idempotencyKeyKeptMs && !isForgotten(shards, [before.missionId, log.missionId])) {
      violations.push({ promise, atMs: first.atMs, missionId: log.missionId, detail: `the key "${event.key}" of ${event.principal} made two missions: ${before.missionId} at ${before.node} and ${log.missionId} at ${node}` })
    }
  }
  return violations
}

/** The registrar's log that each mission was claimed in, and when that was committed. */
function shardsOf(index: HistoryIndex): Map<MissionId, { readonly log: Replicated; readonly at: Order }> {
  const found = new Map<MissionId, { readonly log: Replicated; readonly at: Order }>()
  for (const log of index.groups.values()) {
    if (!log.group.startsWith('registrar-')) continue
    for (const [i, { event }] of log.committed.entries()) if (event.type === 'claimed' && !found.has(event.claim.missionId)) found.set(event.claim.missionId, { log, at: log.committedAt[i]! })
  }
  return found
}

/** Where a majority of those who kept the claims has lost them, nobody can know the key any more. */
function isForgotten(shards: ReturnType<typeof shardsOf>, missions: readonly MissionId[]): boolean {
  return missions.some((missionId) => (shards.get(missionId)?.log.excusedAt ?? Infinity) < Infinity)
}

/** Nobody is told of a mission under a key before the claim is committed that keeps others from making a second one. */
function answeredBeforeClaimed(index: HistoryIndex): Violation[] {
  const shards = shardsOf(index)
  const told = new Set<MissionId>()
  return submissionsOf(index).flatMap((submission): Violation[] => {
    const { end } = submission
    const missionId = end?.type === 'ok' ? answeredView(end)?.id : undefined
    if (end === undefined || missionId === undefined || (submission.invoke.key ?? submission.asked.key) === undefined || told.has(missionId)) return []
    told.add(missionId)
    const claim = shards.get(missionId)
    if (claim !== undefined && claim.at < submission.endedAt) return []
    return [{ promise, atMs: end.atMs, missionId, detail: `operation ${end.operation} was answered with ${missionId} ${claim === undefined ? 'and nobody has ever committed a claim for it' : 'before the claim for it was committed'}` }]
  })
}

/** An acknowledgement under a key is of a mission with that key, that principal and that very request. */
function answersOfOneKey(index: HistoryIndex): Violation[] {
  return submissionsOf(index).flatMap((submission): Violation[] => {
    const key = submission.invoke.key ?? submission.asked.key
    if (key === undefined || submission.end?.type !== 'ok') return []
    const missionId = answeredView(submission.end)?.id
    const log = missionId === undefined ? undefined : index.logs.get(missionId)
    const event = log === undefined ? undefined : submittedOf(log)?.event
    if (missionId === undefined || event === undefined) return []
    const asked = `operation ${submission.invoke.operation} of ${submission.invoke.principal} with the key "${key}"`
    const atMs = submission.end.atMs
    if (event.key !== key || event.principal !== submission.invoke.principal) return [{ promise, atMs, missionId, detail: `${asked} was answered with ${missionId}, which has the key ${event.key === undefined ? 'of nobody' : `"${event.key}"`} of ${event.principal}` }]
    if (event.requestDigest !== digestOfSubmission(submission)) return [{ promise, atMs, missionId, detail: `${asked} was answered with ${missionId}, which is of another request: a conflict that nobody was told` }]
    return []
  })
}
