/** What everybody who calls for proposals has in common: whom to expect answers from, and how a call reaches them. */
import type { Call, Cfp } from '../../protocols/bidding/schema.ts'
import { announcementFor, callTopic } from '../../protocols/capability/shards.ts'
import type { PeerId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { Offer, Provider } from '../messages.ts'
import { actorNames, at } from '../names.ts'
import { tell, type Effect } from '../runtime/effects.ts'

export const noAssessment = { ratio: 1, reliability: 1, breakerOpen: false }

export interface Expected {
  /** Those that can be asked, the excluded among them. */
  readonly providers: readonly Provider[]
  readonly excluded: PeerId[]
  readonly expectedBidders: number
  readonly asksAll: boolean
  /** Everybody there is, when they are all known, connected and few: gossip has nobody else to find. */
  readonly all: readonly PeerId[] | undefined
}

/** @param failedOn who failed at it or was lost with it: avoided, unless there is nobody else. */
export function expectedOf(offer: Offer, failedOn: readonly PeerId[]): Expected {
  const providers = offer.providers.filter((provider) => provider.connected)
  const excluded = providers.some((provider) => !failedOn.includes(provider.peer)) ? [...new Set(failedOn)].slice(-64) : []
  const fit = providers.filter((provider) => !excluded.includes(provider.peer)).length
  // Known in part, the mesh is asked by threshold: how many of those asked there are is a matter of chance.
  const asksAll = offer.population <= limits.askedAllMax
  const known = fit > 0 && asksAll && !offer.partial
  return {
    providers, excluded, asksAll,
    expectedBidders: known ? fit : asksAll ? Number.MAX_SAFE_INTEGER : limits.biddersEnough,
    all: knowsAll(offer) ? providers.map(({ peer }) => peer) : undefined,
  }
}

function knowsAll({ providers, population, partial }: Offer): boolean {
  return !partial && providers.length > 0 && providers.length === population && population <= limits.calledDirectlyMax && providers.every(({ connected }) => connected)
}

export interface Announcing {
  /** The caller's own node. */
  readonly self: PeerId
  readonly cfp: Omit<Cfp, 'kind' | 'threshold' | 'expiresInMs' | 'calls'>
  /** How many nodes offer what a call asks for, and into how many shards they are divided. */
  readonly population: (call: Call) => { readonly population: number; readonly shards: number } | undefined
  readonly all: (call: Call) => readonly PeerId[] | undefined
}

/** Directly where all are known, else by gossip: to one shard first, wider each round. */
export function announce({ self, cfp, population, all }: Announcing, calls: readonly Call[], round: number): Effect[] {
  const groups = new Map<string, { readonly topic: string; readonly threshold: number; readonly calls: Call[] }>()
  const direct = new Map<readonly PeerId[], Call[]>()
  for (const call of calls) {
    const everybody = round === 0 ? all(call) : undefined
    if (everybody !== undefined) {
      direct.set(everybody, [...(direct.get(everybody) ?? []), call])
      continue
    }
    const known = population(call) ?? { population: 1, shards: 1 }
    const { shards, threshold } = announcementFor(self, known.shards, known.population, round)
    for (const shard of shards) {
      const topic = callTopic(call.capability, shard)
      const group = groups.get(topic)
      if (group === undefined) groups.set(topic, { topic, threshold, calls: [call] })
      else group.calls.push(call)
    }
  }
  const message = (threshold: number, grouped: Call[]): Cfp => ({ kind: 'cfp', ...cfp, threshold, expiresInMs: limits.callExpiryMs, calls: grouped })
  return [
    ...[...direct].flatMap(([peers, grouped]) => peers.map((peer) => tell(at(peer, actorNames.participant), message(1, grouped), cfp.principal))),
    ...[...groups.values()].map(({ topic, threshold, calls: grouped }) => ({ type: 'publish' as const, topic, to: actorNames.participant, principal: cfp.principal, message: message(threshold, grouped) })),
  ]
}
