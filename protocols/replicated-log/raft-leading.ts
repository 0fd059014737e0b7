/** What a leader decides: opening its epoch, committing, checking that it is followed, handing on (Raft §5.3, §5.4.2; thesis §3.10, §4.2.2, §6.2). */
import { fault } from '../kernel/errors.ts'
import type { Epoch, PeerId } from '../kernel/ids.ts'
import { limits } from '../kernel/limits.ts'
import type { InstantMs } from '../kernel/units.ts'
import type { Member } from '../membership/schema.ts'
import { extend } from './chain.ts'
import { fenced, follow } from './raft-epochs.ts'
import type { RaftNow } from './raft-io.ts'
import { agreedValue, decides, eachMember, memberOf, unsafeChange } from './raft-quorum.ts'
import { onBarrier, settleReads } from './raft-reads.ts'
import { newFollower, pushTo } from './raft-replication.ts'
import { appendToLog, moveCommit } from './raft-log.ts'
import { boxOf, drawElection, sameEpoch, selfOf, send, type Follower, type Leading, type RaftState } from './raft-state.ts'
import type { LogEntry, LogRecord } from './schema.ts'

/** Elected: the epoch is opened with an entry of its own, which commits everything before it. */
export function lead(state: RaftState, now: RaftNow): void {
  const epoch = state.epoch as Epoch
  openEpoch(state, [{ type: 'took-over', atWallMs: now.wallMs, epoch, owner: state.init.self }], now)
}

/** Leads from now on; `records` are the first entries of the epoch. */
export function openEpoch(state: RaftState, records: readonly LogRecord[], now: RaftNow): void {
  const epoch = state.epoch as Epoch
  const entries = extend(state.last, epoch, records)
  const openedAt = state.last.index + 1
  state.role = 'leader'
  state.campaign = undefined
  state.leader = state.init.self
  state.leaderLost = false
  state.hurriedTries = 0
  state.leading = {
    openedAt, followers: new Map(), round: 0, appends: [], reads: [], readRound: -1, moved: true,
    commitDueAtMs: Number.POSITIVE_INFINITY, checkAtMs: now.nowMs + state.init.electionMsMax, transfer: undefined, held: [], handOnAtMs: now.nowMs,
  }
  appendToLog(state, entries)
  meetMembers(state, state.leading, openedAt, now.nowMs)
  boxOf(state).role = { became: 'leads', epoch, openedAt }
}

/** Whoever is a member now is followed up. Those that are no more hear of it once it is committed. */
function meetMembers(state: RaftState, leading: Leading, next: number, nowMs: InstantMs): void {
  if (state.membership === undefined) return
  eachMember(state.membership, (member) => {
    if (member.peer === state.init.self || leading.followers.get(member.peer)?.incarnation === member.incarnation) return
    leading.followers.set(member.peer, newFollower(member.incarnation, next, nowMs))
  })
  leading.moved = true
  leading.checkAtMs = nowMs
}

export function onHostAppend(state: RaftState, tag: string, entries: readonly LogEntry[], nowMs: InstantMs): void {
  const { settled } = boxOf(state)
  const { leading } = state
  if (leading === undefined) {
    settled.push({ tag, fault: fenced(state, 'this node does not lead the log') })
    return
  }
  if (leading.transfer?.told === true) {
    leading.held.push({ tag, entries })
    return
  }
  const refused = unfit(state, leading, entries)
  if (refused !== undefined) {
    settled.push({ tag, fault: refused })
    return
  }
  const membershipIndex = state.membershipIndex
  appendToLog(state, entries)
  if (state.membershipIndex !== membershipIndex) meetMembers(state, leading, state.last.index + 1, nowMs)
  leading.appends.push({ tag, index: state.last.index })
  leading.moved = true
}

/** Why these entries cannot be the next ones. */
function unfit(state: RaftState, leading: Leading, entries: readonly LogEntry[]) {
  let { index } = state.last
  let membership = state.membership
  let changes = 0
  for (const entry of entries) {
    if (!sameEpoch(entry.epoch, state.epoch)) return fenced(state, 'the entries are of another epoch than the one this node leads under')
    index += 1
    // The chain is not computed again: the host on this node has just done so, and every follower will.
    if (entry.index !== index) return fault('wrong-state', `${state.init.group}: entry ${entry.index} does not continue the log, which ends at ${state.last.index}`)
    if (entry.event.type !== 'members') continue
    changes += 1
    const next = entry.event.membership
    const pending = state.membershipIndex > state.commit || changes > 1
    // Before an entry of this epoch is committed, an older leader's change may still be about to be (the flaw of single-server changes, 2015).
    if (pending || state.commit < leading.openedAt) return fault('wrong-state', `${state.init.group}: the members change one step at a time, and the last step is not committed yet`, { retryable: true })
    const unsafe = membership === undefined ? undefined : unsafeChange(membership, next)
    if (unsafe !== undefined) return fault('wrong-state', `${state.init.group}: ${unsafe}`)
    membership = next
  }
  return undefined
}

/** After every step of a leader: whatever follows from it. */
export function attend(state: RaftState, leading: Leading, now: RaftNow): void {
  const { nowMs } = now
  if (leading.transfer !== undefined) giveUpTransfer(state, leading, leading.transfer, nowMs)
  if (nowMs >= leading.checkAtMs && !checkQuorum(state, leading, nowMs)) return
  if (leading.moved) advanceCommit(state, leading, nowMs)
  if (state.leading !== leading) return
  if (leading.reads.length > 0) settleReads(state, leading)
  if (nowMs >= leading.commitDueAtMs) tellCommit(state, leading)
  if (!state.init.likesToLead) handOn(state, leading, nowMs)
  for (const [peer, follower] of leading.followers) pushTo(state, leading, peer, follower, nowMs)
  if (leading.transfer !== undefined) transferOn(state, leading, leading.transfer)
}

/** Raft §5.4.2: by counting, only entries of the leader's own epoch; those before them with them. */
function advanceCommit(state: RaftState, leading: Leading, nowMs: InstantMs): void {
  const { membership } = state
  leading.moved = false
  // By members that a crash could make this leader forget nothing is decided yet.
  if (membership === undefined || state.membershipIndex > state.syncedIndex) return
  const index = agreedValue(membership, (member) => matchedOf(state, leading, member))
  if (index <= state.commit || index < leading.openedAt) return
  const changedAt = state.commit < state.membershipIndex && state.membershipIndex <= index
  moveCommit(state, index)
  while (leading.appends[0] !== undefined && leading.appends[0].index <= index) boxOf(state).settled.push({ tag: (leading.appends.shift() as { tag: string }).tag })
  if (leading.commitDueAtMs === Number.POSITIVE_INFINITY && leading.followers.size > 0) leading.commitDueAtMs = nowMs + (state.init.commitToldMs ?? limits.groupPulseMs)
  if (changedAt) membersSettled(state, leading, nowMs)
}

function matchedOf(state: RaftState, leading: Leading, member: Member): number {
  if (member.peer === state.init.self) return member.incarnation === state.init.incarnation ? state.syncedIndex : 0
  const follower = leading.followers.get(member.peer)
  return follower?.incarnation === member.incarnation ? follower.matched : 0
}

/** A change of the members is committed: those that left hear of it, and if this leader is one of them, it leaves. */
function membersSettled(state: RaftState, leading: Leading, nowMs: InstantMs): void {
  const { membership } = state
  if (membership === undefined) return
  for (const [peer, follower] of leading.followers) {
    if (memberOf(membership, peer) !== undefined) continue
    follower.owed = true
    pushTo(state, leading, peer, follower, nowMs)
    leading.followers.delete(peer)
  }
  if (!decides(membership, selfOf(state))) resign(state, leading, nowMs)
}

/** Thesis §6.2: a leader that no majority answers would keep its clients waiting for nothing. */
function checkQuorum(state: RaftState, leading: Leading, nowMs: InstantMs): boolean {
  const { membership, init } = state
  if (membership === undefined) return true
  const heardAtMs = agreedValue(membership, ({ peer }) => (peer === init.self ? Number.POSITIVE_INFINITY : (leading.followers.get(peer)?.heardAtMs ?? Number.NEGATIVE_INFINITY)))
  // Whoever is often heard late is waited for.
  const patienceMs = [...leading.followers.keys()].reduce((most, peer) => Math.max(most, init.silenceMs?.(peer) ?? 0), init.electionMsMax)
  leading.checkAtMs = heardAtMs + patienceMs
  if (nowMs < leading.checkAtMs) return true
  follow(state, undefined, nowMs)
  state.electionAtMs = nowMs + drawElection(state)
  return false
}

/** Followers learn of a commit with the next append; when there is none, with an empty one. */
function tellCommit(state: RaftState, leading: Leading): void {
  leading.commitDueAtMs = Number.POSITIVE_INFINITY
  for (const follower of leading.followers.values()) if (follower.commitSent < state.commit) follower.owed = true
}

// ---- handing on -----------------------------------------------------------------------------------------------------

/** The voter that could lead soonest: connected, heard recently, furthest. */
function successor(state: RaftState, leading: Leading, nowMs: InstantMs): { readonly peer: PeerId; readonly follower: Follower } | undefined {
  let best: { readonly peer: PeerId; readonly follower: Follower } | undefined
  for (const { peer } of state.membership?.voters ?? []) {
    const follower = leading.followers.get(peer)
    if (follower === undefined || state.disconnected.has(peer) || nowMs - follower.heardAtMs >= state.init.electionMsMax) continue
    if (best === undefined || follower.matched > best.follower.matched) best = { peer, follower }
  }
  return best
}

/** Thesis §3.10: once the target has what was there when it was chosen, and the rest is on its way, it is told to ask for votes. */
export function transfer(state: RaftState, leading: Leading, nowMs: InstantMs): void {
  const target = successor(state, leading, nowMs)
  if (target === undefined || leading.transfer !== undefined) return
  leading.transfer = { target: target.peer, index: state.last.index, untilMs: nowMs + state.init.electionMsMax, told: false }
}

/** Nobody took over in time: this leader goes on, with what was held back. */
function giveUpTransfer(state: RaftState, leading: Leading, { target, untilMs }: NonNullable<Leading['transfer']>, nowMs: InstantMs): void {
  if (nowMs < untilMs && leading.followers.has(target) && !state.disconnected.has(target)) return
  leading.transfer = undefined
  for (const { tag, entries } of leading.held.splice(0)) {
    if (entries === undefined) onBarrier(state, tag, nowMs)
    else onHostAppend(state, tag, entries, nowMs)
  }
}

function transferOn(state: RaftState, leading: Leading, { target, index, untilMs, told }: NonNullable<Leading['transfer']>): void {
  const follower = leading.followers.get(target)
  if (follower === undefined || told || follower.matched < index || follower.next <= state.last.index) return
  leading.transfer = { target, index, untilMs, told: true }
  tellToLead(state, target, follower)
}

function handOn(state: RaftState, leading: Leading, nowMs: InstantMs): void {
  if (leading.transfer !== undefined || nowMs < leading.handOnAtMs || state.commit < leading.openedAt) return
  const next = successor(state, leading, nowMs)
  if (next === undefined || next.follower.matched < state.last.index) return
  leading.handOnAtMs = nowMs + 2 * state.init.electionMsMax
  transfer(state, leading, nowMs)
}

/** Follows from now on, if there is anybody to follow; `outrun`, if whoever that is has synced what this leader has not yet. */
export function stepDown(state: RaftState, leading: Leading, outrun: boolean, nowMs: InstantMs): void {
  const next = successor(state, leading, nowMs)
  if (next !== undefined && (!outrun || next.follower.matched > state.syncedIndex)) resign(state, leading, nowMs)
}

function resign(state: RaftState, leading: Leading, nowMs: InstantMs): void {
  const next = successor(state, leading, nowMs)
  if (next !== undefined) tellToLead(state, next.peer, next.follower)
  follow(state, undefined, nowMs)
  state.electionAtMs = nowMs + 2 * drawElection(state)
}

function tellToLead(state: RaftState, to: PeerId, { incarnation }: Follower): void {
  send(state, to, { kind: 'lead-now', group: state.init.group, as: state.init.incarnation, toward: incarnation, epoch: state.epoch as Epoch }, false)
}

/** When a leader has something to do even if nothing comes. */
export function leaderWakesAt(state: RaftState, leading: Leading, nowMs: InstantMs): InstantMs {
  let at = Math.min(leading.checkAtMs, leading.commitDueAtMs, leading.transfer?.untilMs ?? Number.POSITIVE_INFINITY)
  for (const [peer, follower] of leading.followers) {
    if (state.disconnected.has(peer)) continue
    if (follower.installing) at = Math.min(at, follower.waitingSinceMs + limits.blobFetchTimeoutMs)
    else if (follower.inFlight.length > 0) at = Math.min(at, follower.waitingSinceMs + limits.appendRetryMs)
  }
  if (!state.init.likesToLead && leading.followers.size > 0 && leading.handOnAtMs > nowMs) at = Math.min(at, leading.handOnAtMs)
  return at
}
