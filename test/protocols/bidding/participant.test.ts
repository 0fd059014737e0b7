import { describe, expect, it } from 'vitest'
import { bidForWaiting, emptyParticipant, endAward, forgetCalls, forgetInitiator, hearCfp, learnMeasures, managersFree, slotsFree, takeAward, type ParticipantOutput, type ParticipantState, type ParticipantView } from '../../../protocols/bidding/participant.ts'
import type { Award, Call } from '../../../protocols/bidding/schema.ts'
import { managersPool, nodePool } from '../../../protocols/bidding/places.ts'
import { learnSpeed, speedKey } from '../../../protocols/bidding/speed.ts'
import type { Capability, CapabilityQuery } from '../../../protocols/capability/schema.ts'
import type { AwardId, CallId, MissionId, Principal } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import { award, call, cfp, peer } from './offers.ts'

const offered = { name: 'number.double', version: '1.2', kind: 'leaf', effects: 'none', attributes: {}, summary: '' } as unknown as Capability

function view(slots: number, managers = 4, own: Partial<ParticipantView['own']> = {}): ParticipantView {
  return {
    own: {
      peer: peer('me'), leaving: false, stalled: false, onBattery: false, inputBytesMax: 1_000,
      match: (query: CapabilityQuery) => (query.capability === 'number.double' ? { capability: offered } : { unmet: 'no-capability', detail: `${query.capability} is not offered` }), ...own,
    },
    slots, managers, poolSize: () => 0, hostsOrchestrator: () => false, locality: () => 0.5,
  }
}

function bidsIn(outputs: readonly ParticipantOutput[]) {
  return outputs.flatMap((output) => (output.type === 'propose' ? output.bids : []))
}

function callsBidFor(outputs: readonly ParticipantOutput[]): string[] {
  return bidsIn(outputs).map((one) => one.callId)
}

function refusalsIn(outputs: readonly ParticipantOutput[]) {
  return outputs.flatMap((output) => (output.type === 'refuse' ? output.refusals : []))
}

function busyWith(...awards: Award[]): ParticipantState {
  const state = emptyParticipant()
  for (const one of awards) state.running.set(one.awardId, { award: one, sinceMs: 0, pool: one.kind === 'leaf' ? nodePool : managersPool })
  return state
}

describe('hearing a call', () => {
  it('it bids with what it knows of itself', () => {
    const state = emptyParticipant()
    learnSpeed(state.speeds, speedKey('number.double', '1.2'), 2, 100)
    const [output, ...rest] = hearCfp(state, cfp('boss', 'ann', [call('c', { effort: 10, inputBytes: 500 })]), view(4), 0)
    expect(rest).toEqual([])
    expect(output).toMatchObject({ type: 'propose', to: { peer: 'boss' }, bids: [{ callId: 'c', version: '1.2', slotsFree: 4, slots: 4, estimatedFinishMs: 500.005, breakdown: { queueMs: 0, warmUpMs: 0, transferMs: 0.005, runMs: 500, samples: 1 }, locality: 0.5, priceUsd: 0, expiresInMs: limits.bidExpiryMs }] })
  })

  it('it answers many calls in one propose and one refuse', () => {
    const outputs = hearCfp(emptyParticipant(), cfp('boss', 'ann', [call('a'), call('b', { capability: 'other' as never }), call('c')]), view(1), 0)
    expect(outputs.map(({ type }) => type)).toEqual(['propose', 'refuse'])
    expect(callsBidFor(outputs)).toEqual(['a', 'c'])
    expect(refusalsIn(outputs)).toMatchObject([{ callId: 'b', reason: 'no-capability', waiting: false }])
  })

  it('a composite task is bid for with the room for managers, a leaf with the slots', () => {
    const bids = bidsIn(hearCfp(busyWith(award('x'), award('y', { kind: 'composite' })), cfp('boss', 'ann', [call('leaf'), call('whole', { kind: 'composite' })]), view(3, 8), 0))
    expect(bids).toMatchObject([{ callId: 'leaf', slotsFree: 2, slots: 3 }, { callId: 'whole', slotsFree: 7, slots: 8 }])
  })

  it('of many that are asked, those whose hash falls under the threshold answer', () => {
    const asked = (threshold: number): number => Array.from({ length: 1_000 }, (_, i) => hearCfp(emptyParticipant(), cfp('boss', 'ann', [call('c')], { threshold }), view(1, 4, { peer: peer(`peer-${i}`) }), 0).length).reduce((sum, count) => sum + count, 0)
    expect(asked(0)).toBe(0)
    expect(asked(1)).toBe(1_000)
    expect(asked(0.1)).toBeGreaterThan(60)
    expect(asked(0.1)).toBeLessThan(140)
  })

  it('a busy one says so, remembers the call and its time of hearing', () => {
    const state = busyWith(award('x'))
    const outputs = hearCfp(state, cfp('boss', 'ann', [call('c')]), view(1), 5)
    expect(refusalsIn(outputs)).toMatchObject([{ callId: 'c', reason: 'no-free-slot', retryable: true, waiting: true }])
    hearCfp(state, cfp('boss', 'ann', [call('c')]), view(1), 500)
    expect(state.calls.get('c' as CallId)).toMatchObject({ heardAtMs: 5, expiresAtMs: 20_500 })
  })

  it('what it will never do is not remembered', () => {
    const state = emptyParticipant()
    hearCfp(state, cfp('boss', 'ann', [call('c', { capability: 'other' as never }), call('d', { excluded: [peer('me')] })]), view(1), 0)
    expect(state.calls.size).toBe(0)
  })

  it('it remembers a bounded number of calls, the newest', () => {
    const state = busyWith(award('x'))
    for (let i = 0; i < limits.waitingCallsMax + 10; i++) hearCfp(state, cfp('boss', 'ann', [call(`c${i}`)]), view(1), i)
    expect(state.calls.size).toBe(limits.waitingCallsMax)
    expect(state.calls.has('c9' as CallId)).toBe(false)
    expect(state.calls.has('c10' as CallId)).toBe(true)
  })
})

describe('a slot comes free', () => {
  const waiting = (calls: readonly { name: string; principal?: string; given?: Partial<Call> }[], ...running: Award[]): ParticipantState => {
    const state = busyWith(...(running.length > 0 ? running : [award('x')]))
    calls.forEach(({ name, principal = 'ann', given }, i) => hearCfp(state, cfp('boss', principal, [call(name, given)]), view(state.running.size), i))
    return state
  }
  const free = (state: ParticipantState, awardName = 'x'): ParticipantState => {
    endAward(state, `award-${awardName}` as AwardId)
    return state
  }

  it('it bids for what waited, the oldest first, for one call per slot; what nobody answers for is forgotten', () => {
    const state = free(waiting(['a', 'b', 'c', 'd'].map((name) => ({ name }))))
    const { outputs, heldBack } = bidForWaiting(state, view(1), 10)
    expect(callsBidFor(outputs)).toEqual(['a'])
    expect(heldBack).toBe(true)
    // Its place is promised until then.
    expect(bidForWaiting(state, view(1), 10 + limits.bidPatienceMs - 1)).toEqual({ outputs: [], heldBack: true })
    expect(callsBidFor(bidForWaiting(state, view(1), 10 + limits.bidPatienceMs).outputs)).toEqual(['b'])
    expect([...state.calls.keys()]).toEqual(['b', 'c', 'd'])
    forgetCalls(state, ['b' as CallId])
    expect(callsBidFor(bidForWaiting(state, view(1), 11 + limits.bidPatienceMs).outputs)).toEqual(['c'])
    for (const one of bidsIn(outputs)) expect(one.slotsFree).toBe(1)
  })

  it('the highest priority first; those below get a bid only when there is room', () => {
    const state = free(waiting([{ name: 'low', given: { priority: 2 } }, { name: 'mid' }, { name: 'high', given: { priority: 9 } }]))
    expect(bidForWaiting(state, view(1), 10)).toMatchObject({ heldBack: true, outputs: [{ bids: [{ callId: 'high' }] }] })
    expect(callsBidFor(bidForWaiting(state, view(3), 10).outputs)).toEqual(['mid', 'low'])
  })

  it('within a priority the principal with the least running here', () => {
    const ann = { principal: 'ann' as Principal }
    const state = waiting([{ name: 'a1' }, { name: 'a2' }, { name: 'a3' }, { name: 'bob', principal: 'bob' }], award('x', ann), award('y', ann))
    expect(callsBidFor(bidForWaiting(free(state), view(3), 10).outputs)).toEqual(['bob', 'a1'])
  })

  it('what is chosen counts at once: two principals alternate', () => {
    const state = free(waiting([...['a1', 'a2', 'a3', 'a4'].map((name) => ({ name })), ...['b1', 'b2', 'b3', 'b4'].map((name) => ({ name, principal: 'bob' }))]))
    expect(callsBidFor(bidForWaiting(state, view(4), 10).outputs)).toEqual(['a1', 'b1', 'a2', 'b2'])
  })

  it('missions of one principal take turns: a large one keeps no small one waiting', () => {
    const of = (mission: string, ...names: string[]) => names.map((name) => ({ name, given: { missionId: mission as MissionId } }))
    const state = free(waiting([...of('large', 'l1', 'l2', 'l3', 'l4', 'l5'), ...of('small', 's1'), ...of('other', 'o1', 'o2')]))
    const turns: string[] = []
    for (let turn = 1; turn <= 8; turn++) {
      const [callId = ''] = callsBidFor(bidForWaiting(state, view(1), 10 + turn).outputs)
      turns.push(callId)
      // It ends before the next place is given: nothing of any mission runs then.
      forgetCalls(state, [callId as CallId])
    }
    expect(turns).toEqual(['l1', 's1', 'o1', 'l2', 'o2', 'l3', 'l4', 'l5'])
  })

  it('what was tried before goes before what was never started', () => {
    const state = free(waiting([{ name: 'first' }, { name: 'again', given: { attempt: 2 } }]))
    expect(callsBidFor(bidForWaiting(state, view(1), 10).outputs)[0]).toBe('again')
  })

  it('nothing that has expired, was closed, or came from somebody who is gone', () => {
    const names = ['a', 'b', 'c', 'd']
    const state = free(waiting(names.map((name) => ({ name }))))
    hearCfp(state, cfp('gone', 'ann', [call('e')]), view(0), 0)
    forgetCalls(state, ['b' as CallId])
    forgetInitiator(state, peer('gone'))
    expect(callsBidFor(bidForWaiting(state, view(4), 10).outputs)).toEqual(['a', 'c', 'd'])
    expect(bidForWaiting(state, view(4), 20_010).outputs).toEqual([])
    expect(state.calls.size).toBe(0)
  })

  it('nothing while it is full, stalled or leaving', () => {
    const state = waiting([{ name: 'a' }])
    expect(bidForWaiting(state, view(1), 10).outputs).toEqual([])
    free(state)
    expect(bidForWaiting(state, view(1, 4, { stalled: true }), 10).outputs).toEqual([])
    expect(bidForWaiting(state, view(1, 4, { leaving: true }), 10).outputs).toEqual([])
  })

  it('a call that is announced again is not refused again for a while', () => {
    const state = waiting([{ name: 'a' }])
    const again = (nowMs: number) => hearCfp(state, cfp('boss', 'ann', [call('a')]), view(1), nowMs)
    expect(again(500)).toEqual([])
    expect(again(limits.refusalRepeatMs)).toMatchObject([{ type: 'refuse', refusals: [{ callId: 'a', waiting: true }] }])
    expect(again(limits.refusalRepeatMs + 500)).toEqual([])
    // With room it bids, however often it has refused.
    free(state)
    expect(callsBidFor(again(limits.refusalRepeatMs + 600))).toEqual(['a'])
  })

  it('one message per initiator', () => {
    const state = free(waiting([{ name: 'a' }]))
    hearCfp(state, cfp('chief', 'ann', [call('b')]), view(1), 3)
    expect(bidForWaiting(state, view(2), 10).outputs.map((output) => output.to.peer)).toEqual(['boss', 'chief'])
  })

  it('a full list of waiting calls is looked through in a moment', () => {
    const state = busyWith(award('x'))
    for (let i = 0; i < limits.waitingCallsMax; i++) hearCfp(state, cfp('boss', `p${i % 50}`, [call(`c${i}`, { priority: 1 + (i % 10), kind: i % 7 === 0 ? 'composite' : 'leaf' })]), view(1), i / 1_000)
    free(state)
    let looked = 0
    const counting = view(4, 256)
    const match = counting.own.match
    bidForWaiting(state, { ...counting, own: { ...counting.own, match: (query) => (looked++, match(query)) } }, 10)
    // Once for each call, and once more for each bid.
    expect(looked).toBeLessThan(limits.waitingCallsMax + 100)
  })
})

describe('taking an award', () => {
  it('fills a slot from then on; the call is forgotten', () => {
    const state = emptyParticipant()
    hearCfp(state, cfp('boss', 'ann', [call('c')]), view(2), 0)
    expect(takeAward(state, award('c'), view(2), 1)).toBeUndefined()
    expect(slotsFree(state, view(2))).toBe(1)
    expect(managersFree(state, view(2))).toBe(4)
    expect(state.calls.size).toBe(0)
    endAward(state, 'award-c' as AwardId)
    expect(slotsFree(state, view(2))).toBe(2)
  })

  it('twice is once', () => {
    const state = emptyParticipant()
    for (let i = 0; i < 2; i++) expect(takeAward(state, award('c'), view(1), i)).toBeUndefined()
    expect(state.running.size).toBe(1)
  })

  it('is refused at once with a reason when there is no room any more, also for a call it never heard', () => {
    const state = busyWith(award('x'))
    expect(takeAward(state, award('c'), view(1), 0)).toMatchObject({ callId: 'c', reason: 'no-free-slot', retryable: true })
    expect(takeAward(state, award('d', { capability: 'other' as never }), view(2), 0)).toMatchObject({ reason: 'no-capability', retryable: false })
    expect(takeAward(state, award('e', { remainingMs: 0 }), view(2), 0)).toMatchObject({ reason: 'too-late' })
    expect(takeAward(state, award('f'), view(2, 4, { leaving: true }), 0)).toMatchObject({ reason: 'leaving' })
    expect(takeAward(state, award('m', { kind: 'composite' }), view(1, 0), 0)).toMatchObject({ reason: 'overloaded' })
    expect(takeAward(state, award('m', { kind: 'composite' }), view(1, 1), 0)).toBeUndefined()
  })
})

describe('whatever happens in whatever order', () => {
  it('it never states more free slots than it has, never runs more than its slots, and never bids for what it must refuse', () => {
    for (let seed = 1; seed <= 40; seed++) {
      const random = seededRandom([seed, 5])
      const own = view(1 + random.below(4), 1 + random.below(3))
      const state = emptyParticipant()
      let nowMs = 0
      let heard = 0
      let taken = 0
      const check = (outputs: readonly ParticipantOutput[]): void => {
        const room = { leaf: slotsFree(state, own), composite: managersFree(state, own) }
        for (const one of bidsIn(outputs)) {
          const kind = state.calls.get(one.callId)?.call.kind ?? 'leaf'
          expect(one.slotsFree, `seed ${seed}`).toBe(room[kind])
          expect(one.slotsFree, `seed ${seed}: no bid without room`).toBeGreaterThan(0)
          expect(one.slotsFree).toBeLessThanOrEqual(one.slots)
        }
      }
      for (let step = 0; step < 300; step++) {
        nowMs += random.below(500)
        const kind = random.below(4) === 0 ? 'composite' : 'leaf'
        switch (random.below(5)) {
          case 0:
          case 1:
            check(hearCfp(state, cfp(`boss-${random.below(2)}`, `p${random.below(3)}`, Array.from({ length: 1 + random.below(4) }, () => call(`c${heard++}`, { kind, priority: 1 + random.below(10) })), { expiresInMs: 1 + random.below(4_000) }), own, nowMs))
            break
          case 2: {
            const [known] = [...state.calls.values()].slice(random.below(3))
            const given = known?.call ?? call(`c${heard++}`, { kind })
            if (takeAward(state, award(given.callId, { kind: given.kind, principal: `p${random.below(3)}` as Principal }), own, nowMs) === undefined) taken += 1
            break
          }
          case 3: {
            const [running] = state.running.keys()
            if (running !== undefined) endAward(state, running)
            check(bidForWaiting(state, own, nowMs).outputs)
            break
          }
          default:
            check(bidForWaiting(state, own, nowMs).outputs)
        }
        const running = [...state.running.values()].map(({ award: { kind: of } }) => of)
        expect(running.filter((of) => of === 'leaf').length).toBeLessThanOrEqual(own.slots)
        expect(running.filter((of) => of === 'composite').length).toBeLessThanOrEqual(own.managers)
      }
      expect(taken).toBeGreaterThan(5)
    }
  })

  it('a principal that floods the queue shuts nobody out', () => {
    const own = view(2)
    const state = emptyParticipant()
    for (let i = 0; i < 500; i++) hearCfp(state, cfp('boss', 'flood', [call(`f${i}`)], { expiresInMs: 1e9 }), own, i)
    for (let i = 0; i < 10; i++) hearCfp(state, cfp('boss', 'modest', [call(`m${i}`)], { expiresInMs: 1e9 }), own, 1_000 + i)
    const order: string[] = []
    for (let round = 0; round < 20; round++) {
      for (const one of bidsIn(bidForWaiting(state, own, 2_000 + round).outputs)) {
        const principal = (one.callId.startsWith('m') ? 'modest' : 'flood') as Principal
        if (takeAward(state, award(one.callId, { principal }), own, 2_000 + round) === undefined) order.push(one.callId)
      }
      const [done] = state.running.keys()
      if (done !== undefined) endAward(state, done)
    }
    expect(order.slice(0, 20).filter((name) => name.startsWith('m')).length).toBeGreaterThanOrEqual(8)
  })
})

describe('a capability with places of its own', () => {
  const modelPool = 'llm.chat@1.0 m'
  const model = { name: 'llm.chat', version: '1.0', kind: 'leaf', effects: 'none', attributes: { model: 'm', outputUsdPerMillion: 1_000 }, slots: 2, summary: '' } as unknown as Capability
  const both = (slots: number): ParticipantView => ({
    ...view(slots, 4, { match: ({ capability }: CapabilityQuery) => (capability === 'llm.chat' ? { capability: model } : { capability: offered }) }),
    poolSize: (pool) => (pool === modelPool ? 2 : 0),
  })
  const chat = (name: string, given: Partial<Call> = {}) => call(name, { capability: 'llm.chat' as never, ...given })
  const chatting = (name: string) => award(name, { capability: 'llm.chat' as never })
  const taken = (state: ParticipantState, one: Award) => takeAward(state, one, both(1), 0)

  it('is bid for with those, under their name, beside the node’s', () => {
    expect(bidsIn(hearCfp(emptyParticipant(), cfp('boss', 'ann', [chat('c'), call('d')]), both(1), 0))).toMatchObject([{ callId: 'c', slots: 2, slotsFree: 2, pool: modelPool }, { callId: 'd', slots: 1, slotsFree: 1 }])
    expect(bidsIn(hearCfp(emptyParticipant(), cfp('boss', 'ann', [call('d')]), both(1), 0))[0]).not.toHaveProperty('pool')
  })

  it('takes none of the node’s, and the node’s tasks take none of its', () => {
    const state = emptyParticipant()
    expect([taken(state, award('x')), taken(state, chatting('y')), taken(state, chatting('z'))]).toEqual([undefined, undefined, undefined])
    expect(taken(state, award('more'))).toMatchObject({ reason: 'no-free-slot', waiting: true })
    expect(taken(state, chatting('even-more'))).toMatchObject({ reason: 'no-free-slot', waiting: true })
    expect([slotsFree(state, both(1)), managersFree(state, both(1))]).toEqual([0, 4])
    endAward(state, 'award-y' as AwardId)
    expect(slotsFree(state, both(1))).toBe(0)
    expect(taken(state, chatting('even-more'))).toBeUndefined()
  })

  it('has places on a node that has none for tasks', () => {
    expect(bidsIn(hearCfp(emptyParticipant(), cfp('boss', 'ann', [chat('c'), call('d')]), both(0), 0))).toMatchObject([{ callId: 'c', slotsFree: 2 }])
  })

  it('is bid for again when one of its own comes free, and not when another does', () => {
    const state = emptyParticipant()
    for (const one of [award('x'), chatting('y'), chatting('z')]) taken(state, one)
    hearCfp(state, cfp('boss', 'ann', [chat('c'), call('d')]), both(1), 0)
    endAward(state, 'award-x' as AwardId)
    expect(callsBidFor(bidForWaiting(state, both(1), 1).outputs)).toEqual(['d'])
    endAward(state, 'award-y' as AwardId)
    expect(callsBidFor(bidForWaiting(state, both(1), 2).outputs)).toEqual(['c'])
  })

  it('is not waited for any more once it is not offered', () => {
    const state = emptyParticipant()
    for (const one of [chatting('y'), chatting('z')]) taken(state, one)
    hearCfp(state, cfp('boss', 'ann', [chat('c')]), both(1), 0)
    endAward(state, 'award-y' as AwardId)
    expect(bidForWaiting(state, { ...both(1), poolSize: () => 0 }, 1).outputs).toEqual([])
  })

  it('is bid for with what was measured of it, at its price, and not while it is closed', () => {
    const state = emptyParticipant()
    learnMeasures(state, [{ capability: 'llm.chat', version: '1.0', model: 'm', msPerOutputUnit: 10, warmUpMs: 500, warm: [] }], 0)
    expect(bidsIn(hearCfp(state, cfp('boss', 'ann', [chat('c', { units: { input: 5, output: 100 } })]), both(1), 0))).toMatchObject([{ breakdown: { runMs: 1_000, warmUpMs: 500 }, priceUsd: 0.1 }])
    forgetCalls(state, ['c' as CallId])
    learnMeasures(state, [{ capability: 'llm.chat', version: '1.0', model: 'm', warmUpMs: 0, warm: [], closedForMs: 2_000 }], 1_000)
    const closed = hearCfp(state, cfp('boss', 'ann', [chat('d')]), both(1), 1_500)
    expect(refusalsIn(closed)).toMatchObject([{ callId: 'd', reason: 'closed', detail: 'it takes nothing for 2 s', waiting: true }])
    expect(callsBidFor(closed)).toEqual([])
    expect(callsBidFor(bidForWaiting(state, both(1), 2_999).outputs)).toEqual([])
    expect(callsBidFor(bidForWaiting(state, both(1), 3_000).outputs)).toEqual(['d'])
  })

  it('dearer than what is left is refused for good', () => {
    expect(refusalsIn(hearCfp(emptyParticipant(), cfp('boss', 'ann', [chat('c', { units: { input: 0, output: 100 }, budgetUsd: 0.05 })]), both(1), 0))).toMatchObject([{ reason: 'over-budget', retryable: false, waiting: false }])
  })
})
