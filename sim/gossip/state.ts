/** Who takes part in gossip, in what, and what is on its way. */
import type { PeerId } from '../../protocols/kernel/ids.ts'
import type { DurationMs, InstantMs } from '../../protocols/kernel/units.ts'
import type { VirtualHost } from '../virtual-network.ts'
import type { GossipCounters } from './counters.ts'
import type { GossipMessage } from './message.ts'

export interface GossipSeat {
  readonly host: VirtualHost
  deliver(topic: string, message: GossipMessage): void
}

/** One node's gossip, for one life. */
export interface Station {
  readonly host: VirtualHost
  readonly peer: PeerId
  readonly counters: GossipCounters
  /** When in each second its heartbeat is. */
  readonly phaseMs: DurationMs
  readonly topics: Map<string, Member>
  connections: number
  /** Publications that met nobody, by topic. */
  readonly waiting: Map<string, Published[]>
}

/** A station's subscription. */
export interface Member {
  readonly station: Station
  readonly seat: GossipSeat
  readonly topic: Topic
  /** The subscribers it is connected to. */
  readonly peers: Set<Member>
  readonly mesh: Set<Member>
  backoffs: Map<PeerId, InstantMs> | undefined
  /** Looking for subscribers to connect to. */
  isSearching: boolean
  toldMs: InstantMs | undefined
  /** Of the walk that is going on. */
  walk: number
  arrivalMs: InstantMs
}

export interface Topic {
  readonly name: string
  readonly members: Map<PeerId, Member>
  /** Still offered at heartbeats. */
  window: Published[]
  /** The mesh may need mending. */
  isDirty: boolean
  isBeating: boolean
  /** Transmissions of its messages, from one peer to another. */
  sent: number
}

/** A message on its way through a topic. */
export interface Published {
  readonly topic: Topic
  readonly origin: Station
  readonly message: GossipMessage
  readonly rpcBytes: number
  readonly publishedMs: InstantMs
  /** The subscribers that do not have it. */
  readonly missing: Set<Member>
  /** When it had come wherever it comes by itself. */
  settledMs: InstantMs
  heartbeatsLeft: number
}
