/** How a leader brings each member's log to its own: pipelined appends, backing up where the logs differ, snapshots (Raft §5.3, §7). */
import type { Epoch, Incarnation, PeerId } from '../kernel/ids.ts'
import { limits } from '../kernel/limits.ts'
import type { Bytes, InstantMs } from '../kernel/units.ts'
import { adopt } from './raft-epochs.ts'
import { positionAt } from './raft-log.ts'
import { memberOf } from './raft-quorum.ts'
import { boxOf, compareWithOurs, send, type Follower, type Leading, type RaftState } from './raft-state.ts'
import type { LogEntry, LogPosition, LogSnapshot, RaftMessage } from './schema.ts'

type LogAppended = Extract<RaftMessage, { kind: 'log-appended' }>

/** @param next the first entry that it may lack. */
export function newFollower(incarnation: Incarnation, next: number, nowMs: InstantMs): Follower {
  return {
    incarnation, next, matched: 0, acknowledgedAtRound: Number.POSITIVE_INFINITY, probing: true, inFlight: [], sinceRound: 0, waitingSinceMs: nowMs, heardAtMs: nowMs,
    answeredRound: -1, answeredPulseMs: Number.NEGATIVE_INFINITY, commitSent: 0, owed: true, installing: false, offered: 0,
  }
}

/** Sends a member whatever it should get now. */
export function pushTo(state: RaftState, leading: Leading, peer: PeerId, follower: Follower, nowMs: InstantMs): void {
  if (state.disconnected.has(peer)) return
  if (follower.installing) {
    if (nowMs < follower.waitingSinceMs + limits.blobFetchTimeoutMs) return
    follower.installing = false
  }
  if (follower.inFlight.length > 0 && nowMs >= follower.waitingSinceMs + limits.appendRetryMs) startOver(leading, follower)
  for (;;) {
    if (follower.next <= state.base.index) return offerSnapshot(state, peer, follower, nowMs)
    const pausing = follower.inFlight.length >= (follower.probing ? 1 : limits.appendsInFlightMax)
    const more = !pausing && follower.next <= state.last.index
    if (!more && !follower.owed) return
    sendAppend(state, leading, peer, follower, more ? nextEntries(state, follower.next) : [], nowMs)
  }
}

function sendAppend(state: RaftState, leading: Leading, peer: PeerId, follower: Follower, entries: LogEntry[], nowMs: InstantMs): void {
  leading.round += 1
  if (follower.inFlight.length === 0) follower.waitingSinceMs = nowMs
  follower.inFlight.push(leading.round)
  follower.owed = false
  follower.commitSent = state.commit
  const previous = positionAt(state, follower.next - 1) as LogPosition
  follower.next += entries.length
  send(state, peer, { kind: 'log-append', ...from(state, follower), previous, entries, commit: state.commit, round: leading.round }, false)
}

function from(state: RaftState, { incarnation }: Follower) {
  return { group: state.init.group, as: state.init.incarnation, toward: incarnation, epoch: state.epoch as Epoch }
}

/** As many as fit, one at least. */
function nextEntries(state: RaftState, next: number): LogEntry[] {
  const first = next - state.base.index - 1
  let bytes = 0
  let end = first
  while (end < state.entries.length && end - first < limits.appendEntriesMax) {
    bytes += roughBytes((state.entries[end] as LogEntry).event)
    if (end > first && bytes > limits.appendBytesMax) break
    end += 1
  }
  return state.entries.slice(first, end)
}

/** About as much as the value takes on the wire. */
function roughBytes(value: unknown): Bytes {
  if (typeof value === 'string') return value.length + 3
  if (typeof value !== 'object' || value === null) return 9
  if (value instanceof Uint8Array) return value.length + 5
  let bytes = 5
  if (Array.isArray(value)) for (const inner of value) bytes += roughBytes(inner)
  else for (const key in value) bytes += key.length + 1 + roughBytes((value as Readonly<Record<string, unknown>>)[key])
  return bytes
}

/** What is under way to a member is given up; it is asked from where it is known to match. */
function startOver(leading: Leading, follower: Follower, next = follower.matched + 1): void {
  follower.inFlight = []
  follower.sinceRound = leading.round + 1
  follower.probing = true
  follower.next = next
  follower.owed = true
}

function offerSnapshot(state: RaftState, peer: PeerId, follower: Follower, nowMs: InstantMs): void {
  // Whoever answers our epoch must be able to find it on our disk again.
  if (state.epochPersist > state.synced) return
  follower.installing = true
  follower.offered = state.snapshot?.at.index ?? 0
  follower.waitingSinceMs = nowMs
  boxOf(state).needsSnapshot.push(peer)
}

/** Who has everything in our snapshot need not fold it again, and may forget what comes before it. The slowest has it last, maybe long after it was taken. */
export function offerToShorten(state: RaftState, peer: PeerId, follower: Follower): void {
  const end = state.snapshot?.at.index ?? 0
  if (follower.offered >= end || follower.matched < end || state.disconnected.has(peer) || state.epochPersist > state.synced) return
  follower.offered = end
  boxOf(state).needsSnapshot.push(peer)
}

/** @returns the message that brings a peer our snapshot; undefined when we do not lead it any more. */
export function installFor(state: RaftState, peer: PeerId, snapshot: LogSnapshot): RaftMessage | undefined {
  const follower = state.leading?.followers.get(peer)
  if (state.leading === undefined || follower === undefined) return undefined
  // Its answer is none to the appends that are under way: one of those may have been lost.
  const [oldest] = follower.inFlight
  const round = oldest === undefined ? (state.leading.round += 1) : oldest - 1
  return { kind: 'log-install', ...from(state, follower), snapshot, round }
}

export function onAppended(state: RaftState, peer: PeerId, answer: LogAppended, nowMs: InstantMs): void {
  const known = state.membership === undefined ? undefined : memberOf(state.membership, peer)
  if (known === undefined) return
  if (known.incarnation !== answer.as) {
    boxOf(state).strangers.push({ peer, why: 'answers-as-another' })
    return
  }
  const newer = compareWithOurs(state, answer.epoch)
  if (newer > 0) return adopt(state, answer.epoch, nowMs)
  const { leading } = state
  const follower = leading?.followers.get(peer)
  if (newer < 0 || leading === undefined || follower === undefined || (answer.ok && answer.matched > state.last.index)) return
  follower.heardAtMs = nowMs
  follower.answeredRound = Math.max(follower.answeredRound, answer.round)
  if (!answer.ok) return backUp(state, leading, peer, follower, answer)
  follower.inFlight = follower.inFlight.filter((round) => round > answer.round)
  follower.waitingSinceMs = nowMs
  follower.probing = false
  if (answer.matched > follower.matched) {
    follower.matched = answer.matched
    follower.acknowledgedAtRound = leading.round
    leading.moved = true
    // It has a snapshot now; if that is too old by now, it gets the next one.
    follower.installing = false
  }
  if (follower.next <= follower.matched) follower.next = follower.matched + 1
  offerToShorten(state, peer, follower)
}

/** The logs differ before what was sent: the member says where to try next. */
function backUp(state: RaftState, leading: Leading, peer: PeerId, follower: Follower, { round, matched }: LogAppended): void {
  if (follower.inFlight.length > 0 && round < follower.sinceRound) return
  if (follower.installing) return
  // It was asked after it had acknowledged more than it has now: its disk was put back to an older copy, votes and all.
  if (matched < follower.matched && round > follower.acknowledgedAtRound) boxOf(state).strangers.push({ peer, why: 'lost-what-it-held' })
  startOver(leading, follower, Math.max(follower.matched, Math.min(matched, state.last.index)) + 1)
}

/** The connection is back, or gone: what was under way is lost. */
export function onConnection(leading: Leading, peer: PeerId): void {
  const follower = leading.followers.get(peer)
  if (follower === undefined) return
  follower.installing = false
  startOver(leading, follower)
}
