/**
 * The Transport port over a virtual host. Every envelope becomes the wire's bytes, so that sizes are real; how many frames
 * are read back from them, through the schema check, is an option.
 */
import type { Transport } from '../actors/ports/transport.ts'
import type { PeerId } from '../protocols/kernel/ids.ts'
import { limits } from '../protocols/kernel/limits.ts'
import type { Envelope, Received } from '../protocols/wire.ts'
import type { VirtualHost } from './virtual-network.ts'
import { ownCodec, type WireCodec } from './wire-codec.ts'

export interface VirtualTransportInit {
  /** Gets what a frame's receiver refused. By default it is thrown, which ends the run: in a simulation it is a bug. */
  readonly onViolation?: (from: PeerId, error: unknown) => void
  /** Decode and check every so-manyth frame; of the others the receiver gets the sender's own envelopes. Default 1: all. */
  readonly decodeEvery?: number
  /** Default: this release's. */
  readonly codec?: WireCodec
  /** Hears of every envelope before the receivers do. */
  readonly onDelivered?: (received: Received) => void
  /** It is on its way, arrives or not. */
  readonly onSent?: (peer: PeerId, envelope: Envelope) => void
}

function throwViolation(_from: PeerId, error: unknown): never {
  throw error
}

export function createVirtualTransport(host: VirtualHost, init: VirtualTransportInit = {}): Transport {
  const onViolation = init.onViolation ?? throwViolation
  const receivers: ((received: Received) => void)[] = []
  const undeliveredListeners: ((peer: PeerId, envelope: Envelope, reason: string) => void)[] = []
  const outbox = new Map<PeerId, Envelope[]>()
  const decodeEvery = init.decodeEvery ?? 1
  const codec = init.codec ?? ownCodec
  const { byKind } = host.network
  let framesTaken = 0

  function giveUp(peer: PeerId, envelopes: readonly Envelope[], reason: string): void {
    for (const envelope of envelopes) for (const listener of undeliveredListeners) listener(peer, envelope, reason)
  }

  function transmit(peer: PeerId, envelopes: readonly Envelope[]): void {
    for (let at = 0; at < envelopes.length; at += limits.frameMessagesMax) sendBatch(peer, envelopes.slice(at, at + limits.frameMessagesMax))
  }

  function sendBatch(peer: PeerId, batch: readonly Envelope[]): void {
    const bytes = codec.encode(batch)
    if (bytes.byteLength > limits.frameBytesMax) {
      if (batch.length === 1) return giveUp(peer, batch, `a message of ${bytes.byteLength} bytes is over the frame limit of ${limits.frameBytesMax}`)
      const half = batch.length >> 1
      sendBatch(peer, batch.slice(0, half))
      sendBatch(peer, batch.slice(half))
      return
    }
    if (!host.sendFrame(peer, bytes, batch.length, codec.isOwn ? batch : undefined)) return giveUp(peer, batch, 'the connection was closed')
    for (const { message } of batch) byKind.set(message.kind, (byKind.get(message.kind) ?? 0) + 1)
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

  function open(from: PeerId, bytes: Uint8Array, cargo: unknown): readonly Envelope[] {
    // A peer that is no node of ours (a test's rogue) sends bytes alone.
    if (framesTaken++ % decodeEvery !== 0 && codec.isOwn && Array.isArray(cargo)) return cargo as readonly Envelope[]
    try {
      return codec.decode(bytes)
    } catch (error) {
      onViolation(from, error)
      return []
    }
  }

  function deliver(from: PeerId, bytes: Uint8Array, cargo: unknown): void {
    for (const envelope of open(from, bytes, cargo)) {
      const received = { peer: from, envelope }
      init.onDelivered?.(received)
      for (const receiver of receivers) receiver(received)
    }
  }

  function deliverToSelf(): void {
    const own = take(host.peer)
    deliver(host.peer, ownCodec.encode(own), own)
  }

  host.onFrame((from, bytes, _messages, cargo) => deliver(from, bytes, cargo))
  return {
    send(peer, envelope) {
      if (!host.isAlive()) return
      init.onSent?.(peer, envelope)
      const waiting = outbox.get(peer)
      if (waiting !== undefined) {
        waiting.push(envelope)
        return
      }
      outbox.set(peer, [envelope])
      // The flush is an event of its own: what one tick sends to one peer travels in one frame.
      if (peer === host.peer) host.schedule(0, deliverToSelf)
      else host.schedule(0, () => flush(peer))
    },
    onReceive: (listener) => void receivers.push(listener),
    onPeer: (listener) => host.onPeer(listener),
    onUndelivered: (listener) => void undeliveredListeners.push(listener),
    connectedPeers: () => host.connectedPeers(),
  }
}
