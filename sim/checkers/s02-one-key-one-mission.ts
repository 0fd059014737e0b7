/** S2 at one node: in this release claims live with their owner, so a key is one mission there and nowhere else. */
import type { MissionId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { Checker, Violation } from '../history/history.ts'
import { indexHistory, type Committed, type HistoryIndex } from '../history/index-history.ts'
import { answeredView, digestOfSubmission, submissionsOf } from './s01-acknowledged-missions-stay.ts'

const promise = 'S2'

export const oneKeyOneMission: Checker = {
  promise,
  says: 'the same idempotency key gives one mission, for one request',
  check(history) {
    const index = indexHistory(history)
    return [...twoMissionsOfOneKey(index), ...answersOfOneKey(index)]
  },
}

function twoMissionsOfOneKey(index: HistoryIndex): Violation[] {
  const violations: Violation[] = []
  const claimed = new Map<string, { missionId: MissionId; first: Committed; atWallMs: number }>()
  for (const { missionId, committed: [first], damages } of index.logs.values()) {
    const event = first?.entry.event
    // A disk that lost a mission lost its claim with it.
    if (first === undefined || event?.type !== 'submitted' || event.key === undefined || damages.length > 0) continue
    const key = JSON.stringify([first.node, event.principal, event.key])
    const before = claimed.get(key)
    if (before === undefined) claimed.set(key, { missionId, first, atWallMs: event.atWallMs })
    else if (before.missionId !== missionId && Math.abs(before.atWallMs - event.atWallMs) < limits.idempotencyKeyKeptMs) {
      violations.push({ promise, atMs: first.atMs, missionId, detail: `the key "${event.key}" of ${event.principal} made two missions at ${first.node}: ${before.missionId} and ${missionId}` })
    }
  }
  return violations
}

/** An acknowledgement under a key is of a mission with that key, that principal and that very request. */
function answersOfOneKey(index: HistoryIndex): Violation[] {
  return submissionsOf(index).flatMap((submission): Violation[] => {
    const key = submission.invoke.key ?? submission.asked.key
    if (key === undefined || submission.end?.type !== 'ok') return []
    const missionId = answeredView(submission.end)?.id
    const log = missionId === undefined ? undefined : index.logs.get(missionId)
    const event = log?.committed[0]?.entry.event
    if (missionId === undefined || event?.type !== 'submitted') return []
    const asked = `operation ${submission.invoke.operation} of ${submission.invoke.principal} with the key "${key}"`
    const atMs = submission.end.atMs
    if (event.key !== key || event.principal !== submission.invoke.principal) return [{ promise, atMs, missionId, detail: `${asked} was answered with ${missionId}, which has the key ${event.key === undefined ? 'of nobody' : `"${event.key}"`} of ${event.principal}` }]
    if (event.requestDigest !== digestOfSubmission(submission)) return [{ promise, atMs, missionId, detail: `${asked} was answered with ${missionId}, which is of another request: a conflict that nobody was told` }]
    return []
  })
}
