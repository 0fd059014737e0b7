/**
 * How many peers a kad-dht lookup asks, and in how many rounds.
 *
 * While the buckets hold everybody, the k closest are asked at once and nobody knows a closer one. In a larger mesh
 * every table holds k random peers of the key's bucket, each answer names k others, and whoever is closer than the peer
 * that named it is asked in turn. That walk is drawn a few times per size of mesh; lookups then cost their mean.
 */
import { seededRandom, type Random } from '../../protocols/kernel/prng.ts'
import { dhtSettings } from './settings.ts'

export interface LookupCost {
  readonly asked: number
  readonly rounds: number
}

const drawn = new Map<number, LookupCost>()
const walks = 16

export function lookupCost(nodes: number): LookupCost {
  const { k, bucketDepth } = dhtSettings
  const bucketNodes = nodes / 2 ** bucketDepth
  if (bucketNodes <= k) return { asked: Math.max(0, Math.min(k, nodes - 1)), rounds: 1 }
  // One walk per eighth of a doubling: what lies between differs by less than walks do.
  const step = Math.round(Math.log2(bucketNodes) * 8)
  let cost = drawn.get(step)
  if (cost === undefined) {
    const random = seededRandom([step, 0x6b6164])
    const all = Array.from({ length: walks }, () => walk(Math.round(2 ** (step / 8)), random))
    const mean = (pick: (one: LookupCost) => number): number => Math.round(all.reduce((sum, one) => sum + pick(one), 0) / walks)
    drawn.set(step, (cost = { asked: mean((one) => one.asked), rounds: Math.max(2, mean((one) => one.rounds)) }))
  }
  return cost
}

/** Peers are their rank by distance to the key. */
function walk(bucketNodes: number, random: Random): LookupCost {
  const { k, alpha } = dhtSettings
  const seen = new Set<number>()
  const answeredOf: number[][] = Array.from({ length: alpha }, () => [])
  const isUseful = (path: number, rank: number): boolean => answeredOf[path]!.length < k || rank < answeredOf[path]!.toSorted((left, right) => left - right)[k - 1]!
  let asking = drawTable(bucketNodes, random).map((rank, index) => ({ rank, path: index % alpha }))
  for (const { rank } of asking) seen.add(rank)
  let asked = 0
  let rounds = 0
  while (asking.length > 0) {
    rounds++
    const next: typeof asking = []
    for (const { rank, path } of asking.toSorted((left, right) => left.rank - right.rank)) {
      if (!isUseful(path, rank)) continue
      asked++
      answeredOf[path]!.push(rank)
      for (const named of drawTable(bucketNodes, random)) {
        if (seen.has(named) || named >= rank || !isUseful(path, named)) continue
        seen.add(named)
        next.push({ rank: named, path })
      }
    }
    asking = next
  }
  return { asked, rounds }
}

function drawTable(bucketNodes: number, random: Random): number[] {
  const table = new Set<number>()
  while (table.size < dhtSettings.k) table.add(random.below(bucketNodes))
  return [...table]
}
