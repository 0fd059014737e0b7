import { expect, it } from 'vitest'
import type { ReplicationReport } from '../../actors/mesh-api.ts'
import { doubling } from './virtual-missions.ts'
import { missionWorld, worldShards, startNodes, type MissionWorld } from './mission-world.ts'

async function reported(world: MissionWorld, on: string): Promise<ReplicationReport> {
  let report: ReplicationReport | undefined
  void world.node(on).mesh.replication().then((told) => (report = told))
  await world.until(() => report !== undefined, `the report of ${on}`)
  return report as ReplicationReport
}

async function reportedLike(world: MissionWorld, on: string, like: (report: ReplicationReport) => boolean): Promise<ReplicationReport> {
  for (let tries = 0; tries < 120; tries++) {
    const report = await reported(world, on)
    if (like(report)) return report
    await world.runFor(500)
  }
  throw new Error(`${on} never reported that: ${JSON.stringify(await reported(world, on))}`)
}

it('a node says which logs it keeps, and who keeps the roster', async () => {
  const world = missionWorld(1, () => [doubling(5)])
  await startNodes(world, ['a', 'b', 'c'])
  const [a, b, c] = [await reported(world, 'a'), await reported(world, 'b'), await reported(world, 'c')]
  for (const report of [a, b, c]) {
    expect(report).toMatchObject({ admitted: 'yes', roster: 'led', groups: worldShards + 1, leaderless: 0, damaged: [], room: 'enough' })
    expect(report.keepers.map(({ name, connected }) => [name, connected]).sort()).toEqual([['a', true], ['b', true], ['c', true]])
  }
  expect(a.leads + b.leads + c.leads).toBe(worldShards + 1)
  const leader = world.leader('roster')
  for (const report of [a, b, c]) expect(report.rosterLeader).toBe(world.node(leader ?? '').peer)
})

it('a node says how many of the logs it leads could be kept by more', async () => {
  const world = missionWorld(4, () => [doubling(5)])
  await startNodes(world, ['a'])
  expect(await reported(world, 'a')).toMatchObject({ leads: worldShards + 1, underReplicated: 0 })
  await world.start('b')
  await world.start('c')
  await reportedLike(world, 'a', ({ keepers, underReplicated }) => keepers.length === 3 && underReplicated === 0)
  world.kill('c')
  await reportedLike(world, 'a', ({ leads, underReplicated }) => leads > 0 && underReplicated === leads)
  await world.restart('c')
  await reportedLike(world, 'a', ({ underReplicated }) => underReplicated === 0)
})

it('with most keepers of the roster away, it says that none leads and names them', async () => {
  const world = missionWorld(2, () => [doubling(5)])
  await startNodes(world, ['a', 'b', 'c'])
  world.kill('b')
  world.kill('c')
  const report = await reportedLike(world, 'a', ({ roster }) => roster === 'unreachable')
  expect(report.keepers.filter(({ connected }) => !connected).map(({ name }) => name).sort()).toEqual(['b', 'c'])
  expect(report.rosterLeader).toBeUndefined()
  await world.restart('b')
  expect((await reportedLike(world, 'a', ({ roster }) => roster === 'led')).keepers.filter(({ connected }) => !connected).map(({ name }) => name)).toEqual(['c'])
})

it('one that keeps none says so, and one that met nobody knows no roster', async () => {
  const world = missionWorld(3, () => [doubling(5)])
  await startNodes(world, ['a'])
  await world.start('w', { duties: ['worker'] })
  const report = await reportedLike(world, 'w', ({ roster }) => roster === 'led')
  expect(report).toMatchObject({ admitted: 'not-a-replica', groups: 0, leads: 0, keepers: [{ name: 'a', connected: true }] })
  world.kill('a')
  expect((await reportedLike(world, 'w', ({ roster }) => roster === 'unreachable')).keepers).toMatchObject([{ name: 'a', connected: false }])
})
