/** What the real node asks of kad-dht, and what kad-dht 16 does unasked. */
import type { DurationMs } from '../../protocols/kernel/units.ts'

export const dhtSettings = {
  /** Peers in a bucket, holders of a record, and the answer to a question for close peers. */
  k: 20,
  /** Routing tables split to this depth and no further: at most 64 buckets of k. */
  bucketDepth: 6,
  /** Disjoint paths of a lookup, each with as many requests at a time; kad-dht 16 calls both ALPHA and sets 10, not the paper's 3. */
  alpha: 10,
  /** How long a record is kept: `reprovide.validity` of the real node. */
  validityMs: 60 * 60_000,
  /** A key that was told is told again after this: `againMs` of the real adapter. */
  againMs: 10 * 60_000,
  retryMs: 5_000,
  settleMs: 300,
  /** The first search for itself after the start, then one search for itself and one to refresh the table each interval. */
  selfQueryFirstMs: 1_000,
  refreshMs: 5 * 60_000,
  refreshLookups: 2,
  /** More is never looked for at once. */
  findMax: 20,
  /** A stream is opened, a datastore asked and a message decoded: what a request takes besides the wire. */
  requestMs: 1,
  /** A peer that does not answer is given up after this. */
  noAnswerMs: 5_000,
  provideTimeoutMs: 10_000,
} as const satisfies Record<string, DurationMs | number>

export type DhtRequest = 'FIND_NODE' | 'GET_PROVIDERS' | 'ADD_PROVIDER'

/** A multihash of a key or of an Ed25519 peer id, with its field's header. */
const keyFieldBytes = 2 + 34
const idFieldBytes = 2 + 38
/** One IPv4 address with its port. A node with more interfaces tells more. */
const addressFieldBytes = 2 + 8
const peerFieldBytes = 2 + idFieldBytes + addressFieldBytes
const typeFieldBytes = 2
const lengthPrefixBytes = 1

export function requestBytes(request: DhtRequest): number {
  return lengthPrefixBytes + typeFieldBytes + keyFieldBytes + (request === 'ADD_PROVIDER' ? peerFieldBytes : 0)
}

/** @returns the bytes of an answer; nothing answers ADD_PROVIDER. */
export function replyBytes(request: DhtRequest, closerPeers: number, providers: number): number {
  if (request === 'ADD_PROVIDER') return 0
  return lengthPrefixBytes + 1 + typeFieldBytes + (request === 'GET_PROVIDERS' ? keyFieldBytes : 0) + (closerPeers + providers) * peerFieldBytes
}
