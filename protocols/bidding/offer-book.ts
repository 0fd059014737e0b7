/** The initiator's side of standing offers: who has made which, how many more tasks each of them bears, and which is the best. */
import type { ActorAddress, CapabilityName, OfferId, PeerId } from '../kernel/ids.ts'
import { limits } from '../kernel/limits.ts'
import type { InstantMs } from '../kernel/units.ts'
import type { Assess } from './initiator.ts'
import type { Bid, BidSummary, StandingOffer } from './schema.ts'
import { rank, scoreWeights } from './score.ts'

export interface HeldOffer {
  readonly offerId: OfferId
  readonly peer: PeerId
  readonly participant: ActorAddress
  readonly name: string
  readonly capability: CapabilityName
  /** What the tasks ask of a node: those that ask the same can be awarded against it. */
  readonly need: string
  readonly bid: Bid
  slots: number
  untilMs: InstantMs
  /** An award that tells of the bid in full has cited it. */
  cited: boolean
}

export interface OfferBook {
  readonly offers: Map<string, HeldOffer>
  /** By need, best first but for how many places are left; made anew when an offer or what is known of its bidder has changed. */
  readonly ranked: Map<string, readonly ChosenOffer[]>
}

export function emptyOfferBook(): OfferBook {
  return { offers: new Map(), ranked: new Map() }
}

export interface MadeOffer {
  readonly peer: PeerId
  readonly participant: ActorAddress
  readonly name: string
  readonly need: string
  readonly capability: CapabilityName
  readonly bid: Bid
}

/** A bid that stands for more tasks. */
export function hearOffer(book: OfferBook, { peer, participant, name, need, capability, bid }: MadeOffer, nowMs: InstantMs): void {
  const { standing } = bid
  if (standing === undefined) return
  const key = `${peer} ${standing.offerId}`
  book.ranked.delete(need)
  // Whoever makes a new one has forgotten the one before.
  for (const [at, old] of book.offers) if (old.peer === peer && old.need === need && at !== key) book.offers.delete(at)
  if (standing.slots === 0) book.offers.delete(key)
  else book.offers.set(key, { offerId: standing.offerId, peer, participant, name, capability, need, bid, slots: believed(standing.slots, bid), untilMs: nowMs + Math.min(standing.forMs, limits.offerMs), cited: book.offers.get(key)?.cited ?? false })
}

/**
 * Whoever made them says so.
 * @returns those that are not known here: they were made to an earlier manager, and are to be released.
 */
export function changeOffers(book: OfferBook, peer: PeerId, offers: readonly StandingOffer[], nowMs: InstantMs): OfferId[] {
  const unknown: OfferId[] = []
  for (const { offerId, slots, forMs } of offers) {
    const known = book.offers.get(`${peer} ${offerId}`)
    if (known === undefined) {
      if (slots > 0) unknown.push(offerId)
    } else if (slots === 0) drop(book, known)
    else Object.assign(known, { slots: believed(slots, known.bid), untilMs: nowMs + Math.min(forMs, limits.offerMs) })
  }
  return unknown
}

/** Nobody has more places than it says that its node has, nor more than any node can have. */
function believed(slots: number, bid: Bid): number {
  return Math.min(slots, bid.slots, limits.offerSlotsMax)
}

/** It has refused an award: others have taken its places. It tells how many it has now. */
export function exhaustOffersOf(book: OfferBook, peer: PeerId): void {
  for (const offer of book.offers.values()) if (offer.peer === peer) offer.slots = 0
}

function drop(book: OfferBook, { peer, offerId, need }: HeldOffer): void {
  book.offers.delete(`${peer} ${offerId}`)
  book.ranked.delete(need)
}

export function dropOffersOf(book: OfferBook, peer: PeerId): void {
  for (const offer of book.offers.values()) if (offer.peer === peer) drop(book, offer)
}

/** What is known of a bidder has changed. */
export function rankAgain(book: OfferBook, peer: PeerId): void {
  for (const offer of book.offers.values()) if (offer.peer === peer) book.ranked.delete(offer.need)
}

export function hasOffers(book: OfferBook, need: string, nowMs: InstantMs): boolean {
  for (const offer of book.offers.values()) if (offer.need === need && offer.untilMs > nowMs) return true
  return false
}

export function isOfferedBy(book: OfferBook, peer: PeerId, need: string): boolean {
  for (const offer of book.offers.values()) if (offer.peer === peer && offer.need === need) return true
  return false
}

/** How many awards of this manager a peer has under way, by capability. */
export type UnderWay = ReadonlyMap<string, number>

export function underWayKey(peer: PeerId, capability: CapabilityName): string {
  return `${peer} ${capability}`
}

export function placesLeftOf(offer: HeldOffer, underWay: UnderWay): number {
  return offer.slots - (underWay.get(underWayKey(offer.peer, offer.capability)) ?? 0)
}

/** So many more tasks with this need can be awarded at once. */
export function placesOffered(book: OfferBook, need: string, underWay: UnderWay, nowMs: InstantMs): number {
  let places = 0
  for (const offer of book.offers.values()) if (offer.need === need && offer.untilMs > nowMs) places += Math.max(0, placesLeftOf(offer, underWay))
  return places
}

export interface ChosenOffer {
  readonly offer: HeldOffer
  readonly summary: BidSummary
  /** All offers that it was chosen among, best first. */
  readonly among: readonly BidSummary[]
}

/** @returns the best of those that have a place left; undefined when none has. */
export function bestOffer(book: OfferBook, need: string, underWay: UnderWay, nowMs: InstantMs, assess: Assess): ChosenOffer | undefined {
  let best: ChosenOffer | undefined
  let bestTotal = -1
  for (const ranked of rankedOf(book, need, assess)) {
    const { offer, summary } = ranked
    const left = placesLeftOf(offer, underWay)
    if (left <= 0 || offer.untilMs <= nowMs) continue
    const total = summary.total + scoreWeights.headroom * (Math.min(1, left / Math.max(1, offer.slots)) - summary.terms.headroom)
    if (total > bestTotal) [best, bestTotal] = [ranked, total]
  }
  return best
}

function rankedOf(book: OfferBook, need: string, assess: Assess): readonly ChosenOffer[] {
  const known = book.ranked.get(need)
  if (known !== undefined) return known
  const bidders = [...book.offers.values()].filter((offer) => offer.need === need).map((offer) => ({ offer, peer: offer.peer, name: offer.name, bid: offer.bid, slotsFree: offer.bid.slotsFree, assessment: assess(offer.peer) }))
  const trusted = bidders.filter(({ assessment }) => !assessment.breakerOpen)
  const among = rank(trusted)
  const ranked = among.flatMap((summary) => {
    const bidder = trusted.find(({ peer }) => peer === summary.peer)
    return bidder === undefined ? [] : [{ offer: bidder.offer, summary, among }]
  })
  book.ranked.set(need, ranked)
  return ranked
}
