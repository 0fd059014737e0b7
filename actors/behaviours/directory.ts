/** What this node knows of the others: who is connected, what they offer, how far their bids can be believed. */
import { admitAdvert, emptyAdvertCache, expireAdverts, type AdvertCache } from '../../protocols/capability/advert-cache.ts'
import { attributesOfNode, discoveryKeyFor } from '../../protocols/capability/node-attributes.ts'
import { match, nearestNames } from '../../protocols/capability/matching.ts'
import type { Advert, CapabilityQuery, SignedAdvert } from '../../protocols/capability/schema.ts'
import type { CapabilityView, NodeView } from '../../protocols/capability/views.ts'
import { assess, learnFailure, learnSuccess, type Calibration } from '../../protocols/bidding/calibration.ts'
import { fault } from '../../protocols/kernel/errors.ts'
import type { ActorAddress, PeerId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { InstantMs } from '../../protocols/kernel/units.ts'
import { openAdvert } from '../../protocols/capability/open-advert.ts'
import { adjustShards, estimatePopulation } from '../../protocols/capability/population.ts'
import { shardCount } from '../../protocols/capability/shards.ts'
import { protocolMajor, protocolMinor } from '../../protocols/wire.ts'
import type { ActorMessage, Member, Offer } from '../messages.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext, Behaviour, Delivery } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'

export interface DirectoryInit {
  readonly name: string
  readonly release: string
  /** How many nodes the mesh is thought to have until this one has counted. */
  readonly nodesExpected: number
}

interface Question {
  readonly tag: string
  readonly queries: readonly CapabilityQuery[]
  readonly asker: ActorAddress
}

interface DirectoryState {
  readonly cache: AdvertCache
  readonly calibration: Calibration
  readonly connected: Set<PeerId>
  /** Last connection lost, by peer, with what was known of its name. */
  readonly gone: Map<PeerId, { name: string; atMs: InstantMs; reason: string }>
  readonly watchers: Map<string, ActorAddress>
  readonly nodeWatchers: Map<string, ActorAddress>
  own: { advert: Advert; signed: SignedAdvert } | undefined
  /** Into how many shards this node divides the mesh. */
  shards: number
  /** What others said of theirs since the last look. */
  hints: number[]
  /** The missions desk, and whether it will be told of a change soon. */
  desk: ActorAddress | undefined
  deskDue: boolean
  /** Questions that wait for the DHT, once each. */
  readonly searching: Map<string, Question>
  searches: number
}

const searchMs = 1_500
const goneKeptMs = 10 * 60_000
/** Changes of the membership come in bursts: the desk hears of all in one. */
const deskDelayMs = 20
const hintsMax = 64

export function directory(init: DirectoryInit): Behaviour<DirectoryState> {
  return {
    kind: 'directory',
    supervision: 'resume',
    start: () => ({
      state: { cache: emptyAdvertCache(), calibration: new Map(), connected: new Set(), gone: new Map(), watchers: new Map(), nodeWatchers: new Map(), own: undefined, shards: shardCount(init.nodesExpected), hints: [], desk: undefined, deskDue: false, searching: new Map(), searches: 0 },
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
      return [...greeting, ...toWatchers(state, message, context), ...nodesChanged(state), fact('info', 'mesh.peer-up', { peer: message.peer })]
    }
    case 'peer-down': {
      if (!state.connected.delete(message.peer)) return []
      const name = state.cache.kept.get(message.peer)?.advert.name ?? message.peer
      const leaving = state.cache.kept.get(message.peer)?.advert.leaving ?? false
      // A node that is gone must not look attractive: its last advert says "no load".
      state.cache.kept.delete(message.peer)
      state.gone.set(message.peer, { name, atMs: context.nowMs, reason: leaving ? 'it left' : 'the connection was lost' })
      return [...toWatchers(state, message, context), ...nodesChanged(state), fact('info', 'mesh.peer-down', { peer: message.peer, name, leaving })]
    }
    case 'hello':
      if (message.protocolMajor === protocolMajor) return []
      return [tell(from, { kind: 'goodbye', reason: `this node speaks protocol ${protocolMajor}.${protocolMinor}, yours speaks ${message.protocolMajor}.${message.protocolMinor}: run the same major release on both` })]
    case 'goodbye':
      return [fact('warn', 'mesh.goodbye', { peer: from.peer, reason: message.reason })]
    case 'advert':
      if (message.shards !== undefined && state.hints.length < hintsMax) state.hints.push(message.shards)
      return admit(state, message.signed, context)
    case 'advert-request':
      return state.own === undefined ? [] : [tell(from, advertOf(state, state.own.signed))]
    case 'watch-members':
      state.desk = from
      return [tell(from, members(state, context))]
    case 'own-advert': {
      const signed = { advert: message.text, signature: message.signature }
      // Whoever connected before the first advert was ready got none, and gossip may not reach them yet: they would wait for the next one.
      const overdue = state.own === undefined ? [...state.connected].map((peer) => tell(at(peer, actorNames.directory), advertOf(state, signed))) : []
      state.own = { advert: message.advert, signed }
      admitAdvert(state.cache, message.advert, signed, context.nowMs, context.wallMs)
      state.shards = adjustShards(state.shards, context.self.peer, [...state.cache.kept.keys()], state.hints)
      state.hints = []
      const counted = population(state, context)
      return [...overdue, tell(from, counted), tell(at(context.self.peer, actorNames.participant), counted), ...nodesChanged(state)]
    }
    case 'watch-peers':
      state.watchers.set(from.actor, from)
      return []
    case 'unwatch-peers':
      state.watchers.delete(from.actor)
      state.nodeWatchers.delete(from.actor)
      return []
    case 'who-offers': {
      const question: Question = { tag: message.tag, queries: message.queries, asker: from }
      const unknown = message.queries.find((query) => offerFor(state, query, context).providers.length === 0)
      if (unknown === undefined || !message.patient) return [answer(state, question, context)]
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
    case 'outcome-learned':
      if (message.good) learnSuccess(state.calibration, message.peer, message.promisedMs, message.actualMs, message.samples)
      else learnFailure(state.calibration, message.peer, context.nowMs)
      // Its other calls are open already: they are to be awarded by what is known now.
      return [tell(from, { kind: 'assessments', assessments: new Map([[message.peer, assess(state.calibration, message.peer, context.nowMs)]]) })]
    case 'describe-nodes':
      if (message.replyTo.actor.startsWith('nodes/')) state.nodeWatchers.set(message.replyTo.actor, message.replyTo)
      return [tell(message.replyTo, { kind: 'nodes-described', nodes: describeNodes(state, context), capabilities: describeCapabilities(state) })]
    case 'tick': {
      if (message.what === 'desk') {
        state.deskDue = false
        return state.desk === undefined ? [] : [tell(state.desk, members(state, context))]
      }
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

function admit(state: DirectoryState, signed: SignedAdvert, context: ActorContext): Effect[] {
  const opened = openAdvert(signed)
  if (opened === undefined) return [fact('warn', 'advert.malformed')]
  const { advert, bytes } = opened
  if (advert.peerId === context.self.peer) return []
  if (!context.verify(advert.peerId, bytes, signed.signature)) return [fact('warn', 'advert.forged', { peer: advert.peerId })]
  const before = state.cache.kept.get(advert.peerId)?.advert
  const admission = admitAdvert(state.cache, advert, signed, context.nowMs, context.wallMs)
  if (admission === 'equivocation') return [fact('error', 'advert.equivocation', { peer: advert.peerId, sequence: advert.sequence }), ...nodesChanged(state)]
  if (admission !== 'new') return []
  const changed = before === undefined || before.leaving !== advert.leaving || before.capabilities.length !== advert.capabilities.length
  return changed ? nodesChanged(state) : []
}

function toWatchers(state: DirectoryState, message: { kind: 'peer-up' | 'peer-down'; peer: PeerId }, context: ActorContext): Effect[] {
  // One that failed did not say that it left.
  for (const name of state.watchers.keys()) if (!context.exists(name)) state.watchers.delete(name)
  return [...state.watchers.values()].map((watcher) => tell(watcher, message))
}

function population(state: DirectoryState, context: ActorContext): ActorMessage {
  const peersOf = new Map<string, PeerId[]>()
  for (const [peer, { advert }] of state.cache.kept) {
    for (const name of new Set(advert.capabilities.map((capability) => capability.name))) {
      const peers = peersOf.get(name)
      if (peers === undefined) peersOf.set(name, [peer])
      else peers.push(peer)
    }
  }
  const estimate = (peers: readonly PeerId[]): number => estimatePopulation(state.shards, context.self.peer, peers)
  return { kind: 'population', nodes: estimate([...state.cache.kept.keys()]), shards: state.shards, providers: new Map([...peersOf].map(([name, peers]) => [name, estimate(peers)])) }
}

/** Whom the missions desk may pass something on to. */
function members(state: DirectoryState, context: ActorContext): ActorMessage {
  const found = new Map<PeerId, Member>()
  for (const [peer, { name }] of state.gone) found.set(peer, { peer, name, replica: false, missionsOwned: 0 })
  for (const peer of state.connected) found.set(peer, { peer, name: peer.slice(-8), replica: false, missionsOwned: 0 })
  for (const [peer, { advert }] of state.cache.kept) found.set(peer, { peer, name: advert.name, replica: advert.duties.includes('replica'), missionsOwned: advert.load.missionsOwned })
  found.delete(context.self.peer)
  return { kind: 'members', members: [...found.values()] }
}

function nodesChanged(state: DirectoryState): Effect[] {
  const effects: Effect[] = [...state.nodeWatchers.values()].map((watcher) => tell(watcher, { kind: 'nodes-changed' }))
  if (state.desk === undefined || state.deskDue) return effects
  state.deskDue = true
  return [...effects, { type: 'set-timer', key: 'desk', delayMs: deskDelayMs, message: { kind: 'tick', what: 'desk' } }]
}

function answerSearch(state: DirectoryState, tag: string, context: ActorContext): Effect[] {
  const question = state.searching.get(tag)
  if (question === undefined) return []
  state.searching.delete(tag)
  return [answer(state, question, context)]
}

function answer(state: DirectoryState, question: Question, context: ActorContext): Effect {
  return tell(question.asker, { kind: 'offers', tag: question.tag, offers: question.queries.map((query) => offerFor(state, query, context)), population: state.cache.kept.size })
}

function offerFor(state: DirectoryState, query: CapabilityQuery, context: ActorContext): Offer {
  const providers = [...state.cache.kept.values()].flatMap(({ advert }) => {
    if (advert.leaving || !advert.duties.includes('worker')) return []
    const matched = match(advert.capabilities, query, attributesOfNode(advert.environment, advert.gpus))
    if ('unmet' in matched) return []
    return [{ peer: advert.peerId, name: advert.name, capability: matched.capability, connected: context.connected(advert.peerId), assessment: assess(state.calibration, advert.peerId, context.nowMs) }]
  })
  const everKnown = [...state.cache.known.values()]
  // The highest version of those that fit: which node is asked first must not decide.
  const best = providers.length > 0 ? match(providers.map((provider) => provider.capability), { ...query, attributes: {} }) : match(everKnown, query)
  const known = 'capability' in best ? best.capability : undefined
  const named = everKnown.filter((capability) => capability.name === query.capability)
  return {
    query, providers, population: estimatePopulation(state.shards, context.self.peer, providers.map((provider) => provider.peer)), partial: state.shards > 1, ...(known === undefined ? {} : { known }),
    versions: [...new Set(named.map((capability) => capability.version))],
    nearest: named.length > 0 ? [] : nearestNames(query.capability, everKnown.map((capability) => capability.name)),
  }
}

function describeNodes(state: DirectoryState, context: ActorContext): NodeView[] {
  const views = new Map<PeerId, NodeView>()
  for (const [peer, { name, atMs, reason }] of state.gone) {
    views.set(peer, { peerId: peer, name, self: false, state: 'gone', lastSeenAgoMs: context.nowMs - atMs, fault: fault('owner-unreachable', reason) })
  }
  for (const peer of state.connected) views.set(peer, { peerId: peer, name: peer.slice(-8), self: false, state: 'connected' })
  for (const { advert } of state.cache.kept.values()) {
    const self = advert.peerId === context.self.peer
    views.set(advert.peerId, { peerId: advert.peerId, name: advert.name, self, state: advert.leaving ? 'leaving' : self || state.connected.has(advert.peerId) ? 'connected' : 'known', advert, lastSeenAgoMs: Math.max(0, context.wallMs - advert.issuedAtWallMs) })
  }
  for (const peer of state.cache.quarantined.keys()) {
    views.set(peer, { peerId: peer, name: peer.slice(-8), self: false, state: 'quarantined', fault: fault('forbidden', 'it sent two different adverts under one sequence number') })
  }
  return [...views.values()].sort((left, right) => Number(right.self) - Number(left.self) || (left.name < right.name ? -1 : 1))
}

function describeCapabilities(state: DirectoryState): CapabilityView[] {
  const views = new Map<string, CapabilityView>()
  for (const { advert } of state.cache.kept.values()) {
    if (advert.leaving) continue
    for (const capability of advert.capabilities) {
      const key = `${capability.name}@${capability.version}`
      const view = views.get(key) ?? { ...capability, providers: [] }
      view.providers.push({ peerId: advert.peerId, name: advert.name })
      views.set(key, view)
    }
  }
  return [...views.values()].sort((left, right) => (left.name < right.name ? -1 : 1))
}
