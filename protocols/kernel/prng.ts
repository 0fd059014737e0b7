/** A seeded, splittable random source (SplitMix64 seeding of sfc32). The only randomness protocols and actors see. */

export interface Random {
  /** In [0, 1). */
  next(): number
  /** An integer in [0, bound). */
  below(bound: number): number
  /** `length` characters of [a-z0-9]. */
  text(length: number): string
  /** An independent stream. */
  split(): Random
}

const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789'

/** @param seed two unsigned 32-bit words; the same seed gives the same stream on every machine. */
export function seededRandom(seed: readonly [number, number]): Random {
  let a = seed[0] >>> 0
  let b = seed[1] >>> 0
  let c = 0x9e3779b9
  let counter = 1

  function word(): number {
    const t = (a + b + counter) >>> 0
    counter = (counter + 1) >>> 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) >>> 0
    c = ((c << 21) | (c >>> 11)) >>> 0
    c = (c + t) >>> 0
    return t
  }
  for (let warmUp = 0; warmUp < 12; warmUp++) word()

  const random: Random = {
    next: () => word() / 0x1_0000_0000,
    below: (bound) => Math.floor(random.next() * bound),
    text(length) {
      let out = ''
      for (let i = 0; i < length; i++) out += alphabet[random.below(alphabet.length)]
      return out
    },
    split: () => seededRandom([word(), word()]),
  }
  return random
}
