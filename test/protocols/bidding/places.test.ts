import { describe, expect, it } from 'vitest'
import { managersPool, nodePool, placesOf, poolInBid, priceUsdOf } from '../../../protocols/bidding/places.ts'
import type { Capability } from '../../../protocols/capability/schema.ts'

function capability(given: Partial<Capability> = {}): Capability {
  return { name: 'llm.chat', version: '1.0', kind: 'leaf', effects: 'none', attributes: {}, summary: '', ...given } as Capability
}

describe('places', () => {
  it('of a leaf are the node’s, unless its capability has some of its own', () => {
    expect(placesOf('leaf', capability(), 4, 8)).toEqual({ pool: nodePool, size: 4 })
    expect(placesOf('leaf', capability({ slots: 3 }), 4, 8)).toEqual({ pool: 'llm.chat@1.0', size: 3 })
    expect(placesOf('leaf', capability({ slots: 3 }), 0, 0)).toEqual({ pool: 'llm.chat@1.0', size: 3 })
  })

  it('are told apart by the model', () => {
    const pools = ['small', 'large'].map((model) => placesOf('leaf', capability({ slots: 1, attributes: { model } }), 4, 8).pool)
    expect(pools).toEqual(['llm.chat@1.0 small', 'llm.chat@1.0 large'])
  })

  it('of a composite task are those for managers, whatever its capability says', () => {
    expect(placesOf('composite', capability({ slots: 3 }), 4, 8)).toEqual({ pool: managersPool, size: 8 })
  })

  it('are named in a bid only where their bidder’s others are not meant', () => {
    expect([nodePool, managersPool, 'llm.chat@1.0'].map(poolInBid)).toEqual([{}, {}, { pool: 'llm.chat@1.0' }])
  })
})

describe('a price', () => {
  const priced = (inputUsdPerMillion: unknown, outputUsdPerMillion: unknown) => ({ attributes: { inputUsdPerMillion, outputUsdPerMillion } }) as Pick<Capability, 'attributes'>

  it('is that of what goes in and of what comes out', () => {
    expect(priceUsdOf(priced(2, 10), { input: 500_000, output: 100_000 })).toBe(2)
    expect(priceUsdOf(priced(2, undefined), { input: 500_000, output: 100_000 })).toBe(1)
    expect(priceUsdOf(priced(undefined, 10), { input: 500_000, output: 100_000 })).toBe(1)
  })

  it('is nothing where nothing is asked, or nobody knows how much there is to do', () => {
    expect(priceUsdOf({ attributes: {} }, { input: 1_000, output: 1_000 })).toBe(0)
    expect(priceUsdOf(priced(2, 10), undefined)).toBe(0)
    expect(priceUsdOf(priced(2, 10), { input: 0, output: 0 })).toBe(0)
  })

  it('is never negative, and words are no price', () => {
    expect(priceUsdOf(priced(-2, '10'), { input: 500_000, output: 100_000 })).toBe(0)
    expect(priceUsdOf(priced(-2, 10), { input: 500_000, output: 100_000 })).toBe(1)
  })
})
