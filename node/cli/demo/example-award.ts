/** One award explained: who bid, who won, why. */
import { printable, seconds } from '../view/format.ts'
import { type MissionProgress, nameOf, rankedBids } from '../view/mission-progress.ts'

/** The award that had the most bidders, those that no chance decided and leaves first; undefined when no task had two. */
export function exampleOfAnAward(progress: MissionProgress): string | undefined {
  const awards = [...(progress.fold?.tasks.values() ?? [])].flatMap((task) => task.attempts.map(({ award }) => ({ task, award })))
  const [best] = awards.filter(({ award }) => award.bids.length > 1)
    .sort((left, right) => Number(left.award.why.includes('equal')) - Number(right.award.why.includes('equal')) || Number(right.task.spec.kind === 'leaf') - Number(left.task.spec.kind === 'leaf') || right.award.bids.length - left.award.bids.length)
  if (best === undefined) return undefined
  const bids = rankedBids(best.award).map((bid, index) => `${printable(bid.name)}${index === 0 ? ' bid' : ''} ${seconds(bid.calibratedFinishMs)}`).join(', ')
  return `For example ${nameOf(best.task)}: ${bids}; ${printable(best.award.workerName)} won: ${printable(best.award.why)}`
}
