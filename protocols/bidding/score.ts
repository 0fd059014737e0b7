/** Scoring of feasible bids: every term in [0,1], 1 is best, units never mixed, the breakdown kept. */
import { fractionOf } from '../kernel/hashing.ts'
import type { PeerId } from '../kernel/ids.ts'
import { calibrate, type Assessment } from './calibration.ts'
import type { Bid, BidSummary, ScoreTerms } from './schema.ts'

/** They sum to 1. Finishing early is what a bid is about; the rest decides between bids that finish alike. */
export const scoreWeights: Readonly<Record<keyof ScoreTerms, number>> = { finish: 0.5, reliability: 0.2, price: 0.1, headroom: 0.12, spread: 0.08 }

/** Differences below this do not decide: they are within the noise of any estimate. */
const finishFloorMs = 50

export interface ScoredBidder {
  readonly peer: PeerId
  readonly name: string
  readonly bid: Bid
  readonly slotsFree: number
  readonly assessment: Assessment
}

/** @returns best first. Equal totals are ordered by hash(peer, call), so that equal machines share the work. */
export function rank(bidders: readonly ScoredBidder[]): BidSummary[] {
  const calibrated = bidders.map((bidder) => calibrate(bidder.bid.estimatedFinishMs, bidder.assessment))
  const soonestMs = Math.min(...calibrated)
  const cheapestUsd = Math.min(...bidders.map((bidder) => bidder.bid.priceUsd))
  return bidders
    .map((bidder, i) => {
      const finishMs = calibrated[i] ?? 0
      const terms: ScoreTerms = {
        finish: (soonestMs + finishFloorMs) / (finishMs + finishFloorMs),
        price: bidder.bid.priceUsd <= 0 ? 1 : cheapestUsd / bidder.bid.priceUsd,
        reliability: bidder.assessment.reliability,
        headroom: bidder.bid.slots > 0 ? Math.min(1, bidder.slotsFree / bidder.bid.slots) : 0,
        spread: bidder.bid.hostsOrchestrator ? 0 : 1,
      }
      const total = Object.entries(scoreWeights).reduce((sum, [term, weight]) => sum + weight * terms[term as keyof ScoreTerms], 0)
      const { bid } = bidder
      const summary: BidSummary = {
        peer: bidder.peer, name: bidder.name, version: bid.version, estimatedFinishMs: bid.estimatedFinishMs, calibratedFinishMs: finishMs,
        priceUsd: bid.priceUsd, slotsFree: bidder.slotsFree, breakdown: bid.breakdown, terms, total: Math.min(1, total),
      }
      return { summary, tieBreak: fractionOf(`${bidder.peer} ${bid.callId}`) }
    })
    .sort((left, right) => right.summary.total - left.summary.total || left.tieBreak - right.tieBreak)
    .map(({ summary }) => summary)
}

/** One sentence for people: what made the winner win. */
export function explain(ranked: readonly BidSummary[]): string {
  const [first, second] = ranked
  if (first === undefined) return 'no bids'
  if (second === undefined) return 'the only bid'
  const gains = (Object.keys(scoreWeights) as (keyof ScoreTerms)[])
    .map((term) => ({ term, gain: scoreWeights[term] * (first.terms[term] - second.terms[term]) }))
    .filter(({ gain }) => gain > 0.001)
    .sort((left, right) => right.gain - left.gain)
  const words: Record<keyof ScoreTerms, string> = {
    finish: `finishes ${Math.max(0, Math.round(second.calibratedFinishMs - first.calibratedFinishMs))} ms sooner`,
    price: 'is cheaper',
    reliability: 'kept its promises more often',
    headroom: `has more free slots (${first.slotsFree} to ${second.slotsFree})`,
    spread: 'does not carry the mission itself',
  }
  const reasons = gains.slice(0, 2).map(({ term }) => words[term])
  return `best of ${ranked.length} bids, ${first.total.toFixed(2)} to ${second.total.toFixed(2)}: ${reasons.length > 0 ? reasons.join(', ') : 'equal, drawn by hash'}`
}
