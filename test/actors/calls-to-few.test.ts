import { describe, expect, it } from 'vitest'
import { limits } from '../../protocols/kernel/limits.ts'
import { missionWorld, startNodes } from './mission-world.ts'
import { doubling } from './virtual-missions.ts'

const one = { capability: 'number.double', input: { value: 21 } }
const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `n${i}`)

/** Announcements that were passed on: each counts once for everybody whom it was sent to. */
function told(world: ReturnType<typeof missionWorld>): { gossip: number; streams: number } {
  return { gossip: world.mesh.gossip.sentByTopic().get('cfp') ?? 0, streams: world.mesh.network.byKind.get('cfp') ?? 0 }
}

describe('where a task is announced', () => {
  it('to each of a few providers that are all known and connected', async () => {
    const world = missionWorld(31, () => [doubling(50)])
    await startNodes(world, names(3))
    const before = told(world)
    expect(await world.ended('n0', (await world.submit('n0', one)).id)).toMatchObject({ state: 'completed' })
    // Its own participant needs no stream.
    expect(told(world)).toEqual({ gossip: before.gossip, streams: before.streams + 2 })
  })

  it('by gossip to more of them', async () => {
    const world = missionWorld(32, () => [doubling(50)])
    await startNodes(world, names(limits.calledDirectlyMax + 1))
    const before = told(world)
    expect(await world.ended('n0', (await world.submit('n0', one)).id)).toMatchObject({ state: 'completed' })
    const after = told(world)
    expect(after.gossip).toBeGreaterThan(before.gossip)
    expect(after.streams).toBe(before.streams)
  })

  it('by gossip from the second time on: who has come since hears of it', async () => {
    const world = missionWorld(33, () => [doubling(60_000)])
    await startNodes(world, ['a'], { skills: [] })
    await world.start('busy', { slots: 1 })
    await world.runFor(1_500)
    await world.submit('a', one)
    await world.runFor(500)
    const waiting = await world.submit('a', one)
    await world.runFor(200)
    const before = told(world)
    await world.start('newcomer', { slots: 1, skills: [doubling(50)] })
    expect(await world.ended('a', waiting.id)).toMatchObject({ state: 'completed' })
    expect(world.runs.map(({ node }) => node)).toEqual(['busy', 'newcomer'])
    expect(told(world).gossip).toBeGreaterThan(before.gossip)
  })
})
