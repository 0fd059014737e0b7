/**
 * The gate in front of one endpoint, shared by all calls of the node: a circuit breaker (Nygard, Release It!, 2007) and a rate gate.
 *
 * - After three failures in a row it is closed for 2 s; then one call goes through as a probe, and when that fails, too, it is closed for 4 s, 8 s, … at
 *   most 60 s. Who comes to a closed gate is told so at once, that it may go elsewhere.
 * - "Too many requests" holds all calls back until the endpoint wants to hear of any again, and halves how many may be under way; twenty
 *   answers in a row allow one more, at most `slots`. Calls that were sent before the endpoint said so change that no second time.
 *
 * Who makes the HTTP request enters; whoever only wants to know looks at `closedForMs` and `limit`.
 */
import type { Clock } from '../../actors/ports/clock.ts'
import type { Telemetry } from '../../actors/ports/telemetry.ts'
import { MeshError } from '../../protocols/kernel/errors.ts'
import type { Fault } from '../../protocols/kernel/errors.ts'
import type { DurationMs, InstantMs } from '../../protocols/kernel/units.ts'

const failuresInRowMax = 3
const closedMsMin: DurationMs = 2_000
const closedMsMax: DurationMs = 60_000
/** An endpoint that is overloaded and does not say for how long. */
const heldMsMin: DurationMs = 1_000
const heldMsMax: DurationMs = 60_000
const answersPerPlace = 20
const waitersMax = 4_096

export interface BreakerOptions {
  /** The endpoint, for people. */
  readonly name: string
  readonly clock: Pick<Clock, 'monotonicMs' | 'schedule'>
  /** Requests that may be under way at a time. */
  readonly slots: number
  /** A call is not kept waiting for longer than this because the endpoint is overloaded: it is refused instead. Default 30 s. */
  readonly patienceMs?: DurationMs
  readonly telemetry?: Telemetry
}

/**
 * Ends what `enter` has begun; to be called once, later calls do nothing.
 * @param fault why it failed: `provider-failed` counts against the endpoint, `overloaded` slows it down, `cancelled` says nothing; any other is an answer.
 */
export type Release = (fault?: Fault) => void

export interface Breaker {
  /**
   * Waits for a place.
   * @throws MeshError `provider-failed` when it is closed, `overloaded` when it would have to wait too long (both with `retryAfterMs`), `cancelled` by the signal.
   */
  enter(signal: AbortSignal): Promise<Release>
  /** How long no call will be let through; 0 when one may go now, or wait for a place. */
  closedForMs(): DurationMs
  /** How many requests may be under way now. */
  limit(): number
  /** Refuses whoever waits and whoever comes. */
  stop(): void
}

interface Waiter {
  readonly admit: (release: Release) => void
  readonly refuse: (why: MeshError) => void
}

export function createBreaker({ name, clock, slots, patienceMs = 30_000, telemetry }: BreakerOptions): Breaker {
  const waiters = new Set<Waiter>()
  let places = Math.max(1, slots)
  let underWay = 0
  let answers = 0
  let failuresInRow = 0
  let lastFailure = ''
  /** How often it was closed since it last let anything through; 0: it lets everybody through. */
  let closures = 0
  let closedUntilMs: InstantMs = -Infinity
  let isProbing = false
  let heldUntilMs: InstantMs = -Infinity
  let heldInRow = 0
  /** What was sent in an earlier round tells nothing about this one: they begin when the gate is closed, and when places are taken away. */
  let closeRound = 0
  let placeRound = 0
  let isStopped = false
  let cancelTimer: (() => void) | undefined

  function refusal(now: InstantMs): MeshError | undefined {
    if (isStopped) return new MeshError('cancelled', `the endpoint ${name} is not used any more`)
    if (now < closedUntilMs) {
      return new MeshError('provider-failed', `the endpoint ${name} failed again and again and is not asked now; the last time: ${lastFailure}`, { retryAfterMs: closedUntilMs - now, next: 'see whether it runs, or use another model' })
    }
    if (heldUntilMs - now > patienceMs) return new MeshError('overloaded', `the endpoint ${name} wants no requests for another ${Math.ceil((heldUntilMs - now) / 1_000)} s`, { retryAfterMs: heldUntilMs - now })
    return undefined
  }

  function hasPlace(now: InstantMs): boolean {
    return now >= heldUntilMs && underWay < places && !(closures > 0 && isProbing)
  }

  function admit(): Release {
    const [closedAtEntry, placesAtEntry, isProbe] = [closeRound, placeRound, closures > 0]
    underWay += 1
    if (isProbe) isProbing = true
    let isOver = false
    return (fault) => {
      if (isOver) return
      isOver = true
      underWay -= 1
      const isOfThisRound = closedAtEntry === closeRound
      if (isProbe && isOfThisRound) isProbing = false
      if (fault?.code === 'provider-failed') failed(fault, isOfThisRound, isProbe)
      else if (fault?.code !== 'cancelled') {
        if (isOfThisRound) alive()
        if (fault?.code === 'overloaded') overloaded(fault, placesAtEntry === placeRound)
        else answered()
      }
      letIn()
    }
  }

  function alive(): void {
    if (closures > 0) telemetry?.record({ name: 'models.endpoint-back', level: 'info', fields: { endpoint: name } })
    failuresInRow = 0
    closures = 0
  }

  function answered(): void {
    heldInRow = 0
    answers += 1
    if (answers < answersPerPlace) return
    answers = 0
    places = Math.min(Math.max(1, slots), places + 1)
  }

  function failed(fault: Fault, isOfThisRound: boolean, isProbe: boolean): void {
    answers = 0
    lastFailure = fault.detail
    if (fault.retryAfterMs !== undefined) hold(fault.retryAfterMs)
    if (!isOfThisRound) return
    failuresInRow += 1
    if (!isProbe && failuresInRow < failuresInRowMax) return
    const forMs = Math.min(closedMsMax, closedMsMin * 2 ** closures)
    closures += 1
    closeRound += 1
    isProbing = false
    failuresInRow = 0
    closedUntilMs = clock.monotonicMs() + forMs
    telemetry?.record({ name: 'models.endpoint-closed', level: 'warn', fields: { endpoint: name, forMs, detail: fault.detail } })
  }

  function overloaded(fault: Fault, isOfThisRound: boolean): void {
    answers = 0
    if (isOfThisRound) {
      places = Math.max(1, Math.floor(places / 2))
      placeRound += 1
      heldInRow += 1
    }
    const forMs = fault.retryAfterMs ?? Math.min(heldMsMax, heldMsMin * 2 ** Math.max(0, heldInRow - 1))
    hold(forMs)
    telemetry?.record({ name: 'models.endpoint-overloaded', level: 'warn', fields: { endpoint: name, forMs, places } })
  }

  function hold(forMs: DurationMs): void {
    heldUntilMs = Math.max(heldUntilMs, clock.monotonicMs() + forMs)
  }

  /** Whoever waits goes on, is refused, or waits for the next change. */
  function letIn(): void {
    const now = clock.monotonicMs()
    const why = refusal(now)
    for (const waiter of waiters) {
      if (why !== undefined) waiter.refuse(why)
      else if (hasPlace(now)) waiter.admit(admit())
      else break
    }
    cancelTimer?.()
    cancelTimer = waiters.size > 0 && now < heldUntilMs ? clock.schedule(heldUntilMs - now, letIn) : undefined
  }

  return {
    async enter(signal) {
      if (signal.aborted) throw givenUp()
      const why = refusal(clock.monotonicMs())
      if (why !== undefined) throw why
      if (waiters.size === 0 && hasPlace(clock.monotonicMs())) return admit()
      if (waiters.size >= waitersMax) throw new MeshError('overloaded', `${waitersMax} calls wait for the endpoint ${name}`, { retryAfterMs: heldMsMin })
      return new Promise<Release>((resolve, reject) => {
        const waiter: Waiter = {
          admit: (release) => {
            leave()
            resolve(release)
          },
          refuse: (fault) => {
            leave()
            reject(fault)
          },
        }
        const onAbort = (): void => waiter.refuse(givenUp())
        const leave = (): void => {
          waiters.delete(waiter)
          signal.removeEventListener('abort', onAbort)
        }
        signal.addEventListener('abort', onAbort)
        waiters.add(waiter)
        letIn()
      })
    },
    closedForMs: () => Math.max(0, closedUntilMs - clock.monotonicMs(), heldUntilMs - clock.monotonicMs()),
    limit: () => places,
    stop() {
      isStopped = true
      letIn()
    },
  }
}

function givenUp(): MeshError {
  return new MeshError('cancelled', 'the call was given up')
}
