/**
 * Owns one mission: its log, its root manager, its watchers. Every event, its own and its managers', is judged against the
 * state it would change, appended, and spoken of only once the log-keeper has synced it.
 */
import { fault, type Fault } from '../../protocols/kernel/errors.ts'
import { awardIdOf, parentTaskId, type ActorAddress, type AwardId, type TaskId } from '../../protocols/kernel/ids.ts'
import { blobRefsIn, withHolder, type Json } from '../../protocols/kernel/payload.ts'
import { verifyLog } from '../../protocols/replicated-log/chain.ts'
import type { LogEntry } from '../../protocols/replicated-log/schema.ts'
import { isWithin, judgeEvent } from '../../protocols/tasking/append-rules.ts'
import { foldEvents, isTerminal, liveAttempt, missionEnded } from '../../protocols/tasking/mission-state.ts'
import type { MissionEvent, ProgressNote } from '../../protocols/tasking/schema.ts'
import type { MessageOf } from '../../protocols/wire.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext, Behaviour, Delivery } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'
import { missionView, resultView } from './mission-views.ts'
import { answer } from './orchestrator-answers.ts'
import { append, endMission, endWithRoot, isAhead, newOrchestratorState, restAfterMs, startRootManager, tellMissions, viewNow, headNow, whenSynced, type OrchestratorInit, type OrchestratorState } from './orchestrator-state.ts'

const readPage = 1_000
const watcherKeptMs = 30_000

export function orchestrator(init: OrchestratorInit): Behaviour<OrchestratorState> {
  return {
    kind: 'orchestrator',
    supervision: 'stop',
    start(context) {
      const state = newOrchestratorState()
      const tick: Effect = { type: 'set-timer', key: 'tick', delayMs: 1_000, message: { kind: 'tick' } }
      if (init.opening !== undefined) return { state, effects: [tick, ...append(init, state, init.opening.events, { then: 'opened' }, context, init.opening.claim)] }
      return { state, effects: [tick, { type: 'read-log', missionId: init.missionId, fromIndex: 1, max: readPage, tag: 'recover' }] }
    },
    receive: (state, delivery, context) => receive(init, state, delivery, context),
  }
}

function receive(init: OrchestratorInit, state: OrchestratorState, delivery: Delivery, context: ActorContext): readonly Effect[] {
  const { message, from, principal } = delivery
  switch (message.kind) {
    case 'appended':
      return onAppended(init, state, message.tag, message.fault, context)
    case 'log-read':
      return onRead(init, state, message.entries, message.fault, context)
    case 'attach':
      return state.fold !== undefined && isAhead(state) ? whenSynced(init, state, delivery, context) : onAttach(state, message, from, context)
    case 'record':
      return onRecord(init, state, message, from, context)
    case 'blobs-fetched': {
      const waiting = state.fetching.get(message.tag)
      state.fetching.delete(message.tag)
      if (waiting === undefined) return []
      if (message.fault !== undefined) return [refuse(waiting.message, waiting.from, { ...message.fault, code: 'unknown-blob', retryable: true })]
      return commitRecord(init, state, waiting.message, waiting.from, context)
    }
    case 'progress':
      return onProgress(init, state, message.notes, from, context)
    case 'mission-ask':
      if (state.fold === undefined && state.damaged === undefined) {
        state.asks.push({ message, from })
        return []
      }
      // An answer tells of nothing that a crash could still undo.
      if (isAhead(state)) return whenSynced(init, state, delivery, context)
      return answer(init, state, message.requestId, message.operation, message.principal ?? principal, from, context)
    case 'value-loaded': {
      const asked = state.results.get(message.tag)
      state.results.delete(message.tag)
      if (asked === undefined || state.fold === undefined) return []
      return [tell(asked.to, message.fault === undefined ? { kind: 'local-answer', requestId: asked.requestId, answer: resultView(state.fold, message.value) as unknown as Json } : { kind: 'local-answer', requestId: asked.requestId, fault: message.fault })]
    }
    case 'watch':
      if (state.damaged !== undefined) return [tell(message.subscriber, { kind: 'watched', missionId: init.missionId, events: [], notes: [], fault: state.damaged })]
      state.watchers.set(`${message.subscriber.peer} ${message.subscriber.actor}`, { to: message.subscriber, sent: message.fromIndex, renewedAtMs: context.nowMs })
      return flushWatchers(init, state)
    case 'unwatch':
      state.watchers.delete(`${message.subscriber.peer} ${message.subscriber.actor}`)
      return []
    case 'still-wanted':
      return onStillWanted(state, message.awardId, message.worker)
    case 'child-failed':
      return endMission(init, state, { type: 'failed', atWallMs: context.wallMs, fault: fault('internal', `the mission's manager failed: ${message.reason}`) }, context)
    case 'tick':
      return onTick(init, state, context)
    default:
      return []
  }
}

function onAppended(init: OrchestratorInit, state: OrchestratorState, tag: string, problem: Fault | undefined, context: ActorContext): Effect[] {
  const pending = state.appends.get(tag)
  if (pending === undefined) return []
  state.appends.delete(tag)
  const { continuation } = pending
  const missions = at(context.self.peer, actorNames.missions)
  if (problem !== undefined) {
    if (continuation.then === 'opened') return [tell(missions, { kind: 'mission-opened', missionId: init.missionId, fault: problem }), { type: 'stop-self' }]
    if (continuation.then === 'deliver' && continuation.delivery.message.kind === 'mission-ask') return [tell(continuation.delivery.from, { kind: 'local-answer', requestId: continuation.delivery.message.requestId, fault: problem })]
    if (continuation.then === 'answer') return [tell(continuation.to, { kind: 'local-answer', requestId: continuation.requestId, fault: problem })]
    return []
  }
  state.committed = Math.max(state.committed, pending.upTo)
  const effects: Effect[] = [...flushWatchers(init, state), ...tellMissions(init, state, context)]
  switch (continuation.then) {
    case 'opened':
      return [...effects, tell(missions, { kind: 'mission-opened', missionId: init.missionId }), ...startRootManager(init, state, context)]
    case 'start':
      return [...effects, ...startRootManager(init, state, context)]
    case 'deliver':
      return [...effects, ...receive(init, state, continuation.delivery, context)]
    case 'recorded':
      return [...effects, tell(continuation.to, { kind: 'recorded', missionId: init.missionId, requestId: continuation.requestId, firstIndex: continuation.firstIndex }), ...endWithRoot(init, state, context)]
    case 'answer':
      return [...effects, tell(continuation.to, { kind: 'local-answer', requestId: continuation.requestId, answer: viewNow(init, state) }), ...(continuation.restartManager === true ? restartManager(init, state, context) : [])]
    case 'nothing':
      return effects
  }
}

function onRead(init: OrchestratorInit, state: OrchestratorState, entries: readonly LogEntry[], problem: Fault | undefined, context: ActorContext): Effect[] {
  state.read.push(...entries)
  if (problem === undefined && entries.length === readPage) return [{ type: 'read-log', missionId: init.missionId, fromIndex: state.read.length + 1, max: readPage, tag: 'recover' }]
  const head = init.head
  const damage = problem ?? (head === undefined ? undefined : verifyLog(state.read, head))
  const asks = state.asks.splice(0)
  if (damage !== undefined || state.read.length === 0) {
    const said = damage ?? fault('unknown-mission', `there is no log of mission ${init.missionId}`)
    // Asking again does not mend a disk.
    state.damaged = { ...said, retryable: false, next: said.next ?? 'look at the log: skein store verify; then submit the mission again' }
    return [
      fact('error', 'mission.damaged', { mission: init.missionId, detail: state.damaged.detail }), tell(at(context.self.peer, actorNames.missions), { kind: 'mission-damaged', missionId: init.missionId }),
      ...[...state.watchers.values()].map(({ to }) => tell(to, { kind: 'watched', missionId: init.missionId, events: [], notes: [], fault: state.damaged as Fault })), ...asks.map(({ message, from }) => tell(from, { kind: 'local-answer', requestId: message.requestId, fault: state.damaged as Fault })),
    ]
  }
  state.events = state.read.map(({ index, event }) => ({ index, event }))
  state.fold = foldEvents(state.events)
  const last = state.read.at(-1) as LogEntry
  state.head = { index: last.index, chain: last.chain }
  state.committed = last.index
  state.read = []
  const answers = asks.flatMap(({ message, from }) => answer(init, state, message.requestId, message.operation, message.principal, from, context))
  if (missionEnded(state.fold)) {
    state.restAtMs = context.nowMs + restAfterMs
    return [...answers, ...tellMissions(init, state, context), ...flushWatchers(init, state)]
  }
  // A new term for every start: commands of the owner's earlier life are fenced.
  const epoch = { lineage: state.fold.epoch.lineage, term: state.fold.epoch.term + 1 }
  return [...answers, fact('info', 'mission.recovered', { mission: init.missionId, entries: last.index, term: epoch.term }), ...append(init, state, [{ type: 'took-over', atWallMs: context.wallMs, epoch, owner: context.self.peer }], { then: 'start' }, context)]
}

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

function onAttach(state: OrchestratorState, message: MessageOf<'attach'>, from: ActorAddress, context: ActorContext): Effect[] {
  const fenced = fenceOf(state, message.taskId, message.awardId, from, context)
  if (fenced !== undefined || state.fold === undefined) return fenced?.code === 'timeout' ? [] : [tell(from, { kind: 'record-refused', missionId: message.missionId, requestId: 0, fault: fenced as Fault })]
  const { fold } = state
  const events = state.events.filter(({ index, event }) => index <= state.committed && concerns(event, message.taskId)).map(({ index, event }) => ({ index, event: trimmed(event, message.taskId) }))
  const remainingMs = fold.submittedAtWallMs + fold.limits.durationMs - context.wallMs
  const effects: Effect[] = []
  for (let i = 0; i < events.length || i === 0; i += 200) {
    effects.push(tell(from, { kind: 'attached', missionId: fold.missionId, taskId: message.taskId, epoch: fold.epoch, paused: fold.paused, limits: fold.limits, leavesLeft: Math.max(0, fold.limits.leavesMax - fold.leaves), priority: fold.priority, remainingMs, events: events.slice(i, i + 200), last: i + 200 >= events.length }))
  }
  return effects
}

/** What a manager of `subtree` must know: the mission, the path down to its task, and everything below. */
function concerns(event: MissionEvent, subtree: TaskId): boolean {
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

/** An entry that cites blobs is proposed only once they are synced here. */
function onRecord(init: OrchestratorInit, state: OrchestratorState, message: MessageOf<'record'>, from: ActorAddress, context: ActorContext): Effect[] {
  const key = `${from.peer} ${from.actor} ${message.requestId}`
  // A manager repeats what was not answered: what is still being fetched for is not fetched for again.
  if ([...state.fetching.values()].some((waiting) => waiting.key === key)) return []
  const refs = blobRefsIn(message.events)
  if (refs.length === 0) return commitRecord(init, state, message, from, context)
  const tag = `blobs ${state.counter++}`
  state.fetching.set(tag, { key, message, from })
  return [{ type: 'fetch-blobs', refs, alsoTry: [from.peer], tag }]
}

function commitRecord(init: OrchestratorInit, state: OrchestratorState, message: MessageOf<'record'>, from: ActorAddress, context: ActorContext): Effect[] {
  const fenced = fenceOf(state, message.taskId, message.awardId, from, context)
  if (fenced !== undefined || state.fold === undefined) return fenced?.code === 'timeout' ? [] : [refuse(message, from, fenced as Fault)]
  const accepted: MissionEvent[] = []
  // The rules look at the state before the batch; a batch holds at most one change per task, but for "ended and dead".
  for (const event of message.events) {
    if (!isWithin(message.taskId, event)) return [refuse(message, from, fault('forbidden', `a manager of ${message.taskId} may not write ${event.type} there`))]
    const verdict = judgeEvent(state.fold, event)
    if (typeof verdict === 'object') return [refuse(message, from, verdict)]
    if (verdict === 'apply') accepted.push(withHolder(event, context.self.peer))
  }
  for (const event of accepted) {
    const taskId = event.type === 'awarded' ? event.award.taskId : 'taskId' in event ? event.taskId : undefined
    if (taskId !== undefined) state.notes.delete(taskId)
  }
  const firstIndex = state.head.index + 1
  return append(init, state, accepted, { then: 'recorded', to: from, requestId: message.requestId, firstIndex }, context)
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
function onStillWanted(state: OrchestratorState, awardId: AwardId, worker: ActorAddress): Effect[] {
  const { fold } = state
  if (fold === undefined) return []
  const task = fold.tasks.get(awardId.slice(fold.missionId.length + 1, awardId.lastIndexOf('#')) as TaskId)
  const newest = task?.attempts.at(-1)
  if (!missionEnded(fold) && task !== undefined && !isTerminal(task.state) && newest?.award.awardId === awardId && newest.award.worker === worker.peer) return []
  return [tell(worker, { kind: 'cancel', awardId, reason: missionEnded(fold) ? `the mission is ${fold.state}` : 'the task was awarded to another' })]
}

function onProgress(init: OrchestratorInit, state: OrchestratorState, told: readonly ProgressNote[], from: ActorAddress, context: ActorContext): Effect[] {
  const notes = told.filter((note) => mayTellOf(state, note.taskId, from, context))
  if (notes.length === 0) return []
  for (const note of notes) {
    const before = state.notes.get(note.taskId)
    state.notes.set(note.taskId, note.note === 'progress' && before !== undefined ? { ...before, ...note } : note)
  }
  return [...state.watchers.values()].map(({ to }) => tell(to, { kind: 'watched', missionId: init.missionId, events: [], notes: [...notes] }))
}

function flushWatchers(init: OrchestratorInit, state: OrchestratorState): Effect[] {
  const effects: Effect[] = []
  for (const watcher of state.watchers.values()) {
    for (let at = watcher.sent; at < state.committed; at = watcher.sent) {
      const events = state.events.slice(at, Math.min(state.committed, at + 200))
      watcher.sent = at + events.length
      if (events.length === 0) break
      effects.push(tell(watcher.to, { kind: 'watched', missionId: init.missionId, events, notes: [] }))
    }
  }
  return effects
}

/** The manager of a running mission folds its events again; that of an ended one is started anew. */
function restartManager(init: OrchestratorInit, state: OrchestratorState, context: ActorContext): Effect[] {
  const name = actorNames.rootManager(init.missionId)
  return context.exists(name) ? [tell(at(context.self.peer, name), { kind: 'control', missionId: init.missionId, action: 'retry' })] : startRootManager(init, state, context)
}

function onTick(init: OrchestratorInit, state: OrchestratorState, context: ActorContext): Effect[] {
  for (const [key, watcher] of state.watchers) if (context.nowMs - watcher.renewedAtMs > watcherKeptMs) state.watchers.delete(key)
  const { fold } = state
  // Nothing is left to look after but the time to rest.
  const idle = fold !== undefined && missionEnded(fold) && state.watchers.size === 0
  const effects: Effect[] = [{ type: 'set-timer', key: 'tick', delayMs: idle ? Math.max(1_000, state.restAtMs - context.nowMs) : 1_000, message: { kind: 'tick' } }]
  if (fold !== undefined && !missionEnded(fold) && context.wallMs > fold.submittedAtWallMs + fold.limits.durationMs) {
    const waits = missionView(fold, state.notes, init.nodeName).waitingFor
    return [...effects, ...endMission(init, state, { type: 'failed', atWallMs: context.wallMs, fault: fault('deadline-exceeded', `the mission was not done within ${Math.round(fold.limits.durationMs / 1_000)} s${waits === undefined ? '' : `; it waited for ${waits}`}`, { next: 'submit it with a longer limit: --limit durationMs=N' }) }, context)]
  }
  if (context.nowMs >= state.restAtMs && state.watchers.size === 0 && state.appends.size === 0) {
    return [tell(at(context.self.peer, actorNames.missions), { kind: 'mission-rested', head: headNow(init, state) }), { type: 'stop-self' }]
  }
  return effects
}
