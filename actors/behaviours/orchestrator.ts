/**
 * Owns one mission on the node that leads its log: the log's events, its root manager, its watchers. Every event, its own
 * and its managers', is judged against the state it would change, appended, and spoken of only once it is committed.
 */
import { fault, type Fault } from '../../protocols/kernel/errors.ts'
import type { PeerId } from '../../protocols/kernel/ids.ts'
import type { Membership } from '../../protocols/membership/schema.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { blobRefsIn, withHolder, type Json } from '../../protocols/kernel/payload.ts'
import { decodeFold, encodeFold } from '../../protocols/tasking/fold-snapshot.ts'
import { missionEnded } from '../../protocols/tasking/mission-state.ts'
import type { MissionOperation } from '../../protocols/tasking/schema.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext, Behaviour, Delivery } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'
import { missionView, resultView } from './mission-views.ts'
import { answer } from './orchestrator-answers.ts'
import { aimAt, archive, loadArchive, onArchived, onArchiveLoaded, onArchiveStored, onFolded, onSnapshotStored, recover, secureArchive, snapshotIfDue, tryLater } from './orchestrator-keeping.ts'
import { callOffEnded, commitRecord, onAttach, onProgress, onRecord, onSlicePacked, onStillWanted, refuseRecord } from './orchestrator-managers.ts'
import { append, endMission, flushAppends, showTimer, isAhead, keepersOf, membersOf, newOrchestratorState, startRootManager, stopManagers, tellMissions, unknownOutcome, viewNow, votersOf, whenCaughtUp, whenConfirmed, epochOf, type Continuation, type OrchestratorInit, type OrchestratorState } from './orchestrator-state.ts'

const watcherKeptMs = 30_000
const eventsPerFrame = 200

export function orchestrator(init: OrchestratorInit): Behaviour<OrchestratorState> {
  return {
    kind: 'orchestrator',
    supervision: 'stop',
    start(context) {
      const state = newOrchestratorState()
      const tick: Effect = { type: 'set-timer', key: 'tick', delayMs: 1_000, message: { kind: 'tick' } }
      return { state, effects: [tick, ...begin(init, state, context), ...flushAppends(init, state, context)] }
    },
    receive: (state, delivery, context) => receive(init, state, delivery, context),
    endTurn: (state, context) => flushAppends(init, state, context),
  }
}

function begin(init: OrchestratorInit, state: OrchestratorState, context: ActorContext): Effect[] {
  const { from } = init
  if (from.kind === 'ended') return [loadArchive(from.ended)]
  if (from.kind === 'led') return recover(init, state, from.led, context)
  const last = from.led.entries.at(-1)
  if (last !== undefined) state.head = { index: last.index, chain: last.chain }
  state.events = from.led.entries.map(({ index, event }) => ({ index, event: event as Extract<typeof event, { type: 'members' }> }))
  state.membership = from.led.membership
  const [first] = from.events
  const aim = first?.type === 'submitted' ? [aimAt(init, first.acknowledgement, context)] : []
  const refs = blobRefsIn(from.events)
  if (refs.length === 0) return [...aim, ...append(init, state, from.events, { then: 'opened' }, context)]
  // A mission's inputs are as safe as the mission before anybody is told that it was accepted.
  state.securing.set('opening', { for: 'opening' })
  return [...aim, tell(at(context.self.peer, actorNames.blobKeeper), { kind: 'secure-blobs', tag: 'opening', voters: votersOf(state), refs, alsoTry: [] })]
}

function receive(init: OrchestratorInit, state: OrchestratorState, delivery: Delivery, context: ActorContext): readonly Effect[] {
  const { message, from, principal } = delivery
  switch (message.kind) {
    case 'appended':
      return onAppended(init, state, message.tag, message.fault, context)
    case 'group-followed':
      return onDeposed(init, state, context)
    case 'members-wanted': {
      // A mission that was to be kept here alone stays so.
      if (state.fold === undefined || state.fold.acknowledgement !== 'quorum' || state.isArchiving) return []
      return onMembersWanted(init, state, message.membership, context)
    }
    case 'attach':
      return state.fold !== undefined && isAhead(state) ? whenConfirmed(init, state, { then: 'deliver', delivery }, context) : onAttach(state, message, from, context)
    case 'record':
      if (state.held !== undefined) return hold(state.held.proposals, `${from.peer} ${from.actor} ${message.requestId}`, delivery)
      return onRecord(init, state, message, from, context)
    case 'blobs-secured':
      if (state.held !== undefined) return hold(state.held.proposals, message.tag, delivery)
      return onSecured(init, state, message.tag, message, context)
    case 'progress':
      return onProgress(init, state, message.notes, from, context)
    case 'mission-ask':
      return onAsk(init, state, { message, from, principal: message.principal ?? principal }, context)
    case 'value-loaded':
      return onLoaded(init, state, message.tag, message.value, message.fault, context)
    case 'value-stored':
      if (message.tag === 'snapshot') return onSnapshotStored(init, state, message.payload, context)
      if (message.tag === 'archive') return onArchiveStored(init, state, message.payload, context)
      return onSlicePacked(state, message.tag, message.payload, context)
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
      if (message.what === showTimer) return tellMissions(init, state, context)
      return message.what === 'base' && init.from.kind === 'led' ? recover(init, state, init.from.led, context) : onTick(init, state, context)
    default:
      return []
  }
}

// ---- what waits until nothing is ahead --------------------------------------------------------------------------------

/** Whoever is not answered says the same again. */
function hold(proposals: Map<string, Delivery>, key: string, delivery: Delivery): Effect[] {
  proposals.set(key, delivery)
  return []
}

/** Those who waited first; what one of them changes, the others wait for again. */
function release(init: OrchestratorInit, state: OrchestratorState, context: ActorContext): Effect[] {
  const { held } = state
  if (held === undefined || isAhead(state)) return []
  state.held = undefined
  return [...held.waiting.flatMap((continuation) => goOn(init, state, continuation, context)), ...[...held.proposals.values()].flatMap((delivery) => receive(init, state, delivery, context))]
}

// ---- questions -----------------------------------------------------------------------------------------------------

const questions: ReadonlySet<MissionOperation['op']> = new Set(['view', 'tasks', 'result', 'why'])

type Ask = OrchestratorState['asks'][number]

/** An answer tells of nothing that a crash or a newer owner could still undo: this node must be known to lead (ReadIndex). */
function onAsk(init: OrchestratorInit, state: OrchestratorState, ask: Ask, context: ActorContext): Effect[] {
  if (state.fold === undefined && state.damaged === undefined) {
    state.asks.push(ask)
    return []
  }
  const isQuestion = questions.has(ask.message.operation.op)
  if (!isQuestion && (init.from.kind === 'ended' || state.isArchiving)) return [tell(ask.from, { kind: 'local-answer', requestId: ask.message.requestId, fault: fault('wrong-state', `the mission is ${state.fold?.state ?? 'over'} and archived: nothing changes it any more`, { next: 'submit it again' }) })]
  if (init.from.kind === 'ended' || state.damaged !== undefined) return answer(init, state, ask.message.requestId, ask.message.operation, ask.principal, ask.from, context)
  return whenConfirmed(init, state, { then: 'answer-ask', ...ask }, context)
}

function onLoaded(init: OrchestratorInit, state: OrchestratorState, tag: string, value: Json | undefined, problem: Fault | undefined, context: ActorContext): Effect[] {
  if (tag === 'base' && init.from.kind !== 'ended') {
    if (problem === undefined && value !== undefined) return onFolded(init, state, init.from.led, decodeFold(value), context)
    // Without its snapshot this node cannot lead; whoever holds it may. It is asked for again.
    return [fact('error', 'mission.snapshot-missing', { mission: init.missionId, detail: problem?.detail ?? '' }), { type: 'set-timer', key: 'base', delayMs: 2_000, message: { kind: 'tick', what: 'base' } }]
  }
  if (tag === 'archive') {
    const effects = onArchiveLoaded(init, state, value, problem, context)
    return [...effects, ...state.asks.splice(0).flatMap((ask) => onAsk(init, state, ask, context)), ...flushWatchers(init, state), ...faultWatchers(init, state)]
  }
  const asked = state.results.get(tag)
  state.results.delete(tag)
  if (asked === undefined || state.fold === undefined) return []
  const answered = asked.fork === undefined ? resultView(state.fold, value, keepersOf(init, state)) : { request: value ?? null, fork: asked.fork }
  return [tell(asked.to, problem === undefined ? { kind: 'local-answer', requestId: asked.requestId, answer: answered as unknown as Json } : { kind: 'local-answer', requestId: asked.requestId, fault: problem })]
}

// ---- what was committed, or was not ----------------------------------------------------------------------------------

function onAppended(init: OrchestratorInit, state: OrchestratorState, tag: string, problem: Fault | undefined, context: ActorContext): Effect[] {
  const awaited = state.appends.get(tag)
  if (awaited === undefined) return []
  state.appends.delete(tag)
  if (awaited.some(({ continuation }) => continuation.then === 'opened')) state.saidOpened = true
  if (problem !== undefined) return [...awaited.flatMap(({ continuation }) => refused(init, continuation, unknownOutcome(problem), context)), ...startOver(init, tag, problem, context), ...release(init, state, context)]
  state.committed = Math.max(state.committed, awaited.at(-1)?.upTo ?? 0)
  const effects: Effect[] = [...flushWatchers(init, state), ...tellMissions(init, state, context), ...stopManagers(init, state, context), ...snapshotIfDue(init, state)]
  const goesOn = awaited.flatMap(({ continuation }) => goOn(init, state, continuation, context))
  return [...effects, ...goesOn, ...release(init, state, context)]
}

/** What is answered from the fold as it is then, of which nothing may be ahead. */
const tellsOfNow: ReadonlySet<Continuation['then']> = new Set(['deliver', 'answer-ask', 'answer'])

function goOn(init: OrchestratorInit, state: OrchestratorState, continuation: Continuation, context: ActorContext): readonly Effect[] {
  if (isAhead(state) && tellsOfNow.has(continuation.then)) {
    whenCaughtUp(state, continuation)
    return []
  }
  switch (continuation.then) {
    case 'opened':
      return [tell(at(context.self.peer, actorNames.missions), { kind: 'mission-opened', missionId: init.missionId }), ...startRootManager(init, state, context)]
    case 'start': {
      return [tellWhere(init, state, context), ...state.asks.splice(0).flatMap((ask) => onAsk(init, state, ask, context)), ...callOffEnded(init, state, context), ...startRootManager(init, state, context)]
    }
    case 'deliver':
      return receive(init, state, continuation.delivery, context)
    case 'answer-ask': {
      const { message, from, principal } = continuation
      return answer(init, state, message.requestId, message.operation, principal, from, context)
    }
    case 'recorded':
      return [tell(continuation.to, { kind: 'recorded', missionId: init.missionId, requestId: continuation.requestId, firstIndex: continuation.firstIndex })]
    case 'answer':
      return [tell(continuation.to, { kind: 'local-answer', requestId: continuation.requestId, answer: viewNow(init, state) }), ...(continuation.restartManager === true ? restartManager(init, state, context) : [])]
    case 'archived':
      return onArchived(init, continuation.ended, context)
    case 'nothing':
      return []
  }
}

function tellWhere(init: OrchestratorInit, state: OrchestratorState, context: ActorContext): Effect {
  state.isTold = true
  return tell(at(context.self.peer, actorNames.registrar), { kind: 'tell-registrar', missionId: init.missionId, members: leaderFirst(state, context), epoch: epochOf(init) })
}

function leaderFirst(state: OrchestratorState, context: ActorContext) {
  return [context.self.peer, ...membersOf(state).filter((peer) => peer !== context.self.peer)]
}

function refused(init: OrchestratorInit, continuation: Continuation, problem: Fault, context: ActorContext): Effect[] {
  switch (continuation.then) {
    case 'opened':
      return [tell(at(context.self.peer, actorNames.missions), { kind: 'mission-opened', missionId: init.missionId, fault: problem })]
    case 'deliver':
      return []
    case 'answer-ask':
      return [tell(continuation.from, { kind: 'local-answer', requestId: continuation.message.requestId, fault: problem })]
    case 'answer':
      return [tell(continuation.to, { kind: 'local-answer', requestId: continuation.requestId, fault: problem })]
    default:
      return []
  }
}

/** What was appended is folded here and not in the log, which goes on without it: nothing could follow any more. The log is told again, and folded anew. */
function startOver(init: OrchestratorInit, tag: string, problem: Fault, context: ActorContext): Effect[] {
  if (!tag.startsWith('append ') || problem.code === 'fenced' || problem.code === 'storage-failed') return []
  return [fact('warn', 'mission.append-refused', { mission: init.missionId, detail: problem.detail }), tell(at(context.self.peer, actorNames.logKeeper), { kind: 'lead-again', group: init.missionId })]
}

/** Another node leads, or nobody does: what was folded here and not committed never was. The managers end with this actor. */
function onDeposed(init: OrchestratorInit, state: OrchestratorState, context: ActorContext): Effect[] {
  if (init.from.kind === 'ended') return []
  const gone = fault('timeout', 'the mission has moved to another node meanwhile: the outcome is unknown', { next: 'try again with the same key' })
  const asks = state.asks.splice(0).map(({ message, from }) => tell(from, { kind: 'local-answer' as const, requestId: message.requestId, fault: gone }))
  const results = [...state.results.values()].map(({ to, requestId }) => tell(to, { kind: 'local-answer' as const, requestId, fault: gone }))
  // Whoever submitted it waits at the desk, and so would everybody who names the same key after them.
  const opening = init.from.kind === 'opening' && !state.saidOpened ? [tell(at(context.self.peer, actorNames.missions), { kind: 'mission-opened' as const, missionId: init.missionId, fault: gone })] : []
  // Not sent yet, not answered yet, or not begun yet.
  const open = [...[...state.appends.values(), state.outgoing.awaited].flat().map(({ continuation }) => continuation), ...(state.held?.waiting ?? [])]
  const abandoned = open.flatMap((continuation) => (continuation.then === 'opened' ? [] : refused(init, continuation, gone, context)))
  return [...opening, ...asks, ...results, ...abandoned, fact('info', 'mission.deposed', { mission: init.missionId }), { type: 'stop-self' }]
}

/** New voters are given the blobs that the log cites before they count: with them a majority holds what it has promised. */
function onMembersWanted(init: OrchestratorInit, state: OrchestratorState, membership: Membership, context: ActorContext): Effect[] {
  const newcomers = membership.voters.map(({ peer }) => peer).filter((peer) => peer !== context.self.peer && state.membership?.voters.some((voter) => voter.peer === peer) !== true)
  const refs = newcomers.length === 0 || state.fold === undefined ? [] : blobRefsIn([encodeFold(state.fold), state.events])
  if (refs.length === 0) return append(init, state, [{ type: 'members', atWallMs: context.wallMs, membership }], { then: 'nothing' }, context)
  if ([...state.securing.values()].some((waiting) => waiting.for === 'members')) return []
  const waiting = { for: 'members' as const, membership, since: state.membership, left: new Set(newcomers) }
  return newcomers.map((peer) => {
    const tag = `newcomer ${state.counter++} ${peer}`
    state.securing.set(tag, waiting)
    return tell(at(context.self.peer, actorNames.blobKeeper), { kind: 'secure-blobs', tag, voters: [context.self.peer, peer], refs, alsoTry: membersOf(state) })
  })
}

type Secured = Extract<Delivery['message'], { kind: 'blobs-secured' }>

function onSecured(init: OrchestratorInit, state: OrchestratorState, tag: string, { holders, cites, fault: problem }: Secured, context: ActorContext): Effect[] {
  const waiting = state.securing.get(tag)
  state.securing.delete(tag)
  if (waiting === undefined) return []
  switch (waiting.for) {
    case 'opening':
      if (problem !== undefined) return [...refused(init, { then: 'opened' }, problem, context), { type: 'stop-self' }]
      return init.from.kind === 'opening' ? append(init, state, init.from.events.map((event) => holders.reduce((known, holder) => withHolder(known, holder), event)), { then: 'opened' }, context) : []
    case 'record':
      return problem === undefined ? commitRecord(init, state, waiting.message, waiting.from, holders, context) : refuseRecord(waiting.message, waiting.from, problem)
    case 'archive':
      if (problem?.code === 'unknown-blob' && !waiting.alone) return secureArchive(init, state, waiting.ended, true, context)
      if (problem !== undefined) return tryLater(state, context)
      return append(init, state, [{ type: 'archived', atWallMs: context.wallMs, archive: holders.reduce((known, holder) => withHolder(known, holder), waiting.ended.archive) }], { then: 'archived', ended: { ...waiting.ended, cites: [...cites] } }, context)
    case 'members':
      // What nobody has any more keeps nobody from voting; what did not come in time is tried again when the members are looked at next.
      if (problem !== undefined && problem.code !== 'unknown-blob') return []
      waiting.left.delete(tag.slice(tag.lastIndexOf(' ') + 1) as PeerId)
      if (waiting.left.size > 0 || state.isArchiving || state.membership !== waiting.since) return []
      return append(init, state, [{ type: 'members', atWallMs: context.wallMs, membership: waiting.membership }], { then: 'nothing' }, context)
  }
}

// ---- watchers and time -----------------------------------------------------------------------------------------------

function flushWatchers(init: OrchestratorInit, state: OrchestratorState): Effect[] {
  const effects: Effect[] = []
  for (const watcher of state.watchers.values()) {
    if (watcher.sent < state.firstKept - 1 && state.committed >= state.firstKept - 1) {
      watcher.sent = state.firstKept - 1
      effects.push(tell(watcher.to, { kind: 'watched', missionId: init.missionId, events: [], notes: [], resetTo: watcher.sent }))
    }
    while (watcher.sent < state.committed) {
      const from = watcher.sent - state.firstKept + 1
      const events = state.events.slice(from, from + Math.min(state.committed - watcher.sent, eventsPerFrame))
      if (events.length === 0) break
      watcher.sent += events.length
      effects.push(tell(watcher.to, { kind: 'watched', missionId: init.missionId, events, notes: [] }))
    }
  }
  return effects
}

function faultWatchers(init: OrchestratorInit, state: OrchestratorState): Effect[] {
  const { damaged } = state
  return damaged === undefined ? [] : [...state.watchers.values()].map(({ to }) => tell(to, { kind: 'watched', missionId: init.missionId, events: [], notes: [], fault: damaged }))
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
  // Where it was claimed it is. A claim of which nothing is heard for long is forgotten, though.
  if (init.from.kind === 'opening' && !state.isTold && fold !== undefined && context.wallMs > fold.submittedAtWallMs + limits.ownerTellsMs) effects.push(tellWhere(init, state, context))
  if (fold !== undefined && !missionEnded(fold) && context.wallMs > fold.submittedAtWallMs + fold.limits.durationMs) {
    const waits = missionView(fold, state.notes, init.nodeName).waitingFor
    return [...effects, ...endMission(init, state, { type: 'failed', atWallMs: context.wallMs, fault: fault('deadline-exceeded', `the mission was not done within ${Math.round(fold.limits.durationMs / 1_000)} s${waits === undefined ? '' : `; it waited for ${waits}`}`, { next: 'submit it with a longer limit: --limit durationMs=N' }) }, context)]
  }
  if (context.nowMs < state.restAtMs || state.watchers.size > 0 || state.appends.size > 0 || isAhead(state)) return effects
  return init.from.kind === 'ended' ? [{ type: 'stop-self' }] : [...effects, ...archive(init, state)]
}
