/**
 * Owns one mission: its log, its root manager, its watchers. Every event, its own and its managers', is judged against the
 * state it would change, appended, and spoken of only once the log-keeper has synced it.
 */
import { fault, type Fault } from '../../protocols/kernel/errors.ts'
import { awardIdOf, parentTaskId, type ActorAddress, type Epoch, type MissionId, type Principal, type TaskId } from '../../protocols/kernel/ids.ts'
import { blobRefsIn, withHolder, type Json } from '../../protocols/kernel/payload.ts'
import { chainOrigin, extend, verifyLog } from '../../protocols/replicated-log/chain.ts'
import type { LogEntry, LogHead } from '../../protocols/replicated-log/schema.ts'
import { isWithin, judgeEvent } from '../../protocols/tasking/append-rules.ts'
import { applyEvent, foldEvents, liveAttempt, missionEnded, openMission, type MissionFold } from '../../protocols/tasking/mission-state.ts'
import type { IndexedEvent, MissionEvent, MissionOperation, ProgressNote } from '../../protocols/tasking/schema.ts'
import type { MessageOf } from '../../protocols/wire.ts'
import { actorNames, at } from '../names.ts'
import type { Claim } from '../ports/log-store.ts'
import { erased, type ActorContext, type Behaviour, type Delivery } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'
import type { Tuning } from '../tuning.ts'
import { manager } from './manager.ts'
import { deadViews, missionView, resultView, taskTree, whyView } from './mission-views.ts'

export interface OrchestratorInit {
  readonly missionId: MissionId
  readonly nodeName: string
  readonly tuning: Tuning
  /** A new mission: its first events and the claim that is committed with them. Absent: recover from the log. */
  readonly opening?: { readonly events: readonly MissionEvent[]; readonly claim?: Claim }
  /** Of a mission in the log. */
  readonly head?: LogHead
}

/** What is done once an append is synced. */
type Continuation =
  | { readonly then: 'nothing' }
  | { readonly then: 'opened' }
  | { readonly then: 'start' }
  | { readonly then: 'recorded'; readonly to: ActorAddress; readonly requestId: number; readonly firstIndex: number }
  | { readonly then: 'answer'; readonly to: ActorAddress; readonly requestId: string; readonly restartManager?: boolean }

interface State {
  fold: MissionFold | undefined
  events: IndexedEvent[]
  head: { index: number; chain: string }
  committed: number
  readonly appends: Map<string, { readonly upTo: number; readonly continuation: Continuation }>
  /** Records whose blobs are being made local. */
  readonly fetching: Map<string, { readonly message: MessageOf<'record'>; readonly from: ActorAddress }>
  readonly watchers: Map<string, { readonly to: ActorAddress; sent: number; renewedAtMs: number }>
  readonly notes: Map<TaskId, ProgressNote>
  readonly asks: { readonly message: MessageOf<'mission-ask'>; readonly from: ActorAddress }[]
  readonly results: Map<string, { readonly to: ActorAddress; readonly requestId: string }>
  read: LogEntry[]
  damaged: Fault | undefined
  restAtMs: number
  counter: number
}

const readPage = 1_000
const watcherKeptMs = 30_000
/** An ended mission's orchestrator stays this long for questions, then its log answers when asked again. */
const restAfterMs = 60_000

export function orchestrator(init: OrchestratorInit): Behaviour<State> {
  return {
    kind: 'orchestrator',
    supervision: 'stop',
    start(context) {
      const state: State = { fold: undefined, events: [], head: { index: 0, chain: chainOrigin }, committed: 0, appends: new Map(), fetching: new Map(), watchers: new Map(), notes: new Map(), asks: [], results: new Map(), read: [], damaged: undefined, restAtMs: Infinity, counter: 0 }
      const tick: Effect = { type: 'set-timer', key: 'tick', delayMs: 1_000, message: { kind: 'tick' } }
      if (init.opening !== undefined) return { state, effects: [tick, ...append(init, state, init.opening.events, { then: 'opened' }, context, init.opening.claim)] }
      return { state, effects: [tick, { type: 'read-log', missionId: init.missionId, fromIndex: 1, max: readPage, tag: 'recover' }] }
    },
    receive: (state, delivery, context) => receive(init, state, delivery, context),
  }
}

function receive(init: OrchestratorInit, state: State, { message, from, principal }: Delivery, context: ActorContext): readonly Effect[] {
  switch (message.kind) {
    case 'appended':
      return onAppended(init, state, message.tag, message.fault, context)
    case 'log-read':
      return onRead(init, state, message.entries, message.fault, context)
    case 'attach':
      return onAttach(state, message, from, context)
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
      return onProgress(init, state, message.notes)
    case 'mission-ask':
      if (state.fold === undefined && state.damaged === undefined) {
        state.asks.push({ message, from })
        return []
      }
      return answer(init, state, message.requestId, message.operation, message.principal ?? principal, from, context)
    case 'value-loaded': {
      const asked = state.results.get(message.tag)
      state.results.delete(message.tag)
      if (asked === undefined || state.fold === undefined) return []
      return [tell(asked.to, message.fault === undefined ? { kind: 'local-answer', requestId: asked.requestId, answer: resultView(state.fold, message.value) as unknown as Json } : { kind: 'local-answer', requestId: asked.requestId, fault: message.fault })]
    }
    case 'watch':
      state.watchers.set(`${message.subscriber.peer} ${message.subscriber.actor}`, { to: message.subscriber, sent: message.fromIndex, renewedAtMs: context.nowMs })
      return flushWatchers(init, state)
    case 'unwatch':
      state.watchers.delete(`${message.subscriber.peer} ${message.subscriber.actor}`)
      return []
    case 'child-failed':
      return endMission(init, state, { type: 'failed', atWallMs: context.wallMs, fault: fault('internal', `the mission's manager failed: ${message.reason}`) }, context)
    case 'tick':
      return onTick(init, state, context)
    default:
      return []
  }
}

// ---- the log ------------------------------------------------------------------------------------------------------

/** Folds the events at once and asks for them to be synced; nobody is told before. */
function append(init: OrchestratorInit, state: State, events: readonly MissionEvent[], continuation: Continuation, context: ActorContext, claim?: Claim): Effect[] {
  const epoch: Epoch = state.fold?.epoch ?? { lineage: 1, term: 1 }
  const entries = extend(state.head, epoch, events)
  for (const { index, event } of entries) {
    if (event.type === 'submitted' && state.fold === undefined) state.fold = openMission(event, index)
    else if (state.fold !== undefined) applyEvent(state.fold, event, index)
    state.events.push({ index, event })
  }
  const last = entries.at(-1)
  if (last !== undefined) state.head = { index: last.index, chain: last.chain }
  const tag = `append ${state.counter++}`
  state.appends.set(tag, { upTo: state.head.index, continuation })
  return [tell(at(context.self.peer, actorNames.logKeeper), { kind: 'append', tag, entries, head: headNow(init, state), ...(claim === undefined ? {} : { claim }) })]
}

function headNow(init: OrchestratorInit, state: State): LogHead {
  return { missionId: init.missionId, index: state.head.index, chain: state.head.chain, epoch: state.fold?.epoch ?? { lineage: 1, term: 1 }, sealed: state.fold !== undefined && missionEnded(state.fold) }
}

function onAppended(init: OrchestratorInit, state: State, tag: string, problem: Fault | undefined, context: ActorContext): Effect[] {
  const pending = state.appends.get(tag)
  if (pending === undefined) return []
  state.appends.delete(tag)
  const { continuation } = pending
  const missions = at(context.self.peer, actorNames.missions)
  if (problem !== undefined) {
    if (continuation.then === 'opened') return [tell(missions, { kind: 'mission-opened', missionId: init.missionId, fault: problem }), { type: 'stop-self' }]
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
    case 'recorded':
      return [...effects, tell(continuation.to, { kind: 'recorded', missionId: init.missionId, requestId: continuation.requestId, firstIndex: continuation.firstIndex }), ...afterCommit(init, state, context)]
    case 'answer':
      return [...effects, tell(continuation.to, { kind: 'local-answer', requestId: continuation.requestId, answer: viewNow(init, state) }), ...(continuation.restartManager === true ? restartManager(init, state, context) : [])]
    case 'nothing':
      return effects
  }
}

function onRead(init: OrchestratorInit, state: State, entries: readonly LogEntry[], problem: Fault | undefined, context: ActorContext): Effect[] {
  state.read.push(...entries)
  if (problem === undefined && entries.length === readPage) return [{ type: 'read-log', missionId: init.missionId, fromIndex: state.read.length + 1, max: readPage, tag: 'recover' }]
  const head = init.head
  const damage = problem ?? (head === undefined ? undefined : verifyLog(state.read, head))
  const asks = state.asks.splice(0)
  if (damage !== undefined || state.read.length === 0) {
    state.damaged = damage ?? fault('unknown-mission', `there is no log of mission ${init.missionId}`)
    return [fact('error', 'mission.damaged', { mission: init.missionId, detail: state.damaged.detail }), ...asks.map(({ message, from }) => tell(from, { kind: 'local-answer', requestId: message.requestId, fault: state.damaged as Fault }))]
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

function startRootManager(init: OrchestratorInit, state: State, context: ActorContext): Effect[] {
  const { fold } = state
  if (fold === undefined || missionEnded(fold)) return []
  if (fold.cancelling) return endMission(init, state, { type: 'cancelled', atWallMs: context.wallMs }, context)
  const root = 'root' as TaskId
  const behaviour = manager({ missionId: init.missionId, taskId: root, awardId: awardIdOf(init.missionId, root, 1, fold.epoch), epoch: fold.epoch, orchestrator: context.self, principal: fold.principal, tuning: init.tuning })
  return [{ type: 'spawn', name: actorNames.rootManager(init.missionId), behaviour: erased(behaviour) }]
}

/** The root's own end is the mission's end. */
function afterCommit(init: OrchestratorInit, state: State, context: ActorContext): Effect[] {
  const { fold } = state
  const root = fold?.tasks.get('root' as TaskId)
  if (fold === undefined || root === undefined || missionEnded(fold)) return []
  if (root.state === 'accepted' && root.result !== undefined) return endMission(init, state, { type: 'completed', atWallMs: context.wallMs, result: root.result }, context)
  if (root.state === 'dead') return endMission(init, state, { type: 'failed', atWallMs: context.wallMs, fault: root.fault ?? fault('internal', 'it failed without a reason') }, context)
  return []
}

function endMission(init: OrchestratorInit, state: State, event: Extract<MissionEvent, { type: 'completed' | 'failed' | 'cancelled' }>, context: ActorContext, continuation: Continuation = { then: 'nothing' }): Effect[] {
  if (state.fold === undefined || missionEnded(state.fold)) return []
  state.restAtMs = context.nowMs + restAfterMs
  const stop = event.type === 'completed' ? [] : [tell(at(context.self.peer, actorNames.rootManager(init.missionId)), { kind: 'cancel' as const, awardId: awardIdOf(init.missionId, 'root' as TaskId, 1, state.fold.epoch), reason: event.type === 'failed' ? 'the mission failed' : 'the mission was cancelled' })]
  return [...(context.exists(actorNames.rootManager(init.missionId)) ? stop : []), ...append(init, state, [event], continuation, context), fact('info', `mission.${event.type}`, { mission: init.missionId, ...(event.type === 'failed' ? { detail: event.fault.detail } : {}) })]
}

// ---- managers -----------------------------------------------------------------------------------------------------

/** A manager holds its subtree by an award; the root's manager by this owner's epoch. */
function fenceOf(state: State, taskId: TaskId, awardId: string, from: ActorAddress, context: ActorContext): Fault | undefined {
  const { fold } = state
  if (fold === undefined) return fault('timeout', 'the mission is being recovered')
  if (taskId === 'root') return from.peer === context.self.peer && awardId === awardIdOf(fold.missionId, taskId, 1, fold.epoch) ? undefined : fault('fenced', 'the mission has a newer owner')
  const task = fold.tasks.get(taskId)
  const attempt = task === undefined ? undefined : liveAttempt(task)
  if (attempt?.award.awardId === awardId && attempt.award.worker === from.peer) return undefined
  return fault('fenced', `${taskId} is not awarded to this manager any more`)
}

function onAttach(state: State, message: MessageOf<'attach'>, from: ActorAddress, context: ActorContext): Effect[] {
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
  if (taskId === undefined) return event.type !== 'completed' && event.type !== 'failed' && event.type !== 'cancelled'
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
function onRecord(init: OrchestratorInit, state: State, message: MessageOf<'record'>, from: ActorAddress, context: ActorContext): Effect[] {
  const refs = blobRefsIn(message.events)
  if (refs.length === 0) return commitRecord(init, state, message, from, context)
  const tag = `blobs ${state.counter++}`
  state.fetching.set(tag, { message, from })
  return [{ type: 'fetch-blobs', refs, alsoTry: [from.peer], tag }]
}

function commitRecord(init: OrchestratorInit, state: State, message: MessageOf<'record'>, from: ActorAddress, context: ActorContext): Effect[] {
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

function onProgress(init: OrchestratorInit, state: State, notes: readonly ProgressNote[]): Effect[] {
  for (const note of notes) {
    const before = state.notes.get(note.taskId)
    state.notes.set(note.taskId, note.note === 'progress' && before !== undefined ? { ...before, ...note } : note)
  }
  return [...state.watchers.values()].map(({ to }) => tell(to, { kind: 'watched', missionId: init.missionId, events: [], notes: [...notes] }))
}

// ---- questions ----------------------------------------------------------------------------------------------------

function viewNow(init: OrchestratorInit, state: State): Json {
  return (state.fold === undefined ? null : missionView(state.fold, state.notes, init.nodeName)) as unknown as Json
}

function tellMissions(init: OrchestratorInit, state: State, context: ActorContext): Effect[] {
  if (state.fold === undefined) return []
  return [tell(at(context.self.peer, actorNames.missions), { kind: 'mission-changed', view: missionView(state.fold, state.notes, init.nodeName), dead: deadViews(state.fold), ended: missionEnded(state.fold) })]
}

function flushWatchers(init: OrchestratorInit, state: State): Effect[] {
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

function answer(init: OrchestratorInit, state: State, requestId: string, operation: MissionOperation, by: Principal | undefined, to: ActorAddress, context: ActorContext): Effect[] {
  const reply = (value: unknown): Effect[] => [tell(to, { kind: 'local-answer', requestId, answer: value as Json })]
  const refused = (problem: Fault): Effect[] => [tell(to, { kind: 'local-answer', requestId, fault: problem })]
  const { fold } = state
  if (fold === undefined) return refused(state.damaged ?? fault('timeout', 'the mission is being recovered'))
  const commit = (event: MissionEvent, ...then: Effect[]): Effect[] => {
    const verdict = judgeEvent(fold, event)
    if (typeof verdict === 'object') return refused(verdict.code === 'fenced' ? fault('wrong-state', `the mission is ${fold.state}`) : verdict)
    if (verdict === 'already') return reply(viewNow(init, state))
    return [...append(init, state, [event], { then: 'answer', to, requestId }, context), ...then]
  }
  const root = at(context.self.peer, actorNames.rootManager(init.missionId))
  const atWallMs = context.wallMs
  switch (operation.op) {
    case 'view':
      return reply(viewNow(init, state))
    case 'tasks':
      return reply(taskTree(fold, state.notes))
    case 'why':
      if (operation.taskId !== undefined && !fold.tasks.has(operation.taskId)) return refused(fault('unknown-task', `mission ${init.missionId} has no task ${operation.taskId}`, { next: 'list its tasks: skein mission show ID' }))
      return reply(whyView(fold, state.notes, operation.taskId))
    case 'result': {
      if (fold.result === undefined) return reply(resultView(fold, undefined))
      const tag = `result ${state.counter++}`
      state.results.set(tag, { to, requestId })
      return [{ type: 'load-value', payload: fold.result, alsoTry: [], tag }]
    }
    case 'pause':
      return commit({ type: 'paused', atWallMs }, tell(root, { kind: 'control', missionId: init.missionId, action: 'pause' }))
    case 'resume':
      return commit({ type: 'resumed', atWallMs }, tell(root, { kind: 'control', missionId: init.missionId, action: 'resume' }))
    case 'change':
      return commit({ type: 'changed', atWallMs, ...(operation.priority === undefined ? {} : { priority: operation.priority }), ...(operation.limits === undefined ? {} : { limits: operation.limits }) }, tell(root, { kind: 'control', missionId: init.missionId, action: 'change', ...(operation.priority === undefined ? {} : { priority: operation.priority }) }))
    case 'cancel': {
      if (missionEnded(fold)) return fold.state === 'cancelled' ? reply(viewNow(init, state)) : refused(fault('wrong-state', `the mission is already ${fold.state}`))
      const requested = append(init, state, [{ type: 'cancel-requested', atWallMs, by: by ?? fold.principal, reason: operation.reason }], { then: 'nothing' }, context)
      return [...requested, ...endMission(init, state, { type: 'cancelled', atWallMs }, context, { then: 'answer', to, requestId })]
    }
    case 'retry':
      return retry(init, state, operation.taskId, to, requestId, context)
    default:
      return refused(fault('bad-request', `${operation.op} is not a question to one mission`))
  }
}

/** Dead tasks start again; what was accepted stays accepted. Without a task: all that are dead. */
function retry(init: OrchestratorInit, state: State, taskId: TaskId | undefined, to: ActorAddress, requestId: string, context: ActorContext): Effect[] {
  const fold = state.fold as MissionFold
  if (fold.state === 'cancelled') return [tell(to, { kind: 'local-answer', requestId, fault: fault('wrong-state', 'a cancelled mission cannot be retried', { next: 'submit it again' }) })]
  const dead = taskId === undefined ? deadViews(fold).flatMap((view) => (view.taskId === undefined ? [] : [view.taskId])) : [taskId]
  const events: MissionEvent[] = dead.map((id) => ({ type: 'retried', atWallMs: context.wallMs, taskId: id }))
  const problem = events.map((event) => judgeEvent(fold, event)).find((verdict) => typeof verdict === 'object') ?? (events.length === 0 ? fault('wrong-state', 'the mission has no dead task') : undefined)
  if (typeof problem === 'object') return [tell(to, { kind: 'local-answer', requestId, fault: problem })]
  state.restAtMs = Infinity
  for (const id of dead) for (let up: TaskId | undefined = id; up !== undefined; up = parentTaskId(up)) state.notes.delete(up)
  return append(init, state, events, { then: 'answer', to, requestId, restartManager: true }, context)
}

/** The manager of a running mission folds its events again; that of an ended one is started anew. */
function restartManager(init: OrchestratorInit, state: State, context: ActorContext): Effect[] {
  const name = actorNames.rootManager(init.missionId)
  return context.exists(name) ? [tell(at(context.self.peer, name), { kind: 'control', missionId: init.missionId, action: 'retry' })] : startRootManager(init, state, context)
}

function onTick(init: OrchestratorInit, state: State, context: ActorContext): Effect[] {
  const effects: Effect[] = [{ type: 'set-timer', key: 'tick', delayMs: 1_000, message: { kind: 'tick' } }]
  for (const [key, watcher] of state.watchers) if (context.nowMs - watcher.renewedAtMs > watcherKeptMs) state.watchers.delete(key)
  const { fold } = state
  if (fold !== undefined && !missionEnded(fold) && context.wallMs > fold.submittedAtWallMs + fold.limits.durationMs) {
    const waits = missionView(fold, state.notes, init.nodeName).waitingFor
    return [...effects, ...endMission(init, state, { type: 'failed', atWallMs: context.wallMs, fault: fault('deadline-exceeded', `the mission was not done within ${Math.round(fold.limits.durationMs / 1_000)} s${waits === undefined ? '' : `; it waited for ${waits}`}`, { next: 'submit it with a longer limit: --limit durationMs=N' }) }, context)]
  }
  if (context.nowMs >= state.restAtMs && state.watchers.size === 0 && state.appends.size === 0) {
    return [tell(at(context.self.peer, actorNames.missions), { kind: 'mission-rested', head: headNow(init, state) }), { type: 'stop-self' }]
  }
  return effects
}
