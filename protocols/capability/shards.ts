/**
 * Gossip topics, sharded so that none has more than `shardSubscribersMax` subscribers, whatever the size of the mesh.
 * Two nodes whose views of the population differ may disagree on the number of shards for a while; an announcement
 * that meets silence is widened, in the end to all shards, so disagreement costs time, not work.
 */
import { fractionOf, hash32 } from '../kernel/hashing.ts'
import type { PeerId } from '../kernel/ids.ts'
import { limits } from '../kernel/limits.ts'

/**
 * @param population nodes that would subscribe, at least this node itself.
 * @returns a power of two: where two nodes disagree, the shards of one are halves of the other's, and most subscribers still meet.
 */
export function shardCount(population: number): number {
  let count = 1
  while (count * limits.shardSubscribersMax < population) count *= 2
  return count
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

/** The threshold that aims at `aimed` answers out of `population` providers that hear a call. */
export function thresholdFor(population: number, aimed: number = limits.biddersAimed): number {
  return population <= aimed ? 1 : aimed / population
}

/** Every round of announcements asks so many times more than the one before. */
const wideningFactor = 8
/** From this round on nobody is left out, whatever number of shards he believes in: up to so many times ours. */
const everybodyRound = 4
const disagreementFactor = 4

/**
 * Where a call is announced, and how many of those who hear it are to answer.
 *
 * It begins in the announcer's own shard: with its neighbours there it is connected already, while a stranger's shard must be
 * looked up first.
 *
 * @param shardsOfProviders into how many shards they are divided.
 * @param population providers in the whole mesh.
 * @param round 0 is the first announcement; silence widens it.
 */
export function announcementFor(announcer: PeerId, shardsOfProviders: number, population: number, round: number): { readonly shards: readonly number[]; readonly threshold: number } {
  if (round >= everybodyRound) return { shards: Array.from({ length: shardsOfProviders * disagreementFactor }, (_, at) => at), threshold: 1 }
  const count = shardsOfProviders
  const perShard = Math.max(1, population / count)
  const aimed = round === 0 && population <= limits.askedAllMax ? limits.askedAllMax : limits.biddersAimed * wideningFactor ** round
  const asked = Math.min(count, Math.max(1, Math.round(aimed / perShard)))
  const first = shardOf(announcer, count)
  return { shards: Array.from({ length: asked }, (_, at) => (first + at) % count), threshold: thresholdFor(perShard * asked, aimed) }
}
