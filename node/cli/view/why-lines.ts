/** `mission why`: every attempt of every task with its bids and refusals. */
import type { BidSummary, RefusalSummary } from '../../../protocols/bidding/schema.ts'
import type { WhyView } from '../../../protocols/tasking/views.ts'
import type { Colours } from './colours.ts'
import { counted, fit, printable, seconds } from './format.ts'
import { table } from './table.ts'

export function whyLines(why: WhyView, colours: Colours, columns: number): string[] {
  const lines: string[] = []
  for (const task of why.tasks) {
    lines.push(`${colours.bold(task.id)}  ${task.capability}  ${task.state}`)
    for (const attempt of task.attempts) {
      const took = attempt.endedAtWallMs === undefined ? '' : ` after ${seconds(attempt.endedAtWallMs - attempt.awardedAtWallMs)}`
      lines.push(`  attempt ${attempt.attempt}: ${printable(attempt.workerName)} ${attempt.outcome}${took} · ${printable(attempt.why)}`)
      if (attempt.fault !== undefined) lines.push(`    ${colours.red(printable(attempt.fault.detail))}${attempt.fault.next === undefined ? '' : `  → ${printable(attempt.fault.next)}`}`)
      lines.push(...bidLines(attempt.bids, attempt.worker, colours), ...refusalLines(attempt.refusals, colours))
    }
    if (task.open !== undefined) {
      lines.push(`  open: ${printable(task.open.reason)} · announced ${counted(task.open.announcements, 'time')}`)
      lines.push(...bidLines(task.open.bids, undefined, colours), ...refusalLines(task.open.refusals, colours))
    } else if (task.attempts.length === 0) {
      lines.push(colours.dim('  not announced yet'))
    }
  }
  return (lines.length === 0 ? ['the mission has no tasks yet'] : lines).map((line) => fit(line, columns))
}

function bidLines(bids: readonly BidSummary[], winner: string | undefined, colours: Colours): string[] {
  if (bids.length === 0) return []
  const best = [...bids].sort((left, right) => right.total - left.total)
  const share = (value: number): string => value.toFixed(2)
  const rows = best.map((bid) => [
    `    ${bid.peer === winner ? '▸' : ' '} ${printable(bid.name)}`, seconds(bid.estimatedFinishMs), seconds(bid.calibratedFinishMs), share(bid.total),
    share(bid.terms.finish), share(bid.terms.price), share(bid.terms.reliability), share(bid.terms.headroom), share(bid.terms.spread),
    `queue ${seconds(bid.breakdown.queueMs)}, transfer ${seconds(bid.breakdown.transferMs)}, run ${seconds(bid.breakdown.runMs)}, ${counted(bid.breakdown.samples, 'sample')}`,
  ])
  return table([['      BID', 'SAYS', 'BELIEVED', 'SCORE', 'FINISH', 'PRICE', 'RELIABLE', 'HEADROOM', 'SPREAD', 'MADE OF'], ...rows], 1_000, colours.dim)
}

function refusalLines(refusals: readonly RefusalSummary[], colours: Colours): string[] {
  return refusals.map((refusal) => colours.dim(`      ${printable(refusal.name)} refused: ${refusal.reason}${refusal.detail === '' ? '' : `, ${printable(refusal.detail)}`}${refusal.retryable ? '' : ' (for good)'}`))
}
