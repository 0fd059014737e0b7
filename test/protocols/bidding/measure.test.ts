import { describe, expect, it } from 'vitest'
import { keyOfMeasure, measureKey, sharpen, type CapabilityMeasure } from '../../../protocols/bidding/measure.ts'
import type { BidBreakdown } from '../../../protocols/bidding/schema.ts'
import type { Capability } from '../../../protocols/capability/schema.ts'

const guessed: BidBreakdown = { queueMs: 7, warmUpMs: 0, transferMs: 3, runMs: 1_000, samples: 0 }
const measured: CapabilityMeasure = { capability: 'llm.chat', version: '1.0', model: 'm', msPerOutputUnit: 10, msPerInputUnit: 0.5, warmUpMs: 0, warm: [] }
const units = { input: 400, output: 100 }

describe('what was measured of a capability', () => {
  it('is found by its name, version and model', () => {
    const named = (attributes: Capability['attributes']) => measureKey({ name: 'llm.chat', version: '1.0', attributes } as Capability)
    expect(named({ model: 'm' })).toBe(keyOfMeasure(measured))
    const { model: _, ...unnamed } = measured
    expect(named({})).toBe(keyOfMeasure(unnamed))
    expect(named({ model: 7 })).toBe('llm.chat@1.0')
    expect(named({ model: 'n' })).not.toBe(keyOfMeasure(measured))
  })

  it('takes the place of what was guessed: so much for each unit that goes in, and that comes out', () => {
    expect(sharpen(guessed, { units }, measured)).toEqual({ queueMs: 7, warmUpMs: 0, transferMs: 3, runMs: 1_200, samples: 1 })
    expect(sharpen({ ...guessed, samples: 9 }, { units }, measured).samples).toBe(9)
  })

  it('of a prompt whose beginning is in memory counts a fifth', () => {
    const warm = { ...measured, warm: ['aaaa', 'bbbb'] }
    expect(sharpen(guessed, { units, prefixes: ['x', 'bbbb'] }, warm).runMs).toBe(1_040)
    expect(sharpen(guessed, { units, prefixes: ['x'] }, warm).runMs).toBe(1_200)
    expect(sharpen(guessed, { units }, warm).runMs).toBe(1_200)
  })

  it('without a figure for the prompt counts the answer alone', () => {
    const { msPerInputUnit: _, ...answers } = measured
    expect(sharpen(guessed, { units }, answers).runMs).toBe(1_000)
  })

  it('says how long loading takes, even where nothing else was measured or the call does not say how much there is to do', () => {
    const { msPerOutputUnit: _, ...unmeasured } = measured
    expect(sharpen(guessed, { units }, { ...unmeasured, warmUpMs: 5_000 })).toEqual({ ...guessed, warmUpMs: 5_000 })
    expect(sharpen(guessed, {}, { ...measured, warmUpMs: 5_000 })).toEqual({ ...guessed, warmUpMs: 5_000 })
    expect(sharpen({ ...guessed, warmUpMs: 9_000 }, {}, { ...measured, warmUpMs: 5_000 }).warmUpMs).toBe(9_000)
    expect(sharpen(guessed, { units }, { ...measured, warmUpMs: 5_000 }).warmUpMs).toBe(5_000)
  })

  it('changes nothing where there is none', () => {
    expect(sharpen(guessed, { units, prefixes: ['x'] }, undefined)).toBe(guessed)
  })
})
