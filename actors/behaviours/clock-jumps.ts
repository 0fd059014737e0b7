/**
 * Keys and archives are kept until a time on the wall clock, by whatever node lets go of them: one clock that is set wrong for a
 * moment must not free them early. So it has to have run evenly, measured by the clock that nobody can set, since the last look.
 */
import { limits } from '../../protocols/kernel/limits.ts'
import type { DurationMs, InstantMs, WallMs } from '../../protocols/kernel/units.ts'

/** Both clocks at one instant. */
export interface ClockReading {
  readonly nowMs: InstantMs
  readonly wallMs: WallMs
}

export function readClocks({ nowMs, wallMs }: ClockReading): ClockReading {
  return { nowMs, wallMs }
}

/** @returns how far the wall clock was set since an earlier reading, in either direction; undefined if it was not, but for what clocks are commonly corrected by. */
export function clockJump(since: ClockReading, now: ClockReading): DurationMs | undefined {
  const jumpMs = now.wallMs - since.wallMs - (now.nowMs - since.nowMs)
  return Math.abs(jumpMs) > limits.clockJumpMsMax ? jumpMs : undefined
}
