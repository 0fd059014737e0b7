/** Drawing from a scenario's distributions with the world's own randomness. */
import type { Random } from '../../protocols/kernel/prng.ts'
import type { Distribution } from './schema.ts'

/** The 99th percentile of a standard normal distribution. */
const z99 = 2.3263478740408408

/** @returns a number of at least 0. */
export function draw(distribution: Distribution, random: Random): number {
  if (typeof distribution === 'number') return distribution
  if ('uniform' in distribution) {
    const [low, high] = distribution.uniform
    return low + random.next() * (high - low)
  }
  if ('exponential' in distribution) return -Math.log(1 - random.next()) * distribution.exponential
  const { median, p99 } = distribution.lognormal
  return median * Math.exp((Math.log(Math.max(p99, median) / median) / z99) * standardNormal(random))
}

/** Box and Muller, 1958. */
function standardNormal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next())
}
