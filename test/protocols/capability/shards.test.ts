import { describe, expect, it } from 'vitest'
import { advertTopic, callTopic, discoveryKeys, isAsked, shardCount, shardOf, thresholdFor } from '../../../protocols/capability/shards.ts'
import type { PeerId } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { seededRandom } from '../../../protocols/kernel/prng.ts'

const random = seededRandom([1, 64])
const peers = Array.from({ length: 10_000 }, () => `12D3KooW${random.text(44)}` as PeerId)

describe('shards', () => {
  it('follow the population', () => {
    expect([0, 1, 64, 65, 128, 10_000].map(shardCount)).toEqual([1, 1, 1, 2, 2, 256])
  })

  it('hold about as many subscribers each, at any population', () => {
    for (const population of [64, 200, 1_000, 10_000]) {
      const count = shardCount(population)
      const sizes = Array.from({ length: count }, () => 0)
      for (const peer of peers.slice(0, population)) sizes[shardOf(peer, count)] = (sizes[shardOf(peer, count)] ?? 0) + 1
      // Hashing spreads by chance: five standard deviations around the mean.
      const mean = population / count
      expect(Math.max(...sizes)).toBeLessThan(mean + 5 * Math.sqrt(mean) + 1)
      expect(sizes.every((size) => size > 0)).toBe(true)
    }
  })

  it('have names that differ by capability and number', () => {
    expect(callTopic('repo.report', 3)).toBe('cfp/repo.report/3')
    expect(advertTopic(2)).toBe('advert/2')
  })
})

describe('who is asked', () => {
  it(`is aimed at ${limits.biddersAimed} bidders, whatever the number of providers`, () => {
    for (const population of [1, 8, 64, 500]) {
      const counts = Array.from({ length: 200 }, (_, i) => peers.slice(0, population).filter((peer) => isAsked(peer, `call-${i}`, thresholdFor(population))).length)
      const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length
      expect(mean).toBeGreaterThan(Math.min(population, limits.biddersAimed) * 0.85)
      expect(mean).toBeLessThanOrEqual(Math.min(population, limits.biddersAimed) * 1.15)
    }
  })

  it('is everybody at 1, and nobody at 0', () => {
    expect(peers.slice(0, 100).every((peer) => isAsked(peer, 'c', 1))).toBe(true)
    expect(peers.slice(0, 100).some((peer) => isAsked(peer, 'c', 0))).toBe(false)
  })

  it('is another set for another call, and the same for the same', () => {
    const asked = (call: string) => peers.slice(0, 200).filter((peer) => isAsked(peer, call, 0.1))
    expect(asked('one')).toEqual(asked('one'))
    expect(asked('one')).not.toEqual(asked('two'))
  })
})

describe('keys in the DHT', () => {
  it('are one per capability, and one per VRAM bucket that a node reaches', () => {
    const GiB = 2 ** 30
    expect(discoveryKeys([{ name: 'llm.chat' }, { name: 'llm.chat' }, { name: 'repo.report' }], [])).toEqual(['capability/llm.chat', 'capability/repo.report'])
    expect(discoveryKeys([], [{ vramBytes: 24 * GiB }, { vramBytes: 8 * GiB }])).toEqual(['gpu/1GiB', 'gpu/2GiB', 'gpu/4GiB', 'gpu/8GiB', 'gpu/16GiB'])
    expect(discoveryKeys([], [{ vramBytes: 0 }])).toEqual([])
  })
})
