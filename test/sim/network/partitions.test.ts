import { describe, expect, it } from 'vitest'
import { connected, peerOf, upTo } from './stations.ts'

const [a, b, c, d] = [peerOf('a'), peerOf('b'), peerOf('c'), peerOf('d')]

describe('a partition between two groups', () => {
  it('stops everything across it, is noticed, leaves the groups alone, and heals', async () => {
    const world = await connected(['a', 'b', 'c', 'd'])
    const heal = world.network.partition([a, b], [c, d])
    expect(world.network.hop(a, c, 10)).toBeUndefined()
    expect(world.network.hop(a, b, 10)).toBeDefined()
    expect([world.network.canDial(a, c), world.network.canDial(a, b), world.network.reaches(a, d), world.network.reaches(c, d)]).toEqual([false, true, false, true])
    expect(world.send('a', 'c', 1)).toBe(true)
    world.send('a', 'b', 2)
    await world.clock.runFor(2_999)
    expect([world.station('a').heard, world.station('b').heard]).toEqual([[], ['2']])
    await world.clock.runFor(3_100)
    expect(world.station('a').heard.toSorted()).toEqual(['down c', 'down d'])
    expect(world.station('c').heard.toSorted()).toEqual(['down a', 'down b'])
    expect(world.send('a', 'c', 3)).toBe(false)
    heal()
    expect(world.network.canDial(a, c)).toBe(true)
    // Nobody dials by himself unless he is told to.
    await world.clock.runFor(60_000)
    expect(world.station('a').host.connectedPeers()).toEqual([b])
    world.network.connect(a, c)
    await world.clock.runFor(100)
    expect(world.send('a', 'c', 4)).toBe(true)
    await world.clock.runFor(100)
    expect(world.frames('c')).toEqual([4])
  })

  it('that heals before it is noticed costs the streams time and nothing else', async () => {
    const world = await connected(['a', 'b'])
    world.send('a', 'b', 0)
    const heal = world.network.partition([a], [b])
    for (const value of upTo(20).slice(1)) world.clock.schedule(value * 100, () => void world.send('a', 'b', value))
    await world.clock.runFor(1_000)
    expect(world.frames('b')).toEqual([])
    heal()
    heal()
    await world.clock.runFor(60_000)
    expect(world.station('b').heard).toEqual(upTo(20).map(String))
    expect(world.station('a').heard).toEqual([])
  })

  it('may overlap with others: a pair is cut until the last of them has healed', async () => {
    const world = await connected(['a', 'b', 'c'])
    const heals = [world.network.partition([a], [b]), world.network.partition([a, c], [b]), world.network.isolate(b), world.network.partitionOneWay([b], [a])]
    for (const heal of heals) {
      expect(world.network.canDial(a, b)).toBe(false)
      heal()
      heal()
    }
    expect(world.network.canDial(a, b)).toBe(true)
    await world.clock.runFor(60_000)
    expect(world.station('a').heard).toEqual([])
  })

  it('outlives the processes in it', async () => {
    const world = await connected(['a', 'b'])
    const heal = world.network.partition([a], [b])
    world.network.crash(b)
    world.start('b')
    const answers: string[] = []
    world.station('b').host.dial(a, (isConnected, reason) => answers.push(`${isConnected} ${reason}`))
    await world.clock.runFor(10_000)
    expect(answers).toEqual(['false the dial timed out'])
    heal()
    world.station('b').host.dial(a, (isConnected) => answers.push(`${isConnected}`))
    await world.clock.runFor(100)
    expect(answers[1]).toBe('true')
  })

  it('lets a dial under way through when it heals in time', async () => {
    const world = await connected(['a', 'b'])
    world.network.closeConnection(a, b)
    const heal = world.network.partitionOneWay([b], [a])
    await world.clock.runFor(100)
    const answers: boolean[] = []
    world.station('a').host.dial(b, (isConnected) => answers.push(isConnected))
    await world.clock.runFor(2_000)
    expect(answers).toEqual([])
    heal()
    await world.clock.runFor(100)
    expect(answers).toEqual([true])
  })

  it('has nobody on both sides', async () => {
    const world = await connected(['a', 'b'])
    expect(() => world.network.partition([a, b], [b])).toThrow('both sides')
  })
})

describe('a one-way partition', () => {
  it('stops one way only, and yet both ends lose the connection', async () => {
    const world = await connected(['a', 'b'])
    const heal = world.network.partitionOneWay([a], [b])
    world.send('a', 'b', 1)
    world.send('b', 'a', 2)
    expect([world.network.hop(a, b, 10), world.network.hop(b, a, 10)]).toEqual([undefined, expect.anything()])
    await world.clock.runFor(1_000)
    expect([world.station('a').heard, world.station('b').heard]).toEqual([['2'], []])
    await world.clock.runFor(6_000)
    expect([world.station('a').heard, world.station('b').heard]).toEqual([['2', 'down b'], ['down a']])
    const answers: string[] = []
    for (const [name, to] of [['a', b], ['b', a]] as const) world.station(name).host.dial(to, (_connected, reason) => answers.push(reason))
    await world.clock.runFor(10_000)
    expect(answers).toEqual(['the dial timed out', 'the dial timed out'])
    heal()
  })
})

describe('a partition that is not transitive', () => {
  it('separates two that both see a third', async () => {
    const world = await connected(['a', 'b', 'c'])
    world.network.partition([a], [c])
    await world.clock.runFor(7_000)
    for (const [from, to] of [['a', 'b'], ['b', 'a'], ['b', 'c'], ['c', 'b'], ['a', 'c'], ['c', 'a']] as const) world.send(from, to, from.charCodeAt(0))
    await world.clock.runFor(100)
    expect(['a', 'b', 'c'].map((name) => world.frames(name).map((code) => String.fromCharCode(code)).sort())).toEqual([['b'], ['a', 'c'], ['b']])
    expect([world.network.canDial(a, c), world.network.reaches(a, c)]).toEqual([false, true])
  })
})

describe('an isolated host', () => {
  it('hears nobody, also nobody it meets later', async () => {
    const world = await connected(['a', 'b', 'c'])
    const heal = world.network.isolate(c)
    world.start('d')
    const answers: string[] = []
    world.station('d').host.dial(c, (_connected, reason) => answers.push(reason))
    await world.clock.runFor(8_000)
    expect(answers).toEqual(['the dial timed out'])
    expect(world.station('c').heard.toSorted()).toEqual(['down a', 'down b'])
    expect(world.network.canDial(c, d)).toBe(false)
    heal()
    expect(world.network.canDial(c, d)).toBe(true)
  })

  it('is back at once when it rejoins, and its former isolations heal into nothing', async () => {
    const world = await connected(['a', 'b', 'c'])
    const heals = [world.network.isolate(c), world.network.isolate(c)]
    await world.clock.runFor(7_000)
    world.network.rejoin(c)
    await world.clock.runFor(100)
    expect(world.station('c').host.connectedPeers()).toEqual([a, b])
    const again = world.network.isolate(c)
    for (const heal of heals) heal()
    expect(world.network.canDial(a, c)).toBe(false)
    again()
    expect(world.network.canDial(a, c)).toBe(true)
  })
})
