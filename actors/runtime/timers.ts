/** Timers by actor and key: setting one again replaces it, stopping the actor ends all of its own. */
import type { DurationMs } from '../../protocols/kernel/units.ts'
import type { Clock } from '../ports/clock.ts'

export interface Timers {
  set(actor: string, key: string, delayMs: DurationMs, fire: () => void): void
  clear(actor: string, key: string): void
  clearAll(actor: string): void
}

export function createTimers(clock: Clock): Timers {
  const byActor = new Map<string, Map<string, () => void>>()
  return {
    set(actor, key, delayMs, fire) {
      const timers = byActor.get(actor) ?? new Map<string, () => void>()
      byActor.set(actor, timers)
      timers.get(key)?.()
      const cancel = clock.schedule(Math.max(0, delayMs), () => {
        if (timers.get(key) === cancel) timers.delete(key)
        fire()
      })
      timers.set(key, cancel)
    },
    clear(actor, key) {
      byActor.get(actor)?.get(key)?.()
      byActor.get(actor)?.delete(key)
    },
    clearAll(actor) {
      for (const cancel of byActor.get(actor)?.values() ?? []) cancel()
      byActor.delete(actor)
    },
  }
}
