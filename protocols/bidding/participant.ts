/**
 * The participant's side of the contract net: bids for what it can do, remembers what it was too busy for and bids for
 * that when a slot comes free, highest priority first and fair between principals. A bid reserves nothing.
 */
import { fractionOf } from '../kernel/hashing.ts'
import type { ActorAddress, AwardId, CallId, PeerId, Principal } from '../kernel/ids.ts'
import { limits } from '../kernel/limits.ts'
import type { InstantMs } from '../kernel/units.ts'
import { refusalOf, type OwnOffer } from './feasible.ts'
import type { Award, Bid, Call, Cfp, Refusal } from './schema.ts'
import { estimate, speedKey, type SpeedBook } from './speed.ts'

interface KnownCall {
  readonly call: Call
  readonly initiator: ActorAddress
  readonly principal: Principal
  readonly heardAtMs: InstantMs
  readonly expiresAtMs: InstantMs
}

export interface ParticipantState {
  readonly calls: Map<CallId, KnownCall>
  readonly running: Map<AwardId, { readonly award: Award; readonly sinceMs: InstantMs }>
  readonly speeds: SpeedBook
}

/** What does not change within one step: the node's own offer, and what it knows of the call's mission. */
export interface ParticipantView {
  readonly own: Omit<OwnOffer, 'slotsFree' | 'managersFree'>
  readonly slots: number
  readonly managers: number
  readonly hostsOrchestrator: (missionId: string) => boolean
  /** Share of a call's input that is already on this node, in [0,1]. */
  readonly locality: (call: Call) => number
}

export type ParticipantOutput =
  | { readonly type: 'propose'; readonly to: ActorAddress; readonly bids: readonly Bid[] }
  | { readonly type: 'refuse'; readonly to: ActorAddress; readonly refusals: readonly Refusal[] }

export function emptyParticipant(): ParticipantState {
  return { calls: new Map(), running: new Map(), speeds: new Map() }
}

export function slotsFree(state: ParticipantState, view: ParticipantView): number {
  let busy = 0
  for (const { award } of state.running.values()) if (award.kind === 'leaf') busy += 1
  return Math.max(0, view.slots - busy)
}

export function managersFree(state: ParticipantState, view: ParticipantView): number {
  let busy = 0
  for (const { award } of state.running.values()) if (award.kind === 'composite') busy += 1
  return Math.max(0, view.managers - busy)
}

function offerNow(state: ParticipantState, view: ParticipantView): OwnOffer {
  return { ...view.own, slotsFree: slotsFree(state, view), managersFree: managersFree(state, view) }
}

/** A call for proposals was heard: one propose and one refuse at most leave for it. */
export function hearCfp(state: ParticipantState, cfp: Cfp, view: ParticipantView, nowMs: InstantMs): ParticipantOutput[] {
  const own = offerNow(state, view)
  const bids: Bid[] = []
  const refusals: Refusal[] = []
  for (const call of cfp.calls) {
    if (cfp.threshold < 1 && fractionOf(`${own.peer} ${call.callId}`) >= cfp.threshold) continue
    const refusal = refusalOf(call, own)
    if (refusal === undefined || refusal.waiting) remember(state, call, cfp, nowMs)
    if (refusal === undefined) bids.push(bidFor(state, call, own, view))
    else refusals.push(refusal)
  }
  const outputs: ParticipantOutput[] = []
  if (bids.length > 0) outputs.push({ type: 'propose', to: cfp.initiator, bids })
  if (refusals.length > 0) outputs.push({ type: 'refuse', to: cfp.initiator, refusals })
  return outputs
}

function remember(state: ParticipantState, call: Call, cfp: Cfp, nowMs: InstantMs): void {
  const heardAtMs = state.calls.get(call.callId)?.heardAtMs ?? nowMs
  state.calls.set(call.callId, { call, initiator: cfp.initiator, principal: cfp.principal, heardAtMs, expiresAtMs: nowMs + cfp.expiresInMs })
  if (state.calls.size > limits.waitingCallsMax) {
    const [oldest] = state.calls.keys()
    if (oldest !== undefined) state.calls.delete(oldest)
  }
}

function bidFor(state: ParticipantState, call: Call, own: OwnOffer, view: ParticipantView): Bid {
  const matched = own.match(call)
  const version = 'capability' in matched ? matched.capability.version : '0.0'
  const locality = view.locality(call)
  const breakdown = estimate(state.speeds, speedKey(call.capability, version), call, 0, view.slots, locality)
  const composite = call.kind === 'composite'
  return {
    callId: call.callId, version, breakdown,
    estimatedFinishMs: breakdown.queueMs + breakdown.warmUpMs + breakdown.transferMs + breakdown.runMs,
    priceUsd: own.priceUsd, slotsFree: composite ? own.managersFree : own.slotsFree, slots: composite ? view.managers : view.slots,
    locality, hostsOrchestrator: view.hostsOrchestrator(call.missionId), expiresInMs: limits.bidExpiryMs,
  }
}

/** The initiator has no more use for these calls. */
export function forgetCalls(state: ParticipantState, callIds: readonly CallId[]): void {
  for (const callId of callIds) state.calls.delete(callId)
}

export function forgetInitiator(state: ParticipantState, peer: PeerId): void {
  for (const [callId, known] of state.calls) if (known.initiator.peer === peer) state.calls.delete(callId)
}

/** @returns a refusal, or undefined: then the award counts as running from now on. */
export function takeAward(state: ParticipantState, award: Award, view: ParticipantView, nowMs: InstantMs): Refusal | undefined {
  if (state.running.has(award.awardId)) return undefined
  const known = state.calls.get(award.callId)
  const call: Call = known?.call ?? {
    callId: award.callId, missionId: award.missionId, taskId: award.taskId, attempt: award.attempt, kind: award.kind, capability: award.capability, version: award.version,
    effects: award.effects, priority: award.priority, effort: award.effort, inputBytes: 0, holders: [], excluded: [], budgetUsd: Number.MAX_SAFE_INTEGER, remainingMs: award.remainingMs,
  }
  const refusal = refusalOf({ ...call, remainingMs: award.remainingMs, budgetUsd: Number.MAX_SAFE_INTEGER }, offerNow(state, view))
  if (refusal !== undefined) return refusal
  state.calls.delete(award.callId)
  state.running.set(award.awardId, { award, sinceMs: nowMs })
  return undefined
}

export function endAward(state: ParticipantState, awardId: AwardId): void {
  state.running.delete(awardId)
}

/** How far down its list of waiting calls a participant bids. */
export interface WaitingBids {
  readonly outputs: readonly ParticipantOutput[]
  /** Calls that come later in the order were left out: bid for them too if those before them do not fill the slots soon. */
  readonly heldBack: boolean
}

/**
 * A slot came free: bid for what waited, for more calls than there are slots, since not every bid wins. Calls of a lower
 * priority, or of a principal who has had a larger share, get a bid only when the others leave slots over, unless the
 * participant is `patient` no longer.
 */
export function bidForWaiting(state: ParticipantState, view: ParticipantView, nowMs: InstantMs, patient = true): WaitingBids {
  for (const [callId, known] of state.calls) if (known.expiresAtMs <= nowMs) state.calls.delete(callId)
  const own = offerNow(state, view)
  const runningOf = new Map<Principal, number>()
  for (const { award } of state.running.values()) runningOf.set(award.principal, (runningOf.get(award.principal) ?? 0) + 1)
  const feasible = [...state.calls.values()].filter((known) => refusalOf(known.call, own) === undefined)
  const leaves = take(feasible.filter(({ call }) => call.kind === 'leaf'), own.slotsFree, patient, runningOf)
  const composites = take(feasible.filter(({ call }) => call.kind === 'composite'), Math.min(own.managersFree, compositeBidsMax), patient, runningOf)
  const chosen = [...composites.chosen, ...leaves.chosen]
  const byInitiator = new Map<string, { to: ActorAddress; bids: Bid[] }>()
  for (const known of chosen) {
    const key = `${known.initiator.peer} ${known.initiator.actor}`
    const group = byInitiator.get(key) ?? { to: known.initiator, bids: [] }
    group.bids.push(bidFor(state, known.call, own, view))
    byInitiator.set(key, group)
  }
  const outputs = [...byInitiator.values()].flatMap(({ to, bids }) => {
    const proposals: ParticipantOutput[] = []
    for (let i = 0; i < bids.length; i += limits.callsPerAnnouncementMax) proposals.push({ type: 'propose', to, bids: bids.slice(i, i + limits.callsPerAnnouncementMax) })
    return proposals
  })
  return { outputs, heldBack: leaves.heldBack || composites.heldBack }
}

/** Composite tasks that one moment's bids go to at most. */
const compositeBidsMax = 16

/** The best calls for `places` free places, at most two for each. */
function take(waiting: KnownCall[], places: number, patient: boolean, runningOf: Map<Principal, number>): { chosen: KnownCall[]; heldBack: boolean } {
  const chosen: KnownCall[] = []
  // Within a priority the principal with the least running here goes first; what is chosen counts at once.
  while (waiting.length > 0 && chosen.length < places * 2) {
    let bestAt = 0
    for (let i = 1; i < waiting.length; i++) if (comesBefore(waiting[i], waiting[bestAt], runningOf)) bestAt = i
    const best = waiting[bestAt]
    if (best === undefined) break
    // Beyond the places only more of the same: whoever awards quicker must not take what is another's turn.
    if (patient && chosen.length >= places && chosen.some(({ call, principal }) => call.priority !== best.call.priority || principal !== best.principal)) return { chosen, heldBack: true }
    waiting.splice(bestAt, 1)
    chosen.push(best)
    runningOf.set(best.principal, (runningOf.get(best.principal) ?? 0) + 1)
  }
  return { chosen, heldBack: false }
}

function comesBefore(left: KnownCall | undefined, right: KnownCall | undefined, runningOf: ReadonlyMap<Principal, number>): boolean {
  if (left === undefined || right === undefined) return false
  const byPriority = right.call.priority - left.call.priority
  if (byPriority !== 0) return byPriority < 0
  const byShare = (runningOf.get(left.principal) ?? 0) - (runningOf.get(right.principal) ?? 0)
  if (byShare !== 0) return byShare < 0
  // What was lost or failed before has been waited for already.
  if (left.call.attempt !== right.call.attempt) return left.call.attempt > right.call.attempt
  return left.heardAtMs < right.heardAtMs
}
