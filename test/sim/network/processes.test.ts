import { describe, expect, it } from 'vitest'
import { connected, peerOf, upTo } from './stations.ts'

const [a, b, c] = [peerOf('a'), peerOf('b'), peerOf('c')]

describe('a paused process', () => {
  it('does nothing and hears nothing until it is resumed, then everything in order', async () => {
    const world = await connected(['a', 'b', 'c'])
    const { heard, host } = world.station('b')
    host.schedule(500, () => heard.push('timer'))
    world.network.pause(b)
    expect([world.network.isPaused(b), world.network.isPaused(a)]).toEqual([true, false])
    for (const value of upTo(10)) world.clock.schedule(value * 100, () => void world.send('a', 'b', value))
    world.clock.schedule(950, () => world.network.closeConnection(b, c))
    await world.clock.runFor(1_500)
    expect(heard).toEqual([])
    world.network.resume(b)
    world.send('a', 'b', 10)
    await world.clock.runFor(10_000)
    expect(heard.filter((text) => text !== 'timer')).toEqual([...upTo(10).map(String), 'down c', '10'])
    expect(heard.indexOf('timer')).toBe(5)
    expect(world.station('a').heard).toEqual([])
    expect(world.network.isPaused(b)).toBe(false)
  })

  it('is hung to its peers: they hear down, and what they send from then on is lost', async () => {
    const world = await connected(['a', 'b'])
    world.network.pause(b)
    world.send('a', 'b', 1)
    await world.clock.runFor(2_900)
    expect(world.station('a').heard).toEqual([])
    expect(world.send('a', 'b', 2)).toBe(true)
    await world.clock.runFor(3_200)
    expect(world.station('a').heard).toEqual(['down b'])
    expect(world.send('a', 'b', 3)).toBe(false)
    await world.clock.runFor(60_000)
    expect(world.station('b').heard).toEqual([])
    world.network.resume(b)
    await world.clock.runFor(1_000)
    expect(world.station('b').heard).toEqual(['1', '2', 'down a'])
    expect(world.network.counters(b).framesReceived).toBe(2)
  })

  it('is not noticed when it is back before anybody loses patience', async () => {
    const world = await connected(['a', 'b'])
    for (let round = 0; round < 20; round++) {
      world.network.pause(b)
      await world.clock.runFor(2_500)
      world.network.resume(b)
      await world.clock.runFor(10)
    }
    await world.clock.runFor(10_000)
    expect([world.station('a').heard, world.station('b').heard]).toEqual([[], []])
  })

  it('can be paused again before it has caught up', async () => {
    const world = await connected(['a', 'b'])
    world.network.pause(b)
    for (const value of upTo(5)) world.send('a', 'b', value)
    await world.clock.runFor(100)
    world.network.resume(b)
    for (let step = 0; step < 3; step++) await world.clock.step()
    expect(world.frames('b')).toEqual([0, 1, 2])
    world.network.pause(b)
    await world.clock.runFor(100)
    expect(world.frames('b')).toEqual([0, 1, 2])
    world.network.resume(b)
    await world.clock.runFor(100)
    expect(world.frames('b')).toEqual(upTo(5))
  })

  it('lets a dial wait, and answers it on resume or never', async () => {
    const world = await connected(['a', 'b', 'c'])
    for (const peer of [b, c]) {
      world.network.closeConnection(a, peer)
      world.network.pause(peer)
    }
    await world.clock.runFor(100)
    const answers: string[] = []
    for (const peer of [b, c]) world.station('a').host.dial(peer, (isConnected, reason) => answers.push(`${peer} ${isConnected} ${reason}`))
    await world.clock.runFor(3_000)
    expect(answers).toEqual([])
    world.network.resume(b)
    await world.clock.runFor(100)
    expect(answers).toEqual([`${b} true `])
    await world.clock.runFor(3_000)
    expect(answers[1]).toBe(`${c} false the dial timed out`)
  })

  it('can be killed: nothing of what waited ever happens', async () => {
    const world = await connected(['a', 'b'])
    world.network.pause(b)
    world.send('a', 'b', 1)
    await world.clock.runFor(100)
    world.network.crash(b)
    await world.clock.runFor(100)
    expect(world.station('a').heard).toEqual(['down b'])
    world.network.resume(b)
    const again = world.start('b')
    world.network.connect(a, b)
    await world.clock.runFor(10_000)
    expect(again.heard).toEqual(['up a'])
    expect(world.network.counters(b).framesReceived).toBe(0)
  })

  it('notices after its sleep that the others are gone behind a partition', async () => {
    const world = await connected(['a', 'b'])
    world.network.pause(b)
    world.network.partition([a], [b])
    await world.clock.runFor(20_000)
    expect([world.station('a').heard, world.station('b').heard]).toEqual([['down b'], []])
    world.network.resume(b)
    await world.clock.runFor(7_000)
    expect(world.station('b').heard).toEqual(['down a'])
  })

  it('and another that was paused at the same time find each other gone', async () => {
    const world = await connected(['a', 'b'])
    world.network.pause(a)
    world.network.pause(b)
    await world.clock.runFor(20_000)
    world.network.resume(a)
    await world.clock.runFor(7_000)
    expect([world.station('a').heard, world.station('b').heard]).toEqual([['down b'], []])
    world.network.resume(b)
    await world.clock.runFor(7_000)
    expect(world.station('b').heard).toEqual(['down a'])
  })
})

describe('a crash', () => {
  it('lets what was on its way arrive before the others notice, or not', async () => {
    const outcomes = new Set<string>()
    for (const seed of upTo(30)) {
      const world = await connected(['a', 'b'], { latencyMs: 50 }, seed)
      for (const value of [1, 2]) world.send('a', 'b', value)
      world.network.crash(a)
      world.start('a')
      await world.clock.runFor(1_000)
      outcomes.add(world.station('b').heard.join())
    }
    expect(outcomes).toEqual(new Set(['1,2,down a', 'down a']))
  })

  it('takes what is on its way to the dead with it', async () => {
    const world = await connected(['a', 'b'], { latencyMs: 50 })
    world.send('a', 'b', 1)
    world.network.crash(b)
    world.start('b')
    await world.clock.runFor(1_000)
    expect(world.station('b').heard).toEqual([])
  })

  it('of a process is noticed at once, that of a machine by silence', async () => {
    const world = await connected(['a', 'b', 'c'])
    world.network.crash(b)
    world.network.crash(c, 'machine')
    await world.clock.runFor(100)
    expect(world.station('a').heard).toEqual(['down b'])
    await world.clock.runFor(6_000)
    expect(world.station('a').heard).toEqual(['down b', 'down c'])
  })
})
