/** Everything the network knows of peers and of pairs, and how to find it fast. */
import { hash32 } from '../../protocols/kernel/hashing.ts'
import type { PeerId } from '../../protocols/kernel/ids.ts'
import type { InstantMs } from '../../protocols/kernel/units.ts'
import type { FrameListener, Heal, PeerListener, VirtualHost } from './network.ts'
import { mixedSeed } from './noise.ts'
import { noTraffic, type TrafficCounters } from './traffic.ts'

/** Between two things on one stream: more than the rounding of an instant, less than anybody notices. */
export const orderMs = 1e-6

/** A process from join to crash. */
export interface Life {
  readonly host: VirtualHost
  alive: boolean
  paused: boolean
  /** What waits for a paused process, or for its turn after a pause; undefined: nothing has to wait. */
  held: HeldActs | undefined
  readonly frameListeners: FrameListener[]
  readonly peerListeners: PeerListener[]
}

export interface HeldActs {
  readonly acts: (() => void)[]
  next: number
}

/** Nothing passes from the hosts that have this wall to the hosts in it. */
export interface Wall {
  readonly to: ReadonlySet<Station>
}

/** A peer over all its lives. */
export interface Station {
  readonly peer: PeerId
  readonly index: number
  readonly hash: number
  site: string
  life: Life | undefined
  lives: number
  /** Where it stands among the live ones; -1 when dead. */
  liveAt: number
  /** By the other's index. */
  readonly links: Map<number, Link>
  readonly counters: TrafficCounters
  uplinkFreeMs: InstantMs
  /** By what ends them. */
  readonly isolations: Set<Heal>
  walls: Wall[]
  /** Connections that its process knows of. */
  connected: number
  connectedPeers: readonly PeerId[] | undefined
  /** What peers have in mind to dial once it lives again. */
  parked: Redialling[] | undefined
}

export interface Frame {
  readonly link: Link
  readonly lane: Lane
  readonly from: Station
  readonly to: Station
  readonly generation: number
  readonly bytes: Uint8Array
  readonly messages: number
  readonly cargo: unknown
  /** The connection is reset after it. */
  readonly resets: boolean
}

/** One direction of a link that streams have used. */
export interface Lane {
  lastArrivalMs: InstantMs
  /** When a slow link has sent what it was given. */
  freeMs: InstantMs
  /** Frames that wait for the way to open again. */
  stalled: Frame[] | undefined
  resetNext: boolean
}

export interface Redialling {
  readonly link: Link
  readonly by: Station
  readonly life: Life
  attempts: number
  nextAtMs: InstantMs
}

/** An attempt to connect that is under way, by one end or both. */
export interface Dial {
  readonly waiting: ((connected: boolean, reason: string) => void)[]
  /** Nobody answered yet: it will time out. */
  expiring: boolean
}

/** A pair. There may be more than a million of them: no objects in it that most do without. */
export interface Link {
  /** By peer id. */
  readonly low: Station
  readonly high: Station
  noise: number
  /** Negative: not drawn yet. */
  baseMs: number
  slowFactor: number
  cut: boolean
  /** The connection exists; whether its ends know that it does not is another matter. */
  alive: boolean
  /** A process that died: what it had handed to its system still arrives. */
  lastWordsOf: Station | undefined
  /** Which connection of this pair it is. */
  generation: number
  lowBelieves: boolean
  highBelieves: boolean
  /** One of the ends cannot be heard by the other. */
  silent: boolean
  /** Which silence it is. */
  episode: number
  toLow: Lane | undefined
  toHigh: Lane | undefined
  dialling: Dial | undefined
  redialLow: Redialling | undefined
  redialHigh: Redialling | undefined
}

export interface Directory {
  readonly stations: ReadonlyMap<PeerId, Station>
  /** The living, in no particular but always the same order. */
  readonly live: readonly Station[]
  /** Makes one when there is none: also of peers that never lived. */
  station(peer: PeerId): Station
  find(left: PeerId, right: PeerId): Link | undefined
  link(left: Station, right: Station): Link
  enliven(station: Station, life: Life): void
  bury(station: Station): void
}

export function otherEnd(link: Link, end: Station): Station {
  return link.low === end ? link.high : link.low
}

export function believes(link: Link, end: Station): boolean {
  return link.low === end ? link.lowBelieves : link.highBelieves
}

export function setBelief(link: Link, end: Station, belief: boolean): void {
  if (believes(link, end) === belief) return
  if (link.low === end) link.lowBelieves = belief
  else link.highBelieves = belief
  end.connected += belief ? 1 : -1
  end.connectedPeers = undefined
}

export function laneTo(link: Link, to: Station): Lane {
  const existing = link.low === to ? link.toLow : link.toHigh
  if (existing !== undefined) return existing
  const lane: Lane = { lastArrivalMs: 0, freeMs: 0, stalled: undefined, resetNext: false }
  if (link.low === to) link.toLow = lane
  else link.toHigh = lane
  return lane
}

export function connectedPeersOf(station: Station): readonly PeerId[] {
  if (station.connectedPeers === undefined) {
    const peers: PeerId[] = []
    for (const link of station.links.values()) if (believes(link, station)) peers.push(otherEnd(link, station).peer)
    station.connectedPeers = peers.sort()
  }
  return station.connectedPeers
}

/** @param seed of all links; each is seeded by its ends besides and not by when it was first used: the order of events does not change the latencies. */
export function createDirectory(seed: number): Directory {
  const stations = new Map<PeerId, Station>()
  const live: Station[] = []

  function station(peer: PeerId): Station {
    let found = stations.get(peer)
    if (found === undefined) {
      found = {
        peer, index: stations.size, hash: hash32(peer), site: '', life: undefined, lives: 0, liveAt: -1, links: new Map(), counters: noTraffic(),
        uplinkFreeMs: 0, isolations: new Set(), walls: [], connected: 0, connectedPeers: undefined, parked: undefined,
      }
      stations.set(peer, found)
    }
    return found
  }

  return {
    stations, live, station,
    find(left, right) {
      const [one, other] = [stations.get(left), stations.get(right)]
      return one === undefined || other === undefined ? undefined : one.links.get(other.index)
    },
    link(left, right) {
      const existing = left.links.get(right.index)
      if (existing !== undefined) return existing
      const ordered = left.peer < right.peer
      const [low, high] = ordered ? [left, right] : [right, left]
      const link: Link = {
        low, high, noise: mixedSeed(mixedSeed(seed, low.hash), high.hash), baseMs: -1, slowFactor: 1, cut: false, alive: false, lastWordsOf: undefined, generation: 0, lowBelieves: false, highBelieves: false,
        silent: false, episode: 0, toLow: undefined, toHigh: undefined, dialling: undefined, redialLow: undefined, redialHigh: undefined,
      }
      left.links.set(right.index, link)
      right.links.set(left.index, link)
      return link
    },
    enliven(risen, life) {
      risen.life = life
      risen.lives++
      risen.uplinkFreeMs = 0
      risen.liveAt = live.length
      live.push(risen)
    },
    bury(dead) {
      dead.life = undefined
      const last = live.pop()!
      if (last !== dead) {
        live[dead.liveAt] = last
        last.liveAt = dead.liveAt
      }
      dead.liveAt = -1
    },
  }
}
