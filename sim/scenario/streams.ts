/** The independent streams of randomness of one run, each from the seed and its own name: drawing more from one changes no other. */
import { hash32 } from '../../protocols/kernel/hashing.ts'
import { seededRandom, type Random } from '../../protocols/kernel/prng.ts'

export type StreamName = 'nodes' | 'arrivals' | 'faults' | 'fate' | 'skills' | 'clients' | 'conduct' | 'pace'

export function streamOf(seed: number, name: StreamName): Random {
  return seededRandom([seed >>> 0, hash32(`${name} ${seed}`)])
}
