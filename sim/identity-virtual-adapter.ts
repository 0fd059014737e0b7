/**
 * The Identity port with a key made from the node's name: the same name is the same node in every run.
 *
 * A signature is a keyed SHA-256, made again to check it, as every virtual key can be made again from the name in its
 * peer id. In this world nobody breaks cryptography, so what counts is who can sign for whom, and thousands of nodes sign
 * ten times a second: Ed25519 would cost a hundred times as much.
 */
import type { Identity } from '../actors/ports/identity.ts'
import { digestOf, digestOfText } from '../protocols/kernel/hashing.ts'
import { PeerId } from '../protocols/kernel/ids.ts'

const shape = /^v-([A-Za-z0-9._-]{1,64})-([0-9a-f]{16})$/

/** @param name 1 to 64 of `A-Za-z0-9._-`. @returns `v-<name>-<16 hex digits of its key's digest>`. */
export function virtualPeerId(name: string): PeerId {
  const peerId = `v-${name}-${digestOfText(`skein virtual node ${name}`).slice(0, 16)}`
  if (!shape.test(peerId)) throw new Error(`'${name}' cannot be a virtual node's name: use 1 to 64 letters, digits, dots, dashes and underscores`)
  return PeerId.parse(peerId)
}

/** The name in a virtual peer id; undefined for one that no virtual node can have. */
export function virtualNodeName(peer: string): string | undefined {
  const name = shape.exec(peer)?.[1]
  return name !== undefined && virtualPeerId(name) === peer ? name : undefined
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from({ length: hex.length / 2 }, (_, at) => Number.parseInt(hex.slice(2 * at, 2 * at + 2), 16))
}

function signatureOf(message: Uint8Array, secretKey: Uint8Array): Uint8Array {
  const keyed = new Uint8Array(secretKey.length + message.length)
  keyed.set(secretKey)
  keyed.set(message, secretKey.length)
  const digest = bytesOf(digestOf(keyed))
  const signature = new Uint8Array(64)
  signature.set(digest)
  signature.set(digest, 32)
  return signature
}

const isSame = (left: Uint8Array, right: Uint8Array): boolean => left.length === right.length && left.every((byte, at) => byte === right[at])

/** What was found genuine, by the signature itself: one advert is checked by dozens of nodes. */
const genuine = new WeakMap<Uint8Array, { readonly signer: string; readonly message: Uint8Array }>()
const keys = new Map<string, Uint8Array | undefined>()

function secretKeyOf(peer: string): Uint8Array | undefined {
  if (!keys.has(peer)) {
    const name = virtualNodeName(peer)
    keys.set(peer, name === undefined ? undefined : bytesOf(digestOfText(`skein virtual key ${name}`)))
  }
  return keys.get(peer)
}

export function createVirtualIdentity(name: string): Identity {
  const peerId = virtualPeerId(name)
  return {
    peerId,
    sign: (message) => signatureOf(message, secretKeyOf(peerId)!),
    verify(signer, message, signature) {
      const known = genuine.get(signature)
      if (known !== undefined && known.signer === signer && (known.message === message || isSame(known.message, message))) return true
      const secretKey = secretKeyOf(signer)
      if (secretKey === undefined || !isSame(signatureOf(message, secretKey), signature)) return false
      genuine.set(signature, { signer, message })
      return true
    },
  }
}
