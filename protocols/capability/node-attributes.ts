/** What a node has of itself: every capability it offers has these attributes too, so that a task may ask for them. */
import type { Attributes, CapabilityQuery, Environment, Gpu } from './schema.ts'

/**
 * `os`, `arch`, `cores`, `memoryBytes`, and with a GPU `gpu` (vendor), `vramBytes` and `vramFreeBytes` of the largest one.
 * Numbers are minima in a query, so `{ vramBytes: 24e9 }` asks for a node with at least that much.
 */
export function attributesOfNode(environment: Environment, gpus: readonly Gpu[]): Attributes {
  const [largest] = [...gpus].sort((left, right) => right.vramBytes - left.vramBytes)
  return {
    os: environment.os, arch: environment.arch, cores: environment.cores, memoryBytes: environment.memoryBytes,
    ...(largest === undefined ? {} : { gpu: largest.vendor, vramBytes: largest.vramBytes, vramFreeBytes: largest.vramFreeBytes }),
  }
}

/**
 * The key under which a cold node looks for providers in the DHT: the GPU bucket just below what is asked for, whose nodes
 * are fewer than all providers of the capability; without such a wish, the capability's own.
 */
export function discoveryKeyFor(query: CapabilityQuery): string {
  const vramBytes = query.attributes?.['vramBytes']
  const wantedGiB = typeof vramBytes === 'number' ? vramBytes / 2 ** 30 : 0
  return wantedGiB >= 1 ? `gpu/${2 ** Math.floor(Math.log2(wantedGiB))}GiB` : `capability/${query.capability}`
}
