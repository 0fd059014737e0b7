/**
 * S1: what was acknowledged survives whatever befalls single nodes, the owner's end for good included, as long as a majority of
 * the disks that keep its log has what it had. With one keeper that is `local`. Missions in memory (`ephemeral`) are outside.
 */
import { canonicalJson, digestOfText } from '../../protocols/kernel/hashing.ts'
import type { MissionId } from '../../protocols/kernel/ids.ts'
import { MissionRequest } from '../../protocols/tasking/schema.ts'
import type { Checker, History, RecordOf, Violation } from '../history/history.ts'
import { hasLiveMajority, indexHistory, submittedOf, type HistoryIndex, type Operation } from '../history/index-history.ts'

const promise = 'S1'

export const acknowledgedMissionsStay: Checker = {
  promise,
  says: 'no acknowledged mission is lost, and what was refused does not exist',
  check(history) {
    const index = indexHistory(history)
    return [...lostMissions(history, index), ...lostResults(index), ...refusedButThere(index)]
  },
}

type Submission = Operation & { readonly asked: Extract<Operation['asked'], { op: 'submit' }> }

export function submissionsOf(index: HistoryIndex): Submission[] {
  return index.operations.filter((operation): operation is Submission => operation.asked.op === 'submit')
}

/** What the mission's log keeps of a request. */
export function digestOfSubmission({ asked }: Submission): string {
  return digestOfText(canonicalJson(MissionRequest.parse(asked.request)))
}

/** The view that a submission was answered with. */
export function answeredView(end: RecordOf<'ok'>): { readonly id: MissionId; readonly owner?: string; readonly lastIndex?: number } | undefined {
  const { answer } = end
  return typeof answer === 'object' && answer !== null && !Array.isArray(answer) && typeof answer['id'] === 'string' ? (answer as never) : undefined
}

function lostMissions(history: History, index: HistoryIndex): Violation[] {
  const violations: Violation[] = []
  const told = new Set<MissionId>()
  for (const submission of submissionsOf(index)) {
    const { end } = submission
    if (end?.type !== 'ok' || submission.asked.request.acknowledgement === 'ephemeral') continue
    const view = answeredView(end)
    if (view === undefined) {
      violations.push({ promise, atMs: end.atMs, detail: `operation ${end.operation} was acknowledged to ${end.client} without a mission's view` })
      continue
    }
    if (told.has(view.id)) continue
    told.add(view.id)
    const problem = lossOf(history, index, view.id, submission.endedAt)
    if (problem !== undefined) violations.push({ promise, missionId: view.id, ...problem })
  }
  return violations
}

function lossOf(history: History, index: HistoryIndex, missionId: MissionId, acknowledgedAt: number): { atMs: number; detail: string } | undefined {
  const log = index.logs.get(missionId)
  const first = log === undefined ? undefined : submittedOf(log)
  const acknowledgedMs = history.records[acknowledgedAt]?.atMs ?? 0
  if (index.groups.get(missionId) !== undefined && index.groups.get(missionId)!.excusedAt < acknowledgedAt) return undefined
  if (log === undefined || first === undefined || first.at > acknowledgedAt) {
    return { atMs: acknowledgedMs, detail: `${missionId} was acknowledged before its first events were committed: a crash at that instant loses it` }
  }
  if (history.healedMs === undefined || !hasLiveMajority(index, log.replicated)) return undefined
  const keepers = log.replicated.membership?.voters.map(({ peer }) => index.nodeOf.get(peer) ?? peer).join(', ') ?? 'nobody'
  const view = history.views.get(missionId)
  if (view === undefined) return { atMs: history.endMs, detail: `${missionId} was acknowledged at ${acknowledgedMs} ms, a majority of its keepers (${keepers}) is up with what it had, and nobody answers for it at the end` }
  // An archive has no indices of its own.
  const last = log.committed.findLast(({ entry: { event } }) => event.type !== 'took-over' && event.type !== 'members' && event.type !== 'archived')?.entry.index ?? 0
  if (view.lastIndex < last) return { atMs: history.endMs, detail: `${missionId} had ${last} committed entries, and whoever answers for it at the end knows ${view.lastIndex} of them (it is kept by ${keepers})` }
  return undefined
}

/** A result that is too big for the log is on as many disks as the log, before the log cites it. */
function lostResults(index: HistoryIndex): Violation[] {
  const healedAt = index.allHealed?.at ?? Infinity
  return index.operations.flatMap(({ asked, invoked, end }): Violation[] => {
    const log = asked.op === 'result' ? index.logs.get(asked.missionId) : undefined
    if (log === undefined || invoked < healedAt || end?.type !== 'fail' || end.fault.code !== 'unknown-blob' || !hasLiveMajority(index, log.replicated)) return []
    if (!log.committed.some(({ entry: { event } }) => event.type === 'completed')) return []
    return [{ promise, missionId: log.missionId, atMs: end.atMs, detail: `${log.missionId} is completed, a majority of its keepers is up with what it had, and nobody has its result any more: ${end.fault.detail}` }]
  })
}

/** Faults after which the submitter must not think that nothing happened. */
const undecided = new Set<string>(['timeout', 'owner-unreachable', 'storage-failed', 'internal'])

/** A refusal means that there is no such mission: no log can hold more missions of a request than were not refused. */
function refusedButThere(index: HistoryIndex): Violation[] {
  const groups = new Map<string, { open: number; refused: Submission[] }>()
  const keyOf = (principal: string, key: string | undefined, digest: string): string => JSON.stringify([principal, key ?? null, digest])
  for (const submission of submissionsOf(index)) {
    const key = keyOf(submission.invoke.principal, submission.invoke.key ?? submission.asked.key, digestOfSubmission(submission))
    const group = groups.get(key) ?? { open: 0, refused: [] }
    groups.set(key, group)
    if (submission.end?.type === 'fail' && !undecided.has(submission.end.fault.code)) group.refused.push(submission)
    else group.open += 1
  }
  const made = new Map<string, MissionId[]>()
  for (const log of index.logs.values()) {
    const first = submittedOf(log)
    if (first === undefined) continue
    const key = keyOf(first.event.principal, first.event.key, first.event.requestDigest)
    made.set(key, [...(made.get(key) ?? []), log.missionId])
  }
  return [...groups].flatMap(([key, { open, refused }]) => {
    const [witness] = refused
    const missions = made.get(key) ?? []
    // With a key several answers may be of one mission, and a mission may be known that a later answer did not find.
    const allowed = key.split(',')[1] === 'null' ? open : open > 0 ? Infinity : 0
    if (witness?.end?.type !== 'fail' || missions.length <= allowed) return []
    return [{ promise, atMs: witness.end.atMs, missionId: missions[0]!, detail: `operation ${witness.invoke.operation} was refused (${witness.end.fault.code}), and yet ${missions.length} missions of that request are in the logs, ${allowed} at most can be` }]
  })
}
