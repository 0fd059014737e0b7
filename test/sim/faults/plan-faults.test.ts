import { describe, expect, it } from 'vitest'
import { limits } from '../../../protocols/kernel/limits.ts'
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import type { PlannedFault } from '../../../sim/faults/fault.ts'
import { faultTraits } from '../../../sim/faults/kinds.ts'
import { planFaults } from '../../../sim/faults/plan-faults.ts'
import { expandNodes } from '../../../sim/scenario/expand.ts'
import { faultKinds, Scenario, type FaultKind } from '../../../sim/scenario/schema.ts'

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
    [{ kind: 'leader-isolated', atMs: 1, nodes: ['home'] }, /leave out 'nodes'/],
    [{ kind: 'owner-killed-for-good', atMs: 1, howMany: 2 }, /leave out 'nodes' and 'howMany'/],
    [{ kind: 'owner-killed-for-good', atMs: 1, lastsMs: 100 }, /never heals/],
  ])('are refused when they make no sense (%#)', (fault, message) => {
    expect(() => plan({ faults: [fault] })).toThrow(message)
  })

  it('keep a leader cut off for longer than an election, unless they say how long, and its killer for good', () => {
    for (const electionMsMax of [undefined, 9_000]) {
      const replication = electionMsMax === undefined ? {} : { electionMsMin: 4_000, electionMsMax }
      const faults = plan({ replication, faults: [{ kind: 'leader-isolated', everyMs: 5_000 }, { kind: 'owner-killed-for-good', atMs: 1 }] })
      const lasting = faults.filter(({ kind }) => kind === 'leader-isolated').map(({ lastsMs }) => lastsMs)
      expect(Math.min(...lasting)).toBeGreaterThan(electionMsMax ?? limits.electionMsMax)
      expect(Math.max(...lasting)).toBeLessThan((electionMsMax ?? limits.electionMsMax) + 10_000)
      expect(faults[0]).toMatchObject({ kind: 'owner-killed-for-good', lastsMs: Infinity })
    }
    expect(plan({ faults: [{ kind: 'leader-isolated', atMs: 1, lastsMs: 100 }] })[0]).toMatchObject({ nodes: [], lastsMs: 100 })
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
    // Only in every third run, and in the place of losses of data.
    const rare = counts.get('owner-killed-for-good')!
    expect(rare).toBeGreaterThan(10)
    counts.delete('owner-killed-for-good')
    const mean = [...counts.values()].reduce((sum, count) => sum + count, 0) / counts.size
    for (const [kind, count] of counts) expect([kind, count > mean * (faultTraits[kind as FaultKind].losesData === true ? 0.4 : 0.6) && count < mean * 1.4]).toEqual([kind, true])
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

  it('lose one node for good at most, no data when it is, and then one node less is down at once', () => {
    const killed: number[] = []
    for (let seed = 0; seed < 60; seed++) {
      const faults = any(seed, undefined, { anyFaultEveryMs: 400, durationMs: 120_000 })
      const at = faults.findIndex(({ kind }) => kind === 'owner-killed-for-good')
      if (at < 0) continue
      killed.push(seed)
      const { atMs: sinceMs } = faults[at]!
      const after = faults.slice(at + 1)
      expect(after.filter(({ kind }) => kind === 'owner-killed-for-good' || faultTraits[kind].losesData === true)).toEqual([])
      expect(faults.slice(0, at).filter(({ kind, atMs, lastsMs }) => faultTraits[kind].losesData === true && atMs + lastsMs > sinceMs - 50_000)).toEqual([])
      // Those that were down before come back in 8 s at most.
      for (const { atMs } of after.filter((fault) => fault.atMs > sinceMs + 10_000)) {
        expect(new Set(after.filter((fault) => faultTraits[fault.kind].takesAway === true && fault.atMs <= atMs && atMs < fault.atMs + fault.lastsMs).flatMap(({ nodes }) => nodes)).size).toBeLessThanOrEqual(2)
      }
    }
    expect(killed.length).toBeGreaterThan(5)
    for (let seed = 0; seed < 30; seed++) expect(any(seed, undefined, { nodes: [{ group: 'n', count: 4 }] }).filter(({ kind }) => kind === 'owner-killed-for-good')).toEqual([])
  })

  it('work with one node, with two and with ten thousand', () => {
    for (const count of [1, 2, 10_000]) {
      const kinds = new Set(any(1, undefined, { nodes: [{ group: 'n', count }], durationMs: 1_200_000 }).map(({ kind }) => kind))
      kinds.delete('owner-killed-for-good')
      expect(kinds.size).toBe(faultKinds.filter((kind) => kind !== 'owner-killed-for-good' && (count > 1 || !['pair', 'side', 'leader'].includes(faultTraits[kind].strikes))).length)
    }
  })
})
