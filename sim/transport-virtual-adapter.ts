/** The Transport port over a virtual host. Every envelope goes through the wire's bytes and schema check. */
import type { Transport } from '../actors/ports/transport.ts'
import type { PeerId } from '../protocols/kernel/ids.ts'
import { limits } from '../protocols/kernel/limits.ts'
import { decodeFrame, encodeFrame, type Envelope, type Received } from '../protocols/wire.ts'
import type { VirtualHost } from './virtual-network.ts'

export interface VirtualTransportInit {
  /** Gets what a frame's receiver refused. By default it is thrown, which ends the run: in a simulation it is a bug. */
  readonly onViolation?: (from: PeerId, error: unknown) => void
}

function throwViolation(_from: PeerId, error: unknown): never {
  throw error
}

export function createVirtualTransport(host: VirtualHost, init: VirtualTransportInit = {}): Transport {
  const onViolation = init.onViolation ?? throwViolation
  const receivers: ((received: Received) => void)[] = []
  const undeliveredListeners: ((peer: PeerId, envelope: Envelope, reason: string) => void)[] = []
  const outbox = new Map<PeerId, Envelope[]>()

  function giveUp(peer: PeerId, envelopes: readonly Envelope[], reason: string): void {
    for (const envelope of envelopes) for (const listener of undeliveredListeners) listener(peer, envelope, reason)
  }

  function transmit(peer: PeerId, envelopes: readonly Envelope[]): void {
    for (let at = 0; at < envelopes.length; at += limits.frameMessagesMax) sendBatch(peer, envelopes.slice(at, at + limits.frameMessagesMax))
  }

  function sendBatch(peer: PeerId, batch: readonly Envelope[]): void {
    const bytes = encodeFrame(batch)
    if (bytes.byteLength > limits.frameBytesMax) {
      if (batch.length === 1) return giveUp(peer, batch, `a message of ${bytes.byteLength} bytes is over the frame limit of ${limits.frameBytesMax}`)
      const half = batch.length >> 1
      sendBatch(peer, batch.slice(0, half))
      sendBatch(peer, batch.slice(half))
      return
    }
    if (!host.sendFrame(peer, bytes, batch.length)) giveUp(peer, batch, 'the connection was closed')
  }

  function flush(peer: PeerId): void {
    if (!host.isConnected(peer)) {
      host.dial(peer, (connected, reason) => {
        const waiting = take(peer)
        if (connected) transmit(peer, waiting)
        else giveUp(peer, waiting, reason)
      })
      return
    }
    transmit(peer, take(peer))
  }

  function take(peer: PeerId): Envelope[] {
    const waiting = outbox.get(peer) ?? []
    outbox.delete(peer)
    return waiting
  }

  function deliver(from: PeerId, bytes: Uint8Array): void {
    let envelopes: Envelope[]
    try {
      envelopes = decodeFrame(bytes)
    } catch (error) {
      onViolation(from, error)
      return
    }
    for (const envelope of envelopes) for (const receiver of receivers) receiver({ peer: from, envelope })
  }

  host.onFrame(deliver)
  return {
    send(peer, envelope) {
      if (!host.isAlive()) return
      const waiting = outbox.get(peer)
      if (waiting !== undefined) {
        waiting.push(envelope)
        return
      }
      outbox.set(peer, [envelope])
      // The flush is an event of its own: what one tick sends to one peer travels in one frame.
      if (peer === host.peer) host.schedule(0, () => deliver(peer, encodeFrame(take(peer))))
      else host.schedule(0, () => flush(peer))
    },
    onReceive: (listener) => void receivers.push(listener),
    onPeer: (listener) => host.onPeer(listener),
    onUndelivered: (listener) => void undeliveredListeners.push(listener),
    connectedPeers: () => host.connectedPeers(),
  }
}
