/** Missions of more tasks than are put out to tender at once. */
import { expect, it, vi } from 'vitest'
import { limits } from '../../protocols/kernel/limits.ts'
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

it('no more calls are open than bidders can use, and all tasks are done', async () => {
  const world = await meshOf(1, [], [doubling(50)], [doubling(50)])
  const { id } = await submit(world, world.node('n0'), { plan: { tasks: doubles(many) }, limits: { leavesMax: many } })
  const announced: number[] = []
  for (;;) {
    const { tasks, endedAtWallMs } = await view(world, world.node('n0'), id)
    if (endedAtWallMs !== undefined) break
    announced.push(tasks.announced ?? 0)
    await world.clock.runFor(100)
  }
  // One more for each that runs, and for each whose end is being committed.
  expect(Math.max(...announced)).toBeLessThanOrEqual(limits.callsOpenMax + 2 * 2 * slots)
  expect(Math.max(...announced)).toBeGreaterThanOrEqual(limits.callsOpenMax - slots)
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
