import { describe, expect, it, vi } from 'vitest'
import { MeshError } from '../../protocols/kernel/errors.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { BlobRef } from '../../protocols/kernel/payload.ts'
import { createVirtualBlobStore, shelfOf } from '../../sim/blob-store-virtual-adapter.ts'
import type { VirtualNodeInit } from '../../sim/virtual-mesh.ts'
import { failedActors, missionWorld, type MissionWorld } from './mission-world.ts'
import { capability } from './virtual-missions.ts'

// Many lives of virtual nodes: how long they take on a busy machine says nothing.
vi.setConfig({ testTimeout: 240_000 })

/** One keeper, whose mission cites a blob and takes its time. Those of `cut` cannot fetch that one. */
async function citingMission(seed: number) {
  const world = missionWorld(seed, () => [{ capability: capability('drawing.look'), run: () => ({ afterMs: 200_000, output: 'seen' }) }])
  const cut = new Set<string>()
  const tries: string[] = []
  const cited: BlobRef[] = []
  const conductOf = (name: string): Partial<VirtualNodeInit> => ({
    conduct: (ports) => ({
      ...ports,
      blobStore: {
        ...ports.blobStore,
        fetch: (ref, alsoTry) => {
          if (ref.$blob !== cited[0]?.$blob) return ports.blobStore.fetch(ref, alsoTry)
          tries.push(name)
          return cut.has(name) ? Promise.reject(new MeshError('unknown-blob', 'nobody gave it')) : ports.blobStore.fetch(ref, alsoTry)
        },
      },
    }),
  })
  await world.start('a')
  await world.runFor(500)
  const drawing = await createVirtualBlobStore({ self: world.node('a').peer, swarm: world.mesh.blobs }).put(new TextEncoder().encode('a drawing'))
  cited.push(drawing)
  const { id } = await world.submit('a', { capability: 'drawing.look', input: { drawing } })
  return { world, id, drawing, cut, tries, conductOf }
}

const has = (world: MissionWorld, name: string, { $blob }: BlobRef): boolean => shelfOf(world.mesh.blobs, world.node(name).peer).has($blob)
/** Everything that is kept but the mission has three voters: it is not for want of keepers. */
const othersGrown = (world: MissionWorld): Promise<void> => world.grown()

describe('a log that cites a blob grows from one keeper to three', () => {
  it('those who cannot be given the blob learn, and do not vote; when they can, they do', async () => {
    const { world, id, drawing, cut, tries, conductOf } = await citingMission(1)
    for (const name of ['b', 'c']) {
      cut.add(name)
      await world.start(name, conductOf(name))
    }
    await othersGrown(world)
    // Longer than it is tried for at once.
    const untilMs = world.mesh.clock.nowMs() + 2 * limits.blobFetchTimeoutMs
    while (world.mesh.clock.nowMs() < untilMs) {
      await world.runFor(500)
      expect(world.voters(id)).toEqual(['a'])
    }
    expect(world.kept.get(id)?.membership.learners).toHaveLength(2)
    expect(new Set(tries)).toEqual(new Set(['b', 'c']))
    expect(['b', 'c'].map((name) => world.mesh.disk(name).entriesStored(id) > 0), 'the log itself is there').toEqual([true, true])
    // One of two is not enough: two voters would both have to agree.
    cut.delete('b')
    await world.until(() => has(world, 'b', drawing), 'one to have it')
    await world.runFor(15_000)
    expect(world.voters(id)).toEqual(['a'])
    cut.delete('c')
    await world.grown(id)
    expect(['a', 'b', 'c'].map((name) => has(world, name, drawing))).toEqual([true, true, true])
    world.kill('a')
    await world.ended('b', id)
    expect([await world.result('c', id), failedActors(world)]).toEqual(['seen', []])
  })

  it('they have it before they vote, however slow it comes', async () => {
    const { world, id, drawing, conductOf } = await citingMission(2)
    for (const name of ['b', 'c']) world.mesh.disk(name).onSynced((group, entries) => {
      for (const { event } of entries) {
        if (group !== id || event.type !== 'members' || event.membership.voters.length === 1) continue
        for (const { peer } of event.membership.voters) expect(shelfOf(world.mesh.blobs, peer).has(drawing.$blob), `${peer} votes`).toBe(true)
      }
    })
    for (const name of ['b', 'c']) await world.start(name, conductOf(name))
    await world.grown(id)
  })

  it('what nobody has any more keeps nobody from voting', async () => {
    const { world, id, drawing, conductOf } = await citingMission(3)
    shelfOf(world.mesh.blobs, world.node('a').peer).delete(drawing.$blob)
    for (const name of ['b', 'c']) await world.start(name, conductOf(name))
    await world.grown(id)
    expect(['b', 'c'].map((name) => has(world, name, drawing))).toEqual([false, false])
  })
})
