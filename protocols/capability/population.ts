/**
 * How many nodes there are, for a node that hears of one shard of them only. Nodes spread evenly over the shards, so the
 * whole is the own shard times their number; the number follows what the own shard holds.
 */
import type { PeerId } from '../kernel/ids.ts'
import { limits } from '../kernel/limits.ts'
import { shardOf } from './shards.ts'

/** Shards are halved when the own one is emptier than this: far below half of the maximum, so that chance alone does not. */
const shardSubscribersMin = limits.shardSubscribersMax / 4
/** So many others must say so before a newcomer believes in another number of shards than its own. */
const hintsMin = 3

function inOwnShard(own: PeerId, peers: readonly PeerId[], shards: number): number {
  const shard = shardOf(own, shards)
  let count = 0
  for (const peer of peers) if (shardOf(peer, shards) === shard) count++
  return count
}

/**
 * The number of shards to use from now on.
 *
 * @param known peers whose adverts are kept, this node among them.
 * @param mayHalve false for who has not listened long enough to have heard everybody.
 * @param hints what others, each once, say of their number of shards. A newcomer learns from them; who has listened long enough
 *   has counted, and believes nobody.
 */
export function adjustShards(shards: number, own: PeerId, known: readonly PeerId[], hints: readonly number[], mayHalve: boolean): number {
  const sorted = [...hints].sort((left, right) => left - right)
  const median = sorted[sorted.length >> 1]
  const believes = !mayHalve && median !== undefined && sorted.length >= hintsMin && (median > 2 * shards || median < shards / 2)
  let next = believes ? median : shards
  while (next < limits.shardsMax && inOwnShard(own, known, next) > limits.shardSubscribersMax) next *= 2
  if (mayHalve && next > 1 && next === shards && inOwnShard(own, known, next) < shardSubscribersMin) next /= 2
  return next
}

/**
 * Into how many shards the providers of one capability are divided. An estimate from a part of the mesh wavers, so it changes
 * only when it is off by far: nodes that disagree on it meet later.
 */
export function adjustCapabilityShards(shards: number, providers: number, mayHalve: boolean): number {
  let next = shards
  while (next < limits.shardsMax && providers > next * limits.shardSubscribersMax) next *= 2
  return mayHalve && next === shards && next > 1 && providers < next * shardSubscribersMin ? next / 2 : next
}

/** @returns nodes in the whole mesh: counted where there is one shard, else estimated from the own one. */
export function estimatePopulation(shards: number, own: PeerId, peers: readonly PeerId[]): number {
  return shards === 1 ? peers.length : inOwnShard(own, peers, shards) * shards
}
