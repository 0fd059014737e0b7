/**
 * S10: an award follows a bid that its manager really got, from a node of the mesh that offered the capability when it bid.
 * One against a standing offer follows that offer, made with a bid for a task that asks for the same.
 * A manager's own node bids without the wire: of its awards only the offer is checked.
 */
import { taskDepth, type MissionId, type TaskId } from '../../protocols/kernel/ids.ts'
import type { AwardRecord } from '../../protocols/tasking/schema.ts'
import type { Checker, Violation } from '../history/history.ts'
import { auditLog, bidKey, indexHistory, lifeAt, managerOf, partsOf, type Committed, type HeardBid, type HistoryIndex, type MissionLog } from '../history/index-history.ts'
import type { Ledger } from '../history/ledger.ts'

const promise = 'S10'

export const awardedToWhoBid: Checker = {
  promise,
  says: 'an award follows a bid of an admitted, capable worker',
  check(history) {
    const index = indexHistory(history)
    return [...index.logs.values()].flatMap((log) => unfoundedAwards(index, log))
  },
}

function unfoundedAwards(index: HistoryIndex, log: MissionLog): Violation[] {
  const violations: Violation[] = []
  auditLog(log, (committed, ledger) => {
    const { event } = committed.entry
    if (event.type !== 'awarded') return
    const problem = problemOf(index, log, committed, event.award, ledger)
    if (problem !== undefined) violations.push({ promise, missionId: log.missionId, atMs: committed.atMs, detail: `entry ${committed.entry.index} of ${log.missionId} awards ${event.award.taskId} to ${event.award.worker}, ${problem}` })
  })
  return violations
}

function problemOf(index: HistoryIndex, { missionId }: MissionLog, { at, ledAt, node: ownerNode }: Committed, award: AwardRecord, ledger: Ledger): string | undefined {
  const { worker, taskId } = award
  const workerNode = index.nodeOf.get(worker)
  if (workerNode === undefined) return 'who is no node of this mesh'
  const offers = (bidAt: number): boolean => lifeAt(index, workerNode, bidAt)?.started.capabilities.includes(award.capability) ?? false
  if (award.capability !== ledger.tasks.get(taskId)?.spec.capability) return `as ${award.capability}, the task is ${ledger.tasks.get(taskId)?.spec.capability ?? 'unknown'}`
  const manager = managerOf(ledger, taskId)
  if (manager === worker || manager === undefined) return offers(at) ? undefined : `who does not offer ${award.capability}`
  // An auction lives in its manager's memory. Whoever manages below the root may have restarted while the award was on its way to the log.
  const bornAt = taskDepth(taskId) === 1 ? (lifeAt(index, ownerNode, ledAt)?.startedAt ?? 0) : 0
  const own = partsOf(award.awardId)
  const isOlder = ({ at: bidAt, bid }: HeardBid): boolean => {
    const call = partsOf(bid.callId)
    return bidAt < at && bidAt > bornAt && (call.lineage - own.lineage || call.term - own.term) <= 0
  }
  // A standing offer was made with a bid for another task of the mission that asks for the same. A call outlives an award that was refused, and a change of owner.
  const heard = award.offer === undefined
    ? (index.bids.get(bidKey(worker, manager, missionId, taskId)) ?? []).filter((known) => isOlder(known) && partsOf(known.bid.callId).attempt <= own.attempt)
    : (index.offers.get(`${worker} ${manager} ${award.offer}`) ?? []).filter((known) => isOlder(known) && asksAlike(ledger, missionId, known, taskId))
  if (heard.length === 0) return award.offer === undefined ? `who had not bid for it to ${manager}` : `who had made no such offer (${award.offer}) to ${manager}`
  const matching = heard.filter(({ bid }) => bid.version === award.version && bid.priceUsd === award.bid.priceUsd && bid.estimatedFinishMs === award.bid.estimatedFinishMs)
  if (matching.length === 0) return 'for a bid that it had not made: another version, price or time'
  if (!matching.some(({ at: bidAt }) => offers(bidAt))) return `who did not offer ${award.capability} when it bid`
  return undefined
}

/** Whether the task that an offer was made with is of this mission and asks for what this one does. */
function asksAlike(ledger: Ledger, missionId: MissionId, { bid: { callId } }: HeardBid, taskId: TaskId): boolean {
  if (!callId.startsWith(`${missionId}:`)) return false
  const asked = ledger.tasks.get(callId.slice(missionId.length + 1, callId.lastIndexOf('#')) as TaskId)?.spec
  const own = ledger.tasks.get(taskId)?.spec
  const need = (spec: typeof own): string => JSON.stringify([spec?.capability, spec?.version, spec?.attributes])
  return asked !== undefined && need(asked) === need(own)
}
