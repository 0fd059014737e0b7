/** The promises about awards, runs, results and adverts: S7 to S12, S14. */
import { describe, expect, it } from 'vitest'
import type { AwardId } from '../../../protocols/kernel/ids.ts'
import { checkers } from '../../../sim/checkers/index.ts'
import type { History } from '../../../sim/history/history.ts'
import { awardOf, builder, carriedOut, goodMission, mission, peerOf, specOf, type HistoryBuilder } from './build-history.ts'

function violationsOf(promise: string, history: History): string[] {
  const checker = checkers.find((candidate) => candidate.promise === promise)
  return checker!.check(history).map(({ detail }) => detail)
}

const started = () => builder().node('n1').node('n2').node('n3').open('n1', [specOf('root/a'), specOf('root/b')])
const awardA = awardOf('root/a', 'n2').awardId
const awardB = awardOf('root/b', 'n3').awardId

describe('S7', () => {
  const told = (build: HistoryBuilder, index: number, output: number) => {
    build.put({ type: 'told', node: 'n2', missionId: mission, index, event: { type: 'accepted', atWallMs: 0, taskId: 'root/a' as never, awardId: awardA, result: { inline: output }, cites: [], tookMs: 1 } })
    return build
  }

  it('allows every reader to see the one result, in whatever order of fields', () => {
    const build = told(goodMission(), 5, 1).ask('result', { ok: { id: mission, result: 1, state: 'completed' } }).ask('result', { ok: { id: mission, state: 'running' } })
    expect(violationsOf('S7', build.end())).toEqual([])
  })

  it('sees a second accepted result', () => {
    expect(violationsOf('S7', started().accept('n1', 'root/a').accept('n1', 'root/a', { output: 2 }).end())).toEqual([expect.stringContaining('root/a of m-aaaaaaaa-000000000001 has two accepted results: entries 4 and 5')])
  })

  it('sees a watcher, a client and an owner with another picture', () => {
    expect(violationsOf('S7', told(goodMission(), 5, 2).end())).toEqual([expect.stringContaining('a watcher at n2 was told accepted as entry 5')])
    expect(violationsOf('S7', goodMission().ask('result', { ok: { id: mission, result: 2 } }).end())).toEqual([expect.stringContaining('than its log has')])
    expect(violationsOf('S7', started().ask('result', { ok: { id: mission, result: 2 } }).ask('result', { ok: { id: mission, result: 1 } }).end())).toEqual([expect.stringContaining('than operation 1')])
    expect(violationsOf('S7', goodMission().view({ tasks: { accepted: 1 } }).end())).toEqual([expect.stringContaining('has 2 accepted tasks, its owner shows 1')])
  })
})

describe('S8', () => {
  it('allows the late result of a lost worker, and a worker on its manager’s own node', () => {
    const late = carriedOut(started(), 'root/a', 'n2').ended('n1', 'root/a', 'lost').accept('n1', 'root/a')
    expect(violationsOf('S8', late.end())).toEqual([])
    expect(violationsOf('S8', started().award('n1', 'root/a', 'n1').accept('n1', 'root/a').end())).toEqual([])
    // After a retry by hand what had been called off is awaited again.
    const retried = carriedOut(started(), 'root/a', 'n2').event('n1', { type: 'failed', fault: { code: 'deadline-exceeded', detail: 'late', retryable: false } }).event('n1', { type: 'retried', taskId: 'root' }).accept('n1', 'root/a')
    expect(violationsOf('S8', retried.end())).toEqual([])
  })

  it('sees a result without an award, of an older one, or of one that had failed', () => {
    expect(violationsOf('S8', started().accept('n1', 'root/a').end())).toEqual([expect.stringContaining('no award of that task is in the log')])
    const older = carriedOut(started(), 'root/a', 'n2').ended('n1', 'root/a', 'lost').award('n1', 'root/a', 'n3', { attempt: 2 }).accept('n1', 'root/a')
    expect(violationsOf('S8', older.end())).toEqual([expect.stringContaining('and the newest award is')])
    expect(violationsOf('S8', carriedOut(started(), 'root/a', 'n2').ended('n1', 'root/a', 'failed').accept('n1', 'root/a').end())).toEqual([expect.stringContaining('which had ended: failed')])
    expect(violationsOf('S8', started().accept('n1', 'root/zzz').end())).toEqual([expect.stringContaining('never planned')])
  })

  it('sees a result that did not come from the worker, or not like this', () => {
    expect(violationsOf('S8', started().award('n1', 'root/a', 'n2').accept('n1', 'root/a').end())).toEqual([expect.stringContaining('no result of it had come from v-n2')])
    expect(violationsOf('S8', started().award('n1', 'root/a', 'n2').result('n3', 'n1', 'root/a').accept('n1', 'root/a').end())).toHaveLength(1)
    expect(violationsOf('S8', carriedOut(started(), 'root/a', 'n2').accept('n1', 'root/a', { output: 2 }).end())).toEqual([expect.stringContaining('with another result than v-n2 had sent')])
  })
})

describe('S8 and the plan’s checks', () => {
  it('sees a result that fails one', () => {
    const checked = () => builder().node('n1').node('n2').open('n1', [specOf('root/a', { accept: [{ path: '', equals: 1 }] })])
    expect(violationsOf('S8', carriedOut(checked(), 'root/a', 'n2').accept('n1', 'root/a').end())).toEqual([])
    expect(violationsOf('S8', checked().award('n1', 'root/a', 'n2').result('n2', 'n1', 'root/a', { output: 2 }).accept('n1', 'root/a', { output: 2 }).end())).toEqual([expect.stringContaining('its result fails a check')])
  })
})

describe('S9', () => {
  it('sees an award before its turn, and allows one whose dependency is tried again', () => {
    const chain = () => builder().node('n1').node('n2').open('n1', [specOf('root/a', { optional: true }), specOf('root/b', { after: ['root/a' as never] })])
    expect(violationsOf('S9', chain().award('n1', 'root/b', 'n2').end())).toEqual([expect.stringContaining('before root/a, which it waits for, has ended')])
    const dead = { type: 'dead', taskId: 'root/a', fault: { code: 'skill-failed', detail: 'no', retryable: false } } as const
    expect(violationsOf('S9', chain().event('n1', dead).award('n1', 'root/b', 'n2').end())).toEqual([])
    expect(violationsOf('S9', chain().event('n1', dead).event('n1', { type: 'retried', taskId: 'root/a' }).award('n1', 'root/b', 'n2').end())).toEqual([])
    expect(violationsOf('S9', started().event('n1', { type: 'paused' }).award('n1', 'root/a', 'n2').end())).toEqual([expect.stringContaining('of a mission that is paused')])
  })

  it('allows a new award after the old one was refused, lost, failed, called off or died with the mission', () => {
    const build = started().award('n1', 'root/a', 'n2')
    for (const [at, outcome] of (['refused', 'lost', 'failed'] as const).entries()) build.ended('n1', 'root/a', outcome, { attempt: at + 1 }).award('n1', 'root/a', 'n3', { attempt: at + 2 })
    build.event('n1', { type: 'dead', taskId: 'root/a', fault: { code: 'skill-failed', detail: 'no', retryable: false } }).event('n1', { type: 'retried', taskId: 'root/a' }).award('n1', 'root/a', 'n2', { attempt: 5 })
    build.event('n1', { type: 'cancelled' })
    expect(violationsOf('S9', build.end())).toEqual([])
    const below = builder().node('n1').open('n1', [specOf('root/s', { kind: 'composite' })]).award('n1', 'root/s', 'n2').event('n1', { type: 'planned', taskId: 'root/s', children: [specOf('root/s/a')] }).award('n1', 'root/s/a', 'n2')
    below.event('n1', { type: 'task-cancelled', taskId: 'root/s', reason: 'no' }).event('n1', { type: 'retried', taskId: 'root/s/a' }).award('n1', 'root/s/a', 'n3', { attempt: 2 })
    expect(violationsOf('S9', below.end())).toEqual([])
  })

  it('sees two live awards, and one award given twice', () => {
    expect(violationsOf('S9', started().award('n1', 'root/a', 'n2').award('n1', 'root/a', 'n3', { attempt: 2 }).end())).toEqual([expect.stringContaining('awards root/a to v-n3 while')])
    expect(violationsOf('S9', started().award('n1', 'root/a', 'n2').ended('n1', 'root/a', 'lost').award('n1', 'root/a', 'n2').end())).toEqual([expect.stringContaining('which had been given before')])
  })

  it('sees an award of what has ended or never was', () => {
    expect(violationsOf('S9', carriedOut(started(), 'root/a', 'n2').accept('n1', 'root/a').award('n1', 'root/a', 'n2', { attempt: 2 }).end())).toEqual([expect.stringContaining('which is accepted')])
    expect(violationsOf('S9', started().award('n1', 'root/zzz', 'n2').end())).toEqual([expect.stringContaining('never planned')])
    expect(violationsOf('S9', started().event('n1', { type: 'cancelled' }).award('n1', 'root/a', 'n2').end())).toEqual([expect.stringContaining('which is cancelled')])
  })
})

describe('S10', () => {
  it('allows an award for a bid to an earlier attempt of the same call, and the manager’s own node', () => {
    const build = started().bid('n2', 'n1', 'root/a').bid('n3', 'n1', 'root/a').award('n1', 'root/a', 'n2').ended('n1', 'root/a', 'refused').award('n1', 'root/a', 'n3', { attempt: 2 })
    expect(violationsOf('S10', build.award('n1', 'root/b', 'n1').end())).toEqual([])
  })

  it('takes the bids of a composite task’s children from whoever manages it', () => {
    const split = () => builder().node('n1').node('n2').node('n3').open('n1', [specOf('root/s', { kind: 'composite', capability: 'split' as never })]).bid('n2', 'n1', 'root/s').award('n1', 'root/s', 'n2', { capability: 'split' }).event('n1', { type: 'planned', taskId: 'root/s', children: [specOf('root/s/a')] })
    expect(violationsOf('S10', split().bid('n3', 'n2', 'root/s/a').award('n1', 'root/s/a', 'n3').end())).toEqual([])
    expect(violationsOf('S10', split().bid('n3', 'n1', 'root/s/a').award('n1', 'root/s/a', 'n3').end())).toEqual([expect.stringContaining('who had not bid for it to v-n2')])
  })

  it('sees an award to who did not bid, or bid to an earlier life of the manager', () => {
    expect(violationsOf('S10', started().bid('n3', 'n1', 'root/a').award('n1', 'root/a', 'n2').end())).toEqual([expect.stringContaining('who had not bid for it')])
    const earlier = started().bid('n2', 'n1', 'root/a').stop('n1').node('n1').tookOver('n1', 2).award('n1', 'root/a', 'n2', { epoch: { lineage: 1, term: 2 } })
    expect(violationsOf('S10', earlier.end())).toEqual([expect.stringContaining('who had not bid for it')])
    expect(violationsOf('S10', started().bid('n2', 'n1', 'root/a', { attempt: 2 }).award('n1', 'root/a', 'n2').end())).toHaveLength(1)
  })

  it('sees an award for another bid than was made', () => {
    expect(violationsOf('S10', started().bid('n2', 'n1', 'root/a', { priceUsd: 0.5 }).award('n1', 'root/a', 'n2').end())).toEqual([expect.stringContaining('for a bid that it had not made')])
  })

  it('sees an award to a stranger, and to who cannot do it', () => {
    expect(violationsOf('S10', started().bid('n9', 'n1', 'root/a').award('n1', 'root/a', 'n9').end())).toEqual([expect.stringContaining('who is no node of this mesh')])
    expect(violationsOf('S10', started().node('n4', { capabilities: ['split'] }).bid('n4', 'n1', 'root/a').award('n1', 'root/a', 'n4').end())).toEqual([expect.stringContaining('who did not offer work when it bid')])
    expect(violationsOf('S10', started().bid('n2', 'n1', 'root/a').award('n1', 'root/a', 'n2', { capability: 'split' }).end())).toEqual([expect.stringContaining('as split, the task is work')])
  })
})

describe('S11', () => {
  const bothDone = () => {
    const build = carriedOut(started(), 'root/a', 'n2').accept('n1', 'root/a')
    return carriedOut(build, 'root/b', 'n3')
  }

  it('allows exactly the accepted children, and those whose end is recorded besides', () => {
    const build = bothDone().event('n1', { type: 'dead', taskId: 'root/b', fault: { code: 'skill-failed', detail: 'no', retryable: false } })
    expect(violationsOf('S11', build.complete('n1', [awardA]).end())).toEqual([])
  })

  it('sees a child left out, a stranger cited, and one cited twice', () => {
    expect(violationsOf('S11', bothDone().accept('n1', 'root/b').complete('n1', [awardA]).end())).toEqual([expect.stringContaining(`which does not cite ${awardB}`)])
    expect(violationsOf('S11', bothDone().accept('n1', 'root/b').complete('n1', [awardA, awardB, 'other' as AwardId]).end())).toEqual([expect.stringContaining('which cites other')])
    expect(violationsOf('S11', bothDone().accept('n1', 'root/b').complete('n1', [awardA, awardB, awardB]).end())).toEqual([expect.stringContaining('twice')])
  })

  it('sees a synthesis before its children have ended, and a leaf that cites', () => {
    expect(violationsOf('S11', bothDone().complete('n1', [awardA]).end())).toEqual([expect.stringContaining('its child root/b has not ended')])
    expect(violationsOf('S11', bothDone().accept('n1', 'root/b', { cites: [awardA] }).end())).toHaveLength(1)
  })
})

describe('S12', () => {
  const mesh = () => builder().node('n1').node('n2').node('liar', { conduct: 'equivocates' }).after(60_000)
  const hear = (build: HistoryBuilder, node: string, sequence: number, digest: string) => {
    build.put({ type: 'advert-heard', node, of: peerOf('liar'), sequence, digest })
    return build.after(10)
  }
  const tell = (build: HistoryBuilder, node: string, of: string) => {
    build.put({ type: 'equivocation-told', node, of: peerOf(of), sequence: 7 })
    return build
  }

  it('allows a node that notices, one that heard only one of the two, one that heard a newer one between, and one in quarantine', () => {
    expect(violationsOf('S12', tell(hear(hear(mesh(), 'n1', 7, 'a'), 'n1', 7, 'b'), 'n1', 'liar').end(200_000))).toEqual([])
    expect(violationsOf('S12', hear(hear(mesh(), 'n1', 7, 'a'), 'n2', 7, 'b').end(200_000))).toEqual([])
    expect(violationsOf('S12', hear(hear(hear(mesh(), 'n1', 7, 'a'), 'n1', 8, 'c'), 'n1', 7, 'b').end(200_000))).toEqual([])
    const quarantined = tell(hear(hear(mesh(), 'n1', 7, 'a'), 'n1', 7, 'b'), 'n1', 'liar').after(20_000)
    expect(violationsOf('S12', hear(hear(quarantined, 'n1', 9, 'a'), 'n1', 9, 'b').end(200_000))).toEqual([])
  })

  it('allows silence when a fault may have cost the connection between the two', () => {
    const build = hear(mesh(), 'n1', 7, 'a')
    build.put({ type: 'fault', kind: 'connection-reset', nodes: ['n1'], lastsMs: 0 })
    expect(violationsOf('S12', hear(build, 'n1', 7, 'b').end(200_000))).toEqual([])
  })

  it('sees an honest node that heard both and did not notice', () => {
    expect(violationsOf('S12', hear(hear(mesh(), 'n1', 7, 'a'), 'n1', 7, 'b').end(200_000))).toEqual([expect.stringContaining('n1 heard two different adverts of v-liar under sequence 7')])
  })

  it('sees an honest node that is accused', () => {
    expect(violationsOf('S12', tell(mesh(), 'n1', 'n2').end())).toEqual([expect.stringContaining('n1 says that n2 signed two adverts under sequence 7')])
    expect(violationsOf('S12', tell(mesh(), 'liar', 'n2').end())).toEqual([])
  })

  it('sees a liar whom nobody ever notices', () => {
    const build = mesh()
    for (let sequence = 1; sequence <= 3; sequence++) for (const name of ['one', 'two']) build.put({ type: 'advert-published', by: peerOf('liar'), honest: false, advert: { peerId: peerOf('liar'), sequence, name } as never })
    expect(violationsOf('S12', build.end(200_000))).toEqual([expect.stringContaining('v-liar signed 3 pairs')])
  })
})

describe('S14', () => {
  it('allows a pure task while its award is being committed, a manager’s own node, plans and syntheses', () => {
    expect(violationsOf('S14', started().heardAward('n1', 'n2', 'root/a').run('n2', 'root/a').award('n1', 'root/a', 'n2').end())).toEqual([])
    expect(violationsOf('S14', started().award('n1', 'root/a', 'n1').run('n1', 'root/a').accept('n1', 'root/a').end())).toEqual([])
    const split = builder().node('n1').node('n2').open('n1', [specOf('root/s', { kind: 'composite', capability: 'split' as never })]).award('n1', 'root/s', 'n2', { capability: 'split' }).heardAward('n1', 'n2', 'root/s').run('n2', 'root/s', { step: 'plan' })
    split.event('n1', { type: 'planned', taskId: 'root/s', children: [specOf('root/s/a')] }).award('n1', 'root/s/a', 'n2').run('n2', 'root/s/a').accept('n1', 'root/s/a').run('n2', 'root/s', { step: 'synthesise' }).accept('n1', 'root/s')
    expect(violationsOf('S14', split.end())).toEqual([])
  })

  it('sees a run without an award, with one heard in an earlier life, and one of somebody else', () => {
    expect(violationsOf('S14', started().run('n2', 'root/a').end())).toEqual([expect.stringContaining('and had heard no award of it')])
    expect(violationsOf('S14', started().award('n1', 'root/a', 'n2').run('n2', 'root/a').end())).toHaveLength(1)
    expect(violationsOf('S14', started().award('n1', 'root/a', 'n2').heardAward('n1', 'n2', 'root/a').stop('n2').node('n2').run('n2', 'root/a').end())).toHaveLength(1)
    expect(violationsOf('S14', started().award('n1', 'root/a', 'n2').heardAward('n1', 'n3', 'root/a').run('n3', 'root/a').end())).toEqual([expect.stringContaining('the award is another’s')])
  })

  it('sees effects outside before the commit, and a capability that is not on offer', () => {
    expect(violationsOf('S14', started().heardAward('n1', 'n2', 'root/a', { external: true }).run('n2', 'root/a').award('n1', 'root/a', 'n2').end())).toEqual([expect.stringContaining('before the award was committed')])
    expect(violationsOf('S14', started().award('n1', 'root/a', 'n2').heardAward('n1', 'n2', 'root/a').run('n2', 'root/a', { offered: false }).end())).toEqual([expect.stringContaining('does not offer work')])
  })

  it('sees an accepted result that nobody ran, or that the run did not give', () => {
    expect(violationsOf('S14', started().award('n1', 'root/a', 'n2').result('n2', 'n1', 'root/a').accept('n1', 'root/a').end())).toEqual([expect.stringContaining('no run of it had ended well on n2')])
    const altered = () => builder().node('n1').open('n1', [specOf('root/a')])
    expect(violationsOf('S14', carriedOut(altered().node('n2'), 'root/a', 'n2').accept('n1', 'root/a', { output: 2 }).end())).toEqual([expect.stringContaining('with another result than its run on n2 gave')])
    expect(violationsOf('S14', carriedOut(altered().node('n2', { conduct: 'wrong-results' }), 'root/a', 'n2').accept('n1', 'root/a', { output: 2 }).end())).toEqual([])
  })
})

