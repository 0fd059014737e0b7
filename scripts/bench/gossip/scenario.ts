/** What both meshes are asked to do, and what is counted. */
import type { Envelope } from '../../../protocols/wire.ts'

/** Sums over all nodes. Bytes are those of RPCs, without noise, yamux and TCP. */
export interface Counts {
  readonly subscriptions: number
  readonly graft: number
  readonly prune: number
  readonly messages: number
  readonly delivered: number
  readonly duplicates: number
  readonly messageBytes: number
  readonly ihave: number
  readonly iwant: number
  readonly idontwant: number
  readonly findNode: number
  readonly addProvider: number
  readonly getProviders: number
  readonly dhtReplies: number
  readonly dhtBytes: number
}

export interface Publication {
  readonly atMs: number
  readonly node: number
  readonly topic: string
  readonly envelope: Envelope
}

/** 20 nodes, all connected. Everybody hears `all`; half hear `half`, so that others publish there from outside; four hear `few`. */
export const scenario = {
  nodes: 20,
  topics: ['all', 'half', 'few'],
  subscribesTo: (node: number): string[] => ['all', ...(node % 2 === 0 ? ['half'] : []), ...(node % 5 === 0 ? ['few'] : [])],
  /** Not in the order in which they joined: that decides who dialled whom. */
  subscribing: Array.from({ length: 20 }, (_, index) => (index * 7) % 20),
  /** Between one node's subscriptions and the next one's. */
  subscribeEveryMs: 100,
  /** Heartbeats that mend the meshes after the last subscription. */
  settleMs: 3_500,
  /** Heartbeats at which the last messages are still offered. */
  drainMs: 4_500,
  keysOf: (node: number): string[] => (node % 2 === 0 ? [`capability/even`, `capability/${node}`] : []),
  /** For one that ten have, for one that one has, for one that nobody has. */
  finds: Array.from({ length: 20 }, (_, node) => ({ node, key: ['capability/even', 'capability/4', 'capability/none'][node % 3]!, max: 5 })),
} as const

function envelope(text: string, isLarge: boolean): Envelope {
  // Above the size at which mesh peers are told not to send it again.
  return { to: isLarge ? 'x'.repeat(700) : 'mesh', from: 'bench', message: { kind: 'goodbye', reason: text } }
}

/** One every 200 ms, from everybody in turn; two thirds to `all`, a quarter of them large. */
export const publications: readonly Publication[] = Array.from({ length: 60 }, (_, index) => ({
  atMs: index * 200,
  node: (index * 7) % scenario.nodes,
  topic: index % 6 === 4 ? 'half' : index % 6 === 5 ? 'few' : 'all',
  envelope: envelope(`message ${index}`, index % 4 === 0),
}))

/** How often the publications are to be delivered to others than their publishers. */
export function deliveriesDue(): number {
  let due = 0
  for (const { node, topic } of publications) for (let other = 0; other < scenario.nodes; other++) if (other !== node && scenario.subscribesTo(other).includes(topic)) due++
  return due
}
