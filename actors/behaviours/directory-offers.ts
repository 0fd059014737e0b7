/** Who offers what, as far as this node knows, and how many there are beyond. */
import { assess } from '../../protocols/bidding/calibration.ts'
import { match, nearestNames } from '../../protocols/capability/matching.ts'
import { attributesOfNode } from '../../protocols/capability/node-attributes.ts'
import { estimatePopulation } from '../../protocols/capability/population.ts'
import type { CapabilityQuery } from '../../protocols/capability/schema.ts'
import type { PeerId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { Offer, Provider } from '../messages.ts'
import type { ActorContext } from '../runtime/actor.ts'
import type { DirectoryState } from './directory-state.ts'

/** Of a mesh that is known in part so many providers are named; the others are met when they bid. */
const providersNamedMax = limits.shardSubscribersMax

export function countPopulation(state: DirectoryState, self: PeerId): { readonly nodes: number; readonly providers: ReadonlyMap<string, number> } {
  const peersOf = new Map<string, PeerId[]>()
  for (const [peer, { advert }] of state.cache.kept) {
    for (const name of new Set(advert.capabilities.map((capability) => capability.name))) {
      const peers = peersOf.get(name)
      if (peers === undefined) peersOf.set(name, [peer])
      else peers.push(peer)
    }
  }
  const estimate = (peers: readonly PeerId[]): number => estimatePopulation(state.shards, self, peers)
  return { nodes: estimate([...state.cache.kept.keys()]), providers: new Map([...peersOf].map(([name, peers]) => [name, estimate(peers)])) }
}

export function offerFor(state: DirectoryState, query: CapabilityQuery, context: ActorContext): Offer {
  const partial = state.shards > 1
  const shards = state.shardsOf.get(query.capability) ?? state.shards
  const isPlain = query.attributes === undefined && query.version === undefined
  const providers = providersFor(state, query, context, partial && isPlain ? providersNamedMax : Infinity)
  const counted = partial && isPlain ? state.providers.get(query.capability) : undefined
  const population = counted ?? estimatePopulation(state.shards, context.self.peer, providers.map((provider) => provider.peer))
  if (providers.length > 0) {
    // The highest version of those that fit: which node is asked first must not decide.
    const best = match(providers.map((provider) => provider.capability), { ...query, attributes: {} })
    return { query, providers, population, shards, partial, ...('capability' in best ? { known: best.capability } : {}), versions: [], nearest: [] }
  }
  const everKnown = [...state.cache.known.values()]
  const best = match(everKnown, query)
  const named = everKnown.filter((capability) => capability.name === query.capability)
  return {
    query, providers, population, shards, partial, ...('capability' in best ? { known: best.capability } : {}),
    versions: [...new Set(named.map((capability) => capability.version))],
    nearest: named.length > 0 ? [] : nearestNames(query.capability, everKnown.map((capability) => capability.name)),
    others: offeredNow(state),
  }
}

/** What a person could ask for instead: agents need models, and what is part of something larger is not asked for by itself. */
function offeredNow(state: DirectoryState): string[] {
  const names = new Set<string>()
  for (const { advert } of state.cache.kept.values()) for (const { name, summary } of advert.leaving ? [] : advert.capabilities) if (!/^(llm|agent)\./.test(name) && !/\bPart of [a-z.-]+\.$/.test(summary)) names.add(name)
  return [...names].sort().slice(0, othersMax)
}

const othersMax = 12

function providersFor(state: DirectoryState, query: CapabilityQuery, context: ActorContext, max: number): Provider[] {
  const providers: Provider[] = []
  for (const { advert } of state.cache.kept.values()) {
    if (advert.leaving || !advert.duties.includes('worker')) continue
    const matched = match(advert.capabilities, query, query.attributes === undefined ? {} : attributesOfNode(advert.environment, advert.gpus))
    if ('unmet' in matched) continue
    providers.push({ peer: advert.peerId, name: advert.name, capability: matched.capability, connected: context.connected(advert.peerId), assessment: assess(state.calibration, advert.peerId, context.nowMs) })
    if (providers.length >= max) break
  }
  return providers
}
