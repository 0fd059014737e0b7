import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../../protocols/kernel/prng.ts'

const first = (seed: readonly [number, number], count = 5) => {
  const random = seededRandom(seed)
  return Array.from({ length: count }, () => random.next())
}

describe('a seeded source', () => {
  it('gives the same stream for the same seed, on every machine', () => {
    expect(first([1, 2])).toEqual(first([1, 2]))
    expect(seededRandom([1, 2]).text(12)).toBe(seededRandom([1, 2]).text(12))
    expect(first([1, 2])).not.toEqual(first([2, 1]))
    expect(first([0, 0], 100).some((value) => value > 0.5)).toBe(true)
  })

  it('is spread evenly, and stays in its bounds', () => {
    const random = seededRandom([5, 5])
    const counts = Array.from({ length: 10 }, () => 0)
    for (let i = 0; i < 10_000; i++) {
      const drawn = random.below(10)
      counts[drawn] = (counts[drawn] ?? 0) + 1
    }
    expect(counts).toHaveLength(10)
    for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(200)
    expect(random.text(1_000)).toMatch(/^[a-z0-9]{1000}$/)
  })

  it('splits into streams of their own', () => {
    const random = seededRandom([7, 7])
    const left = random.split()
    const right = random.split()
    const draws = [left, right, random].map((source) => Array.from({ length: 20 }, () => source.next()).join())
    expect(new Set(draws).size).toBe(3)
  })
})
