/**
 * How a message spreads over a topic's mesh, worked out at once: whoever hears it first from some peer passes it on to its
 * other mesh peers. Each receiver costs one event, its first arrival; everything else is counted here and now.
 */
import type { Random } from '../../protocols/kernel/prng.ts'
import type { InstantMs } from '../../protocols/kernel/units.ts'
import type { VirtualNetwork } from '../virtual-network.ts'
import { createArrivalHeap } from './arrival-heap.ts'
import { countControl } from './counters.ts'
import { gossipSettings, wantBytes } from './settings.ts'
import type { Member, Published, Station } from './state.ts'

export interface Spread {
  /** Sends a message to a subscriber, at a moment from now on. It spreads when `run` is called. */
  send(published: Published, from: Station, fromMember: Member | undefined, to: Member, atMs: InstantMs): boolean
  run(published: Published): void
}

/** @param takesUplink every transmission takes its share of its sender's uplink; costs as much again. Without it those that bring nothing new are only counted. */
export function createSpread(network: VirtualNetwork, random: Random, takesUplink: boolean): Spread {
  const { clock } = network
  const heap = createArrivalHeap<Member>()
  const idontwantBytes = wantBytes(1)
  let walk = 1
  /** No hop was ever faster: what could only come later than what is already on its way is a duplicate. */
  let fastestMs = Infinity

  function receive(published: Published, member: Member, atMs: InstantMs): void {
    published.missing.delete(member)
    published.settledMs = Math.max(published.settledMs, atMs)
    member.station.counters.gossipReceived++
    member.seat.host.schedule(atMs - clock.nowMs(), () => {
      network.counters(member.station.peer).gossipReceived++
      member.seat.deliver(member.topic.name, published.message)
    })
  }

  function isLost(): boolean {
    const { lossFraction } = network.conditions()
    return (lossFraction > 0 && random.next() < lossFraction) || (network.gossipLossFraction > 0 && random.next() < network.gossipLossFraction)
  }

  function send(published: Published, from: Station, fromMember: Member | undefined, to: Member, atMs: InstantMs): boolean {
    from.counters.gossipSent++
    to.topic.sent++
    from.counters.gossipBytesSent += published.rpcBytes
    // It has it, or will before this could leave.
    if (!takesUplink && (to.walk === walk ? to.arrivalMs <= atMs + fastestMs : !published.missing.has(to))) {
      if (!isLost()) duplicate(published, to)
      return true
    }
    const hop = network.hop(from.peer, to.station.peer, published.rpcBytes)
    if (hop === undefined || !to.station.host.isAlive()) return false
    if (hop.delayMs < fastestMs) fastestMs = hop.delayMs
    const arrivalMs = atMs + hop.delayMs
    if (hop.duplicate) duplicate(published, to)
    if (to.walk === walk && to.arrivalMs <= arrivalMs) {
      duplicate(published, to)
      return true
    }
    to.walk = walk
    to.arrivalMs = arrivalMs
    heap.add(arrivalMs, to, fromMember)
    return true
  }

  function duplicate(published: Published, to: Member): void {
    to.station.counters.gossipDuplicates++
    to.station.counters.gossipBytesReceived += published.rpcBytes
  }

  /** Whether a mesh peer's IDONTWANT is here before the message is passed on to it. */
  function isUnwanted(member: Member, peer: Member, atMs: InstantMs): boolean {
    // The publisher has none to send: it knows what it published.
    if (peer.walk !== walk || peer.arrivalMs >= atMs) return false
    return peer.arrivalMs + network.latencyMs(peer.station.peer, member.station.peer) < atMs
  }

  function passOn(published: Published, member: Member, from: Member | undefined, atMs: InstantMs): void {
    const { station } = member
    // What a stopped process has received it passes on when it wakes; by then everybody has it.
    if (network.isPaused(station.peer)) return
    const isLarge = published.message.bytes.byteLength >= gossipSettings.idontwantBytesMin
    if (isLarge) countControl(station.counters, 'idontwantSent', member.mesh.size - (from !== undefined && member.mesh.has(from) ? 1 : 0), idontwantBytes)
    for (const peer of member.mesh) {
      if (peer === from || (isLarge && isUnwanted(member, peer, atMs))) continue
      send(published, station, member, peer, atMs)
    }
  }

  return {
    send,
    run(published) {
      for (let arrival = heap.take(); arrival !== undefined; arrival = heap.take()) {
        const { to, from, atMs } = arrival
        if (!published.missing.has(to)) {
          duplicate(published, to)
          continue
        }
        to.station.counters.gossipBytesReceived += published.rpcBytes
        receive(published, to, atMs)
        passOn(published, to, from, atMs)
      }
      walk++
    },
  }
}
