import { expect, test } from 'vitest'
import { createBuckets } from '../../../sim/measure/buckets.ts'

function counted(durationMs: number) {
  const flows = { submitted: 0, completed: 0, failed: 0, messages: 0, bytes: 0, faults: 0 }
  const levels = { running: 0, waiting: 0, slotsBusy: 0, slotsUp: 0, nodesUp: 0 }
  return { flows, levels, buckets: createBuckets({ durationMs, flows: () => flows, levels: () => levels }) }
}

test('what happens is counted in its bucket; levels are those at its end', () => {
  const { flows, levels, buckets } = counted(1_000)
  for (const atMs of [0, 5, 10, 25]) {
    buckets.reach(atMs)
    flows.submitted += 1
    levels.running = atMs
  }
  const all = buckets.close(31)
  expect(all.map(({ atMs, submitted, running }) => [atMs, submitted, running])).toEqual([[0, 2, 5], [10, 1, 10], [20, 1, 25], [30, 0, 25]])
})

test('a run that goes on gets wider buckets and loses nothing', () => {
  const { flows, buckets } = counted(75_000)
  for (let atMs = 0; atMs < 375_000; atMs += 100) {
    buckets.reach(atMs)
    flows.messages += 3
  }
  const all = buckets.close(375_000)
  expect(all.length).toBeGreaterThan(80)
  expect(all.length).toBeLessThanOrEqual(200)
  expect(all.reduce((sum, bucket) => sum + bucket.messages, 0)).toBe(3 * 3_750)
  expect(new Set(all.slice(1).map((bucket, at) => bucket.atMs - (all[at]?.atMs ?? 0)))).toEqual(new Set([2_000]))
})
