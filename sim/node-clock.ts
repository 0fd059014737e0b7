/** The Clock port of one life of a virtual node: it may drift, jump, be stopped with its process, or end with it. */
import type { Clock } from '../actors/ports/clock.ts'
import type { DurationMs, InstantMs, WallMs } from '../protocols/kernel/units.ts'
import type { QueuedEvent } from './event-queue.ts'

export interface NodeClockInit {
  /** What the node's monotonic clock shows when the world's shows 0; default 0. */
  readonly originMs?: InstantMs
  /** How far the node's wall clock is off; default 0. */
  readonly wallSkewMs?: DurationMs
  /** How much faster than the world's the node's clocks run, as a share; default 0. */
  readonly driftFraction?: number
}

export interface NodeClock extends Clock {
  /** Somebody sets the machine's clock: only what the wall shows changes. */
  jumpWall(byMs: DurationMs): void
  /** From now on the clocks run this much faster (negative: slower). Timers that are set already keep their instant. */
  setDrift(fraction: number): void
  /** The process is stopped: no timer of it fires. With `frozen` its monotonic clock stands still too, as on a machine that sleeps. */
  pause(frozen: boolean): void
  /** It goes on: what came due meanwhile fires now, in order. */
  resume(): void
  readonly paused: boolean
  /** Its process is gone: nothing fires any more. */
  end(): void
}

/** The world's own time. */
export interface WorldTime {
  nowMs(): InstantMs
  wallMs(): WallMs
  add(delayMs: DurationMs, callback: () => void): QueuedEvent | undefined
  cancel(event: QueuedEvent): void
  soon(callback: () => void): void
}

/** No timer is finer: a delay that is too small for the clock's own digits would let no time pass at all. */
const finestMs = 0.001

export function createNodeClock(world: WorldTime, init: NodeClockInit = {}): NodeClock {
  let alive = true
  let rate = 1 + (init.driftFraction ?? 0)
  let wallOffsetMs = init.wallSkewMs ?? 0
  /** Where the clock stood, and the world, when its rate last changed or it was last stopped. */
  let sinceWorldMs = 0
  let sinceOwnMs = init.originMs ?? 0
  /** When the rate last changed: the wall clock gains by it also while the monotonic one stands still. */
  let rateSinceMs = 0
  let stopped: 'no' | 'paused' | 'frozen' = 'no'
  let frozenAtMs = 0
  let held: (() => void)[] = []

  function ownMs(): InstantMs {
    const worldMs = stopped === 'frozen' ? frozenAtMs : world.nowMs()
    return sinceOwnMs + (worldMs - sinceWorldMs) * rate
  }

  function rebase(): void {
    sinceOwnMs = ownMs()
    sinceWorldMs = world.nowMs()
    // Standing still, it stands where it stood.
    if (stopped === 'frozen') frozenAtMs = sinceWorldMs
  }

  function fire(callback: () => void): void {
    if (!alive) return
    if (stopped === 'no') callback()
    else held.push(callback)
  }

  return {
    monotonicMs: ownMs,
    wallMs: () => world.wallMs() + wallOffsetMs + (rate - 1) * (world.nowMs() - rateSinceMs),
    schedule(delayMs, callback) {
      if (!alive) return () => undefined
      let cancelled = false
      const event = world.add(Math.max(delayMs, delayMs > 0 ? finestMs : 0) / rate, () => {
        if (stopped === 'no') {
          if (alive) callback()
        } else fire(() => {
          if (!cancelled) callback()
        })
      })
      return () => {
        cancelled = true
        if (event !== undefined) world.cancel(event)
      }
    },
    soon(callback) {
      if (alive) world.soon(() => fire(callback))
    },
    jumpWall(byMs) {
      wallOffsetMs += byMs
    },
    setDrift(fraction) {
      // What the clocks have gained so far stays gained.
      wallOffsetMs += (rate - 1) * (world.nowMs() - rateSinceMs)
      rateSinceMs = world.nowMs()
      rebase()
      rate = 1 + fraction
    },
    pause(frozen) {
      if (stopped !== 'no') return
      if (frozen) frozenAtMs = world.nowMs()
      stopped = frozen ? 'frozen' : 'paused'
    },
    resume() {
      if (stopped === 'no') return
      if (stopped === 'frozen') {
        const own = ownMs()
        stopped = 'no'
        sinceOwnMs = own
        sinceWorldMs = world.nowMs()
      }
      stopped = 'no'
      const due = held
      held = []
      for (const callback of due) world.add(0, () => fire(callback))
    },
    get paused() {
      return stopped !== 'no'
    },
    end() {
      alive = false
      held = []
    },
  }
}
