/** The promises about missions, owners and their logs: S1 to S6, S13, S16. */
import { describe, expect, it } from 'vitest'
import type { Incarnation } from '../../../protocols/kernel/ids.ts'
import { checkers, checkHistory } from '../../../sim/checkers/index.ts'
import type { History } from '../../../sim/history/history.ts'
import { builder, carriedOut, goodMission, memberOf, mission, otherMission, peerOf, requestOf, specOf } from './build-history.ts'

function violationsOf(promise: string, history: History): string[] {
  const checker = checkers.find((candidate) => candidate.promise === promise)
  return checker!.check(history).map(({ detail }) => detail)
}

/** A mission that its owner n1 has opened and acknowledged: nobody else keeps it. */
const opened = () => builder().node('n1').node('n2').open('n1', [specOf('root/a')]).ask('submit', { ok: { id: mission, owner: peerOf('n1'), lastIndex: 3 } })
const three = ['n1', 'n2', 'n3']
/** The same, kept by three. */
const kept = () => builder().node('n1').node('n2').node('n3').open('n1', [specOf('root/a')], { voters: three }).ask('submit', { ok: { id: mission, owner: peerOf('n1'), lastIndex: 3 } })
const paused = { type: 'paused', atWallMs: 0 } as const

describe('checkHistory', () => {
  it('finds nothing in a mission that went well', () => {
    const { promises, violations } = checkHistory(goodMission().heal().end(100_000))
    expect(violations).toEqual([])
    expect(promises.map(({ promise }) => promise)).toEqual(['S1', 'S2', 'S3', 'S4', 'S5', 'S6', 'S7', 'S8', 'S9', 'S10', 'S11', 'S12', 'S13', 'S14', 'S16', 'L1', 'L2', 'L3', 'L4', 'L5', 'actors'])
  })

  it('finds nothing in a mission whose owners died twice, and whose first award was lost', () => {
    const build = builder().node('n1').node('n2').node('n3').open('n1', [specOf('root/a')], { key: 'k', voters: three }).ask('submit', { ok: { id: mission, lastIndex: 3 } }, { key: 'k' })
    build.bid('n2', 'n1', 'root/a').award('n1', 'root/a', 'n2').after(5).stop('n1').after(1_000).tookOver('n2', 2).node('n1').stop('n2', 'power-cut').after(500).tookOver('n3', 3).node('n2')
    const epoch = { lineage: 1, term: 3 }
    build.ended('n3', 'root/a', 'lost')
    carriedOut(build, 'root/a', 'n1', 'n3', { attempt: 2, epoch }).accept('n3', 'root/a', { attempt: 2, epoch })
    build.complete('n3', [`${mission}:root/a#2@1.3` as never], { term: 3 }).ask('submit', { ok: { id: mission, lastIndex: 10 } }, { key: 'k' }).heal().view({ tasks: { accepted: 1 } })
    expect(checkHistory(build.end(100_000)).violations).toEqual([])
  })

  it('counts by promise and keeps the order of the promises', () => {
    const verdict = checkHistory(builder().node('n1').ask('submit', { ok: { id: mission, lastIndex: 2 } }, { key: 'k' }).end())
    expect(verdict.promises.filter(({ violations }) => violations > 0).map(({ promise }) => promise)).toEqual(['S1', 'S2'])
    expect(verdict.violations.map(({ promise }) => promise)).toEqual(['S1', 'S2'])
  })
})

describe('S1', () => {
  it('exempts a damaged disk, an owner that is gone and was alone, an ephemeral mission and an unknown outcome', () => {
    expect(violationsOf('S1', opened().stop('n1', 'power-cut').damage('n1', 'disk-wiped').node('n1', { onDisk: [] }).heal().end())).toEqual([])
    expect(violationsOf('S1', opened().stop('n1').heal().end())).toEqual([])
    expect(violationsOf('S1', kept().stop('n1').damage('n2', 'disk-wiped').heal().end())).toEqual([])
    expect(violationsOf('S1', builder().node('n1').ask('submit', { ok: { id: mission } }, { request: { ...requestOf(), acknowledgement: 'ephemeral' } }).end())).toEqual([])
    expect(violationsOf('S1', builder().node('n1').ask('submit', { unknown: true }).end())).toEqual([])
  })

  it('sees an acknowledgement before the commit, also of what is on one disk of three', () => {
    expect(violationsOf('S1', builder().node('n1').ask('submit', { ok: { id: mission } }).open('n1', [specOf('root/a')]).end())).toEqual([expect.stringContaining('before its first events were committed')])
    const alone = builder().node('n1').node('n2').node('n3').found(mission, three)
    alone.keep(['n1'], [{ type: 'submitted', atWallMs: 0 } as never]).ask('submit', { ok: { id: mission } })
    expect(violationsOf('S1', alone.end())).toEqual([expect.stringContaining('before its first events were committed')])
  })

  it('sees a mission that nobody answers for at the end, also when its owner died for good, and one that forgot its last entries', () => {
    expect(violationsOf('S1', opened().heal().end())).toEqual([expect.stringContaining('nobody answers for it at the end')])
    expect(violationsOf('S1', kept().stop('n1').heal().end())).toEqual([expect.stringContaining('a majority of its keepers (n1, n2, n3) is up with what it had, and nobody answers for it')])
    expect(violationsOf('S1', opened().view({ lastIndex: 1 }).heal().end())).toEqual([expect.stringContaining('had 3 committed entries')])
    expect(violationsOf('S1', kept().stop('n1').tookOver('n2', 2).view().heal().end())).toEqual([])
  })

  it('sees a result that nobody has any more, unless those who kept it have lost what they had', () => {
    const ended = () => goodMission().heal().view({ tasks: { accepted: 1 } })
    expect(violationsOf('S1', ended().ask('result', { fail: 'unknown-blob' }).end())).toEqual([expect.stringContaining('nobody has its result any more')])
    expect(violationsOf('S1', ended().ask('result', { fail: 'owner-unreachable' }).end())).toEqual([])
    expect(violationsOf('S1', ended().stop('n1').stop('n3').ask('result', { fail: 'unknown-blob' }).end())).toEqual([])
  })

  it('sees a mission that was refused', () => {
    expect(violationsOf('S1', builder().node('n1').ask('submit', { fail: 'overloaded' }).open('n1', [specOf('root/a')]).end())).toEqual([expect.stringContaining('was refused (overloaded)')])
    // Asked twice: one of the two is the one that was made.
    expect(violationsOf('S1', builder().node('n1').ask('submit', { fail: 'overloaded' }).ask('submit', { unknown: true }).open('n1', [specOf('root/a')]).end())).toEqual([])
    expect(violationsOf('S1', builder().node('n1').ask('submit', { fail: 'storage-failed' }).open('n1', [specOf('root/a')]).end())).toEqual([])
  })
})

describe('S2', () => {
  const keyed = () => builder().node('n1').node('n2').open('n1', [specOf('root/a')], { key: 'k' })
  const again = (build: ReturnType<typeof keyed>, node = 'n2') => build.open(node, [specOf('root/a')], { key: 'k', missionId: otherMission, claimed: false })

  it('allows the same answer again, other principals, other keys, and what lost claims lead to', () => {
    const build = keyed().ask('submit', { ok: { id: mission } }, { key: 'k' }).ask('submit', { ok: { id: mission } }, { key: 'k', node: 'n2' })
    expect(violationsOf('S2', build.end())).toEqual([])
    expect(violationsOf('S2', keyed().open('n1', [specOf('root/a')], { key: 'k', missionId: otherMission, principal: 'bob' }).end())).toEqual([])
    expect(violationsOf('S2', keyed().open('n1', [specOf('root/a')], { key: 'other', missionId: otherMission }).end())).toEqual([])
    expect(violationsOf('S2', again(keyed().damage('n1', 'disk-wiped', ['registrar-00', mission])).end())).toEqual([])
  })

  it('sees two missions of one key, on one node or on two', () => {
    expect(violationsOf('S2', again(keyed(), 'n1').end())).toEqual([expect.stringContaining('made two missions: m-aaaaaaaa-000000000001 at n1 and m-aaaaaaaa-000000000002 at n1')])
    expect(violationsOf('S2', again(keyed(), 'n2').end())).toHaveLength(1)
  })

  it('sees an answer before the claim is committed, and one without any claim', () => {
    const early = builder().node('n1').open('n1', [specOf('root/a')], { key: 'k', claimed: false }).ask('submit', { ok: { id: mission } }, { key: 'k' })
    expect(violationsOf('S2', early.end())).toEqual([expect.stringContaining('nobody has ever committed a claim for it')])
    expect(violationsOf('S2', early.claim('n1', 'k').end())).toEqual([expect.stringContaining('before the claim for it was committed')])
  })

  it('sees an answer for another request, and one of another key', () => {
    expect(violationsOf('S2', keyed().ask('submit', { ok: { id: mission } }, { key: 'k', request: requestOf({ other: true }) }).end())).toEqual([expect.stringContaining('is of another request')])
    expect(violationsOf('S2', keyed().ask('submit', { ok: { id: mission } }, { key: 'other' }).end())).toEqual([expect.stringContaining('which has the key "k" of ada')])
  })
})

describe('S3', () => {
  it('allows a new term for every new owner', () => {
    expect(violationsOf('S3', kept().stop('n1').tookOver('n2', 2).node('n1').stop('n2').tookOver('n1', 3).end())).toEqual([])
  })

  it('sees a term that was begun twice, also by the same node', () => {
    expect(violationsOf('S3', kept().tookOver('n2', 2).stop('n2').node('n2').tookOver('n2', 2).end())).toEqual([expect.stringContaining('epoch 1.2 of m-aaaaaaaa-000000000001 was begun twice')])
    expect(violationsOf('S3', opened().stop('n1').node('n1').tookOver('n1', 1).end())).toEqual([expect.stringContaining('epoch 1.1')])
  })

  it('sees two who lead one log under one epoch, whatever they have written', () => {
    const leads = (build: ReturnType<typeof kept>, node: string, term: number) => {
      build.put({ type: 'leads', node, peer: peerOf(node), group: mission, epoch: { lineage: 1, term } })
      return build
    }
    expect(violationsOf('S3', leads(leads(kept(), 'n2', 2), 'n3', 3).end())).toEqual([])
    expect(violationsOf('S3', leads(leads(kept(), 'n2', 2), 'n3', 2).end())).toEqual([expect.stringContaining('n3 leads m-aaaaaaaa-000000000001 under epoch 1.2, and so did n2')])
    expect(violationsOf('S3', leads(leads(kept(), 'n2', 2).damage('n1', 'disk-wiped').damage('n2', 'disk-wiped'), 'n3', 2).end())).toEqual([])
  })
})

describe('S4', () => {
  const watched = (build: ReturnType<typeof kept>, index: number) => {
    build.put({ type: 'told', node: 'n2', missionId: mission, index, event: paused })
    return build
  }

  it('allows what a majority has, and what comes to another commit of what was never committed', () => {
    expect(violationsOf('S4', kept().keep(['n1', 'n2'], [paused]).callsCommitted('n1').end())).toEqual([])
    const rewritten = kept().keep(['n1'], [paused]).stop('n1').rewind(3, ['n1']).tookOver('n2', 2)
    expect(violationsOf('S4', watched(rewritten, 4).end())).toEqual([])
  })

  it('sees what is called committed and is on one disk of three, also while the voters change', () => {
    expect(violationsOf('S4', kept().keep(['n1'], [paused]).callsCommitted('n1').end())).toEqual([expect.stringContaining('n1 calls entry 4 of m-aaaaaaaa-000000000001 committed, and no majority of its voters has it')])
    const joint = () => kept().node('n4').node('n5').keep([...three, 'n4', 'n5'], [{ type: 'members', atWallMs: 0, membership: { voters: ['n1', 'n4', 'n5'].map(memberOf), outgoing: three.map(memberOf), learners: [] } }]).callsCommitted('n1')
    expect(violationsOf('S4', joint().keep(['n4', 'n5'], [paused]).callsCommitted('n4').end())).toEqual([expect.stringContaining('n4 calls entry 5')])
    expect(violationsOf('S4', joint().keep(['n1', 'n2', 'n4'], [paused]).callsCommitted('n1').end())).toEqual([])
  })

  it('sees what only learners have', () => {
    const learning = kept().node('n4').node('n5').sync('n1', [{ type: 'members', atWallMs: 0, membership: { voters: three.map(memberOf), learners: ['n4', 'n5'].map(memberOf) } }])
    expect(violationsOf('S4', learning.keep(['n1', 'n4', 'n5'], [paused]).callsCommitted('n1').end())).toEqual([expect.stringContaining('n1 calls entry 5')])
  })

  it('sees a watcher and a client that were told too early', () => {
    expect(violationsOf('S4', watched(kept(), 4).end())).toEqual([expect.stringContaining('a watcher at n2 was told of entry 4')])
    expect(violationsOf('S4', watched(kept().keep(['n1'], [paused]), 4).end())).toHaveLength(1)
    expect(violationsOf('S4', opened().ask('submit', { ok: { id: mission, lastIndex: 7 } }).end())).toEqual([expect.stringContaining('client-1 was told of entry 7')])
  })

  it('sees a node that forgot a mission, acknowledged or not, unless its disk was damaged', () => {
    expect(violationsOf('S4', builder().node('n1').open('n1', []).stop('n1').node('n1', { onDisk: [] }).end())).toEqual([expect.stringContaining('does not find it when it starts')])
    expect(violationsOf('S4', kept().stop('n3').node('n3', { onDisk: [] }).end())).toEqual([expect.stringContaining('n3 keeps m-aaaaaaaa-000000000001')])
    expect(violationsOf('S4', kept().stop('n3').damage('n3', 'disk-wiped').node('n3', { onDisk: [] }).end())).toEqual([])
  })
})

describe('S5', () => {
  const below = { lineage: 1, term: 1 }

  it('allows an older epoch to the manager of a composite task, and a retry of what had ended before a takeover', () => {
    const build = builder().node('n1').node('n2').node('n3').open('n1', [specOf('root/s', { kind: 'composite' })]).award('n1', 'root/s', 'n2').event('n1', { type: 'planned', taskId: 'root/s', children: [specOf('root/s/a')] })
    expect(violationsOf('S5', build.stop('n1').node('n1').tookOver('n1', 2).award('n1', 'root/s/a', 'n3', { epoch: below }).end())).toEqual([])
    const failed = kept().event('n1', { type: 'failed', fault: { code: 'deadline-exceeded', detail: 'late', retryable: false } }).stop('n1').tookOver('n2', 2).event('n2', { type: 'retried', taskId: 'root' })
    expect(violationsOf('S5', failed.end())).toEqual([])
  })

  it('sees an award, an acceptance and an entry of an epoch that is over', () => {
    const restarted = () => kept().stop('n1').tookOver('n2', 2)
    expect(violationsOf('S5', restarted().award('n2', 'root/a', 'n3', { epoch: below }).end())).toEqual([expect.stringContaining('epoch 1.2 has begun')])
    expect(violationsOf('S5', restarted().accept('n2', 'root').end())).toEqual([expect.stringContaining('ends the mission in the name of')])
    expect(violationsOf('S5', restarted().rewind(4, ['n2', 'n3'], below).award('n2', 'root/a', 'n3', { epoch: { lineage: 1, term: 2 } }).end())).toEqual([expect.stringContaining('is written under epoch 1.1, 1.2 has begun')])
  })

  it('sees an award and an entry of an epoch that has not begun, and a takeover that begins none', () => {
    expect(violationsOf('S5', opened().award('n1', 'root/a', 'n2', { epoch: { lineage: 1, term: 2 } }).end())).toEqual([expect.stringContaining('has not begun')])
    expect(violationsOf('S5', kept().stop('n1').rewind(3, [], { lineage: 1, term: 2 }).award('n2', 'root/a', 'n3').end())).toEqual([expect.stringContaining('is written under epoch 1.2, which has not begun: it is 1.1')])
    expect(violationsOf('S5', kept().tookOver('n2', 2).tookOver('n3', 2).end())).toEqual([expect.stringContaining('begins epoch 1.2 after 1.2')])
    const misnamed = kept().rewind(3, [], { lineage: 1, term: 3 })
    misnamed.event('n2', { type: 'paused' })
    expect(violationsOf('S5', misnamed.end())).toHaveLength(1)
  })
})

describe('S6', () => {
  it('allows that an entry which was never committed is written otherwise', () => {
    expect(violationsOf('S6', kept().keep(['n1'], [paused]).stop('n1').rewind(3, ['n1']).tookOver('n2', 2).node('n1').award('n2', 'root/a', 'n3', { epoch: { lineage: 1, term: 2 } }).end())).toEqual([])
  })

  it('sees two who call different entries committed at one index, and one that goes on from something else', () => {
    const forked = () => kept().sync('n1', [paused]).rewind(3, ['n2']).keep(['n2'], [{ type: 'resumed', atWallMs: 0 }])
    expect(violationsOf('S6', forked().end())).toEqual([])
    expect(violationsOf('S6', forked().callsCommitted('n2').end())).toEqual([expect.stringContaining('n2 calls entry 4 of m-aaaaaaaa-000000000001 committed as')])
    expect(violationsOf('S6', forked().keep(['n2'], [paused]).callsCommitted('n2').end())).toEqual([expect.stringContaining('n2 calls entry 5')])
  })

  it('sees it in the registrar’s logs, too', () => {
    const claims = builder().node('n1').node('n2').node('n3').found('registrar-00', three).claim('n1', 'k').rewind(1, ['n3'], undefined, 'registrar-00')
    claims.keep(['n3'], [paused as never], 'registrar-00')
    expect(violationsOf('S6', claims.callsCommitted('n3', 'registrar-00').end())).toEqual([expect.stringContaining('entry 2 of registrar-00')])
  })

  it('says nothing of a log that a majority has lost', () => {
    const lost = kept().sync('n1', [paused]).damage('n1', 'disk-wiped').damage('n3', 'disk-wiped').rewind(3, ['n2']).keep(['n2'], [{ type: 'resumed', atWallMs: 0 }])
    expect(violationsOf('S6', lost.callsCommitted('n2').end())).toEqual([])
  })
})

describe('S13', () => {
  const damagedBy = (how: 'bit-rot' | 'disk-rolled-back' | 'disk-wiped', before = kept()) => before.stop('n1', 'power-cut').damage('n1', how).after(1_000).node('n1')
  const say = (build: ReturnType<typeof damagedBy>) => {
    build.put({ type: 'damage-told', node: 'n1', peer: peerOf('n1'), group: mission, detail: 'entry 2 is missing or altered' })
    return build
  }
  const votes = (build: ReturnType<typeof damagedBy>, as = 'life01') => {
    build.put({ type: 'vote-said', from: peerOf('n1'), to: peerOf('n2'), group: mission, as: as as Incarnation, epoch: { lineage: 1, term: 2 } })
    return build
  }
  const appends = (build: ReturnType<typeof damagedBy>, as = 'life01') => {
    build.put({ type: 'append-said', from: peerOf('n1'), to: peerOf('n2'), group: mission, as: as as Incarnation, epoch: { lineage: 1, term: 2 }, matched: 3 })
    return build
  }

  it('allows a node that says so, one that runs on without reading, and what nobody could know', () => {
    expect(violationsOf('S13', say(damagedBy('bit-rot')).heal().end(100_000))).toEqual([])
    expect(violationsOf('S13', votes(damagedBy('disk-rolled-back', votes(kept()))).heal().end(100_000))).toEqual([])
    expect(violationsOf('S13', damagedBy('disk-wiped').heal().end(100_000))).toEqual([])
    expect(violationsOf('S13', kept().damage('n1', 'bit-rot').award('n1', 'root/a', 'n2').heal().end(100_000))).toEqual([])
    const broughtBack = kept().stop('n1').damage('n1', 'bit-rot').damage('n1', 'disk-rolled-back', [])
    expect(violationsOf('S13', broughtBack.node('n1').heal().end(100_000))).toEqual([])
  })

  it('allows votes and promises under another name, and those of before', () => {
    expect(violationsOf('S13', appends(votes(say(damagedBy('bit-rot', votes(kept()))), 'life02'), 'life02').heal().end(100_000))).toEqual([])
  })

  it('sees a node that votes, or says what it has on its disk, as who it was before', () => {
    expect(violationsOf('S13', votes(say(damagedBy('bit-rot', votes(kept())))).heal().end(100_000))).toEqual([expect.stringContaining('n1 lost its copy of m-aaaaaaaa-000000000001 (bit-rot at 0 ms), and votes as life01')])
    expect(violationsOf('S13', appends(damagedBy('disk-wiped', votes(kept()))).heal().end(100_000))).toEqual([expect.stringContaining('and says that it has 3 entries on its disk as life01')])
  })

  it('sees a node that says nothing, once it had the time', () => {
    expect(violationsOf('S13', damagedBy('bit-rot').heal().end(100_000))).toEqual([expect.stringContaining('says nothing of it')])
    expect(violationsOf('S13', damagedBy('bit-rot').heal().end(10_000))).toEqual([])
  })
})

describe('S16', () => {
  const priced = (budgetUsd: number) => builder().node('n1').node('n2').open('n1', [specOf('root/a'), specOf('root/b')], { budgetUsd })

  it('counts lost attempts, gives refused ones back, and follows the limits', () => {
    const build = priced(0.3).award('n1', 'root/a', 'n2', { priceUsd: 0.1 }).ended('n1', 'root/a', 'refused').award('n1', 'root/a', 'n2', { attempt: 2, priceUsd: 0.1 }).ended('n1', 'root/a', 'lost', { attempt: 2 })
    build.award('n1', 'root/a', 'n2', { attempt: 3, priceUsd: 0.1 }).award('n1', 'root/b', 'n2', { priceUsd: 0.1 })
    expect(violationsOf('S16', build.view({ spentUsd: 0.1 + 0.1 + 0.1 }).end())).toEqual([])
    build.event('n1', { type: 'changed', limits: { budgetUsd: 0.1 } })
    expect(violationsOf('S16', build.view({ spentUsd: 0.3 }).end())).toEqual([])
  })

  it('sees an award over the budget, lost attempts included', () => {
    expect(violationsOf('S16', priced(0.1).award('n1', 'root/a', 'n2', { priceUsd: 0.2 }).end())).toEqual([expect.stringContaining('0.2 of 0.1 USD')])
    const build = priced(0.15).award('n1', 'root/a', 'n2', { priceUsd: 0.1 }).ended('n1', 'root/a', 'lost').award('n1', 'root/a', 'n2', { attempt: 2, priceUsd: 0.1 })
    expect(violationsOf('S16', build.end())).toHaveLength(1)
  })

  it('sees an owner that counts otherwise than its log', () => {
    expect(violationsOf('S16', priced(1).award('n1', 'root/a', 'n2', { priceUsd: 0.1 }).view({ spentUsd: 0 }).end())).toEqual([expect.stringContaining('its owner shows 0')])
  })
})
