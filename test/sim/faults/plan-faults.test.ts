import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import type { PlannedFault } from '../../../sim/faults/fault.ts'
import { faultTraits } from '../../../sim/faults/kinds.ts'
import { planFaults } from '../../../sim/faults/plan-faults.ts'
import { expandNodes } from '../../../sim/scenario/expand.ts'
import { faultKinds, Scenario } from '../../../sim/scenario/schema.ts'

function scenarioOf(change: Record<string, unknown>): Scenario {
  return Scenario.parse({
    name: 'faults', durationMs: 600_000, nodes: [{ group: 'home', count: 5 }, { group: 'lab', count: 2 }],
    skills: [{ capability: 'number.double' }], workload: [{ kind: 'poisson', perSecond: 1, mission: { capability: 'number.double' } }], ...change,
  })
}

function plan(change: Record<string, unknown>, seed = 1, untilMs?: number): PlannedFault[] {
  const scenario = scenarioOf(change)
  return planFaults(scenario, expandNodes(scenario, seededRandom([1, 1])), seededRandom([seed, 2]), untilMs)
}

describe('stated faults', () => {
  it('happen at their instants, on nodes that were named, as long as they say', () => {
    const faults = plan({ faults: [{ kind: 'crash', atMs: [5_000, 9_000], nodes: ['lab', 'home-3'], howMany: 3, lastsMs: 'forever' }, { kind: 'loss', atMs: 7_000, amount: 0.5, lastsMs: 100 }] })
    expect(faults).toEqual([
      { index: 0, atMs: 5_000, kind: 'crash', nodes: expect.any(Array), lastsMs: Infinity, amount: 0 },
      { index: 1, atMs: 7_000, kind: 'loss', nodes: [], lastsMs: 100, amount: 0.5 },
      { index: 2, atMs: 9_000, kind: 'crash', nodes: expect.any(Array), lastsMs: Infinity, amount: 0 },
    ])
    expect(faults[0]?.nodes.toSorted()).toEqual(['home-3', 'lab-1', 'lab-2'])
  })

  it('take down more than a minority where the scenario says so by the instant or by the number', () => {
    expect(plan({ faults: [{ kind: 'crash', atMs: 1, howMany: 7 }] })[0]?.nodes).toHaveLength(7)
    expect(Math.max(...plan({ faults: [{ kind: 'crash', everyMs: 60_000, howMany: 5 }] }).map(({ nodes }) => nodes.length))).toBe(5)
  })

  it('pair a single named node with another, and leave somebody on the other side of a partition', () => {
    for (const seed of [1, 2, 3]) {
      const [slow, parted] = plan({ faults: [{ kind: 'slow-link', atMs: 1, nodes: ['home-1'] }, { kind: 'partition', atMs: 2, howMany: 99 }] }, seed)
      expect(slow?.nodes[0]).toBe('home-1')
      expect(new Set(slow?.nodes).size).toBe(2)
      expect(parted?.nodes).toHaveLength(6)
    }
  })

  it.each([
    [{ kind: 'crash', atMs: 1, nodes: ['nobody'] }, /no such node/],
    [{ kind: 'crash', atMs: 1, howMany: 8 }, /lower its 'howMany'/],
    [{ kind: 'crash', atMs: 1, amount: 3 }, /has no 'amount'/],
    [{ kind: 'loss', atMs: 1, amount: 3 }, /between 0 and 1/],
  ])('are refused when they make no sense (%#)', (fault, message) => {
    expect(() => plan({ faults: [fault] })).toThrow(message)
  })

  it('come at their mean rate when they come at random', () => {
    const faults = plan({ faults: [{ kind: 'pause', everyMs: 2_000 }] })
    expect(faults.length).toBeGreaterThan(230)
    expect(faults.length).toBeLessThan(370)
  })
})

describe('faults of any kind', () => {
  const any = (seed: number, untilMs?: number, more: Record<string, unknown> = {}) => plan({ anyFaultEveryMs: 3_000, ...more }, seed, untilMs)

  it('are the same for the same seed, and a shorter run has the beginning of the list', () => {
    for (const seed of [1, 2, 3]) {
      const whole = any(seed)
      expect(any(seed)).toEqual(whole)
      expect(whole.map(({ index }) => index)).toEqual(whole.map((_, at) => at))
      const short = any(seed, 120_000)
      expect(short).toEqual(whole.slice(0, short.length))
      expect(whole[short.length]!.atMs).toBeGreaterThanOrEqual(120_000)
    }
    expect(any(1)).not.toEqual(any(2))
  })

  it('are of every kind, about equally often', () => {
    const counts = new Map<string, number>(faultKinds.map((kind) => [kind, 0]))
    for (let seed = 0; seed < 100; seed++) for (const { kind } of any(seed, undefined, { durationMs: 60_000 })) counts.set(kind, counts.get(kind)! + 1)
    const mean = [...counts.values()].reduce((sum, count) => sum + count, 0) / counts.size
    for (const [kind, count] of counts) expect([kind, count > mean * 0.6 && count < mean * 1.4]).toEqual([kind, true])
  })

  it('never take down more than a minority, nor the data of two nodes within a minute', () => {
    for (let seed = 0; seed < 50; seed++) {
      const faults = any(seed, undefined, { anyFaultEveryMs: 400, durationMs: 120_000 })
      for (const fault of faults) {
        const down = (since: number, trait: 'takesAway' | 'losesData') => new Set(faults.filter(({ kind, atMs, lastsMs }) => faultTraits[kind][trait] === true && atMs <= fault.atMs && fault.atMs < atMs + lastsMs + since).flatMap(({ nodes }) => nodes)).size
        expect(down(0, 'takesAway')).toBeLessThanOrEqual(3)
        expect(down(50_000, 'losesData')).toBeLessThanOrEqual(1)
      }
    }
  })

  it('work with one node, with two and with ten thousand', () => {
    for (const count of [1, 2, 10_000]) {
      const kinds = new Set(any(1, undefined, { nodes: [{ group: 'n', count }], durationMs: 1_200_000 }).map(({ kind }) => kind))
      expect(kinds.size).toBe(count === 1 ? faultKinds.filter((kind) => !['pair', 'side'].includes(faultTraits[kind].strikes)).length : faultKinds.length)
    }
  })
})
