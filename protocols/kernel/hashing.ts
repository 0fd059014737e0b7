/** Synchronous hashing and signatures for small values. Big blobs are hashed off the loop, in `node/`. */
import { ed25519 } from '@noble/curves/ed25519.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'
import type { Digest } from './ids.ts'

/** SHA-256 in lower-case hex, of bytes or of a text's UTF-8. */
export type Sha256 = (of: Uint8Array | string) => string

let sha256Hex: Sha256 = (of) => bytesToHex(sha256(typeof of === 'string' ? utf8ToBytes(of) : of))

/** A host with a faster SHA-256 lends it: every log entry is chained by one on each of its members. */
export function lendSha256(native: Sha256): void {
  sha256Hex = native
}

export function digestOf(bytes: Uint8Array): Digest {
  return sha256Hex(bytes) as Digest
}

export function digestOfText(text: string): Digest {
  return sha256Hex(text) as Digest
}

/** FNV-1a, 32 bits, as a fraction in [0, 1): for shards and thresholds, where speed matters and an adversary gains nothing. */
export function fractionOf(text: string): number {
  return hash32(text) / 0x1_0000_0000
}

export function hash32(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) {
    hash ^= text.charCodeAt(i)
    hash = Math.imul(hash, 0x01000193) >>> 0
  }
  // FNV's high bits are weak for short inputs; one round of murmur's finaliser spreads them.
  hash ^= hash >>> 16
  hash = Math.imul(hash, 0x85ebca6b) >>> 0
  hash ^= hash >>> 13
  return hash >>> 0
}

/** @param secretKey 32 bytes, the Ed25519 seed. @returns 64 bytes (RFC 8032). */
export function sign(message: Uint8Array, secretKey: Uint8Array): Uint8Array {
  return ed25519.sign(message, secretKey)
}

export function verify(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
  try {
    return ed25519.verify(signature, message, publicKey)
  } catch {
    return false
  }
}

/** JSON with sorted keys: the same value gives the same text, whatever order it was built in. Of plain data only. */
export function canonicalJson(value: unknown): string {
  return textOf(value) ?? 'null'
}

/** @returns undefined for what JSON leaves out. */
function textOf(value: unknown): string | undefined {
  switch (typeof value) {
    case 'number':
      return Number.isFinite(value) ? String(value) : 'null'
    case 'boolean':
      return value ? 'true' : 'false'
    case 'object':
      return value === null ? 'null' : Array.isArray(value) ? listText(value) : objectText(value as Readonly<Record<string, unknown>>)
    default:
      return JSON.stringify(value)
  }
}

function listText(value: readonly unknown[]): string {
  let text = '['
  for (let i = 0; i < value.length; i++) text += `${i === 0 ? '' : ','}${textOf(value[i]) ?? 'null'}`
  return `${text}]`
}

function objectText(value: Readonly<Record<string, unknown>>): string {
  let text = ''
  for (const key of Object.keys(value).sort()) {
    const inner = textOf(value[key])
    if (inner !== undefined) text += `${text === '' ? '' : ','}${quoted(key)}:${inner}`
  }
  return `{${text}}`
}

/** Most keys are names of our own fields, met over and over. */
const quotedKeys = new Map<string, string>()
const quotedKeysMax = 1_000

function quoted(key: string): string {
  const known = quotedKeys.get(key)
  if (known !== undefined) return known
  const text = JSON.stringify(key)
  if (quotedKeys.size < quotedKeysMax && key.length <= 64) quotedKeys.set(key, text)
  return text
}
