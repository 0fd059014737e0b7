/** What this node knows of the others: who is connected, what they offer, how far their bids can be believed. */
import { assess, learnFailure, learnSuccess } from '../../protocols/bidding/calibration.ts'
import { admitAdvert, emptyAdvertCache, expireAdverts } from '../../protocols/capability/advert-cache.ts'
import { discoveryKeyFor } from '../../protocols/capability/node-attributes.ts'
import { openAdvert } from '../../protocols/capability/open-advert.ts'
import { adjustCapabilityShards, adjustShards } from '../../protocols/capability/population.ts'
import type { SignedAdvert } from '../../protocols/capability/schema.ts'
import { shardCount } from '../../protocols/capability/shards.ts'
import type { PeerId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { protocolMajor, protocolMinor } from '../../protocols/wire.ts'
import type { ActorMessage, Member, Offer } from '../messages.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext, Behaviour, Delivery } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'
import { countPopulation, offerFor } from './directory-offers.ts'
import type { DirectoryState, Question } from './directory-state.ts'
import { describeCapabilities, describeNodes } from './directory-views.ts'

export interface DirectoryInit {
  readonly name: string
  readonly release: string
  /** How many nodes the mesh is thought to have until this one has counted. */
  readonly nodesExpected: number
}

const searchMs = 1_500
const goneKeptMs = 10 * 60_000

export function directory(init: DirectoryInit): Behaviour<DirectoryState> {
  return {
    kind: 'directory',
    supervision: 'resume',
    start: (context) => ({
      state: { cache: emptyAdvertCache(), calibration: new Map(), connected: new Set(), gone: new Map(), watchers: new Map(), nodeWatchers: new Map(), own: undefined, startedAtMs: context.nowMs, shards: shardCount(init.nodesExpected), hints: new Map(), providers: new Map(), shardsOf: new Map(), desk: undefined, searching: new Map(), searches: 0 },
      effects: [{ type: 'set-timer', key: 'expire', delayMs: limits.advertRefreshMs, message: { kind: 'tick' } }],
    }),
    receive: (state, delivery, context) => receive(init, state, delivery, context),
  }
}

function receive(init: DirectoryInit, state: DirectoryState, { message, from }: Delivery, context: ActorContext): readonly Effect[] {
  switch (message.kind) {
    case 'peer-up': {
      state.connected.add(message.peer)
      state.gone.delete(message.peer)
      const there = at(message.peer, actorNames.directory)
      const greeting: Effect[] = [tell(there, { kind: 'hello', name: init.name, release: init.release, protocolMajor, protocolMinor })]
      if (state.own !== undefined) greeting.push(tell(there, advertOf(state, state.own.signed)))
      return [...greeting, ...toWatchers(state, message, context), ...memberChanged(state, message.peer), fact('info', 'mesh.peer-up', { peer: message.peer })]
    }
    case 'peer-down': {
      if (!state.connected.delete(message.peer)) return []
      const name = state.cache.kept.get(message.peer)?.advert.name ?? message.peer
      const leaving = state.cache.kept.get(message.peer)?.advert.leaving ?? false
      // A node that is gone must not look attractive: its last advert says "no load".
      state.cache.kept.delete(message.peer)
      state.gone.set(message.peer, { name, atMs: context.nowMs, reason: leaving ? 'it left' : 'the connection was lost' })
      return [...toWatchers(state, message, context), ...memberChanged(state, message.peer), fact('info', 'mesh.peer-down', { peer: message.peer, name, leaving })]
    }
    case 'hello':
      if (message.protocolMajor === protocolMajor) return []
      return [tell(from, { kind: 'goodbye', reason: `this node speaks protocol ${protocolMajor}.${protocolMinor}, yours speaks ${message.protocolMajor}.${message.protocolMinor}: run the same major release on both` })]
    case 'goodbye':
      return [fact('warn', 'mesh.goodbye', { peer: from.peer, reason: message.reason })]
    case 'advert':
      return admit(state, message.signed, message.shards ?? 1, context)
    case 'advert-request':
      return state.own === undefined ? [] : [tell(from, advertOf(state, state.own.signed))]
    case 'watch-members':
      state.desk = from
      return [tell(from, { kind: 'members', members: members(state, context) })]
    case 'own-advert': {
      const signed = { advert: message.text, signature: message.signature }
      // Whoever connected before the first advert was ready got none, and gossip may not reach them yet: they would wait for the next one.
      const overdue = state.own === undefined ? [...state.connected].map((peer) => tell(at(peer, actorNames.directory), advertOf(state, signed))) : []
      state.own = { advert: message.advert, signed }
      admitAdvert(state.cache, message.advert, signed, context.nowMs, context.wallMs)
      // Everybody who is there has said so by then.
      const hasListened = context.nowMs - state.startedAtMs >= limits.advertTtlMs
      state.shards = adjustShards(state.shards, context.self.peer, [...state.cache.kept.keys()], [...state.hints.values()], hasListened)
      state.hints.clear()
      const counted = countPopulation(state, context.self.peer)
      state.providers = counted.providers
      // Only of those that are offered now: who invents names fills no memory.
      state.shardsOf = new Map([...counted.providers].map(([name, providers]) => [name, adjustCapabilityShards(state.shardsOf.get(name) ?? state.shards, providers, hasListened)]))
      return [...overdue, tell(from, { kind: 'population', nodes: counted.nodes, shards: state.shards }), tell(at(context.self.peer, actorNames.participant), { kind: 'capability-shards', shardsOf: state.shardsOf }), ...nodesChanged(state)]
    }
    case 'watch-peers':
      state.watchers.set(from.actor, from)
      return message.present === true ? [...state.connected].map((peer) => tell(from, { kind: 'peer-up', peer })) : []
    case 'unwatch-peers':
      state.watchers.delete(from.actor)
      state.nodeWatchers.delete(from.actor)
      return []
    case 'who-offers': {
      const question: Question = { tag: message.tag, queries: message.queries, asker: from }
      const offers = offersFor(state, question.queries, context)
      const unknown = message.patient ? offers.find(({ providers }) => providers.length === 0)?.query : undefined
      if (unknown === undefined) return [answer(state, question, offers)]
      state.searches += 1
      const tag = `search-${state.searches}`
      state.searching.set(tag, question)
      return [{ type: 'find-providers', key: discoveryKeyFor(unknown), max: 5, timeoutMs: searchMs, tag }]
    }
    case 'providers-found': {
      const strangers = message.peers.filter((peer) => !state.cache.kept.has(peer) && peer !== context.self.peer)
      if (strangers.length === 0) return answerSearch(state, message.tag, context)
      return [
        ...strangers.map((peer) => tell(at(peer, actorNames.directory), { kind: 'advert-request' as const })),
        { type: 'set-timer', key: message.tag, delayMs: searchMs, message: { kind: 'tick', what: message.tag } },
      ]
    }
    case 'outcomes-learned': {
      const peers = new Set<PeerId>()
      for (const outcome of message.outcomes) {
        peers.add(outcome.peer)
        if (outcome.good) learnSuccess(state.calibration, outcome.peer, outcome.promisedMs, outcome.actualMs, outcome.samples)
        else learnFailure(state.calibration, outcome.peer, context.nowMs)
      }
      // Its other calls are open already: they are to be awarded by what is known now.
      return [tell(from, { kind: 'assessments', assessments: new Map([...peers].map((peer) => [peer, assess(state.calibration, peer, context.nowMs)])) })]
    }
    case 'describe-nodes':
      if (message.replyTo.actor.startsWith('nodes/')) state.nodeWatchers.set(message.replyTo.actor, message.replyTo)
      return [tell(message.replyTo, { kind: 'nodes-described', nodes: describeNodes(state, context), capabilities: describeCapabilities(state) })]
    case 'tick': {
      if (message.what !== undefined) return answerSearch(state, message.what, context)
      const expired = expireAdverts(state.cache, context.nowMs).filter((peer) => peer !== context.self.peer)
      for (const [peer, { atMs }] of state.gone) if (atMs < context.nowMs - goneKeptMs) state.gone.delete(peer)
      return [{ type: 'set-timer', key: 'expire', delayMs: limits.advertRefreshMs, message: { kind: 'tick' } }, ...(expired.length > 0 ? nodesChanged(state) : [])]
    }
    default:
      return []
  }
}

function advertOf(state: DirectoryState, signed: SignedAdvert): ActorMessage {
  return { kind: 'advert', signed, ...(state.shards === 1 ? {} : { shards: state.shards }) }
}

function admit(state: DirectoryState, signed: SignedAdvert, shards: number, context: ActorContext): Effect[] {
  const opened = openAdvert(signed)
  if (opened === undefined) return [fact('warn', 'advert.malformed')]
  const { advert, bytes } = opened
  if (advert.peerId === context.self.peer) return []
  if (!context.verify(advert.peerId, bytes, signed.signature)) return [fact('warn', 'advert.forged', { peer: advert.peerId })]
  const before = state.cache.kept.get(advert.peerId)?.advert
  const admission = admitAdvert(state.cache, advert, signed, context.nowMs, context.wallMs)
  if (admission === 'equivocation') return [fact('error', 'advert.equivocation', { peer: advert.peerId, sequence: advert.sequence }), ...nodesChanged(state)]
  if (admission !== 'new') return []
  state.hints.set(advert.peerId, shards)
  const changed = before === undefined || before.leaving !== advert.leaving || before.capabilities.length !== advert.capabilities.length
  return changed ? memberChanged(state, advert.peerId) : []
}

function toWatchers(state: DirectoryState, message: { kind: 'peer-up' | 'peer-down'; peer: PeerId }, context: ActorContext): Effect[] {
  // One that failed did not say that it left.
  for (const name of state.watchers.keys()) if (!context.exists(name)) state.watchers.delete(name)
  return [...state.watchers.values()].map((watcher) => tell(watcher, message))
}

/** Whom the missions desk may pass something on to. */
function members(state: DirectoryState, context: ActorContext): Member[] {
  const peers = new Set([...state.gone.keys(), ...state.connected, ...state.cache.kept.keys()])
  return [...peers].filter((peer) => peer !== context.self.peer).map((peer) => memberOf(state, peer))
}

function memberOf(state: DirectoryState, peer: PeerId): Member {
  const advert = state.cache.kept.get(peer)?.advert
  return { peer, name: advert?.name ?? state.gone.get(peer)?.name ?? peer.slice(-8), replica: advert?.duties.includes('replica') ?? false, missionsOwned: advert?.load.missionsOwned ?? 0 }
}

/** Somebody came, went, or says something else. */
function memberChanged(state: DirectoryState, peer: PeerId): Effect[] {
  return [...(state.desk === undefined ? [] : [tell(state.desk, { kind: 'members' as const, members: [memberOf(state, peer)] })]), ...nodesChanged(state)]
}

function nodesChanged(state: DirectoryState): Effect[] {
  return [...state.nodeWatchers.values()].map((watcher) => tell(watcher, { kind: 'nodes-changed' }))
}

function answerSearch(state: DirectoryState, tag: string, context: ActorContext): Effect[] {
  const question = state.searching.get(tag)
  if (question === undefined) return []
  state.searching.delete(tag)
  return [answer(state, question, offersFor(state, question.queries, context))]
}

function answer(state: DirectoryState, { asker, tag }: Question, offers: readonly Offer[]): Effect {
  return tell(asker, { kind: 'offers', tag, offers, population: state.cache.kept.size })
}

/** One for each query, in order. Of a mission's thousands of tasks most ask for the same. */
function offersFor(state: DirectoryState, queries: Question['queries'], context: ActorContext): Offer[] {
  const known = new Map<string, Offer>()
  return queries.map((query) => {
    const key = query.version === undefined && query.attributes === undefined ? query.capability : JSON.stringify([query.capability, query.version, query.attributes])
    const offer = known.get(key) ?? offerFor(state, query, context)
    known.set(key, offer)
    return offer
  })
}
