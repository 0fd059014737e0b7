import { describe, expect, it } from 'vitest'
import { canonicalJson } from '../../../protocols/kernel/hashing.ts'
import { sameValue, storable, unplain } from '../../../protocols/kernel/json.ts'
import { limits } from '../../../protocols/kernel/limits.ts'

describe('plain data', () => {
  it('is what JSON can say, nothing, and bytes', () => {
    for (const value of [null, undefined, true, 0, -1.5, '', 'né 🪿', [], {}, { a: [1, { b: null }] }, Object.create(null), new Uint8Array(2), Buffer.from('x')]) expect(unplain(value)).toBeUndefined()
  })

  it('is nothing else, wherever it stands', () => {
    for (const value of [Number.NaN, Infinity, 1n, Symbol('s'), () => 1, new Date(), new Map(), new Set(), /x/, new Error('x'), new (class Thing {})(), new Int32Array(1)]) {
      for (const place of [value, [value], { a: { b: [value] } }]) expect(unplain(place)).toContain('neither text')
    }
  })

  it('is nested within the limit; a cycle never is', () => {
    const nested = (levels: number): unknown => {
      let value: unknown = 0
      for (let i = 0; i < levels; i++) value = i % 2 === 0 ? [value] : { value }
      return value
    }
    expect(unplain(nested(limits.jsonDepthMax))).toBeUndefined()
    expect(unplain(nested(limits.jsonDepthMax + 1))).toBe(`it is nested more than ${limits.jsonDepthMax} levels deep`)
    expect(unplain(nested(1_000_000))).toContain('nested')
    expect(unplain(nested(3), 2)).toContain('nested more than 2')
    const cyclic: unknown[] = []
    cyclic.push(cyclic)
    expect(unplain(cyclic)).toContain('nested')
  })
})

describe('two values', () => {
  const values: readonly unknown[] = [null, 0, 1, '', 'a', true, [], [0], [0, 1], [[]], {}, { a: 1 }, { a: 2 }, { b: 1 }, { a: 1, b: 1 }, { a: { b: [1, null] } }, { a: { b: [1] } }, [undefined], { 0: 0 }]

  it('say the same exactly when their canonical texts are the same', () => {
    for (const left of values) for (const right of values) expect(sameValue(left, structuredClone(right)), `${JSON.stringify(left)} ${JSON.stringify(right)}`).toBe(canonicalJson(left) === canonicalJson(right))
  })

  it('say the same whatever the order of their keys, and whether or not nothing is named', () => {
    expect(sameValue({ a: 1, b: { c: 2, d: undefined } }, { b: { c: 2 }, a: 1, e: undefined })).toBe(true)
    expect(sameValue({ a: undefined }, { b: 1 })).toBe(false)
    expect(sameValue({ b: 1 }, { a: undefined })).toBe(false)
  })
})

describe('what can be stored', () => {
  it('is returned as it is', () => {
    for (const value of [null, 7, 'text 🪿', [1, 'a', { b: [] }], { a: { b: 'c' } }, new Uint8Array(3)]) expect(storable(value)).toBe(value)
  })

  it('half an emoji becomes U+FFFD, in texts and in keys', () => {
    expect(storable({ ['k\ud83e']: ['\udebf', 'ok'] })).toEqual({ 'k\ufffd': ['\ufffd', 'ok'] })
  })

  it('what is undefined is left out of objects, and null in lists, as JSON has it', () => {
    expect(storable({ a: undefined, b: [undefined, 1] })).toEqual({ b: [null, 1] })
    expect(Object.keys(storable({ a: undefined, b: 1 }))).toEqual(['b'])
  })

  it('no key is __proto__, and no prototype is touched', () => {
    const stored = storable(JSON.parse('{"__proto__":{"polluted":1},"a":{"__proto__":2}}')) as Record<string, unknown>
    expect(stored).toEqual({ __proto_: { polluted: 1 }, a: { __proto_: 2 } })
    expect(Object.getPrototypeOf(stored)).toBe(Object.prototype)
  })

  it('does not change what it was given', () => {
    const given = { a: ['\ud83e'], b: undefined }
    storable(given)
    expect(given.a[0]).toBe('\ud83e')
    expect('b' in given).toBe(true)
    expect(storable(storable(given))).toEqual(storable(given))
  })
})
