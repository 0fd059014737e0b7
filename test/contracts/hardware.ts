import { describe, expect, it } from 'vitest'
import type { Hardware } from '../../actors/ports/hardware.ts'
import { Environment, Gpu } from '../../protocols/capability/schema.ts'

/** What every Hardware must do. */
export function hardwareContract(name: string, setup: () => Hardware | Promise<Hardware>): void {
  describe(`${name} keeps the hardware contract`, () => {
    it('describes the machine within the schema of an advert', async () => {
      const sample = await (await setup()).sample()
      expect(Environment.parse(sample.environment)).toEqual(sample.environment)
      for (const gpu of sample.gpus) expect(Gpu.parse(gpu)).toEqual(gpu)
      expect(sample.environment.memoryFreeBytes).toBeLessThanOrEqual(sample.environment.memoryBytes)
      expect(sample.cpu).toBeGreaterThanOrEqual(0)
      expect(sample.loopDelayMs).toBeGreaterThanOrEqual(0)
    })

    it('answers every one of several samples at once', async () => {
      const hardware = await setup()
      const samples = await Promise.all([hardware.sample(), hardware.sample(), hardware.sample()])
      expect(new Set(samples.map((sample) => sample.environment.cores)).size).toBe(1)
    })
  })
}
