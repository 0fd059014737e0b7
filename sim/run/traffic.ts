/** What a virtual mesh has sent: streams, gossip, gossip's control, DHT and connections, in one place. */
import type { PeerId } from '../../protocols/kernel/ids.ts'
import type { MessageCounters, Sent } from '../measure/tally.ts'
import type { PlannedNode } from '../scenario/expand.ts'
import { virtualPeerId } from '../identity-virtual-adapter.ts'
import type { VirtualMesh } from '../virtual-mesh.ts'

export interface Traffic {
  sent(): Sent
  counters(): MessageCounters
  /** Of frames on streams, with small numbers in place of the peers. */
  onDelivered(listener: (from: number, to: number, bytes: Uint8Array) => void): void
}

const withoutWork: ReadonlySet<string> = new Set(['hello', 'goodbye', 'advert', 'advert-request', 'node-ask', 'node-report'])

export function createTraffic(mesh: VirtualMesh, nodes: readonly PlannedNode[]): Traffic {
  const numbers = new Map<PeerId, number>()

  function numberOf(peer: PeerId): number {
    let number = numbers.get(peer)
    if (number === undefined) numbers.set(peer, (number = numbers.size))
    return number
  }

  function sentBy(peer: PeerId): Sent {
    const streams = mesh.network.counters(peer)
    const gossip = mesh.gossip.counters(peer)
    const dht = mesh.dht.counters(peer)
    return { messages: streams.messagesSent + gossip.gossipSent + gossip.controlSent + dht.dhtSent, bytes: streams.bytesSent + gossip.gossipBytesSent + gossip.controlBytes + dht.dhtBytes }
  }

  function sent(): Sent {
    const streams = mesh.network.totals()
    const gossip = mesh.gossip.totals()
    const dht = mesh.dht.totals()
    return { messages: streams.messagesSent + gossip.gossipSent + gossip.controlSent + dht.dhtSent, bytes: streams.bytesSent + gossip.gossipBytesSent + gossip.controlBytes + dht.dhtBytes }
  }

  /** Messages on streams and calls by gossip. Greetings, adverts, gossip's own control and the DHT are there without work. */
  function sentForTasks(): number {
    let messages = mesh.gossip.sentByTopic().get('cfp') ?? 0
    for (const [kind, count] of mesh.network.byKind) if (!withoutWork.has(kind)) messages += count
    return messages
  }

  return {
    sent,
    counters() {
      const gossip = mesh.gossip.totals()
      return {
        forTasks: sentForTasks(),
        total: sent(), perNode: new Map(nodes.map(({ name }) => [name, sentBy(virtualPeerId(name))])), byKind: Object.fromEntries(mesh.network.byKind),
        gossip: gossip.gossipSent, gossipControl: gossip.controlSent, dht: mesh.dht.totals().dhtSent, connection: mesh.network.totals().connectionsOpened,
      }
    },
    onDelivered: (listener) => mesh.network.onDelivered((from, to, bytes) => listener(numberOf(from), numberOf(to), bytes)),
  }
}
