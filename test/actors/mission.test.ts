import { describe, expect, it } from 'vitest'
import { createVirtualMesh } from '../../sim/virtual-mesh.ts'
import { doubling, ended, result, submit, summing, why } from './virtual-missions.ts'

async function threeNodes(seed: number, afterMs = 100) {
  const world = createVirtualMesh(seed)
  const skills = [doubling(afterMs), summing()]
  const a = await world.start({ name: 'a', skills })
  const b = await world.start({ name: 'b', skills })
  const c = await world.start({ name: 'c', skills })
  await world.clock.runFor(2_000)
  return { world, a, b, c, skills }
}

describe('a mission on a virtual mesh', () => {
  it('runs one leaf', async () => {
    const { world, a } = await threeNodes(1)
    const accepted = await submit(world, a, { capability: 'number.double', input: { value: 21 } })
    const done = await ended(world, a, accepted.id)
    expect(done.fault).toBeUndefined()
    expect(done.state).toBe('completed')
    expect((await result(world, a, accepted.id)).result).toBe(42)
  })

  it('plans, bids, and synthesises over several nodes', async () => {
    const { world, a, b, c } = await threeNodes(2)
    const accepted = await submit(world, a, { capability: 'number.sum', input: { values: [1, 2, 3, 4, 5, 6, 7, 8] } })
    const done = await ended(world, a, accepted.id)
    expect(done.state).toBe('completed')
    expect((await result(world, c, accepted.id)).result).toBe(72)
    const reasons = await why(world, b, accepted.id)
    const winners = reasons.tasks.filter((task) => task.capability === 'number.double').map((task) => task.attempts.at(-1)?.workerName)
    expect(new Set(winners).size).toBeGreaterThan(1)
    expect(reasons.tasks.find((task) => task.capability === 'number.sum')?.attempts[0]?.workerName).not.toBe('a')
  })
})
