/** Another mission that begins where an ended one stood before one of its tasks. */
import { describe, expect, it } from 'vitest'
import type { MissionRequest } from '../../protocols/tasking/schema.ts'
import { ForkSeed, MissionRequest as Request } from '../../protocols/tasking/schema.ts'
import type { MissionId, TaskId } from '../../protocols/kernel/ids.ts'
import { MissionView } from '../../protocols/tasking/views.ts'
import { missionWorld, startNodes, type MissionWorld } from './mission-world.ts'
import { doubling, summing } from './virtual-missions.ts'

/** a → b → c, and d beside them; `sum` is composite. */
const plan = {
  tasks: {
    a: { capability: 'number.double', input: { value: 1 } },
    b: { capability: 'number.double', input: { value: { $from: 'a' } } },
    c: { capability: 'number.double', input: { value: { $from: 'b' } } },
    d: { capability: 'number.double', input: { value: 50 } },
    sum: { capability: 'number.sum', input: { values: [1, 2, 3] } },
  },
}

async function fork(world: MissionWorld, id: MissionId, at: string, change: Partial<MissionRequest> = {}) {
  const draft = (await world.ask('a', { op: 'fork', missionId: id, taskId: at as TaskId })) as { request: unknown; fork: unknown }
  const submitted = MissionView.parse(await world.ask('a', { op: 'submit', request: { ...Request.parse(draft.request), ...change }, fork: ForkSeed.parse(draft.fork) }))
  return { submitted, ended: await world.ended('a', submitted.id) }
}

describe('a fork', () => {
  it('takes earlier results over, and runs the task and what depends on it again', async () => {
    const world = missionWorld(1, () => [doubling(20), summing()])
    await startNodes(world, ['a', 'b', 'c'])
    const { id } = await world.submit('a', { plan })
    const before = await world.ended('a', id)
    expect(before.state).toBe('completed')
    world.runs.length = 0
    const { ended } = await fork(world, id, 'root/b')
    expect(ended).toMatchObject({ state: 'completed', forkOf: { missionId: id, taskId: 'root/b' } })
    expect(world.runs.map(({ taskId }) => taskId).sort()).toEqual(['root/b', 'root/c'])
    expect(await world.result('a', ended.id)).toEqual(await world.result('a', id))
    const tree = await world.tree('a', ended.id)
    expect(tree.children.map(({ name, reusedFrom }) => [name, reusedFrom])).toEqual([['a', id], ['b', undefined], ['c', undefined], ['d', id], ['sum', id]])
  })

  it('begins inside a composite task: its plan is kept, its other children are not run again', async () => {
    const world = missionWorld(2, () => [doubling(20), summing()])
    await startNodes(world, ['a', 'b', 'c'])
    const { id } = await world.submit('a', { plan })
    await world.ended('a', id)
    world.runs.length = 0
    const { ended } = await fork(world, id, 'root/sum/double-1')
    expect(ended.state).toBe('completed')
    expect(world.runs.map(({ taskId, step }) => `${step} ${taskId}`).sort()).toEqual(['run root/sum/double-1', 'synthesise root/sum'])
    expect(await world.result('a', ended.id)).toMatchObject({ sum: 12 })
  })

  it('survives its owner, and knows what it has taken over', async () => {
    const world = missionWorld(3, () => [doubling(3_000), summing()])
    await startNodes(world, ['a', 'b', 'c', 'd'])
    const { id } = await world.submit('a', { plan })
    await world.ended('a', id)
    const draft = (await world.ask('a', { op: 'fork', missionId: id, taskId: 'root/b' as TaskId })) as { request: unknown; fork: unknown }
    const { id: forked } = MissionView.parse(await world.ask('a', { op: 'submit', request: Request.parse(draft.request), fork: ForkSeed.parse(draft.fork) }))
    world.runs.length = 0
    await world.runFor(500)
    const owner = world.leader(forked) ?? ''
    world.kill(owner)
    const [other = ''] = ['b', 'c', 'd', 'a'].filter((name) => name !== owner)
    expect((await world.ended(other, forked)).state).toBe('completed')
    expect(world.runs.map(({ taskId }) => taskId)).not.toContain('root/a')
  })

  it.each([
    ['root', 'bad-request'],
    ['root/nowhere', 'unknown-task'],
  ])('at %s is refused: %s', async (at, code) => {
    const world = missionWorld(4, () => [doubling(20), summing()])
    await startNodes(world, ['a'])
    const { id } = await world.submit('a', { plan })
    await world.ended('a', id)
    await expect(fork(world, id, at)).rejects.toMatchObject({ fault: { code } })
  })

  it('begins with nothing but what may stand there', async () => {
    const world = missionWorld(5, () => [doubling(20), summing()])
    await startNodes(world, ['a'])
    const { id } = await world.submit('a', { plan })
    await world.ended('a', id)
    const draft = (await world.ask('a', { op: 'fork', missionId: id, taskId: 'root/b' as TaskId })) as { request: unknown; fork: unknown }
    const seed = ForkSeed.parse(draft.fork)
    const submit = (events: ForkSeed['events']) => world.ask('a', { op: 'submit', request: Request.parse(draft.request), fork: { ...seed, events } })
    await expect(submit([...seed.events, { type: 'completed', atWallMs: 1, result: { inline: 1 } }])).rejects.toMatchObject({ fault: { code: 'bad-request' } })
    await expect(submit(seed.events.slice(1)), 'without the plan').rejects.toMatchObject({ fault: { code: 'unknown-task' } })
  })
})
