/** Measurements in a bounded space: exact while they are few, within 1 % when they are many. */
import type { Distribution5 } from '../report.ts'

export interface Samples {
  /** A number of at least 0. */
  add(value: number): void
  summary(): Distribution5
}

const exactMax = 100_000
/** Half of the error promised. */
const relativeError = 0.005
const gamma = (1 + relativeError) / (1 - relativeError)
/** Anything smaller counts as 0. */
const smallest = 1e-6

/** @param exactlyMax how many values are kept as they are; beyond it they are counted in buckets that grow with the value (Masson, Rim and Lee, "DDSketch", VLDB 2019). */
export function createSamples(exactlyMax = exactMax): Samples {
  let exact: number[] | undefined = []
  const counts = new Map<number, number>()
  let count = 0
  let sum = 0
  let max = 0

  const bucketOf = (value: number): number => (value < smallest ? -Infinity : Math.ceil(Math.log(value) / Math.log(gamma)))
  const middleOf = (bucket: number): number => (bucket === -Infinity ? 0 : (2 * gamma ** bucket) / (gamma + 1))
  function tally(value: number): void {
    const bucket = bucketOf(value)
    counts.set(bucket, (counts.get(bucket) ?? 0) + 1)
  }

  return {
    add(value) {
      count += 1
      sum += value
      max = Math.max(max, value)
      if (exact === undefined) return tally(value)
      exact.push(value)
      if (exact.length <= exactlyMax) return
      exact.forEach(tally)
      exact = undefined
    },
    summary() {
      if (exact !== undefined) return distributionOf(exact)
      const buckets = [...counts].sort(([left], [right]) => left - right)
      const at = (fraction: number): number => {
        let left = rankOf(count, fraction) + 1
        for (const [bucket, inBucket] of buckets) {
          left -= inBucket
          if (left <= 0) return Math.min(max, middleOf(bucket))
        }
        return max
      }
      return { count, mean: sum / count, p50: at(0.5), p90: at(0.9), p99: at(0.99), max }
    },
  }
}

/** Exact, by nearest rank. */
export function distributionOf(values: readonly number[]): Distribution5 {
  if (values.length === 0) return { count: 0, mean: 0, p50: 0, p90: 0, p99: 0, max: 0 }
  const sorted = Float64Array.from(values).sort()
  const at = (fraction: number): number => sorted[rankOf(sorted.length, fraction)] as number
  return { count: sorted.length, mean: sorted.reduce((sum, value) => sum + value, 0) / sorted.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) }
}

function rankOf(count: number, fraction: number): number {
  return Math.max(0, Math.ceil(count * fraction) - 1)
}
