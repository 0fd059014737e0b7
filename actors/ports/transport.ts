import type { PeerId } from '../../protocols/kernel/ids.ts'
import type { Envelope, Received } from '../../protocols/wire.ts'

/**
 * Point to point. At most once, in order per peer while a connection lives.
 * Everything sent in one tick to one peer travels together.
 */
export interface Transport {
  /** Never throws. Dials when there is no connection; what cannot be sent is reported by `onUndelivered`. */
  send(peer: PeerId, envelope: Envelope): void
  onReceive(listener: (received: Received) => void): void
  /** A connection became usable, or the last one to that peer is gone. */
  onPeer(listener: (peer: PeerId, state: 'up' | 'down') => void): void
  onUndelivered(listener: (peer: PeerId, envelope: Envelope, reason: string) => void): void
  connectedPeers(): readonly PeerId[]
}
