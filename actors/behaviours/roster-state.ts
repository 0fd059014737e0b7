/** What the roster actor of a node holds: the log, if it leads it; its copy, if it is a member; what it has heard, always. */
import type { ActorAddress, Incarnation, PeerId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { InstantMs } from '../../protocols/kernel/units.ts'
import { decodeRoster, emptyRoster, encodeRoster, foldRoster, rosterVersion, type RosterState } from '../../protocols/membership/roster.ts'
import { RosterEvent, type Membership, type Replica, type RosterView } from '../../protocols/membership/schema.ts'
import type { LogEntry, LogRecord, LogSnapshot } from '../../protocols/replicated-log/schema.ts'
import type { Effect } from '../runtime/effects.ts'
import type { Tuning } from '../tuning.ts'
import type { FoldedKind, HostedLog } from './hosted-log.ts'

export interface RosterInit {
  readonly name: string
  /** This node made the mesh: with an empty store it founds the roster and its shards. */
  readonly founds: boolean
  /** It has the duty to keep logs. */
  readonly replica: boolean
  readonly domain: string
  readonly tuning: Tuning
}

/** The copy of a member: what is committed, folded. */
export interface RosterCopy {
  state: RosterState
  index: number
  lineage: number
  membership: Membership | undefined
  /** A snapshot whose state is being fetched, and what followed it meanwhile. */
  loading: { readonly tag: string; readonly snapshot: LogSnapshot; readonly entries: LogEntry[] } | undefined
}

/** What the host says once it is committed. */
export interface RosterSaid {
  readonly name: 'roster.admitted' | 'roster.dropped'
  readonly replica: string
  readonly peer: PeerId
  readonly reason?: string
}

export interface RosterActorState {
  incarnation: Incarnation | undefined
  /** The roster's log, while this node leads it. */
  host: HostedLog<RosterState, RosterSaid> | undefined
  readonly copy: RosterCopy
  /** Whom this node follows in the roster's group, when it is a member. */
  leader: PeerId | undefined
  view: RosterView | undefined
  readonly watchers: Map<string, ActorAddress>
  readonly connected: Set<PeerId>
  /** By a leader: when each replica gave a sign of life. */
  readonly heardAtMs: Map<PeerId, InstantMs>
  /** Who was asked for the roster and has not answered. */
  readonly asked: Set<PeerId>
  /** Whose turn it is to be asked. */
  turn: number
  counter: number
}

export function newRosterState(): RosterActorState {
  return { incarnation: undefined, host: undefined, copy: newCopy(), leader: undefined, view: undefined, watchers: new Map(), connected: new Set(), heardAtMs: new Map(), asked: new Set(), turn: 0, counter: 0 }
}

export function newCopy(): RosterCopy {
  return { state: emptyRoster(), index: 0, lineage: 1, membership: undefined, loading: undefined }
}

/** As before anything was heard. */
export function resetCopy(copy: RosterCopy): void {
  Object.assign(copy, newCopy())
}

export function timer(what: string, delayMs: number): Effect {
  return { type: 'set-timer', key: what, delayMs, message: { kind: 'tick', what } }
}

export const rosterKind: FoldedKind<RosterState> = {
  version: rosterVersion,
  empty: emptyRoster,
  fold: (state, record) => (isRosterEvent(record) ? foldRoster(state, record) : state),
  encode: encodeRoster,
  decode: decodeRoster,
}

const eventTypes = new Set<string>(RosterEvent.options.map((option) => option.shape.type.value))

export function isRosterEvent(record: LogRecord): record is RosterEvent {
  return eventTypes.has(record.type)
}

/** This node as a replica; undefined until its store is open, or when it is none. */
export function ownReplica(init: RosterInit, state: RosterActorState, self: PeerId): Replica | undefined {
  return init.replica && state.incarnation !== undefined ? { peer: self, name: init.name.slice(0, 64), incarnation: state.incarnation, domain: init.domain.slice(0, 64) } : undefined
}

export const rosterTimes = {
  /** Until anything is known of the roster, and from then on. */
  askUnknownMs: 1_000,
  askMs: 10_000,
  /** By a replica that is not admitted. */
  joinMs: 2_000,
  /** By one that is: so often it says that it lives. Several of them may be lost. */
  signOfLifeMs: (memberSilentMs: number) => Math.min(20_000, memberSilentMs / 4),
} as const

/** Of many peers that may know, so many are asked at once. */
export const askedAtOnce = 3
export const watchersMax = limits.missionsLiveMax
