import { describe, expect, it } from 'vitest'
import type { VirtualNetworkInit } from '../../../sim/virtual-network.ts'
import { connected, peerOf, stations, upTo, type Stations } from './stations.ts'

const [a, b, c] = [peerOf('a'), peerOf('b'), peerOf('c')]

async function burst(world: Stations, count: number, everyMs: number, bytes = 10): Promise<void> {
  for (const value of upTo(count)) world.clock.schedule(value * everyMs, () => void world.send('a', 'b', value, bytes))
  await world.clock.runFor(count * everyMs + 120_000)
}

describe('latency', () => {
  it('has a base per pair, a jitter of at most a tenth, and is longer between sites', async () => {
    const world = stations({ latencyMs: { uniform: [1, 2] }, betweenSitesLatencyMs: { uniform: [50, 60] } })
    for (const [name, site] of [['a', 'home'], ['b', 'home'], ['c', 'away']] as const) world.start(name, site)
    const near = upTo(200).map(() => world.network.latencyMs(a, b))
    const [least, most] = [Math.min(...near), Math.max(...near)]
    expect(least).toBeGreaterThanOrEqual(1)
    expect(most / least).toBeGreaterThan(1.05)
    expect(most / least).toBeLessThanOrEqual(1.1)
    expect(world.network.latencyMs(a, c)).toBeGreaterThanOrEqual(50)
    world.network.setSite(c, 'home')
    expect(world.network.latencyMs(a, c)).toBeLessThan(2.2)
    world.network.setSite(c, 'away')
    expect(world.network.latencyMs(a, c)).toBeGreaterThanOrEqual(50)
  })

  it('is the same for a pair whatever happened before it was first used', () => {
    const [one, other] = [stations({ latencyMs: { lognormal: { median: 5, p99: 50 } } }), stations({ latencyMs: { lognormal: { median: 5, p99: 50 } } })]
    other.network.latencyMs(b, c)
    expect(one.network.latencyMs(a, b)).toBe(other.network.latencyMs(a, b))
    expect(one.network.latencyMs(a, b)).not.toBe(one.network.latencyMs(a, b))
  })

  it('is multiplied on a slow link until it is restored', () => {
    const { network } = stations({ latencyMs: 10 })
    network.slowLink(a, b, 8)
    expect(network.latencyMs(a, b)).toBeGreaterThanOrEqual(80)
    expect(network.latencyMs(a, c)).toBeLessThanOrEqual(11)
    network.restoreLink(a, b)
    expect(network.latencyMs(a, b)).toBeLessThanOrEqual(11)
  })
})

describe('loss on a stream', () => {
  it('costs time and neither frames nor order', async () => {
    const world = await connected(['a', 'b'])
    world.network.setConditions({ lossFraction: 0.2, duplicationFraction: 0.5, reorderingFraction: 0.5 })
    await burst(world, 200, 50)
    expect(world.frames('b')).toEqual(upTo(200))
  })

  it('holds back every frame behind the lost one', async () => {
    const world = await connected(['a', 'b'], { latencyMs: 1 })
    world.network.setConditions({ lossFraction: 1 })
    world.send('a', 'b', 0)
    world.network.setConditions({ lossFraction: 0 })
    for (const value of [1, 2, 3]) world.send('a', 'b', value)
    // Behind a frame that never gets through, pings do not either.
    await world.clock.runFor(10_000)
    expect(world.station('b').heard).toEqual(['down a'])

    const blocked = await connected(['a', 'b'], { latencyMs: 1, hungPeerMs: 1_000_000 })
    blocked.network.setConditions({ lossFraction: 0.6 })
    const sentMs = blocked.clock.nowMs()
    for (const value of upTo(8)) blocked.send('a', 'b', value)
    await blocked.clock.runFor(200_000)
    expect(blocked.frames('b')).toEqual(upTo(8))
    const delaysMs = blocked.station('b').atMs.map((atMs) => atMs - sentMs)
    expect(delaysMs.toSorted((left, right) => left - right)).toEqual(delaysMs)
    // At least one was lost, and what was sent with it arrived with it: right behind, not a round trip later.
    expect(delaysMs.at(-1)).toBeGreaterThan(200)
    expect(delaysMs.some((delayMs, at) => at > 0 && delayMs - delaysMs[at - 1]! < 0.001)).toBe(true)
  })

  it('waits at least 200 ms and twice the round trip, and twice as long for every further loss', async () => {
    const world = await connected(['a', 'b'], { latencyMs: 200, hungPeerMs: 1_000_000 }, 5)
    world.network.setConditions({ lossFraction: 0.5 })
    const delaysMs: number[] = []
    for (const value of upTo(60)) {
      const sentMs = world.clock.nowMs()
      world.send('a', 'b', value)
      await world.clock.runUntil(() => world.frames('b').length === value + 1)
      delaysMs.push(world.clock.nowMs() - sentMs)
    }
    const losses = delaysMs.map((delayMs) => Math.log2((delayMs - 200) / 800 + 1))
    for (const count of losses) expect(Math.abs(count - Math.round(count))).toBeLessThan(0.05)
    expect(new Set(losses.map(Math.round)).size).toBeGreaterThan(3)
  })
})

describe('loss on a dial', () => {
  it('makes it slow, and hopeless when nothing gets through', async () => {
    const world = stations({ latencyMs: 1 })
    for (const name of ['a', 'b', 'c']) world.start(name)
    const answers: string[] = []
    const dial = (to: typeof a): void => world.station('a').host.dial(to, (isConnected, reason) => answers.push(`${isConnected} ${reason}`))
    world.network.setConditions({ lossFraction: 1 })
    dial(b)
    world.network.setConditions({ lossFraction: 0 })
    dial(c)
    await world.clock.runFor(100)
    expect(answers).toEqual(['true '])
    await world.clock.runFor(10_000)
    expect(answers[1]).toBe('false the dial timed out')
  })
})

describe('bandwidth', () => {
  const narrow: Partial<VirtualNetworkInit> = { latencyMs: 1, bandwidthBytesPerSecond: 1_000_000 }

  it('makes the frames of one uplink wait for each other, whoever they are for', async () => {
    const world = await connected(['a', 'b', 'c'], narrow)
    const sentMs = world.clock.nowMs()
    for (const value of [0, 1, 2]) for (const to of ['b', 'c']) world.send('a', to, value, 100_000)
    world.send('b', 'c', 9, 100_000)
    await world.clock.runFor(10_000)
    const atMs = (name: string): number[] => world.station(name).atMs.map((instantMs) => Math.round((instantMs - sentMs) / 100) * 100)
    expect(atMs('b')).toEqual([100, 300, 500])
    expect(world.frames('c')).toEqual([9, 0, 1, 2])
    expect(atMs('c')).toEqual([100, 200, 400, 600])
  })

  it('is divided on a slow link, and leaves the uplink to others', async () => {
    const world = await connected(['a', 'b', 'c'], narrow)
    world.network.slowLink(a, b, 10)
    const sentMs = world.clock.nowMs()
    for (const value of [0, 1]) world.send('a', 'b', value, 100_000)
    world.send('a', 'c', 2, 100_000)
    await world.clock.runFor(10_000)
    expect(world.station('b').atMs.map((atMs) => Math.round((atMs - sentMs) / 100) * 100)).toEqual([1_000, 2_000])
    expect(Math.round(world.station('c').atMs[0]! - sentMs)).toBe(301)
  })

  it('is shared by gossip hops', async () => {
    const world = await connected(['a', 'b'], narrow)
    expect(world.network.hop(a, b, 50_000)?.delayMs).toBeCloseTo(51, 0)
    expect(world.network.hop(a, b, 50_000)?.delayMs).toBeCloseTo(101, 0)
  })
})

describe('a gossip hop', () => {
  const delaysMs = (world: Stations, count: number): number[] => upTo(count).flatMap(() => world.network.hop(a, b, 100)?.delayMs ?? [])

  it('takes a latency and needs a connection', async () => {
    const world = await connected(['a', 'b'], { latencyMs: 10 })
    expect(world.network.hop(a, b, 100)).toEqual({ delayMs: expect.closeTo(10.5, 0) as number, duplicate: false })
    expect(world.network.hop(a, c, 100)).toBeUndefined()
    world.network.crash(b)
    expect(world.network.hop(a, b, 100)).toBeUndefined()
    expect(world.network.counters(a).framesSent).toBe(0)
  })

  it('is lost, doubled and overtaken as often as the conditions say, from when they are set', async () => {
    const world = await connected(['a', 'b'], { latencyMs: 10 })
    expect(delaysMs(world, 1_000)).toHaveLength(1_000)
    world.network.setConditions({ lossFraction: 0.3 })
    expect(delaysMs(world, 1_000).length / 1_000).toBeCloseTo(0.7, 1)
    world.network.setConditions({ lossFraction: 0, duplicationFraction: 0.25 })
    expect(upTo(1_000).filter(() => world.network.hop(a, b, 100)?.duplicate).length / 1_000).toBeCloseTo(0.25, 1)
    world.network.setConditions({ duplicationFraction: 0, reorderingFraction: 0.4 })
    expect(delaysMs(world, 1_000).filter((delayMs) => delayMs > 11).length / 1_000).toBeCloseTo(0.4, 1)
    expect(world.network.conditions()).toEqual({ lossFraction: 0, duplicationFraction: 0, reorderingFraction: 0.4 })
  })

  it('is lost besides by what gossip alone loses', async () => {
    const world = await connected(['a', 'b'], { gossipLossFraction: 0.5 })
    expect(delaysMs(world, 1_000).length / 1_000).toBeCloseTo(0.5, 1)
  })
})

describe('a run', () => {
  it('is the same for the same seed, whatever the conditions', async () => {
    const run = async (seed: number): Promise<unknown> => {
      const world = await connected(['a', 'b', 'c'], { latencyMs: { lognormal: { median: 2, p99: 20 } }, bandwidthBytesPerSecond: 100_000, redial: true }, seed)
      const delivered: string[] = []
      world.network.onDelivered((from, to, bytes, messages) => delivered.push(`${world.clock.nowMs()} ${from} ${to} ${bytes.length} ${messages}`))
      world.network.setConditions({ lossFraction: 0.1 })
      for (const value of upTo(200)) world.clock.schedule(value * 100, () => void world.send('abc'[value % 3]!, 'bca'[value % 3]!, value))
      world.clock.schedule(3_000, () => world.network.pause(b))
      world.clock.schedule(11_000, () => world.network.resume(b))
      world.clock.schedule(6_000, () => world.clock.schedule(7_000, world.network.partition([a], [c])))
      world.clock.schedule(18_000, () => world.network.resetAfterSend(a, b))
      await world.clock.runFor(120_000)
      return [delivered, ['a', 'b', 'c'].map((name) => [world.station(name).heard, world.station(name).atMs])]
    }
    const first = await run(7)
    expect(await run(7)).toEqual(first)
    expect(await run(8)).not.toEqual(first)
  })
})
