/** An owner whose log is never at rest, as another of many tasks is always on its way into it. */
import { describe, expect, it, vi } from 'vitest'
import type { MissionId } from '../../protocols/kernel/ids.ts'
import type { ScriptedSkill } from '../../sim/skill-runner-scripted-adapter.ts'
import { createVirtualMesh, type VirtualMesh } from '../../sim/virtual-mesh.ts'
import { ask, capability, ended, submit, summing, view } from './virtual-missions.ts'

vi.setConfig({ testTimeout: 120_000 })

const tasks = 1_500

/** Each takes another while, so that there is no moment without a result. */
const doubling: ScriptedSkill = {
  capability: capability('number.double'),
  run: (run) => {
    const value = 'inline' in run.input ? (run.input.inline as { value: number }).value : 0
    return { afterMs: 30 + (value * 7_919) % 97, output: 2 * value }
  },
}

/** Slow disks: when they have synced, more is on its way. */
async function busy(seed: number, first: Record<string, object> = {}, onPlan: (atMs: number) => void = () => undefined): Promise<{ world: VirtualMesh; id: MissionId }> {
  const world = createVirtualMesh(seed)
  const noting: ScriptedSkill = { ...summing(), plan: (run, ...rest) => {
    onPlan(world.clock.nowMs())
    return summing().plan!(run, ...rest)
  } }
  for (const name of ['a', 'b', 'c', 'd']) await world.start({ name, slots: 32, skills: name === 'a' ? [] : [doubling, noting] })
  for (const name of ['a', 'b', 'c', 'd']) world.disk(name).setSyncMs(10)
  await world.clock.runFor(3_000)
  const doubles = Object.fromEntries(Array.from({ length: tasks }, (_, i) => [`t${i}`, { capability: 'number.double', input: { value: i } }]))
  const { id } = await submit(world, world.node('a'), { plan: { tasks: { ...first, ...doubles } }, limits: { leavesMax: 2 * tasks } })
  return { world, id }
}

describe('an owner that is never at rest', () => {
  it('answers what it is asked', async () => {
    const { world, id } = await busy(1)
    const waitedMs: number[] = []
    for (;;) {
      const sinceMs = world.clock.nowMs()
      const { endedAtWallMs } = await view(world, world.node('a'), id)
      waitedMs.push(world.clock.nowMs() - sinceMs)
      if (endedAtWallMs !== undefined) break
      await world.clock.runFor(20)
    }
    expect(waitedMs.length).toBeGreaterThan(20)
    expect(Math.max(...waitedMs)).toBeLessThan(200)
    expect(await view(world, world.node('a'), id)).toMatchObject({ state: 'completed', tasks: { accepted: tasks } })
  })

  it('cancels when it is told to', async () => {
    const { world, id } = await busy(2)
    await world.clock.runFor(500)
    const sinceMs = world.clock.nowMs()
    expect(await ask(world, world.node('b'), { op: 'cancel', missionId: id, reason: 'enough' })).toMatchObject({ state: 'cancelled' })
    expect(world.clock.nowMs() - sinceMs).toBeLessThan(200)
  })

  it('lets the manager of a composite task among them begin', async () => {
    const plannedAtMs: number[] = []
    const sum = { capability: 'number.sum', input: { values: [1, 2, 3] }, after: ['t0'] }
    const { world, id } = await busy(3, { sum }, (atMs) => plannedAtMs.push(atMs))
    const submittedAtMs = world.clock.nowMs()
    expect(await ended(world, world.node('a'), id)).toMatchObject({ state: 'completed', tasks: { accepted: tasks + 4 } })
    expect(plannedAtMs).toHaveLength(1)
    expect((plannedAtMs[0] ?? Infinity) - submittedAtMs).toBeLessThan(1_000)
  })
})
