/**
 * Virtual time: a scheduler that is also every virtual node's clock.
 *
 * Nothing happens by itself. A run takes the earliest event, moves time to it, lets it happen and then lets the
 * promises it resolved play out, so that code which awaits runs the same way every time.
 *
 * @packageDocumentation
 */
import type { Clock } from '../actors/ports/clock.ts'
import type { DurationMs, InstantMs, WallMs } from '../protocols/kernel/units.ts'
import { createEventQueue } from './event-queue.ts'

export interface VirtualClockInit {
  /** What the wall clocks show at the start; default 2026-01-01T00:00:00Z. */
  readonly startWallMs?: WallMs
}

export interface NodeClockInit {
  /** What the node's monotonic clock shows when the world's shows 0; default 0. */
  readonly originMs?: InstantMs
  /** How far the node's wall clock is off; default 0. */
  readonly wallSkewMs?: DurationMs
}

export interface RunLimits {
  /** Virtual time after which waiting for a condition fails; default one hour. */
  readonly withinMs?: DurationMs
  /** What is waited for, for the error's text. */
  readonly what?: string
}

export interface VirtualClock {
  /** Virtual milliseconds since the start of the world. */
  nowMs(): InstantMs
  /** What a clock that is not off shows. */
  wallMs(): WallMs
  /** For the world itself (networks, disks): survives the death of any node. @returns a function that cancels it. */
  schedule(delayMs: DurationMs, callback: () => void): () => void
  /** A clock for one life of a node: from its start to `kill`. */
  clockFor(nodeId: string, init?: NodeClockInit): Clock
  /** Ends the node's present lives: their timers never fire, and new ones they set are ignored. */
  kill(nodeId: string): void
  /** Lets resolved promises play out, until nothing new was scheduled for a fixed number of microtask turns. */
  settle(): Promise<void>
  /** An adapter has resolved a promise: what waits for it plays out before the next event. */
  stir(): void
  /** Lets the earliest event happen. @returns false when there is none. */
  step(): Promise<boolean>
  runFor(durationMs: DurationMs): Promise<void>
  /**
   * Runs to an instant, or until a condition holds.
   * @throws Error when the condition cannot come true any more or did not within `withinMs` of virtual time.
   */
  runUntil(target: InstantMs | (() => boolean), runLimits?: RunLimits): Promise<void>
}

const quietTurns = 100
const turnsMax = 1_000_000
const eventsPerInstantMax = 1_000_000

interface Life {
  alive: boolean
}

export function createVirtualClock(init: VirtualClockInit = {}): VirtualClock {
  const startWallMs = init.startWallMs ?? Date.UTC(2026, 0, 1)
  const queue = createEventQueue()
  const lives = new Map<string, Set<Life>>()
  let now = 0
  let scheduled = 0
  let eventsThisInstant = 0
  let running = false

  function scheduleAt(delayMs: DurationMs, callback: () => void): () => void {
    scheduled++
    // What happens in an infinite time never happens; queued, it would let a single step end the world.
    if (delayMs === Infinity) return () => undefined
    const event = queue.add(now + (delayMs > 0 ? delayMs : 0), callback)
    return () => {
      event.cancelled = true
    }
  }

  async function settle(): Promise<void> {
    let seen = scheduled
    let quiet = 0
    for (let turn = 0; quiet < quietTurns; turn++) {
      if (turn > turnsMax) throw new Error(`promises kept scheduling new events for ${turnsMax} turns at ${now} ms of virtual time`)
      await Promise.resolve()
      quiet = seen === scheduled ? quiet + 1 : 0
      seen = scheduled
    }
  }

  async function fire(): Promise<boolean> {
    const event = queue.take()
    if (event === undefined) return false
    eventsThisInstant = event.atMs > now ? 1 : eventsThisInstant + 1
    if (eventsThisInstant > eventsPerInstantMax) throw new Error(`more than ${eventsPerInstantMax} events at ${now} ms of virtual time: something schedules itself without delay`)
    now = event.atMs
    event.happen()
    await settle()
    return true
  }

  async function alone<T>(run: () => Promise<T>): Promise<T> {
    if (running) throw new Error('the virtual clock is already running: await the run before starting another')
    running = true
    try {
      await settle()
      return await run()
    } finally {
      running = false
    }
  }

  async function runToInstant(atMs: InstantMs): Promise<void> {
    for (let next = queue.earliestMs(); next !== undefined && next <= atMs; next = queue.earliestMs()) await fire()
    now = Math.max(now, atMs)
  }

  async function runToCondition(condition: () => boolean, runLimits: RunLimits): Promise<void> {
    const startMs = now
    const withinMs = runLimits.withinMs ?? 60 * 60_000
    const what = runLimits.what ?? 'the condition'
    while (!condition()) {
      const next = queue.earliestMs()
      if (next === undefined) throw new Error(`${what} never came true: nothing is left to happen at ${now} ms of virtual time`)
      if (next > startMs + withinMs) throw new Error(`${what} did not come true within ${withinMs} ms of virtual time (from ${startMs} ms)`)
      await fire()
    }
  }

  return {
    nowMs: () => now,
    wallMs: () => startWallMs + now,
    schedule: scheduleAt,
    clockFor(nodeId, nodeInit = {}) {
      const life: Life = { alive: true }
      const ofNode = lives.get(nodeId) ?? new Set()
      lives.set(nodeId, ofNode.add(life))
      return {
        monotonicMs: () => now + (nodeInit.originMs ?? 0),
        wallMs: () => startWallMs + now + (nodeInit.wallSkewMs ?? 0),
        schedule(delayMs, callback) {
          if (!life.alive) return () => undefined
          return scheduleAt(delayMs, () => {
            if (life.alive) callback()
          })
        },
      }
    },
    kill(nodeId) {
      for (const life of lives.get(nodeId) ?? []) life.alive = false
      lives.delete(nodeId)
    },
    settle,
    stir: () => undefined,
    step: () => alone(fire),
    runFor: (durationMs) => alone(() => runToInstant(now + durationMs)),
    runUntil: (target, runLimits = {}) => alone(() => (typeof target === 'number' ? runToInstant(target) : runToCondition(target, runLimits))),
  }
}
