import type { InstantMs } from '../../protocols/kernel/units.ts'
import type { GossipMessage } from './message.ts'
import type { Member, Station, Topic } from './overlay.ts'

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
