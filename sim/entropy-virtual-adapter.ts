/** The Entropy port out of the world's own random stream. */
import type { Entropy } from '../actors/ports/entropy.ts'
import type { Random } from '../protocols/kernel/prng.ts'

export function createVirtualEntropy(random: Random): Entropy {
  return { seed: () => [random.below(0x1_0000_0000), random.below(0x1_0000_0000)] }
}
