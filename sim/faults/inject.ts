/**
 * Makes planned faults happen, and heals each when it is over. Faults may overlap in any way: a node is started when nothing
 * keeps it down any more, and goes on when nothing holds it.
 *
 * @packageDocumentation
 */
import { seededRandom } from '../../protocols/kernel/prng.ts'
import type { FaultKind } from '../scenario/schema.ts'
import { clockFaults } from './clock-faults.ts'
import { diskFaults } from './disk-faults.ts'
import type { PlannedFault } from './fault.ts'
import { networkFaults } from './network-faults.ts'
import { processFaults } from './process-faults.ts'
import { createProcesses } from './processes.ts'
import type { End, Ready } from './ready.ts'
import type { FaultWorld } from './world.ts'

export interface FaultInjector {
  /** Now, whatever its `atMs`. It heals by itself, unless it lasts for ever. @returns those that it strikes. */
  inject(fault: PlannedFault): readonly string[]
  /** Ends everything that does not last for ever, and starts every node that nothing keeps down. */
  healAll(): void
  /** Faults that have begun and not ended. */
  active(): readonly PlannedFault[]
  /** Whether a fault wants the node to stay away: whoever starts again what has given up leaves it alone. */
  keepsDown(name: string): boolean
}

interface Active {
  readonly fault: PlannedFault
  readonly nodes: readonly string[]
  readonly end: End
  cancel: () => void
}

/** @param seed of what is left to draw when a fault happens; each fault draws for itself, so that leaving one out changes no other. */
export function createFaultInjector(world: FaultWorld, seed = 0): FaultInjector {
  const processes = createProcesses(world)
  const kinds: Record<FaultKind, Ready> = { ...processFaults(world, processes), ...networkFaults(world), ...diskFaults(world, processes), ...clockFaults(world) }
  const active = new Set<Active>()

  function heal(one: Active, early: boolean): void {
    if (!active.delete(one)) return
    one.cancel()
    one.end(early)
    world.record({ type: 'healed', atMs: world.nowMs(), kind: one.fault.kind, nodes: one.nodes })
  }

  return {
    inject(fault) {
      const ready = kinds[fault.kind](fault, seededRandom([seed, fault.index]))
      if (ready === undefined) return []
      world.record({ type: 'fault', atMs: world.nowMs(), kind: fault.kind, nodes: ready.nodes, lastsMs: fault.lastsMs })
      const one: Active = { fault, nodes: ready.nodes, end: ready.happen(), cancel: () => undefined }
      active.add(one)
      if (fault.lastsMs < Infinity) one.cancel = world.schedule(fault.lastsMs, () => heal(one, false))
      return ready.nodes
    },
    healAll() {
      for (const one of [...active]) if (one.fault.lastsMs !== Infinity) heal(one, true)
      for (const name of world.names) processes.ensureUp(name)
    },
    active: () => [...active].map(({ fault }) => fault),
    keepsDown: processes.keepsDown,
  }
}
