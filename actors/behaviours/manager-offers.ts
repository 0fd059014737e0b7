/**
 * Standing offers as a manager uses them. While there are some, tasks are awarded against them without a call, and calls are only for
 * whoever has made none: a few at first, which everybody who is asked answers with an offer, then one now and then.
 */
import { isCollecting } from '../../protocols/bidding/initiator.ts'
import { changeOffers, hasOffers, isOfferedBy, placesOffered, underWayKey } from '../../protocols/bidding/offer-book.ts'
import type { Refusal, StandingOffer } from '../../protocols/bidding/schema.ts'
import type { AwardId, CallId, CapabilityName, OfferId, PeerId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { blobRefsIn } from '../../protocols/kernel/payload.ts'
import type { TaskNode } from '../../protocols/tasking/mission-state.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext } from '../runtime/actor.ts'
import { tell, type Effect } from '../runtime/effects.ts'
import { taskIdOf, taskOf, type ManagerState, type Tender } from './manager-state.ts'
import { needOf } from './needs.ts'

/** An award takes a place of its worker, until its result is here or it has ended otherwise. */
export function takePlace({ places }: ManagerState, awardId: AwardId, peer: PeerId, capability: CapabilityName): void {
  if (places.of.has(awardId)) return
  const key = underWayKey(peer, capability)
  places.of.set(awardId, key)
  places.taken.set(key, (places.taken.get(key) ?? 0) + 1)
}

export function freePlace({ places }: ManagerState, awardId: AwardId): void {
  const key = places.of.get(awardId)
  if (key === undefined) return
  places.of.delete(awardId)
  const left = (places.taken.get(key) ?? 1) - 1
  if (left === 0) places.taken.delete(key)
  else places.taken.set(key, left)
}

/** Calls asking for the same that may be open at a time: as many as bidders can choose from, and for every task that runs one more. */
export function callsMost(state: ManagerState, need: string, { nowMs }: ActorContext): number {
  const tender = state.tendered.get(need)
  const isContested = tender !== undefined && nowMs - tender.contestedAtMs < limits.refusalRepeatMs
  if (hasOffers(state.offers, need, nowMs) && !isContested) return tender === undefined || nowMs - tender.askedAtMs >= limits.offerProbeMs ? 1 : 0
  const isFirst = tender === undefined || (!isContested && nowMs - tender.sinceMs < state.init.tuning.bidWindowMs)
  return isFirst ? limits.callsBesideOffers : limits.callsOpenMax + state.contracts.size
}

/** A call is opened. Of those who are asked by threshold only a few answer each, so that the few first calls reach too few of them. */
export function noteTender(state: ManagerState, { spec }: TaskNode, callId: CallId, asksAll: boolean, { nowMs }: ActorContext): void {
  const need = needOf(spec)
  const known = state.tendered.get(need)
  if (known === undefined) state.tendered.set(need, { callId, sinceMs: asksAll ? nowMs : -Infinity, askedAtMs: nowMs, contestedAtMs: -Infinity })
  else known.askedAtMs = nowMs
  if (known === undefined && !asksAll) state.mayAdvance = true
}

function tenderOf(state: ManagerState, callId: CallId): { readonly need: string; readonly tender: Tender } | undefined {
  const taskId = taskIdOf(callId, state)
  if (taskId === undefined) return undefined
  const need = needOf(taskOf(state, taskId).spec)
  const tender = state.tendered.get(need)
  return tender === undefined ? undefined : { need, tender }
}

/** Whoever is asked has no place, or others wait for it: offers are not to be had now, and all tasks are called for. */
export function stopTendering(state: ManagerState, answers: readonly Pick<Refusal, 'callId'>[]): void {
  for (const { callId } of answers) {
    const tender = tenderOf(state, callId)?.tender
    if (tender === undefined || tender.sinceMs === -Infinity) continue
    tender.sinceMs = -Infinity
    state.mayAdvance = true
  }
}

/** How many leaves there will be to award that nobody is asked for yet. */
export function tasksToCome(state: ManagerState): number {
  return Math.max(0, state.children.open.size - state.callOf.size - state.contracts.size)
}

export function onOffersChanged(state: ManagerState, peer: PeerId, offers: readonly StandingOffer[], { nowMs }: ActorContext): Effect[] {
  const unknown = changeOffers(state.offers, peer, offers, nowMs)
  state.mayAdvance = true
  return unknown.length === 0 ? [] : [tell(at(peer, actorNames.participant), { kind: 'offers-released', offerIds: unknown })]
}

/** There is nothing more to award: whoever has made an offer need not keep it. */
export function releaseOffers({ tendered, offers: { offers, ranked } }: ManagerState): Effect[] {
  const byPeer = new Map<PeerId, OfferId[]>()
  for (const { peer, offerId } of offers.values()) byPeer.set(peer, [...(byPeer.get(peer) ?? []), offerId])
  offers.clear()
  ranked.clear()
  // What comes later is asked for as in the beginning.
  tendered.clear()
  return [...byPeer].map(([peer, offerIds]) => tell(at(peer, actorNames.participant), { kind: 'offers-released', offerIds }))
}

/** Whoever has made no offer is asked and has no place: others may wait there, and a mission that called for nothing would not be among them. */
export function noteContested(state: ManagerState, peer: PeerId, refusals: readonly Refusal[], { nowMs }: ActorContext): void {
  for (const { callId, waiting } of refusals) {
    const known = waiting ? tenderOf(state, callId) : undefined
    if (known === undefined || isOfferedBy(state.offers, peer, known.need)) continue
    known.tender.contestedAtMs = nowMs
    state.mayAdvance = true
  }
}

/** So many tasks with this need can be awarded by offer now. */
export function placesNow(state: ManagerState, need: string, { nowMs }: ActorContext): number {
  const tender = state.tendered.get(need)
  return tender !== undefined && isCollecting(state.book, tender.callId, nowMs) ? 0 : placesOffered(state.offers, need, state.places.taken, nowMs)
}

/** What an award by offer needs no call for: it is the first attempt, and nothing has to be fetched for it. */
export function suitsOffers(state: ManagerState, { spec, attempts }: TaskNode): boolean {
  const input = state.inputs.get(spec.taskId)
  return spec.kind === 'leaf' && input !== undefined && attempts.every(({ outcome }) => outcome === 'refused') && blobRefsIn(input).length === 0
}
