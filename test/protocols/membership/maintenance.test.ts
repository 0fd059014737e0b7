import { describe, expect, it } from 'vitest'
import { limits } from '../../../protocols/kernel/limits.ts'
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import { nextMembership } from '../../../protocols/membership/maintenance.ts'
import { chooseMembers } from '../../../protocols/membership/placement.ts'
import { replicaOf } from './members.ts'
import { drawn, group, members, names, World } from './maintained-log.ts'

describe('growing', () => {
  it('one replica is a voter alone', () => {
    expect(new World({ voters: members('a') }, ['a']).settle()).toEqual([])
  })

  it('of two replicas one votes and the other learns', () => {
    expect(new World({ voters: members('a') }, ['a', 'b']).settle()).toEqual(['a|b'])
  })

  it('a third makes three voters of one, in one joint step', () => {
    const world = new World({ voters: members('a') }, ['a', 'b'])
    world.settle()
    world.replicas.push(replicaOf('c'))
    expect(world.settle()).toEqual(['a|b c', 'a>a b c', 'a b c'])
  })

  it('learners that are behind are waited for, both of them', () => {
    const world = new World({ voters: members('a') }, ['a', 'b', 'c'])
    world.behind.set('b', limits.appendEntriesMax + 1)
    expect(world.settle()).toEqual(['a|b c'])
    world.behind.set('b', limits.appendEntriesMax)
    expect(world.settle()).toEqual(['a>a b c', 'a b c'])
  })

  it('learners that do not answer are no voters, however far they were', () => {
    const world = new World({ voters: members('a') }, ['a', 'b', 'c'])
    world.step()
    world.reach = false
    world.kill('c', 2 * limits.membersLookMs + 1)
    world.isDead = () => false
    expect(nextMembership(world.input())).toBeUndefined()
  })

  it('a learner out of reach makes room for one that can be reached', () => {
    const world = new World({ voters: members('a') }, ['a', 'b', 'c'])
    world.step()
    world.kill('c')
    expect(world.settle()).toEqual(['a|b c'])
    world.replicas.push(replicaOf('d'))
    expect(world.settle()).toEqual(['a|b d', 'a>a b d', 'a b d'])
  })

  it('the roster grows to five, of which none is in vain', () => {
    const world = new World({ voters: members('a') }, ['a', 'b', 'c', 'd'])
    world.aimed = 5
    world.settle()
    expect(world.current.voters).toHaveLength(3)
    world.replicas.push(replicaOf('e'))
    world.settle()
    expect(drawn(world.current)).toBe('a b c d e')
    world.replicas.push(replicaOf('f'))
    expect(world.settle()).toEqual([])
  })

  it('a mission acknowledged locally stays on its node, and keeps no copies', () => {
    const world = new World({ voters: members('a'), learners: members('b') }, ['a', 'b', 'c', 'd'])
    world.aimed = 1
    expect(world.settle()).toEqual(['a'])
  })

  it('spreads over domains', () => {
    const world = new World({ voters: members('a') }, ['a'])
    world.replicas.push(replicaOf('b', 'a'), replicaOf('c', 'a'), replicaOf('d'), replicaOf('e'))
    world.settle()
    expect(drawn(world.current)).toBe('a d e')
  })
})

describe('replacing', () => {
  it('a voter that left the roster: the spare learns first', () => {
    const world = new World({ voters: members('a', 'b', 'c') }, ['a', 'b', 'd'])
    expect(world.settle()).toEqual(['a b c|d', 'a b c>a b d', 'a b d'])
  })

  it('a voter that is silent, once it has been so for long', () => {
    const world = new World({ voters: members('a', 'b', 'c') }, ['a', 'b', 'c', 'd'])
    world.kill('c', limits.memberSilentMs - 1)
    expect(world.settle()).toEqual([])
    world.nowMs += 1
    expect(world.settle()).toEqual(['a b c|d', 'a b c>a b d', 'a b d'])
  })

  it('nobody, where there is no spare', () => {
    const world = new World({ voters: members('a', 'b', 'c') }, ['a', 'b', 'c'])
    world.kill('c', limits.memberSilentMs)
    expect(world.settle()).toEqual([])
    world.replicas.pop()
    expect(world.settle()).toEqual([])
  })

  it('not while a majority does not answer', () => {
    const world = new World({ voters: members('a', 'b', 'c'), learners: members('d') }, ['a', 'b', 'c', 'd'])
    world.kill('b', 60_000)
    world.kill('c', limits.memberSilentMs)
    expect(drawn(nextMembership(world.input()))).toBe('nothing')
  })

  it('a silent learner is let go', () => {
    const world = new World({ voters: members('a'), learners: members('b') }, ['a', 'b'])
    world.kill('b', limits.memberSilentMs - 1)
    expect(world.settle()).toEqual([])
    world.nowMs += 1
    expect(world.settle()).toEqual(['a'])
  })

  it('a learner that is not needed any more is let go', () => {
    const world = new World({ voters: members('a', 'b', 'c') }, ['a', 'b', 'c', 'd'])
    world.kill('c', limits.memberSilentMs)
    world.step()
    world.dead.clear()
    expect(world.settle()).toEqual(['a b c|d', 'a b c'])
  })

  it('two at once, as far as they have caught up', () => {
    const world = new World({ voters: members('a', 'b', 'c', 'd', 'e') }, ['a', 'b', 'c', 'f', 'g'])
    world.aimed = 5
    world.kill('d')
    world.behind.set('g', 10_000)
    expect(world.settle()).toEqual(['a b c d e|f g', 'a b c d e>a b c e f|g', 'a b c e f|g'])
    world.behind.clear()
    expect(world.settle()).toEqual(['a b c e f>a b c f g', 'a b c f g'])
  })

  it('five of which two are gone become three', () => {
    const world = new World({ voters: members('a', 'b', 'c', 'd', 'e') }, ['a', 'b', 'c'])
    world.aimed = 5
    world.kill('d')
    world.kill('e')
    expect(world.settle()).toEqual(['a b c d e>a b c', 'a b c'])
  })

  it('missions do not move otherwise; shards follow their rendezvous choice', () => {
    const all = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
    const mission = new World({ voters: members('a', 'b', 'c') }, all)
    expect(mission.settle()).toEqual([])
    const shard = new World({ voters: members('a', 'b', 'c') }, all)
    shard.restless = true
    shard.settle()
    expect(new Set(shard.current.voters.map(({ peer }) => peer))).toEqual(new Set(chooseMembers(shard.replicas, group, 3).map(({ peer }) => peer)))
    expect(shard.current.learners).toEqual([])
  })

  it('a shard that is new grows before it moves', () => {
    const shard = new World({ voters: members('a') }, ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'])
    shard.restless = true
    const steps = shard.settle()
    expect(steps[1]).toMatch(/^a>a \w \w$/)
    expect(new Set(shard.current.voters.map(({ peer }) => peer))).toEqual(new Set(chooseMembers(shard.replicas, group, 3).map(({ peer }) => peer)))
  })

  it('a shard does not move to who has only just come', () => {
    const all = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
    const shard = new World({ voters: members('a', 'b', 'c') }, all)
    shard.restless = true
    shard.newcomers = new Set(members('d', 'e', 'f', 'g', 'h').map(({ peer }) => peer))
    expect(shard.settle()).toEqual([])
    shard.newcomers = new Set()
    expect(shard.settle()).not.toEqual([])
    const growing = new World({ voters: members('a') }, all)
    growing.newcomers = new Set(members('b', 'c', 'd', 'e', 'f', 'g', 'h').map(({ peer }) => peer))
    growing.settle()
    expect(growing.current.voters, 'one that has too few takes whom there is').toHaveLength(3)
  })

  it('a shard does not move to whom it cannot talk to', () => {
    const shard = new World({ voters: members('a', 'b', 'c') }, ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'])
    shard.restless = true
    for (const name of ['d', 'e', 'f', 'g', 'h']) shard.kill(name)
    expect(shard.settle()).toEqual([])
  })
})

describe('the leader itself', () => {
  it('leaves last', () => {
    const world = new World({ voters: members('a', 'b', 'c') }, ['b', 'd', 'e'])
    expect(world.settle()).toEqual(['a b c|d e', 'a b c>a b e|d', 'a b e|d', 'a b e>b d e', 'b d e'])
    expect(world.leader).not.toBe('a')
  })

  it('leaves two nodes to the one that stays', () => {
    const world = new World({ voters: members('a'), learners: members('b') }, ['b'])
    expect(world.settle()).toEqual(['a>b', 'b'])
    expect(world.leader).toBe('b')
  })

  it('a follower, or one that was voted out, proposes nothing', () => {
    const world = new World({ voters: members('b', 'c', 'd'), learners: members('a') }, ['a', 'b', 'c', 'e'])
    expect(nextMembership(world.input())).toBeUndefined()
  })
})

describe('a lost copy', () => {
  it('of a voter is voted out at once and comes back as a learner, then as a voter', () => {
    const world = new World({ voters: members('a', 'b', 'c') }, ['a', 'b', 'c'])
    world.wipe('c')
    expect(world.settle()).toEqual(['a b c>a b', 'a b', 'a b|c*', 'a b>a b c*', 'a b c*'])
  })

  it('of a voter whose node has left the roster leaves its place to a spare', () => {
    const world = new World({ voters: members('a', 'b', 'c') }, ['a', 'b', 'd'])
    world.wipe('c')
    expect(world.settle()).toEqual(['a b c>a b', 'a b', 'a b|d', 'a b>a b d', 'a b d'])
  })

  it('of a learner: its new life learns', () => {
    const world = new World({ voters: members('a'), learners: members('b') }, ['a', 'b'])
    world.wipe('b')
    expect(world.settle()).toEqual(['a|b*'])
    world.wipe('b')
    expect(world.settle()).toEqual(['a|b*'])
  })

  it('of one voter of two: nothing can be agreed on any more', () => {
    const world = new World({ voters: members('a', 'b') }, ['a', 'b', 'c'])
    world.wipe('b')
    while (true) {
      const next = nextMembership(world.input())
      if (next === undefined) break
      expect(next.outgoing).toBeUndefined()
      expect(next.voters).toEqual(world.current.voters)
      world.current = next
    }
  })

  it('of most voters: their group is not told to go on without them', () => {
    const world = new World({ voters: members('a', 'b', 'c') }, ['a', 'b', 'c'])
    world.wipe('b')
    world.wipe('c')
    expect(nextMembership(world.input())).toBeUndefined()
  })

  it('whoever lost a copy before it was chosen is called by its newest life', () => {
    const world = new World({ voters: members('a') }, ['a', 'b'])
    world.wipe('b')
    expect(world.settle()).toEqual(['a|b*'])
  })
})

it('what was begun jointly is finished first', () => {
  const world = new World({ voters: members('a', 'b', 'c') }, [])
  world.current = { voters: members('a', 'b', 'd'), outgoing: members('a', 'b', 'c'), learners: members('e') }
  expect(world.settle()).toEqual(['a b d|e'])
})

it('without a roster nobody is judged', () => {
  expect(nextMembership(new World({ voters: members('a', 'b', 'c'), learners: members('d') }, []).input())).toBeUndefined()
})

describe('whatever happens', () => {
  it('every step can be committed, comes to rest, and leaves enough voters where there are enough replicas', () => {
    const all = [...names.values()]
    let replaced = 0
    let lost = 0
    for (let seed = 1; seed <= 120; seed++) {
      const random = seededRandom([seed, 99])
      const world = new World({ voters: members('a') }, ['a'])
      world.aimed = [1, 3, 5][random.below(3)] ?? 3
      world.restless = random.below(2) === 0
      for (let turn = 0; turn < 30; turn++) {
        const name = all[random.below(all.length)] ?? 'a'
        const inRoster = world.replicas.some((replica) => replica.name === name)
        const living = (without: string): boolean => [world.current.voters, world.current.outgoing ?? []].every((side) => side.length === 0 || side.filter((member) => world.votes(member) && names.get(member.peer) !== without).length > side.length / 2)
        switch (random.below(6)) {
          case 0:
          case 1:
            if (!inRoster) world.replicas.push(replicaOf(name, `rack-${random.below(4)}`))
            break
          case 2:
            if (inRoster && world.replicas.length > 1) world.replicas = world.replicas.filter((replica) => replica.name !== name)
            break
          case 3:
            if (name !== world.leader && living(name)) world.kill(name, 60_000 + random.below(2) * limits.memberSilentMs)
            break
          case 4:
            if (name !== world.leader && living(name)) {
              world.wipe(name)
              lost += 1
            }
            break
          default:
            world.dead.delete(name)
        }
        const before = drawn(world.current)
        for (let steps = random.below(4); steps > 0; steps--) world.step()
        if (drawn(world.current) !== before) replaced += 1
        world.nowMs += 1_000
      }
      // All that lives on can be reached: it comes to rest in good order.
      world.dead.clear()
      world.settle()
      if (world.replicas.length >= 3) {
        const want = world.aimed === 1 ? 1 : world.aimed === 3 || world.replicas.length < 5 ? 3 : 5
        expect(world.current.voters.length, `seed ${seed}: ${drawn(world.current)} of ${world.replicas.length}`).toBeGreaterThanOrEqual(want)
        expect(world.current.voters.length % 2, `seed ${seed}: ${drawn(world.current)}`).toBe(1)
        for (const { peer } of world.current.voters) expect(world.replicas.some((replica) => replica.peer === peer), `seed ${seed}`).toBe(true)
        expect(world.current.learners).toEqual([])
      }
    }
    expect(replaced).toBeGreaterThan(400)
    expect(lost).toBeGreaterThan(120)
  })
})
