import { expect, it, vi } from 'vitest'
import type { GroupId } from '../../protocols/kernel/ids.ts'
import { shardGroup } from '../../protocols/membership/placement.ts'
import { failedActors, logProblems, missionWorld, repeatedAfterAcceptance, seeds, startNodes, worldShards, type MissionWorld } from './mission-world.ts'
import { doubling } from './virtual-missions.ts'

// Many lives of virtual nodes: how long they take on a busy machine says nothing.
vi.setConfig({ testTimeout: 240_000 })

const meshGroups: readonly GroupId[] = ['roster' as GroupId, ...Array.from({ length: worldShards }, (_, shard) => shardGroup(shard))]
const plan = { limits: { leavesMax: 100 }, plan: { tasks: Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`s${i}`, { capability: 'number.double', input: { value: i }, ...(i === 0 ? {} : { after: [`s${i - 1}`] }) }])) } }

/** As a process that is told to stop: it drains and exits. */
async function stop(world: MissionWorld, ...names: readonly string[]): Promise<void> {
  const stopped = new Set<string>()
  for (const name of names) void world.node(name).mesh.drain().then(() => stopped.add(name))
  while (stopped.size < names.length) {
    await world.until(() => stopped.size > 0, 'a node to stop', 20_000)
    for (const name of stopped) if (world.live().some((node) => node.name === name)) world.kill(name)
    await world.runFor(10)
  }
}

it('two of the three that keep a mission are stopped, together or one after another: it ends at the others, and so does the next', async () => {
  for (const seed of seeds(4)) {
    const world = missionWorld(seed, () => [doubling(250)])
    await startNodes(world, ['a', 'b', 'c', 'd', 'e'])
    const { id } = await world.submit('a', plan, 'k')
    const [first = '', second = ''] = world.voters(id)
    if (seed % 2 === 0) await stop(world, first, second)
    else for (const name of [first, second]) await stop(world, name)
    const [on = ''] = world.live().map(({ name }) => name)
    expect(await world.ended(on, id), `seed ${seed}`).toMatchObject({ state: 'completed', epoch: { lineage: 1 } })
    const events = await world.events(on, id)
    expect([...logProblems(events), ...repeatedAfterAcceptance(world, events), ...failedActors(world)]).toEqual([])
    expect((await world.submit(on, plan, 'k')).id, 'its key is known').toBe(id)
    for (const group of [...meshGroups, id]) expect(world.voters(group).filter((name) => world.live().some((node) => node.name === name)).length, group).toBeGreaterThan(world.voters(group).length / 2)
  }
})

it('a node that is restarted in order comes back to where it was: nothing was copied for it', async () => {
  const world = missionWorld(11, () => [doubling(250)])
  await startNodes(world, ['a', 'b', 'c', 'd', 'e'])
  const { id } = await world.submit('a', plan, 'k')
  const before = [...meshGroups, id].map((group) => world.voters(group))
  await stop(world, 'a')
  await world.runFor(3_000)
  await world.restart('a')
  await world.ended('b', id)
  expect([...meshGroups, id].map((group) => world.voters(group))).toEqual(before)
  expect([...world.kept.values()].flatMap(({ membership }) => membership.learners)).toEqual([])
  expect(failedActors(world)).toEqual([])
})
