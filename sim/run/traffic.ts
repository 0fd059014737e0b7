/** What a virtual mesh has sent: streams, gossip, gossip's control, DHT and connections, in one place. */
import type { PeerId } from '../../protocols/kernel/ids.ts'
import type { MessageCounters, Sent } from '../measure/tally.ts'
import type { VirtualMesh } from '../virtual-mesh.ts'

export interface Traffic {
  sent(): Sent
  counters(): MessageCounters
  /** Of frames on streams, with small numbers in place of the peers. */
  onDelivered(listener: (from: number, to: number, bytes: Uint8Array) => void): void
}

export function createTraffic(mesh: VirtualMesh): Traffic {
  const numbers = new Map<PeerId, number>()

  function numberOf(peer: PeerId): number {
    let number = numbers.get(peer)
    if (number === undefined) numbers.set(peer, (number = numbers.size))
    return number
  }

  return {
    sent() {
      const streams = mesh.network.totals()
      return { messages: streams.messagesSent, bytes: streams.bytesSent }
    },
    counters() {
      const streams = mesh.network.totals()
      return { total: this.sent(), perNode: new Map(), byKind: Object.fromEntries(mesh.network.byKind), gossip: 0, gossipControl: 0, dht: 0, connection: streams.connectionsOpened }
    },
    onDelivered: (listener) => mesh.network.onDelivered((from, to, bytes) => listener(numberOf(from), numberOf(to), bytes)),
  }
}
