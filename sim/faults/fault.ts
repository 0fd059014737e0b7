import type { DurationMs, InstantMs } from '../../protocols/kernel/units.ts'
import type { FaultKind } from '../scenario/schema.ts'

/** One fault of a run, as it was drawn before the run began. */
export interface PlannedFault {
  /** Its place in the list. */
  readonly index: number
  readonly atMs: InstantMs
  readonly kind: FaultKind
  /** Names. Of a partition: the one side. None of what strikes the whole mesh, or whoever leads when it happens. */
  readonly nodes: readonly string[]
  /** `Infinity` when it never heals, 0 for what happens in an instant. */
  readonly lastsMs: DurationMs
  /** See `FaultSpec`; 0 for kinds without one. */
  readonly amount: number
}

export interface DraftedFault extends Omit<PlannedFault, 'index'> {
  /** So many nodes may be down at once because of it, whatever the mesh: the scenario says so. */
  readonly downAllowed: number
}
