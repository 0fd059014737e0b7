/**
 * The newest head of every group, kept a second time outside the log's own files: what the database is measured against.
 *
 * A write goes to both at once and is acknowledged when both have synced it; the next one begins after that. So a crash
 * leaves the two at most one write apart, and that write was promised to nobody: what only the watermark has is taken
 * back, what only the database has is kept. Any other difference is loss. That a write is in both is noted by the next one,
 * or once the store has been idle for some milliseconds: a disk that loses a synced write right after it was acknowledged,
 * in the moment of a crash, is not found out.
 */
import { canonicalJson } from '../kernel/hashing.ts'
import type { GroupId, Incarnation } from '../kernel/ids.ts'
import type { LogHead } from './schema.ts'

/** What is promised about one group. */
export interface Promised {
  readonly head: LogHead
  /** The watermark could not vouch for it once: its copy is damaged until it is wiped. */
  readonly suspect: boolean
}

/** One write, as far as the watermark is concerned. */
export interface WatermarkRecord {
  readonly number: number
  readonly heads: readonly LogHead[]
  /** Copies that began anew in this write: no older suspicion is theirs. */
  readonly wiped: readonly GroupId[]
  readonly removed: readonly GroupId[]
}

/** A watermark as it was read back. */
export interface Watermark {
  readonly incarnation: Incarnation
  /** The newest write that was acknowledged for certain. */
  readonly number: number
  readonly promises: ReadonlyMap<GroupId, Promised>
  /** The write after it: nobody noted that the database has it too. */
  readonly unconfirmed?: WatermarkRecord | undefined
}

/** What the database says of itself. */
export interface DatabaseMark {
  /** Of its newest write. */
  readonly number: number
  /** The heads that this write has set, and what it has removed. */
  readonly newest: WatermarkRecord
}

export interface Reconciled {
  readonly number: number
  readonly promises: Map<GroupId, Promised>
  /** The watermark is behind the database by writes that were acknowledged: it vouches for nothing. */
  readonly isBehind: boolean
}

/** Mutates `promises`. */
export function applyRecord(promises: Map<GroupId, Promised>, { heads, wiped, removed }: Omit<WatermarkRecord, 'number'>): void {
  for (const group of removed) promises.delete(group)
  const anew = wiped.length === 0 ? undefined : new Set(wiped)
  for (const head of heads) promises.set(head.group, { head, suspect: anew?.has(head.group) !== true && promises.get(head.group)?.suspect === true })
}

/** What was promised for certain, whichever of the two a crash has left behind. */
export function reconcile(watermark: Watermark, database: DatabaseMark): Reconciled {
  const promises = new Map(watermark.promises)
  let { number } = watermark
  const { unconfirmed } = watermark
  // Only a database that lacks nothing but this write may say that it was never finished.
  if (unconfirmed !== undefined && database.number !== number) {
    applyRecord(promises, unconfirmed)
    number = unconfirmed.number
  }
  if (database.number === number + 1) {
    applyRecord(promises, database.newest)
    number = database.number
  }
  return { number: Math.max(number, database.number), promises, isBehind: database.number > number }
}

/**
 * The promises when the watermark does not vouch: the database's own heads. Copies that others may count on are suspect,
 * as nobody knows what else they had promised, unless the watermark still says the same of them.
 */
export function unvouched(promises: ReadonlyMap<GroupId, Promised>, heads: Iterable<LogHead>): Map<GroupId, Promised> {
  const all = new Map(promises)
  for (const head of heads) {
    const known = promises.get(head.group)
    if (known === undefined || canonicalJson(known.head) !== canonicalJson(head)) all.set(head.group, { head, suspect: known?.suspect === true || hasOtherVoters(head) })
  }
  return all
}

/** A copy that knows of no members may be anybody's. */
export function hasOtherVoters({ membership }: LogHead): boolean {
  return membership === undefined || new Set([...membership.voters, ...(membership.outgoing ?? [])].map(({ peer }) => peer)).size > 1
}
