import { describe, expect, it, vi } from 'vitest'
import { Advert } from '../../../protocols/capability/schema.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import type { Conduct } from '../../../sim/scenario/schema.ts'
import { stillRunning } from '../../actors/mission-world.ts'
import { adversary, harm, honest, hostileWorld } from './hostile-world.ts'

vi.setConfig({ testTimeout: 120_000 })

describe('adversaries on a small mesh', () => {
  it('lies-about-speed bids faster than it is, consistently, and others still finish the work', async () => {
    const world = await hostileWorld(1, { kind: 'lies-about-speed', factor: 50 }, { workMs: 300, speed: 0.1 })
    expect(await world.sums(4, 8)).toEqual(Array(4).fill({ state: 'completed', result: 72 }))
    const bids = world.heard('propose').flatMap(({ bids }) => bids)
    expect(bids.length).toBeGreaterThan(0)
    for (const { estimatedFinishMs, breakdown } of bids) {
      expect(breakdown.samples).toBeGreaterThan(0)
      expect(estimatedFinishMs).toBeCloseTo(breakdown.queueMs + breakdown.warmUpMs + breakdown.transferMs + breakdown.runMs)
      expect(estimatedFinishMs).toBeLessThan(3_000)
    }
    expect(harm(world)).toEqual([])
  })

  it('falls-silent takes awards and loses each when its lease is over; the work is done by others', async () => {
    const world = await hostileWorld(2, { kind: 'falls-silent' })
    expect(await world.sums(2, 6)).toMatchObject(Array(2).fill({ state: 'completed' }))
    expect(world.heard('confirm').length).toBeGreaterThan(0)
    expect(world.heard('inform')).toEqual([])
    await world.runFor(10_000)
    expect(stillRunning(world)).toEqual([])
    expect(harm(world)).toEqual([])
  })

  it('bids-and-stalls takes awards and renews them, and gives no result', async () => {
    const world = await hostileWorld(2, { kind: 'bids-and-stalls' })
    // A task that it holds ends with its mission's time, at the latest.
    for (const { state } of await world.sums(2, 6)) expect(['completed', 'failed']).toContain(state)
    expect(world.heard('renew').length).toBeGreaterThan(5)
    expect(world.heard('inform')).toEqual([])
    await world.runFor(10_000)
    expect(stillRunning(world)).toEqual([])
    expect(harm(world)).toEqual([])
  })

  it('wrong-results alters its results, and invents some for the awards of others, which are not accepted', async () => {
    const world = await hostileWorld(3, { kind: 'wrong-results' })
    const outcomes = await world.sums(4, 8)
    expect(outcomes.map(({ state }) => state)).toEqual(Array(4).fill('completed'))
    expect(outcomes.some(({ result }) => result !== 72)).toBe(true)
    const results = world.heard('inform').flatMap((message) => message.results)
    expect(results.some(({ result }) => 'inline' in result && typeof result.inline === 'number' && result.inline % 2 === 1)).toBe(true)
    expect(results.some(({ result }) => JSON.stringify(result).includes('wrong'))).toBe(true)
    expect(JSON.stringify(outcomes)).not.toContain('wrong')
    expect(harm(world)).toEqual([])
  })

  it('oversized-results goes to every limit and beyond', async () => {
    const world = await hostileWorld(4, { kind: 'oversized-results' })
    const outcomes = await world.sums(4, 8)
    const sizes = world.heard('inform').flatMap((message) => message.results).map(({ result }) => ('inline' in result ? String(result.inline).length : -1))
    expect(Math.max(...sizes)).toBeGreaterThan(limits.payloadInlineBytesMax)
    expect(sizes).toContain(-1)
    expect(world.violations.length).toBeGreaterThan(0)
    for (const { from, error } of world.violations) expect([from, String(error)]).toEqual([adversary, expect.stringContaining('over the limit')])
    for (const { state } of outcomes) expect(['completed', 'failed']).toContain(state)
    expect(harm(world)).toEqual([])
  })

  it('forges-adverts names others, and nobody believes it', async () => {
    const world = await hostileWorld(5, { kind: 'forges-adverts', everyMs: 500 })
    await world.runFor(10_000)
    expect(await world.sums(2, 6)).toEqual(Array(2).fill({ state: 'completed', result: 42 }))
    const named = world.heard('advert').map(({ signed }) => Advert.parse(JSON.parse(signed.advert)).peerId)
    expect(named.filter((peer) => peer !== adversary).length).toBeGreaterThan(10)
    for (const name of honest) expect(world.facts(name)).toContain('advert.forged')
    for (const node of await world.node('a').mesh.nodes()) expect(node.advert?.leaving).not.toBe(true)
    expect(harm(world)).toEqual([])
  })

  it('equivocates tells different things under one number, and is found out', async () => {
    const world = await hostileWorld(6, { kind: 'equivocates', everyMs: 1_000 })
    await world.runFor(10_000)
    expect(await world.sums(2, 6)).toEqual(Array(2).fill({ state: 'completed', result: 42 }))
    expect(honest.filter((name) => world.facts(name).includes('advert.equivocation')).length).toBeGreaterThan(0)
    expect(harm(world)).toEqual([])
  })

  it('floods-gossip makes work for everybody, and the work of others is still done', async () => {
    const world = await hostileWorld(7, { kind: 'floods-gossip', perSecond: 200 })
    const before = world.mesh.clock.nowMs()
    expect(await world.sums(4, 8)).toEqual(Array(4).fill({ state: 'completed', result: 72 }))
    expect(world.mesh.clock.nowMs() - before).toBeLessThan(20_000)
    expect(world.mesh.network.counters(adversary).gossipPublished).toBeGreaterThan(400)
    expect(harm(world)).toEqual([])
  })

  it('sends-garbage is refused, and harms nobody', async () => {
    const world = await hostileWorld(8, { kind: 'sends-garbage', everyMs: 20 })
    await world.runFor(10_000)
    expect(await world.sums(2, 6)).toEqual(Array(2).fill({ state: 'completed', result: 42 }))
    expect(world.violations.length).toBeGreaterThan(300)
    expect(world.violations.filter(({ from }) => from !== adversary)).toEqual([])
    expect(harm(world)).toEqual([])
  })
})

describe('any conduct', () => {
  const conducts: Conduct['kind'][] = ['lies-about-speed', 'bids-and-stalls', 'falls-silent', 'wrong-results', 'oversized-results', 'forges-adverts', 'equivocates', 'floods-gossip', 'sends-garbage']

  it.each(conducts)('%s does the same for the same seed', async (kind) => {
    const traces: number[] = []
    for (let time = 0; time < 2; time++) {
      const world = await hostileWorld(9, { kind })
      await world.submit('a', { capability: 'number.sum', input: { values: [1, 2, 3, 4] } })
      await world.runFor(6_000)
      traces.push(world.trace())
    }
    expect(traces[0]).toBe(traces[1])
  })
})
