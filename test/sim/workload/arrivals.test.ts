import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import { planFault } from '../../../protocols/tasking/plan.ts'
import { MissionRequest, Plan } from '../../../protocols/tasking/schema.ts'
import { expandNodes } from '../../../sim/scenario/expand.ts'
import { Scenario } from '../../../sim/scenario/schema.ts'
import { planArrivals, type Arrival } from '../../../sim/workload/arrivals.ts'

const trace = ['TIMESTAMP,ContextTokens,GeneratedTokens', '2023-11-16 18:17:03.9799600,1000,10', '2023-11-16 18:17:04.9799600,3000,30', '2023-11-16 18:17:07.9799600,2000,20'].join('\n')

function plan(document: object, options: { seed?: number; untilMs?: number; traces?: Map<string, string> } = {}): Arrival[] {
  const scenario = Scenario.parse({
    name: 'test', durationMs: 60_000,
    nodes: [{ group: 'gate', duties: ['bridge'], count: 2 }, { group: 'worker', duties: ['worker'], count: 3, slots: 2, speed: 2 }],
    skills: [
      { capability: 'job.run', workMs: { exponential: 300 } },
      { capability: 'job.flaky', failureFraction: 0.5 },
      { capability: 'job.group', children: { capability: 'job.run', count: 4 } },
      { capability: 'job.groups', children: { capability: 'job.group', count: 2 } },
      { capability: 'llm.chat', model: { promptTokensPerSecond: 1_000, outputTokensPerSecond: 10 } },
    ],
    ...document,
  })
  const random = seededRandom([options.seed ?? 1, 2])
  return planArrivals(scenario, expandNodes(scenario, random.split()), random.split(), options.traces ?? new Map([['t.csv', trace]]), options.untilMs)
}

const mission = (rest: object) => ({ workload: [{ kind: 'count', missions: 20, mission: { capability: 'job.run', ...rest } }] })

describe('arrivals', () => {
  test('a Poisson workload has about its rate, is sorted, and uses the bridges in turn', () => {
    const arrivals = plan({ workload: [{ kind: 'poisson', perSecond: 10, principals: 3, mission: { capability: 'job.run' } }] })
    expect(arrivals.length).toBeGreaterThan(500)
    expect(arrivals.length).toBeLessThan(700)
    expect(arrivals.map((arrival) => arrival.atMs)).toEqual(arrivals.map((arrival) => arrival.atMs).sort((left, right) => left - right))
    expect(arrivals.map((arrival) => arrival.index)).toEqual(arrivals.map((_, index) => index))
    expect(new Set(arrivals.map((arrival) => arrival.key)).size).toBe(arrivals.length)
    expect(arrivals.slice(0, 3).map((arrival) => arrival.node)).toEqual(['gate-1', 'gate-2', 'gate-1'])
    expect(new Set(arrivals.map((arrival) => arrival.principal))).toEqual(new Set(['p1', 'p2', 'p3']))
  })

  test('the same seed gives the same list, another seed another', () => {
    const workload = { workload: [{ kind: 'poisson', perSecond: 2, mission: { capability: 'job.run', shape: 'fan', leaves: { uniform: [1, 9] } } }] }
    expect(plan(workload)).toEqual(plan(workload))
    expect(plan(workload)).not.toEqual(plan(workload, { seed: 9 }))
  })

  test('a shorter run is given a prefix', () => {
    const workload = { workload: [
      { kind: 'poisson', perSecond: 2, mission: { capability: 'job.run' } }, { kind: 'count', missions: 30, mission: { capability: 'job.flaky', shape: 'chain', leaves: 3 } }, { kind: 'trace', file: 't.csv', capability: 'llm.chat', load: 0.0005 },
    ] }
    const whole = plan(workload)
    const part = plan(workload, { untilMs: 20_000 })
    expect(part.length).toBeGreaterThan(20)
    expect(part).toEqual(whole.slice(0, part.length))
    expect(whole[part.length]?.atMs).toBeGreaterThanOrEqual(20_000)
  })

  test.each(['single', 'fan', 'chain', 'diamond'])('a %s is a legal request whose leaves are the plan\'s tasks', (shape) => {
    for (const arrival of plan(mission({ shape, leaves: 6, effort: { uniform: [0.5, 4] }, timeLimitMs: 30_000, acknowledgement: 'ephemeral' }))) {
      const request = MissionRequest.parse(arrival.request)
      const tasks = request.plan?.tasks ?? {}
      expect(planFault(Plan.parse(request.plan))).toBeUndefined()
      expect(arrival.leaves.map(({ name, after, effort }) => ({ name, after, effort }))).toEqual(Object.entries(tasks).map(([name, task]) => ({ name, after: task.after, effort: task.effort })))
      expect(arrival.leaves.map((leaf) => leaf.workMs)).toEqual(Object.values(tasks).map((task) => (task.input as { workMs: number }).workMs))
      expect(arrival.leaves).toHaveLength(shape === 'single' ? 1 : 6)
      expect(request.acknowledgement).toBe('ephemeral')
      expect(Object.values(tasks)[0]?.timeLimitMs).toBe(30_000)
    }
  })

  test('a diamond fans out between two single tasks', () => {
    const [arrival] = plan(mission({ shape: 'diamond', leaves: 1 }))
    expect(arrival?.leaves.map((leaf) => [leaf.name, leaf.after])).toEqual([['t1', []], ['t2', ['t1']], ['t3', ['t2']]])
    const [wide] = plan(mission({ shape: 'diamond', leaves: 5 }))
    expect(wide?.leaves.map((leaf) => leaf.after)).toEqual([[], ['t1'], ['t1'], ['t1'], ['t2', 't3', 't4']])
  })

  test('composites plan their children, and theirs', () => {
    const [one] = plan(mission({ shape: 'composite', capability: 'job.group' }))
    expect(one?.leaves.map((leaf) => leaf.name)).toEqual(['t1/1', 't1/2', 't1/3', 't1/4'])
    const [many] = plan(mission({ shape: 'composite', capability: 'job.groups', leaves: 17 }))
    expect(many?.leaves.map((leaf) => leaf.name).slice(6, 10)).toEqual(['t1/2/3', 't1/2/4', 't2/1/1', 't2/1/2'])
    expect(many?.leaves).toHaveLength(16)
    expect(MissionRequest.parse(many?.request).limits).toMatchObject({ leavesMax: 30, depthMax: 3 })
  })

  test('limits let big and slow missions through', () => {
    const [big] = plan(mission({ shape: 'chain', leaves: 400, effort: 500 }))
    expect(big?.request.limits?.leavesMax).toBe(400)
    expect(big?.request.limits?.durationMs).toBeGreaterThan(3_600_000)
  })

  test('failures are known in advance', () => {
    const fails = plan(mission({ capability: 'job.flaky', shape: 'fan', leaves: 50 })).flatMap((arrival) => arrival.leaves).map((leaf) => leaf.fails ?? 0)
    expect(fails.filter((count) => count === 0).length / fails.length).toBeCloseTo(0.5, 1)
    expect(Math.max(...fails)).toBe(4)
  })
})

describe('traces', () => {
  test('as recorded', () => {
    const arrivals = plan({ workload: [{ kind: 'trace', file: 't.csv', capability: 'llm.chat', fromMs: 500 }] })
    expect(arrivals.map((arrival) => arrival.atMs)).toEqual([500, 1_500, 4_500])
    expect(arrivals.map((arrival) => arrival.leaves[0]?.workMs)).toEqual([2_000, 6_000, 4_000])
    expect(MissionRequest.parse(arrivals[1]?.request).plan?.tasks.t1?.input).toMatchObject({ promptTokens: 3_000, outputTokens: 30 })
    // Known beforehand: the prompt's length; of the answer, what the mean one is.
    expect(arrivals.map((arrival) => arrival.leaves[0]?.effort)).toEqual([0.75, 1.25, 1])
  })

  test('stretched to a load', () => {
    // 12 s of work on 3 workers of 2 slots and twice the speed: at load 0.25 the trace takes 4 s.
    const arrivals = plan({ workload: [{ kind: 'trace', file: 't.csv', capability: 'llm.chat', load: 0.25 }] })
    expect(arrivals.map((arrival) => arrival.atMs)).toEqual([0, 1_000, 4_000])
  })

  test.each([
    [{ workload: [{ kind: 'trace', file: 'u.csv', capability: 'llm.chat' }] }, "the trace 'u.csv' of the workload was not given"],
    [{ workload: [{ kind: 'trace', file: 't.csv', capability: 'job.run' }] }, "a trace needs a capability with a 'model'"],
    [{ workload: [{ kind: 'count', missions: 1, mission: { capability: 'job.none' } }] }, "asks for 'job.none', which the scenario does not declare"],
    [{ workload: [{ kind: 'count', missions: 1, submitters: ['worker'], mission: { capability: 'job.run' } }] }, 'none of the submitters worker is a node with the duty'],
    [{ workload: [{ kind: 'count', missions: 1, mission: { capability: 'job.run', shape: 'composite' } }] }, "needs a capability with 'children'"],
    [{ workload: [{ kind: 'count', missions: 1, mission: { capability: 'job.group' } }] }, "give its missions the shape 'composite'"],
  ])('%j is refused', (document, message) => {
    expect(() => plan(document)).toThrow(message)
  })
})
