/**
 * The participant's side of standing offers: given with a bid to whoever has more tasks of the kind, told again whenever they change,
 * and withdrawn as soon as somebody else waits for a place here. An offer reserves nothing. See SPEC.md.
 */
import { hash32 } from '../kernel/hashing.ts'
import type { ActorAddress, CapabilityName, MissionId, OfferId } from '../kernel/ids.ts'
import { limits } from '../kernel/limits.ts'
import type { InstantMs } from '../kernel/units.ts'
import type { Award, Call, StandingOffer } from './schema.ts'

export interface GivenOffer {
  readonly offerId: OfferId
  readonly initiator: ActorAddress
  readonly missionId: MissionId
  readonly capability: CapabilityName
  /** Whose places they are: see `placesOf` of the participant. */
  readonly pool: string
  slotsTold: number
  /** Forgotten then, unless awards have come against it. */
  untilMs: InstantMs
}

/** By `offerKey`: one for each initiator and what its tasks ask for. */
export type GivenOffers = Map<string, GivenOffer>

type Asked = Pick<Call, 'capability' | 'version' | 'attributes'>

function offerKey({ peer, actor }: ActorAddress, { capability, version, attributes }: Asked): string {
  return `${capability} ${version ?? ''} ${attributes === undefined ? '' : JSON.stringify(attributes)} ${peer} ${actor}`
}

/** Whether its initiator may award the task of this call without one: what failed before or has a blob to fetch is called for. */
export function isOffered(given: GivenOffers, initiator: ActorAddress, call: Call): boolean {
  return given.size > 0 && call.attempt === 1 && call.inputBytes === 0 && given.has(offerKey(initiator, call))
}

/** Whoever has it may not know it any more, or believe that it has more places than it has: it is told again at the end of the turn. */
export function tellAgain(given: GivenOffers, initiator: ActorAddress, capability: CapabilityName): void {
  for (const offer of given.values()) if (offer.capability === capability && offer.initiator.peer === initiator.peer && offer.initiator.actor === initiator.actor) offer.slotsTold = -1
}

/** @returns what goes with the bid for this call: the offer that stands already, or a new one; undefined when there are too many. */
export function giveOffer(given: GivenOffers, call: Call, initiator: ActorAddress, pool: string, running: Iterable<Award>, slotsFree: number, nowMs: InstantMs): StandingOffer | undefined {
  const key = offerKey(initiator, call)
  let offer = given.get(key)
  if (offer === undefined) {
    if (isFull(given, initiator)) return undefined
    offer = { offerId: `${hash32(call.callId).toString(36)}-${given.size}` as OfferId, initiator, missionId: call.missionId, capability: call.capability, pool, slotsTold: 0, untilMs: 0 }
    given.set(key, offer)
  }
  return told(offer, slotsOf(offer, running, slotsFree, offersOf(given, offer.pool)), nowMs)
}

/** How many offers the places of one pool are divided among. */
function offersOf(given: GivenOffers, pool: string): number {
  let count = 0
  for (const offer of given.values()) if (offer.pool === pool) count += 1
  return count
}

/** The names in a call are its initiator's choice: nobody fills this memory with them, nor divides the places by them. */
function isFull(given: GivenOffers, { peer }: ActorAddress): boolean {
  if (given.size >= limits.offersGivenMax) return true
  let count = 0
  for (const offer of given.values()) if (offer.initiator.peer === peer) count += 1
  return count >= limits.offersPerPeerMax
}

/** Its own that run, and an equal part of the free places, rounded up. */
function slotsOf(offer: GivenOffer, running: Iterable<Award>, slotsFree: number, offers: number): number {
  let own = 0
  for (const award of running) if (isUnder(offer, award)) own += 1
  return own + Math.ceil(slotsFree / offers)
}

function isUnder({ initiator, capability }: GivenOffer, { kind, manager, capability: awarded }: Award): boolean {
  return kind === 'leaf' && capability === awarded && manager.peer === initiator.peer && manager.actor === initiator.actor
}

function told(offer: GivenOffer, slots: number, nowMs: InstantMs): StandingOffer {
  offer.slotsTold = slots
  offer.untilMs = nowMs + limits.offerMs
  return { offerId: offer.offerId, slots, forMs: limits.offerMs }
}

export interface OfferChange {
  readonly to: ActorAddress
  readonly offer: StandingOffer
}

/**
 * What has become of the offers since they were told last.
 * @param awaitedBy by pool the missions of those who wait for a place of it: an offer is withdrawn when another than its own is among them.
 * @param slotsFree of a pool.
 */
export function changedOffers(given: GivenOffers, awaitedBy: ReadonlyMap<string, ReadonlySet<MissionId>>, running: readonly Award[], slotsFree: (pool: string) => number, nowMs: InstantMs): OfferChange[] {
  const changes: OfferChange[] = []
  for (const [key, offer] of given) {
    const waiting = awaitedBy.get(offer.pool)
    const isContested = waiting !== undefined && waiting.size > (waiting.has(offer.missionId) ? 1 : 0)
    if (!isContested && offer.untilMs > nowMs) continue
    if (!isContested && running.some((award) => isUnder(offer, award))) continue
    given.delete(key)
    if (isContested) changes.push({ to: offer.initiator, offer: told(offer, 0, nowMs) })
  }
  for (const [key, offer] of given) {
    const slots = slotsOf(offer, running, slotsFree(offer.pool), offersOf(given, offer.pool))
    // In good time before its initiator would think no more of it.
    const isOld = offer.untilMs - nowMs < limits.offerMs / 2 && running.some((award) => isUnder(offer, award))
    if (slots !== offer.slotsTold || isOld) changes.push({ to: offer.initiator, offer: told(offer, slots, nowMs) })
    // None is as good as withdrawn: whoever hears of it keeps it no longer.
    if (slots === 0) given.delete(key)
  }
  return changes
}

export function forgetOffers(given: GivenOffers, isOver: (offer: GivenOffer) => boolean): void {
  for (const [key, offer] of given) if (isOver(offer)) given.delete(key)
}
