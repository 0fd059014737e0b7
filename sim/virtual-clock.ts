/**
 * Virtual time: a scheduler that is also every virtual node's clock.
 *
 * Nothing happens by itself. A run takes the earliest event, moves time to it, lets it happen and then lets the
 * promises it resolved play out, so that code which awaits runs the same way every time.
 *
 * @packageDocumentation
 */
import type { DurationMs, InstantMs, WallMs } from '../protocols/kernel/units.ts'
import { createEventQueue, type QueuedEvent } from './event-queue.ts'
import { createNodeClock, type NodeClock, type NodeClockInit } from './node-clock.ts'

export interface VirtualClockInit {
  /** What the wall clocks show at the start; default 2026-01-01T00:00:00Z. */
  readonly startWallMs?: WallMs
  /**
   * When promises play out: after every event (`always`, the default: any code may await), or only after an event in which
   * `stir` was called or while something is `awaited` (`stirred`: several times faster, for a world whose adapters all say so).
   */
  readonly settle?: 'always' | 'stirred'
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
  /** Events that have happened. */
  readonly events: number
  /** For the world itself (networks, disks): survives the death of any node. @returns a function that cancels it. */
  schedule(delayMs: DurationMs, callback: () => void): () => void
  /** After the present event, before the next one. */
  soon(callback: () => void): void
  /** A clock for one life of a node: from its start to `kill`. */
  clockFor(nodeId: string, init?: NodeClockInit): NodeClock
  /** Ends the node's present lives: their timers never fire, and new ones they set are ignored. */
  kill(nodeId: string): void
  /** Lets resolved promises play out, until nothing new was scheduled for a fixed number of microtask turns. */
  settle(): Promise<void>
  /** An adapter has resolved a promise: what waits for it plays out before the next event. */
  stir(): void
  /** Until the promise is settled, promises play out after every event. @returns the promise. */
  awaited<T>(promise: Promise<T>): Promise<T>
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
/** Of a stirred world: its adapters resolve promises only from events, and no port call awaits more often. */
const quietTurnsStirred = 24
const turnsMax = 1_000_000
const eventsPerInstantMax = 1_000_000

export function createVirtualClock(init: VirtualClockInit = {}): VirtualClock {
  const startWallMs = init.startWallMs ?? Date.UTC(2026, 0, 1)
  const always = init.settle !== 'stirred'
  const queue = createEventQueue()
  const lives = new Map<string, Set<NodeClock>>()
  let soon: (() => void)[] = []
  let now = 0
  let scheduled = 0
  let happened = 0
  let eventsThisInstant = 0
  let running = false
  let stirred = true
  let awaiting = 0

  function add(delayMs: DurationMs, callback: () => void): QueuedEvent | undefined {
    scheduled++
    // What happens in an infinite time never happens; queued, it would let a single step end the world.
    return delayMs === Infinity ? undefined : queue.add(now + (delayMs > 0 ? delayMs : 0), callback)
  }

  function scheduleAt(delayMs: DurationMs, callback: () => void): () => void {
    const event = add(delayMs, callback)
    return event === undefined ? () => undefined : () => queue.cancel(event)
  }

  function later(callback: () => void): void {
    // Asked for from outside a run, it has no event to wait for.
    if (soon.push(callback) === 1 && !running) void Promise.resolve().then(drainSoon)
  }

  function drainSoon(): void {
    let turns = 0
    while (soon.length > 0) {
      const batch = soon
      soon = []
      if (++turns > eventsPerInstantMax) throw new Error(`callbacks kept asking for a next turn at ${now} ms of virtual time`)
      for (const callback of batch) callback()
    }
  }

  async function settle(): Promise<void> {
    stirred = false
    drainSoon()
    let seen = scheduled
    let quiet = 0
    const enough = always ? quietTurns : quietTurnsStirred
    for (let turn = 0; quiet < enough; turn++) {
      if (turn > turnsMax) throw new Error(`promises kept scheduling new events for ${turnsMax} turns at ${now} ms of virtual time`)
      await Promise.resolve()
      if (soon.length > 0) {
        drainSoon()
        quiet = 0
      } else quiet = seen === scheduled ? quiet + 1 : 0
      seen = scheduled
    }
  }

  /** @returns whether promises must play out before the next event. */
  function happen(): boolean {
    const event = queue.take()
    if (event === undefined) return false
    eventsThisInstant = event.atMs > now ? 1 : eventsThisInstant + 1
    if (eventsThisInstant > eventsPerInstantMax) throw new Error(`more than ${eventsPerInstantMax} events at ${now} ms of virtual time: something schedules itself without delay`)
    now = event.atMs
    happened++
    event.happen()
    drainSoon()
    return always || stirred || awaiting > 0
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
    for (let next = queue.earliestMs(); next !== undefined && next <= atMs; next = queue.earliestMs()) if (happen()) await settle()
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
      if (happen()) await settle()
    }
  }

  return {
    nowMs: () => now,
    wallMs: () => startWallMs + now,
    get events() {
      return happened
    },
    schedule: scheduleAt,
    soon: later,
    clockFor(nodeId, nodeInit = {}) {
      const life = createNodeClock({ nowMs: () => now, wallMs: () => startWallMs + now, add, cancel: (event) => queue.cancel(event), soon: later }, nodeInit)
      const ofNode = lives.get(nodeId) ?? new Set()
      lives.set(nodeId, ofNode.add(life))
      return life
    },
    kill(nodeId) {
      for (const life of lives.get(nodeId) ?? []) life.end()
      lives.delete(nodeId)
    },
    settle,
    stir() {
      stirred = true
    },
    awaited(promise) {
      awaiting++
      const done = (): void => {
        awaiting--
        stirred = true
      }
      promise.then(done, done)
      return promise
    },
    step: () => alone(async () => {
      if (queue.earliestMs() === undefined) return false
      if (happen()) await settle()
      return true
    }),
    runFor: (durationMs) => alone(() => runToInstant(now + durationMs)),
    runUntil: (target, runLimits = {}) => alone(() => (typeof target === 'number' ? runToInstant(target) : runToCondition(target, runLimits))),
  }
}
