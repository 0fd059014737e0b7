/** The Gossip port over a virtual gossip mesh. Envelopes go through the wire's bytes and schema check. */
import type { Gossip } from '../actors/ports/gossip.ts'
import { MeshError } from '../protocols/kernel/errors.ts'
import type { PeerId } from '../protocols/kernel/ids.ts'
import { limits } from '../protocols/kernel/limits.ts'
import type { Received } from '../protocols/wire.ts'
import type { GossipSeat, VirtualGossip } from './virtual-gossip.ts'
import type { VirtualHost } from './virtual-network.ts'
import { ownCodec, type WireCodec } from './wire-codec.ts'

export interface VirtualGossipInit {
  /** Gets what was refused. By default it is thrown, which ends the run: in a simulation it is a bug. */
  readonly onViolation?: (from: PeerId, error: unknown) => void
  /** Default: this release's. */
  readonly codec?: WireCodec
}

export function createVirtualGossip(host: VirtualHost, mesh: VirtualGossip, init: VirtualGossipInit = {}): Gossip {
  const listeners: ((topic: string, received: Received) => void)[] = []
  const topics = new Set<string>()
  const codec = init.codec ?? ownCodec

  function refuse(from: PeerId, error: unknown): void {
    if (init.onViolation === undefined) throw error
    init.onViolation(from, error)
  }

  const seat: GossipSeat = {
    host,
    deliver(topic, message) {
      // An unsubscription overtakes what is still on its way.
      if (!topics.has(topic)) return
      let received: readonly Received[]
      try {
        received = codec.isOwn ? message.received() : codec.decode(message.bytes).map((envelope) => ({ peer: message.from, envelope }))
      } catch (error) {
        refuse(message.from, error)
        return
      }
      for (const one of received) for (const listener of listeners) listener(topic, one)
    },
  }

  mesh.attach(host)

  return {
    publish(topic, envelope) {
      if (!host.isAlive()) return
      const bytes = codec.encode([envelope])
      if (bytes.byteLength > limits.gossipBytesMax) refuse(host.peer, new MeshError('too-large', `a gossip message of ${bytes.byteLength} bytes is over the limit of ${limits.gossipBytesMax}`))
      else mesh.publish(host, topic, bytes)
    },
    subscribe(topic) {
      if (!host.isAlive()) return
      topics.add(topic)
      mesh.subscribe(seat, topic)
    },
    unsubscribe(topic) {
      topics.delete(topic)
      mesh.unsubscribe(seat, topic)
    },
    onGossip: (listener) => void listeners.push(listener),
  }
}
