/**
 * Gossip topics, sharded so that none has more than `shardSubscribersMax` subscribers, whatever the size of the mesh.
 * Two nodes whose views of the population differ may disagree on the number of shards for a while; an announcement
 * that meets silence is widened to the other shards, so disagreement costs time, not work.
 */
import { fractionOf, hash32 } from '../kernel/hashing.ts'
import type { PeerId } from '../kernel/ids.ts'
import { limits } from '../kernel/limits.ts'

/** @param population nodes that would subscribe, at least this node itself. */
export function shardCount(population: number): number {
  return Math.max(1, Math.ceil(population / limits.shardSubscribersMax))
}

/** @param key a peer id or a call id. */
export function shardOf(key: string, count: number): number {
  return hash32(key) % count
}

export function callTopic(capability: string, shard: number): string {
  return `cfp/${capability}/${shard}`
}

export function advertTopic(shard: number): string {
  return `advert/${shard}`
}

/** The keys under which a node can be found in the DHT. VRAM buckets are powers of two GiB, each node in all that it reaches. */
export function discoveryKeys(capabilities: readonly { name: string }[], gpus: readonly { vramBytes: number }[]): string[] {
  const keys = new Set(capabilities.map((capability) => `capability/${capability.name}`))
  const largestGiB = Math.max(0, ...gpus.map((gpu) => gpu.vramBytes)) / 2 ** 30
  for (let bucketGiB = 1; bucketGiB <= largestGiB; bucketGiB *= 2) keys.add(`gpu/${bucketGiB}GiB`)
  return [...keys]
}

/** Whether this participant is among those asked: its hash with the call is below the announced threshold. */
export function isAsked(peer: PeerId, callId: string, threshold: number): boolean {
  return threshold >= 1 || fractionOf(`${peer} ${callId}`) < threshold
}

/** The threshold that aims at `biddersAimed` answers out of `population` providers in one shard. */
export function thresholdFor(population: number): number {
  return population <= limits.biddersAimed ? 1 : limits.biddersAimed / population
}
