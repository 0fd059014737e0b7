/** The Gossip port over a virtual gossip mesh. Envelopes go through the wire's bytes and schema check. */
import type { Gossip } from '../actors/ports/gossip.ts'
import { MeshError } from '../protocols/kernel/errors.ts'
import type { PeerId } from '../protocols/kernel/ids.ts'
import { limits } from '../protocols/kernel/limits.ts'
import { encodeFrame, type Received } from '../protocols/wire.ts'
import type { GossipSeat, VirtualGossip } from './virtual-gossip.ts'
import type { VirtualHost } from './virtual-network.ts'

export interface VirtualGossipInit {
  /** Gets what was refused. By default it is thrown, which ends the run: in a simulation it is a bug. */
  readonly onViolation?: (from: PeerId, error: unknown) => void
}

export function createVirtualGossip(host: VirtualHost, mesh: VirtualGossip, init: VirtualGossipInit = {}): Gossip {
  const listeners: ((topic: string, received: Received) => void)[] = []
  const topics = new Set<string>()

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
        received = message.received()
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
      const bytes = encodeFrame([envelope])
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
