/**
 * Gossipsub on a virtual network, faithful in what it sends: the overlay of every topic, flood publishing, duplicates, lazy gossip
 * and the bytes of it all. Its parts are in `gossip/`; docs/decisions says how it compares with the real one.
 *
 * Nothing is scheduled while nothing is published and no mesh needs mending.
 */
import { hash32 } from '../protocols/kernel/hashing.ts'
import type { PeerId } from '../protocols/kernel/ids.ts'
import type { Random } from '../protocols/kernel/prng.ts'
import { createVirtualDht, type VirtualDht } from './dht/virtual-dht.ts'
import { createContacts } from './gossip/contacts.ts'
import { addGossipCounters, noGossipTraffic, type GossipCounters } from './gossip/counters.ts'
import { createGossipMessage } from './gossip/message.ts'
import { createOffers } from './gossip/offers.ts'
import { createOverlay } from './gossip/overlay.ts'
import { degreesFor, gossipSettings, messageRpcBytes } from './gossip/settings.ts'
import { createSpread } from './gossip/spread.ts'
import type { GossipSeat, Member, Published, Station, Topic } from './gossip/state.ts'
import type { VirtualHost, VirtualNetwork } from './virtual-network.ts'

export type { GossipCounters } from './gossip/counters.ts'
export type { GossipMessage } from './gossip/message.ts'
export type { GossipSeat } from './gossip/state.ts'

export interface VirtualGossipMeshInit {
  /** As the real setting: sets the degrees of the overlay; default 10. */
  readonly nodesExpected?: number
  /** Where subscribers of a topic find each other; default one of its own. */
  readonly dht?: VirtualDht
  /** Uplinks are limited, and duplicates take their share of them; default false, which is twice as fast. */
  readonly takesUplink?: boolean
}

export interface VirtualGossip {
  /** The host takes part from now on: it hears who subscribes to what. */
  attach(host: VirtualHost): void
  subscribe(seat: GossipSeat, topic: string): void
  unsubscribe(seat: GossipSeat, topic: string): void
  publish(from: VirtualHost, topic: string, bytes: Uint8Array): void
  /** Sorted. */
  subscribers(topic: string): readonly PeerId[]
  /** The peers to which a subscriber passes on what it hears first. */
  meshPeers(topic: string, peer: PeerId): readonly PeerId[]
  /** Over all lives of the peer. */
  counters(peer: PeerId): Readonly<GossipCounters>
  totals(): GossipCounters
  /** Transmissions of messages by the first part of their topics' names. */
  sentByTopic(): Map<string, number>
}

export function createVirtualGossipMesh(network: VirtualNetwork, random: Random, init: VirtualGossipMeshInit = {}): VirtualGossip {
  const { clock } = network
  const degrees = degreesFor(init.nodesExpected ?? 10)
  const dht = init.dht ?? createVirtualDht()
  const topics = new Map<string, Topic>()
  const stations = new Map<PeerId, Station>()
  const traffic = new Map<PeerId, GossipCounters>()
  const spread = createSpread(network, random.split(), init.takesUplink ?? false)
  const offers = createOffers({ network, random: random.split(), degrees, spread })
  const contacts = createContacts({ dht, random: random.split(), degrees, nowMs: () => clock.nowMs() })
  const overlay = createOverlay({
    degrees, random: random.split(), nowMs: () => clock.nowMs(), onDirty: beat,
    onLinked(left, right) {
      flush(left.station, left.topic.name)
      flush(right.station, right.topic.name)
    },
  })

  function countersOf(peer: PeerId): GossipCounters {
    let counters = traffic.get(peer)
    if (counters === undefined) traffic.set(peer, (counters = noGossipTraffic()))
    return counters
  }

  function topicOf(name: string): Topic {
    let topic = topics.get(name)
    if (topic === undefined) topics.set(name, (topic = { name, members: new Map(), window: [], isDirty: false, isBeating: false, sent: 0 }))
    return topic
  }

  /** The heartbeats of all subscribers of a topic in one event, on a second of the topic's own. */
  function beat(topic: Topic): void {
    if (topic.isBeating) return
    topic.isBeating = true
    const { heartbeatMs } = gossipSettings
    const sinceMs = (clock.nowMs() - (hash32(topic.name) % heartbeatMs) + heartbeatMs) % heartbeatMs
    clock.schedule(heartbeatMs - sinceMs, () => {
      topic.isBeating = false
      const isOpen = topic.isDirty && overlay.mend(topic)
      offers.heartbeat(topic)
      if (isOpen) topic.isDirty = true
      if (topic.isDirty || topic.window.length > 0) beat(topic)
    })
  }

  function stationOf(host: VirtualHost): Station {
    const former = stations.get(host.peer)
    if (former?.host === host) return former
    const station: Station = {
      host, peer: host.peer, counters: countersOf(host.peer), phaseMs: hash32(`${host.peer} heartbeat`) % gossipSettings.heartbeatMs, topics: new Map(), connections: host.connectedPeers().length, waiting: new Map(),
    }
    stations.set(host.peer, station)
    dht.join(host)
    host.onPeer((peer, state) => {
      if (state === 'up') heardUp(station, peer)
      else heardDown(station, peer)
    })
    return station
  }

  function heardUp(station: Station, peer: PeerId): void {
    station.connections++
    for (const member of station.topics.values()) {
      overlay.announce(member)
      contacts.attend(member, gossipSettings.contactsSettleMs)
    }
    const other = stations.get(peer)
    if (other === undefined) return
    overlay.connected(station, other)
    for (const name of [...station.waiting.keys()]) flush(station, name)
    for (const name of [...other.waiting.keys()]) flush(other, name)
  }

  function heardDown(station: Station, peer: PeerId): void {
    station.connections--
    overlay.disconnected(station, peer)
    for (const member of station.topics.values()) contacts.attend(member, gossipSettings.contactsSettleMs)
  }

  /** @returns the subscribers that a node sends its own messages to: all that it is connected to. */
  function listeners(station: Station, topic: Topic): Iterable<Member> {
    const own = station.topics.get(topic.name)
    if (own !== undefined) return own.peers
    return [...topic.members.values()].filter((member) => member.station !== station && station.host.isConnected(member.station.peer))
  }

  /** @returns false when nobody is there to send it to. */
  function flood(published: Published): boolean {
    const { origin, topic } = published
    const own = origin.topics.get(topic.name)
    const nowMs = clock.nowMs()
    let sent = 0
    for (const member of listeners(origin, topic)) {
      spread.send(published, origin, own, member, nowMs)
      sent++
    }
    if (sent > 0) spread.run(published)
    return sent > 0
  }

  /** What waited for a first listener goes out once there is one. */
  function flush(station: Station, topicName: string): void {
    const waiting = station.waiting.get(topicName)
    if (waiting === undefined) return
    const oldestMs = clock.nowMs() - gossipSettings.publishWaitMs
    const left = waiting.filter((published) => published.publishedMs >= oldestMs && !flood(published))
    if (left.length === 0) station.waiting.delete(topicName)
    else station.waiting.set(topicName, left)
  }

  function wait(published: Published): void {
    const { origin, topic } = published
    if (!contacts.isWorthwhile(origin)) return
    const waiting = origin.waiting.get(topic.name)
    if (waiting !== undefined) return void waiting.push(published)
    origin.waiting.set(topic.name, [published])
    contacts.reach(origin, topic.name, () => flush(origin, topic.name))
    origin.host.schedule(gossipSettings.publishWaitMs, () => origin.waiting.delete(topic.name))
  }

  return {
    attach: (host) => void stationOf(host),
    subscribe(seat, name) {
      const station = stationOf(seat.host)
      if (station.topics.has(name)) return
      const topic = topicOf(name)
      const member = overlay.join(station, seat, topic)
      for (const published of topic.window) published.missing.add(member)
      if (station.connections > 0) contacts.attend(member, 0)
    },
    unsubscribe(seat, name) {
      const member = stations.get(seat.host.peer)?.topics.get(name)
      if (member?.seat === seat) overlay.leave(member)
    },
    publish(from, name, bytes) {
      const origin = stationOf(from)
      const topic = topicOf(name)
      const nowMs = clock.nowMs()
      const own = origin.topics.get(name)
      const published: Published = {
        topic, origin, message: createGossipMessage(from.peer, bytes), rpcBytes: messageRpcBytes(name, bytes.byteLength), publishedMs: nowMs, missing: new Set(topic.members.values()), settledMs: nowMs, heartbeatsLeft: gossipSettings.gossipWindows,
      }
      network.counters(from.peer).gossipPublished++
      origin.counters.gossipPublished++
      if (own !== undefined) {
        published.missing.delete(own)
        from.schedule(0, () => {
          network.counters(from.peer).gossipReceived++
          own.seat.deliver(name, published.message)
        })
      }
      if (!flood(published)) wait(published)
      topic.window.push(published)
      beat(topic)
    },
    subscribers: (name) => [...(topics.get(name)?.members.values() ?? [])].filter((member) => member.station.host.isAlive()).map((member) => member.station.peer).sort(),
    meshPeers: (name, peer) => [...(topics.get(name)?.members.get(peer)?.mesh ?? [])].map((member) => member.station.peer).sort(),
    counters: countersOf,
    sentByTopic() {
      const sent = new Map<string, number>()
      for (const topic of topics.values()) {
        const [first = ''] = topic.name.split('/')
        sent.set(first, (sent.get(first) ?? 0) + topic.sent)
      }
      return sent
    },
    totals() {
      const sum = noGossipTraffic()
      for (const one of traffic.values()) addGossipCounters(sum, one)
      return sum
    },
  }
}
