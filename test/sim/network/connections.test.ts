import { describe, expect, it } from 'vitest'
import { connected, peerOf, stations, upTo } from './stations.ts'

const [a, b, c] = [peerOf('a'), peerOf('b'), peerOf('c')]

describe('a reset after a frame was sent', () => {
  it('loses the frame or not, and always the connection', async () => {
    const outcomes = new Set<string>()
    for (const seed of upTo(20)) {
      const world = await connected(['a', 'b'], {}, seed)
      world.network.resetAfterSend(a, b)
      world.send('b', 'a', 7)
      await world.clock.runFor(100)
      expect([world.frames('a'), world.frames('b')]).toEqual([[7], []])
      expect(world.send('a', 'b', 1)).toBe(true)
      expect(world.send('a', 'b', 2)).toBe(true)
      expect(world.network.counters(a).framesSent).toBe(2)
      await world.clock.runFor(100)
      expect(world.station('a').heard).toEqual(['7', 'down b'])
      outcomes.add(world.station('b').heard.join())
      expect(world.send('a', 'b', 3)).toBe(false)
      world.network.connect(a, b)
      await world.clock.runFor(100)
      world.send('a', 'b', 4)
      await world.clock.runFor(100)
      expect(world.frames('b').at(-1)).toBe(4)
    }
    expect(outcomes).toEqual(new Set(['1,down a', 'down a']))
  })
})

describe('redialling', () => {
  const dialledAgain = async (lost: 'a' | 'b', seed: number): Promise<number> => {
    const world = await connected(['a', 'b'], { redial: true }, seed)
    const lostMs = world.clock.nowMs()
    world.network.closeConnection(a, b)
    await world.clock.runUntil(() => world.station(lost).heard.length === 2)
    expect(world.station(lost).heard[1]).toMatch(/^up/)
    return world.clock.nowMs() - lostMs
  }

  it('is off unless asked for', async () => {
    const world = await connected(['a', 'b'])
    world.network.closeConnection(a, b)
    await world.clock.runFor(60_000)
    expect(world.station('a').heard).toEqual(['down b'])
  })

  it('connects a pair again within about a tenth of a second', async () => {
    for (const seed of upTo(10)) {
      const againMs = await dialledAgain('a', seed)
      expect(againMs).toBeGreaterThan(50)
      expect(againMs).toBeLessThan(170)
    }
  })

  it('is left to the higher peer id when the lower one cannot', async () => {
    const world = await connected(['a', 'b'], { redial: true, connectionsAimed: 1 })
    world.start('c')
    world.network.connect(a, c)
    await world.clock.runFor(100)
    const lostMs = world.clock.nowMs()
    world.network.closeConnection(a, b)
    await world.clock.runUntil(() => world.station('b').heard.includes('up a'))
    expect(world.clock.nowMs() - lostMs).toBeGreaterThan(600)
    expect(world.clock.nowMs() - lostMs).toBeLessThan(800)
  })

  it('comes back after a partition, with a back-off of at most half a minute and a half', async () => {
    const world = await connected(['a', 'b', 'c'], { redial: true })
    const heal = world.network.partition([a], [b, c])
    await world.clock.runFor(300_000)
    expect(world.station('a').host.connectedPeers()).toEqual([])
    heal()
    const healedMs = world.clock.nowMs()
    await world.clock.runUntil(() => world.station('a').host.connectedPeers().length === 2, { withinMs: 51_000 })
    expect(world.clock.nowMs()).toBeGreaterThan(healedMs)
    for (const name of ['b', 'c']) expect(world.station(name).heard).toEqual(['down a', 'up a'])
    await world.clock.runFor(600_000)
    expect(world.station('a').heard).toHaveLength(4)
  })

  it('finds the next life of a process, however long it was away, without dialling all the while', async () => {
    const world = await connected(['a', 'b'], { redial: true })
    world.network.crash(b)
    await world.clock.runFor(1_000)
    const { events } = world.clock
    await world.clock.runFor(600_000)
    expect(world.clock.events).toBe(events)
    const again = world.start('b')
    await world.clock.runFor(46_000)
    expect(again.heard).toEqual(['up a'])
    expect(world.station('a').heard).toEqual(['down b', 'up b'])
  })

  it('forgets a peer after twenty minutes or so', async () => {
    const world = await connected(['a', 'b'], { redial: true })
    world.network.crash(b)
    await world.clock.runFor(3_600_000)
    const again = world.start('b')
    await world.clock.runFor(120_000)
    expect(again.heard).toEqual([])
  })

  it('is not done by a paused process', async () => {
    const world = await connected(['a', 'b'], { redial: true })
    world.network.closeConnection(a, b)
    await world.clock.runFor(20)
    world.network.pause(a)
    world.network.pause(b)
    await world.clock.runFor(30_000)
    world.network.resume(a)
    world.network.resume(b)
    await world.clock.runFor(1_000)
    expect(world.station('a').heard).toEqual(['down b', 'up b'])
  })
})

describe('a newcomer', () => {
  it('connects to everybody in a small mesh, and to as many as it aims at in a bigger one', async () => {
    const world = stations()
    for (const name of upTo(30).map(String)) {
      world.start(name)
      world.network.connectNewcomer(peerOf(name), 8)
      await world.clock.runFor(100)
      const live = Number(name) + 1
      if (live <= 9) expect(world.station(name).host.connectedPeers()).toHaveLength(live - 1)
      else expect(world.station(name).host.connectedPeers()).toHaveLength(8)
    }
    expect(world.network.totals().connectionsOpened / 2).toBe(36 + 21 * 8)
    expect(world.network.reaches(peerOf('0'), peerOf('29'))).toBe(true)
  })

  it('chooses by its own name, and others in its next life', async () => {
    const chosen = async (lives: number): Promise<readonly string[]> => {
      const world = stations()
      for (const name of upTo(50).map(String)) world.start(name)
      for (let life = 1; life < lives; life++) {
        world.network.crash(peerOf('49'))
        world.start('49')
      }
      world.network.connectNewcomer(peerOf('49'), 5, true)
      return world.station('49').host.connectedPeers()
    }
    const first = await chosen(1)
    expect(await chosen(1)).toEqual(first)
    expect(await chosen(2)).not.toEqual(first)
  })

  it('of ten thousand costs its own connections and no more', async () => {
    const world = stations()
    const count = 10_000
    for (const name of upTo(count).map(String)) world.network.connectNewcomer(world.start(name).host.peer, 16, true)
    expect(world.network.totals().connectionsOpened / 2).toBe((17 * 16) / 2 + (count - 17) * 16)
    // Nobody was left out, and the last have no more than they dialled.
    expect(Math.min(...upTo(count).map((at) => world.station(String(at)).host.connectedPeers().length))).toBe(16)
    expect(world.network.reaches(peerOf('0'), peerOf('9999'))).toBe(true)
    const groups = [upTo(5_000), upTo(count).slice(5_000)].map((group) => group.map((at) => peerOf(String(at)))) as [never[], never[]]
    const heal = world.network.partition(...groups)
    expect(world.network.reaches(peerOf('0'), peerOf('9999'))).toBe(false)
    expect(world.network.reaches(peerOf('0'), peerOf('4999'))).toBe(true)
    heal()
    expect(world.network.reaches(peerOf('0'), peerOf('9999'))).toBe(true)
    expect(await world.clock.step()).toBe(true)
  })
})

describe('the list of connected peers', () => {
  it('is the same array until it changes, and sorted', async () => {
    const world = await connected(['a', 'c', 'b'])
    const { host } = world.station('a')
    const before = host.connectedPeers()
    expect(before).toEqual([b, c])
    expect(host.connectedPeers()).toBe(before)
    world.network.closeConnection(a, b)
    await world.clock.runFor(100)
    expect(host.connectedPeers()).toEqual([c])
    expect(before).toEqual([b, c])
  })
})

describe('the tap', () => {
  it('hears of every frame as it is taken', async () => {
    const world = await connected(['a', 'b'])
    const taken: string[] = []
    world.network.onDelivered((from, to, bytes, messages) => taken.push(`${from} ${to} ${bytes.length} ${messages}`))
    world.network.pause(b)
    world.send('a', 'b', 1, 33)
    await world.clock.runFor(100)
    expect(taken).toEqual([])
    world.network.resume(b)
    await world.clock.runFor(100)
    expect(taken).toEqual([`${a} ${b} 33 1`])
  })
})
