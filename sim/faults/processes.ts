/** Which nodes are kept down or frozen, and by how many faults: the last one to end lets them go on. */
import type { OtherProtocol } from './kinds.ts'
import type { FaultWorld } from './world.ts'

export interface Processes {
  /** Ends it if it is up, and keeps it down. @returns what lets it start again, once nothing else keeps it down. */
  takeDown(name: string, how: 'crash' | 'power-cut'): () => void
  /** Keeps it from being started; it may still be ending by itself. */
  keepDown(name: string): () => void
  /** It must be up. @returns what lets it go on, once nothing else holds it. */
  freeze(name: string, how: 'pause' | 'suspend'): () => void
  /** Starts it unless it is up or kept down: it may have given up. */
  ensureUp(name: string): void
  /** It must be running. @returns what brings its own release back, unless that has happened. */
  replaceRelease(name: string, speaks: OtherProtocol): () => void
  /** Up, not frozen, and not about to go down. */
  isRunning(name: string): boolean
  keepsDown(name: string): boolean
}

interface Frozen {
  readonly how: 'pause' | 'suspend'
  readonly by: Set<object>
}

export function createProcesses(world: FaultWorld): Processes {
  const keptDown = new Map<string, Set<object>>()
  const frozen = new Map<string, Frozen>()
  const replaced = new Map<string, object>()

  /** It may have ended by itself, and come back: what held the former process holds nothing now. */
  function frozenNow(name: string): Frozen | undefined {
    if (!world.isUp(name)) frozen.delete(name)
    return frozen.get(name)
  }

  function end(name: string, how: 'crash' | 'power-cut'): void {
    frozen.delete(name)
    replaced.delete(name)
    if (world.isUp(name)) world.kill(name, how)
  }

  function ensureUp(name: string): void {
    if (keptDown.has(name) || world.isUp(name)) return
    frozen.delete(name)
    replaced.delete(name)
    world.start(name)
  }

  function keepDown(name: string): () => void {
    const own = {}
    const keepers = keptDown.get(name) ?? new Set()
    keptDown.set(name, keepers.add(own))
    return () => {
      if (!keepers.delete(own)) return
      if (keepers.size === 0) keptDown.delete(name)
      ensureUp(name)
    }
  }

  return {
    keepDown, ensureUp,
    takeDown(name, how) {
      end(name, how)
      return keepDown(name)
    },
    freeze(name, how) {
      const own = {}
      let state = frozenNow(name)
      if (state === undefined) {
        frozen.set(name, (state = { how, by: new Set() }))
        if (how === 'pause') world.pause(name)
        else world.suspend(name)
      }
      const { by } = state
      by.add(own)
      return () => {
        if (!by.delete(own) || by.size > 0) return
        // Another life of the node is not the one that was frozen.
        if (frozenNow(name)?.by !== by) return
        const former = frozen.get(name)
        frozen.delete(name)
        if (former?.how === 'pause') world.resume(name)
        else world.wake(name)
      }
    },
    replaceRelease(name, speaks) {
      end(name, 'crash')
      const own = {}
      world.startOldProtocol(name, speaks)
      replaced.set(name, own)
      return () => {
        if (replaced.get(name) === own) end(name, 'crash')
        ensureUp(name)
      }
    },
    isRunning: (name) => world.isUp(name) && frozenNow(name) === undefined && !keptDown.has(name),
    keepsDown: (name) => keptDown.has(name),
  }
}
