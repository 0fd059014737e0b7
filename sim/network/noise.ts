/**
 * Cheap randomness for things that there are millions of (links): one number of state each, seeded from the world's `Random`.
 * The generator is mulberry32 (Tommy Ettinger): 32 bits of state, good enough for latencies and coins.
 */
import type { Random } from '../../protocols/kernel/prng.ts'

export interface NoiseSource {
  /** A 32-bit integer; any value is a seed. */
  noise: number
}

/** @returns a number in [0, 1), and moves the source on. */
export function nextFraction(source: NoiseSource): number {
  source.noise = (source.noise + 0x6d2b79f5) | 0
  let word = source.noise
  word = Math.imul(word ^ (word >>> 15), word | 1)
  word ^= word + Math.imul(word ^ (word >>> 7), word | 61)
  return ((word ^ (word >>> 14)) >>> 0) / 0x1_0000_0000
}

/** Spreads two words over one (the finaliser of MurmurHash3): seeds for a thing that is named by two others. */
export function mixedSeed(left: number, right: number): number {
  let word = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca77)
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b)
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35)
  return (word ^ (word >>> 16)) | 0
}

/** The source as a `Random`, for what draws from distributions. It moves the source on. */
export function randomFrom(source: NoiseSource): Random {
  const random: Random = {
    next: () => nextFraction(source),
    below: (bound) => Math.floor(nextFraction(source) * bound),
    text: (length) => Array.from({ length }, () => 'abcdefghijklmnopqrstuvwxyz0123456789'[random.below(36)]).join(''),
    split: () => randomFrom({ noise: mixedSeed(random.below(0x1_0000_0000), random.below(0x1_0000_0000)) }),
  }
  return random
}
