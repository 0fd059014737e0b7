/**
 * How a message spreads over a topic's mesh, worked out at once: whoever hears it first from some peer passes it on to its
 * other mesh peers. Each receiver costs one event, its first arrival; everything else is counted here and now.
 */
import type { InstantMs } from '../../protocols/kernel/units.ts'
import type { VirtualNetwork } from '../virtual-network.ts'
import { createArrivalHeap } from './arrival-heap.ts'
import { countControl } from './counters.ts'
import type { Member, Station } from './overlay.ts'
import type { Published } from './published.ts'
import { gossipSettings, wantBytes } from './settings.ts'

export interface Spread {
  /** Sends a message to a subscriber, at a moment from now on. It spreads when `run` is called. */
  send(published: Published, from: Station, fromMember: Member | undefined, to: Member, atMs: InstantMs): boolean
  run(published: Published): void
}

export function createSpread(network: VirtualNetwork): Spread {
  const { clock } = network
  const heap = createArrivalHeap<Member>()
  const idontwantBytes = wantBytes(1)
  let walk = 1

  function receive(published: Published, member: Member, atMs: InstantMs): void {
    published.missing.delete(member)
    published.settledMs = Math.max(published.settledMs, atMs)
    member.walk = walk
    member.arrivalMs = atMs
    member.station.counters.gossipReceived++
    member.seat.host.schedule(atMs - clock.nowMs(), () => {
      network.counters(member.station.peer).gossipReceived++
      member.seat.deliver(member.topic.name, published.message)
    })
  }

  function send(published: Published, from: Station, fromMember: Member | undefined, to: Member, atMs: InstantMs): boolean {
    from.counters.gossipSent++
    from.counters.gossipBytesSent += published.rpcBytes
    const hop = network.hop(from.peer, to.station.peer, published.rpcBytes)
    if (hop === undefined || !to.station.host.isAlive()) return false
    heap.add(atMs + hop.delayMs, to, fromMember)
    if (hop.duplicate) heap.add(atMs + hop.delayMs, to, fromMember)
    return true
  }

  /** Whether a mesh peer's IDONTWANT is here before the message is passed on to it. */
  function isUnwanted(member: Member, peer: Member, atMs: InstantMs): boolean {
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
      walk++
      for (let arrival = heap.take(); arrival !== undefined; arrival = heap.take()) {
        const { to, from, atMs } = arrival
        to.station.counters.gossipBytesReceived += published.rpcBytes
        if (!published.missing.has(to)) {
          to.station.counters.gossipDuplicates++
          continue
        }
        receive(published, to, atMs)
        passOn(published, to, from, atMs)
      }
    },
  }
}
