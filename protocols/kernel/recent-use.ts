/** When content was stored, asked for or read last: what was in use a moment ago may be about to be cited, and is not freed. */
import type { Digest } from './ids.ts'
import type { DurationMs, InstantMs } from './units.ts'

export interface LastUse {
  readonly digest: Digest
  readonly usedAtMs: InstantMs
}

export interface RecentUse {
  /** Instants of successive calls do not go back. */
  touch(digest: Digest, nowMs: InstantMs): void
  forget(digest: Digest): void
  knows(digest: Digest): boolean
  /** How long it has surely not been used; 0 for what nothing is known of. */
  idleForMs(digest: Digest, nowMs: InstantMs): DurationMs
  /** At most `max` that have not been used since `untilMs`, unused for longest first: of all, or of those that come after `after`. */
  unusedSince(untilMs: InstantMs, max: number, after?: LastUse): LastUse[]
}

export function createRecentUse(): RecentUse {
  // A Map iterates in the order of insertion: the first key is the one unused for longest.
  const usedAtMs = new Map<Digest, InstantMs>()
  return {
    touch(digest, nowMs) {
      usedAtMs.delete(digest)
      usedAtMs.set(digest, nowMs)
    },
    forget: (digest) => void usedAtMs.delete(digest),
    knows: (digest) => usedAtMs.has(digest),
    idleForMs: (digest, nowMs) => nowMs - (usedAtMs.get(digest) ?? nowMs),
    unusedSince(untilMs, max, after) {
      let found: LastUse[] = []
      for (const [digest, atMs] of usedAtMs) {
        if (atMs > untilMs || found.length >= max) break
        if (after !== undefined && atMs < after.usedAtMs) continue
        // Several were last used at one instant: those up to `after` are not wanted again, unless it has gone meanwhile.
        if (digest === after?.digest) found = []
        else found.push({ digest, usedAtMs: atMs })
      }
      return found
    },
  }
}
