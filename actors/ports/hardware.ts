import type { Environment, Gpu } from '../../protocols/capability/schema.ts'

export interface HardwareSample {
  readonly environment: Environment
  readonly gpus: readonly Gpu[]
  /** One-minute load average over cores. */
  readonly cpu: number
  /** p99 of the event loop's delay since the last sample. */
  readonly loopDelayMs: number
}

export interface Hardware {
  /** Never rejects: what cannot be probed is absent. */
  sample(): Promise<HardwareSample>
}
