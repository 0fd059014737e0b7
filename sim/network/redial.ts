/**
 * Lost connections are dialled again as the real node does it: the end with the lower peer id soon, the other after a grace;
 * then with a back-off that doubles up to half a minute, jittered by half in both directions, until too many attempts failed.
 */
import type { DurationMs } from '../../protocols/kernel/units.ts'
import type { VirtualClock } from '../virtual-clock.ts'
import { otherEnd, type Link, type Redialling, type Station } from './directory.ts'
import type { Dialling } from './dialling.ts'
import { nextFraction } from './noise.ts'
import { isObstructed } from './obstacles.ts'
import { give } from './wake.ts'

export interface RedialInit {
  readonly clock: VirtualClock
  readonly dialling: Dialling
  readonly connectionsAimed: number
}

export interface Redial {
  heardDown(link: Link, end: Station): void
  /** The pair is connected: nobody has to dial any more. */
  connected(link: Link): void
  /** A peer lives again: those that had it in mind go on. */
  joined(station: Station): void
}

const firstMs = 100
const graceMs = 600
const backoffMsMin = 250
const backoffMsMax = 30_000
/** A peer is forgotten after so many failures in a row (about twenty minutes). */
const attemptsMax = 45

export function createRedial({ clock, dialling, connectionsAimed }: RedialInit): Redial {
  const jitteredMs = (link: Link, delayMs: DurationMs): DurationMs => delayMs * (0.5 + nextFraction(link))

  function set(link: Link, end: Station, redialling: Redialling | undefined): void {
    if (link.low === end) link.redialLow = redialling
    else link.redialHigh = redialling
  }

  function isCurrent(redialling: Redialling): boolean {
    const { link, by, life } = redialling
    return life.alive && (link.low === by ? link.redialLow : link.redialHigh) === redialling
  }

  function attemptAfter(delayMs: DurationMs, redialling: Redialling): void {
    redialling.nextAtMs = clock.nowMs() + delayMs
    clock.schedule(delayMs, () => {
      if (isCurrent(redialling)) give(redialling.life, () => attempt(redialling))
    })
  }

  function backoffMs({ link, attempts }: Redialling): DurationMs {
    return jitteredMs(link, Math.min(backoffMsMin * 2 ** Math.min(attempts, 10), backoffMsMax))
  }

  function attempt(redialling: Redialling): void {
    const { link, by } = redialling
    if (!isCurrent(redialling)) return
    if (link.alive || by.connected >= connectionsAimed) return set(link, by, undefined)
    if (otherEnd(link, by).life === undefined && !isObstructed(link)) return failed(redialling)
    dialling.dial(link, (connected) => {
      if (isCurrent(redialling) && !connected) give(redialling.life, () => failed(redialling))
    })
  }

  function failed(redialling: Redialling): void {
    const { link, by } = redialling
    if (!isCurrent(redialling)) return
    if (++redialling.attempts >= attemptsMax) return set(link, by, undefined)
    const other = otherEnd(link, by)
    const delayMs = backoffMs(redialling)
    if (other.life !== undefined || isObstructed(link)) return attemptAfter(delayMs, redialling)
    // Nobody is there: the attempts until somebody is would all fail at once, so they are only counted, in `joined`.
    redialling.nextAtMs = clock.nowMs() + delayMs
    other.parked ??= []
    other.parked.push(redialling)
  }

  return {
    heardDown(link, end) {
      if (end.life === undefined || link.alive) return
      const redialling: Redialling = { link, by: end, life: end.life, attempts: 0, nextAtMs: 0 }
      set(link, end, redialling)
      attemptAfter(jitteredMs(link, firstMs) + (link.low === end ? 0 : graceMs), redialling)
    },
    connected(link) {
      link.redialLow = undefined
      link.redialHigh = undefined
    },
    joined(station) {
      const parked = station.parked ?? []
      station.parked = undefined
      for (const redialling of parked) {
        if (!isCurrent(redialling)) continue
        while (redialling.nextAtMs < clock.nowMs() && redialling.attempts < attemptsMax) {
          redialling.attempts++
          redialling.nextAtMs += backoffMs(redialling)
        }
        if (redialling.attempts >= attemptsMax) set(redialling.link, redialling.by, undefined)
        else attemptAfter(redialling.nextAtMs - clock.nowMs(), redialling)
      }
    },
  }
}
