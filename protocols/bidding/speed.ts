/** What a participant has measured of itself, and the honest estimate it makes from that. */
import type { BidBreakdown, Call } from './schema.ts'

interface Measured {
  msPerEffort: number
  samples: number
}

/** By `capability@version`. */
export type SpeedBook = Map<string, Measured>

/** What a first run is guessed to take, until one was measured. */
const firstGuessMs = 1_000
/** Bytes per millisecond that a fetch is guessed to reach until one was measured: 50 MB/s. */
const transferGuessBytesPerMs = 50_000
const smoothing = 0.3

export function speedKey(capability: string, version: string): string {
  return `${capability}@${version}`
}

/** Exponentially weighted, so that a machine that got slower is believed within a few runs. */
export function learnSpeed(book: SpeedBook, key: string, effort: number, runMs: number): void {
  // A clock that was set back must not make a promise that nobody can read.
  const observed = Math.max(0, runMs) / effort
  const before = book.get(key)
  if (before === undefined) book.set(key, { msPerEffort: observed, samples: 1 })
  else book.set(key, { msPerEffort: before.msPerEffort + smoothing * (observed - before.msPerEffort), samples: before.samples + 1 })
}

/**
 * @param waitingAhead awards that run or wait before this one would start, beyond the slots.
 * @param locality share of the input that is already here.
 */
export function estimate(book: SpeedBook, key: string, call: Call, waitingAhead: number, slots: number, locality: number): BidBreakdown {
  const measured = book.get(key)
  const runMs = measured === undefined ? firstGuessMs : measured.msPerEffort * call.effort
  return {
    queueMs: slots > 0 ? (waitingAhead / slots) * runMs : 0,
    warmUpMs: measured === undefined ? 50 : 0,
    transferMs: (call.inputBytes * (1 - locality)) / transferGuessBytesPerMs,
    runMs,
    samples: measured?.samples ?? 0,
  }
}
