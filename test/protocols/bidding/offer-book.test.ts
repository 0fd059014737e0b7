import { describe, expect, it } from 'vitest'
import { bestOffer, changeOffers, dropOffersOf, emptyOfferBook, exhaustOffersOf, hasOffers, hearOffer, placesLeftOf, placesOffered, rankAgain, underWayKey, type OfferBook, type UnderWay } from '../../../protocols/bidding/offer-book.ts'
import type { Bid } from '../../../protocols/bidding/schema.ts'
import type { CapabilityName, OfferId } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import { at, bid, peer, trusted } from './offers.ts'

const capability = 'number.double' as CapabilityName
const forMs = limits.offerMs
const nobodyBusy: UnderWay = new Map()
const trustAll = () => trusted

function hear(book: OfferBook, name: string, slots: number, given: { readonly offerId?: string; readonly need?: string; readonly bid?: Partial<Bid>; readonly nowMs?: number } = {}): void {
  const { offerId = `offer-${name}`, need = 'number.double', nowMs = 0 } = given
  hearOffer(book, { peer: peer(name), participant: at(name), name, need, capability, bid: bid('c', { slots: 8, slotsFree: slots, ...given.bid, standing: { offerId: offerId as OfferId, slots, forMs } }) }, nowMs)
}

function bookOf(...made: readonly (readonly [name: string, slots: number, bid?: Partial<Bid>])[]): OfferBook {
  const book = emptyOfferBook()
  for (const [name, slots, given] of made) hear(book, name, slots, given === undefined ? {} : { bid: given })
  return book
}

function busy(counts: Readonly<Record<string, number>>): UnderWay {
  return new Map(Object.entries(counts).map(([name, count]) => [underWayKey(peer(name), capability), count]))
}

function best(book: OfferBook, underWay: UnderWay = nobodyBusy, given: { readonly nowMs?: number; readonly need?: string; readonly assess?: Parameters<typeof bestOffer>[4] } = {}): string | undefined {
  return bestOffer(book, given.need ?? 'number.double', underWay, given.nowMs ?? 1, given.assess ?? trustAll)?.offer.peer
}

describe('a book of standing offers', () => {
  it('believes no more places than its bidder says that its node has, and no longer than offers stand', () => {
    const book = bookOf(['a', 2 ** 50, { slots: 3 }])
    expect(placesOffered(book, 'number.double', nobodyBusy, 1)).toBe(3)
    changeOffers(book, peer('a'), [{ offerId: 'offer-a' as OfferId, slots: 2 ** 50, forMs: 1e300 }], 2)
    expect([placesOffered(book, 'number.double', nobodyBusy, 3), placesOffered(book, 'number.double', nobodyBusy, 2 + limits.offerMs)]).toEqual([3, 0])
  })

  it('has what was offered with a bid, for as long as it stands', () => {
    const book = bookOf(['a', 3])
    expect([hasOffers(book, 'number.double', forMs - 1), hasOffers(book, 'number.double', forMs), hasOffers(book, 'other', 1)]).toEqual([true, false, false])
    expect([placesOffered(book, 'number.double', nobodyBusy, 1), placesOffered(book, 'number.double', nobodyBusy, forMs)]).toEqual([3, 0])
    expect([best(book), best(book, nobodyBusy, { nowMs: forMs })]).toEqual(['a', undefined])
  })

  it('nothing of a bid that stands for itself alone', () => {
    const book = emptyOfferBook()
    hearOffer(book, { peer: peer('a'), participant: at('a'), name: 'a', need: 'number.double', capability, bid: bid('c') }, 0)
    expect(book.offers.size).toBe(0)
  })

  it('for tasks that ask for the same, and no others', () => {
    const book = emptyOfferBook()
    hear(book, 'a', 2, { need: 'number.double {"model":"small"}' })
    expect([best(book), placesOffered(book, 'number.double', nobodyBusy, 1)]).toEqual([undefined, 0])
    expect(best(book, nobodyBusy, { need: 'number.double {"model":"small"}' })).toBe('a')
  })

  it('changes, is renewed and is withdrawn when whoever made it says so', () => {
    const book = bookOf(['a', 1], ['b', 1])
    changeOffers(book, peer('a'), [{ offerId: 'offer-a' as OfferId, slots: 5, forMs }], 20_000)
    expect(placesOffered(book, 'number.double', nobodyBusy, 20_000)).toBe(6)
    expect(placesOffered(book, 'number.double', nobodyBusy, 40_000), 'that of b is old').toBe(5)
    changeOffers(book, peer('a'), [{ offerId: 'offer-a' as OfferId, slots: 0, forMs }], 40_000)
    expect([hasOffers(book, 'number.double', 40_000), best(book, nobodyBusy, { nowMs: 40_000 })]).toEqual([false, undefined])
  })

  it('is not changed by another peer, nor by what it does not know', () => {
    const book = bookOf(['a', 1])
    const told = (by: string, offerId: string, slots: number) => changeOffers(book, peer(by), [{ offerId: offerId as OfferId, slots, forMs }], 1)
    expect(told('b', 'offer-a', 9), 'it is to be released').toEqual(['offer-a'])
    expect(told('a', 'offer-x', 9)).toEqual(['offer-x'])
    expect(told('a', 'offer-x', 0), 'it is withdrawn').toEqual([])
    expect(placesOffered(book, 'number.double', nobodyBusy, 1)).toBe(1)
  })

  it('is withdrawn by a bid as well', () => {
    const book = bookOf(['a', 1])
    hear(book, 'a', 0)
    expect([book.offers.size, best(book)]).toEqual([0, undefined])
  })

  it('a new offer of a bidder takes the place of one that was forgotten', () => {
    const book = emptyOfferBook()
    hear(book, 'a', 2, { offerId: 'first' })
    hear(book, 'a', 3, { offerId: 'second', nowMs: 2 * forMs })
    expect(placesOffered(book, 'number.double', nobodyBusy, 2 * forMs + 1)).toBe(3)
    expect(bestOffer(book, 'number.double', nobodyBusy, 2 * forMs + 1, trustAll)?.offer).toMatchObject({ offerId: 'second', slots: 3 })
  })

  it('has no place left at a peer that had to refuse, until that tells how many it has', () => {
    const book = bookOf(['a', 2], ['b', 1, { estimatedFinishMs: 2_000 }])
    expect(best(book)).toBe('a')
    exhaustOffersOf(book, peer('a'))
    expect([best(book), placesOffered(book, 'number.double', nobodyBusy, 1), best(book, busy({ b: 1 }))]).toEqual(['b', 1, undefined])
    expect(changeOffers(book, peer('a'), [{ offerId: 'offer-a' as OfferId, slots: 2, forMs }], 2)).toEqual([])
    expect(best(book, busy({ b: 1 }))).toBe('a')
  })

  it('forgets those of a peer that is gone', () => {
    const book = bookOf(['a', 1], ['b', 1])
    expect(best(book)).toBeDefined()
    dropOffersOf(book, peer('a'))
    expect([best(book), placesOffered(book, 'number.double', nobodyBusy, 1)]).toEqual(['b', 1])
    dropOffersOf(book, peer('b'))
    expect(best(book)).toBeUndefined()
  })
})

describe('places', () => {
  it('are what is offered less what is under way there, never below zero', () => {
    const book = bookOf(['a', 2], ['b', 3])
    expect(placesOffered(book, 'number.double', busy({ a: 1, b: 1 }), 1)).toBe(3)
    // The offer has become smaller than what runs against it: that takes nothing from the places of others.
    expect(placesOffered(book, 'number.double', busy({ a: 7, b: 1 }), 1)).toBe(2)
    const [offer] = book.offers.values()
    expect(offer === undefined ? 0 : placesLeftOf(offer, busy({ a: 7 }))).toBeLessThanOrEqual(0)
    expect(best(book, busy({ a: 7, b: 3 }))).toBeUndefined()
  })

  it('of another capability are not counted', () => {
    expect(placesOffered(bookOf(['a', 2]), 'number.double', new Map([[underWayKey(peer('a'), 'other.thing' as CapabilityName), 2]]), 1)).toBe(2)
  })
})

describe('the best offer', () => {
  const finishing = (ms: number): Partial<Bid> => ({ estimatedFinishMs: ms, breakdown: { queueMs: 0, warmUpMs: 0, transferMs: 0, runMs: ms, samples: 5 } })

  it('is the one whose bid is worth most', () => {
    expect(best(bookOf(['slow', 4, finishing(5_000)], ['fast', 4, finishing(1_000)]))).toBe('fast')
    expect(best(bookOf(['dear', 4, { priceUsd: 1 }], ['cheap', 4, { priceUsd: 0.01 }]))).toBe('cheap')
  })

  it('of equals the one with most room, so that work is spread', () => {
    const book = bookOf(['a', 4], ['b', 4])
    expect([best(book, busy({ a: 2 })), best(book, busy({ b: 2 })), best(book, busy({ a: 1, b: 3 }))]).toEqual(['b', 'a', 'a'])
  })

  it('but a fast one that is nearly full goes before a much slower one that is idle', () => {
    expect(best(bookOf(['slow', 4, finishing(5_000)], ['fast', 4, finishing(1_000)]), busy({ fast: 3 }))).toBe('fast')
    expect(best(bookOf(['slow', 4, finishing(5_000)], ['fast', 4, finishing(1_000)]), busy({ fast: 4 })), 'when it is full the slow one is better than none').toBe('slow')
  })

  it('is none of a peer whose breaker is open', () => {
    const book = bookOf(['a', 4], ['b', 1, finishing(9_000)])
    expect(best(book)).toBe('a')
    rankAgain(book, peer('a'))
    const assess = (who: ReturnType<typeof peer>) => ({ ...trusted, breakerOpen: who === peer('a') })
    expect(best(book, nobodyBusy, { assess })).toBe('b')
    expect(best(book, busy({ b: 1 }), { assess })).toBeUndefined()
  })

  it('follows what is learned of a bidder once that is told', () => {
    const book = bookOf(['a', 4], ['b', 4, finishing(1_100)])
    expect(best(book)).toBe('a')
    rankAgain(book, peer('a'))
    expect(best(book, nobodyBusy, { assess: (who) => ({ ...trusted, reliability: who === peer('a') ? 0.2 : 1 }) })).toBe('b')
  })

  it('gives every place once, whatever happens', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const random = seededRandom([seed, 0x0ff])
      const names = ['a', 'b', 'c', 'd']
      const book = emptyOfferBook()
      const underWay = new Map<string, number>()
      let nowMs = 0
      for (let step = 0; step < 200; step++) {
        nowMs += random.below(400)
        const name = names[random.below(names.length)] as string
        switch (random.below(4)) {
          case 0:
            hear(book, name, random.below(5), { nowMs, bid: finishing(1 + random.below(5_000)) })
            break
          case 1:
            changeOffers(book, peer(name), [{ offerId: `offer-${name}` as OfferId, slots: random.below(5), forMs }], nowMs)
            break
          case 2:
            for (const key of underWay.keys()) if (random.below(2) === 0) underWay.delete(key)
            break
          default: {
            const places = placesOffered(book, 'number.double', underWay, nowMs)
            expect(places).toBeGreaterThanOrEqual(0)
            for (let given = 0; given < places; given++) {
              const chosen = bestOffer(book, 'number.double', underWay, nowMs, trustAll)
              expect(chosen, `seed ${seed}: there are ${places - given} places`).toBeDefined()
              if (chosen === undefined) return
              expect(placesLeftOf(chosen.offer, underWay)).toBeGreaterThan(0)
              const key = underWayKey(chosen.offer.peer, capability)
              underWay.set(key, (underWay.get(key) ?? 0) + 1)
            }
            expect(bestOffer(book, 'number.double', underWay, nowMs, trustAll), `seed ${seed}: none is left`).toBeUndefined()
          }
        }
      }
    }
  })
})
