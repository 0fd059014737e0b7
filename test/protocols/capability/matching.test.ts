import { describe, expect, it } from 'vitest'
import { compareVersions, match, nearestNames, unmetAttribute, versionSatisfies } from '../../../protocols/capability/matching.ts'
import type { Attributes, Capability, CapabilityQuery } from '../../../protocols/capability/schema.ts'

function offer(name: string, version = '1.0', attributes: Attributes = {}): Capability {
  return { name: name as Capability['name'], version, kind: 'leaf', effects: 'none', attributes, summary: '' }
}

function ask(capability: string, rest: Partial<CapabilityQuery> = {}): CapabilityQuery {
  return { capability: capability as CapabilityQuery['capability'], ...rest }
}

describe('versions', () => {
  it.each([['1.0', undefined, true], ['1.0', '1.0', true], ['1.5', '1.2', true], ['1.10', '1.9', true], ['1.1', '1.2', false], ['2.0', '1.0', false], ['1.0', '2.0', false]])('%s offered, %s asked for: %s', (offered, wanted, fits) => {
    expect(versionSatisfies(offered, wanted)).toBe(fits)
  })

  it('are compared as numbers', () => {
    expect(['1.10', '2.0', '1.9', '10.0', '1.2'].sort(compareVersions)).toEqual(['1.2', '1.9', '1.10', '2.0', '10.0'])
  })
})

describe('attributes', () => {
  const own: Attributes = { vramBytes: 24, model: 'm', quick: true }

  it('numbers are minima, the rest must be equal', () => {
    expect(unmetAttribute(own, undefined)).toBeUndefined()
    expect(unmetAttribute(own, { vramBytes: 24, model: 'm', quick: true })).toBeUndefined()
    expect(unmetAttribute(own, { vramBytes: 25 })).toBe('vramBytes is 24, 25 is asked for')
    expect(unmetAttribute(own, { model: 'n' })).toBe('model is m, n is asked for')
    expect(unmetAttribute(own, { quick: false })).toBe('quick is true, false is asked for')
    expect(unmetAttribute(own, { model: 3 })).toBe('model is m, 3 is asked for')
    expect(unmetAttribute(own, { quantisation: 'q4' })).toBe('quantisation is not stated, q4 is asked for')
  })
})

describe('what answers a query', () => {
  const offers = [offer('llm.chat', '1.0', { contextTokens: 8_000 }), offer('llm.chat', '1.4', { contextTokens: 4_000 }), offer('llm.chat', '2.0'), offer('repo.report')]

  it('is the highest version that fits', () => {
    expect(match(offers, ask('llm.chat'))).toEqual({ capability: offers[2] })
    expect(match(offers, ask('llm.chat', { version: '1.0' }))).toEqual({ capability: offers[1] })
    expect(match(offers, ask('llm.chat', { version: '1.0', attributes: { contextTokens: 8_000 } }))).toEqual({ capability: offers[0] })
  })

  it('or why none does', () => {
    expect(match(offers, ask('llm.embed'))).toEqual({ unmet: 'no-capability', detail: 'llm.embed is not offered' })
    expect(match(offers, ask('repo.report', { version: '3.0' }))).toEqual({ unmet: 'version-mismatch', detail: 'offers repo.report@1.0, asked for 3.0' })
    expect(match(offers, ask('llm.chat', { version: '1.0', attributes: { contextTokens: 9_000 } }))).toEqual({ unmet: 'attributes-unmet', detail: 'contextTokens is 8000, 9000 is asked for' })
    expect(match([], ask('x'))).toMatchObject({ unmet: 'no-capability' })
  })
})

describe('nearest names', () => {
  const known = ['repo.report', 'repo.measure', 'llm.chat', 'number.double']

  it('are what a person may have meant, nearest first, at most three', () => {
    expect(nearestNames('repo.reprot', known)[0]).toBe('repo.report')
    expect(nearestNames('repo', known)).toEqual(['repo.measure', 'repo.report'])
    expect(nearestNames('llm.chatt', known)).toEqual(['llm.chat'])
    expect(nearestNames('zzzzzzzzzzzzzzzzzzzzzzzzzzz', known)).toEqual([])
    expect(nearestNames('a', Array.from({ length: 50 }, (_, i) => `a${i % 9}`))).toHaveLength(3)
  })
})
