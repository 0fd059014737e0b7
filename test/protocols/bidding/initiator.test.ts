import { describe, expect, it } from 'vitest'
import type { Assessment } from '../../../protocols/bidding/calibration.ts'
import { emptyCallBook, nextInitiatorTickMs, openAuction, stepInitiator, type CallBook, type InitiatorInput, type InitiatorOutput } from '../../../protocols/bidding/initiator.ts'
import type { Bid, Call, Refusal } from '../../../protocols/bidding/schema.ts'
import type { CallId, PeerId } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import { at, awardsIn, bid, call, peer, trusted, winners } from './offers.ts'

const windowMs = 150

/** A book with a clock of its own. */
function bench(assess: (peer: PeerId) => Assessment = () => trusted) {
  const book: CallBook = emptyCallBook()
  const bench = {
    book,
    nowMs: 0,
    step: (input: InitiatorInput): InitiatorOutput[] => stepInitiator(book, input, bench.nowMs, assess),
    open: (calls: readonly Call[], expectedBidders = Number.MAX_SAFE_INTEGER, asksAll = true) => bench.step({ type: 'open', windowMs, calls: calls.map((opened) => ({ call: opened, expectedBidders, asksAll })) }),
    propose: (name: string, ...bids: Bid[]) => bench.step({ type: 'propose', peer: peer(name), participant: at(name), name, bids }),
    refuse: (name: string, ...refusals: Refusal[]) => bench.step({ type: 'refuse', peer: peer(name), name, refusals }),
    tick: (nowMs: number) => {
      bench.nowMs = nowMs
      return bench.step({ type: 'tick' })
    },
  }
  return bench
}

function no(callName: string, reason: Refusal['reason'] = 'no-free-slot', waiting = true): Refusal {
  return { callId: callName as CallId, reason, detail: reason, retryable: waiting, waiting }
}

describe('a call is announced', () => {
  it('at once, in messages of a bounded number of calls', () => {
    const outputs = bench().open(Array.from({ length: limits.callsPerAnnouncementMax * 2 + 1 }, (_, i) => call(`c${i}`)))
    expect(outputs.map((output) => (output.type === 'announce' ? [output.round, output.calls.length] : output))).toEqual([[0, 64], [0, 64], [0, 1]])
  })

  it('wider at once when a part was asked and enough of them are busy; silence may only mean distance', () => {
    const one = bench()
    one.open([call('c')], 2, false)
    expect(nextInitiatorTickMs(one.book)).toBe(windowMs)
    expect(one.refuse('y', no('c'))).toEqual([])
    expect(one.refuse('z', no('c'))).toMatchObject([{ type: 'silent' }, { type: 'announce', round: 1 }])
    expect(one.tick(windowMs)).toEqual([])
    expect(nextInitiatorTickMs(one.book)).toBe(2 * limits.reannounceMsMin)
    // Once: after that patience grows as ever.
    expect(one.refuse('x', no('c'))).toEqual([])
  })

  it('and what is due is never missed, though it may be looked for too early', () => {
    const one = bench()
    one.open([call('c'), call('d')])
    one.propose('a', bid('c'))
    expect(winners(one.tick(windowMs))).toEqual(['c→a'])
    one.step({ type: 'peer-down', peer: 'a' as PeerId })
    expect(nextInitiatorTickMs(one.book)).toBeLessThanOrEqual(limits.reannounceMsMin)
    expect(one.tick(limits.reannounceMsMin).filter(({ type }) => type === 'announce')).toMatchObject([{ round: 1, calls: [{ callId: 'c' }, { callId: 'd' }] }])
  })

  it('again on silence, wider each time, more and more seldom, with the time that is left', () => {
    const one = bench()
    one.open([call('c', { remainingMs: 60_000 })])
    const heard: { atMs: number; round: number; remainingMs: number | undefined }[] = []
    while (heard.length < 7) {
      const nextMs = nextInitiatorTickMs(one.book)
      expect(nextMs).toBeGreaterThan(one.nowMs)
      for (const output of one.tick(nextMs as number)) if (output.type === 'announce') heard.push({ atMs: one.nowMs, round: output.round, remainingMs: output.calls[0]?.remainingMs })
    }
    expect(heard.map(({ round }) => round)).toEqual([1, 2, 3, 4, 5, 6, 7])
    const gaps = heard.map(({ atMs }, i) => atMs - (heard[i - 1]?.atMs ?? 0))
    expect(gaps).toEqual([500, 1_000, 2_000, 4_000, 5_000, 5_000, 5_000])
    for (const { atMs, remainingMs } of heard) expect(remainingMs).toBe(60_000 - atMs)
  })

  it('with a word to its owner about who has said what so far', () => {
    const one = bench()
    one.open([call('c')])
    one.refuse('a', no('c'))
    expect(one.tick(limits.reannounceMsMin)).toMatchObject([{ type: 'silent', openForMs: 500, proposals: 0, refusals: [{ peer: 'a', reason: 'no-free-slot', retryable: true }] }, { type: 'announce', round: 1 }])
    expect(openAuction(one.book, 'c' as CallId)).toMatchObject({ announcements: 2, bids: 0, refusals: [{ peer: 'a' }] })
    expect(openAuction(one.book, 'other' as CallId)).toBeUndefined()
  })

  it('no more once it is awarded or closed', () => {
    const one = bench()
    one.open([call('c'), call('d')])
    one.propose('a', bid('c'))
    expect(winners(one.tick(windowMs))).toEqual(['c→a'])
    one.step({ type: 'close', callIds: ['d' as CallId] })
    expect(one.tick(60_000)).toEqual([])
    expect(nextInitiatorTickMs(one.book)).toBeUndefined()
  })
})

describe('a call is awarded', () => {
  it('when its window ends, to the best bid', () => {
    const one = bench()
    one.open([call('c')])
    expect(one.propose('slow', bid('c', { estimatedFinishMs: 4_000 }))).toEqual([])
    expect(one.propose('fast', bid('c', { estimatedFinishMs: 1_000 }))).toEqual([])
    one.refuse('busy', no('c'))
    expect(one.tick(windowMs - 1)).toEqual([])
    expect(awardsIn(one.tick(windowMs))).toMatchObject([{ participant: at('fast'), winner: { peer: 'fast' }, bids: [{ peer: 'fast' }, { peer: 'slow' }], refusals: [{ peer: 'busy' }], why: expect.stringContaining('best of 2 bids') }])
  })

  it('early, once everybody who was expected has answered', () => {
    const one = bench()
    one.open([call('c')], 3)
    expect(one.propose('a', bid('c'))).toEqual([])
    expect(one.refuse('b', no('c'))).toEqual([])
    expect(winners(one.propose('d', bid('c', { estimatedFinishMs: 1 })))).toEqual(['c→d'])
  })

  it('not early for an answer that was not expected: the excluded, or the same peer twice', () => {
    const one = bench()
    one.open([call('c', { excluded: [peer('x')] })], 2)
    one.refuse('x', no('c', 'excluded', false))
    expect(one.propose('a', bid('c'))).toEqual([])
    expect(one.propose('a', bid('c'))).toEqual([])
    expect(winners(one.propose('b', bid('c', { estimatedFinishMs: 1 })))).toEqual(['c→b'])
  })

  it('to the first who bids after the window, while nobody else has', () => {
    const one = bench()
    one.open([call('c')])
    one.tick(windowMs)
    one.nowMs = 7_000
    expect(winners(one.propose('late', bid('c')))).toEqual(['c→late'])
  })

  it('never to an excluded peer', () => {
    const one = bench()
    one.open([call('c', { excluded: [peer('x')] })])
    one.propose('x', bid('c', { estimatedFinishMs: 1 }))
    expect(awardsIn(one.tick(windowMs))).toEqual([])
    expect(winners(one.propose('a', bid('c', { estimatedFinishMs: 90_000 })))).toEqual(['c→a'])
  })

  it('never to a bid that has expired or was taken back', () => {
    const one = bench()
    one.open([call('c'), call('d')])
    one.propose('a', bid('c', { expiresInMs: windowMs }), bid('d', { slotsFree: 2 }))
    one.refuse('a', no('d'))
    expect(awardsIn(one.tick(windowMs))).toEqual([])
  })

  it('to a peer whose breaker is open only when nobody else bids', () => {
    const one = bench((who) => (who === 'broken' ? { ratio: 1, reliability: 1, breakerOpen: true } : { ratio: 20, reliability: 0.01, breakerOpen: false }))
    one.open([call('c'), call('d')])
    one.propose('broken', bid('c', { estimatedFinishMs: 1, slotsFree: 2 }), bid('d', { slotsFree: 2 }))
    one.propose('poor', bid('c', { estimatedFinishMs: 9_000 }))
    expect(winners(one.tick(windowMs))).toEqual(['c→poor', 'd→broken'])
  })

  it('highest priority first, then what was tried before, then the oldest', () => {
    const one = bench()
    one.open([call('old')])
    one.nowMs = 10
    one.open([call('again', { attempt: 2 }), call('urgent', { priority: 9 }), call('young')])
    one.nowMs = windowMs + 10
    expect(winners(one.propose('a', ...['old', 'again', 'urgent', 'young'].map((name) => bid(name, { slotsFree: 4, slots: 4 }))))).toEqual(['urgent→a', 'again→a', 'old→a', 'young→a'])
  })
})

describe('a peer gets no more than it has room for', () => {
  it('the calls beyond its free slots stay open', () => {
    const one = bench()
    one.open(['a', 'b', 'c'].map((name) => call(name)))
    one.propose('p', ...['a', 'b', 'c'].map((name) => bid(name, { slotsFree: 2, slots: 2 })))
    expect(winners(one.tick(windowMs))).toEqual(['a→p', 'b→p'])
    // Its confirmations say nothing new about its slots.
    one.step({ type: 'confirmed', callId: 'a' as CallId })
    one.step({ type: 'confirmed', callId: 'b' as CallId })
    expect(awardsIn(one.tick(400))).toEqual([])
    expect(winners(one.propose('p', bid('c', { slotsFree: 1, slots: 2 })))).toEqual(['c→p'])
  })

  it('a bid that crosses an award on its way is counted less that award', () => {
    const one = bench()
    one.open([call('a'), call('b')])
    one.propose('p', bid('a'))
    expect(winners(one.tick(windowMs))).toEqual(['a→p'])
    expect(awardsIn(one.propose('p', bid('b', { slotsFree: 1 })))).toEqual([])
    one.step({ type: 'confirmed', callId: 'a' as CallId })
    expect(winners(one.propose('p', bid('b', { slotsFree: 1, slots: 2 })))).toEqual(['b→p'])
  })

  it('its last word counts for its older bids too', () => {
    const one = bench()
    one.open(['a', 'b', 'c', 'd'].map((name) => call(name)))
    one.propose('p', ...['a', 'b', 'c'].map((name) => bid(name, { slotsFree: 2, slots: 2 })))
    expect(winners(one.tick(windowMs))).toEqual(['a→p', 'b→p'])
    for (const name of ['a', 'b']) one.step({ type: 'confirmed', callId: name as CallId })
    expect(winners(one.propose('p', bid('d', { slotsFree: 1, slots: 2 })))).toHaveLength(1)
    expect(awardsIn(one.tick(400))).toEqual([])
  })

  it('a composite task takes no slot of a leaf', () => {
    const one = bench()
    one.open([call('whole', { kind: 'composite' }), call('leaf')])
    expect(winners([...one.propose('p', bid('whole', { slotsFree: 256, slots: 256 }), bid('leaf', { slotsFree: 1 })), ...one.tick(windowMs)])).toEqual(['whole→p', 'leaf→p'])
  })

  it('whatever is said in whatever order: one award per call, none beyond the room that was stated, none to the excluded', () => {
    for (let seed = 1; seed <= 40; seed++) {
      const random = seededRandom([seed, 3])
      const one = bench()
      const peers = ['p', 'q', 'r', 'x']
      const capacity = new Map(peers.map((name) => [name, 1 + random.below(4)]))
      /** What each peer runs, as it knows itself: it has an award once that has arrived. */
      const runs = new Map(peers.map((name) => [name, new Set<string>()]))
      const underway = new Map<string, string>()
      let opened = 0
      let awards = 0
      const note = (outputs: InitiatorOutput[]): void => {
        for (const { call: given, winner } of awardsIn(outputs)) {
          awards += 1
          expect(underway.has(given.callId), `seed ${seed}: ${given.callId} is awarded once`).toBe(false)
          expect(given.excluded, `seed ${seed}`).not.toContain(winner.peer)
          underway.set(given.callId, winner.peer)
          const held = (runs.get(winner.peer) ?? new Set()).size + [...underway].filter(([name, who]) => who === winner.peer && !runs.get(who)?.has(name)).length
          expect(held, `seed ${seed}: ${winner.peer} is not given more than it said it has room for`).toBeLessThanOrEqual(capacity.get(winner.peer) ?? 0)
        }
      }
      for (let step = 0; step < 400; step++) {
        one.nowMs += random.below(60)
        const name = peers[random.below(3)] as string
        const running = runs.get(name) ?? new Set()
        const free = (capacity.get(name) ?? 0) - running.size
        const open = [...one.book.auctions.keys()]
        const kind = random.below(10)
        if (kind <= 1) note(one.open(Array.from({ length: 1 + random.below(3) }, () => call(`c${opened++}`, { priority: 1 + random.below(10), excluded: [peer('x')] })), 1 + random.below(4)))
        else if (kind <= 4 && open.length > 0) {
          const chosen = open.filter(() => random.below(2) === 0)
          if (free > 0 && chosen.length > 0) note(one.propose(name, ...chosen.map((callId) => bid(callId, { slotsFree: free, slots: capacity.get(name) ?? 1, estimatedFinishMs: random.below(5_000), expiresInMs: 1 + random.below(2_000) }))))
          else if (chosen.length > 0) note(one.refuse(name, ...chosen.map((callId) => no(callId))))
          note(one.propose('x', ...open.map((callId) => bid(callId, { estimatedFinishMs: 0, slotsFree: 100 }))))
        } else if (kind === 5) note(one.tick(one.nowMs))
        else if (kind === 6) {
          // An award arrives: the peer takes it, and says so.
          const [callId, who] = [...underway].find(([given, holder]) => !runs.get(holder)?.has(given)) ?? []
          if (callId !== undefined && who !== undefined) {
            runs.get(who)?.add(callId)
            note(one.step({ type: 'confirmed', callId: callId as CallId }))
          }
        } else if (kind === 7) {
          // The peer refuses after all: the call goes to somebody else, or waits.
          const [callId, who] = [...underway].find(([given, holder]) => !runs.get(holder)?.has(given)) ?? []
          if (callId !== undefined && who !== undefined) {
            underway.delete(callId)
            note(one.step({ type: 'award-refused', callId: callId as CallId, peer: peer(who), refusal: no(callId) }))
          }
        } else if (kind === 8) {
          const [done] = running
          if (done !== undefined) {
            running.delete(done)
            underway.delete(done)
          }
        } else note(one.step({ type: 'award-refused', callId: (open[0] ?? 'none') as CallId, peer: peer('somebody'), refusal: no('none') }))
      }
      expect(awards, `seed ${seed}`).toBeGreaterThan(10)
    }
  })
})

describe('what happens after an award', () => {
  const awarded = () => {
    const one = bench()
    one.open([call('c')])
    one.propose('a', bid('c', { estimatedFinishMs: 1 }))
    one.propose('b', bid('c', { estimatedFinishMs: 2_000 }))
    one.refuse('waits', no('c'))
    one.refuse('never', no('c', 'no-capability', false))
    expect(winners(one.tick(windowMs))).toEqual(['c→a'])
    return one
  }

  it('confirmed: the others that still wait for it are told, the winner is not', () => {
    expect(awarded().step({ type: 'confirmed', callId: 'c' as CallId })).toEqual([{ type: 'reject', participant: 'b', callIds: ['c'] }, { type: 'reject', participant: 'waits', callIds: ['c'] }])
  })

  it('refused: the next best gets it at once, and the refusal is kept', () => {
    const one = awarded()
    expect(awardsIn(one.step({ type: 'award-refused', callId: 'c' as CallId, peer: peer('a'), refusal: no('c') }))).toMatchObject([{ winner: { peer: 'b' }, refusals: expect.arrayContaining([expect.objectContaining({ peer: 'a', reason: 'no-free-slot' })]) }])
  })

  it('a late refusal of somebody who does not have it any more changes nothing', () => {
    const one = awarded()
    one.step({ type: 'award-refused', callId: 'c' as CallId, peer: peer('a'), refusal: no('c') })
    expect(one.step({ type: 'award-refused', callId: 'c' as CallId, peer: peer('a'), refusal: no('c') })).toEqual([])
    one.propose('d', bid('c', { estimatedFinishMs: 1 }))
    expect(awardsIn(one.tick(400))).toEqual([])
  })

  it('the winner’s connection is lost: the call is open again for the others', () => {
    const one = awarded()
    expect(one.step({ type: 'peer-down', peer: peer('a') })).toEqual([])
    expect(winners(one.tick(windowMs + 1))).toEqual(['c→b'])
  })

  it('closed: who bids for it now hears that it is over', () => {
    const one = awarded()
    one.step({ type: 'close', callIds: ['c' as CallId] })
    expect(one.propose('z', bid('c'))).toEqual([{ type: 'reject', participant: 'z', callIds: ['c'] }])
    expect(one.step({ type: 'confirmed', callId: 'c' as CallId })).toEqual([])
    expect(one.book.auctions.size).toBe(0)
    expect(one.book.unconfirmed.size).toBe(0)
  })

  it('other peers are excluded: who may bid now is asked at once', () => {
    const one = bench()
    one.open([call('c', { excluded: [peer('x')] })], 2)
    one.propose('a', bid('c', { expiresInMs: 60_000 }))
    const outputs = one.step({ type: 'update', callId: 'c' as CallId, excluded: [peer('a')], expectedBidders: 1 })
    expect(outputs).toMatchObject([{ type: 'silent' }, { type: 'announce', round: 1, calls: [{ excluded: ['a'] }] }])
    expect(winners(one.propose('x', bid('c')))).toEqual(['c→x'])
  })
})

describe('equal bidders', () => {
  it('share the work', () => {
    const one = bench()
    const names = ['p', 'q', 'r', 's']
    const won = new Map<string, number>()
    const rounds = 400
    for (let round = 0; round < rounds; round++) {
      one.open([call(`c${round}`)], names.length)
      for (const name of names) for (const award of awardsIn(one.propose(name, bid(`c${round}`)))) won.set(award.winner.peer, (won.get(award.winner.peer) ?? 0) + 1)
      one.step({ type: 'confirmed', callId: `c${round}` as CallId })
    }
    for (const name of names) expect(won.get(name), name).toBeGreaterThan((rounds / names.length) * 0.7)
  })

  it('take turns within one moment: each award costs the winner its headroom', () => {
    const one = bench()
    const calls = Array.from({ length: 8 }, (_, i) => `c${i}`)
    one.open(calls.map((name) => call(name)))
    for (const name of ['p', 'q']) one.propose(name, ...calls.map((each) => bid(each, { slotsFree: 4, slots: 4 })))
    const won = awardsIn(one.tick(windowMs)).map(({ winner }) => winner.peer)
    expect(won.filter((name) => name === 'p')).toHaveLength(4)
    expect(won.filter((name) => name === 'q')).toHaveLength(4)
  })
})

describe('places of different kinds', () => {
  const pool = 'llm.chat@1.0 m'

  it('of one peer are counted apart', () => {
    const one = bench()
    one.open([call('c'), call('d'), call('e'), call('f')], 1)
    const outputs = one.propose('a', bid('c', { slotsFree: 1 }), bid('d', { slotsFree: 1 }), bid('e', { slotsFree: 1, pool }), bid('f', { slotsFree: 1, pool }))
    expect(winners(outputs)).toEqual(['c→a', 'e→a'])
  })

  it('cannot be made up without end by a bidder: those that are too many are its node’s', () => {
    const one = bench()
    one.open([call('c')])
    for (let i = 0; i < 10 * limits.poolsPerPeerMax; i++) one.propose('a', bid('c', { pool: `${i} ${'x'.repeat(390)}`, slotsFree: 5 }))
    expect(one.book.freePlaces.size).toBeLessThanOrEqual(limits.poolsPerPeerMax + 1)
    expect(one.book.takenSinceBid.size).toBeLessThanOrEqual(limits.poolsPerPeerMax + 1)
    // Others have theirs.
    one.propose('b', bid('c', { pool, slotsFree: 5 }))
    expect(one.book.freePlaces.get(`leaf ${pool} b` as never)).toBe(5)
    one.step({ type: 'peer-down', peer: 'a' as PeerId })
    expect([...one.book.freePlaces.keys()]).toEqual([`leaf ${pool} b`])
  })

  it('named like another peer’s are their bidder’s all the same', () => {
    const one = bench()
    one.open([call('c')])
    one.propose('a', bid('c', { pool: ' b', slotsFree: 0 }))
    expect([...one.book.freePlaces.keys()].every((key) => key.endsWith(' a'))).toBe(true)
  })
})
