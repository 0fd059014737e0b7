import type { PeerId } from '../../protocols/kernel/ids.ts'

export interface Identity {
  readonly peerId: PeerId
  /** Ed25519 over the bytes with this node's key. 64 bytes. */
  sign(message: Uint8Array): Uint8Array
  /** False for a wrong signature and for a peer id that carries no Ed25519 key. */
  verify(peerId: PeerId, message: Uint8Array, signature: Uint8Array): boolean
}
