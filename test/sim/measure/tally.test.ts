import { expect, test } from 'vitest'
import type { Json } from '../../../protocols/kernel/payload.ts'
import type { MissionId, PeerId, TaskId } from '../../../protocols/kernel/ids.ts'
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import { RetryPolicy, type MissionEvent, type TaskSpec } from '../../../protocols/tasking/schema.ts'
import { createTally } from '../../../sim/measure/tally.ts'
import { expandNodes } from '../../../sim/scenario/expand.ts'
import { Scenario } from '../../../sim/scenario/schema.ts'

const scenario = Scenario.parse({
  name: 'test', durationMs: 10_000, nodes: [{ group: 'home', count: 2, slots: 2, speed: 2 }, { group: 'liar', conduct: { kind: 'wrong-results' } }], skills: [{ capability: 'job.run' }],
  workload: [{ kind: 'count', missions: 1, mission: { capability: 'job.run' } }],
})
const missionId = 'm-aaaaaaaa-aaaaaaaaaaaa' as MissionId
const peers: Record<string, PeerId> = { 'home-1': 'P1' as PeerId, 'home-2': 'P2' as PeerId, liar: 'P3' as PeerId }

function spec(taskId: string, after: string[] = [], kind: TaskSpec['kind'] = 'leaf'): TaskSpec {
  return { taskId: taskId as TaskId, kind, capability: 'job.run' as TaskSpec['capability'], effects: 'none', input: { inline: {} }, after: after as TaskId[], priority: 5, effort: 1, accept: [], retry: RetryPolicy.parse({}), timeLimitMs: 1_000, optional: false }
}

/** Only what the tally reads. */
function entry(event: { type: MissionEvent['type'] } & Record<string, unknown>): MissionEvent {
  return { atWallMs: 0, ...event } as unknown as MissionEvent
}

const submitted = entry({ type: 'submitted', missionId, owner: 'P1', key: 'k1', rootSpec: spec('root', [], 'composite') })
const awarded = (taskId: string, attempt: number, worker: string) => entry({ type: 'awarded', award: { awardId: `${taskId}#${attempt}`, taskId, attempt, worker } })
const endedAward = (taskId: string, attempt: number, outcome: 'refused' | 'lost' | 'failed') => entry({ type: 'award-ended', awardId: `${taskId}#${attempt}`, taskId, outcome })
const accepted = (taskId: string, attempt: number) => entry({ type: 'accepted', awardId: `${taskId}#${attempt}`, taskId })

function world() {
  const sent = { messages: 0, bytes: 0 }
  const tally = createTally({ scenario, seed: 7, nodes: expandNodes(scenario, seededRandom([1, 2])), sent: () => sent })
  for (const [name, peer] of Object.entries(peers)) tally.nodeUp(name, peer, 2, 0)
  return {
    sent, tally,
    /** It is committed. */
    commit: (event: MissionEvent, atMs: number) => tally.entryCommitted(missionId, event, atMs),
    report: (virtualMs: number) => tally.report({ virtualMs, events: 1, traceHash: '0', promises: [], violations: [], counters: { total: sent, forTasks: 600, perNode: new Map([['home-1', { messages: 10, bytes: 100 }]]), byKind: { propose: 5 }, gossip: 1, gossipControl: 2, dht: 3, connection: 4 } }),
  }
}

test('a mission with a lost worker, seen by two replicas', () => {
  const { tally, commit, sent, report } = world()
  sent.messages = 100
  tally.missionSubmitted('k1', 1_000)
  commit(submitted, 1_010)
  tally.missionAcknowledged('k1', missionId, 1_012)
  commit(entry({ type: 'planned', taskId: 'root', children: [spec('root/a'), spec('root/b', ['root/a'])] }), 1_015)
  commit(awarded('root/a', 1, 'P2'), 1_100)
  tally.runStarted({ node: 'home-2', runId: 'r1', missionId, taskId: 'root/a', step: 'run' }, 1_200)
  tally.nodeDown('home-2', 1_700)
  commit(endedAward('root/a', 1, 'lost'), 2_000)
  commit(awarded('root/a', 2, 'P1'), 2_300)
  tally.runStarted({ node: 'home-1', runId: 'r2', missionId, taskId: 'root/a', step: 'run' }, 2_400)
  tally.nodeUp('home-2', 'P2' as PeerId, 2, 2_700)
  tally.runEnded({ node: 'home-1', runId: 'r2' }, 'done', 2_900)
  commit(accepted('root/a', 2), 3_000)
  commit(awarded('root/b', 1, 'P3'), 3_100)
  commit(endedAward('root/b', 1, 'refused'), 3_150)
  commit(awarded('root/b', 2, 'P3'), 3_200)
  commit(accepted('root/b', 2), 3_400)
  commit(accepted('root', 1), 3_450)
  commit(entry({ type: 'completed', result: { inline: null as Json } }), 3_500)
  tally.faultInjected('crash', 3_600)
  sent.messages = 1_000
  expect([...tally.upTimes(1_000)]).toEqual([['home-2', [{ fromMs: -1_000, toMs: 700 }, { fromMs: 1_700, toMs: Infinity }]]])
  const result = report(4_000)
  expect(result.missions).toEqual({ submitted: 1, acknowledged: 1, completed: 1, failed: 0, cancelled: 0, refused: 0, unknown: 0, unended: 0 })
  expect(result.leaves).toEqual({ accepted: 2, dead: 0, cancelled: 0, awards: 4, repeated: 2 })
  expect(result.flowMs).toMatchObject({ count: 1, p50: 2_500 })
  expect(result.waitMs).toMatchObject({ count: 1, p50: 200 })
  expect(result.runMs).toMatchObject({ count: 1, p50: 500 })
  expect(result.recoveryMs.worker).toMatchObject({ count: 1, p50: 300 })
  expect(result.perNode.map(({ node, awards, accepted, failed, lost, lives, conduct }) => ({ node, awards, accepted, failed, lost, lives, conduct }))).toEqual([
    { node: 'home-1', awards: 1, accepted: 1, failed: 0, lost: 0, lives: 1, conduct: undefined },
    { node: 'home-2', awards: 1, accepted: 0, failed: 0, lost: 1, lives: 2, conduct: undefined },
    { node: 'liar', awards: 2, accepted: 1, failed: 0, lost: 0, lives: 1, conduct: 'wrong-results' },
  ])
  expect(result.perNode[0]?.utilisation).toBeCloseTo(500 / 8_000)
  expect(result.perNode[1]?.utilisation).toBeCloseTo(500 / 6_000)
  expect(result.utilisation).toBeCloseTo(1_000 / 22_000)
  expect(result.messages).toMatchObject({ total: 1_000, perTask: 500, addedPerTask: 300, byKind: { propose: 5, 'gossip-control': 2 } })
  expect(result.faults).toEqual({ crash: 1 })
  const at = (ms: number) => result.buckets.find((bucket) => bucket.atMs === ms)
  expect(at(1_000)).toMatchObject({ submitted: 1, waiting: 1, running: 0 })
  expect(at(1_500)).toMatchObject({ waiting: 0, running: 1, slotsBusy: 1, nodesUp: 3 })
  expect(at(1_700)).toMatchObject({ running: 0, nodesUp: 2, slotsUp: 4 })
  expect(at(2_000)).toMatchObject({ waiting: 1 })
  expect(at(3_500)).toMatchObject({ completed: 1, waiting: 0 })
})

test('an owner that comes back, and one that is replaced; leaves that nobody ran', () => {
  const { tally, commit, report } = world()
  tally.missionSubmitted('k1', 0)
  tally.missionUnknown('k1', 10)
  commit(submitted, 10)
  commit(entry({ type: 'planned', taskId: 'root', children: [spec('root/a'), spec('root/g', [], 'composite')] }), 20)
  commit(entry({ type: 'planned', taskId: 'root/g', children: [spec('root/g/1'), spec('root/g/2')] }), 30)
  tally.nodeDown('home-1', 1_000)
  commit(entry({ type: 'took-over', epoch: { lineage: 1, term: 2 }, owner: 'P2' }), 1_500)
  // Cut off, not gone.
  commit(entry({ type: 'took-over', epoch: { lineage: 1, term: 3 }, owner: 'P3' }), 2_000)
  commit(entry({ type: 'dead', taskId: 'root/g' }), 2_100)
  const before = report(2_200)
  expect(before.missions).toMatchObject({ unknown: 1, unended: 1 })
  expect(before.recoveryMs.owner).toMatchObject({ count: 1, p50: 500 })
  expect(before.leaves).toMatchObject({ cancelled: 2 })
  commit(entry({ type: 'failed' }), 2_300)
  const after = report(2_400)
  expect(after.missions).toMatchObject({ failed: 1, unended: 0 })
  expect(after.leaves).toMatchObject({ dead: 0, cancelled: 3 })
  expect(after.flowMs.count).toBe(0)
  expect(after.buckets.at(-1)?.waiting).toBe(0)
})
