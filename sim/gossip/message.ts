/** A gossiped frame: decoded and checked against the schema once, whoever hears it. */
import type { PeerId } from '../../protocols/kernel/ids.ts'
import { decodeFrame, type Received } from '../../protocols/wire.ts'

export interface GossipMessage {
  readonly from: PeerId
  readonly bytes: Uint8Array
  /** @throws MeshError what `decodeFrame` throws, to every reader. */
  received(): readonly Received[]
}

export function createGossipMessage(from: PeerId, bytes: Uint8Array): GossipMessage {
  let decoded: readonly Received[] | undefined
  let refusal: { readonly error: unknown } | undefined
  return {
    from, bytes,
    received() {
      if (refusal !== undefined) throw refusal.error
      if (decoded === undefined) {
        try {
          decoded = decodeFrame(bytes).map((envelope) => ({ peer: from, envelope }))
        } catch (error) {
          refusal = { error }
          throw error
        }
      }
      return decoded
    },
  }
}
