/** The promises about missions, owners and their logs: S1 to S5, S13, S16. */
import { describe, expect, it } from 'vitest'
import type { History } from '../../../sim/history/history.ts'
import { checkers, checkHistory } from '../../../sim/checkers/index.ts'
import { builder, carriedOut, goodMission, mission, otherMission, peerOf, requestOf, specOf } from './build-history.ts'

function violationsOf(promise: string, history: History): string[] {
  const checker = checkers.find((candidate) => candidate.promise === promise)
  return checker!.check(history).map(({ detail }) => detail)
}

/** A mission that its owner n1 has opened and acknowledged. */
const opened = () => builder().node('n1').node('n2').open('n1', [specOf('root/a')]).ask('submit', { ok: { id: mission, owner: peerOf('n1'), lastIndex: 2 } })

describe('checkHistory', () => {
  it('finds nothing in a mission that went well', () => {
    const { promises, violations } = checkHistory(goodMission().heal().end(100_000))
    expect(violations).toEqual([])
    expect(promises.map(({ promise }) => promise)).toEqual(['S1', 'S2', 'S3', 'S4', 'S5', 'S6', 'S7', 'S8', 'S9', 'S10', 'S11', 'S12', 'S13', 'S14', 'S16', 'L1', 'L2', 'L3', 'L4', 'L5', 'actors'])
  })

  it('finds nothing in a mission whose owner crashed twice, and whose first award was lost', () => {
    const build = builder().node('n1').node('n2').node('n3').open('n1', [specOf('root/a')], { key: 'k' }).ask('submit', { ok: { id: mission, lastIndex: 2 } }, { key: 'k' })
    build.bid('n2', 'n1', 'root/a').award('n1', 'root/a', 'n2').after(5).stop('n1').after(1_000).node('n1').tookOver('n1', 2).stop('n1', 'power-cut').after(500).node('n1').tookOver('n1', 3)
    build.ended('n1', 'root/a', 'lost')
    carriedOut(build, 'root/a', 'n3', 'n1', { attempt: 2, epoch: { lineage: 1, term: 3 } }).accept('n1', 'root/a', { attempt: 2, epoch: { lineage: 1, term: 3 } })
    build.complete('n1', [`${mission}:root/a#2@1.3` as never], { term: 3 }).ask('submit', { ok: { id: mission, lastIndex: 9 } }, { key: 'k' }).heal().view({ tasks: { accepted: 1 } })
    expect(checkHistory(build.end(100_000)).violations).toEqual([])
  })

  it('counts by promise and keeps the order of the promises', () => {
    const verdict = checkHistory(builder().node('n1').ask('submit', { ok: { id: mission, lastIndex: 2 } }).end())
    expect(verdict.promises.filter(({ violations }) => violations > 0).map(({ promise }) => promise)).toEqual(['S1', 'S4'])
    expect(verdict.violations.map(({ promise }) => promise)).toEqual(['S1', 'S4'])
  })
})

describe('S1', () => {
  it('exempts a damaged disk, an owner that is gone, an ephemeral mission and an unknown outcome', () => {
    const wiped = opened().stop('n1', 'power-cut')
    wiped.put({ type: 'disk-damaged', node: 'n1', peer: peerOf('n1'), how: 'disk-wiped', lost: [mission] })
    expect(violationsOf('S1', wiped.node('n1', { onDisk: [] }).heal().end())).toEqual([])
    expect(violationsOf('S1', opened().stop('n1').heal().end())).toEqual([])
    expect(violationsOf('S1', builder().node('n1').ask('submit', { ok: { id: mission } }, { request: { ...requestOf(), acknowledgement: 'ephemeral' } }).end())).toEqual([])
    expect(violationsOf('S1', builder().node('n1').ask('submit', { unknown: true }).end())).toEqual([])
  })

  it('sees an acknowledgement before the sync', () => {
    expect(violationsOf('S1', builder().node('n1').ask('submit', { ok: { id: mission } }).open('n1', [specOf('root/a')]).end())).toEqual([expect.stringContaining('before its first entry was synced')])
  })

  it('sees a mission that is not on the disk after a restart', () => {
    expect(violationsOf('S1', opened().stop('n1').node('n1', { onDisk: [] }).end())).toEqual([expect.stringContaining('is not on the disk of its owner n1')])
  })

  it('sees a mission that nobody answers for at the end, and one that forgot its last entries', () => {
    expect(violationsOf('S1', opened().heal().end())).toEqual([expect.stringContaining('nobody answers for it at the end')])
    expect(violationsOf('S1', opened().view({ lastIndex: 1 }).heal().end())).toEqual([expect.stringContaining('had 2 synced entries')])
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

  it('allows other nodes, other principals, other keys, and what a lost claim leads to', () => {
    const build = keyed().ask('submit', { ok: { id: mission } }, { key: 'k' }).ask('submit', { ok: { id: mission } }, { key: 'k' })
    build.open('n2', [specOf('root/a')], { key: 'k', missionId: otherMission })
    expect(violationsOf('S2', build.end())).toEqual([])
    expect(violationsOf('S2', keyed().open('n1', [specOf('root/a')], { key: 'k', missionId: otherMission, principal: 'bob' }).end())).toEqual([])
    const rolledBack = keyed()
    rolledBack.put({ type: 'disk-damaged', node: 'n1', peer: peerOf('n1'), how: 'disk-rolled-back', lost: [mission] })
    expect(violationsOf('S2', rolledBack.open('n1', [specOf('root/a')], { key: 'k', missionId: otherMission }).end())).toEqual([])
  })

  it('sees two missions of one key', () => {
    expect(violationsOf('S2', keyed().open('n1', [specOf('root/a')], { key: 'k', missionId: otherMission }).end())).toEqual([expect.stringContaining('made two missions at n1')])
  })

  it('sees an answer for another request, and one of another key', () => {
    expect(violationsOf('S2', keyed().ask('submit', { ok: { id: mission } }, { key: 'k', request: requestOf({ other: true }) }).end())).toEqual([expect.stringContaining('is of another request')])
    expect(violationsOf('S2', keyed().ask('submit', { ok: { id: mission } }, { key: 'other' }).end())).toEqual([expect.stringContaining('which has the key "k" of ada')])
  })
})

describe('S3', () => {
  it('allows a new term for every restart', () => {
    expect(violationsOf('S3', opened().stop('n1').node('n1').tookOver('n1', 2).stop('n1').node('n1').tookOver('n1', 3).end())).toEqual([])
  })

  it('sees a term that was begun twice, also by the same node', () => {
    expect(violationsOf('S3', opened().stop('n1').node('n1').tookOver('n1', 2).stop('n1').node('n1').tookOver('n1', 2).end())).toEqual([expect.stringContaining('epoch 1.2 of m-aaaaaaaa-000000000001 was begun twice')])
    expect(violationsOf('S3', opened().stop('n1').node('n1').tookOver('n1', 1).end())).toEqual([expect.stringContaining('epoch 1.1')])
  })

  it('sees an owner who was named by another', () => {
    expect(violationsOf('S3', opened().tookOver('n1', 2, 'n2').end())).toEqual([expect.stringContaining('was written by v-n1')])
  })
})

describe('S4', () => {
  it('allows that an entry which was never synced is written otherwise', () => {
    const build = opened().stop('n1').node('n1').tookOver('n1', 2)
    build.put({ type: 'told', node: 'n2', missionId: mission, index: 3, event: { type: 'took-over', atWallMs: 0, epoch: { lineage: 1, term: 2 }, owner: peerOf('n1') } })
    expect(violationsOf('S4', build.end())).toEqual([])
  })

  it('sees an index that is written twice', () => {
    expect(violationsOf('S4', opened().award('n1', 'root/a', 'n2').stop('n1').node('n1').rewind(2).tookOver('n1', 2).end())).toEqual([expect.stringContaining('n1 wrote entry 3 of m-aaaaaaaa-000000000001 again with another content (took-over)')])
  })

  it('sees a gap, and a log that goes on from something else than was synced', () => {
    expect(violationsOf('S4', opened().rewind(3, 'f'.repeat(64)).award('n1', 'root/a', 'n2').end())).toEqual([expect.stringContaining('synced entry 4 of m-aaaaaaaa-000000000001 after entry 2')])
    expect(violationsOf('S4', opened().stop('n1').node('n1').rewind(2, 'f'.repeat(64)).tookOver('n1', 2).end())).toEqual([expect.stringContaining('to something else than the entry 2')])
  })

  it('sees a watcher and a client that were told too early', () => {
    const watched = opened()
    watched.put({ type: 'told', node: 'n2', missionId: mission, index: 3, event: { type: 'paused', atWallMs: 0 } })
    expect(violationsOf('S4', watched.end())).toEqual([expect.stringContaining('a watcher at n2 was told of entry 3')])
    expect(violationsOf('S4', opened().ask('submit', { ok: { id: mission, lastIndex: 7 } }).end())).toEqual([expect.stringContaining('client-1 was told of entry 7')])
  })

  it('sees a node that forgot a mission, acknowledged or not', () => {
    expect(violationsOf('S4', builder().node('n1').open('n1', []).stop('n1').node('n1', { onDisk: [] }).end())).toEqual([expect.stringContaining('does not find it when it starts')])
  })
})

describe('S5', () => {
  const below = { lineage: 1, term: 1 }

  it('allows an older epoch to the manager of a composite task, and a retry of what had ended before a restart', () => {
    const build = builder().node('n1').node('n2').node('n3').open('n1', [specOf('root/s', { kind: 'composite' })]).award('n1', 'root/s', 'n2').event('n1', { type: 'planned', taskId: 'root/s', children: [specOf('root/s/a')] })
    expect(violationsOf('S5', build.stop('n1').node('n1').tookOver('n1', 2).award('n1', 'root/s/a', 'n3', { epoch: below }).end())).toEqual([])
    const failed = opened().event('n1', { type: 'failed', fault: { code: 'deadline-exceeded', detail: 'late', retryable: false } }).stop('n1').node('n1').event('n1', { type: 'retried', taskId: 'root' })
    expect(violationsOf('S5', failed.end())).toEqual([])
  })

  it('sees an award, an acceptance and an entry of an epoch that is over', () => {
    const restarted = () => opened().stop('n1').node('n1').tookOver('n1', 2)
    expect(violationsOf('S5', restarted().award('n1', 'root/a', 'n2', { epoch: below }).end())).toEqual([expect.stringContaining('epoch 1.2 has begun')])
    expect(violationsOf('S5', restarted().accept('n1', 'root').end())).toEqual([expect.stringContaining('ends the mission in the name of')])
    expect(violationsOf('S5', restarted().rewind(3).award('n1', 'root/a', 'n2', { epoch: { lineage: 1, term: 2 } }).end())).toEqual([expect.stringContaining('is written under epoch 1.1, 1.2 has begun')])
  })

  it('sees an award of an epoch that has not begun, and a new life that did not take over', () => {
    expect(violationsOf('S5', opened().award('n1', 'root/a', 'n2', { epoch: { lineage: 1, term: 2 } }).end())).toEqual([expect.stringContaining('has not begun')])
    expect(violationsOf('S5', opened().stop('n1').node('n1').award('n1', 'root/a', 'n2').end())).toEqual([expect.stringContaining('comes from a new life of n1')])
  })
})

describe('S13', () => {
  const damagedBy = (how: 'bit-rot' | 'disk-rolled-back' | 'disk-wiped') => {
    const build = opened().stop('n1', 'power-cut')
    build.put({ type: 'disk-damaged', node: 'n1', peer: peerOf('n1'), how, lost: [mission] })
    return build.after(1_000).node('n1')
  }
  const say = (build: ReturnType<typeof damagedBy>) => {
    build.put({ type: 'damage-told', node: 'n1', peer: peerOf('n1'), missionId: mission, detail: 'entry 2 is missing or altered' })
    return build
  }

  it('allows a node that says so, one that runs on without reading, and what nobody could know', () => {
    expect(violationsOf('S13', say(damagedBy('bit-rot')).heal().end(100_000))).toEqual([])
    expect(violationsOf('S13', damagedBy('disk-rolled-back').tookOver('n1', 2).heal().end(100_000))).toEqual([])
    expect(violationsOf('S13', damagedBy('disk-wiped').heal().end(100_000))).toEqual([])
    const broughtBack = opened().award('n1', 'root/a', 'n2').stop('n1')
    for (const [how, lost] of [['disk-wiped', [mission]], ['disk-rolled-back', []]] as const) broughtBack.put({ type: 'disk-damaged', node: 'n1', peer: peerOf('n1'), how, lost })
    expect(violationsOf('S13', broughtBack.node('n1').rewind(2).tookOver('n1', 2).heal().end(100_000))).toEqual([])
    const running = opened()
    running.put({ type: 'disk-damaged', node: 'n1', peer: peerOf('n1'), how: 'bit-rot', lost: [mission] })
    expect(violationsOf('S13', running.award('n1', 'root/a', 'n2').heal().end(100_000))).toEqual([])
  })

  it('sees a node that goes on as if nothing had happened', () => {
    expect(violationsOf('S13', damagedBy('bit-rot').tookOver('n1', 2).heal().end(100_000))).toEqual([expect.stringContaining('wrote entry 3 (took-over) to it')])
    expect(violationsOf('S13', say(damagedBy('bit-rot')).tookOver('n1', 2).heal().end(100_000))).toHaveLength(1)
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
