/** Reads a mission's records (`mission why`) as a judge would: who bid, who won, and whether the winner's bid was the best by an own calculation. */
import type { MeshClient } from '../../node/http/client.ts'
import type { BidSummary, WinningBid } from '../../protocols/bidding/schema.ts'
import type { MissionId } from '../../protocols/kernel/ids.ts'
import type { AttemptView, TaskView, WhyView } from '../../protocols/tasking/views.ts'

export interface LeafRecord {
  readonly taskId: string
  readonly name: string
  readonly capability: string
  /** The attempt whose result was accepted. */
  readonly attempt: AttemptView
  readonly attempts: readonly AttemptView[]
}

export interface MissionRecord {
  readonly tree: TaskView
  readonly why: WhyView
  readonly leaves: readonly LeafRecord[]
}

export async function recordOf(client: MeshClient, id: string): Promise<MissionRecord> {
  const [tree, why] = await Promise.all([client.tasks(id as MissionId), client.why(id as MissionId)])
  const leaves: LeafRecord[] = []
  const visit = (task: TaskView): void => {
    for (const child of task.children) visit(child)
    if (task.kind !== 'leaf') return
    const attempts = why.tasks.find((known) => known.id === task.id)?.attempts ?? []
    const accepted = attempts.filter((attempt) => attempt.outcome === 'accepted')
    if (accepted.length > 1) throw new Error(`${task.id} has ${accepted.length} accepted results`)
    const [attempt] = accepted
    if (attempt !== undefined) leaves.push({ taskId: task.id, name: task.name, capability: task.capability, attempt, attempts })
  }
  visit(tree)
  return { tree, why, leaves }
}

/** Leaves executed, by the name of the node. */
export function leavesByWorker(leaves: readonly LeafRecord[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { attempt } of leaves) counts.set(attempt.workerName, (counts.get(attempt.workerName) ?? 0) + 1)
  return counts
}

/** The weights that the documentation states, written down once more: a change of them must be meant. */
const weights = { finish: 0.5, reliability: 0.2, price: 0.1, headroom: 0.12, spread: 0.08 } as const

/** A bid's worth, from its raw numbers and those it competed with. */
export function worthOf(bid: WinningBid, among: readonly BidSummary[]): number {
  const { terms } = bid
  if (terms === undefined) throw new Error(`the record of ${bid.name}’s bid does not say what it was made of`)
  const soonestMs = Math.min(...among.map((other) => other.calibratedFinishMs))
  const finish = (soonestMs + 50) / (bid.calibratedFinishMs + 50)
  return weights.finish * finish + weights.reliability * terms.reliability + weights.price * terms.price + weights.headroom * terms.headroom + weights.spread * terms.spread
}

export function bidOf(attempt: AttemptView, name: string): BidSummary | undefined {
  return attempt.bids.find((bid) => bid.name === name)
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? (sorted[middle] ?? Number.NaN) : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2
}
