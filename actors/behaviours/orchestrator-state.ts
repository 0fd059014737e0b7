/** What an orchestrator remembers, and the few things that all of its parts do: append, end, tell. */
import { fault, type Fault } from '../../protocols/kernel/errors.ts'
import { awardIdOf, type ActorAddress, type Epoch, type MissionId, type PeerId, type Principal, type TaskId } from '../../protocols/kernel/ids.ts'
import type { Json } from '../../protocols/kernel/payload.ts'
import type { InstantMs } from '../../protocols/kernel/units.ts'
import type { Membership } from '../../protocols/membership/schema.ts'
import { chainOrigin, extend } from '../../protocols/replicated-log/chain.ts'
import type { EndedMission, LogEntry, LogSnapshot } from '../../protocols/replicated-log/schema.ts'
import { applyEvent, foldEvents, missionEnded, type MissionFold } from '../../protocols/tasking/mission-state.ts'
import type { ForkSeed, IndexedEvent, MissionEvent, MissionState, ProgressNote } from '../../protocols/tasking/schema.ts'
import type { MessageOf } from '../../protocols/wire.ts'
import { actorNames, at } from '../names.ts'
import { erased, type ActorContext, type Delivery } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'
import type { Tuning } from '../tuning.ts'
import { manager } from './manager.ts'
import { deadViews, missionView } from './mission-views.ts'

/** A mission's log as the log-keeper hands it to whoever leads it now. */
export interface LedLog {
  readonly epoch: Epoch
  readonly membership: Membership
  readonly snapshot?: LogSnapshot
  readonly entries: readonly LogEntry[]
  readonly commit: number
}

/** False while it only says who keeps it: its founder stopped before the first events were there. */
export function hasBegun({ snapshot, entries }: LedLog): boolean {
  return snapshot !== undefined || entries.some(({ event }) => event.type === 'submitted')
}

export interface OrchestratorInit {
  readonly missionId: MissionId
  readonly nodeName: string
  readonly tuning: Tuning
  /** The mission is new, or this node leads it after another; or it has ended, and questions are answered from its archive. */
  readonly from:
    | { readonly kind: 'opening'; readonly led: LedLog; readonly events: readonly MissionEvent[] }
    | { readonly kind: 'led'; readonly led: LedLog }
    | { readonly kind: 'ended'; readonly ended: EndedMission }
}

/** What is done once an append is committed, or this node's leadership was confirmed. */
export type Continuation =
  | { readonly then: 'nothing' }
  | { readonly then: 'opened' }
  | { readonly then: 'start' }
  /** Something that was asked before everything known was committed: handled when it is. */
  | { readonly then: 'deliver'; readonly delivery: Delivery }
  | { readonly then: 'answer-ask'; readonly message: MessageOf<'mission-ask'>; readonly from: ActorAddress; readonly principal: Principal | undefined }
  | { readonly then: 'recorded'; readonly to: ActorAddress; readonly requestId: number; readonly firstIndex: number }
  | { readonly then: 'answer'; readonly to: ActorAddress; readonly requestId: string; readonly restartManager?: boolean }
  | { readonly then: 'archived'; readonly ended: EndedMission }

/** What waits until blobs are on the disks of a majority. */
export type Securing =
  | { readonly for: 'opening' }
  | { readonly for: 'record'; readonly key: string; readonly message: MessageOf<'record'>; readonly from: ActorAddress }
  /** `alone`: what the mission cites cannot all be had any more; its archive is kept without. */
  | { readonly for: 'archive'; readonly ended: EndedMission; readonly alone: boolean }
  /** Newcomers among the voters get what the log cites before they count. */
  | { readonly for: 'members'; readonly membership: Membership; readonly since: Membership | undefined; readonly left: Set<PeerId> }

/** Something to go on with once the log is committed up to there. */
export interface Awaited {
  readonly upTo: number
  readonly continuation: Continuation
}

export interface OrchestratorState {
  fold: MissionFold | undefined
  /** Of the log; those before `firstKept` are only in the snapshot. */
  events: IndexedEvent[]
  firstKept: number
  head: { index: number; chain: string }
  committed: number
  membership: Membership | undefined
  readonly appends: Map<string, readonly Awaited[]>
  /** Folded in this turn, and to be appended at its end, all at once. */
  outgoing: { readonly entries: LogEntry[]; readonly awaited: Awaited[] }
  /** Who waits for a moment at which nothing is ahead, and what managers propose until then; undefined while nobody waits. */
  held: { readonly waiting: Continuation[]; readonly proposals: Map<string, Delivery> } | undefined
  readonly securing: Map<string, Securing>
  readonly watchers: Map<string, { readonly to: ActorAddress; sent: number; renewedAtMs: number }>
  readonly notes: Map<TaskId, ProgressNote>
  readonly asks: { readonly message: MessageOf<'mission-ask'>; readonly from: ActorAddress; readonly principal: Principal | undefined }[]
  /** With `fork`: it is the request that is loaded. */
  readonly results: Map<string, { readonly to: ActorAddress; readonly requestId: string; readonly fork?: ForkSeed }>
  /** Managers that attach to a log which begins with a snapshot: told once their slice of it is packed. */
  readonly attaching: Map<string, { readonly message: MessageOf<'attach'>; readonly to: ActorAddress; readonly upTo: number }>
  /** A snapshot that is being stored: where it was taken. */
  snapshotting: { readonly at: LogSnapshot['at']; readonly membership: Membership } | undefined
  damaged: Fault | undefined
  /** Of a new mission: the desk has heard whether it begins. */
  saidOpened: boolean
  /** The registrar knows by whom it is led. */
  isTold: boolean
  /** What the node's list of missions shows of it: as of when, and in which state. */
  shown: { readonly atMs: InstantMs; readonly state: MissionState } | undefined
  restAtMs: number
  isArchiving: boolean
  counter: number
}

export function newOrchestratorState(): OrchestratorState {
  return {
    fold: undefined, events: [], firstKept: 1, head: { index: 0, chain: chainOrigin }, committed: 0, membership: undefined, appends: new Map(), outgoing: { entries: [], awaited: [] }, held: undefined, securing: new Map(), watchers: new Map(), notes: new Map(), asks: [], results: new Map(),
    attaching: new Map(), snapshotting: undefined, damaged: undefined, saidOpened: false, isTold: false, shown: undefined, restAtMs: Infinity, isArchiving: false, counter: 0,
  }
}

export function epochOf(init: OrchestratorInit): Epoch {
  return init.from.kind === 'ended' ? { lineage: 1, term: 1 } : init.from.led.epoch
}

export function votersOf(state: OrchestratorState): PeerId[] {
  return state.membership?.voters.map(({ peer }) => peer) ?? []
}

export function membersOf(state: OrchestratorState): PeerId[] {
  const { membership } = state
  return membership === undefined ? [] : [...new Set([...membership.voters, ...membership.learners].map(({ peer }) => peer))]
}

/** The same of a mission that is archived. */
export function keepersOf(init: OrchestratorInit, state: OrchestratorState): readonly PeerId[] {
  return init.from.kind === 'ended' ? init.from.ended.members : membersOf(state)
}

/** Folds the events at once, and proposes them at the end of the turn (`flushAppends`); nobody is told before they are committed. */
export function append(init: OrchestratorInit, state: OrchestratorState, events: readonly MissionEvent[], continuation: Continuation, context: ActorContext): Effect[] {
  // A repeated message adds nothing: what it adds to must be committed all the same.
  if (events.length === 0) return whenConfirmed(init, state, continuation, context)
  // A change of members may be refused: what is appended beside it would be refused with it.
  const isAlone = events.some(({ type }) => type === 'members')
  const before = isAlone ? flushAppends(init, state, context) : []
  const entries = extend(state.head, epochOf(init), events)
  for (const { index, event } of entries as readonly { index: number; event: MissionEvent }[]) {
    // Before it stand the members, and whoever took over a log that was founded and never begun.
    if (event.type === 'submitted' && state.fold === undefined) state.fold = foldEvents([...state.events, { index, event }])
    else if (state.fold !== undefined) applyEvent(state.fold, event, index)
    if (event.type === 'members') state.membership = event.membership
    state.events.push({ index, event })
  }
  const last = entries.at(-1)
  if (last !== undefined) state.head = { index: last.index, chain: last.chain }
  state.outgoing.entries.push(...entries)
  state.outgoing.awaited.push({ upTo: state.head.index, continuation })
  return isAlone ? [...before, ...flushAppends(init, state, context)] : []
}

/** However many messages there were in this turn, the log is appended to once. */
export function flushAppends(init: OrchestratorInit, state: OrchestratorState, context: ActorContext): Effect[] {
  const { entries, awaited } = state.outgoing
  if (entries.length === 0) return []
  state.outgoing = { entries: [], awaited: [] }
  const tag = `append ${state.counter++}`
  state.appends.set(tag, awaited)
  return [tell(at(context.self.peer, actorNames.logKeeper), { kind: 'append', tag, group: init.missionId, entries })]
}

/** True while something is folded that is not committed yet: nobody is told of it. */
export function isAhead(state: OrchestratorState): boolean {
  return state.committed < state.head.index
}

/** Waits until everything folded so far is committed and this node is known to lead still. */
export function whenConfirmed(init: OrchestratorInit, state: OrchestratorState, continuation: Continuation, context: ActorContext): Effect[] {
  const before = flushAppends(init, state, context)
  const tag = `barrier ${state.counter++}`
  state.appends.set(tag, [{ upTo: state.head.index, continuation }])
  return [...before, tell(at(context.self.peer, actorNames.logKeeper), { kind: 'barrier', tag, group: init.missionId })]
}

/**
 * Waits until nothing is ahead: whoever asked was confirmed already, and something is on its way. Of a busy mission something always
 * would be, so what its managers propose waits meanwhile, for as long as what is on its way takes.
 */
export function whenCaughtUp(state: OrchestratorState, continuation: Continuation): void {
  state.held ??= { waiting: [], proposals: new Map() }
  state.held.waiting.push(continuation)
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
  restLater(init, state, event.type, context)
  return [...append(init, state, [event], continuation, context), fact('info', `mission.${event.type}`, { mission: init.missionId, ...(event.type === 'failed' ? { detail: event.fault.detail } : {}) })]
}

/** Once the end is committed, and not before: what an owner decides that is deposed meanwhile must stop nobody. */
export function stopManagers(init: OrchestratorInit, state: OrchestratorState, context: ActorContext): Effect[] {
  const { fold } = state
  const name = actorNames.rootManager(init.missionId)
  if (fold === undefined || isAhead(state) || (fold.state !== 'failed' && fold.state !== 'cancelled') || !context.exists(name)) return []
  return [tell(at(context.self.peer, name), { kind: 'cancel', awardId: awardIdOf(init.missionId, 'root' as TaskId, 1, fold.epoch), reason: fold.state === 'failed' ? 'the mission failed' : 'the mission was cancelled' })]
}

/** An ended mission's log stays for a while, then goes to the archive; a failed one's for longer, as it may be tried again. */
export function restLater({ tuning }: OrchestratorInit, state: OrchestratorState, how: string, context: ActorContext): void {
  state.restAtMs = context.nowMs + (how === 'failed' ? tuning.failedMissionRestMs : tuning.missionRestMs)
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

/** The node's list of missions shows a large one as it was a moment ago: to count its tasks after every one of them would be most of the work. */
const shownAtOnceTasksMax = 64
const shownEveryMs = 100
export const showTimer = 'show'

export function tellMissions(init: OrchestratorInit, state: OrchestratorState, context: ActorContext): Effect[] {
  const { fold, shown } = state
  if (fold === undefined) return []
  if (shown !== undefined && shown.state === fold.state && fold.tasks.size > shownAtOnceTasksMax) {
    const waitMs = shown.atMs + shownEveryMs - context.nowMs
    if (waitMs > 0) return [{ type: 'set-timer', key: showTimer, delayMs: waitMs, message: { kind: 'tick', what: showTimer } }]
  }
  state.shown = { atMs: context.nowMs, state: fold.state }
  return [tell(at(context.self.peer, actorNames.missions), { kind: 'mission-changed', view: missionView(fold, state.notes, init.nodeName), dead: deadViews(fold), ended: missionEnded(fold) })]
}

/** A leader that was deposed cannot tell what became of what it proposed. */
export function unknownOutcome(problem: Fault): Fault {
  return problem.code === 'fenced' ? fault('timeout', 'the mission has moved to another node meanwhile: the outcome is unknown', { next: 'try again with the same key' }) : problem
}
