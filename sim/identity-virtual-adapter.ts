/**
 * The Identity port with a key made from the node's name: the same name is the same node in every run.
 *
 * Signatures are real Ed25519. As they are deterministic (RFC 8032) and every virtual key can be made again from the
 * name in its peer id, a signature is checked by making it again, which costs a third of a verification.
 */
import type { Identity } from '../actors/ports/identity.ts'
import { digestOfText, sign } from '../protocols/kernel/hashing.ts'
import { PeerId } from '../protocols/kernel/ids.ts'

const shape = /^v-([A-Za-z0-9._-]{1,64})-([0-9a-f]{16})$/

/** @param name 1 to 64 of `A-Za-z0-9._-`. @returns `v-<name>-<16 hex digits of its key's digest>`. */
export function virtualPeerId(name: string): PeerId {
  const peerId = `v-${name}-${digestOfText(`skein virtual node ${name}`).slice(0, 16)}`
  if (!shape.test(peerId)) throw new Error(`'${name}' cannot be a virtual node's name: use 1 to 64 letters, digits, dots, dashes and underscores`)
  return PeerId.parse(peerId)
}

function secretKeyOf(name: string): Uint8Array {
  const hex = digestOfText(`skein virtual key ${name}`)
  return Uint8Array.from({ length: 32 }, (_, at) => Number.parseInt(hex.slice(2 * at, 2 * at + 2), 16))
}

export function createVirtualIdentity(name: string): Identity {
  const peerId = virtualPeerId(name)
  const secretKey = secretKeyOf(name)
  return {
    peerId,
    sign: (message) => sign(message, secretKey),
    verify(signer, message, signature) {
      const signerName = shape.exec(signer)?.[1]
      if (signerName === undefined || virtualPeerId(signerName) !== signer) return false
      const expected = sign(message, signer === peerId ? secretKey : secretKeyOf(signerName))
      return expected.length === signature.length && expected.every((byte, at) => byte === signature[at])
    },
  }
}
