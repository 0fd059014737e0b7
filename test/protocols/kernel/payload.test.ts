import { describe, expect, it } from 'vitest'
import type { PeerId } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { blobBytesIn, blobRefsIn, isBlobRef, Payload, withHolder } from '../../../protocols/kernel/payload.ts'

const ref = (digit: string, sizeBytes = 10, holders?: string[]) => ({ $blob: digit.repeat(64), sizeBytes, ...(holders === undefined ? {} : { holders }) })
const me = 'me' as PeerId

describe('a payload', () => {
  it('is inline or a blob, never both or neither', () => {
    for (const good of [{ inline: null }, { inline: 0 }, { inline: { a: 1 } }, { blob: ref('a') }]) expect(Payload.safeParse(good).success).toBe(true)
    for (const bad of [{}, { inline: undefined }, { inline: 1, blob: ref('a') }, { blob: { $blob: 'short', sizeBytes: 1 } }, { blob: ref('a', limits.blobBytesMax + 1) }, { blob: ref('a', -1) }, null, 'x']) expect(Payload.safeParse(bad).success).toBe(false)
  })
})

describe('blob references', () => {
  it('are found anywhere, each digest once, in the order met', () => {
    const value = { a: [ref('a'), { deep: ref('b', 5) }], b: ref('a'), c: { $blob: 'not one' }, d: 'text', e: new Uint8Array(4) }
    expect(blobRefsIn(value).map(({ $blob }) => $blob[0])).toEqual(['a', 'b'])
    expect(blobBytesIn(value)).toBe(15)
    expect(isBlobRef(ref('g'))).toBe(false)
    expect(blobRefsIn(null)).toEqual([])
  })

  it('learn who holds them, once, the newest sixteen', () => {
    const value = { a: [ref('a')], b: ref('b', 1, ['other']), c: 7 }
    expect(withHolder(value, me)).toEqual({ a: [ref('a', 10, ['me'])], b: ref('b', 1, ['other', 'me']), c: 7 })
    expect(value.a[0]).toEqual(ref('a'))
    const without = { a: [1, { b: 'text' }], c: null }
    expect(withHolder(without, me)).toBe(without)
    const odd = JSON.parse('{"__proto__":{"a":0}}') as Record<string, unknown>
    Object.defineProperty(odd, '__proto__', { value: ref('a'), enumerable: true, writable: true, configurable: true })
    expect(Object.entries(withHolder(odd, me))).toEqual([['__proto__', ref('a', 10, ['me'])]])
    expect(withHolder(withHolder(value, me), me)).toEqual(withHolder(value, me))
    const held = withHolder(ref('a', 1, Array.from({ length: limits.blobHoldersMax }, (_, i) => `p${i}`)), me)
    expect(held.holders).toHaveLength(limits.blobHoldersMax)
    expect(held.holders?.at(-1)).toBe('me')
  })
})
