/** What a manager remembers between two messages. */
import type { Assessment } from '../../protocols/bidding/calibration.ts'
import { emptyCallBook, type CallBook } from '../../protocols/bidding/initiator.ts'
import { emptyOfferBook, type OfferBook } from '../../protocols/bidding/offer-book.ts'
import type { Award, WinningBid } from '../../protocols/bidding/schema.ts'
import type { ActorAddress, AwardId, CallId, CapabilityName, Epoch, MissionId, PeerId, Principal, TaskId } from '../../protocols/kernel/ids.ts'
import { invariant } from '../../protocols/kernel/errors.ts'
import type { Json, Payload } from '../../protocols/kernel/payload.ts'
import type { InstantMs } from '../../protocols/kernel/units.ts'
import type { Holder } from '../../protocols/leasing/holder.ts'
import type { LeaseTable } from '../../protocols/leasing/lease.ts'
import type { MissionFold, TaskNode } from '../../protocols/tasking/mission-state.ts'
import type { IndexedEvent, MissionEvent, Plan, ProgressNote } from '../../protocols/tasking/schema.ts'
import type { MessageOf } from '../../protocols/wire.ts'
import type { ActorContext } from '../runtime/actor.ts'
import { tell, type Effect } from '../runtime/effects.ts'
import type { Tuning } from '../tuning.ts'
import type { PassedOn } from '../messages.ts'
import type { SkillRun } from '../ports/skill-runner.ts'
import { needOf } from './needs.ts'
import { newSaid, type EventGroup, type Said } from './manager-said.ts'
import type { RunCalls } from './skill-calls.ts'

/** What a manager is told when it starts. A root manager has no award: its fence is its owner's epoch. */
export interface ManagerInit {
  readonly missionId: MissionId
  readonly taskId: TaskId
  readonly awardId: AwardId
  readonly epoch: Epoch
  readonly orchestrator: ActorAddress
  readonly principal: Principal
  readonly tuning: Tuning
  readonly award?: Award
}

export type Phase = 'attaching' | 'planning' | 'running' | 'finishing' | 'finished'

/** A live award of this manager: where it runs, and what was promised for it. */
export interface Contract {
  readonly peer: PeerId
  readonly capability: CapabilityName
  readonly promised: WinningBid
  readonly sinceMs: InstantMs
  /** Taken over from an earlier manager: when the work began is not known here. */
  readonly adopted: boolean
  /** Its worker has said so. */
  isRunning: boolean
}

/** How offers for tasks with one need are had. */
export interface Tender {
  /** Its first call: nothing is awarded by offer before that is decided, so that the best of all who answer it is chosen. */
  readonly callId: CallId
  /** Since when a few calls ask for offers; -Infinity when they bring none. */
  sinceMs: InstantMs
  /** When somebody was last asked beside those who have made one. */
  askedAtMs: InstantMs
  /** When somebody without an offer last had no place: who waits for it there is served by calls, so they are made. */
  contestedAtMs: InstantMs
}

/** A step of the composite task's skill that is under way. */
export interface SkillInProgress {
  readonly runId: string
  readonly step: SkillRun['step']
  readonly calls: RunCalls
}

/** An award on its way into the log. */
export interface Committing {
  readonly award: Award
  readonly participant: ActorAddress
  /** It was bid for: other bidders wait to hear of it. */
  readonly isCalled: boolean
  /** Its worker has been told already. */
  readonly sentAtMs: InstantMs | undefined
  /** The connection to its worker was lost since: it may not have arrived. */
  isDoubtful: boolean
  /** What the worker has said since: listened to once the award is in the log. */
  readonly heard: { readonly message: PassedOn; readonly from: ActorAddress }[]
}

/** See `manager-children.ts`. */
export interface ChildrenIndex {
  /** By priority and need (`needOf`); some that cannot be started may be among them. */
  readonly startable: Map<number, Map<string, Set<TaskId>>>
  readonly open: Set<TaskId>
  /** Dead, and not optional. */
  readonly broken: Set<TaskId>
  /** Which children wait for the end of one. */
  readonly neededBy: Map<TaskId, TaskId[]>
}

export interface ManagerState {
  readonly init: ManagerInit
  phase: Phase
  /** The mission as far as this manager's subtree goes; undefined until attached. */
  fold: MissionFold | undefined
  readonly holder: Holder | undefined
  orchestrator: ActorAddress
  epoch: Epoch
  attachEvents: IndexedEvent[]
  /** What the events come after, when the log does not begin at its beginning any more. */
  attachBase: Payload | undefined
  /** The last part of an answer whose base is being fetched. */
  attached: MessageOf<'attached'> | undefined
  attachSentAtMs: InstantMs
  /** Something was changed while this manager attached: what it is being sent may be older than that. */
  stale: boolean
  leavesLeft: number
  deadlineAtMs: InstantMs
  paused: boolean
  priority: number | undefined
  readonly book: CallBook
  /** When the timer of its calls rings. */
  auctionTickAtMs: InstantMs
  readonly leases: LeaseTable
  /** Awards of an earlier manager, claimed and not answered yet, with the instant when silence means no. */
  readonly adopting: Map<AwardId, InstantMs>
  readonly children: ChildrenIndex
  /** Something was committed in this turn: what that allows is looked at once, at its end. */
  mayAdvance: boolean
  /** Proposed events that are not known to be committed. */
  readonly records: Map<number, { readonly groups: readonly EventGroup[]; sentAtMs: InstantMs }>
  /** To be told at the end of the turn. */
  readonly said: Said
  readonly offers: OfferBook
  /** Places that this manager's awards hold: by award, and how many by `underWayKey`. */
  readonly places: { readonly of: Map<AwardId, string>; readonly taken: Map<string, number> }
  readonly tendered: Map<string, Tender>
  /** How many of these decide what comes next, and of each task. A checkpoint on its way decides nothing. */
  unsettled: number
  readonly unsettledOf: Map<TaskId, number>
  nextRequest: number
  /** Awards that are being committed, with what the accept-proposal needs. */
  readonly committing: Map<AwardId, Committing>
  readonly contracts: Map<AwardId, Contract>
  readonly callOf: Map<TaskId, CallId>
  /** How many tasks of one need (`needOf`) are in `preparing` or `callOf`. */
  readonly underWay: Map<string, number>
  /** Tasks between "ready" and "announced": inputs are being resolved, providers looked up. */
  readonly preparing: Set<TaskId>
  readonly inputs: Map<TaskId, Payload>
  /** Values that were loaded: outputs by task, and inputs that were blobs under `input of <task>`. */
  readonly values: Map<string, Json>
  readonly loading: Set<string>
  readonly questions: Map<string, readonly TaskId[]>
  /** By capability: how many nodes of the mesh offer it, and into how many shards they are divided. */
  readonly providers: Map<string, { readonly population: number; readonly shards: number }>
  /** By need: those who offer it, when they are all known, connected and few. */
  readonly allProviders: Map<string, readonly PeerId[]>
  /** By need: since when nobody has offered it, and when that was looked at last. */
  readonly unprovided: Map<string, { readonly sinceMs: InstantMs; readonly lookedAtMs: InstantMs }>
  readonly attemptsMade: Map<TaskId, number>
  /** Outcomes that arrived and are not committed yet: whom to acknowledge. */
  readonly settling: Map<AwardId, ActorAddress>
  /** Checkpoints that are being committed, one per award: who waits to hear of which. */
  readonly checkpoints: Map<AwardId, { readonly worker: ActorAddress; readonly number: number }>
  readonly assessments: Map<PeerId, Assessment>
  /** Of the next renewal of its own lease. */
  renewals: number
  skill: SkillInProgress | undefined
  /** What the steps of its skill have cost and is not in the log yet. */
  unbilledUsd: number
  /** A plan whose inputs are being stored. */
  draft: { readonly plan: Plan; readonly inputs: Map<string, Payload> } | undefined
}

export function newManagerState(init: ManagerInit, holder: Holder | undefined, nowMs: InstantMs): ManagerState {
  return {
    init, phase: 'attaching', fold: undefined, holder, orchestrator: init.orchestrator, epoch: init.epoch, attachEvents: [], attachBase: undefined, attached: undefined, attachSentAtMs: nowMs, stale: false, leavesLeft: 0, deadlineAtMs: Infinity, paused: false, priority: undefined,
    book: emptyCallBook(), auctionTickAtMs: Infinity, leases: new Map(), adopting: new Map(), children: { startable: new Map(), open: new Set(), broken: new Set(), neededBy: new Map() }, mayAdvance: false, records: new Map(), said: newSaid(), offers: emptyOfferBook(), places: { of: new Map(), taken: new Map() }, tendered: new Map(), unsettled: 0, unsettledOf: new Map(), nextRequest: 1, committing: new Map(), contracts: new Map(), callOf: new Map(), underWay: new Map(), preparing: new Set(), inputs: new Map(),
    values: new Map(), loading: new Set(), questions: new Map(), providers: new Map(), allProviders: new Map(), unprovided: new Map(), attemptsMade: new Map(), settling: new Map(), checkpoints: new Map(), assessments: new Map(), renewals: 0, skill: undefined, unbilledUsd: 0, draft: undefined,
  }
}

/** What it has made or been given and not brought into the log; the rest it could be given again. */
export function heldBy({ init, holder, attachBase, inputs, records, said, committing, draft }: ManagerState): readonly unknown[] {
  return [init.award?.input, holder?.outcome, attachBase, ...inputs.values(), ...[...records.values()].map(({ groups }) => groups), said.groups, ...[...committing.values()].map(({ award }) => award), draft?.plan, ...(draft?.inputs.values() ?? [])]
}

export function foldOf(state: ManagerState): MissionFold {
  invariant(state.fold !== undefined, 'a manager acts only after it was attached')
  return state.fold
}

export function taskOf(state: ManagerState, taskId: TaskId): TaskNode {
  const task = foldOf(state).tasks.get(taskId)
  invariant(task !== undefined, `task ${taskId} belongs to the subtree`)
  return task
}

/** The children of the manager's own task, in the plan's order. */
export function childrenOf(state: ManagerState): TaskNode[] {
  return taskOf(state, state.init.taskId).children.map((taskId) => taskOf(state, taskId))
}

export function taskName(taskId: TaskId): string {
  return taskId.slice(taskId.lastIndexOf('/') + 1)
}

/** Its call is being prepared. */
export function beginPreparing(state: ManagerState, { spec }: TaskNode): void {
  const need = needOf(spec)
  state.preparing.add(spec.taskId)
  state.underWay.set(need, (state.underWay.get(need) ?? 0) + 1)
}

/** It is prepared: its call is open from now on. */
export function beginCall(state: ManagerState, taskId: TaskId, callId: CallId): void {
  state.preparing.delete(taskId)
  state.callOf.set(taskId, callId)
}

/** Neither prepared nor called for any more. @returns the call that was open. */
export function endCall(state: ManagerState, taskId: TaskId): CallId | undefined {
  const callId = state.callOf.get(taskId)
  const wasUnderWay = state.preparing.delete(taskId) || callId !== undefined
  state.callOf.delete(taskId)
  if (!wasUnderWay) return undefined
  const need = needOf(taskOf(state, taskId).spec)
  const left = (state.underWay.get(need) ?? 1) - 1
  if (left === 0) state.underWay.delete(need)
  else state.underWay.set(need, left)
  return callId
}

/** The task of one of this manager's own awards or calls; undefined for one of somebody else. */
export function taskIdOf(awardId: AwardId | CallId, state: ManagerState): TaskId | undefined {
  const taskId = awardId.slice(state.init.missionId.length + 1, awardId.lastIndexOf('#')) as TaskId
  return state.fold?.tasks.has(taskId) === true ? taskId : undefined
}

/** Asks the mission's owner for everything that concerns this manager's task. */
export function attach(state: ManagerState, context: ActorContext): Effect {
  state.attachSentAtMs = context.nowMs
  return tell(state.orchestrator, { kind: 'attach', missionId: state.init.missionId, taskId: state.init.taskId, awardId: state.init.awardId }, state.init.principal)
}

/** Proposes events to the mission's owner, at the end of the turn; `committed` reacts once they are in the log. */
export function record(state: ManagerState, events: readonly MissionEvent[]): Effect[] {
  if (events.length === 0) return []
  state.said.groups.push(events)
  countUnsettled(state, events, 1)
  return []
}

/** The answer to a record has come. */
export function settleRecord(state: ManagerState, requestId: number): readonly EventGroup[] | undefined {
  const pending = state.records.get(requestId)
  if (pending === undefined) return undefined
  state.records.delete(requestId)
  for (const group of pending.groups) countUnsettled(state, group, -1)
  return pending.groups
}

/** How many of the proposed events are not known to be committed. */
export function countUnsettled(state: ManagerState, events: readonly MissionEvent[], by: 1 | -1): void {
  for (const event of events) {
    if (event.type === 'checkpointed') continue
    state.unsettled += by
    const taskId = event.type === 'awarded' ? event.award.taskId : 'taskId' in event ? event.taskId : undefined
    if (taskId === undefined) continue
    const count = (state.unsettledOf.get(taskId) ?? 0) + by
    if (count === 0) state.unsettledOf.delete(taskId)
    else state.unsettledOf.set(taskId, count)
  }
}

export function hasUnsettled({ unsettled }: ManagerState): boolean {
  return unsettled > 0
}

/** Told to whoever watches, at the end of the turn. */
export function note({ said }: ManagerState, ...notes: ProgressNote[]): void {
  said.notes.push(...notes)
}
