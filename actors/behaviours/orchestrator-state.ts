/** What an orchestrator remembers, and the few things that all of its parts do: append, end, tell. */
import { fault, type Fault } from '../../protocols/kernel/errors.ts'
import { awardIdOf, type ActorAddress, type Epoch, type MissionId, type TaskId } from '../../protocols/kernel/ids.ts'
import type { Json } from '../../protocols/kernel/payload.ts'
import { chainOrigin, extend } from '../../protocols/replicated-log/chain.ts'
import type { LogEntry, LogHead } from '../../protocols/replicated-log/schema.ts'
import { applyEvent, missionEnded, openMission, type MissionFold } from '../../protocols/tasking/mission-state.ts'
import type { IndexedEvent, MissionEvent, ProgressNote } from '../../protocols/tasking/schema.ts'
import type { MessageOf } from '../../protocols/wire.ts'
import { actorNames, at } from '../names.ts'
import type { Claim } from '../ports/log-store.ts'
import { erased, type ActorContext, type Delivery } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'
import type { Tuning } from '../tuning.ts'
import { manager } from './manager.ts'
import { deadViews, missionView } from './mission-views.ts'

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
export type Continuation =
  | { readonly then: 'nothing' }
  | { readonly then: 'opened' }
  | { readonly then: 'start' }
  /** Something that was asked before everything known was synced: handled when it is. */
  | { readonly then: 'deliver'; readonly delivery: Delivery }
  | { readonly then: 'recorded'; readonly to: ActorAddress; readonly requestId: number; readonly firstIndex: number }
  | { readonly then: 'answer'; readonly to: ActorAddress; readonly requestId: string; readonly restartManager?: boolean }

export interface OrchestratorState {
  fold: MissionFold | undefined
  events: IndexedEvent[]
  head: { index: number; chain: string }
  committed: number
  readonly appends: Map<string, { readonly upTo: number; readonly continuation: Continuation }>
  /** Records whose blobs are being made local. */
  readonly fetching: Map<string, { readonly key: string; readonly message: MessageOf<'record'>; readonly from: ActorAddress }>
  readonly watchers: Map<string, { readonly to: ActorAddress; sent: number; renewedAtMs: number }>
  readonly notes: Map<TaskId, ProgressNote>
  readonly asks: { readonly message: MessageOf<'mission-ask'>; readonly from: ActorAddress }[]
  readonly results: Map<string, { readonly to: ActorAddress; readonly requestId: string }>
  read: LogEntry[]
  damaged: Fault | undefined
  restAtMs: number
  counter: number
}

/** An ended mission's orchestrator stays this long for questions, then its log answers when asked again. */
export const restAfterMs = 60_000

export function newOrchestratorState(): OrchestratorState {
  return { fold: undefined, events: [], head: { index: 0, chain: chainOrigin }, committed: 0, appends: new Map(), fetching: new Map(), watchers: new Map(), notes: new Map(), asks: [], results: new Map(), read: [], damaged: undefined, restAtMs: Infinity, counter: 0 }
}

/** Folds the events at once and asks for them to be synced; nobody is told before. */
export function append(init: OrchestratorInit, state: OrchestratorState, events: readonly MissionEvent[], continuation: Continuation, context: ActorContext, claim?: Claim): Effect[] {
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

export function headNow(init: OrchestratorInit, state: OrchestratorState): LogHead {
  return { missionId: init.missionId, index: state.head.index, chain: state.head.chain, epoch: state.fold?.epoch ?? { lineage: 1, term: 1 }, sealed: state.fold !== undefined && missionEnded(state.fold) }
}

/** True while something is folded that is not synced yet: nobody is told of it. */
export function isAhead(state: OrchestratorState): boolean {
  return state.committed < state.head.index
}

/** Waits for the sync of everything folded so far, in the log-keeper's order, then takes the delivery up again. */
export function whenSynced(init: OrchestratorInit, state: OrchestratorState, delivery: Delivery, context: ActorContext): Effect[] {
  return append(init, state, [], { then: 'deliver', delivery }, context)
}

/** The root's own end is the mission's end. */
export function endWithRoot(init: OrchestratorInit, state: OrchestratorState, context: ActorContext): Effect[] {
  const { fold } = state
  const root = fold?.tasks.get('root' as TaskId)
  if (fold === undefined || root === undefined || missionEnded(fold)) return []
  if (root.state === 'accepted' && root.result !== undefined) return endMission(init, state, { type: 'completed', atWallMs: context.wallMs, result: root.result }, context)
  if (root.state === 'dead') return endMission(init, state, { type: 'failed', atWallMs: context.wallMs, fault: root.fault ?? fault('internal', 'it failed without a reason') }, context)
  return []
}

export function endMission(init: OrchestratorInit, state: OrchestratorState, event: Extract<MissionEvent, { type: 'completed' | 'failed' | 'cancelled' }>, context: ActorContext, continuation: Continuation = { then: 'nothing' }): Effect[] {
  if (state.fold === undefined || missionEnded(state.fold)) return []
  state.restAtMs = context.nowMs + restAfterMs
  const stop = event.type === 'completed' ? [] : [tell(at(context.self.peer, actorNames.rootManager(init.missionId)), { kind: 'cancel' as const, awardId: awardIdOf(init.missionId, 'root' as TaskId, 1, state.fold.epoch), reason: event.type === 'failed' ? 'the mission failed' : 'the mission was cancelled' })]
  return [...(context.exists(actorNames.rootManager(init.missionId)) ? stop : []), ...append(init, state, [event], continuation, context), fact('info', `mission.${event.type}`, { mission: init.missionId, ...(event.type === 'failed' ? { detail: event.fault.detail } : {}) })]
}

export function startRootManager(init: OrchestratorInit, state: OrchestratorState, context: ActorContext): Effect[] {
  const { fold } = state
  if (fold === undefined || missionEnded(fold)) return []
  if (fold.cancelling) return endMission(init, state, { type: 'cancelled', atWallMs: context.wallMs }, context)
  // The owner may have stopped between the root's end and the mission's.
  const ended = endWithRoot(init, state, context)
  if (ended.length > 0) return ended
  const root = 'root' as TaskId
  const behaviour = manager({ missionId: init.missionId, taskId: root, awardId: awardIdOf(init.missionId, root, 1, fold.epoch), epoch: fold.epoch, orchestrator: context.self, principal: fold.principal, tuning: init.tuning })
  return [{ type: 'spawn', name: actorNames.rootManager(init.missionId), behaviour: erased(behaviour) }]
}

export function viewNow(init: OrchestratorInit, state: OrchestratorState): Json {
  return (state.fold === undefined ? null : missionView(state.fold, state.notes, init.nodeName)) as unknown as Json
}

export function tellMissions(init: OrchestratorInit, state: OrchestratorState, context: ActorContext): Effect[] {
  if (state.fold === undefined) return []
  return [tell(at(context.self.peer, actorNames.missions), { kind: 'mission-changed', view: missionView(state.fold, state.notes, init.nodeName), dead: deadViews(state.fold), ended: missionEnded(state.fold) })]
}
