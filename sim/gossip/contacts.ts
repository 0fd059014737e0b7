/**
 * In a mesh too large to be connected with everybody, a random neighbour rarely listens to one's topics. Subscribers therefore
 * tell the DHT (`topic/<name>`), look each other up there and connect, until they have a mesh's worth of contacts; who publishes
 * where nobody connected listens does the same with a few. The real node's rules are in node/libp2p/topic-contacts.ts.
 */
import type { PeerId } from '../../protocols/kernel/ids.ts'
import type { Random } from '../../protocols/kernel/prng.ts'
import type { DurationMs } from '../../protocols/kernel/units.ts'
import { dhtSettings } from '../dht/settings.ts'
import type { VirtualDht } from '../dht/virtual-dht.ts'
import { gossipSettings, type GossipDegrees } from './settings.ts'
import { shuffled } from './shuffle.ts'
import type { Member, Station } from './state.ts'

export interface Contacts {
  /** Sees to it that a subscriber is connected to enough others, from `delayMs` on, for as long as it is not. */
  attend(member: Member, delayMs: DurationMs): void
  /** Connects to some subscribers of a topic. `done` is called when the last dial has ended. */
  reach(station: Station, topic: string, done: () => void): void
  /** In a fully connected mesh nobody is left to be found. */
  isWorthwhile(station: Station): boolean
}

export function topicKey(topic: string): string {
  return `topic/${topic}`
}

export function createContacts(init: { readonly dht: VirtualDht; readonly random: Random; readonly degrees: GossipDegrees; nowMs(): number }): Contacts {
  const { dht, random, degrees } = init

  const isWorthwhile = (station: Station): boolean => station.connections > 0 && station.connections < dht.size - 1

  function isNeedy(member: Member): boolean {
    return member.station.topics.get(member.topic.name) === member && member.peers.size < degrees.D && isWorthwhile(member.station)
  }

  function dialSome(station: Station, found: readonly PeerId[], count: number, done: () => void): void {
    const strangers = shuffled(found.filter((peer) => !station.host.isConnected(peer)), random).slice(0, count)
    let dialling = strangers.length
    if (dialling === 0) return done()
    for (const peer of strangers) {
      station.host.dial(peer, () => {
        if (--dialling === 0) done()
      })
    }
  }

  function tell(member: Member, done: () => void): void {
    const { station } = member
    if (member.toldMs !== undefined && init.nowMs() - member.toldMs < dhtSettings.againMs) return done()
    dht.join(station.host).tell(topicKey(member.topic.name), (told) => {
      if (told > 0) member.toldMs = init.nowMs()
      done()
    })
  }

  function search(member: Member, retryMs: DurationMs): void {
    const { station, topic } = member
    if (!isNeedy(member)) {
      member.isSearching = false
      return
    }
    tell(member, () =>
      dht.join(station.host).find(topicKey(topic.name), dhtSettings.findMax, gossipSettings.contactsFindMs, (found) =>
        dialSome(station, found, degrees.D - member.peers.size, () => station.host.schedule(retryMs, () => search(member, Math.min(2 * retryMs, gossipSettings.contactsRetryMsMax)))),
      ),
    )
  }

  return {
    isWorthwhile,
    attend(member, delayMs) {
      if (member.isSearching || member.peers.size >= degrees.D) return
      member.isSearching = true
      member.station.host.schedule(delayMs, () => search(member, gossipSettings.contactsRetryMs))
    },
    reach(station, topic, done) {
      dht.join(station.host).find(topicKey(topic), dhtSettings.findMax, gossipSettings.contactsFindMs, (found) => dialSome(station, found, gossipSettings.fanOut, done))
    },
  }
}
