import { describe, expect, it } from 'vitest'
import type { Gpu } from '../../protocols/capability/schema.ts'
import { createVirtualMesh } from '../../sim/virtual-mesh.ts'
import { doubling, ended, submit, why } from './virtual-missions.ts'

const gpu: Gpu = { vendor: 'nvidia', model: 'a card', vramBytes: 24 * 2 ** 30, vramFreeBytes: 20 * 2 ** 30 }

async function laptopAndGpuBox(seed: number) {
  const world = createVirtualMesh(seed)
  const laptop = await world.start({ name: 'laptop', skills: [doubling(50)] })
  const box = await world.start({ name: 'box', skills: [doubling(50)], machine: { gpus: [gpu] } })
  await world.clock.runFor(2_000)
  return { world, laptop, box }
}

const needing = (attributes: Record<string, unknown>) => ({ plan: { tasks: { one: { capability: 'number.double', input: { value: 1 }, attributes } } } })

describe('what a node has', () => {
  it('can be asked for by any task: only the node with the memory runs it', async () => {
    for (const seed of [1, 2, 3]) {
      const { world, laptop } = await laptopAndGpuBox(seed)
      const accepted = await submit(world, laptop, needing({ vramBytes: 16 * 2 ** 30, gpu: 'nvidia' }))
      expect((await ended(world, laptop, accepted.id)).state).toBe('completed')
      const [task] = (await why(world, laptop, accepted.id)).tasks
      expect(task?.attempts.map((attempt) => attempt.workerName)).toEqual(['box'])
      expect(task?.attempts[0]?.bids.map((bid) => bid.name)).toEqual(['box'])
    }
  })

  it('is refused at once when no node has as much', async () => {
    const { world, laptop } = await laptopAndGpuBox(4)
    await expect(submit(world, laptop, needing({ vramBytes: 80 * 2 ** 30 }))).rejects.toMatchObject({ fault: { code: 'version-mismatch', detail: expect.stringContaining('vramBytes') as string } })
  })
})
