import { describe, expect, it, vi } from 'vitest'
import type { MissionId } from '../../protocols/kernel/ids.ts'
import type { Json, Payload } from '../../protocols/kernel/payload.ts'
import type { MissionEvent } from '../../protocols/tasking/schema.ts'
import { failedActors, logProblems, missionWorld, repeatedAfterAcceptance, startNodes, type MissionWorld } from './mission-world.ts'
import { capability } from './virtual-missions.ts'

// Many lives of virtual nodes: how long they take on a busy machine says nothing.
vi.setConfig({ testTimeout: 240_000 })

interface Given {
  readonly attempt: number
  readonly fraction: number | undefined
  readonly sizeBytes: number
}

const courseMs = 10_000
const published = [0.2, 0.4, 0.6, 0.8]

/** Ten seconds of work that is published every two. @param pad added to each checkpoint: much of it makes a blob of it. */
function longWork(pad: string) {
  const given: Given[] = []
  const fractionOf = (payload: Payload | undefined): number | undefined => (payload === undefined || !('inline' in payload) ? undefined : (payload.inline as { fraction: number }).fraction)
  const skill = {
    capability: capability('work.long'),
    run: (run: { readonly attempt: number; readonly checkpoint?: Payload | undefined }) => {
      given.push({ attempt: run.attempt, fraction: fractionOf(run.checkpoint), sizeBytes: JSON.stringify(run.checkpoint ?? null).length })
      return { afterMs: courseMs, output: 'done', checkpoints: published.map((at) => ({ at, value: { fraction: at, pad } as Json })) }
    },
  }
  return { skill, given }
}

/** Three that keep and do not work, and some that work and do not keep. */
async function workAt(seed: number, pad: string, workers: readonly string[]) {
  const { skill, given } = longWork(pad)
  const world = missionWorld(seed, () => [skill])
  await startNodes(world, ['a', 'b', 'c'], { skills: [], duties: ['replica', 'bridge'] })
  for (const name of workers) await world.start(name, { duties: ['worker', 'bridge'] })
  await world.runFor(1_500)
  /** By checkpoint, how many disks have it. */
  const disks = new Map<string, number>()
  for (const name of ['a', 'b', 'c']) world.mesh.disk(name).onSynced((_, entries) => {
    for (const { event } of entries) if (event.type === 'checkpointed') disks.set(JSON.stringify(event.checkpoint), (disks.get(JSON.stringify(event.checkpoint)) ?? 0) + 1)
  })
  const kept = (): number => [...disks.values()].filter((count) => count >= 2).length
  return { world, given, kept }
}

const checkpointsIn = (events: readonly MissionEvent[]) => events.flatMap((event) => (event.type === 'checkpointed' ? [event.checkpoint] : []))

async function expectWhole(world: MissionWorld, on: string, missionId: MissionId) {
  expect(await world.ended(on, missionId)).toMatchObject({ state: 'completed' })
  expect(await world.result(on, missionId)).toBe('done')
  const events = await world.events(on, missionId)
  expect([...logProblems(events), ...repeatedAfterAcceptance(world, events), ...failedActors(world)]).toEqual([])
  return events
}

describe.each([['inline', ''], ['a blob', 'x'.repeat(40_000)]])('a checkpoint that is %s', (what, pad) => {
  const asItWas = (events: readonly MissionEvent[]): void => expect(checkpointsIn(events).map((payload) => ('blob' in payload ? 'a blob' : 'inline'))).toEqual(checkpointsIn(events).map(() => what))

  it('is what the next attempt begins with on another node, after the first was lost', async () => {
    for (const [seed, count] of [[1, 1], [2, 2], [3, 4]] as const) {
      const { world, given, kept } = await workAt(seed, pad, ['d', 'e'])
      const { id } = await world.submit('a', { capability: 'work.long' })
      await world.until(() => kept() === count, 'that many checkpoints to be kept')
      const first = world.runs[0]?.node ?? ''
      world.kill(first)
      const killedMs = world.mesh.clock.nowMs()
      asItWas(await expectWhole(world, 'b', id))
      expect(world.runs.map(({ node }) => node)).toEqual([first, first === 'd' ? 'e' : 'd'])
      const newest = published[count - 1] ?? 0
      expect(given.map(({ attempt, fraction }) => [attempt, fraction])).toEqual([[1, undefined], [2, newest]])
      expect(given[1]?.sizeBytes ?? 0).toBeGreaterThan(pad.length)
      // What was done before is not done again.
      expect(world.mesh.clock.nowMs() - killedMs).toBeLessThan((1 - newest) * courseMs + 5_000)
    }
  })

  it('also when the owner is lost with it', async () => {
    for (let seed = 11; seed < 15; seed++) {
      const { world, given, kept } = await workAt(seed, pad, ['d', 'e'])
      const { id } = await world.submit('a', { capability: 'work.long' })
      await world.until(() => kept() === 2, 'two checkpoints to be kept')
      const first = world.runs[0]?.node ?? ''
      // At once, or one after the other, in either order.
      const [one = '', other = ''] = seed % 2 === 0 ? [first, 'a'] : ['a', first]
      world.kill(one)
      await world.runFor(seed < 13 ? 0 : 1_200)
      world.kill(other)
      asItWas(await expectWhole(world, 'b', id))
      expect(given.map(({ fraction }) => fraction).slice(0, 2), `seed ${seed}`).toEqual([undefined, 0.4])
      expect(given).toHaveLength(2)
    }
  })

  it('of an owner that works itself: whoever takes over goes on from there', async () => {
    const { skill, given } = longWork(pad)
    const world = missionWorld(21, () => [skill])
    await startNodes(world, ['b', 'c'], { skills: [] })
    await world.start('a')
    await world.grown()
    const heard = new Set<string>()
    for (const name of ['b', 'c']) world.mesh.disk(name).onSynced((_, entries) => {
      for (const { event } of entries) if (event.type === 'checkpointed') heard.add(JSON.stringify(event.checkpoint))
    })
    const { id } = await world.submit('a', { capability: 'work.long' })
    expect((await world.view('a', id)).ownerName).toBe('a')
    await world.until(() => heard.size === 2, 'two checkpoints that others have')
    world.kill('a')
    await world.start('d', { duties: ['worker'], skills: [skill] })
    await expectWhole(world, 'b', id)
    expect(given.map(({ fraction }) => fraction)).toEqual([undefined, 0.4])
  })

  it('is handed on from attempt to attempt, the newest of all of them', async () => {
    const { world, given, kept } = await workAt(31, pad, ['d', 'e', 'f'])
    const { id } = await world.submit('a', { capability: 'work.long' })
    for (const count of [1, 3]) {
      await world.until(() => kept() === count, 'another checkpoint to be kept')
      world.kill(world.runs.at(-1)?.node ?? '')
    }
    await expectWhole(world, 'c', id)
    expect(given.map(({ fraction }) => fraction)).toEqual([undefined, 0.2, 0.6])
  })
})
