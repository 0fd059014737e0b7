import { expect, test } from 'vitest'
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import { createSamples, distributionOf } from '../../../sim/measure/samples.ts'

test('no measurements are all zero', () => {
  expect(createSamples().summary()).toEqual({ count: 0, mean: 0, p50: 0, p90: 0, p99: 0, max: 0 })
})

test('few are exact, by nearest rank', () => {
  const samples = createSamples()
  for (let value = 200; value >= 1; value--) samples.add(value)
  expect(samples.summary()).toEqual({ count: 200, mean: 100.5, p50: 100, p90: 180, p99: 198, max: 200 })
})

test('many are within 1 %, zeros included', () => {
  const random = seededRandom([1, 2])
  const values = Array.from({ length: 20_000 }, (_, at) => (at % 5 === 0 ? 0 : Math.exp(random.next() * 14 - 2)))
  const samples = createSamples(1_000)
  values.forEach((value) => samples.add(value))
  const exact = distributionOf(values)
  const found = samples.summary()
  expect(found.count).toBe(exact.count)
  expect(found.max).toBe(exact.max)
  expect(found.mean / exact.mean).toBeCloseTo(1, 9)
  for (const at of ['p50', 'p90', 'p99'] as const) expect(Math.abs(found[at] / exact[at] - 1)).toBeLessThan(0.01)
})
