import { describe, expect, it } from 'vitest'
import { BidSummary } from '../../../protocols/bidding/schema.ts'
import { explain, rank, scoreWeights, type ScoredBidder } from '../../../protocols/bidding/score.ts'
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import { bid, peer, trusted } from './offers.ts'

function bidder(name: string, given: Parameters<typeof bid>[1] = {}, rest: Partial<ScoredBidder> = {}): ScoredBidder {
  return { peer: peer(name), name, bid: bid('c', given), slotsFree: 1, assessment: trusted, ...rest }
}

const order = (...bidders: ScoredBidder[]): string[] => rank(bidders).map(({ name }) => name)

describe('a score', () => {
  it('is a weighted mean', () => {
    expect(Object.values(scoreWeights).reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 12)
  })

  it('has every term in [0,1], whatever was bid, and orders the bidders by their totals', () => {
    const random = seededRandom([4, 4])
    for (let round = 0; round < 300; round++) {
      const bidders = Array.from({ length: 1 + random.below(8) }, (_, i) => bidder(`p${i}`, {
        estimatedFinishMs: [0, random.next(), random.below(1e4), random.next() * 1e15][random.below(4)] ?? 0, priceUsd: [0, 0, random.next(), 1e6][random.below(4)] ?? 0,
        slots: random.below(5), hostsOrchestrator: random.below(2) === 0,
      }, { slotsFree: random.below(9), assessment: { ratio: 0.5 + random.next() * 19.5, reliability: random.next(), breakerOpen: false } }))
      const ranked = rank(bidders)
      expect(ranked).toHaveLength(bidders.length)
      expect(ranked.map(({ total }) => total)).toEqual(ranked.map(({ total }) => total).sort((left, right) => right - left))
      for (const summary of ranked) expect(BidSummary.safeParse(summary).error).toBeUndefined()
    }
  })

  it('does not depend on the order in which the bids came', () => {
    const random = seededRandom([4, 5])
    const bidders = Array.from({ length: 12 }, (_, i) => bidder(`p${i}`, { estimatedFinishMs: random.below(3) * 100 }))
    const sorted = order(...bidders)
    for (let i = 0; i < 20; i++) expect(order(...bidders.map((one) => ({ one, at: random.next() })).sort((left, right) => left.at - right.at).map(({ one }) => one))).toEqual(sorted)
  })
})

describe('the better bid', () => {
  it('finishes sooner', () => {
    expect(order(bidder('slow', { estimatedFinishMs: 3_000 }), bidder('fast', { estimatedFinishMs: 900 }))).toEqual(['fast', 'slow'])
  })

  it('finishes sooner by what its promises are worth', () => {
    expect(order(bidder('boaster', { estimatedFinishMs: 500 }, { assessment: { ...trusted, ratio: 5 } }), bidder('honest', { estimatedFinishMs: 900 }))).toEqual(['honest', 'boaster'])
  })

  it('kept more promises, is cheaper, has more room, does not carry the mission: all else equal', () => {
    expect(order(bidder('shaky', {}, { assessment: { ...trusted, reliability: 0.5 } }), bidder('steady'))).toEqual(['steady', 'shaky'])
    expect(order(bidder('dear', { priceUsd: 0.2 }), bidder('cheap', { priceUsd: 0.1 }))).toEqual(['cheap', 'dear'])
    expect(order(bidder('full', { slots: 4 }, { slotsFree: 1 }), bidder('idle', { slots: 4 }, { slotsFree: 4 }))).toEqual(['idle', 'full'])
    expect(order(bidder('host', { hostsOrchestrator: true }), bidder('other'))).toEqual(['other', 'host'])
  })

  it('is not the idle one that takes ten times as long', () => {
    expect(order(bidder('idle', { estimatedFinishMs: 10_000, slots: 8 }, { slotsFree: 8 }), bidder('busy', { estimatedFinishMs: 1_000, slots: 8, hostsOrchestrator: true }, { slotsFree: 1 }))).toEqual(['busy', 'idle'])
  })

  it('is drawn by hash when all is equal, another one for another call', () => {
    const winnersOf = Array.from({ length: 50 }, (_, i) => rank(['p', 'q'].map((name) => ({ ...bidder(name), bid: bid(`call-${i}`) })))[0]?.name)
    expect(new Set(winnersOf)).toEqual(new Set(['p', 'q']))
  })
})

describe('why it won', () => {
  const why = (...bidders: ScoredBidder[]): string => explain(rank(bidders))

  it('is said in a sentence', () => {
    expect(explain([])).toBe('no bids')
    expect(why(bidder('a'))).toBe('the only bid')
    expect(why(bidder('a', { estimatedFinishMs: 1_000 }), bidder('b', { estimatedFinishMs: 4_000 }))).toMatch(/^best of 2 bids, 0\.\d\d to 0\.\d\d: finishes 3000 ms sooner$|^best of 2 bids, 1\.00 to 0\.\d\d: finishes 3000 ms sooner$/)
    expect(why(bidder('a', { slots: 4 }, { slotsFree: 4 }), bidder('b', { slots: 4 }, { slotsFree: 1 }))).toContain('has more free slots (4 to 1)')
    expect(why(bidder('a'), bidder('b', { hostsOrchestrator: true }))).toContain('does not carry the mission itself')
    expect(why(bidder('a'), bidder('b', {}, { assessment: { ...trusted, reliability: 0.2 } }))).toContain('kept its promises more often')
    expect(why(bidder('a'), bidder('b'))).toContain('equal, drawn by hash')
  })
})
