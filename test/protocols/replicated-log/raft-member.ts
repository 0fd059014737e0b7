/** One member of a log, and what it hears and says: for tests of single steps. */
import { expect } from 'vitest'
import type { Epoch, Incarnation, PeerId } from '../../../protocols/kernel/ids.ts'
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import type { Member, Membership } from '../../../protocols/membership/schema.ts'
import { extend, logOrigin, positionOf } from '../../../protocols/replicated-log/chain.ts'
import { openRaft, stepRaft, viewOf, type RaftInit, type RaftInput, type RaftOutputs, type RaftState } from '../../../protocols/replicated-log/raft.ts'
import { RaftMessage, type LogEntry, type LogPosition, type LogRecord } from '../../../protocols/replicated-log/schema.ts'

export type Name = 'a' | 'b' | 'c' | 'd' | 'e'
export const peerOf = (name: Name) => `peer-${name}` as PeerId
export const memberOf = (name: Name, life = ''): Member => ({ peer: peerOf(name), incarnation: `store${name}${life}` as Incarnation })
export const voters = (...of: Name[]): Membership => ({ voters: of.map((name) => memberOf(name)), learners: [] })
export const epochOf = (term: number, lineage = 1): Epoch => ({ lineage, term })
export const at = (nowMs: number) => ({ nowMs, wallMs: 1_700_000_000_000 + nowMs })

export function initOf(name: Name, change: Partial<RaftInit> = {}): RaftInit {
  return { group: 'roster', self: peerOf(name), incarnation: memberOf(name).incarnation, random: seededRandom([name.charCodeAt(0), 1]), electionMsMin: 1_500, electionMsMax: 3_000, lostLeaderMsMax: 150, snapshotTailEntries: 512, likesToLead: true, ...change }
}

export const note = (reason: string): LogRecord => ({ type: 'replica-dropped', atWallMs: 1, peer: peerOf('e'), reason })
export const members = (membership: Membership): LogRecord => ({ type: 'members', atWallMs: 1, membership })
export const between = (from: Name, to: Name, epoch: Epoch) => ({ group: 'roster' as const, as: memberOf(from).incarnation, toward: memberOf(to).incarnation, epoch })

/** A log of these epochs, the first entry naming the members. */
export function logOf(membership: Membership, ...terms: number[]): LogEntry[] {
  const entries: LogEntry[] = []
  for (const term of terms) entries.push(...extend(entries.at(-1) ?? logOrigin, epochOf(term), [entries.length === 0 ? members(membership) : note(`${entries.length}`)]))
  return entries
}
export const endOf = (entries: readonly LogEntry[]): LogPosition => (entries.length === 0 ? logOrigin : positionOf(entries.at(-1) as LogEntry))

export function opened(name: Name, entries: readonly LogEntry[], change: { epoch?: Epoch; commit?: number; votedFor?: PeerId; init?: Partial<RaftInit> } = {}): RaftState {
  const epoch = change.epoch ?? entries.at(-1)?.epoch ?? epochOf(1)
  return openRaft(initOf(name, change.init), { head: { group: 'roster', incarnation: memberOf(name).incarnation, epoch, last: endOf(entries), commit: change.commit ?? 0, ...(change.votedFor === undefined ? {} : { votedFor: change.votedFor }) }, entries }, at(0))
}

export function step(state: RaftState, input: RaftInput, nowMs = 0): RaftOutputs {
  const outputs = stepRaft(state, input, at(nowMs))
  for (const { message } of outputs.send) expect(RaftMessage.safeParse(message).success, message.kind).toBe(true)
  return outputs
}
export const hear = (state: RaftState, from: Name, message: RaftMessage, nowMs = 0) => step(state, { type: 'message', from: peerOf(from), message }, nowMs)
export const synced = (state: RaftState, outputs: RaftOutputs, nowMs = 0) => step(state, { type: 'persisted', upTo: outputs.persist?.number ?? 0 }, nowMs)
export const voteAsk = (from: Name, to: Name, epoch: Epoch, last: LogPosition, how: { pre?: boolean; transfer?: boolean } = {}): RaftMessage => ({ kind: 'vote-ask', ...between(from, to, epoch), pre: false, transfer: false, ...how, last })
export const vote = (from: Name, to: Name, epoch: Epoch, pre = false): RaftMessage => ({ kind: 'vote', ...between(from, to, epoch), pre, granted: true })
export const append = (from: Name, to: Name, epoch: Epoch, previous: LogPosition, entries: LogEntry[], commit = 0, round = 1): RaftMessage => ({ kind: 'log-append', ...between(from, to, epoch), previous, entries, commit, round })
export const appended = (from: Name, to: Name, epoch: Epoch, matched: number, round: number, ok = true): RaftMessage => ({ kind: 'log-appended', ...between(from, to, epoch), ok, matched, round })
export const only = (outputs: RaftOutputs, kind: RaftMessage['kind']) => outputs.send.filter(({ message }) => message.kind === kind)
export const roundTo = (outputs: RaftOutputs, name: Name) => (outputs.send.findLast(({ to }) => to === peerOf(name))?.message as { round: number }).round

/** `a` elected over b and c (or as the membership says), nothing of its epoch committed yet. */
export function elected(entries: readonly LogEntry[], change: Parameters<typeof opened>[2] & { also?: Name[] } = {}) {
  const state = opened('a', entries, change)
  const epoch = epochOf((change.epoch ?? entries.at(-1)?.epoch ?? epochOf(1)).term + 1)
  const supporters: Name[] = change.also ?? ['b']
  step(state, { type: 'tick' }, 10_000)
  for (const name of supporters) hear(state, name, vote(name, 'a', epoch, true), 10_000)
  step(state, { type: 'persisted', upTo: 1 }, 10_000)
  let outputs = step(state, { type: 'tick' }, 10_000)
  for (const name of supporters) outputs = hear(state, name, vote(name, 'a', epoch), 10_000)
  expect(viewOf(state).role).toBe('leader')
  return { state, epoch, outputs }
}

/** `a` leads b and c, and everything is committed at 10 s. */
export function leading(membership = voters('a', 'b', 'c'), init: Partial<RaftInit> = {}) {
  const made = elected(logOf(membership, 1), { init })
  synced(made.state, made.outputs, 10_000)
  const answered = hear(made.state, 'b', appended('b', 'a', made.epoch, 2, roundTo(made.outputs, 'b')), 10_000)
  expect(viewOf(made.state).commit).toBe(2)
  return { ...made, answered }
}
export function hostAppends(state: RaftState, records: LogRecord[], nowMs = 10_000, tag = 't') {
  return step(state, { type: 'append', tag, entries: extend(viewOf(state).last, viewOf(state).epoch as Epoch, records) }, nowMs)
}
