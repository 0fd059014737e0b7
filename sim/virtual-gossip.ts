/** Who subscribes to what on a virtual network. Messages reach every subscriber that a path of connections joins to the publisher. */
import type { PeerId } from '../protocols/kernel/ids.ts'
import type { Random } from '../protocols/kernel/prng.ts'
import type { VirtualHost, VirtualNetwork } from './virtual-network.ts'

export interface GossipSeat {
  readonly host: VirtualHost
  deliver(topic: string, from: PeerId, bytes: Uint8Array): void
}

export interface VirtualGossip {
  subscribe(seat: GossipSeat, topic: string): void
  unsubscribe(seat: GossipSeat, topic: string): void
  publish(from: VirtualHost, topic: string, bytes: Uint8Array): void
  subscribers(topic: string): readonly PeerId[]
}

export function createVirtualGossipMesh(network: VirtualNetwork, random: Random): VirtualGossip {
  const seatsOf = new Map<string, Set<GossipSeat>>()

  function liveSeats(topic: string): GossipSeat[] {
    const seats = seatsOf.get(topic)
    if (seats === undefined) return []
    for (const seat of seats) if (!seat.host.isAlive()) seats.delete(seat)
    return [...seats]
  }

  return {
    subscribe(seat, topic) {
      seatsOf.set(topic, (seatsOf.get(topic) ?? new Set()).add(seat))
    },
    unsubscribe(seat, topic) {
      seatsOf.get(topic)?.delete(seat)
    },
    publish(from, topic, bytes) {
      network.counters(from.peer).gossipPublished++
      const neighbours = new Set(from.connectedPeers())
      for (const seat of liveSeats(topic)) {
        const to = seat.host.peer
        const own = to === from.peer
        if (!own && (!network.reaches(from.peer, to) || random.next() < network.gossipLossFraction)) continue
        const hops = own ? 0 : neighbours.has(to) ? 1 : 2
        let delayMs = 0
        for (let hop = 0; hop < hops; hop++) delayMs += network.latencyMs(from.peer, to)
        seat.host.schedule(delayMs, () => {
          network.counters(to).gossipReceived++
          seat.deliver(topic, from.peer, bytes)
        })
      }
    },
    subscribers: (topic) => liveSeats(topic).map((seat) => seat.host.peer).sort(),
  }
}
