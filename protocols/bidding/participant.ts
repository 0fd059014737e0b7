/**
 * The participant's side of the contract net: bids for what it can do, remembers what it was too busy for and bids for
 * that when a slot comes free, highest priority first and fair between principals. A bid reserves nothing.
 */
import { invariant } from '../kernel/errors.ts'
import { fractionOf } from '../kernel/hashing.ts'
import type { ActorAddress, AwardId, CallId, MissionId, PeerId, Principal } from '../kernel/ids.ts'
import { limits } from '../kernel/limits.ts'
import type { InstantMs } from '../kernel/units.ts'
import { refusalOf, type OwnOffer } from './feasible.ts'
import { keyOfMeasure, measureKey, sharpen, type CapabilityMeasure } from './measure.ts'
import { managersPool, nodePool, placesOf, poolInBid, priceUsdOf, type Pool } from './places.ts'
import type { Award, Bid, Call, Cfp, Refusal } from './schema.ts'
import { changedOffers, forgetOffers, giveOffer, isOffered, tellAgain, type GivenOffers, type OfferChange } from './standing-offers.ts'
import { estimate, speedKey, type SpeedBook } from './speed.ts'

interface KnownCall {
  readonly call: Call
  readonly initiator: ActorAddress
  readonly principal: Principal
  readonly heardAtMs: InstantMs
  readonly expiresAtMs: InstantMs
  /** When its initiator was last told that it waits here. */
  readonly refusedAtMs: InstantMs | undefined
  /** When it was bid for after it had waited; a place is promised to it until that is answered. */
  bidAtMs: InstantMs | undefined
  /** A bid may stand for more tasks like it. */
  readonly standing: boolean
  /** Whose place it would take. */
  readonly pool: Pool
}

export interface ParticipantState {
  readonly calls: Map<CallId, KnownCall>
  readonly running: Map<AwardId, { readonly award: Award; readonly sinceMs: InstantMs; readonly pool: Pool }>
  /** Missions whose waiting calls were bid for, those longest ago first: the later, the higher the number. */
  readonly served: Map<MissionId, number>
  turns: number
  readonly speeds: SpeedBook
  readonly offers: GivenOffers
  /** By `measureKey`. */
  readonly measures: Map<string, MeasuredAt>
}

interface MeasuredAt {
  readonly measure: CapabilityMeasure
  readonly closedUntilMs: InstantMs
}

/** What does not change within one step: the node's own offer, and what it knows of the call's mission. */
export interface ParticipantView {
  readonly own: Omit<OwnOffer, 'placesFree' | 'priceUsd' | 'closed'>
  readonly slots: number
  readonly managers: number
  /** Of a capability that has places of its own, by `measureKey`; 0 when it is not offered any more. */
  readonly poolSize: (pool: Pool) => number
  readonly hostsOrchestrator: (missionId: string) => boolean
  /** Share of a call's input that is already on this node, in [0,1]. */
  readonly locality: (call: Call) => number
}

export type ParticipantOutput =
  | { readonly type: 'propose'; readonly to: ActorAddress; readonly bids: readonly Bid[] }
  | { readonly type: 'refuse'; readonly to: ActorAddress; readonly refusals: readonly Refusal[] }

export function emptyParticipant(): ParticipantState {
  return { calls: new Map(), running: new Map(), served: new Map(), turns: 0, speeds: new Map(), offers: new Map(), measures: new Map() }
}

/** What was measured of this node's capabilities, all of them. */
export function learnMeasures(state: ParticipantState, measures: readonly CapabilityMeasure[], nowMs: InstantMs): void {
  state.measures.clear()
  for (const measure of measures) state.measures.set(keyOfMeasure(measure), { measure, closedUntilMs: nowMs + (measure.closedForMs ?? 0) })
}

/** The node's own places that are free. */
export function slotsFree(state: ParticipantState, view: ParticipantView): number {
  return Math.max(0, view.slots - busyOf(state, nodePool))
}

export function managersFree(state: ParticipantState, view: ParticipantView): number {
  return Math.max(0, view.managers - busyOf(state, managersPool))
}

function busyOf({ running }: ParticipantState, pool: Pool): number {
  let busy = 0
  for (const taken of running.values()) if (taken.pool === pool) busy += 1
  return busy
}

function offerNow(state: ParticipantState, view: ParticipantView, nowMs: InstantMs): OwnOffer {
  const busy = new Map<Pool, number>()
  for (const { pool } of state.running.values()) busy.set(pool, (busy.get(pool) ?? 0) + 1)
  return {
    ...view.own,
    placesFree({ kind }, capability) {
      const { pool, size } = placesOf(kind, capability, view.slots, view.managers)
      return Math.max(0, size - (busy.get(pool) ?? 0))
    },
    priceUsd: ({ units }, capability) => priceUsdOf(capability, units),
    closed(capability) {
      const measured = state.measures.get(measureKey(capability))
      return measured === undefined || measured.closedUntilMs <= nowMs ? undefined : `it takes nothing for ${Math.ceil((measured.closedUntilMs - nowMs) / 1_000)} s`
    },
  }
}

/** A call for proposals was heard: one propose and one refuse at most leave for it. */
export function hearCfp(state: ParticipantState, cfp: Cfp, view: ParticipantView, nowMs: InstantMs): ParticipantOutput[] {
  const own = offerNow(state, view, nowMs)
  const bids: Bid[] = []
  const refusals: Refusal[] = []
  let isSaid = false
  for (const call of cfp.calls) {
    if (cfp.threshold < 1 && fractionOf(`${own.peer} ${call.callId}`) >= cfp.threshold) continue
    const refusal = refusalOf(call, own)
    const toldAtMs = state.calls.get(call.callId)?.refusedAtMs
    // Announced again, it would hear what it knows: that the call waits here.
    const told = refusal?.waiting === true && toldAtMs !== undefined && nowMs - toldAtMs < limits.refusalRepeatMs
    if (refusal === undefined || refusal.waiting) remember(state, call, cfp, view, nowMs, refusal === undefined ? undefined : told ? toldAtMs : nowMs)
    if (refusal === undefined) {
      const bid = standingToo(state, call, cfp.initiator, cfp.standing !== undefined && !isSaid, bidFor(state, call, own, view), nowMs)
      isSaid ||= bid.standing !== undefined
      bids.push(bid)
      continue
    }
    if (cfp.standing !== undefined) tellAgain(state.offers, cfp.initiator, call.capability)
    if (!told) refusals.push(refusal)
  }
  const outputs: ParticipantOutput[] = []
  if (bids.length > 0) outputs.push({ type: 'propose', to: cfp.initiator, bids })
  if (refusals.length > 0) outputs.push({ type: 'refuse', to: cfp.initiator, refusals })
  return outputs
}

function remember(state: ParticipantState, call: Call, cfp: Cfp, view: ParticipantView, nowMs: InstantMs, refusedAtMs: InstantMs | undefined): void {
  const heardAtMs = state.calls.get(call.callId)?.heardAtMs ?? nowMs
  state.calls.set(call.callId, { call, initiator: cfp.initiator, principal: cfp.principal, heardAtMs, expiresAtMs: nowMs + cfp.expiresInMs, refusedAtMs, bidAtMs: undefined, standing: cfp.standing !== undefined, pool: poolOf(call, view) })
  if (state.calls.size > limits.waitingCallsMax) {
    const [oldest] = state.calls.keys()
    if (oldest !== undefined) state.calls.delete(oldest)
  }
}

/** Whose place a call would take; the node's own when nothing here answers it. */
function poolOf(call: Call, view: ParticipantView): Pool {
  const matched = view.own.match(call)
  return 'capability' in matched ? placesOf(call.kind, matched.capability, view.slots, view.managers).pool : call.kind === 'composite' ? managersPool : nodePool
}

/** @param call which is feasible: something of this node answers it. */
function bidFor(state: ParticipantState, call: Call, own: OwnOffer, view: ParticipantView): Bid {
  const matched = own.match(call)
  invariant('capability' in matched, 'what is bid for is offered')
  const { capability } = matched
  const { pool, size } = placesOf(call.kind, capability, view.slots, view.managers)
  const locality = view.locality(call)
  const breakdown = sharpen(estimate(state.speeds, speedKey(call.capability, capability.version), call, 0, size, locality), call, state.measures.get(measureKey(capability))?.measure)
  return {
    callId: call.callId, version: capability.version, breakdown,
    estimatedFinishMs: breakdown.queueMs + breakdown.warmUpMs + breakdown.transferMs + breakdown.runMs,
    priceUsd: own.priceUsd(call, capability), slotsFree: own.placesFree(call, capability), slots: size,
    locality, hostsOrchestrator: view.hostsOrchestrator(call.missionId), expiresInMs: limits.bidExpiryMs, ...poolInBid(pool),
  }
}

/** The initiator has no more use for these calls. */
export function forgetCalls(state: ParticipantState, callIds: readonly CallId[]): void {
  for (const callId of callIds) state.calls.delete(callId)
}

/** A bid for one of many tasks stands for the others as well, while nobody else waits here. One bid of an initiator says so, and the first. */
function standingToo(state: ParticipantState, call: Call, initiator: ActorAddress, isWanted: boolean, bid: Bid, nowMs: InstantMs): Bid {
  if (!isWanted || call.kind !== 'leaf' || call.inputBytes > 0) return bid
  const pool = bid.pool ?? nodePool
  const waiting = awaitedBy(state, nowMs).get(pool)
  waiting?.delete(call.missionId)
  const standing = waiting !== undefined && waiting.size > 0 ? undefined : giveOffer(state.offers, call, initiator, pool, runningAwards(state), bid.slotsFree, nowMs)
  return standing === undefined ? bid : { ...bid, standing }
}

/** By pool, the missions whose leaves wait for a place of it. */
function awaitedBy(state: ParticipantState, nowMs: InstantMs): Map<Pool, Set<MissionId>> {
  const awaited = new Map<Pool, Set<MissionId>>()
  for (const { call, pool, refusedAtMs, bidAtMs, expiresAtMs } of state.calls.values()) {
    if (call.kind !== 'leaf' || (refusedAtMs === undefined && bidAtMs === undefined) || expiresAtMs <= nowMs) continue
    const missions = awaited.get(pool)
    if (missions === undefined) awaited.set(pool, new Set([call.missionId]))
    else missions.add(call.missionId)
  }
  return awaited
}

function runningAwards({ running }: ParticipantState): Award[] {
  return [...running.values()].map(({ award }) => award)
}

/** What has become of the standing offers: to be told at the end of a turn. */
export function offersToTell(state: ParticipantState, view: ParticipantView, nowMs: InstantMs): OfferChange[] {
  if (state.offers.size === 0) return []
  const { leaving, stalled, onBattery } = view.own
  const takesNone = leaving || stalled || onBattery
  return changedOffers(state.offers, awaitedBy(state, nowMs), runningAwards(state), (pool) => (takesNone ? 0 : freeIn(state, pool, view, nowMs)), nowMs)
}

function freeIn(state: ParticipantState, pool: Pool, view: ParticipantView, nowMs: InstantMs): number {
  const size = pool === nodePool ? view.slots : (state.measures.get(pool)?.closedUntilMs ?? 0) > nowMs ? 0 : view.poolSize(pool)
  return Math.max(0, size - busyOf(state, pool))
}

export function forgetInitiator(state: ParticipantState, peer: PeerId): void {
  forgetOffers(state.offers, ({ initiator }) => initiator.peer === peer)
  for (const [callId, known] of state.calls) if (known.initiator.peer === peer) state.calls.delete(callId)
}

/** @returns a refusal, or undefined: then the award counts as running from now on. */
export function takeAward(state: ParticipantState, award: Award, view: ParticipantView, nowMs: InstantMs): Refusal | undefined {
  if (state.running.has(award.awardId)) return undefined
  const known = state.calls.get(award.callId)
  const call: Call = known?.call ?? {
    callId: award.callId, missionId: award.missionId, taskId: award.taskId, attempt: award.attempt, kind: award.kind, capability: award.capability, version: award.version, ...(award.attributes === undefined ? {} : { attributes: award.attributes }),
    effects: award.effects, priority: award.priority, effort: award.effort, inputBytes: 0, holders: [], excluded: [], budgetUsd: Number.MAX_SAFE_INTEGER, remainingMs: award.remainingMs,
  }
  const refusal = refusalOf({ ...call, remainingMs: award.remainingMs, budgetUsd: Number.MAX_SAFE_INTEGER }, offerNow(state, view, nowMs))
  if (refusal !== undefined) {
    tellAgain(state.offers, award.manager, award.capability)
    // Too late for this place: it waits for the next one.
    if (refusal.waiting) state.calls.set(award.callId, { call, initiator: award.manager, principal: award.principal, heardAtMs: known?.heardAtMs ?? nowMs, expiresAtMs: nowMs + limits.callExpiryMs, refusedAtMs: nowMs, bidAtMs: undefined, standing: known?.standing ?? false, pool: poolOf(call, view) })
    return refusal
  }
  state.calls.delete(award.callId)
  state.running.set(award.awardId, { award, sinceMs: nowMs, pool: poolOf(call, view) })
  return undefined
}

export function endAward(state: ParticipantState, awardId: AwardId): void {
  state.running.delete(awardId)
}

export interface WaitingBids {
  readonly outputs: readonly ParticipantOutput[]
  /** A place is free and calls wait, or bids are not answered yet: look again after `bidPatienceMs` at the latest. */
  readonly heldBack: boolean
}

/**
 * A place came free: bid for what waited, in order, one call for each place. Whoever waits takes the first bid, so more of
 * them would be awards to refuse. A bid that loses is answered, and the next call gets one; what nobody answers for is
 * forgotten, as its initiator is gone, or else announces it again.
 */
export function bidForWaiting(state: ParticipantState, view: ParticipantView, nowMs: InstantMs): WaitingBids {
  const own = offerNow(state, view, nowMs)
  const promised = new Map<Pool, number>()
  for (const [callId, known] of state.calls) {
    const unanswered = known.bidAtMs !== undefined && known.bidAtMs <= nowMs - limits.bidPatienceMs
    if (known.expiresAtMs <= nowMs || unanswered) state.calls.delete(callId)
    else if (known.bidAtMs !== undefined) promised.set(known.pool, (promised.get(known.pool) ?? 0) + 1)
  }
  const places = new Map<Pool, number>()
  const placesIn = (pool: Pool): number => {
    let free = places.get(pool)
    if (free === undefined) {
      free = pool === managersPool ? Math.min(managersFree(state, view), compositeBidsMax) : freeIn(state, pool, view, nowMs)
      places.set(pool, (free -= promised.get(pool) ?? 0))
    }
    return free
  }
  // A call of whoever holds a standing offer is bid for already.
  const feasible = [...state.calls.values()].filter((known) => known.bidAtMs === undefined && placesIn(known.pool) > 0 && !isOffered(state.offers, known.initiator, known.call) && refusalOf(known.call, own) === undefined)
  const shares = sharesOf(state)
  const byPool = [...Map.groupBy(feasible, ({ pool }) => pool)].sort(([left], [right]) => Number(right === managersPool) - Number(left === managersPool))
  const chosen = byPool.flatMap(([pool, waiting]) => take(state, waiting, placesIn(pool), shares))
  for (const oldest of state.served.keys()) {
    if (state.served.size <= servedMax) break
    state.served.delete(oldest)
  }
  const byInitiator = new Map<string, { to: ActorAddress; bids: Bid[] }>()
  for (const known of chosen) {
    known.bidAtMs = nowMs
    const key = `${known.initiator.peer} ${known.initiator.actor}`
    const group = byInitiator.get(key) ?? { to: known.initiator, bids: [] }
    group.bids.push(standingToo(state, known.call, known.initiator, known.standing, bidFor(state, known.call, own, view), nowMs))
    byInitiator.set(key, group)
  }
  const outputs = [...byInitiator.values()].flatMap(({ to, bids }) => {
    const proposals: ParticipantOutput[] = []
    for (let i = 0; i < bids.length; i += limits.callsPerAnnouncementMax) proposals.push({ type: 'propose', to, bids: bids.slice(i, i + limits.callsPerAnnouncementMax) })
    return proposals
  })
  return { outputs, heldBack: chosen.length > 0 || promised.size > 0 }
}

/** Composite tasks that one moment's bids go to at most. */
const compositeBidsMax = 16

/** Missions that it is remembered of when they were served. */
const servedMax = 1_000

/** Who has how much of this node now; what is chosen counts at once. */
interface Shares {
  readonly ofPrincipal: Map<Principal, number>
  readonly ofMission: Map<MissionId, number>
}

function sharesOf({ running }: ParticipantState): Shares {
  const shares: Shares = { ofPrincipal: new Map(), ofMission: new Map() }
  for (const { award } of running.values()) count(shares, award)
  return shares
}

function count({ ofPrincipal, ofMission }: Shares, { principal, missionId }: { readonly principal: Principal; readonly missionId: MissionId }): void {
  ofPrincipal.set(principal, (ofPrincipal.get(principal) ?? 0) + 1)
  ofMission.set(missionId, (ofMission.get(missionId) ?? 0) + 1)
}

/** The best calls for so many free places. */
function take(state: ParticipantState, waiting: KnownCall[], places: number, shares: Shares): KnownCall[] {
  const chosen: KnownCall[] = []
  while (waiting.length > 0 && chosen.length < places) {
    let bestAt = 0
    for (let i = 1; i < waiting.length; i++) if (comesBefore(waiting[i], waiting[bestAt], shares, state.served)) bestAt = i
    const best = waiting[bestAt]
    if (best === undefined) break
    waiting.splice(bestAt, 1)
    chosen.push(best)
    const { missionId } = best.call
    count(shares, { principal: best.principal, missionId })
    // Anew, and so at the end.
    state.served.delete(missionId)
    state.served.set(missionId, state.turns++)
  }
  return chosen
}

/** Within a priority the principal with the least running here goes first, then the mission: a large one does not keep a small one waiting. */
function comesBefore(left: KnownCall | undefined, right: KnownCall | undefined, { ofPrincipal, ofMission }: Shares, served: ReadonlyMap<MissionId, number>): boolean {
  if (left === undefined || right === undefined) return false
  const byPriority = right.call.priority - left.call.priority
  if (byPriority !== 0) return byPriority < 0
  const byPrincipal = (ofPrincipal.get(left.principal) ?? 0) - (ofPrincipal.get(right.principal) ?? 0)
  if (byPrincipal !== 0) return byPrincipal < 0
  // What was lost or failed before has been waited for already.
  if (left.call.attempt !== right.call.attempt) return left.call.attempt > right.call.attempt
  const [ours, theirs] = [left.call.missionId, right.call.missionId]
  if (ours !== theirs) {
    const byMission = (ofMission.get(ours) ?? 0) - (ofMission.get(theirs) ?? 0)
    if (byMission !== 0) return byMission < 0
    const byTurn = (served.get(ours) ?? -1) - (served.get(theirs) ?? -1)
    if (byTurn !== 0) return byTurn < 0
  }
  return left.heardAtMs < right.heardAtMs
}
