import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import { clairvoyantNodes, scheduleClairvoyantly, type ClairvoyantNode, type Placement } from '../../../sim/clairvoyant/schedule.ts'
import { expandNodes } from '../../../sim/scenario/expand.ts'
import { Scenario } from '../../../sim/scenario/schema.ts'
import type { PlannedLeaf } from '../../../sim/workload/mission-plans.ts'

const node = (name: string, speed = 1, slots = 1, rest: Partial<ClairvoyantNode> = {}): ClairvoyantNode => ({ name, speed, slots, capabilities: new Set(['job.run']), ...rest })
const leaf = (name: string, workMs: number, after: string[] = [], rest: Partial<PlannedLeaf> = {}): PlannedLeaf => ({ name, workMs, after, capability: 'job.run', effort: 1, ...rest })
const mission = (index: number, atMs: number, ...leaves: PlannedLeaf[]) => ({ index, atMs, leaves })

function schedule(arrivals: ReturnType<typeof mission>[], nodes: ClairvoyantNode[]) {
  const placements: Placement[] = []
  const outcome = scheduleClairvoyantly({ arrivals, nodes, onPlaced: (placement) => placements.push(placement) })
  return { ...outcome, placements: placements.map(({ mission, leaf, node, startMs, endMs }) => [mission, leaf, node, startMs, endMs]) }
}

describe('by hand', () => {
  test('waits for a fast node when that ends earlier than a free slow one', () => {
    const { placements } = schedule([mission(0, 0, leaf('a', 100)), mission(1, 10, leaf('a', 100)), mission(2, 10, leaf('a', 100))], [node('slow', 0.4), node('fast', 1)])
    // The second: 200 on fast, 260 on slow. The third: 300 on fast, 260 on slow.
    expect(placements).toEqual([[0, 'a', 'fast', 0, 100], [1, 'a', 'fast', 100, 200], [2, 'a', 'slow', 10, 260]])
  })

  test('a diamond, the longer branch first', () => {
    const { placements, flowMs } = schedule([mission(0, 5, leaf('a', 10), leaf('b', 20, ['a']), leaf('c', 30, ['a']), leaf('d', 10, ['b', 'c']))], [node('only')])
    expect(placements.map(([, name, , start]) => [name, start])).toEqual([['a', 5], ['c', 15], ['b', 45], ['d', 65]])
    expect(flowMs).toMatchObject({ count: 1, p50: 70 })
  })

  test('slots of one node, and first come first served', () => {
    const { placements } = schedule([mission(0, 0, leaf('a', 50)), mission(1, 0, leaf('a', 20)), mission(2, 1, leaf('a', 5)), mission(3, 2, leaf('a', 1))], [node('two', 1, 2)])
    expect(placements.map(([index, , , start]) => [index, start])).toEqual([[0, 0], [1, 0], [2, 20], [3, 25]])
  })

  test('nothing runs on a node that would go down meanwhile', () => {
    const up = [{ fromMs: 0, toMs: 90 }, { fromMs: 200, toMs: 1_000 }]
    expect(schedule([mission(0, 0, leaf('a', 100)), mission(1, 0, leaf('a', 50))], [node('laptop', 1, 2, { up })]).placements).toEqual([[0, 'a', 'laptop', 200, 300], [1, 'a', 'laptop', 0, 50]])
  })

  test('failing attempts are run; what dies or has no node fails its mission', () => {
    const { placements, completed, failed, flowMs } = schedule([
      mission(0, 0, leaf('a', 10, [], { fails: 2 })), mission(1, 0, leaf('a', 10, [], { fails: 2, dies: true }), leaf('b', 1, ['a'])), mission(2, 0, leaf('a', 10, [], { capability: 'job.none' })),
    ], [node('n', 1, 2)])
    expect(placements.map(([index, , , start, end]) => [index, start, end])).toEqual([[0, 0, 10], [1, 0, 10], [0, 10, 20], [1, 10, 20], [0, 20, 30]])
    expect({ completed, failed, p50: flowMs.p50 }).toEqual({ completed: 1, failed: 2, p50: 30 })
  })

  test('nodes of a scenario: no bridges, none that cheat about results', () => {
    const scenario = Scenario.parse({
      name: 't', durationMs: 1, skills: [{ capability: 'job.run' }], workload: [{ kind: 'count', missions: 1, mission: { capability: 'job.run' } }],
      nodes: [{ group: 'bridge', duties: ['bridge'] }, { group: 'liar', conduct: { kind: 'lies-about-speed' }, speed: 2 }, { group: 'wrong', conduct: { kind: 'wrong-results' } }, { group: 'none', slots: 0 }],
    })
    expect(clairvoyantNodes(expandNodes(scenario, seededRandom([1, 2]))).map(({ name, speed }) => [name, speed])).toEqual([['liar', 2]])
  })
})

/** The least mean flow time over every order and every assignment of single leaves. */
function bestMeanFlowMs(arrivals: ReturnType<typeof mission>[], nodes: ClairvoyantNode[]): number {
  const search = (left: ReturnType<typeof mission>[], freeMs: number[], total: number): number => {
    if (left.length === 0) return total
    return Math.min(...left.flatMap((one) => nodes.map((to, at) => {
      const endMs = Math.max(one.atMs, freeMs[at] ?? 0) + (one.leaves[0]?.workMs ?? 0) / to.speed
      return search(left.filter((other) => other !== one), freeMs.map((free, which) => (which === at ? endMs : free)), total + endMs - one.atMs)
    })))
  }
  return search(arrivals, nodes.map(() => 0), 0) / arrivals.length
}

test('never better than the best of all schedules, nor than the critical path; near it when there is room', () => {
  const random = seededRandom([5, 6])
  const ratios = Array.from({ length: 60 }, () => {
    const nodes = Array.from({ length: 2 }, (_, at) => node(`n${at}`, 0.5 + random.next() * 2))
    const arrivals = Array.from({ length: 5 }, () => random.below(400)).sort((left, right) => left - right).map((atMs, index) => mission(index, atMs, leaf('a', 10 + random.below(200))))
    const found = scheduleClairvoyantly({ arrivals, nodes }).flowMs.mean
    const fastest = Math.max(...nodes.map(({ speed }) => speed))
    const pathMs = arrivals.reduce((sum, { leaves }) => sum + (leaves[0]?.workMs ?? 0) / fastest, 0) / arrivals.length
    const best = bestMeanFlowMs(arrivals, nodes)
    expect(best).toBeGreaterThanOrEqual(pathMs - 1e-9)
    expect(found).toBeGreaterThanOrEqual(best - 1e-9)
    return found / best
  })
  expect(ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length).toBeLessThan(1.1)
})

test('no slot runs two leaves at once, and dependencies hold, in a busy mesh of 50 nodes', () => {
  const random = seededRandom([7, 8])
  const nodes = Array.from({ length: 50 }, (_, at) => node(`n${at}`, 0.5 + random.next() * 3, 1 + random.below(4)))
  const arrivals = Array.from({ length: 25_000 }, (_, index) => mission(index, index * 1.5, leaf('a', 50), leaf('b', 100 + random.below(300), ['a']), leaf('c', 10, ['a']), leaf('d', 20, ['b', 'c'])))
  const placements: Placement[] = []
  const outcome = scheduleClairvoyantly({ arrivals, nodes, onPlaced: (placement) => placements.push(placement) })
  expect(outcome.completed).toBe(25_000)
  for (const { name, slots } of nodes) {
    const changes = placements.filter((placement) => placement.node === name).flatMap(({ startMs, endMs }) => [[startMs, 1], [endMs - 1e-6, -1]] as const).sort((left, right) => left[0] - right[0])
    let busy = 0
    let busyMax = 0
    for (const [, by] of changes) busyMax = Math.max(busyMax, (busy += by))
    expect(busyMax).toBeLessThanOrEqual(slots)
  }
  const endOf = new Map(placements.map(({ mission, leaf, endMs }) => [`${mission}${leaf}`, endMs]))
  for (const { mission, leaf, startMs } of placements) if (leaf !== 'a') expect(startMs).toBeGreaterThanOrEqual((endOf.get(`${mission}a`) ?? Infinity) - 1e-6)
})
