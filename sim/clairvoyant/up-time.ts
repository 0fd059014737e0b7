import type { InstantMs } from '../../protocols/kernel/units.ts'

/** A time in which a node is up. */
export interface UpTime {
  readonly fromMs: InstantMs
  readonly toMs: InstantMs
}
