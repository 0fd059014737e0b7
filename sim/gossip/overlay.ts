/**
 * Who passes a topic's messages on to whom: gossipsub's mesh of every subscriber, with the entries that make and mend it.
 * Subscriptions are known at once to whoever is connected.
 */
import type { PeerId } from '../../protocols/kernel/ids.ts'
import type { Random } from '../../protocols/kernel/prng.ts'
import type { DurationMs, InstantMs } from '../../protocols/kernel/units.ts'
import { countControl } from './counters.ts'
import { gossipSettings, graftBytes, pruneBytes, subscriptionBytes, type GossipDegrees } from './settings.ts'
import { shuffled } from './shuffle.ts'
import type { GossipSeat, Member, Station, Topic } from './state.ts'

export interface OverlayInit {
  readonly degrees: GossipDegrees
  readonly random: Random
  nowMs(): InstantMs
  onLinked(left: Member, right: Member): void
  onDirty(topic: Topic): void
}

export interface Overlay {
  join(station: Station, seat: GossipSeat, topic: Topic): Member
  leave(member: Member): void
  /** Tells a new connection of the subscription. */
  announce(member: Member): void
  /** Both ends know of their connection. */
  connected(left: Station, right: Station): void
  /** This end has lost its connection to the peer. */
  disconnected(station: Station, peer: PeerId): void
  /** Grafts and prunes what a heartbeat would. @returns whether something is left to do. */
  mend(topic: Topic): boolean
}

export function createOverlay(init: OverlayInit): Overlay {
  const { degrees, random } = init

  function dirty(topic: Topic): void {
    topic.isDirty = true
    init.onDirty(topic)
  }

  /** As redial does it: of two nodes the one with the lower id dials. */
  const dialled = (member: Member, other: Member): boolean => member.station.peer < other.station.peer

  function isBackedOff(member: Member, other: Member): boolean {
    const untilMs = member.backoffs?.get(other.station.peer)
    return untilMs !== undefined && init.nowMs() < untilMs
  }

  function backOff(member: Member, other: Member, durationMs: DurationMs): void {
    ;(member.backoffs ??= new Map()).set(other.station.peer, init.nowMs() + durationMs)
  }

  function prune(member: Member, other: Member, backoffMs: DurationMs): void {
    countControl(member.station.counters, 'pruneSent', 1, pruneBytes(member.topic.name))
    member.mesh.delete(other)
    other.mesh.delete(member)
    backOff(member, other, backoffMs)
    backOff(other, member, backoffMs)
  }

  /** A GRAFT has come to `member`. */
  function accept(member: Member, from: Member): void {
    if (member.mesh.has(from)) return
    if (isBackedOff(member, from) || (member.mesh.size >= degrees.Dhi && !dialled(member, from))) prune(member, from, gossipSettings.pruneBackoffMs)
    else member.mesh.add(from)
  }

  function sendGraft(member: Member, to: Member): void {
    countControl(member.station.counters, 'graftSent', 1, graftBytes(member.topic.name))
    member.mesh.add(to)
  }

  function wants(member: Member, other: Member): boolean {
    return member.mesh.size < degrees.Dlo && !member.mesh.has(other) && !isBackedOff(member, other)
  }

  /** Two subscribers have found themselves connected. Both may graft, their GRAFTs cross. */
  function link(left: Member, right: Member): void {
    if (left.peers.has(right)) return
    left.peers.add(right)
    right.peers.add(left)
    const [leftWants, rightWants] = [wants(left, right), wants(right, left)]
    if (leftWants) sendGraft(left, right)
    if (rightWants) sendGraft(right, left)
    if (leftWants) accept(right, left)
    if (rightWants) accept(left, right)
    init.onLinked(left, right)
  }

  function areConnected(left: Station, right: Station): boolean {
    return left.host.isConnected(right.peer) && right.host.isConnected(left.peer)
  }

  function mendMember(member: Member): boolean {
    const { mesh, peers } = member
    if (mesh.size < degrees.Dlo && peers.size > mesh.size) {
      const candidates = shuffled([...peers].filter((peer) => !mesh.has(peer) && !isBackedOff(member, peer)), random)
      for (const peer of candidates.slice(0, degrees.D - mesh.size)) {
        sendGraft(member, peer)
        accept(peer, member)
      }
    }
    if (mesh.size > degrees.Dhi) {
      // Nobody is better than another here, so the longest in the mesh are kept, then as many that were dialled as there are.
      const kept = [...mesh]
      const order = [...kept.slice(0, degrees.Dscore), ...shuffled(kept.slice(degrees.Dscore), random)]
      const outbound = order.slice(0, degrees.D).filter((peer) => dialled(member, peer)).length
      if (outbound < degrees.Dout) order.sort((left, right) => Number(dialled(member, right)) - Number(dialled(member, left)))
      for (const peer of order.slice(degrees.D)) prune(member, peer, gossipSettings.pruneBackoffMs)
    }
    if (mesh.size >= degrees.Dlo && peers.size > mesh.size) {
      let missing = degrees.Dout
      for (const peer of mesh) if (dialled(member, peer)) missing--
      if (missing > 0) {
        const candidates = shuffled([...peers].filter((peer) => !mesh.has(peer) && dialled(member, peer) && !isBackedOff(member, peer)), random)
        for (const peer of candidates.slice(0, missing)) {
          sendGraft(member, peer)
          accept(peer, member)
        }
      }
    }
    return (mesh.size < degrees.Dlo && peers.size > mesh.size) || mesh.size > degrees.Dhi
  }

  return {
    join(station, seat, topic) {
      const member: Member = {
        station, seat, topic, peers: new Set(), mesh: new Set(), backoffs: undefined, isSearching: false, toldMs: undefined, walk: 0, arrivalMs: 0,
      }
      countControl(station.counters, 'subscriptionsSent', station.connections, subscriptionBytes(topic.name))
      const known: Member[] = []
      for (const other of topic.members.values()) if (other.station !== station && other.station.host.isAlive() && areConnected(station, other.station)) known.push(other)
      station.topics.set(topic.name, member)
      topic.members.set(station.peer, member)
      const chosen = new Set(shuffled([...known], random, degrees.D).slice(0, degrees.D))
      for (const other of known) {
        member.peers.add(other)
        other.peers.add(member)
      }
      for (const other of chosen) sendGraft(member, other)
      // They hear of the subscription just before the GRAFT, and may have sent their own.
      for (const other of known) {
        if (!wants(other, member)) continue
        sendGraft(other, member)
        accept(member, other)
      }
      for (const other of chosen) accept(other, member)
      for (const other of known) init.onLinked(member, other)
      dirty(topic)
      return member
    },
    leave(member) {
      const { station, topic } = member
      countControl(station.counters, 'subscriptionsSent', station.connections, subscriptionBytes(topic.name))
      for (const other of member.mesh) prune(member, other, gossipSettings.unsubscribeBackoffMs)
      for (const other of member.peers) other.peers.delete(member)
      station.topics.delete(topic.name)
      if (topic.members.get(station.peer) === member) topic.members.delete(station.peer)
      for (const published of topic.window) published.missing.delete(member)
      dirty(topic)
    },
    announce: (member) => countControl(member.station.counters, 'subscriptionsSent', 1, subscriptionBytes(member.topic.name)),
    connected(left, right) {
      if (!areConnected(left, right)) return
      const [fewer, other] = left.topics.size <= right.topics.size ? [left, right] : [right, left]
      for (const [name, member] of fewer.topics) {
        const counterpart = other.topics.get(name)
        if (counterpart === undefined) continue
        link(member, counterpart)
        dirty(member.topic)
      }
    },
    disconnected(station, peer) {
      for (const member of station.topics.values()) {
        for (const other of member.peers) {
          if (other.station.peer !== peer) continue
          member.peers.delete(other)
          member.mesh.delete(other)
          dirty(member.topic)
        }
      }
    },
    mend(topic) {
      topic.isDirty = false
      let isOpen = false
      for (const member of topic.members.values()) {
        if (member.station.host.isAlive()) isOpen = mendMember(member) || isOpen
        else topic.members.delete(member.station.peer)
      }
      return isOpen
    },
  }
}
