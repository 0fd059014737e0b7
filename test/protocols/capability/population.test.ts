import { describe, expect, it } from 'vitest'
import { adjustCapabilityShards, adjustShards, estimatePopulation } from '../../../protocols/capability/population.ts'
import { AdvertMessage } from '../../../protocols/capability/schema.ts'
import { announcementFor, shardCount, shardOf } from '../../../protocols/capability/shards.ts'
import type { PeerId } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { seededRandom } from '../../../protocols/kernel/prng.ts'

const random = seededRandom([7, 7])
const peers = Array.from({ length: 10_000 }, () => `12D3KooW${random.text(44)}` as PeerId)
const own = peers[0] as PeerId
/** What a node hears that listens to its own shard alone. */
const heard = (population: number, shards: number) => peers.slice(0, population).filter((peer) => shardOf(peer, shards) === shardOf(own, shards))

describe('how many there are', () => {
  it('is counted in one shard, and estimated from the own one in many', () => {
    expect(estimatePopulation(1, own, peers.slice(0, 50))).toBe(50)
    for (const population of [500, 2_000, 10_000]) {
      const shards = shardCount(population)
      const estimate = estimatePopulation(shards, own, heard(population, shards))
      expect(estimate).toBeGreaterThan(population * 0.6)
      expect(estimate).toBeLessThan(population * 1.5)
    }
  })

  it('of strangers from other shards, met on a connection, nothing is made', () => {
    const shards = shardCount(2_000)
    expect(estimatePopulation(shards, own, peers.slice(0, 2_000))).toBe(estimatePopulation(shards, own, heard(2_000, shards)))
  })
})

describe('the number of shards', () => {
  it('doubles when the own shard is too full, and halves only when it is far too empty and time enough was given', () => {
    expect(adjustShards(1, own, peers.slice(0, limits.shardSubscribersMax), [], true)).toBe(1)
    expect(adjustShards(1, own, peers.slice(0, 200), [], true)).toBeGreaterThan(1)
    const few = heard(10_000, 256).slice(0, 10)
    expect(adjustShards(256, own, few, [], false)).toBe(256)
    expect(adjustShards(256, own, few, [], true)).toBe(128)
  })

  it('settles where every shard is full enough, from either side', () => {
    for (const from of [1, 16, 1_024]) {
      let shards = from
      for (let round = 0; round < 20; round++) shards = adjustShards(shards, own, heard(3_000, shards), [], true)
      expect(heard(3_000, shards).length).toBeLessThanOrEqual(limits.shardSubscribersMax)
      expect(heard(3_000, shards).length).toBeGreaterThanOrEqual(limits.shardSubscribersMax / 4)
    }
  })

  it('is learned by a newcomer from several others, never from one', () => {
    expect(adjustShards(1, own, [own], [256, 256], false)).toBe(1)
    expect(adjustShards(1, own, [own], [256, 256, 1], false)).toBe(256)
    // A little difference is no news.
    expect(adjustShards(128, own, heard(5_000, 128), [256, 256, 256], false)).toBe(128)
    // Who has counted believes nobody.
    expect(adjustShards(1, own, heard(50, 1), [256, 256, 256], true)).toBe(1)
  })

  it('stays a power of two within its limits, whatever it is told', () => {
    let shards = 1
    for (let round = 0; round < 50; round++) {
      shards = adjustShards(shards, own, peers.slice(0, random.below(10_000)), Array.from({ length: random.below(6) }, () => 2 ** random.below(11)), random.below(2) === 0)
      expect(Number.isInteger(Math.log2(shards)), String(shards)).toBe(true)
      expect(shards).toBeLessThanOrEqual(limits.shardsMax)
    }
    const message = { kind: 'advert', signed: { advert: '{}', signature: new Uint8Array(64) } }
    for (const told of [3, 0, 1.5, -2, 2 ** 20]) expect(AdvertMessage.safeParse({ ...message, shards: told }).success, String(told)).toBe(false)
    expect(AdvertMessage.safeParse({ ...message, shards: 256 }).success).toBe(true)
  })

  it('of a capability changes when the estimate is off by far', () => {
    expect(adjustCapabilityShards(4, 200, true)).toBe(4)
    expect(adjustCapabilityShards(4, 300, true)).toBe(8)
    expect(adjustCapabilityShards(4, 70, true)).toBe(4)
    expect(adjustCapabilityShards(4, 60, true)).toBe(2)
    expect(adjustCapabilityShards(4, 3, false)).toBe(4)
    expect(adjustCapabilityShards(1, 0, true)).toBe(1)
  })
})

describe('where a call is announced', () => {
  it('first in the announcer’s own shard, aimed at a few; then eight times as many; in the end everywhere', () => {
    const rounds = [0, 1, 2, 3, 4].map((round) => announcementFor(own, 256, 10_000, round))
    expect(rounds[0]).toEqual({ shards: [shardOf(own, 256)], threshold: limits.biddersAimed / (10_000 / 256) })
    const asked = rounds.slice(0, 4).map(({ shards, threshold }) => shards.length * threshold * (10_000 / 256))
    for (const [round, count] of asked.entries()) expect(count).toBeCloseTo(Math.min(10_000, limits.biddersAimed * 8 ** round), -2)
    for (const { shards } of rounds) expect(new Set(shards).size).toBe(shards.length)
    // Also those who believe in more shards than we do.
    expect(rounds[4]).toEqual({ shards: Array.from({ length: 1_024 }, (_, at) => at), threshold: 1 })
  })

  it('in a small mesh to everybody at once', () => {
    expect(announcementFor(own, 1, 5, 0)).toEqual({ shards: [0], threshold: 1 })
    expect(announcementFor(own, 1, limits.askedAllMax, 0).threshold).toBe(1)
    expect(announcementFor(own, 1, limits.askedAllMax + 1, 0).threshold).toBeLessThan(0.5)
  })
})
