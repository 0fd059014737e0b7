/**
 * The DHT of a virtual mesh, as kad-dht behaves in the real node: a record lies with the k peers closest to its key when it was
 * told, dies with them, outlives the one who told it and whoever withdrew it, and ends after its validity.
 *
 * Tables are not kept. While 64 buckets of k hold everybody they would say what the sorted key space says; beyond that see
 * `lookup-cost.ts`. What nobody asked for (searches for oneself, table refreshes) makes no events: it is counted when asked for.
 */
import type { PeerId } from '../../protocols/kernel/ids.ts'
import type { DurationMs, InstantMs } from '../../protocols/kernel/units.ts'
import type { VirtualHost } from '../virtual-network.ts'
import { addDhtCounters, countReplies, countRequests, noDhtTraffic, type DhtCounters } from './counters.ts'
import { createKeySpace, placeOf } from './key-space.ts'
import { lookupCost } from './lookup-cost.ts'
import { dhtSettings, replyBytes, requestBytes, type DhtRequest } from './settings.ts'

/** One node's part in the DHT, for one life. */
export interface DhtMember {
  readonly peer: PeerId
  /** How many peers hold a connection to it. */
  readonly connections: number
  /** Stores a record of this node with the peers closest to the key. `done` hears how many took it. */
  tell(key: string, done: (told: number) => void): void
  /** @param done hears up to `max` providers other than this node, in the order of their ids as a datastore lists them. */
  find(key: string, max: number, timeoutMs: DurationMs, done: (providers: readonly PeerId[]) => void): void
  /** This node's own record is dropped; those with others end by themselves. */
  forget(key: string): void
  onConnected(listener: () => void): void
}

/** One per world. */
export interface VirtualDht {
  /** Nodes alive, as far as anybody noticed. */
  readonly size: number
  /** The host's member; a new one for a new life. */
  join(host: VirtualHost): DhtMember
  counters(peer: PeerId): DhtCounters
  totals(): DhtCounters
}

interface Node {
  readonly host: VirtualHost
  readonly at: number
  readonly joinedMs: InstantMs
  connections: number
  /** One it is connected to: stands for all others when it comes to latency. */
  neighbour: PeerId | undefined
  readonly store: Map<string, Records>
  readonly counters: DhtCounters
  readonly listeners: (() => void)[]
  readonly member: DhtMember
  idleLookups: number
}

/** Who provides one key. */
interface Records {
  readonly toldMs: Map<PeerId, InstantMs>
  /** By id; undefined after a new one came. */
  inOrder: PeerId[] | undefined
}

interface Asked {
  readonly node: Node
  readonly answersMs: DurationMs
}

/** Up to this many nodes every pair may be looked at. */
const pairsKeptMax = 256

export function createVirtualDht(): VirtualDht {
  const space = createKeySpace<Node>()
  const nodes = new Map<PeerId, Node>()
  const traffic = new Map<PeerId, DhtCounters>()

  function countersOf(peer: PeerId): DhtCounters {
    let counters = traffic.get(peer)
    if (counters === undefined) traffic.set(peer, (counters = noDhtTraffic()))
    return counters
  }

  function remove(node: Node): void {
    countIdle(node)
    space.remove(node)
    if (nodes.get(node.host.peer) === node) nodes.delete(node.host.peer)
  }

  /** The closest to a place that live, without the one who asks. */
  function closest(at: number, count: number, asker: Node): Node[] {
    for (;;) {
      const found = space.closest(at, count + 1)
      const dead = found.filter((node) => !node.host.isAlive())
      if (dead.length === 0) return found.filter((node) => node !== asker).slice(0, count)
      for (const node of dead) remove(node)
    }
  }

  /** Every node searches for itself and refreshes its table; it answers as often as it asks. */
  function countIdle(node: Node): void {
    const ageMs = node.host.network.clock.nowMs() - node.joinedMs
    const { selfQueryFirstMs, refreshMs, refreshLookups, k } = dhtSettings
    const due = ageMs < selfQueryFirstMs ? 0 : 1 + Math.floor(ageMs / refreshMs) * refreshLookups
    const lookups = due - node.idleLookups
    node.idleLookups = due
    const { asked } = lookupCost(space.size)
    if (lookups <= 0 || asked === 0) return
    countRequests(node.counters, 'FIND_NODE', lookups * asked, requestBytes('FIND_NODE'))
    countReplies(node.counters, lookups * asked, replyBytes('FIND_NODE', Math.min(k, Math.max(0, space.size - 2)), 0))
  }

  /** A peer that is not connected is dialled first, which takes three round trips more. A neighbour stands for how far strangers are. */
  function strangerRoundTripMs({ host, neighbour }: Node): DurationMs {
    return neighbour === undefined ? dhtSettings.noAnswerMs : 8 * host.network.latencyMs(host.peer, neighbour) + dhtSettings.requestMs
  }

  function roundTripMs(from: Node, to: Node): DurationMs {
    if (!from.host.isConnected(to.host.peer)) return strangerRoundTripMs(from)
    return 2 * from.host.network.latencyMs(from.host.peer, to.host.peer) + dhtSettings.requestMs
  }

  function answers(from: Node, to: Node): boolean {
    const { network } = from.host
    if (from.connections === 0 || !to.host.isAlive() || network.isPaused(to.host.peer)) return false
    // The network keeps a record of every pair that was ever looked at, so a large mesh asks about existing pairs only.
    return (space.size > pairsKeptMax && !from.host.isConnected(to.host.peer)) || network.canDial(from.host.peer, to.host.peer)
  }

  /** Asks the peers closest to a key, round by round: nearer peers are known by those farther away. The closest come last. */
  function ask(node: Node, key: string): readonly Asked[] {
    const cost = lookupCost(space.size)
    const peers = closest(placeOf(key), cost.asked, node).reverse()
    const perRound = Math.max(1, Math.ceil(peers.length / cost.rounds))
    // In a large mesh those on the way to the k closest are strangers, and only counted.
    const strangers = space.size > pairsKeptMax ? peers.length - dhtSettings.k : 0
    const strangerMs = strangers > 0 ? strangerRoundTripMs(node) : 0
    const asked: Asked[] = []
    let roundStartMs = 0
    for (let start = 0; start < peers.length; start += perRound) {
      const end = Math.min(start + perRound, peers.length)
      let sumMs = 0
      for (let index = start; index < end; index++) {
        const peer = peers[index]!
        const tookMs = index < strangers ? strangerMs : roundTripMs(node, peer)
        sumMs += tookMs
        asked.push({ node: peer, answersMs: index < strangers || answers(node, peer) ? roundStartMs + tookMs : Infinity })
      }
      roundStartMs += sumMs / (end - start)
    }
    return asked
  }

  function countAnswers(asked: readonly Asked[], request: DhtRequest, key: string): void {
    const closer = Math.min(dhtSettings.k, Math.max(0, space.size - (request === 'FIND_NODE' ? 2 : 1)))
    for (const { node, answersMs } of asked) {
      if (answersMs !== Infinity) countReplies(node.counters, 1, replyBytes(request, closer, request === 'GET_PROVIDERS' ? (node.store.get(key)?.toldMs.size ?? 0) : 0))
    }
  }

  function keep(holder: Node, key: string, provider: PeerId): void {
    let records = holder.store.get(key)
    if (records === undefined) holder.store.set(key, (records = { toldMs: new Map(), inOrder: undefined }))
    if (!records.toldMs.has(provider)) records.inOrder = undefined
    records.toldMs.set(provider, holder.host.network.clock.nowMs())
  }

  function* providersAt(holder: Node, key: string): Generator<PeerId> {
    const records = holder.store.get(key)
    if (records === undefined) return
    records.inOrder ??= [...records.toldMs.keys()].sort()
    const oldestMs = holder.host.network.clock.nowMs() - dhtSettings.validityMs
    for (const provider of records.inOrder) if ((records.toldMs.get(provider) ?? -Infinity) >= oldestMs) yield provider
  }

  function tell(node: Node, key: string, done: (told: number) => void): void {
    node.counters.provides++
    keep(node, key, node.host.peer)
    const asked = ask(node, key)
    countAnswers(asked, 'FIND_NODE', key)
    countRequests(node.counters, 'FIND_NODE', asked.length, requestBytes('FIND_NODE'))
    const answered = asked.filter(({ answersMs }) => answersMs !== Infinity)
    const lookedUpMs = asked.length > answered.length ? dhtSettings.noAnswerMs : Math.max(0, ...answered.map(({ answersMs }) => answersMs))
    const holders = answered.slice(-dhtSettings.k)
    node.host.schedule(lookedUpMs, () => {
      let told = 0
      let tookMs = 0
      countRequests(node.counters, 'ADD_PROVIDER', holders.length, requestBytes('ADD_PROVIDER'))
      for (const { node: holder } of holders) {
        if (!holder.host.isAlive()) continue
        told++
        const onTheWayMs = roundTripMs(node, holder) / 2
        tookMs = Math.max(tookMs, onTheWayMs)
        holder.host.schedule(onTheWayMs, () => keep(holder, key, node.host.peer))
      }
      // As many at a time as a lookup has, so k holders take two turns.
      node.host.schedule(tookMs * Math.ceil(holders.length / dhtSettings.alpha), () => done(told))
    })
  }

  function find(node: Node, key: string, max: number, timeoutMs: DurationMs, done: (providers: readonly PeerId[]) => void): void {
    node.counters.finds++
    const wanted = Math.min(max, dhtSettings.findMax)
    const found = new Set<PeerId>()
    const take = (holder: Node): boolean => {
      for (const provider of providersAt(holder, key)) {
        if (found.size >= wanted) break
        if (provider !== node.host.peer) found.add(provider)
      }
      return found.size >= wanted
    }
    const finish = (afterMs: DurationMs): void => node.host.schedule(afterMs, () => done([...found]))
    if (wanted <= 0) return finish(0)
    if (timeoutMs <= dhtSettings.requestMs) return finish(timeoutMs)
    if (take(node)) return finish(dhtSettings.requestMs)
    const asked = ask(node, key)
    const inOrder = asked.toSorted((left, right) => left.answersMs - right.answersMs)
    const firstMs = Math.min(timeoutMs, inOrder[0]?.answersMs ?? dhtSettings.requestMs, dhtSettings.noAnswerMs)
    // All answers are read when the first one comes: what is told in the milliseconds after it would have been luck.
    node.host.schedule(firstMs, () => {
      let waitedFor = 0
      let endMs: DurationMs = firstMs
      for (const { node: holder, answersMs } of inOrder) {
        waitedFor++
        endMs = answersMs === Infinity ? dhtSettings.noAnswerMs : answersMs
        if (endMs > timeoutMs || (answersMs !== Infinity && holder.host.isAlive() && take(holder))) break
      }
      // The k closest that it knew were asked at once.
      const sent = Math.max(waitedFor, Math.min(asked.length, dhtSettings.k))
      countRequests(node.counters, 'GET_PROVIDERS', sent, requestBytes('GET_PROVIDERS'))
      countAnswers(inOrder.slice(0, sent), 'GET_PROVIDERS', key)
      finish(Math.min(endMs, timeoutMs) - firstMs)
    })
  }

  function join(host: VirtualHost): DhtMember {
    const former = nodes.get(host.peer)
    if (former?.host === host) return former.member
    if (former !== undefined) remove(former)
    const node: Node = {
      host, at: placeOf(host.peer), joinedMs: host.network.clock.nowMs(), connections: host.connectedPeers().length, neighbour: host.connectedPeers()[0], store: new Map(), counters: countersOf(host.peer), listeners: [], idleLookups: 0,
      member: {
        peer: host.peer,
        get connections() {
          return node.connections
        },
        tell: (key, done) => tell(node, key, done),
        find: (key, max, timeoutMs, done) => find(node, key, max, timeoutMs, done),
        forget(key) {
          const records = node.store.get(key)
          records?.toldMs.delete(host.peer)
        },
        onConnected: (listener) => void node.listeners.push(listener),
      },
    }
    host.onPeer((peer, state) => {
      if (state === 'up') {
        node.connections++
        node.neighbour = peer
        for (const listener of node.listeners) listener()
        return
      }
      node.connections--
      if (node.neighbour === peer) node.neighbour = host.connectedPeers()[0]
      const other = nodes.get(peer)
      if (other !== undefined && !other.host.isAlive()) remove(other)
    })
    space.add(node)
    nodes.set(host.peer, node)
    return node.member
  }

  return {
    get size() {
      return space.size
    },
    join,
    counters(peer) {
      const node = nodes.get(peer)
      if (node !== undefined) countIdle(node)
      return countersOf(peer)
    },
    totals() {
      for (const node of nodes.values()) countIdle(node)
      const sum = noDhtTraffic()
      for (const one of traffic.values()) addDhtCounters(sum, one)
      return sum
    },
  }
}
