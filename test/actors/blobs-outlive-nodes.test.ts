import { describe, expect, it, vi } from 'vitest'
import type { MissionId } from '../../protocols/kernel/ids.ts'
import type { BlobRef, Json } from '../../protocols/kernel/payload.ts'
import { ResultView } from '../../protocols/tasking/views.ts'
import { createVirtualBlobStore } from '../../sim/blob-store-virtual-adapter.ts'
import type { ScriptedSkill } from '../../sim/skill-runner-scripted-adapter.ts'
import { failedActors, logProblems, missionWorld, repeatedAfterAcceptance, startNodes, type MissionWorld } from './mission-world.ts'
import { capability } from './virtual-missions.ts'

// Many lives of virtual nodes: how long they take on a busy machine says nothing.
vi.setConfig({ testTimeout: 240_000 })

/** Too much for a log: it is a blob, whoever makes it. */
const page = 'x'.repeat(40_000)

/** What a node can do with the blob store that it has, with the virtual time that takes. */
async function withStore<T>(world: MissionWorld, on: string, use: (store: ReturnType<typeof createVirtualBlobStore>) => Promise<T>): Promise<T> {
  let settled: { readonly value: T } | { readonly thrown: unknown } | undefined
  use(createVirtualBlobStore({ self: world.node(on).peer, swarm: world.mesh.blobs })).then((value) => (settled = { value }), (thrown: unknown) => (settled = { thrown }))
  await world.until(() => settled !== undefined, 'the blob store to answer')
  if (settled !== undefined && 'value' in settled) return settled.value
  throw settled?.thrown
}

const upload = (world: MissionWorld, on: string, text: string): Promise<BlobRef> => withStore(world, on, (store) => store.put(new TextEncoder().encode(text)))

/** As whoever reads a result does: from the node that is asked, or from those who are said to hold it. */
async function read(world: MissionWorld, on: string, ref: BlobRef): Promise<string> {
  const bytes = await withStore(world, on, async (store) => {
    await store.fetch(ref)
    return store.get(ref.$blob)
  })
  return new TextDecoder().decode(bytes)
}

/** Three that keep and do not work, and those that work and do not keep. */
async function keepersAnd(seed: number, workers: readonly string[], skill: ScriptedSkill): Promise<MissionWorld> {
  const world = missionWorld(seed, () => [skill])
  await startNodes(world, ['a', 'b', 'c'], { skills: [], duties: ['replica', 'bridge'] })
  for (const name of workers) await world.start(name, { duties: ['worker', 'bridge'] })
  await world.runFor(1_500)
  return world
}

/** How many disks hold an event of that type of the mission. */
function disksWith(world: MissionWorld, type: string): (missionId: MissionId) => number {
  const on = new Map<string, Set<string>>()
  for (const name of ['a', 'b', 'c']) world.mesh.disk(name).onSynced((group, entries) => {
    if (entries.some(({ event }) => event.type === type)) on.set(group, (on.get(group) ?? new Set()).add(name))
  })
  return (missionId) => on.get(missionId)?.size ?? 0
}

async function expectWhole(world: MissionWorld, on: string, missionId: MissionId): Promise<void> {
  expect(await world.ended(on, missionId)).toMatchObject({ state: 'completed' })
  const events = await world.events(on, missionId)
  expect([...logProblems(events), ...repeatedAfterAcceptance(world, events), ...failedActors(world)]).toEqual([])
}

describe('a result that is a blob', () => {
  it('is read from every node that is left when its worker and the owner are lost right after the acceptance, with the blob that it names', async () => {
    for (let seed = 1; seed <= 8; seed++) {
      const drawings: BlobRef[] = []
      const world = await keepersAnd(seed, ['d', 'e'], { capability: capability('page.write'), run: () => ({ afterMs: 50, output: { page, drawings } as unknown as Json }) })
      const accepted = disksWith(world, 'accepted')
      // Only the one that runs it has the drawing.
      const drawing = await upload(world, 'd', `drawing ${seed}`)
      drawings.push(drawing)
      world.kill('e')
      const { id } = await world.submit('a', { capability: 'page.write' })
      await world.until(() => accepted(id) >= 2, 'the acceptance to be committed')
      await world.runFor((seed % 4) * 4)
      for (const name of ['a', 'd']) world.kill(name)
      await world.restart('e')
      await expectWhole(world, 'b', id)
      for (const name of ['b', 'c', 'e']) {
        const { result, artifacts } = ResultView.parse(await world.ask(name, { op: 'result', missionId: id }))
        expect(result, name).toMatchObject({ page })
        const ref = artifacts.find(({ $blob }) => $blob === drawing.$blob)
        expect(ref, name).toBeDefined()
        expect(await read(world, name, ref ?? drawing), name).toBe(`drawing ${seed}`)
      }
      expect(world.runs.map(({ node }) => node), 'it was run once').toEqual(['d'])
    }
  })

  it('of a mission that is archived by the one who is left to lead it, too', async () => {
    const world = missionWorld(21, () => [{ capability: capability('page.write'), run: () => ({ afterMs: 50, output: page }) }])
    await startNodes(world, ['a', 'b', 'c'], { skills: [], duties: ['replica', 'bridge'], tuning: { missionRestMs: 1_000 } })
    await world.start('d', { duties: ['worker', 'bridge'] })
    await world.runFor(1_500)
    const { id } = await world.submit('a', { capability: 'page.write' })
    await world.ended('a', id)
    for (const name of ['a', 'd']) world.kill(name)
    await world.until(() => world.live().every(({ name }) => !world.mesh.disk(name).groupsStored().includes(id)), 'its archive', 60_000)
    for (const name of ['b', 'c']) expect(await world.result(name, id)).toBe(page)
  })
})

describe('what a mission is given', () => {
  const reader: ScriptedSkill = { capability: capability('page.read'), run: (run) => ({ afterMs: 50, output: 'inline' in run.input ? String((run.input.inline as { page: string }).page).length : null }) }

  it('outlives the bridge that took it, from the moment it says so', async () => {
    for (let seed = 31; seed < 37; seed++) {
      const world = await keepersAnd(seed, ['d'], reader)
      const drawing = await upload(world, 'a', 'a drawing')
      const { id } = await world.submit('a', { capability: 'page.read', input: { page, drawing } })
      world.kill('a')
      await expectWhole(world, 'b', id)
      expect(await world.result('c', id)).toBe(page.length)
      for (const name of ['b', 'c']) expect(await read(world, name, { ...drawing, holders: [world.node('b').peer, world.node('c').peer] })).toBe('a drawing')
    }
  })

  it('and a bridge that keeps nothing and passed it on', async () => {
    const world = await keepersAnd(41, ['d'], reader)
    await world.start('e', { skills: [], duties: ['bridge'] })
    await world.runFor(1_500)
    const drawing = await upload(world, 'e', 'a drawing')
    const { id, ownerName } = await world.submit('e', { capability: 'page.read', input: { page, drawing } })
    expect(['a', 'b', 'c']).toContain(ownerName)
    for (const name of ['e', ownerName]) world.kill(name)
    const [left = '', right = ''] = ['a', 'b', 'c'].filter((name) => name !== ownerName)
    await expectWhole(world, left, id)
    expect(await world.result(right, id)).toBe(page.length)
    for (const name of [left, right]) expect(await read(world, name, { ...drawing, holders: [world.node(left).peer, world.node(right).peer] })).toBe('a drawing')
  })
})
