/** The log in memory: what follows the base, and which membership it says is in force. */
import { invariant } from '../kernel/errors.ts'
import type { Membership } from '../membership/schema.ts'
import { logOrigin, positionOf } from './chain.ts'
import { decides } from './raft-quorum.ts'
import { boxOf, selfOf, type RaftState } from './raft-state.ts'
import type { LogEntry, LogPosition } from './schema.ts'

export function entryAt(state: RaftState, index: number): LogEntry | undefined {
  return state.entries[index - state.base.index - 1]
}

/** The place of an entry that is in memory, or of the one before them. */
export function positionAt(state: RaftState, index: number): LogPosition | undefined {
  if (index === state.base.index) return state.base
  const entry = entryAt(state, index)
  return entry === undefined ? undefined : positionOf(entry)
}

/** The entries are in the log, in force and to be persisted. */
export function appendToLog(state: RaftState, entries: readonly LogEntry[]): void {
  const box = boxOf(state)
  box.dirty = true
  for (const entry of entries) {
    invariant(entry.index === state.last.index + 1, 'entries are numbered without a gap')
    state.entries.push(entry)
    box.entries.push(entry)
    state.last = positionOf(entry)
    if (entry.event.type !== 'members') continue
    state.membership = entry.event.membership
    state.membershipIndex = entry.index
  }
}

export function truncateLog(state: RaftState, from: number): void {
  invariant(from > state.base.index && (state.snapshot === undefined || from > state.snapshot.at.index), 'what is folded into a snapshot is not truncated')
  const box = boxOf(state)
  invariant(box.entries.length === 0, 'a step truncates before it appends')
  box.dirty = true
  box.truncateFrom = Math.min(from, box.truncateFrom ?? from)
  state.entries.length = from - state.base.index - 1
  state.last = positionAt(state, from - 1) as LogPosition
  state.syncedIndex = Math.min(state.syncedIndex, from - 1)
  for (const write of state.unsynced) write.index = Math.min(write.index, from - 1)
  if (state.membershipIndex >= from) readMembership(state)
}

/** The newest membership in the log, by looking. */
export function readMembership(state: RaftState): void {
  const { membership, index } = membershipUpTo(state, state.last.index)
  state.membership = membership
  state.membershipIndex = index
}

function membershipUpTo(state: RaftState, upTo: number): { readonly membership: Membership | undefined; readonly index: number } {
  const folded = state.snapshot?.at.index ?? 0
  for (let index = upTo; index > Math.max(folded, state.base.index); index--) {
    const event = entryAt(state, index)?.event
    if (event?.type === 'members') return { membership: event.membership, index }
  }
  return { membership: state.snapshot?.membership, index: folded }
}

/**
 * Only voters lead: also one that leaves, until that is committed, for the others may not have heard yet (thesis §4.2.2).
 * And nobody carries the log of an older lineage into a newer one.
 */
export function mayCampaign(state: RaftState): boolean {
  const { membership, membershipIndex, commit, last, epoch } = state
  if (membership === undefined || epoch?.lineage !== last.epoch?.lineage) return false
  if (decides(membership, selfOf(state))) return true
  const before = membershipIndex > commit ? membershipUpTo(state, membershipIndex - 1).membership : undefined
  return before !== undefined && decides(before, selfOf(state))
}

/** Everything in the log is given up; what was promised in votes stays. */
export function emptyLog(state: RaftState): void {
  const box = boxOf(state)
  box.dirty = true
  box.wipe = true
  Object.assign(state, { snapshot: undefined, base: logOrigin, entries: [], last: logOrigin, commit: 0, membership: undefined, membershipIndex: 0, syncedIndex: 0 })
  for (const write of state.unsynced) write.index = 0
}

/** Drops from memory what lies before an index. */
export function forgetBelow(state: RaftState, dropBelow: number): void {
  const drop = Math.min(dropBelow - 1 - state.base.index, state.entries.length)
  if (drop <= 0) return
  state.base = positionOf(state.entries[drop - 1] as LogEntry)
  state.entries.splice(0, drop)
}

export function moveCommit(state: RaftState, to: number): void {
  if (to <= state.commit) return
  const box = boxOf(state)
  box.committed = { from: box.committed?.from ?? state.commit, to }
  state.commit = to
}
