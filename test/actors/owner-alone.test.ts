import { expect, it, vi } from 'vitest'
import { failedActors, missionWorld, startNodes } from './mission-world.ts'
import { doubling } from './virtual-missions.ts'

// Many lives of virtual nodes: how long they take on a busy machine says nothing.
vi.setConfig({ testTimeout: 240_000 })

const plan = { limits: { leavesMax: 100 }, plan: { tasks: Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`s${i}`, { capability: 'number.double', input: { value: i }, ...(i === 0 ? {} : { after: [`s${i - 1}`] }) }])) } }

it('a mission that its owner keeps alone is not to have more keepers after a restart either; one that several keep is', async () => {
  const world = missionWorld(1, () => [doubling(1_000)])
  await startNodes(world, ['a', 'b', 'c'])
  const alone = await world.submit('a', { ...plan, acknowledgement: 'local' })
  const { id } = await world.submit('a', plan)
  const wantedFor = (group: string): number => world.live().flatMap(({ telemetry }) => telemetry.facts).filter(({ name, fields }) => name === 'group.members-wanted' && fields['group'] === group).length
  world.kill('a')
  await world.runFor(500)
  await world.restart('a')
  await world.runFor(30_000)
  expect(world.voters(alone.id)).toEqual(['a'])
  expect([wantedFor(alone.id), world.leader(alone.id)]).toEqual([0, 'a'])
  // Whoever leads the other one now says how many are to keep it.
  await world.start('d')
  const [gone = ''] = world.voters(id).filter((name) => name !== world.leader(id) && name !== 'a')
  let stopped = false
  void world.node(gone).mesh.drain().then(() => (stopped = true))
  await world.until(() => stopped, 'it to stop')
  world.kill(gone)
  await world.until(() => world.voters(id).includes('d') && world.kept.get(id)?.membership.outgoing === undefined, 'd to vote instead', 60_000)
  await world.ended('a', alone.id)
  expect(failedActors(world)).toEqual([])
})
