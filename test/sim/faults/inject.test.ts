import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import type { PlannedFault } from '../../../sim/faults/fault.ts'
import { createFaultInjector } from '../../../sim/faults/inject.ts'
import { planFaults } from '../../../sim/faults/plan-faults.ts'
import { expandNodes } from '../../../sim/scenario/expand.ts'
import { faultKinds, Scenario, type FaultKind } from '../../../sim/scenario/schema.ts'
import { entriesAfter, missionA, writeOf } from '../../contracts/log-store.ts'
import { fakeCluster } from './fault-world.ts'

const names = ['a', 'b', 'c', 'd', 'e']

function stage() {
  const cluster = fakeCluster(names)
  const injector = createFaultInjector(cluster.world, 1)
  let index = 0
  return {
    ...cluster, injector,
    inject(kind: FaultKind, nodes: string[], lastsMs: number, amount = 0): PlannedFault {
      const fault: PlannedFault = { index: index++, atMs: cluster.time.nowMs(), kind, nodes, lastsMs, amount }
      injector.inject(fault)
      return fault
    },
  }
}

describe('processes', () => {
  it.each(['crash', 'power-cut'] as const)('%s: gone, back when it is over, and written down', async (kind) => {
    const { inject, time, calls, records } = stage()
    inject(kind, ['a', 'b'], 1_000)
    expect(calls).toEqual([`${kind} a`, `${kind} b`])
    await time.runFor(2_000)
    expect(calls.slice(2)).toEqual(['start a', 'start b'])
    expect(records).toEqual([{ type: 'fault', atMs: 0, kind, nodes: ['a', 'b'], lastsMs: 1_000 }, { type: 'healed', atMs: 1_000, kind, nodes: ['a', 'b'] }])
  })

  it('a node is started when the last of the faults that keep it down is over', async () => {
    const { inject, time, calls } = stage()
    inject('crash', ['a'], 1_000)
    inject('disk-wiped', ['a'], 3_000)
    inject('bit-rot', ['a'], 2_000)
    await time.runFor(2_500)
    expect(calls).toEqual(['crash a'])
    await time.runFor(1_000)
    expect(calls).toEqual(['crash a', 'start a'])
  })

  it('who is gone for ever stays away, also when everything heals', async () => {
    const { inject, injector, time, calls } = stage()
    inject('crash', ['a'], Infinity)
    inject('crash', ['b'], 50_000)
    injector.healAll()
    await time.runFor(100_000)
    expect(calls).toEqual(['crash a', 'crash b', 'start b'])
    expect([injector.keepsDown('a'), injector.keepsDown('b')]).toEqual([true, false])
  })

  it('freezes overlap, the last one to end lets go, and a killed process takes its freeze along', async () => {
    const { inject, time, calls } = stage()
    inject('pause', ['a'], 1_000)
    inject('suspend', ['a'], 2_000)
    await time.runFor(1_500)
    expect(calls).toEqual(['pause a'])
    await time.runFor(1_000)
    expect(calls).toEqual(['pause a', 'resume a'])
    inject('suspend', ['b'], 5_000)
    inject('crash', ['b'], 1_000)
    await time.runFor(2_000)
    inject('pause', ['b'], 1_000)
    await time.runFor(10_000)
    expect(calls.slice(2)).toEqual(['suspend b', 'crash b', 'start b', 'pause b', 'resume b'])
  })

  it('a crash between effects dies when the cluster says so, or is called off', async () => {
    const { inject, time, node, end, calls } = stage()
    inject('crash-between-effects', ['a', 'b'], 1_000)
    expect(node('a').dyingAfter).toBeGreaterThan(0)
    end('a', 'crash')
    await time.runFor(2_000)
    expect(calls).toEqual(['crash a', 'start a'])
    expect(node('b').dyingAfter).toBe(Infinity)
  })

  it('a storm starts and ends it again and again, and leaves it up', async () => {
    const { inject, time, calls, node } = stage()
    inject('restart-storm', ['a'], 8_000)
    await time.runFor(20_000)
    expect(calls.filter((call) => call === 'start a').length).toBeGreaterThan(3)
    expect(node('a').state).toBe('up')
  })

  it('who leaves comes back, also when it had not finished leaving in time', async () => {
    const { inject, time, calls, goAway, node } = stage()
    inject('leave', ['a', 'b'], 1_000)
    goAway('a')
    await time.runFor(2_000)
    expect(calls).toEqual(['leave a', 'leave b', 'left a', 'start a'])
    goAway('b')
    expect(node('b').state).toBe('up')
  })

  it('another release runs until it is over, unless a crash ended it before', async () => {
    const { inject, time, calls, node } = stage()
    inject('old-protocol', ['a'], 1_000, 0)
    inject('old-protocol', ['b'], 3_000, 1)
    expect([node('a').release, node('b').release]).toEqual(['newer-minor', 'other-major'])
    inject('crash', ['b'], 500)
    await time.runFor(5_000)
    expect([node('a').release, node('b').release]).toEqual(['own', 'own'])
    expect(calls.filter((call) => call === 'start b')).toHaveLength(1)
  })
})

describe('the network', () => {
  it('partitions overlap and heal alone', async () => {
    const { inject, time, walls } = stage()
    inject('partition', ['a', 'b'], 1_000)
    inject('one-way-partition', ['a'], 2_000)
    inject('non-transitive-partition', ['a', 'c'], 3_000)
    inject('isolate', ['d', 'e'], 4_000)
    const counts: number[] = []
    for (let second = 0; second < 5; second++) {
      counts.push(walls.size)
      await time.runFor(1_001)
    }
    expect(counts).toEqual([5, 4, 3, 2, 0])
  })

  it('conditions add up, the slowest counts, and all end as they were', async () => {
    const { inject, time, conditions, slow } = stage()
    inject('loss', [], 2_000, 0.5)
    inject('loss', [], 1_000, 0.2)
    inject('duplication', [], 1_000, 0.3)
    inject('slow-link', ['a', 'b'], 1_000, 10)
    inject('slow-link', ['b', 'a'], 2_000, 3)
    expect(conditions().lossFraction).toBeCloseTo(1 - 0.9 * 0.5 * 0.8)
    expect(conditions().duplicationFraction).toBeCloseTo(0.3)
    expect([...slow.values()]).toEqual([10])
    await time.runFor(1_500)
    expect(conditions().lossFraction).toBeCloseTo(0.55)
    expect([...slow.values()]).toEqual([3])
    await time.runFor(1_000)
    expect(conditions()).toEqual({ lossFraction: 0.1, duplicationFraction: 0, reorderingFraction: 0 })
    expect(slow.size).toBe(0)
  })
})

describe('whoever leads a mission', () => {
  const draws = 60

  it('is killed for good, if every log can do without it', async () => {
    const killed = new Set<string>()
    for (let seed = 0; seed < draws; seed++) {
      const { world, leaders, needed, calls, records, time, node } = fakeCluster(names)
      const injector = createFaultInjector(world, seed)
      const fault: PlannedFault = { index: 0, atMs: 0, kind: 'owner-killed-for-good', nodes: [], lastsMs: Infinity, amount: 0 }
      expect(injector.inject(fault)).toEqual([])
      for (const name of ['b', 'c', 'd']) leaders.add(name)
      needed.add('c')
      const [struck] = injector.inject(fault) as [string]
      killed.add(`${calls[0]}`)
      await time.runFor(100_000)
      injector.healAll()
      expect([calls.length, node(struck).state, injector.keepsDown(struck)]).toEqual([1, 'down', true])
      expect(records).toEqual([{ type: 'fault', atMs: 0, kind: 'owner-killed-for-good', nodes: [struck], lastsMs: Infinity }])
    }
    expect([...killed].sort()).toEqual(['crash b', 'crash d', 'power-cut b', 'power-cut d'])
  })

  it('is cut off from all or all but one, one way or both, until it is over', async () => {
    const cuts = new Set<string>()
    for (let seed = 0; seed < draws; seed++) {
      const { world, leaders, walls, time, node } = fakeCluster(names)
      const injector = createFaultInjector(world, seed)
      const fault: PlannedFault = { index: 0, atMs: 0, kind: 'leader-isolated', nodes: [], lastsMs: 5_000, amount: 0 }
      expect(injector.inject(fault)).toEqual([])
      for (const name of ['b', 'c']) leaders.add(name)
      Object.assign(node('c'), { state: 'down' })
      expect(injector.inject(fault)).toEqual(['b'])
      for (const wall of walls) cuts.add(wall.split(' ')[0]!)
      await time.runFor(4_999)
      expect(walls.size).toBe(1)
      await time.runFor(2)
      expect(walls.size).toBe(0)
    }
    expect([...cuts].sort()).toEqual(['1>3', '1>4', '1|3', '1|4', '3>1', '4>1'])
  })
})

describe('disks and clocks', () => {
  it('are as they were when it is over, and a node that gave up is started again', async () => {
    const { inject, time, node, end, calls } = stage()
    inject('disk-full', ['a'], 1_000)
    inject('disk-full', ['a'], 2_000)
    inject('disk-slow', ['b'], 1_000, 10)
    inject('disk-slow', ['b'], 1_500, 2)
    inject('disk-stuck', ['c'], 1_000)
    inject('wall-jump', ['d'], 1_000, 5_000)
    inject('clock-drift', ['e'], 1_000, 0.05)
    inject('clock-drift', ['e'], 2_000, -0.01)
    expect([node('a').full, node('b').syncFactor, node('c').stuck, node('d').wallOffMs, node('e').drift]).toEqual([true, 10, true, 5_000, 0.04])
    end('a', 'gave-up')
    await time.runFor(1_200)
    expect([node('a').full, node('b').syncFactor, node('c').stuck, node('d').wallOffMs, node('e').drift]).toEqual([true, 2, false, 0, -0.01])
    await time.runFor(1_000)
    expect([node('a').full, node('b').syncFactor, node('e').drift]).toEqual([false, 1, 0])
    expect(calls).toContain('start a')
  })

  it('a torn write waits for one; without one there is none', async () => {
    const { inject, time, calls, write } = stage()
    inject('torn-write', ['a', 'b'], 1_000)
    await time.runFor(100)
    expect(calls).toEqual([])
    await write('a', 1)
    await time.runFor(1)
    expect(calls).toEqual(['power-cut a'])
    await time.runFor(2_000)
    expect(calls).toEqual(['power-cut a', 'start a'])
    await write('b', 1)
    await time.runFor(100)
    expect(calls).toHaveLength(2)
  })

  it('a failed sync that nobody met is called off', async () => {
    const { inject, time, write, disk } = stage()
    inject('sync-error', ['a'], 1_000)
    await time.runFor(1_001)
    await write('a', 1)
    await time.runFor(10)
    expect(disk('a').entriesStored(missionA)).toBe(1)
  })

  it('damage is written down: rot and wiping at the beginning, a roll-back at the end, unless everything heals before', async () => {
    for (const early of [false, true]) {
      const { inject, injector, time, records, disk } = stage()
      for (const name of ['a', 'b', 'c']) {
        const store = await disk(name).open()
        void store.write({ writes: [writeOf(missionA, entriesAfter(5))] })
        await time.runFor(1)
        await store.close()
      }
      inject('bit-rot', ['a'], 1_000)
      inject('disk-wiped', ['b'], 1_000)
      inject('disk-rolled-back', ['c'], 1_000)
      const store = await disk('c').open()
      void store.write({ writes: [writeOf(missionA, entriesAfter(6), { fresh: 1 })] })
      await time.runFor(10)
      if (early) injector.healAll()
      await time.runFor(2_000)
      const damage = records.flatMap((record) => (record.type === 'disk-damaged' ? [[record.node, record.how, record.lost]] : []))
      expect(damage).toEqual([['a', 'bit-rot', [missionA]], ['b', 'disk-wiped', [missionA]], ...(early ? [] : [['c', 'disk-rolled-back', [missionA]]])])
      expect(disk('c').entriesStored(missionA)).toBe(early ? 6 : 5)
    }
  })
})

it('a disk that was replaced meanwhile is not rolled back', async () => {
  const { inject, time, records } = stage()
  inject('disk-rolled-back', ['a'], 2_000)
  inject('disk-wiped', ['a'], 1_000)
  await time.runFor(5_000)
  expect(records.flatMap((record) => (record.type === 'disk-damaged' ? [record.how] : []))).toEqual(['disk-wiped'])
})

describe('anything at all', () => {
  it('heals completely, however many faults overlap, and asks for nothing impossible', async () => {
    const struck = new Set<FaultKind>()
    for (let seed = 0; seed < 60; seed++) {
      const scenario = Scenario.parse({
        name: 'any', durationMs: 60_000, anyFaultEveryMs: 150, nodes: [{ group: 'n', count: 5 }], skills: [{ capability: 'number.double' }],
        workload: [{ kind: 'count', missions: 1, mission: { capability: 'number.double' } }],
      })
      const nodes = expandNodes(scenario, seededRandom([seed, 1]))
      const cluster = fakeCluster(nodes.map(({ name }) => name))
      const injector = createFaultInjector(cluster.world, seed)
      const random = seededRandom([seed, 3])
      for (const fault of planFaults(scenario, nodes, seededRandom([seed, 2]))) {
        await cluster.time.runUntil(fault.atMs)
        injector.inject(fault)
        // The cluster has a life of its own: nodes give up, finish draining, crash at the effect that was drawn.
        const { name } = nodes[random.below(nodes.length)]!
        cluster.leaders.clear()
        cluster.leaders.add(name)
        if (random.below(3) === 0) cluster.goAway(name)
        else if (cluster.node(name).state === 'up' && cluster.node(name).dyingAfter !== Infinity) cluster.end(name, 'crash')
        else if (cluster.node(name).state === 'up' && cluster.node(name).full) cluster.end(name, 'gave-up')
      }
      injector.healAll()
      for (const { name } of nodes) cluster.goAway(name)
      const gone = injector.active()
      expect(gone.map(({ kind }) => kind).filter((kind) => kind !== 'owner-killed-for-good')).toEqual([])
      expect(gone.length).toBeLessThanOrEqual(1)
      await cluster.time.runFor(600_000)
      for (const kind of cluster.kinds('fault')) struck.add(kind)
      expect([...cluster.kinds('healed'), ...gone.map(({ kind }) => kind)].toSorted()).toEqual(cluster.kinds('fault').toSorted())
      expect(nodes.filter(({ name }) => cluster.node(name).state === 'down')).toHaveLength(gone.length)
      for (const { name } of nodes.filter(({ name }) => cluster.node(name).state === 'up')) {
        expect({ ...cluster.node(name), wallOffMs: Math.round(cluster.node(name).wallOffMs), drift: Math.round(cluster.node(name).drift * 1e9) }).toEqual({ state: 'up', frozen: 'no', release: 'own', dyingAfter: Infinity, left: undefined, wallOffMs: 0, drift: 0, syncFactor: 1, full: false, stuck: false })
      }
      expect([cluster.walls.size, cluster.slow.size]).toEqual([0, 0])
      expect(cluster.conditions().lossFraction).toBe(0.1)
    }
    expect([...struck].sort()).toEqual([...faultKinds].sort())
  })
})
