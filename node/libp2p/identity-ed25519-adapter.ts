import type { PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id'
import type { Identity } from '../../actors/ports/identity.ts'
import { MeshError } from '../../protocols/kernel/errors.ts'
import { sign, verify } from '../../protocols/kernel/hashing.ts'
import type { PeerId } from '../../protocols/kernel/ids.ts'

const publicKeysKept = 4_096

/**
 * The Identity port over a libp2p key. Synchronous, so that actors can sign and check within a step.
 *
 * @throws MeshError `wrong-state` when the key is not Ed25519.
 */
export function createEd25519Identity(privateKey: PrivateKey): Identity {
  if (privateKey.type !== 'Ed25519') {
    throw new MeshError('wrong-state', `the node's key is ${privateKey.type}, Skein needs Ed25519`, { next: 'start with an empty data directory' })
  }
  // libp2p's raw form is the seed followed by the public key.
  const seed = privateKey.raw.slice(0, 32)
  const peerId = peerIdFromPrivateKey(privateKey).toString() as PeerId
  const publicKeys = new Map<PeerId, Uint8Array | undefined>()

  function publicKeyOf(peer: PeerId): Uint8Array | undefined {
    if (publicKeys.has(peer)) return publicKeys.get(peer)
    const key = ed25519KeyIn(peer)
    if (publicKeys.size >= publicKeysKept) {
      const oldest = publicKeys.keys().next()
      if (!oldest.done) publicKeys.delete(oldest.value)
    }
    publicKeys.set(peer, key)
    return key
  }

  return {
    peerId,
    sign: (message) => sign(message, seed),
    verify(peer, message, signature) {
      const key = publicKeyOf(peer)
      return key !== undefined && verify(signature, message, key)
    },
  }
}

/** The 32 bytes of the public key that an Ed25519 peer id carries in itself. */
function ed25519KeyIn(peer: PeerId): Uint8Array | undefined {
  try {
    const parsed = peerIdFromString(peer)
    return parsed.type === 'Ed25519' ? parsed.publicKey.raw.slice() : undefined
  } catch {
    return undefined
  }
}
