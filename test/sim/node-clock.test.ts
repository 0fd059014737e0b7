import { describe, expect, it } from 'vitest'
import { createVirtualClock } from '../../sim/virtual-clock.ts'

function world() {
  const clock = createVirtualClock({ startWallMs: 1_000_000 })
  const node = clock.clockFor('a')
  const fired: number[] = []
  return { clock, node, fired, after: (delayMs: number) => node.schedule(delayMs, () => void fired.push(clock.nowMs())) }
}

describe('a node’s clock', () => {
  it('drifts from when it is told to, on both faces, and keeps what it has gained', async () => {
    const { clock, node, after, fired } = world()
    await clock.runFor(1_000)
    node.setDrift(0.1)
    await clock.runFor(1_000)
    expect([node.monotonicMs(), node.wallMs()]).toEqual([2_100, 1_002_100])
    // A hundred of its milliseconds are fewer of the world's.
    after(110)
    await clock.runFor(200)
    expect(fired[0]).toBeCloseTo(2_100)
    node.setDrift(0)
    const [monotonic, wall] = [node.monotonicMs(), node.wallMs()]
    await clock.runFor(500)
    expect(node.monotonicMs() - monotonic).toBeCloseTo(500)
    expect(node.wallMs() - wall).toBeCloseTo(500)
  })

  it('shows another date after a jump, and measures time as before', async () => {
    const { clock, node } = world()
    await clock.runFor(10)
    node.jumpWall(-90_000)
    await clock.runFor(10)
    expect([node.monotonicMs(), node.wallMs()]).toEqual([20, 1_000_020 - 90_000])
  })

  it('paused fires nothing, and on resuming fires what came due, in order, but nothing that was cancelled meanwhile', async () => {
    const { clock, node, after, fired } = world()
    after(10)
    const cancel = after(20)
    after(30)
    after(500)
    node.pause(false)
    await clock.runFor(100)
    cancel()
    expect(fired).toEqual([])
    expect(node.monotonicMs()).toBe(100)
    node.resume()
    await clock.runFor(0)
    expect(fired).toEqual([100, 100])
    await clock.runFor(1_000)
    expect(fired).toEqual([100, 100, 500])
  })

  it('frozen stands still, and its wall clock goes on', async () => {
    const { clock, node } = world()
    await clock.runFor(100)
    node.pause(true)
    await clock.runFor(5_000)
    expect([node.monotonicMs(), node.wallMs()]).toEqual([100, 1_005_100])
    node.resume()
    await clock.runFor(50)
    expect([node.monotonicMs(), node.wallMs()]).toEqual([150, 1_005_150])
  })

  it('never goes back when its drift changes while it is frozen', async () => {
    const { clock, node } = world()
    await clock.runFor(1_000)
    node.pause(true)
    await clock.runFor(2_000)
    node.setDrift(-0.1)
    expect(node.monotonicMs()).toBe(1_000)
    await clock.runFor(2_000)
    node.resume()
    expect(node.monotonicMs()).toBe(1_000)
    await clock.runFor(1_000)
    expect(node.monotonicMs()).toBeCloseTo(1_900)
  })

  it('is silent after its end, whatever was held or asked for', async () => {
    const { clock, node, after, fired } = world()
    after(10)
    node.pause(false)
    await clock.runFor(20)
    node.end()
    node.resume()
    after(5)
    let soon = false
    node.soon(() => (soon = true))
    await clock.runFor(100)
    expect([fired, soon]).toEqual([[], false])
  })
})

describe('a stirred world', () => {
  it('lets promises play out only after an event that stirred, or while something is awaited', async () => {
    const clock = createVirtualClock({ settle: 'stirred' })
    const order: string[] = []
    const resolved = (name: string) => void Promise.resolve().then(() => order.push(name))
    clock.schedule(1, () => {
      resolved('quiet')
      clock.schedule(0, () => order.push('next'))
    })
    clock.schedule(2, () => {
      clock.stir()
      resolved('stirred')
      clock.schedule(0, () => order.push('after'))
    })
    await clock.runFor(2)
    expect(order.indexOf('next')).toBeLessThan(order.indexOf('quiet'))
    expect(order.indexOf('stirred')).toBeLessThan(order.indexOf('after'))
  })

  it('calls back soon within the event, in order, before promises and other events', async () => {
    const clock = createVirtualClock({ settle: 'stirred' })
    const order: string[] = []
    clock.schedule(1, () => {
      clock.soon(() => {
        order.push('soon')
        clock.soon(() => order.push('sooner or later'))
      })
      clock.schedule(0, () => order.push('event'))
      order.push('turn')
    })
    await clock.runFor(1)
    expect(order).toEqual(['turn', 'soon', 'sooner or later', 'event'])
  })
})
