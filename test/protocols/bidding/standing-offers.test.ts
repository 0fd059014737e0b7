import { describe, expect, it } from 'vitest'
import { bidForWaiting, emptyParticipant, endAward, forgetInitiator, hearCfp, offersToTell, takeAward, type ParticipantOutput, type ParticipantState, type ParticipantView } from '../../../protocols/bidding/participant.ts'
import type { Award, Bid, Call, StandingOffer } from '../../../protocols/bidding/schema.ts'
import { changedOffers, forgetOffers, giveOffer as giveOfferOrNone, isOffered, tellAgain, type GivenOffers } from '../../../protocols/bidding/standing-offers.ts'
import { nodePool } from '../../../protocols/bidding/places.ts'
import type { ActorAddress, AwardId, CapabilityName, MissionId } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { award, call, cfp, peer } from './offers.ts'

const ours = 'm-aaaaaaaa-bbbbbbbbbbbb' as MissionId
const theirs = 'm-cccccccc-dddddddddddd' as MissionId
const capability = 'number.double' as CapabilityName
const boss: ActorAddress = { peer: peer('boss'), actor: 'manager' }
const chief: ActorAddress = { peer: peer('chief'), actor: 'manager' }
const nobody = new Map<string, Set<MissionId>>()
const waiting = (...missions: MissionId[]) => new Map([[nodePool, new Set(missions)]])

/** A leaf of whoever made the offer. */
function own(name: string, manager = boss, given: Partial<Award> = {}): Award {
  return award(name, { manager, ...given })
}

function giveOffer(...asked: Parameters<typeof giveOfferOrNone>): StandingOffer {
  const offer = giveOfferOrNone(...asked)
  if (offer === undefined) throw new Error('no offer was given')
  return offer
}

function given(slotsFree: number, running: readonly Award[] = [], nowMs = 0): { offers: GivenOffers; first: StandingOffer } {
  const offers: GivenOffers = new Map()
  return { offers, first: giveOffer(offers, call('c'), boss, nodePool, running, slotsFree, nowMs) }
}

describe('a standing offer', () => {
  it('has as many slots as run for its initiator already, and the free places', () => {
    expect(given(3, [own('x'), own('y')]).first).toMatchObject({ slots: 5, forMs: limits.offerMs })
    const others = [own('other', chief), own('composite', boss, { kind: 'composite' }), own('another', boss, { capability: 'other.thing' as CapabilityName })]
    expect(given(3, others).first.slots).toBe(3)
  })

  it('is one for each initiator and what its tasks ask for, each with a name of its own', () => {
    const { offers, first } = given(2)
    expect(giveOffer(offers, call('d'), boss, nodePool, [], 2, 1).offerId).toBe(first.offerId)
    const second = giveOffer(offers, call('e'), chief, nodePool, [], 2, 1)
    const third = giveOffer(offers, call('f', { capability: 'other.thing' as CapabilityName }), boss, nodePool, [], 2, 1)
    const fourth = giveOffer(offers, call('g', { attributes: { model: 'small' } }), boss, nodePool, [], 2, 1)
    expect(new Set([first.offerId, second.offerId, third.offerId, fourth.offerId]).size).toBe(4)
    expect(giveOffer(offers, call('h', { attributes: { model: 'small' } }), boss, nodePool, [], 2, 1).offerId).toBe(fourth.offerId)
  })

  it('serves the first attempts of its initiator’s tasks that ask for the same and have nothing to fetch', () => {
    const { offers } = given(2)
    expect(isOffered(offers, boss, call('d'))).toBe(true)
    for (const other of [call('d', { attempt: 2 }), call('d', { inputBytes: 5 }), call('d', { version: '2.0' }), call('d', { attributes: { model: 'small' } }), call('d', { capability: 'other.thing' as CapabilityName })]) expect(isOffered(offers, boss, other)).toBe(false)
    expect([isOffered(offers, { ...boss, actor: 'another' }, call('d')), isOffered(offers, chief, call('d'))]).toEqual([false, false])
  })

  it('is given to so many and no more, whatever names an initiator makes up', () => {
    const offers: GivenOffers = new Map()
    const asked = (from: ActorAddress, i: number) => giveOfferOrNone(offers, call(`c${i}`), { ...from, actor: `manager-${i}` }, nodePool, [], 2, 0)
    for (let i = 0; i < 2 * limits.offersPerPeerMax; i++) asked(boss, i)
    expect(offers.size).toBe(limits.offersPerPeerMax)
    expect(asked(chief, 1), 'another peer is not shut out').toBeDefined()
    for (let i = 0; i < 2 * limits.offersGivenMax; i++) asked({ peer: peer(`p${i}`), actor: 'm' }, i)
    expect(offers.size).toBe(limits.offersGivenMax)
  })

  it('shares the free places with the others, in equal parts', () => {
    const { offers } = given(8)
    expect(giveOffer(offers, call('d', { missionId: ours }), chief, nodePool, [], 8, 0).slots).toBe(4)
    expect(changedOffers(offers, nobody, [], () => 8, 1)).toMatchObject([{ to: boss, offer: { slots: 4 } }])
  })

  it('is told again when it changes, and only then', () => {
    const { offers, first } = given(2)
    expect(changedOffers(offers, nobody, [], () => 2, 1)).toEqual([])
    // An award against it takes one of its own places: nothing has changed.
    expect(changedOffers(offers, nobody, [own('x')], () => 1, 2)).toEqual([])
    // One of somebody else does.
    expect(changedOffers(offers, nobody, [own('x'), own('other', chief)], () => 0, 3)).toEqual([{ to: boss, offer: { offerId: first.offerId, slots: 1, forMs: limits.offerMs } }])
    expect(changedOffers(offers, nobody, [own('x'), own('other', chief)], () => 0, 4)).toEqual([])
    expect(changedOffers(offers, nobody, [own('x')], () => 1, 5)).toMatchObject([{ offer: { slots: 2 } }])
  })

  it('is told again in good time while it is used, and forgotten when it is not', () => {
    const used = given(2).offers
    const toldAtMs: number[] = []
    for (let nowMs = 0; nowMs <= 3 * limits.offerMs; nowMs += 500) if (changedOffers(used, nobody, [own('x')], () => 1, nowMs).length > 0) toldAtMs.push(nowMs)
    const gaps = toldAtMs.map((atMs, i) => atMs - (toldAtMs[i - 1] ?? 0))
    expect(gaps.length).toBeGreaterThan(2)
    expect(Math.max(...gaps)).toBeLessThan(limits.offerMs)
    const unused = given(2).offers
    expect(changedOffers(unused, nobody, [], () => 2, limits.offerMs - 1)).toEqual([])
    expect(changedOffers(unused, nobody, [], () => 2, limits.offerMs)).toEqual([])
    expect(unused.size, 'its initiator thinks no more of it either').toBe(0)
  })

  it('is withdrawn as soon as another mission waits for a place here, and not for its own', () => {
    const { offers, first } = given(2)
    expect(changedOffers(offers, waiting(ours), [], () => 2, 1)).toEqual([])
    expect(changedOffers(offers, waiting(ours, theirs), [own('x')], () => 1, 2)).toEqual([{ to: boss, offer: { offerId: first.offerId, slots: 0, forMs: limits.offerMs } }])
    expect(offers.size).toBe(0)
    expect(changedOffers(offers, waiting(theirs), [own('x')], () => 1, 3)).toEqual([])
  })

  it('is told again when its initiator may know no more of it, or believe in more places', () => {
    const { offers, first } = given(2)
    tellAgain(offers, boss, 'other.thing' as CapabilityName)
    expect(changedOffers(offers, nobody, [], () => 2, 1)).toEqual([])
    tellAgain(offers, boss, capability)
    expect(changedOffers(offers, nobody, [], () => 2, 2)).toEqual([{ to: boss, offer: first }])
    expect(changedOffers(offers, nobody, [], () => 2, 3)).toEqual([])
  })

  it('when one of two is withdrawn the places are all for the other', () => {
    const { offers } = given(4)
    giveOffer(offers, call('d', { missionId: theirs }), chief, nodePool, [], 4, 0)
    forgetOffers(offers, ({ missionId }) => missionId === theirs)
    expect(changedOffers(offers, nobody, [], () => 4, 1).map(({ to, offer }) => [to.peer, offer.slots])).toEqual([])
    giveOffer(offers, call('d', { missionId: theirs }), chief, nodePool, [], 4, 2)
    changedOffers(offers, nobody, [], () => 4, 2)
    forgetOffers(offers, ({ missionId }) => missionId === theirs)
    expect(changedOffers(offers, nobody, [], () => 4, 3).map(({ to, offer }) => [to.peer, offer.slots])).toEqual([['boss', 4]])
  })
})

function view(slots: number, more: Partial<ParticipantView['own']> = {}): ParticipantView {
  return {
    own: { peer: peer('me'), match: () => ({ capability: { name: capability, version: '1.0', kind: 'leaf', effects: 'none', attributes: {}, summary: '' } }), leaving: false, stalled: false, onBattery: false, inputBytesMax: 1e9, ...more } as ParticipantView['own'],
    slots, managers: 4, poolSize: () => 0, hostsOrchestrator: () => false, locality: () => 1,
  }
}

function bidsIn(outputs: readonly ParticipantOutput[]): Bid[] {
  return outputs.flatMap((output) => (output.type === 'propose' ? output.bids : []))
}

/** What stands of the bids for these calls. */
function standing(outputs: readonly ParticipantOutput[]): (number | undefined)[] {
  return bidsIn(outputs).map((bid) => bid.standing?.slots)
}

function busyWith(...awards: Award[]): ParticipantState {
  const state = emptyParticipant()
  for (const one of awards) state.running.set(one.awardId, { award: one, sinceMs: 0, pool: nodePool })
  return state
}

const many = { standing: 100 }

describe('a participant gives an offer', () => {
  it('with the first bid of an answer, when it is asked for one and nobody else waits', () => {
    const state = emptyParticipant()
    expect(standing(hearCfp(state, cfp('boss', 'ann', [call('a'), call('b')], many), view(4), 0))).toEqual([4, undefined])
    expect(standing(hearCfp(state, cfp('boss', 'ann', [call('c')], many), view(4), 1)), 'the same again, in case it was lost').toEqual([4])
    expect(state.offers.size).toBe(1)
    expect(standing(hearCfp(emptyParticipant(), cfp('boss', 'ann', [call('a')]), view(4), 0)), 'not asked for').toEqual([undefined])
  })

  it('for leaves, and for what needs no content fetched', () => {
    const with4 = (one: Call) => standing(hearCfp(emptyParticipant(), cfp('boss', 'ann', [one], many), view(4), 0))
    expect(with4(call('a', { kind: 'composite' }))).toEqual([undefined])
    expect(with4(call('a', { inputBytes: 10 }))).toEqual([undefined])
    expect(with4(call('a'))).toEqual([4])
  })

  it('not while another mission waits here; of its own mission those that wait do not matter', () => {
    const waiting = (missionId: MissionId) => {
      const state = busyWith(own('x'), own('y'))
      hearCfp(state, cfp('chief', 'bob', [call('w', { missionId })]), view(2), 0)
      endAward(state, own('x').awardId)
      return standing(hearCfp(state, cfp('boss', 'ann', [call('a')], many), view(2), 1))
    }
    expect(waiting(theirs)).toEqual([undefined])
    expect(waiting(ours), 'one runs, one is free').toEqual([2])
  })

  it('when it has no place it refuses, and gives one with the bid for what has waited', () => {
    const state = busyWith(award('x'))
    expect(hearCfp(state, cfp('boss', 'ann', [call('a'), call('b')], many), view(1), 0).map(({ type }) => type)).toEqual(['refuse'])
    endAward(state, award('x').awardId)
    const { outputs } = bidForWaiting(state, view(1), 10)
    expect(standing(outputs)).toEqual([1])
    expect(bidForWaiting(state, view(1), 10 + limits.bidPatienceMs).outputs, 'what waits of its mission is offered for already').toEqual([])
  })

  it('for what offers do not serve it bids when a place comes free', () => {
    const state = busyWith(own('x'))
    hearCfp(state, cfp('boss', 'ann', [call('a')], many), view(1), 0)
    endAward(state, own('x').awardId)
    expect(standing(bidForWaiting(state, view(1), 10).outputs)).toEqual([1])
    takeAward(state, own('a', boss, { callId: 'a' as Award['callId'] }), view(1), 11)
    hearCfp(state, cfp('boss', 'ann', [call('new'), call('again', { attempt: 2 })], many), view(1), 12)
    endAward(state, own('a').awardId)
    expect(bidsIn(bidForWaiting(state, view(1), 13).outputs).map(({ callId }) => callId)).toEqual(['again'])
  })

  it('and withdraws it when another comes to wait', () => {
    const state = emptyParticipant()
    const [first] = bidsIn(hearCfp(state, cfp('boss', 'ann', [call('a')], many), view(1), 0))
    const given = own('a', boss, { callId: 'a' as Award['callId'] })
    expect(takeAward(state, given, view(1), 1)).toBeUndefined()
    expect(offersToTell(state, view(1), 1)).toEqual([])
    hearCfp(state, cfp('chief', 'bob', [call('w', { missionId: theirs })]), view(1), 2)
    expect(offersToTell(state, view(1), 2)).toEqual([{ to: boss, offer: { offerId: first?.standing?.offerId, slots: 0, forMs: limits.offerMs } }])
    endAward(state, given.awardId)
    expect(bidsIn(bidForWaiting(state, view(1), 3).outputs).map(({ callId }) => callId)).toEqual(['w'])
  })

  it('tells again how many places it has when it had to refuse an award, or a call of whoever has it', () => {
    const state = emptyParticipant()
    const [first] = bidsIn(hearCfp(state, cfp('boss', 'ann', [call('a')], many), view(1), 0))
    expect(takeAward(state, own('x'), view(1), 1)).toBeUndefined()
    expect(offersToTell(state, view(1), 1)).toEqual([])
    const again = [{ to: boss, offer: { offerId: first?.standing?.offerId, slots: 1, forMs: limits.offerMs } }]
    expect(takeAward(state, own('y'), view(1), 2)).toMatchObject({ reason: 'no-free-slot' })
    expect(offersToTell(state, view(1), 2)).toEqual(again)
    expect(offersToTell(state, view(1), 3)).toEqual([])
    hearCfp(state, cfp('boss', 'ann', [call('b')], many), view(1), 4)
    expect(offersToTell(state, view(1), 4)).toEqual(again)
  })

  it('offers no free place while it is leaving, stalled or on battery', () => {
    for (const reason of ['leaving', 'stalled', 'onBattery'] as const) {
      const state = emptyParticipant()
      hearCfp(state, cfp('boss', 'ann', [call('a')], many), view(3), 0)
      expect(takeAward(state, own('x'), view(3), 1)).toBeUndefined()
      expect(offersToTell(state, view(3, { [reason]: true }), 2), reason).toMatchObject([{ to: boss, offer: { slots: 1 } }])
    }
  })

  it('and forgets it with its initiator', () => {
    const state = emptyParticipant()
    hearCfp(state, cfp('boss', 'ann', [call('a')], many), view(1), 0)
    forgetInitiator(state, peer('boss'))
    expect([state.offers.size, offersToTell(state, view(1), 1)]).toEqual([0, []])
  })

  it('never offers more than its slots, to all together', () => {
    const state = emptyParticipant()
    hearCfp(state, cfp('boss', 'ann', [call('a')], many), view(4), 0)
    const told = new Map([['boss', 4]])
    for (let i = 0; i < 8; i++) {
      const manager = i % 3 === 0 ? chief : boss
      takeAward(state, own(`x${i}`, manager), view(4), i)
      for (const { to, offer } of offersToTell(state, view(4), i)) told.set(to.peer, offer.slots)
      const others = [...state.running.values()].filter(({ award: { manager: who } }) => who.peer !== 'boss').length
      expect(told.get('boss')).toBe(4 - others)
      if (i % 2 === 1) endAward(state, [...state.running.keys()][0] as AwardId)
      for (const { to, offer } of offersToTell(state, view(4), i)) told.set(to.peer, offer.slots)
    }
  })
})

describe('standing offers of different places', () => {
  const modelPool = 'llm.chat@1.0 m'
  const chat = 'llm.chat' as CapabilityName
  const chatCall = (name: string) => call(name, { capability: chat })

  it('divide each its own', () => {
    const offers: GivenOffers = new Map()
    giveOffer(offers, call('c'), boss, nodePool, [], 4, 0)
    expect(giveOffer(offers, chatCall('d'), boss, modelPool, [], 6, 0).slots).toBe(6)
    expect(giveOffer(offers, chatCall('e'), chief, modelPool, [], 6, 0).slots).toBe(3)
    const free = (pool: string) => (pool === modelPool ? 6 : 4)
    expect(changedOffers(offers, nobody, [], free, 1).map(({ to, offer }) => [to.peer, offer.slots])).toEqual([['boss', 3]])
  })

  it('are withdrawn when others wait for a place of theirs, and not for one of another', () => {
    const offers: GivenOffers = new Map()
    giveOffer(offers, call('c'), boss, nodePool, [], 4, 0)
    const ofModel = giveOffer(offers, chatCall('d'), boss, modelPool, [], 6, 0)
    const changes = changedOffers(offers, new Map([[modelPool, new Set([theirs])]]), [], () => 4, 1)
    expect(changes).toEqual([{ to: boss, offer: { offerId: ofModel.offerId, slots: 0, forMs: limits.offerMs } }])
    expect([isOffered(offers, boss, call('x')), isOffered(offers, boss, chatCall('y'))]).toEqual([true, false])
  })
})
