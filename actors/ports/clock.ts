import type { DurationMs, InstantMs, WallMs } from '../../protocols/kernel/units.ts'

export interface Clock {
  /** Never goes back, stops counting for nothing; only differences mean something. */
  monotonicMs(): InstantMs
  /** For signed expiry and what people see; may jump. */
  wallMs(): WallMs
  /** Calls `callback` once after `delayMs`. @returns a function that cancels it. */
  schedule(delayMs: DurationMs, callback: () => void): () => void
  /** Calls `callback` once after the present turn, before anything scheduled. */
  soon(callback: () => void): void
}
