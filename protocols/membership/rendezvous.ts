/**
 * Which nodes are to keep a log: rendezvous hashing over the roster (Thaler & Ravishankar 1998), spread over failure domains.
 * It is only a proposal: who keeps a log is what the log says.
 */
import { hash32 } from '../kernel/hashing.ts'
import type { PeerId } from '../kernel/ids.ts'
import type { Replica } from './schema.ts'

/** Everybody, the most suitable for `name` first. Each replica's score is its own: another that comes or goes changes no order among the rest. */
export function rank(replicas: readonly Replica[], name: string): Replica[] {
  return replicas
    .map((replica) => ({ replica, score: hash32(`${replica.peer} ${name}`) }))
    .sort((left, right) => right.score - left.score || (left.replica.peer < right.replica.peer ? -1 : 1))
    .map(({ replica }) => replica)
}

/**
 * `aimed` of the replicas, or as many as there are. No two in one failure domain while another one is to be had.
 * @param first a replica that is to be the first of them: the node a mission was handed to. Ignored when it is none.
 */
export function chooseMembers(replicas: readonly Replica[], name: string, aimed: number, first?: PeerId): Replica[] {
  const chosen = replicas.filter(({ peer }) => peer === first)
  return fillMembers(chosen, rank(replicas.filter(({ peer }) => peer !== first), name), aimed)
}

/**
 * Those kept, and of the candidates, in the order of preference, as many as are missing: each time the first one of a domain
 * that has the fewest members by then.
 */
export function fillMembers(kept: readonly Replica[], candidates: readonly Replica[], aimed: number): Replica[] {
  const chosen = kept.slice(0, Math.max(aimed, 0))
  const left = [...candidates]
  const inDomain = new Map<string, number>()
  for (const { domain } of chosen) inDomain.set(domain, (inDomain.get(domain) ?? 0) + 1)
  while (chosen.length < aimed && left.length > 0) {
    let best = 0
    for (let i = 1; i < left.length; i++) if (crowd(left[i]) < crowd(left[best])) best = i
    const [next] = left.splice(best, 1)
    if (next === undefined) break
    chosen.push(next)
    inDomain.set(next.domain, (inDomain.get(next.domain) ?? 0) + 1)
  }
  return chosen

  function crowd(replica: Replica | undefined): number {
    return replica === undefined ? Infinity : (inDomain.get(replica.domain) ?? 0)
  }
}
