import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js'
import { describe, expect, it } from 'vitest'
import { canonicalJson, digestOf, digestOfText, fractionOf, hash32, sign, verify } from '../../../protocols/kernel/hashing.ts'
import { seededRandom, type Random } from '../../../protocols/kernel/prng.ts'

function shuffled(value: unknown, random: Random): unknown {
  if (Array.isArray(value)) return value.map((inner) => shuffled(inner, random))
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([key, inner]) => ({ key, inner: shuffled(inner, random), at: random.next() }))
  return Object.fromEntries(entries.sort((left, right) => left.at - right.at).map(({ key, inner }) => [key, inner]))
}

describe('canonical JSON', () => {
  it('is the same text for the same value, whatever order it was built in', () => {
    const random = seededRandom([3, 1])
    const value = { b: [{ z: 1, a: 2 }, null], a: { 'ü': 1, u: 2, '10': 3, '9': 4, '': 5 }, c: 'text', B: true, d: 1.5e-7 }
    const text = canonicalJson(value)
    for (let i = 0; i < 100; i++) expect(canonicalJson(shuffled(value, random))).toBe(text)
    expect(canonicalJson({ b: 1, a: { d: 2, c: [3, { f: 4, e: 5 }] } })).toBe('{"a":{"c":[3,{"e":5,"f":4}],"d":2},"b":1}')
  })

  it('is JSON of the value, and of itself again', () => {
    const value = { list: [1, -0, 1e21, 5e-324], text: 'né 🪿 \u2028 "', nothing: null, nested: { yes: true } }
    expect(JSON.parse(canonicalJson(value))).toEqual({ ...value, list: [1, 0, 1e21, 5e-324] })
    expect(canonicalJson(JSON.parse(canonicalJson(value)))).toBe(canonicalJson(value))
  })

  it('leaves out what is undefined, so that an absent and an undefined field are one', () => {
    expect(canonicalJson({ a: 1, b: undefined })).toBe(canonicalJson({ a: 1 }))
  })

  it('tells values apart', () => {
    const different = [{}, [], { a: 1 }, { a: '1' }, { a: [1] }, { a: null }, { b: 1 }, [1, 2], [2, 1], 'a', null, { __proto__: null, a: { b: 1 } }, JSON.parse('{"__proto__":1}')]
    expect(new Set(different.map(canonicalJson)).size).toBe(different.length)
  })
})

describe('a fraction', () => {
  it('is in [0,1), the same for the same text', () => {
    for (const text of ['', 'a', 'ü', '🪿', 'x'.repeat(10_000)]) {
      expect(fractionOf(text)).toBeGreaterThanOrEqual(0)
      expect(fractionOf(text)).toBeLessThan(1)
      expect(fractionOf(text)).toBe(fractionOf(text))
    }
    expect(hash32('repo.report')).toBe(hash32('repo.report'))
  })

  it('is roughly uniform over texts of any kind', () => {
    const random = seededRandom([9, 9])
    const kinds: Record<string, (i: number) => string> = {
      'random texts': () => random.text(52),
      'counted texts': (i) => `call-${i}`,
      'one peer, many calls': (i) => `12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp m-aaaaaaaa-bbbbbbbbbbbb:root/part-${i}#1@1.1?`,
      'many peers, one call': () => `12D3KooW${random.text(44)} m-aaaaaaaa-bbbbbbbbbbbb:root/part#1@1.1?`,
    }
    for (const [kind, text] of Object.entries(kinds)) {
      const buckets = Array.from({ length: 20 }, () => 0)
      const count = 20_000
      for (let i = 0; i < count; i++) {
        const bucket = Math.floor(fractionOf(text(i)) * buckets.length)
        buckets[bucket] = (buckets[bucket] ?? 0) + 1
      }
      const expected = count / buckets.length
      const chiSquared = buckets.reduce((sum, observed) => sum + (observed - expected) ** 2 / expected, 0)
      // 19 degrees of freedom: 60 is far beyond any quantile that chance reaches.
      expect(chiSquared, kind).toBeLessThan(60)
    }
  })
})

describe('digests and signatures', () => {
  it('are SHA-256 (FIPS 180-4)', () => {
    expect(digestOfText('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
    expect(digestOf(new Uint8Array(0))).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
  })

  it('are Ed25519 (RFC 8032, 7.1, test 2)', () => {
    const secretKey = hexToBytes('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb')
    const publicKey = hexToBytes('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c')
    const signature = sign(Uint8Array.of(0x72), secretKey)
    expect(bytesToHex(signature)).toBe('92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00')
    expect(verify(signature, Uint8Array.of(0x72), publicKey)).toBe(true)
    expect(verify(signature, Uint8Array.of(0x73), publicKey)).toBe(false)
  })
})
