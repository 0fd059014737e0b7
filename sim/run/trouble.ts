/** What goes wrong in a run: the planned faults against the real cluster, and the nodes that misbehave. */
import type { DurationMs, InstantMs } from '../../protocols/kernel/units.ts'
import type { Tally } from '../measure/tally.ts'
import type { PlannedNode } from '../scenario/expand.ts'
import type { Scenario } from '../scenario/schema.ts'
import type { VirtualMesh } from '../virtual-mesh.ts'
import type { ApplyConduct, Population } from './population.ts'
import type { Recorder } from './recorder.ts'

export interface TroubleWorld {
  readonly mesh: VirtualMesh
  readonly population: Population
  readonly recorder: Recorder
  readonly tally: Tally
}

export interface Trouble {
  /** Faults happen at their instants of the run, `offsetMs` later in the world. */
  expect(offsetMs: DurationMs): void
  /** Everything is mended, and everybody who can be is started. */
  healAll(): void
}

export function troubleFor(_init: { readonly scenario: Scenario; readonly nodes: readonly PlannedNode[]; readonly seed: number; readonly untilMs: InstantMs }): { readonly applyConduct: ApplyConduct; createTrouble(world: TroubleWorld): Trouble } {
  return { applyConduct: (_conduct, ports) => ports, createTrouble: () => ({ expect: () => undefined, healAll: () => undefined }) }
}
