/** Group commit: everything that was to be persisted while one write was being synced goes into the next. Nobody hears of it before. */
import { fault, type Fault } from '../../../protocols/kernel/errors.ts'
import type { RaftPersist } from '../../../protocols/replicated-log/raft.ts'
import { viewOf } from '../../../protocols/replicated-log/raft.ts'
import { actorNames, at } from '../../names.ts'
import type { GroupWrite } from '../../ports/log-store.ts'
import type { ActorContext } from '../../runtime/actor.ts'
import { fact, tell, type Effect } from '../../runtime/effects.ts'
import { step } from './log-keeper-drive.ts'
import { afterEnding } from './log-keeper-ending.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import type { Group, LogKeeperState } from './log-keeper-state.ts'

const slowTimer = 'slow-sync'

export function writeNext(state: LogKeeperState, context: ActorContext): Effect[] {
  if (state.isWriting || state.broken) return []
  if (state.waiting.length === 0 && state.waitingEnded.length === 0 && state.waitingRemoved.length === 0) return []
  const ofGroups = new Map<Group, RaftPersist[]>()
  for (const { group, persist } of state.waiting) {
    const list = ofGroups.get(group)
    if (list === undefined) ofGroups.set(group, [persist])
    else list.push(persist)
  }
  // A group that has ended meanwhile is not written again.
  const writes = [...ofGroups].filter(([group]) => state.groups.get(group.group) === group).map(([group, persists]) => merged(persists, state.waitingWiped.get(group.group) === group))
  const ended = state.waitingEnded
  const removed = state.waitingRemoved
  Object.assign(state, { writing: state.waiting, waiting: [], writingEnded: ended, waitingEnded: [], waitingRemoved: [], waitingWiped: new Map(), isWriting: true, writeStartedAtMs: context.nowMs })
  return [
    { type: 'write-log', batch: { writes, ...(ended.length === 0 ? {} : { ended }), ...(removed.length === 0 ? {} : { removed }) }, tag: 'batch' },
    { type: 'set-timer', key: slowTimer, delayMs: limits.slowSyncMs, message: { kind: 'tick', what: slowTimer } },
  ]
}

/** Several steps of one group as one write: what a later step truncates is not written at all. */
function merged(persists: readonly RaftPersist[], wiped: boolean): GroupWrite {
  const last = persists.at(-1) as RaftPersist
  let entries: RaftPersist['entries'][number][] = []
  let truncateFrom: number | undefined
  let snapshot: RaftPersist['snapshot']
  let dropBelow: number | undefined
  let wipe = wiped
  for (const persist of persists) {
    if (persist.wipe === true) {
      wipe = true
      entries = []
      truncateFrom = snapshot = dropBelow = undefined
    }
    if (persist.snapshot !== undefined) {
      snapshot = persist.snapshot
      const { index } = snapshot.at
      entries = entries.filter((entry) => entry.index > index)
    }
    if (persist.dropBelow !== undefined) dropBelow = persist.dropBelow
    if (persist.truncateFrom !== undefined) {
      const from = persist.truncateFrom
      entries = entries.filter((entry) => entry.index < from)
      truncateFrom = Math.min(truncateFrom ?? from, from)
    }
    entries.push(...persist.entries)
  }
  const below = dropBelow
  return {
    head: last.head, entries: below === undefined ? entries : entries.filter((entry) => entry.index >= below), ...(wipe ? { wipe } : {}), ...(snapshot === undefined ? {} : { snapshot }),
    ...(dropBelow === undefined ? {} : { dropBelow }), ...(truncateFrom === undefined ? {} : { truncateFrom }),
  }
}

export function onWritten(state: LogKeeperState, problem: Fault | undefined, context: ActorContext): Effect[] {
  const { writing, writingEnded } = state
  Object.assign(state, { writing: [], writingEnded: [], isWriting: false })
  if (problem !== undefined) {
    // After a failed sync nobody knows what is on the disk: only opening it again tells.
    state.broken = true
    const said = fault('storage-failed', 'the log store failed', { next: 'restart the node' })
    const refused = [...state.groups.values()].flatMap((group) => [...group.askers.values()].map(({ to, tag }) => tell(to, { kind: 'appended', tag, fault: said })))
    return [...refused, fact('error', 'log.write-failed', { detail: problem.detail }), { type: 'give-up', reason: `the log could not be written: ${problem.detail}` }]
  }
  const upTo = new Map<Group, number>()
  for (const { group, persist } of writing) upTo.set(group, Math.max(persist.number, upTo.get(group) ?? 0))
  const effects: Effect[] = [{ type: 'clear-timer', key: slowTimer }]
  for (const [group, number] of upTo) {
    if (state.groups.get(group.group) !== group) continue
    const due = group.held.filter(({ after }) => after <= number)
    if (due.length > 0) {
      group.held.splice(0, group.held.length, ...group.held.filter(({ after }) => after > number))
      for (const { to, message } of due) effects.push(tell(at(to, actorNames.logKeeper), message))
    }
    effects.push(...step(state, group, { type: 'persisted', upTo: number }, context))
  }
  return [...effects, ...afterEnding(writingEnded, context), ...writeNext(state, context)]
}

/** A leader whose disk is slow holds everybody up: whoever else can leads instead. */
export function onSlowSync(state: LogKeeperState, context: ActorContext): Effect[] {
  if (!state.isWriting) return []
  const led = [...state.groups.values()].filter((group) => viewOf(group.raft).role === 'leader')
  return [
    fact('warn', 'log.sync-slow', { sinceMs: Math.round(context.nowMs - state.writeStartedAtMs), leads: led.length }),
    ...led.flatMap((group) => step(state, group, { type: 'step-down', reason: 'a sync takes too long' }, context)),
    { type: 'set-timer', key: slowTimer, delayMs: limits.slowSyncMs, message: { kind: 'tick', what: slowTimer } },
  ]
}
