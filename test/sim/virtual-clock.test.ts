import { describe, expect, it } from 'vitest'
import { createVirtualClock } from '../../sim/virtual-clock.ts'
import { clockContract } from '../contracts/clock.ts'

clockContract('the virtual clock', () => {
  const world = createVirtualClock()
  return { clock: world.clockFor('a'), waitUntil: (condition) => world.runUntil(condition) }
})

describe('the virtual clock', () => {
  it('keeps the order of addition for equal times, also under many events', async () => {
    const world = createVirtualClock()
    const happened: string[] = []
    const expected: { atMs: number; at: number }[] = []
    for (let at = 0; at < 500; at++) {
      const atMs = (at * 7919) % 13
      expected.push({ atMs, at })
      world.schedule(atMs, () => happened.push(`${atMs} ${at}`))
    }
    await world.runFor(13)
    expected.sort((left, right) => left.atMs - right.atMs || left.at - right.at)
    expect(happened).toEqual(expected.map(({ atMs, at }) => `${atMs} ${at}`))
  })

  it('lets long chains of promises play out before the next event', async () => {
    const world = createVirtualClock()
    const order: string[] = []
    world.schedule(1, () => {
      void (async () => {
        for (let turn = 0; turn < 20; turn++) await (async () => Promise.resolve())()
        order.push('chain')
      })()
    })
    world.schedule(1, () => order.push('next'))
    await world.runFor(1)
    expect(order).toEqual(['chain', 'next'])
  })

  it('runs awaiting code on virtual time', async () => {
    const world = createVirtualClock()
    const clock = world.clockFor('a')
    const sleep = (delayMs: number) => new Promise<void>((resolve) => void clock.schedule(delayMs, resolve))
    let sleptMs = 0
    void (async () => {
      for (let night = 0; night < 1_000; night++) await sleep(60_000)
      sleptMs = clock.monotonicMs()
    })()
    await world.runUntil(() => sleptMs > 0, { withinMs: 100_000_000 })
    expect(sleptMs).toBe(60_000_000)
  })

  it('moves exactly to the instant asked for', async () => {
    const world = createVirtualClock({ startWallMs: 1_000 })
    await world.runFor(10.5)
    await world.runUntil(20)
    expect([world.nowMs(), world.wallMs()]).toEqual([20, 1_020])
    expect(await world.step()).toBe(false)
    world.schedule(Infinity, () => undefined)
    expect(await world.step()).toBe(false)
  })

  it('says so when what is waited for cannot come', async () => {
    const world = createVirtualClock()
    await expect(world.runUntil(() => false, { what: 'peace' })).rejects.toThrow('peace never came true: nothing is left to happen')
    const again = () => void world.schedule(1_000, again)
    again()
    await expect(world.runUntil(() => false, { withinMs: 5_000 })).rejects.toThrow('within 5000 ms')
  })

  it('refuses two runs at once, and rejects with what an event throws', async () => {
    const world = createVirtualClock()
    world.schedule(1, () => {
      throw new Error('boom')
    })
    const first = world.runFor(5)
    await expect(world.runFor(1)).rejects.toThrow('already running')
    await expect(first).rejects.toThrow('boom')
  })

  it('silences a killed node and nobody else', async () => {
    const world = createVirtualClock()
    const fired: string[] = []
    const former = world.clockFor('a')
    former.schedule(5, () => fired.push('a'))
    world.clockFor('b').schedule(5, () => fired.push('b'))
    world.kill('a')
    former.schedule(1, () => fired.push('a after death'))
    world.clockFor('a').schedule(6, () => fired.push('a again'))
    await world.runFor(10)
    expect(fired).toEqual(['b', 'a again'])
  })

  it('gives each node clocks of its own', () => {
    const world = createVirtualClock({ startWallMs: 5_000 })
    const off = world.clockFor('off', { originMs: 777, wallSkewMs: -50 })
    expect([off.monotonicMs(), off.wallMs()]).toEqual([777, 4_950])
  })
})
