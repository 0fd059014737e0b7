/** The Hardware port of a machine that is what the test says it is. */
import type { Hardware, HardwareSample } from '../actors/ports/hardware.ts'

export interface VirtualHardware extends Hardware {
  /** Changes what the next samples show. */
  set(change: Partial<HardwareSample>): void
}

const plainMachine: HardwareSample = {
  environment: { os: 'virtual', arch: 'virtual', cores: 4, memoryBytes: 16 * 2 ** 30, memoryFreeBytes: 12 * 2 ** 30 },
  gpus: [],
  cpu: 0.1,
  loopDelayMs: 1,
}

/** @param machine what differs from four cores, 16 GiB of memory, no GPU and no load. */
export function createVirtualHardware(machine: Partial<HardwareSample> = {}): VirtualHardware {
  let shown: HardwareSample = { ...plainMachine, ...machine }
  return {
    sample: () => Promise.resolve(structuredClone(shown)),
    set(change) {
      shown = { ...shown, ...change }
    },
  }
}
