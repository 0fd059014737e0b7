/** Clocks that somebody sets, or that run fast or slow. */
import type { FaultKind } from '../scenario/schema.ts'
import { createOverlaps, onEachNode, type Ready } from './ready.ts'
import type { FaultWorld } from './world.ts'

export function clockFaults(world: FaultWorld) {
  const drift = createOverlaps<number>((name, fractions) => world.clock(name).setDrift(fractions.reduce((sum, fraction) => sum + fraction, 0)))

  return {
    'wall-jump': onEachNode((name, fault) => {
      world.clock(name).jumpWall(fault.amount)
      return () => world.clock(name).jumpWall(-fault.amount)
    }),
    'clock-drift': onEachNode((name, fault) => drift.add(name, fault.amount)),
  } satisfies Partial<Record<FaultKind, Ready>>
}
