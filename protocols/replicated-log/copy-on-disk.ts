/** Whether the copy of a log that was found on a disk is the one that was promised. */
import { fault, invariant, type Fault } from '../kernel/errors.ts'
import { canonicalJson } from '../kernel/hashing.ts'
import { compareEpochs, type GroupId } from '../kernel/ids.ts'
import { logOrigin, positionOf, verifyLog } from './chain.ts'
import type { GroupWrite, LogEntry, LogHead, LogPosition, LogSnapshot } from './schema.ts'
import type { Promised } from './watermark.ts'

/** What was there and could not be read. */
export interface Unreadable {
  readonly unreadable: string
}

export interface CopyOnDisk {
  readonly group: GroupId
  /** By the watermark; absent for a group that it does not know: that one was removed. */
  readonly promised: Promised | undefined
  /** What the database has. */
  readonly head: LogHead | Unreadable | undefined
  readonly snapshot: LogSnapshot | Unreadable | undefined
  /** Those that could be read, in order. */
  readonly entries: readonly LogEntry[]
}

export interface JudgedCopy {
  readonly head: LogHead
  readonly snapshot?: LogSnapshot
  readonly entries: readonly LogEntry[]
  readonly damage?: Fault
}

/** Of `verifyLog`'s shape: whoever knows a part to be sound already leaves that out. */
export type VerifyChain = (group: GroupId, entries: readonly LogEntry[], from: LogPosition, head: { readonly index: number; readonly chain: string }) => Fault | undefined

export function isUnreadable(value: object | undefined): value is Unreadable {
  return value !== undefined && 'unreadable' in value
}

/** @returns undefined for a copy that nothing was promised about: it has been removed, whatever the database still has of it. */
function judgeHead(copy: Pick<CopyOnDisk, 'group' | 'promised' | 'head'>): { readonly head: LogHead; readonly damage?: Fault } | undefined {
  const { group, promised, head } = copy
  if (promised === undefined) return undefined
  if (head === undefined) return { head: promised.head, damage: damaged(group, 'its head is missing') }
  if (isUnreadable(head)) return { head: promised.head, damage: damaged(group, `its head cannot be read: ${head.unreadable}`) }
  if (head !== promised.head && canonicalJson(head) !== canonicalJson(promised.head)) return { head: newerOf(promised.head, head), damage: damaged(group, `it says ${placeOf(head)}, and ${placeOf(promised.head)} was promised`) }
  return promised.suspect ? { head, damage: damaged(group, 'nothing vouches for it, as the watermark outside the log was lost') } : { head }
}

/** Entries to verify, and from where. What lies above the head was torn, and is dropped. */
function partsToVerify(head: LogHead, snapshot: LogSnapshot | undefined, all: readonly LogEntry[]): { readonly entries: readonly LogEntry[]; readonly from: LogPosition; readonly rest: readonly LogEntry[] } {
  const firstAbove = all.findIndex(({ index }) => index > head.last.index)
  const entries = firstAbove < 0 ? all : all.slice(0, firstAbove)
  const first = entries[0]
  const start = snapshot?.at ?? logOrigin
  // Below a snapshot the first entry that is left has nothing to be measured against: it is taken as it is, and leads on to the others.
  if (first !== undefined && first.index <= start.index) return { entries, from: positionOf(first), rest: entries.slice(1) }
  return { entries, from: start, rest: entries }
}

/** The place of the snapshot must be in the entries that are still there around it. */
function snapshotFits(group: GroupId, snapshot: LogSnapshot | undefined, entries: readonly LogEntry[]): Fault | undefined {
  if (snapshot === undefined) return undefined
  const first = entries[0]
  const there = first === undefined ? undefined : entries[snapshot.at.index - first.index]
  return there === undefined || there.chain === snapshot.at.chain ? undefined : damaged(group, `its snapshot is of another entry ${snapshot.at.index}`)
}

/** A copy whose chain is still to be verified: `rest` after `from`, up to `head.last`. */
export interface CopyToVerify extends Pick<CopyOnDisk, 'group' | 'snapshot'> {
  readonly head: LogHead
  readonly entries: readonly LogEntry[]
  readonly rest: readonly LogEntry[]
  readonly from: LogPosition
  /** Found already: the chain need not be looked at. */
  readonly damage: Fault | undefined
}

/** @returns undefined for a copy that was removed. */
export function copyToVerify(copy: CopyOnDisk): CopyToVerify | undefined {
  const judged = judgeHead(copy)
  if (judged === undefined) return undefined
  const { group, snapshot } = copy
  const parts = partsToVerify(judged.head, snapshot === undefined || isUnreadable(snapshot) ? undefined : snapshot, copy.entries)
  return { group, snapshot, head: judged.head, ...parts, damage: judged.damage ?? (isUnreadable(snapshot) ? damaged(group, `its snapshot cannot be read: ${snapshot.unreadable}`) : undefined) }
}

/** @param ofChain what is wrong with its chain, if anything is. What is damaged is returned as it is. */
export function judged(copy: CopyToVerify, ofChain: Fault | undefined): JudgedCopy {
  const { group, head, entries } = copy
  const snapshot = copy.snapshot === undefined || isUnreadable(copy.snapshot) ? undefined : copy.snapshot
  const damage = copy.damage ?? ofChain ?? snapshotFits(group, snapshot, entries)
  return { head, entries, ...(snapshot === undefined ? {} : { snapshot }), ...(damage === undefined ? {} : { damage }) }
}

/** All at once, where that does not take long. */
export function judgeCopy(copy: CopyOnDisk, verify: VerifyChain = verifyLog): JudgedCopy | undefined {
  const found = copyToVerify(copy)
  return found === undefined ? undefined : judged(found, found.damage === undefined ? verify(found.group, found.rest, found.from, found.head.last) : undefined)
}

function newerOf(left: LogHead, right: LogHead): LogHead {
  const byEpoch = left.epoch === undefined ? -1 : right.epoch === undefined ? 1 : compareEpochs(left.epoch, right.epoch)
  if (byEpoch !== 0 && (left.epoch !== undefined || right.epoch !== undefined)) return byEpoch > 0 ? left : right
  if (left.last.index !== right.last.index) return left.last.index > right.last.index ? left : right
  return left.votedFor === undefined ? right : left
}

function placeOf({ last, epoch, votedFor }: LogHead): string {
  return `entry ${last.index}, epoch ${epoch === undefined ? 'none' : `${epoch.lineage}.${epoch.term}`}${votedFor === undefined ? '' : ` with a vote for ${votedFor}`}`
}

function damaged(group: GroupId, what: string): Fault {
  return fault('storage-failed', `the log of ${group} is damaged: ${what}`, { next: 'if no other node keeps it, restore the data directory from a copy; the other logs are not affected', retryable: false })
}

/** Of one write: what is written and removed at once would be gone. @throws when a group is both. */
export function assertApart(writes: readonly Pick<GroupWrite, 'head'>[], removed: readonly GroupId[]): void {
  if (removed.length === 0) return
  const gone = new Set(removed)
  const both = writes.find(({ head }) => gone.has(head.group))
  invariant(both === undefined, `one write does not remove what it writes: ${both?.head.group}`)
}
