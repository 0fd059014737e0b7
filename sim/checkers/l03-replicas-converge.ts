/** L3: once everything is healed, all members of a log that are up call the same entry the last committed one, and what has ended is gone from their disks. */
import type { Checker, History, Violation } from '../history/history.ts'
import { hasLiveMajority, indexHistory, lastLife, type HistoryIndex, type Replicated } from '../history/index-history.ts'
import { isMissionGroup } from '../../protocols/kernel/ids.ts'
import { aboutGroup } from './s04-promises-survive-restart.ts'

const promise = 'L3'

/** A member asks what became of a log whose leader it misses; an archive is fetched. */
const goneWithinMs = 60_000

/** A new member fetches the state of a snapshot, maybe from somebody who is gone first. */
const joinedWithinMs = 10_000

export const replicasConverge: Checker = {
  promise,
  says: 'after healing all replicas of a log come to the same end',
  check(history) {
    const index = indexHistory(history)
    const deadlineMs = index.allHealed?.record.deadlineMs
    if (deadlineMs === undefined) return []
    return [...index.groups.values()].flatMap((log) => (hasEnded(log) ? leftBehind(history, log) : apart(history, index, log)))
  },
}

function hasEnded(log: Replicated): boolean {
  return log.committed.some(({ event }) => event.type === 'archived')
}

function apart(history: History, index: HistoryIndex, log: Replicated): Violation[] {
  const { group, membership, committed } = log
  const last = committed.at(-1)
  if (membership === undefined || last === undefined || !hasLiveMajority(index, log)) return []
  // What is still being committed when the run ends is under way to everybody.
  const committedBy = (atMs: number): number => log.committed.findLastIndex((_, i) => (history.records[log.committedAt[i]!]?.atMs ?? 0) < atMs) + 1
  const settled = committedBy(history.endMs - 2_000)
  // So is the log to whoever became a member lately.
  const joined = committedBy(history.endMs - joinedWithinMs)
  const before = (log.committed.findLast(({ event }, i) => i < joined && event.type === 'members') ?? log.committed.find(({ event }) => event.type === 'members'))?.event
  const known = before?.type === 'members' ? [...before.membership.voters, ...before.membership.learners] : []
  const behind = [...membership.voters, ...membership.learners].find((member) => {
    if (!known.some(({ peer, incarnation }) => peer === member.peer && incarnation === member.incarnation)) return false
    const life = lastLife(index, index.nodeOf.get(member.peer) ?? '')
    return life !== undefined && log.isSound(member) && (log.reports.get(member.peer)?.index ?? 0) < settled
  })
  if (behind === undefined) return []
  return [{ promise, ...aboutGroup(group), atMs: history.endMs, detail: `${index.nodeOf.get(behind.peer) ?? behind.peer} is a member of ${group} and up, and knows of ${log.reports.get(behind.peer)?.index ?? 0} committed entries, others of ${settled}` }]
}

function leftBehind(history: History, log: Replicated): Violation[] {
  const { group, committed, committedAt } = log
  const endedMs = history.records[committedAt[committed.findIndex(({ event }) => event.type === 'archived')]!]?.atMs ?? Infinity
  if (!isMissionGroup(group) || history.endMs < Math.max(endedMs, history.healedMs ?? Infinity) + goneWithinMs) return []
  const holder = history.records.find((record) => record.type === 'copies' && record.groups.includes(group))
  if (holder?.type !== 'copies') return []
  return [{ promise, missionId: group, atMs: history.endMs, detail: `${group} was archived at ${endedMs} ms, and ${holder.node} still keeps its log at the end` }]
}
