/** What the directory remembers between two messages. */
import type { Calibration } from '../../protocols/bidding/calibration.ts'
import type { AdvertCache } from '../../protocols/capability/advert-cache.ts'
import type { Advert, CapabilityQuery, SignedAdvert } from '../../protocols/capability/schema.ts'
import type { ActorAddress, PeerId } from '../../protocols/kernel/ids.ts'
import type { InstantMs } from '../../protocols/kernel/units.ts'

export interface Question {
  readonly tag: string
  readonly queries: readonly CapabilityQuery[]
  readonly asker: ActorAddress
}

export interface DirectoryState {
  readonly cache: AdvertCache
  readonly calibration: Calibration
  readonly connected: Set<PeerId>
  /** Last connection lost, by peer, with what was known of its name. */
  readonly gone: Map<PeerId, { name: string; atMs: InstantMs; reason: string }>
  readonly watchers: Map<string, ActorAddress>
  readonly nodeWatchers: Map<string, ActorAddress>
  own: { advert: Advert; signed: SignedAdvert } | undefined
  readonly startedAtMs: InstantMs
  /** Into how many shards this node divides the mesh. */
  shards: number
  /** What others said of theirs since the last look, with an advert that was genuine and new. */
  readonly hints: Map<PeerId, number>
  /** How many nodes of the whole mesh offer each capability, as counted when this node last advertised. */
  providers: ReadonlyMap<string, number>
  /** Into how many shards the providers of each capability are divided; the mesh's own number for one that was not counted yet. */
  shardsOf: ReadonlyMap<string, number>
  /** The missions desk. */
  desk: ActorAddress | undefined
  /** Questions that wait for the DHT, once each. */
  readonly searching: Map<string, Question>
  searches: number
}
