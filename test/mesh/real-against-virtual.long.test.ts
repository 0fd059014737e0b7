/** The simulator's gossip and DHT beside 20 real nodes: what is sent for the same scenario, counted, not timed. */
import { expect, it } from 'vitest'
import { compare, meanVirtual, tableOf } from '../../scripts/bench/gossip/compare.ts'
import { runReal } from '../../scripts/bench/gossip/real-run.ts'
import { deliveriesDue } from '../../scripts/bench/gossip/scenario.ts'

/** Of a mesh this small, one run's grafts and prunes are a matter of luck; the messages that follow from them are not. */
const byLuck = ['graft', 'prune', 'iwant']
const toleranceFraction = 0.15

it('sends what real nodes send, within 15 %', { timeout: 600_000 }, async () => {
  const [real, virtual] = [await runReal(), await meanVirtual()]
  expect([real.delivered, virtual.delivered]).toEqual([deliveriesDue(), deliveriesDue()])
  const rows = compare(real, virtual)
  const off = rows.filter(({ name, ratio }) => !byLuck.includes(name) && Math.abs(ratio - 1) > toleranceFraction)
  expect(off, tableOf(rows)).toEqual([])
  // Nothing is lost here, so (almost) nothing is fetched.
  expect(real.iwant).toBeLessThan(0.02 * real.delivered)
})
