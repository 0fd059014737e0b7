import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Clock } from '../../actors/ports/clock.ts'

export interface ClockUnderTest {
  readonly clock: Clock
  /** Lets time pass until the condition holds. */
  waitUntil(condition: () => boolean): Promise<void>
  stop?(): void | Promise<void>
}

/** What every Clock must do. */
export function clockContract(name: string, setup: () => ClockUnderTest | Promise<ClockUnderTest>): void {
  describe(`${name} keeps the clock contract`, () => {
    let under: ClockUnderTest
    beforeEach(async () => {
      under = await setup()
    })
    afterEach(() => under.stop?.())

    it('calls back once, not before the delay and not from inside schedule', async () => {
      const { clock } = under
      const startMs = clock.monotonicMs()
      const firedMs: number[] = []
      clock.schedule(20, () => firedMs.push(clock.monotonicMs()))
      expect(firedMs).toEqual([])
      await under.waitUntil(() => firedMs.length > 0)
      expect(firedMs[0]! - startMs).toBeGreaterThanOrEqual(19)
      let later = false
      clock.schedule(40, () => (later = true))
      await under.waitUntil(() => later)
      expect(firedMs).toHaveLength(1)
    })

    it('never calls back from inside schedule, even without a delay', async () => {
      const order: string[] = []
      under.clock.schedule(0, () => order.push('fired'))
      order.push('scheduled')
      await under.waitUntil(() => order.length === 2)
      expect(order).toEqual(['scheduled', 'fired'])
    })

    it('does not call back what was cancelled', async () => {
      const fired: string[] = []
      const cancel = under.clock.schedule(5, () => fired.push('cancelled'))
      under.clock.schedule(30, () => fired.push('kept'))
      cancel()
      cancel()
      await under.waitUntil(() => fired.length > 0)
      expect(fired).toEqual(['kept'])
    })

    it('calls back in the order of the times', async () => {
      const fired: number[] = []
      for (const delayMs of [60, 1, 30]) under.clock.schedule(delayMs, () => fired.push(delayMs))
      await under.waitUntil(() => fired.length === 3)
      expect(fired).toEqual([1, 30, 60])
    })

    it('never goes back, and its wall clock shows a date of our time', async () => {
      const first = under.clock.monotonicMs()
      let passed = false
      under.clock.schedule(1, () => (passed = true))
      await under.waitUntil(() => passed)
      expect(under.clock.monotonicMs()).toBeGreaterThanOrEqual(first)
      expect(under.clock.wallMs()).toBeGreaterThan(Date.UTC(2020, 0, 1))
    })
  })
}
