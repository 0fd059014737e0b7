/** What the virtual network offers: to the adapters of a node (`VirtualHost`), and to whoever plays fate (`VirtualNetwork`). */
import type { PeerId } from '../../protocols/kernel/ids.ts'
import type { Random } from '../../protocols/kernel/prng.ts'
import type { DurationMs } from '../../protocols/kernel/units.ts'
import type { Distribution } from '../scenario/schema.ts'
import type { VirtualClock } from '../virtual-clock.ts'
import type { TrafficCounters } from './traffic.ts'

export interface VirtualNetworkInit {
  readonly clock: VirtualClock
  readonly random: Random
  /** One-way latency between hosts of one site: every pair draws its own base, and up to a tenth more per frame; default 0.2 to 2 ms. */
  readonly latencyMs?: Distribution
  /** The same between hosts of different sites; default: `latencyMs`. */
  readonly betweenSitesLatencyMs?: Distribution
  /** `latencyMs`, drawn evenly between these. */
  readonly latencyMsMin?: DurationMs
  readonly latencyMsMax?: DurationMs
  /** Until peers notice a killed process: its system closes the connections; default 5 ms. */
  readonly crashDetectionMs?: DurationMs
  /** Until both ends notice that `disconnect` cut their link; default 2 s. */
  readonly cutDetectionMs?: DurationMs
  /** Until an end notices that the other does not answer any more (partition, paused process): its connection monitor's pings; default 3 to 6 s. */
  readonly hungPeerMs?: Distribution
  /** Until a dial into the void fails; default 5 s. */
  readonly dialTimeoutMs?: DurationMs
  /** Share of gossip hops that are lost besides those that `lossFraction` loses, in [0,1]; default 0. */
  readonly gossipLossFraction?: number
  /** Of every host's uplink, in bytes per second; absent: no limit. */
  readonly bandwidthBytesPerSecond?: number
  /** Lost connections are dialled again, with back-off, as the real node does; default false. */
  readonly redial?: boolean
  /** A host with so many connections does not dial lost ones again; default: no limit. */
  readonly connectionsAimed?: number
}

/** Shares in [0,1]. Streams keep their order and lose nothing while they live: a lost frame costs them a retransmission. Gossip hops suffer all three. */
export interface LinkConditions {
  readonly lossFraction: number
  readonly duplicationFraction: number
  readonly reorderingFraction: number
}

/**
 * @param cargo what the sender put beside the bytes: the same object, not a copy.
 */
export type FrameListener = (from: PeerId, bytes: Uint8Array, messages: number, cargo: unknown) => void
export type PeerListener = (peer: PeerId, state: 'up' | 'down') => void
/** Ends what it was given for; calling it again does nothing. */
export type Heal = () => void

export interface Hop {
  readonly delayMs: DurationMs
  /** It arrives a second time, at once. */
  readonly duplicate: boolean
}

/** One process's life on the network, from `join` to `crash`. What a dead host does has no effect; what happens to a paused one waits. */
export interface VirtualHost {
  readonly peer: PeerId
  readonly network: VirtualNetwork
  isAlive(): boolean
  /** Like the clock's, but nothing happens once this life is over, and nothing while it is paused. */
  schedule(delayMs: DurationMs, callback: () => void): void
  /** Sorted. The same array until it changes: not for writing. */
  connectedPeers(): readonly PeerId[]
  isConnected(to: PeerId): boolean
  /** Opens a connection unless there is one. */
  dial(to: PeerId, done: (connected: boolean, reason: string) => void): void
  /**
   * @param cargo handed to the receiver beside the bytes.
   * @returns false when this end knows of no connection. True promises nothing: the link may be cut unnoticed.
   */
  sendFrame(to: PeerId, bytes: Uint8Array, messages: number, cargo?: unknown): boolean
  onFrame(listener: FrameListener): void
  onPeer(listener: PeerListener): void
}

export interface VirtualNetwork {
  readonly clock: VirtualClock
  readonly gossipLossFraction: number
  /** Messages sent on streams by kind; the transport adapters count here. */
  readonly byKind: Map<string, number>

  /** Starts a process's life. @throws Error when one with this id is alive. */
  join(peer: PeerId, site?: string): VirtualHost
  host(peer: PeerId): VirtualHost | undefined
  /** Hosts of one site are near each other. It holds over all lives of the peer. */
  setSite(peer: PeerId, site: string): void
  /**
   * Kills the process: its peers hear 'down' after the crash detection time. What it had sent and is still on its way to a peer arrives or
   * does not (a coin). `join` starts the next life.
   * @param how a `machine` that loses power closes no connection: its peers find out by themselves.
   */
  crash(peer: PeerId, how?: 'process' | 'machine'): void
  /** Stops the process in its tracks (SIGSTOP, a suspended machine): frames, peer events and what it scheduled wait, in order, for `resume`. Its peers take it for hung. */
  pause(peer: PeerId): void
  resume(peer: PeerId): void
  isPaused(peer: PeerId): boolean

  /** Repairs the link if it was cut and opens a connection; the ends hear 'up' after a round trip. */
  connect(left: PeerId, right: PeerId): void
  /** Connects every pair of live hosts. For small meshes: it costs the square of them. */
  connectAll(): void
  /**
   * Connects a host as a newcomer would be: to everybody in a mesh of at most `connectionsAimed` others, else to so many at random.
   * @param atOnce without the time that dialling takes: for a mesh that is already there when its story begins.
   */
  connectNewcomer(peer: PeerId, connectionsAimed: number, atOnce?: boolean): void
  /** Closes the connection without cutting the link: either end may dial again. */
  closeConnection(left: PeerId, right: PeerId): void
  /** The next frame from one to the other is counted as sent, arrives or not (a coin), and then the connection is gone. */
  resetAfterSend(from: PeerId, to: PeerId): void

  /** Cuts the link: frames vanish, dials fail, and the ends hear 'down' after the cut detection time. `connect` repairs it. */
  disconnect(left: PeerId, right: PeerId): void
  /**
   * Nothing passes between the two groups. Hosts in neither still see both: with some, the partition is not transitive.
   * It holds over all lives of the peers; several may overlap. Connections across it die when their ends notice; if it heals before,
   * streams go on where they were. Only with `redial` does anybody dial after it.
   */
  partition(left: readonly PeerId[], right: readonly PeerId[]): Heal
  /** Nothing passes from the one group to the other; the other way works. Pings need both ways, so both ends lose the connection, and dials fail. */
  partitionOneWay(from: readonly PeerId[], to: readonly PeerId[]): Heal
  /** Nothing passes between a peer and anybody else. */
  isolate(peer: PeerId): Heal
  /** Ends all isolations of a peer and connects it at once to those it was connected with. */
  rejoin(peer: PeerId): void
  /** Latency times `factor`, bandwidth divided by it, both ways, from the next frame on. */
  slowLink(left: PeerId, right: PeerId, factor: number): void
  restoreLink(left: PeerId, right: PeerId): void
  /** From the next frame on. */
  setConditions(conditions: Partial<LinkConditions>): void
  conditions(): LinkConditions

  /**
   * One step of an overlay (gossip) over an existing connection, as of a datagram. It counts nothing, but takes its share of the uplink.
   * @returns undefined when it is lost on the way or there is no connection.
   */
  hop(from: PeerId, to: PeerId, bytes: number): Hop | undefined
  /** True when a path of live connections joins the two. Costs all connections after a change: not for every frame of a big mesh. */
  reaches(from: PeerId, to: PeerId): boolean
  /** True when a dial now would succeed, both being alive and awake with nothing between them. Costs little. */
  canDial(from: PeerId, to: PeerId): boolean
  /** What a frame would take now, without loss and bandwidth. */
  latencyMs(from: PeerId, to: PeerId): DurationMs

  counters(peer: PeerId): TrafficCounters
  totals(): TrafficCounters
  /** Hears of every frame on a stream as its receiver takes it. */
  onDelivered(listener: (from: PeerId, to: PeerId, bytes: Uint8Array, messages: number) => void): void
}
