import { describe, expect, it, vi } from 'vitest'
import type { GroupId, MissionId } from '../../protocols/kernel/ids.ts'
import { shardGroup } from '../../protocols/membership/placement.ts'
import { failedActors, logProblems, missionWorld, repeatedAfterAcceptance, worldShards, type MissionWorld } from './mission-world.ts'
import { doubling } from './virtual-missions.ts'

// Many lives of virtual nodes: how long they take on a busy machine says nothing.
vi.setConfig({ testTimeout: 240_000 })

/** One task after the other. Runs are told apart by their tasks' names. */
function chain(length: number, name = 's') {
  return { limits: { leavesMax: 100 }, plan: { tasks: Object.fromEntries(Array.from({ length }, (_, i) => [`${name}${i}`, { capability: 'number.double', input: { value: i }, ...(i === 0 ? {} : { after: [`${name}${i - 1}`] }) }])) } }
}

const meshGroups: readonly GroupId[] = ['roster' as GroupId, ...Array.from({ length: worldShards }, (_, shard) => shardGroup(shard))]

function keepers(world: MissionWorld, group: GroupId): { voters: string[]; learners: number; joint: boolean } {
  const membership = world.kept.get(group)?.membership
  return { voters: world.voters(group), learners: membership?.learners.length ?? 0, joint: membership?.outgoing !== undefined }
}

async function expectWhole(world: MissionWorld, on: string, missionId: MissionId) {
  expect(await world.ended(on, missionId)).toMatchObject({ state: 'completed', epoch: { lineage: 1 } })
  const events = await world.events(on, missionId)
  expect([...logProblems(events), ...repeatedAfterAcceptance(world, events), ...failedActors(world)]).toEqual([])
  return events
}

describe('a mesh of one node that grows while missions run', () => {
  it('to two: they learn, one votes; to three: all vote, of everything that is kept', async () => {
    const world = missionWorld(1, () => [doubling(1_000)])
    await world.start('a')
    await world.runFor(500)
    const alone = await world.submit('a', chain(40))
    expect(keepers(world, alone.id)).toEqual({ voters: ['a'], learners: 0, joint: false })
    await world.start('b')
    await world.until(() => [...meshGroups, alone.id].every((group) => keepers(world, group).learners === 1), 'a copy of everything at the second')
    for (const group of [...meshGroups, alone.id]) expect(keepers(world, group), group).toEqual({ voters: ['a'], learners: 1, joint: false })
    await world.runFor(2_000)
    // What is handed to the second is led there, and kept by the first as well.
    const two = await world.submit('b', chain(30, 't'))
    expect(two.ownerName).toBe('b')
    expect(keepers(world, two.id)).toEqual({ voters: ['b'], learners: 1, joint: false })
    await world.start('c')
    await world.grown(alone.id, two.id)
    for (const group of [...meshGroups, alone.id, two.id]) expect(keepers(world, group), group).toEqual({ voters: expect.arrayContaining(['a', 'b', 'c']) as string[], learners: 0, joint: false })
    for (const { id } of [alone, two]) {
      const seen = (await expectWhole(world, 'c', id)).flatMap((event) => (event.type === 'members' ? [event.membership.voters.length] : []))
      expect([seen[0], seen.at(-1)]).toEqual([1, 3])
      expect(seen.includes(2), 'never two that must both agree').toBe(false)
    }
  })

  it('at whatever instant after that the first is lost for good: the others finish what it led, and know its keys', async () => {
    for (let afterMs = 0; afterMs < 1_100; afterMs += 271) {
      const world = missionWorld(100 + afterMs, () => [doubling(150)])
      await world.start('a')
      await world.runFor(500)
      const { id } = await world.submit('a', chain(60), 'k')
      await world.start('b')
      await world.runFor(afterMs)
      await world.start('c')
      await world.grown(id)
      await world.runFor(afterMs)
      expect((await world.view('c', id)).endedAtWallMs, 'it runs still').toBeUndefined()
      world.kill('a')
      const events = await expectWhole(world, 'b', id)
      expect(events.some(({ type }) => type === 'took-over')).toBe(true)
      expect((await world.submit('c', chain(60), 'k')).id).toBe(id)
      const next = await world.submit('b', chain(1, 'n'))
      await expectWhole(world, 'c', next.id)
    }
  })

  it('lost before it has: nobody takes over from a copy that does not vote', async () => {
    const world = missionWorld(7, () => [doubling(500)])
    await world.start('a')
    await world.runFor(500)
    const { id } = await world.submit('a', chain(10))
    await world.start('b')
    await world.until(() => keepers(world, id).learners === 1, 'a copy at the second')
    await world.runFor(1_000)
    world.kill('a')
    await world.runFor(20_000)
    expect(world.leader(id)).toBeUndefined()
    expect(await world.view('b', id).catch((thrown: { fault?: { code: string } }) => thrown.fault?.code)).toBe('owner-unreachable')
    await world.restart('a')
    await expectWhole(world, 'b', id)
  })
})

describe('two nodes and a witness', () => {
  const witness = { duties: ['replica'] as const }

  async function twoAndWitness(seed: number, afterMs = 150): Promise<MissionWorld> {
    const world = missionWorld(seed, () => [doubling(afterMs)])
    for (const name of ['a', 'b']) await world.start(name)
    await world.start('w', witness)
    await world.grown()
    return world
  }

  /** While nobody leads it, there is nobody to ask. */
  const isOver = (world: MissionWorld, on: string, missionId: MissionId): Promise<boolean> => world.view(on, missionId).then(({ endedAtWallMs }) => endedAtWallMs !== undefined, () => false)

  /** Looks again and again. @returns for how long at a time the witness led any of these logs, at most. */
  async function witnessLed(world: MissionWorld, groups: readonly GroupId[], done: () => Promise<boolean>): Promise<number> {
    const sinceMs = new Map<GroupId, number>()
    const untilMs = world.mesh.clock.nowMs() + 120_000
    let longestMs = 0
    while (!(await done())) {
      expect(world.mesh.clock.nowMs(), 'it goes on without the witness at last').toBeLessThan(untilMs)
      const nowMs = world.mesh.clock.nowMs()
      for (const group of groups) {
        if (world.leader(group) !== 'w') sinceMs.delete(group)
        else if (!sinceMs.has(group)) sinceMs.set(group, nowMs)
      }
      longestMs = Math.max(longestMs, ...[...sinceMs.values()].map((since) => nowMs - since))
      await world.runFor(50)
    }
    return longestMs
  }

  it('the one that leads is lost at any instant: the other goes on with the vote of the witness, which runs nothing and leads nothing for long', async () => {
    for (let killAtMs = 0; killAtMs < 1_000; killAtMs += 83) {
      const world = await twoAndWitness(500 + killAtMs)
      const { id } = await world.submit('a', chain(6), 'k')
      expect(keepers(world, id).voters).toEqual(expect.arrayContaining(['a', 'b', 'w']))
      await world.runFor(killAtMs)
      world.kill('a')
      const groups = [...meshGroups, id]
      const ledMs = await witnessLed(world, groups, () => isOver(world, 'b', id))
      expect(ledMs, `killed at ${killAtMs} ms`).toBeLessThan(3_000)
      await expectWhole(world, 'b', id)
      await world.until(() => groups.every((group) => world.leader(group) === 'b'), 'the other to lead everything', 10_000)
      expect((await world.submit('b', chain(6), 'k')).id).toBe(id)
      const next = await world.submit('b', chain(2, 'n'))
      await expectWhole(world, 'b', next.id)
      expect(world.runs.filter(({ node }) => node === 'w')).toEqual([])
    }
  })

  it('which has seen what the other has not: it is elected first, and hands on', async () => {
    for (const seed of [1, 2, 3, 4]) {
      const world = await twoAndWitness(seed, 300)
      const { id } = await world.submit('a', chain(8))
      await world.runFor(100)
      for (const name of ['a', 'w']) world.mesh.network.disconnect(world.node(name).peer, world.node('b').peer)
      const stored = (name: string): number => world.mesh.disk(name).entriesStored(id)
      await world.until(() => stored('w') > stored('b') + 2, 'something that one of them misses')
      world.kill('a')
      world.mesh.network.connect(world.node('w').peer, world.node('b').peer)
      await world.until(() => world.leader(id) === 'w', 'the witness to lead', 10_000)
      expect(await witnessLed(world, [id], () => Promise.resolve(world.leader(id) === 'b'))).toBeLessThan(3_000)
      const events = await expectWhole(world, 'b', id)
      expect(events.filter(({ type }) => type === 'took-over').length).toBeGreaterThanOrEqual(2)
      expect(world.runs.filter(({ node }) => node === 'w')).toEqual([])
    }
  })

  it('without which the other would wait: a lost witness and a lost leader are one too many', async () => {
    const world = await twoAndWitness(9)
    const { id } = await world.submit('a', chain(6))
    await world.runFor(200)
    for (const name of ['w', 'a']) world.kill(name)
    await world.runFor(15_000)
    expect(world.leader(id)).toBeUndefined()
    const before = world.runs.length
    await world.restart('w')
    await expectWhole(world, 'b', id)
    expect(world.runs.length).toBeGreaterThan(before)
    expect(world.runs.filter(({ node }) => node === 'w')).toEqual([])
  })

  it('added to two: what runs alone until then has three votes from then on', async () => {
    const world = missionWorld(10, () => [doubling(300)])
    for (const name of ['a', 'b']) await world.start(name)
    await world.runFor(1_500)
    const { id } = await world.submit('a', chain(40))
    await world.runFor(1_000)
    expect(keepers(world, id)).toEqual({ voters: ['a'], learners: 1, joint: false })
    await world.start('w', witness)
    await world.grown(id)
    world.kill('a')
    await expectWhole(world, 'b', id)
    expect(world.runs.filter(({ node }) => node === 'w')).toEqual([])
  })
})
