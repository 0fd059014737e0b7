/** The promises about what happens in the end: L1 to L5, and the actors under them. */
import { describe, expect, it } from 'vitest'
import { RetryPolicy } from '../../../protocols/tasking/schema.ts'
import { checkers } from '../../../sim/checkers/index.ts'
import type { History } from '../../../sim/history/history.ts'
import { builder, goodMission, memberOf, mission, otherMission, peerOf, specOf, type HistoryBuilder } from './build-history.ts'

function violationsOf(promise: string, history: History): string[] {
  const checker = checkers.find((candidate) => candidate.promise === promise)
  return checker!.check(history).map(({ detail }) => detail)
}

const deadly = { type: 'failed', fault: { code: 'deadline-exceeded', detail: 'late', retryable: false } } as const
const three = ['n1', 'n2', 'n3']
const keptByThree = () => builder().node('n1').node('n2').node('n3').open('n1', [specOf('root/a')], { voters: three }).after(100)

describe('L1', () => {
  const orphaned = (kind?: 'crash' | 'pause') => {
    const build = keptByThree()
    if (kind !== undefined) build.put({ type: 'fault', kind, nodes: ['n1'], lastsMs: kind === 'crash' ? Infinity : 30_000 })
    return build.stop('n1')
  }

  it('allows a takeover in time, none of what has ended, and none when the keepers do not live long enough', () => {
    expect(violationsOf('L1', orphaned().after(9_000).tookOver('n2', 2).heal().end(100_000))).toEqual([])
    expect(violationsOf('L1', keptByThree().event('n1', deadly).stop('n1').heal().end(100_000))).toEqual([])
    expect(violationsOf('L1', orphaned().after(3_000).stop('n2').after(20_000).node('n2').tookOver('n3', 2).heal().end(100_000))).toEqual([])
    expect(violationsOf('L1', builder().node('n1').open('n1', [specOf('root/a')]).stop('n1').heal().end(100_000))).toEqual([])
    expect(violationsOf('L1', orphaned().heal().end(5_000))).toEqual([])
  })

  it('waits while anything else is wrong, and not because the owner is gone for good', () => {
    expect(violationsOf('L1', orphaned('pause').after(30_000).tookOver('n2', 2).heal().end(100_000))).toEqual([])
    expect(violationsOf('L1', orphaned('crash').after(30_000).tookOver('n2', 2).heal().end(100_000))).toHaveLength(1)
    const over = keptByThree()
    over.put({ type: 'fault', kind: 'pause', nodes: ['n2'], lastsMs: 1_000 })
    over.after(1_000).put({ type: 'healed', kind: 'pause', nodes: ['n2'] })
    expect(violationsOf('L1', over.after(30_000).stop('n1').after(11_000).tookOver('n2', 2).heal().end(100_000))).toHaveLength(1)
  })

  it('sees a takeover that comes late or never', () => {
    expect(violationsOf('L1', orphaned().after(11_000).tookOver('n2', 2).heal().end(100_000))).toEqual([expect.stringContaining('n2 took it over only at 11100 ms: 10100 ms was the latest')])
    expect(violationsOf('L1', orphaned().heal().end(40_000))).toEqual([expect.stringContaining('and nobody ever took it over: 10100 ms was the latest')])
  })

  it('sees one that does not come after everything was healed', () => {
    expect(violationsOf('L1', orphaned('pause').after(30_000).heal().end(200_000))).toEqual([expect.stringContaining('its last owner n1 is gone at 75100 ms')])
    expect(violationsOf('L1', orphaned('pause').after(30_000).heal().after(40_000).tookOver('n3', 2).end(200_000))).toEqual([])
    expect(violationsOf('L1', orphaned('pause').stop('n3').after(30_000).heal().end(200_000))).toEqual([])
  })
})

describe('L2', () => {
  it('allows what has ended, what a person paused, what nobody owns any more, and a run that was cut short', () => {
    expect(violationsOf('L2', goodMission().heal().end(100_000))).toEqual([])
    expect(violationsOf('L2', builder().node('n1').open('n1', [specOf('root/a')]).event('n1', { type: 'paused' }).heal().end(100_000))).toEqual([])
    expect(violationsOf('L2', builder().node('n1').open('n1', [specOf('root/a')]).stop('n1').heal().end(100_000))).toEqual([])
    expect(violationsOf('L2', builder().node('n1').open('n1', [specOf('root/a')]).end(100_000))).toEqual([])
    expect(violationsOf('L2', builder().node('n1').open('n1', [specOf('root/a')]).heal(60_000).end(59_000))).toEqual([])
  })

  it('sees a mission that does not end', () => {
    expect(violationsOf('L2', builder().node('n1').open('n1', [specOf('root/a')]).award('n1', 'root/a', 'n2').heal(60_000).end(60_000))).toEqual([expect.stringContaining('1 tasks are open (root/a after 1 awards)')])
    const reopened = builder().node('n1').open('n1', [specOf('root/a')]).event('n1', deadly).event('n1', { type: 'retried', taskId: 'root' })
    expect(violationsOf('L2', reopened.heal(60_000).end(60_000))).toHaveLength(1)
  })

  it('sees a mission that ended without its tasks', () => {
    expect(violationsOf('L2', builder().node('n1').open('n1', [specOf('root/a')]).complete('n1', []).heal().end(100_000))).toEqual([expect.stringContaining('is completed, and root/a is still open')])
  })
})

describe('L3', () => {
  const archived = { type: 'archived' } as const
  const copies = (build: HistoryBuilder, node: string, groups: readonly (typeof mission)[]) => {
    build.put({ type: 'copies', node, peer: peerOf(node), groups })
    return build
  }
  const late = { type: 'paused', atWallMs: 0 } as const

  it('allows members that are one behind at the last moment, that are down, that lost their copy, and what was never healed', () => {
    expect(violationsOf('L3', keptByThree().heal().end(100_000))).toEqual([])
    expect(violationsOf('L3', keptByThree().heal().after(60_000).keep(['n1', 'n2'], [late]).callsCommitted('n1').end())).toEqual([])
    expect(violationsOf('L3', keptByThree().stop('n3').sync('n1', [late]).heal().end(100_000))).toEqual([])
    expect(violationsOf('L3', keptByThree().keep(['n1', 'n2'], [late]).callsCommitted('n1').callsCommitted('n2').damage('n3', 'bit-rot').heal().end(100_000))).toEqual([])
    expect(violationsOf('L3', keptByThree().keep(['n1', 'n2'], [late]).callsCommitted('n1').end(100_000))).toEqual([])
  })

  it('allows whoever became a member at the last moment to have nothing yet, and nobody else', () => {
    const joined = { type: 'members' as const, atWallMs: 0, membership: { voters: three.map(memberOf), learners: [memberOf('n4')] } }
    const build = (lastsMs: number) => keptByThree().node('n4').heal().after(60_000).keep(three, [joined]).callsCommitted('n1').callsCommitted('n2').callsCommitted('n3').after(lastsMs).end()
    expect(violationsOf('L3', build(9_000))).toEqual([])
    expect(violationsOf('L3', build(11_000))).toEqual([expect.stringContaining('n4 is a member of')])
  })

  it('sees a member that never hears of what is committed', () => {
    expect(violationsOf('L3', keptByThree().keep(['n1', 'n2'], [late]).callsCommitted('n1').callsCommitted('n2').heal().end(100_000))).toEqual([expect.stringContaining('n3 is a member of m-aaaaaaaa-000000000001 and up, and knows of 3 committed entries, others of 4')])
    const claims = builder().node('n1').node('n2').node('n3').found('registrar-00', three).keep(three, [late as never], 'registrar-00').callsCommitted('n1', 'registrar-00')
    expect(violationsOf('L3', claims.heal().end(100_000))).toEqual([expect.stringContaining('n2 is a member of registrar-00')])
  })

  it('sees a copy that is kept after the log has been archived, once there was time', () => {
    const ended = () => keptByThree().event('n1', archived).heal()
    expect(violationsOf('L3', copies(copies(ended(), 'n1', []), 'n2', [otherMission]).end(100_000))).toEqual([])
    expect(violationsOf('L3', copies(ended(), 'n2', [mission]).end(100_000))).toEqual([expect.stringContaining('was archived at 100 ms, and n2 still keeps its log at the end')])
    expect(violationsOf('L3', copies(ended(), 'n2', [mission]).end(50_000))).toEqual([])
  })
})

describe('L4', () => {
  const poison = (build: HistoryBuilder = builder().node('n1')) => build.open('n1', [specOf('root/a', { retry: RetryPolicy.parse({ attemptsMax: 2 }) })])
  const tryIt = (build: HistoryBuilder, attempt: number, outcome: 'refused' | 'lost' | 'failed', retryable = true) => build.award('n1', 'root/a', 'n2', { attempt }).ended('n1', 'root/a', outcome, { attempt, retryable })

  it('allows two failures, any refusals, nine losses, and as many again after a retry by hand', () => {
    const build = poison()
    let attempt = 1
    for (let i = 0; i < 9; i++) tryIt(build, attempt++, 'lost')
    for (let i = 0; i < 5; i++) tryIt(build, attempt++, 'refused')
    for (let i = 0; i < 2; i++) tryIt(build, attempt++, 'failed')
    build.event('n1', { type: 'dead', taskId: 'root/a', fault: { code: 'skill-failed', detail: 'no', retryable: false } }).event('n1', { type: 'retried', taskId: 'root/a' })
    for (let i = 0; i < 2; i++) tryIt(build, attempt++, 'failed')
    expect(violationsOf('L4', build.end())).toEqual([])
  })

  it('sees a task that is tried once more than it may be', () => {
    const build = tryIt(tryIt(poison(), 1, 'failed'), 2, 'failed')
    expect(violationsOf('L4', build.award('n1', 'root/a', 'n2', { attempt: 3 }).end())).toEqual([expect.stringContaining('awards root/a again after 2 failures, 2 are allowed')])
  })

  it('sees a task that ten workers were lost with, and one that said that no retry helps', () => {
    const build = poison()
    for (let attempt = 1; attempt <= 10; attempt++) tryIt(build, attempt, 'lost')
    expect(violationsOf('L4', build.award('n1', 'root/a', 'n2', { attempt: 11 }).end())).toEqual([expect.stringContaining('after 10 workers were lost')])
    expect(violationsOf('L4', tryIt(poison(), 1, 'failed', false).award('n1', 'root/a', 'n2', { attempt: 2 }).end())).toEqual([expect.stringContaining('no retry can help')])
  })
})

describe('L5', () => {
  const depths = (build: HistoryBuilder, change: Partial<{ mailboxMax: number; waitingCalls: number; deadLetters: number }>) => {
    build.put({ type: 'depths', node: 'n1', mailboxMax: 3, waitingCalls: 10, deadLetters: 20, ...change })
    return build
  }

  it('sees queues over their limits', () => {
    expect(violationsOf('L5', depths(goodMission(), {}).end())).toEqual([])
    expect(violationsOf('L5', depths(goodMission(), { mailboxMax: 10_000 }).end())).toEqual(['n1 had 10000 messages in one mailbox, the limit is 10000'])
    expect(violationsOf('L5', depths(goodMission(), { waitingCalls: 5_000, deadLetters: 100_000 }).end())).toEqual(['n1 had 5000 calls waiting, the limit is 4097'])
  })

  /** n1 awards so many leaves to n2 after everything was healed, n3 is as able. */
  const busyMesh = (leaves: number) => {
    const build = builder().node('n1').node('n2').node('n3').heal(400_000).after(40_000)
    build.open('n1', Array.from({ length: leaves }, (_, at) => specOf(`root/${at}`)))
    for (let at = 0; at < leaves; at++) build.bid('n2', 'n1', `root/${at}`).award('n1', `root/${at}`, 'n2').run('n2', `root/${at}`)
    return build
  }

  it('allows a node that bids and never wins, one that came late, one that is busy, and little work', () => {
    expect(violationsOf('L5', busyMesh(30).bid('n3', 'n1', 'root/1').end())).toEqual([])
    expect(violationsOf('L5', busyMesh(10).end())).toEqual([])
    const busy = busyMesh(30)
    busy.put({ type: 'run-started', node: 'n3', peer: peerOf('n3'), runId: 'r', missionId: mission, taskId: 'root/1' as never, step: 'run', capability: 'work', attempt: 1, offered: true })
    expect(violationsOf('L5', busy.end())).toEqual([])
    expect(violationsOf('L5', busyMesh(30).stop('n3').node('n3').end())).toEqual([])
  })

  it('sees a node that is free and able and not even asked', () => {
    expect(violationsOf('L5', busyMesh(30).end())).toEqual([expect.stringContaining('n3 was up, free and able since everything was healed, and has not bid once')])
  })

  it('does not ask a node whose bids go to itself without the wire', () => {
    expect(violationsOf('L5', busyMesh(30).end()).some((detail) => detail.startsWith('n1'))).toBe(false)
  })
})

describe('actors', () => {
  it('sees an actor that fails on an honest node, and not on others', () => {
    const build = builder().node('n1').node('liar', { conduct: 'equivocates' })
    build.put({ type: 'actor-failed', node: 'liar', actor: 'directory', reason: 'it lies' })
    expect(violationsOf('actors', build.end())).toEqual([])
    build.put({ type: 'actor-failed', node: 'n1', actor: 'directory', reason: 'invariant broken' })
    expect(violationsOf('actors', build.end())).toEqual(['directory of n1 failed: invariant broken'])
  })
})
