/** What happens to a process happens when it is awake, in order. */
import type { VirtualClock } from '../virtual-clock.ts'
import type { Life } from './directory.ts'

/** Lets something happen to a process: now, or after its pause and all that came before. Nothing happens to a dead one. */
export function give(life: Life, act: () => void): void {
  if (!life.alive) return
  if (life.held === undefined) act()
  else life.held.acts.push(act)
}

export function fallAsleep(life: Life): void {
  life.paused = true
  life.held ??= { acts: [], next: 0 }
}

/** What was held happens one event at a time, so that the promises it resolves play out in between. */
export function wakeUp(clock: VirtualClock, life: Life): void {
  life.paused = false
  const happenNext = (): void => {
    const held = life.held
    if (!life.alive || life.paused || held === undefined) return
    const act = held.acts[held.next++]
    if (act === undefined) {
      life.held = undefined
      return
    }
    act()
    clock.schedule(0, happenNext)
  }
  clock.schedule(0, happenNext)
}
