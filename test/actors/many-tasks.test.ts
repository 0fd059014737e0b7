/** Missions of more tasks than are put out to tender at once. */
import { expect, it, vi } from 'vitest'
import { limits } from '../../protocols/kernel/limits.ts'
import type { MissionId } from '../../protocols/kernel/ids.ts'
import type { ScriptedSkill } from '../../sim/skill-runner-scripted-adapter.ts'
import { createVirtualMesh, type VirtualMesh } from '../../sim/virtual-mesh.ts'
import { capability, doubling, ended, submit, view } from './virtual-missions.ts'

vi.setConfig({ testTimeout: 240_000 })

const many = 3 * limits.callsOpenMax
const slots = 4

function doubles(count: number, of: (i: number) => object = () => ({})): Record<string, object> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`t${i}`, { capability: 'number.double', input: { value: i }, ...of(i) }]))
}

async function meshOf(seed: number, ...skillsOf: readonly (readonly ScriptedSkill[])[]): Promise<VirtualMesh> {
  const world = createVirtualMesh(seed)
  for (const [at, skills] of skillsOf.entries()) await world.start({ name: `n${at}`, skills: [...skills], slots })
  await world.clock.runFor(2_000)
  return world
}

/** The most that are announced at a time of each, until all have ended. */
async function announcedMost(world: VirtualMesh, ids: readonly MissionId[]): Promise<number[]> {
  const most = ids.map(() => 0)
  for (;;) {
    let hasEnded = true
    for (const [i, id] of ids.entries()) {
      const { tasks, endedAtWallMs } = await view(world, world.node('n0'), id)
      most[i] = Math.max(most[i] ?? 0, tasks.announced ?? 0)
      hasEnded &&= endedAtWallMs !== undefined
    }
    if (hasEnded) return most
    await world.clock.runFor(40)
  }
}

it('no more calls are open than bidders can use, and all tasks are done', async () => {
  const world = await meshOf(1, [], [doubling(50)], [doubling(50)])
  // Two missions wait for the same places: none of them is offered places to fill without calls.
  const missions = [await submit(world, world.node('n0'), { plan: { tasks: doubles(many) }, limits: { leavesMax: many } }), await submit(world, world.node('n0'), { plan: { tasks: doubles(many) }, limits: { leavesMax: many } })]
  for (const most of await announcedMost(world, missions.map(({ id }) => id))) {
    // One more for each that runs, and for each whose end is being committed.
    expect(most).toBeLessThanOrEqual(limits.callsOpenMax + 2 * 2 * slots)
    expect(most).toBeGreaterThanOrEqual(limits.callsOpenMax - slots)
  }
  for (const { id } of missions) expect(await ended(world, world.node('n0'), id)).toMatchObject({ state: 'completed', tasks: { accepted: many } })
})

it('and only a few where bidders offer places for all of them', async () => {
  const world = await meshOf(1, [], [doubling(50)], [doubling(50)])
  const { id } = await submit(world, world.node('n0'), { plan: { tasks: doubles(many) }, limits: { leavesMax: many } })
  expect(Math.max(...await announcedMost(world, [id]))).toBeLessThanOrEqual(limits.callsBesideOffers)
  expect(await ended(world, world.node('n0'), id)).toMatchObject({ state: 'completed', tasks: { accepted: many } })
})

it('what nobody can do keeps nothing else waiting', async () => {
  const other: ScriptedSkill = { capability: capability('other.thing'), run: () => ({ afterMs: 10, output: null }) }
  const world = await meshOf(2, [], [doubling(50)], [other])
  world.kill(world.node('n2'))
  await world.clock.runFor(1_000)
  const hopeless = Object.fromEntries(Array.from({ length: many }, (_, i) => [`h${i}`, { capability: 'other.thing', input: {}, optional: true }]))
  const { id } = await submit(world, world.node('n0'), { plan: { tasks: { ...hopeless, ...doubles(5) } }, limits: { leavesMax: many + 5 } })
  await world.clock.runFor(5_000)
  expect((await view(world, world.node('n0'), id)).tasks.accepted).toBe(5)
})

it('nor what nobody can do at the model it asks for, and all of that is given up together', async () => {
  const chat = (model: string): ScriptedSkill => ({ capability: capability('llm.chat', 'leaf', { attributes: { model } }), run: () => ({ afterMs: 10, output: null }) })
  const world = await meshOf(5, [], [chat('small')], [chat('large')])
  const asking = (model: string, count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`${model}${i}`, { capability: 'llm.chat', attributes: { model }, input: {}, optional: true }]))
  world.kill(world.node('n2'))
  const { id } = await submit(world, world.node('n0'), { plan: { tasks: { ...asking('large', many), ...asking('small', 5) } }, limits: { leavesMax: many + 5 } })
  await world.clock.runFor(5_000)
  expect((await view(world, world.node('n0'), id)).tasks.accepted).toBe(5)
  expect(await ended(world, world.node('n0'), id, 1.5 * limits.noProviderMs)).toMatchObject({ state: 'completed', tasks: { accepted: 5, dead: many } })
})

it('the urgent ones go first, wherever they stand in the plan', async () => {
  const started: number[] = []
  const noting: ScriptedSkill = { ...doubling(50), run: (run, ...rest) => {
    if ('inline' in run.input) started.push((run.input.inline as { value: number }).value)
    return doubling(50).run!(run, ...rest)
  } }
  const world = await meshOf(3, [], [noting])
  const { id } = await submit(world, world.node('n0'), { plan: { tasks: doubles(many, (i) => (i === many - 1 ? { priority: 9 } : {})) }, limits: { leavesMax: many } })
  await ended(world, world.node('n0'), id)
  expect(started.indexOf(many - 1)).toBeLessThan(limits.callsOpenMax)
  expect(new Set(started).size).toBe(many)
})

it('each begins when those it needs have ended, however many there are', async () => {
  const world = await meshOf(4, [], [doubling(5)], [doubling(5)])
  const chain = doubles(many, (i) => (i < 10 ? {} : { after: [`t${i - 10}`] }))
  const { id } = await submit(world, world.node('n0'), { plan: { tasks: chain }, limits: { leavesMax: many } })
  expect(await ended(world, world.node('n0'), id)).toMatchObject({ state: 'completed', tasks: { accepted: many } })
})
