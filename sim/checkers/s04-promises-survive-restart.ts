/**
 * S4: nothing is called committed that is not on the disks of a majority, nobody hears of what is not committed, what a disk has
 * is there after a restart, and a voter that lost its copy does not vote or promise anything under its old name.
 */
import type { GroupId, MissionId } from '../../protocols/kernel/ids.ts'
import { isMissionGroup } from '../../protocols/kernel/ids.ts'
import type { Checker, History, RecordOf, Violation } from '../history/history.ts'
import { indexHistory, type HistoryIndex, type MissionLog, type Replicated } from '../history/index-history.ts'

const promise = 'S4'

export const promisesSurviveRestart: Checker = {
  promise,
  says: 'what is promised is on the disks it needs to be on, survives a restart, and nobody is told of anything else',
  check(history) {
    const index = indexHistory(history)
    return [...[...index.groups.values()].flatMap((log) => looselyCommitted(index, log)), ...[...index.logs.values()].flatMap((log) => forgotten(index, log)), ...toldTooEarly(history, index)]
  },
}

/** @returns what a violation says of the mission that it is about. */
export function aboutGroup(group: GroupId): { missionId?: MissionId } {
  return isMissionGroup(group) ? { missionId: group } : {}
}

function looselyCommitted(index: HistoryIndex, { group, loose }: Replicated): Violation[] {
  return loose.slice(0, 1).map(({ atMs, peer, index: entry }) => ({ promise, ...aboutGroup(group), atMs, detail: `${index.nodeOf.get(peer) ?? peer} calls entry ${entry} of ${group} committed, and no majority of its voters has it on their disks` }))
}

/** A node that starts finds every mission that it keeps. */
function forgotten(index: HistoryIndex, { missionId, replicated, committed }: MissionLog): Violation[] {
  if (committed.some(({ entry: { event } }) => event.type === 'archived')) return []
  return (replicated.membership?.voters ?? []).flatMap((voter): Violation[] => {
    const node = index.nodeOf.get(voter.peer)
    if (node === undefined || !replicated.isSound(voter)) return []
    // It has said so: a copy that is older than what it had acknowledged is given up, and made anew under another name.
    if (index.history.records.some((record) => record.type === 'damage-told' && record.node === node && record.group === missionId)) return []
    // Since when it was one of the voters.
    const since = replicated.committed.findIndex(({ event }) => event.type === 'members' && event.membership.voters.some(({ peer, incarnation }) => peer === voter.peer && incarnation === voter.incarnation))
    const lost = index.lives.get(node)?.find((life) => life.startedAt > (replicated.committedAt[since] ?? Infinity) && index.firstSynced(voter.peer, missionId) < life.startedAt && !life.onDisk.has(missionId))
    return lost === undefined ? [] : [{ promise, missionId, atMs: lost.started.atMs, detail: `${lost.node} keeps ${missionId} and does not find it when it starts, although its disk was not damaged` }]
  })
}

/** Watchers and clients hear of entries that are committed, no others. */
function toldTooEarly(history: History, index: HistoryIndex): Violation[] {
  const violations: Violation[] = []
  const told = new Set<MissionId>()
  const judge = (missionId: MissionId, known: number, at: number, atMs: number, whom: string): void => {
    const log = index.groups.get(missionId)
    // What lives in memory only is in no history.
    if (log === undefined || known <= 0 || told.has(missionId) || log.excusedAt < at || (log.committedAt[known - 1] ?? Infinity) < at) return
    told.add(missionId)
    violations.push({ promise, missionId, atMs, detail: `${whom} was told of entry ${known} of ${missionId}, which was not committed` })
  }
  history.records.forEach((record, at) => {
    if (record.type === 'told') judge(record.missionId, record.index, at, record.atMs, `a watcher at ${record.node}`)
    else if (record.type === 'ok') {
      const view = viewIn(record)
      if (view !== undefined) judge(view.id, view.lastIndex, at, record.atMs, record.client)
    }
  })
  return violations
}

function viewIn({ answer }: RecordOf<'ok'>): { id: MissionId; lastIndex: number } | undefined {
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) return undefined
  const { id, lastIndex } = answer
  return typeof id === 'string' && typeof lastIndex === 'number' ? { id: id as MissionId, lastIndex } : undefined
}
