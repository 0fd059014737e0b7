/** An orchestrator and the managers of its mission: what they are told of the log, and what they may write to it. */
import { fault, type Fault } from '../../protocols/kernel/errors.ts'
import { awardIdOf, parentTaskId, type ActorAddress, type AwardId, type TaskId } from '../../protocols/kernel/ids.ts'
import { blobRefsIn, withHolder, type Payload } from '../../protocols/kernel/payload.ts'
import { isWithin, judgeEvent } from '../../protocols/tasking/append-rules.ts'
import { purseOf, setAsideBy, type Purse } from '../../protocols/tasking/spending.ts'
import { foldSlice } from '../../protocols/tasking/fold-snapshot.ts'
import { isTerminal, liveAttempt, missionEnded, type MissionFold } from '../../protocols/tasking/mission-state.ts'
import type { IndexedEvent, MissionEvent, ProgressNote } from '../../protocols/tasking/schema.ts'
import { storableEvent } from '../../protocols/tasking/storable-event.ts'
import type { MessageOf } from '../../protocols/wire.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext } from '../runtime/actor.ts'
import { tell, type Effect } from '../runtime/effects.ts'
import { append, endWithRoot, votersOf, type OrchestratorInit, type OrchestratorState } from './orchestrator-state.ts'

const eventsPerFrame = 200

/** A manager holds its subtree by an award; the root's manager by this owner's epoch. */
function fenceOf(state: OrchestratorState, taskId: TaskId, awardId: string, from: ActorAddress, context: ActorContext): Fault | undefined {
  const { fold } = state
  if (fold === undefined) return fault('timeout', 'the mission is being recovered')
  if (missionEnded(fold)) return fault('cancelled', `the mission is ${fold.state}`)
  if (taskId === 'root') return from.peer === context.self.peer && awardId === awardIdOf(fold.missionId, taskId, 1, fold.epoch) ? undefined : fault('fenced', 'the mission has a newer owner')
  const task = fold.tasks.get(taskId)
  const attempt = task === undefined ? undefined : liveAttempt(task)
  if (attempt?.award.awardId === awardId && attempt.award.worker === from.peer) return undefined
  return fault('fenced', `${taskId} is not awarded to this manager any more`)
}

export function onAttach(state: OrchestratorState, message: MessageOf<'attach'>, from: ActorAddress, context: ActorContext): Effect[] {
  const fenced = fenceOf(state, message.taskId, message.awardId, from, context)
  if (fenced !== undefined || state.fold === undefined) return fenced?.code === 'timeout' ? [] : [tell(from, { kind: 'record-refused', missionId: message.missionId, requestId: 0, fault: fenced as Fault })]
  if (state.firstKept > 1) {
    // The log does not begin at the beginning any more: the manager gets its part of the mission as it is now; one of this node as a
    // value, since writing down and reading back that of a large mission would hold up everything else here.
    if (from.peer === context.self.peer) return attached(state.fold, message, from, eventsFor(state, message, state.head.index), { inline: foldSlice(state.fold, message.taskId) }, context)
    const tag = `slice ${state.counter++}`
    state.attaching.set(tag, { message, to: from, upTo: state.head.index })
    return [{ type: 'store-value', value: foldSlice(state.fold, message.taskId), tag }]
  }
  return attached(state.fold, message, from, eventsFor(state, message, 0), undefined, context)
}

/** Committed events after an index, as far as they are the manager's concern. */
function eventsFor(state: OrchestratorState, { taskId }: MessageOf<'attach'>, after: number): IndexedEvent[] {
  return state.events.filter(({ index, event }) => index > after && index <= state.committed && concerns(event, taskId)).map(({ index, event }) => ({ index, event: trimmed(event, taskId) }))
}

export function onSlicePacked(state: OrchestratorState, tag: string, base: Payload | undefined, context: ActorContext): Effect[] {
  const waiting = state.attaching.get(tag)
  state.attaching.delete(tag)
  // A slice that could not be stored is asked for again.
  if (waiting === undefined || base === undefined || state.fold === undefined) return []
  return attached(state.fold, waiting.message, waiting.to, eventsFor(state, waiting.message, waiting.upTo), base, context)
}

function attached(fold: MissionFold, message: MessageOf<'attach'>, to: ActorAddress, events: readonly IndexedEvent[], base: Payload | undefined, context: ActorContext): Effect[] {
  const terms = {
    kind: 'attached' as const, missionId: fold.missionId, taskId: message.taskId, epoch: fold.epoch, paused: fold.paused, limits: fold.limits, leavesLeft: Math.max(0, fold.limits.leavesMax - fold.leaves), priority: fold.priority,
    remainingMs: fold.submittedAtWallMs + fold.limits.durationMs - context.wallMs, ...(base === undefined ? {} : { base }),
  }
  const effects: Effect[] = []
  for (let i = 0; i < events.length || i === 0; i += eventsPerFrame) effects.push(tell(to, { ...terms, events: events.slice(i, i + eventsPerFrame), last: i + eventsPerFrame >= events.length }))
  return effects
}

/** What a manager of `subtree` must know: the mission, the path down to its task, and everything below. Who keeps the log is not its concern. */
function concerns(event: MissionEvent, subtree: TaskId): boolean {
  if (event.type === 'members' || event.type === 'archived') return false
  if (subtree === 'root') return true
  const taskId = event.type === 'awarded' ? event.award.taskId : 'taskId' in event ? event.taskId : undefined
  // A retry anywhere wakes whatever was given up with the failed mission.
  if (taskId === undefined || event.type === 'retried') return event.type !== 'completed' && event.type !== 'cancelled'
  if (taskId === subtree || taskId.startsWith(`${subtree}/`)) return true
  return event.type === 'planned' && subtree.startsWith(`${taskId}/`)
}

function trimmed(event: MissionEvent, subtree: TaskId): MissionEvent {
  if (event.type !== 'planned' || event.taskId === subtree || event.taskId.startsWith(`${subtree}/`)) return event
  return { ...event, children: event.children.filter((child) => child.taskId === subtree || subtree.startsWith(`${child.taskId}/`)) }
}

function refuse(message: MessageOf<'record'>, to: ActorAddress, problem: Fault): Effect {
  return tell(to, { kind: 'record-refused', missionId: message.missionId, requestId: message.requestId, fault: problem })
}

/** An entry that cites blobs is proposed only once they are synced by a majority of the log's voters. */
export function onRecord(init: OrchestratorInit, state: OrchestratorState, message: MessageOf<'record'>, from: ActorAddress, context: ActorContext): Effect[] {
  const key = `${from.peer} ${from.actor} ${message.requestId}`
  // A manager repeats what was not answered: what is still being fetched for is not fetched for again.
  if ([...state.securing.values()].some((waiting) => waiting.for === 'record' && waiting.key === key)) return []
  const refs = blobRefsIn(message.events)
  if (refs.length === 0) return commitRecord(init, state, message, from, [context.self.peer], context)
  const tag = `blobs ${state.counter++}`
  state.securing.set(tag, { for: 'record', key, message, from })
  return [tell(at(context.self.peer, actorNames.blobKeeper), { kind: 'secure-blobs', tag, voters: votersOf(state), refs, alsoTry: [from.peer] })]
}

export function refuseRecord(message: MessageOf<'record'>, from: ActorAddress, problem: Fault): Effect[] {
  return [refuse(message, from, { ...problem, code: 'unknown-blob', retryable: true })]
}

export function commitRecord(init: OrchestratorInit, state: OrchestratorState, message: MessageOf<'record'>, from: ActorAddress, holders: readonly ActorAddress['peer'][], context: ActorContext): Effect[] {
  const fenced = fenceOf(state, message.taskId, message.awardId, from, context)
  if (fenced !== undefined || state.fold === undefined) return fenced?.code === 'timeout' ? [] : [refuse(message, from, fenced as Fault)]
  const accepted: MissionEvent[] = []
  // The rules look at the state before the batch; a batch holds at most one change per task, but for "ended and dead". What its awards
  // set aside adds up, though.
  const alsoHeld = new Map<Purse, number>()
  for (const event of message.events) {
    if (!isWithin(message.taskId, event)) return [refuse(message, from, fault('forbidden', `a manager of ${message.taskId} may not write ${event.type} there`))]
    const verdict = judgeEvent(state.fold, event, undefined, alsoHeld)
    if (typeof verdict === 'object') return [refuse(message, from, verdict)]
    const unstorable = storableEvent(event)
    if (unstorable !== undefined) return [refuse(message, from, unstorable)]
    if (verdict === 'apply' && event.type === 'awarded') {
      const purse = purseOf(state.fold, event.award.taskId)
      alsoHeld.set(purse, (alsoHeld.get(purse) ?? 0) + setAsideBy(event.award))
    }
    if (verdict === 'apply') accepted.push(holders.reduce((known, holder) => withHolder(known, holder), event))
  }
  for (const event of accepted) {
    const taskId = event.type === 'awarded' ? event.award.taskId : 'taskId' in event ? event.taskId : undefined
    if (taskId !== undefined && event.type !== 'checkpointed') state.notes.delete(taskId)
  }
  const firstIndex = state.head.index + 1
  // The root's end and the mission's are proposed together: in the log one follows the other, and a successor that finds only the first adds the second.
  return [...append(init, state, accepted, { then: 'recorded', to: from, requestId: message.requestId, firstIndex }, context), ...endWithRoot(init, state, context)]
}

/** News of a task comes from its manager, or from whoever manages its parent. */
function mayTellOf(state: OrchestratorState, taskId: TaskId, from: ActorAddress, context: ActorContext): boolean {
  for (let at: TaskId | undefined = taskId; at !== undefined; at = parentTaskId(at)) {
    if (at === 'root') return from.peer === context.self.peer
    const task = state.fold?.tasks.get(at)
    if (task !== undefined && liveAttempt(task)?.award.worker === from.peer) return true
  }
  return false
}

/** The newest award of an open task is wanted, even when it was believed lost; any other is called off. */
export function onStillWanted(state: OrchestratorState, awardId: AwardId, worker: ActorAddress): Effect[] {
  const { fold } = state
  if (fold === undefined) return []
  const task = fold.tasks.get(awardId.slice(fold.missionId.length + 1, awardId.lastIndexOf('#')) as TaskId)
  const newest = task?.attempts.at(-1)
  if (!missionEnded(fold) && task !== undefined && !isTerminal(task.state) && newest?.award.awardId === awardId && newest.award.worker === worker.peer) return []
  return [tell(worker, { kind: 'cancel', awardId, reason: missionEnded(fold) ? `the mission is ${fold.state}` : 'the task was awarded to another', epoch: fold.epoch })]
}

/**
 * Of a mission that had ended before this owner took it over: whoever still works for it may not have heard. An owner that
 * its workers do not know adopts their awards first, as only their owner may call them off.
 */
export function callOffEnded(init: OrchestratorInit, state: OrchestratorState, context: ActorContext): Effect[] {
  const { fold } = state
  if (fold === undefined || (fold.state !== 'failed' && fold.state !== 'cancelled')) return []
  return [...fold.tasks.values()].flatMap((task) => {
    const last = task.attempts.at(-1)
    if (last === undefined || last.outcome === 'accepted' || last.outcome === 'refused') return []
    const { awardId, worker } = last.award
    const there = at(worker, actorNames.participant)
    return [
      tell(there, { kind: 'adopt', awardId, epoch: fold.epoch, manager: context.self, orchestrator: context.self, leaseMs: init.tuning.leaseMs }),
      tell(there, { kind: 'cancel', awardId, reason: `the mission is ${fold.state}`, epoch: fold.epoch }),
    ]
  })
}

export function onProgress(init: OrchestratorInit, state: OrchestratorState, told: readonly ProgressNote[], from: ActorAddress, context: ActorContext): Effect[] {
  const notes = told.filter((note) => mayTellOf(state, note.taskId, from, context))
  if (notes.length === 0) return []
  for (const note of notes) {
    const before = state.notes.get(note.taskId)
    state.notes.set(note.taskId, note.note === 'progress' && before !== undefined ? { ...before, ...note } : note)
  }
  return [...state.watchers.values()].map(({ to }) => tell(to, { kind: 'watched', missionId: init.missionId, events: [], notes: [...notes] }))
}
