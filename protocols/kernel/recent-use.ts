/** When content was stored, asked for or read last: what was in use a moment ago may be about to be cited, and is not freed. */
import type { Digest } from './ids.ts'
import type { DurationMs, InstantMs } from './units.ts'

export interface RecentUse {
  touch(digest: Digest, nowMs: InstantMs): void
  /** How long it has surely not been used. What nothing is known of counts from the beginning, or from the oldest that had to be forgotten. */
  idleForMs(digest: Digest, nowMs: InstantMs): DurationMs
}

export function createRecentUse(startedAtMs: InstantMs, keptMax: number): RecentUse {
  const usedAtMs = new Map<Digest, InstantMs>()
  let floorMs = startedAtMs
  return {
    touch(digest, nowMs) {
      usedAtMs.delete(digest)
      usedAtMs.set(digest, nowMs)
      const [oldest] = usedAtMs
      if (usedAtMs.size <= keptMax || oldest === undefined) return
      usedAtMs.delete(oldest[0])
      floorMs = Math.max(floorMs, oldest[1])
    },
    idleForMs: (digest, nowMs) => nowMs - Math.max(floorMs, usedAtMs.get(digest) ?? floorMs),
  }
}
