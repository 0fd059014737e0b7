/** Disks that lose, refuse or delay what they were given. */
import type { GroupId } from '../../protocols/kernel/ids.ts'
import type { FaultKind } from '../scenario/schema.ts'
import type { Processes } from './processes.ts'
import { createOverlaps, onEachNode, type Ready } from './ready.ts'
import type { FaultWorld } from './world.ts'

/** Within the time of a sync. */
const tearWithinMs = 0.5

export function diskFaults(world: FaultWorld, processes: Processes) {
  const fullness = createOverlaps<true>((name, full) => world.disk(name).setFull(full.length > 0))
  const slowness = createOverlaps<number>((name, factors) => world.disk(name).setSyncFactor(Math.max(1, ...factors)))
  const stuckness = createOverlaps<true>((name, stuck) => world.disk(name).setStuck(stuck.length > 0))

  /** How often a disk was replaced or has rotted: a copy from before is not put back. */
  const losses = new Map<string, number>()

  function tellDamage(name: string, how: FaultKind, lost: readonly GroupId[]): void {
    losses.set(name, (losses.get(name) ?? 0) + 1)
    world.record({ type: 'disk-damaged', atMs: world.nowMs(), node: name, peer: world.peerOf(name), how, lost })
  }

  /** A node whose writes fail ends by itself: after the fault it is started again. */
  const untilWorking = (remove: () => void, name: string) => () => {
    remove()
    processes.ensureUp(name)
  }

  return {
    'power-cut': onEachNode((name) => processes.takeDown(name, 'power-cut'), (name) => world.isUp(name)),

    /** The power goes while something is being written. */
    'torn-write': onEachNode((name, _fault, random) => {
      let release: (() => void) | undefined
      let cancelCut: () => void = () => undefined
      const cancelWait = world.disk(name).onNextWrite(() => {
        cancelCut = world.schedule(random.next() * tearWithinMs, () => {
          release = processes.takeDown(name, 'power-cut')
        })
      })
      return () => {
        cancelWait()
        cancelCut()
        release?.()
      }
    }),

    /** Nobody sees the rot before the disk is opened again: the node is away meanwhile. */
    'bit-rot': onEachNode((name, fault, random) => {
      const release = processes.takeDown(name, 'crash')
      tellDamage(name, fault.kind, world.disk(name).rot(random))
      return release
    }),

    'sync-error': onEachNode((name, _fault, random) => untilWorking(world.disk(name).failNextSync(random), name)),
    'disk-full': onEachNode((name) => untilWorking(fullness.add(name, true), name)),
    'disk-slow': onEachNode((name, fault) => untilWorking(slowness.add(name, fault.amount), name)),
    'disk-stuck': onEachNode((name) => untilWorking(stuckness.add(name, true), name)),

    /** A new disk, the key kept. */
    'disk-wiped': onEachNode((name, fault) => {
      const release = processes.takeDown(name, 'crash')
      tellDamage(name, fault.kind, world.disk(name).wipe())
      return release
    }),

    /** The machine is put back to the copy that is made when the fault begins. */
    'disk-rolled-back': onEachNode((name, fault) => {
      const disk = world.disk(name)
      const copy = disk.snapshot()
      const lossesBefore = losses.get(name)
      return (early) => {
        if (early || losses.get(name) !== lossesBefore) return
        const release = processes.takeDown(name, 'crash')
        tellDamage(name, fault.kind, disk.restore(copy))
        release()
      }
    }),
  } satisfies Partial<Record<FaultKind, Ready>>
}
