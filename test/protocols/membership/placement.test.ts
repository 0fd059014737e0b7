import { describe, expect, it } from 'vitest'
import { MissionId, type Principal } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import { chooseMembers, fillMembers, missionIdFor, newMissionId, rank, registrarShardOf, shardGroup, shardOfGroup, shardOfMission } from '../../../protocols/membership/placement.ts'
import type { Replica } from '../../../protocols/membership/schema.ts'
import { peerOf, replicaOf } from './members.ts'

const principal = 'local' as Principal
const shards = Array.from({ length: limits.registrarShards }, (_, shard) => shard)

describe('a mission’s shard', () => {
  it('is in its id, and is its key’s', () => {
    const random = seededRandom([7, 7])
    for (let i = 0; i < 500; i++) {
      const key = random.text(1 + random.below(20))
      const id = newMissionId(principal, key, random.text(8), random.text(12))
      expect(MissionId.parse(id)).toBe(id)
      expect(shardOfMission(id)).toBe(registrarShardOf(principal, key))
    }
    for (const shard of shards) expect(shardOfMission(missionIdFor(shard, 'abcdefgh', 'abcdefghijkl'))).toBe(shard)
    expect(missionIdFor(7, 'abcdefgh', 'abcdefghijkl')).toBe('m-07abcdef-abcdefghijkl')
    expect(() => missionIdFor(64, 'abcdefgh', 'abcdefghijkl')).toThrow('64')
  })

  it('is drawn where there is no key: all shards are used alike', () => {
    const random = seededRandom([1, 2])
    const counts = new Map<number, number>()
    for (let i = 0; i < 6_400; i++) {
      const shard = shardOfMission(newMissionId(principal, undefined, 'abcdefgh', random.text(12)))
      counts.set(shard, (counts.get(shard) ?? 0) + 1)
    }
    expect(counts.size).toBe(64)
    expect(Math.min(...counts.values())).toBeGreaterThan(50)
    expect(Math.max(...counts.values())).toBeLessThan(160)
  })

  it('is some shard, always the same, for ids that name none', () => {
    for (const id of ['m-abcdefgh-abcdefghijkl', 'm-64cdefgh-abcdefghijkl', 'm-99cdefgh-abcdefghijkl', 'm-4bcdefgh-abcdefghijkl'] as MissionId[]) {
      expect(shards).toContain(shardOfMission(id))
      expect(shardOfMission(id)).toBe(shardOfMission(id))
    }
  })

  it('depends on the principal as on the key', () => {
    const keys = Array.from({ length: 50 }, (_, i) => `key-${i}`)
    expect(keys.some((key) => registrarShardOf(principal, key) !== registrarShardOf('other' as Principal, key))).toBe(true)
  })

  it('has a group, and the group a shard', () => {
    for (const shard of shards) expect(shardOfGroup(shardGroup(shard))).toBe(shard)
    expect(shardGroup(5)).toBe('registrar-05')
    expect([shardOfGroup('roster'), shardOfGroup('registrar-64'), shardOfGroup('m-abcdefgh-abcdefghijkl' as MissionId)]).toEqual([undefined, undefined, undefined])
  })
})

function drawn(random: ReturnType<typeof seededRandom>, count: number, domains: number): Replica[] {
  return Array.from({ length: count }, () => replicaOf(random.text(6), `rack-${random.below(domains)}`))
}

function peersOf(replicas: readonly Replica[]): Set<string> {
  return new Set(replicas.map(({ peer }) => peer))
}

describe('members', () => {
  it('are ranked the same whatever the order they are named in, each by its own score', () => {
    const random = seededRandom([3, 4])
    for (let i = 0; i < 100; i++) {
      const replicas = drawn(random, 2 + random.below(20), 3)
      const ranked = rank(replicas, `group-${i}`)
      expect(rank([...replicas].reverse(), `group-${i}`)).toEqual(ranked)
      const [gone] = replicas
      expect(rank(replicas.slice(1), `group-${i}`)).toEqual(ranked.filter((one) => one !== gone))
    }
  })

  it('are spread: no two in one domain while another is to be had', () => {
    const random = seededRandom([5, 6])
    for (let i = 0; i < 300; i++) {
      const replicas = drawn(random, 1 + random.below(15), 1 + random.below(6))
      const aimed = 1 + random.below(5)
      const first = random.below(2) === 0 ? replicas[random.below(replicas.length)]?.peer : undefined
      const chosen = chooseMembers(replicas, `group-${i}`, aimed, first)
      expect(chosen).toHaveLength(Math.min(aimed, replicas.length))
      expect(peersOf(chosen).size).toBe(chosen.length)
      if (first !== undefined) expect(chosen[0]?.peer).toBe(first)
      const used = new Map<string, number>()
      for (const { domain } of chosen) used.set(domain, (used.get(domain) ?? 0) + 1)
      const left = replicas.filter(({ peer }) => !peersOf(chosen).has(peer))
      for (const { domain } of left) expect((used.get(domain) ?? 0) + 1, `${domain} was passed over`).toBeGreaterThanOrEqual(Math.max(...used.values()))
    }
  })

  it('move as little as possible: one that comes or goes changes one of them at most', () => {
    const random = seededRandom([8, 9])
    let moved = 0
    for (let i = 0; i < 500; i++) {
      const replicas = drawn(random, 4 + random.below(12), 2 + random.below(8))
      const newcomer = replicaOf(random.text(6), `rack-${random.below(8)}`)
      const before = peersOf(chooseMembers(replicas, `group-${i}`, 3))
      const after = peersOf(chooseMembers([...replicas, newcomer], `group-${i}`, 3))
      const changed = [...after].filter((peer) => !before.has(peer))
      expect(changed.length).toBeLessThanOrEqual(1)
      if (changed.length > 0) moved += 1
    }
    expect(moved).toBeGreaterThan(50)
    expect(moved).toBeLessThan(350)
  })

  it('are everybody’s turn: each of eight replicas keeps about three eighths of the shards', () => {
    const replicas = Array.from({ length: 8 }, (_, i) => replicaOf(`node${i}`))
    const kept = new Map<string, number>()
    for (const shard of shards) for (const { name } of chooseMembers(replicas, shardGroup(shard), 3)) kept.set(name, (kept.get(name) ?? 0) + 1)
    for (const { name } of replicas) expect(kept.get(name), name).toBeGreaterThan(10)
    for (const { name } of replicas) expect(kept.get(name), name).toBeLessThan(40)
  })

  it('who is no replica is not first, and nobody is made up', () => {
    const replicas = [replicaOf('a'), replicaOf('b')]
    expect(peersOf(chooseMembers(replicas, 'x', 5, peerOf('stranger')))).toEqual(peersOf(replicas))
    expect(chooseMembers([], 'x', 3)).toEqual([])
    expect(chooseMembers(replicas, 'x', 0, peerOf('a'))).toEqual([])
    expect(fillMembers([replicaOf('a', 'one')], [replicaOf('b', 'one'), replicaOf('c', 'two')], 2).map(({ name }) => name)).toEqual(['a', 'c'])
  })
})
