/** What the registrar actor of a node holds: the shards it leads, and the questions of this node's desk. */
import type { ActorAddress, GroupId, Incarnation, MissionId, PeerId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { InstantMs } from '../../protocols/kernel/units.ts'
import { servingShard } from '../../protocols/membership/placement.ts'
import { decodeRegistrar, emptyRegistrar, encodeRegistrar, foldRegistrar, registrarVersion, type RegistrarState } from '../../protocols/membership/registrar.ts'
import { RegistrarEvent, type MissionClaim, type RosterView } from '../../protocols/membership/schema.ts'
import type { LogRecord } from '../../protocols/replicated-log/schema.ts'
import type { MessageOf } from '../../protocols/wire.ts'
import type { RegistrarMessage } from '../messages.ts'
import type { Effect } from '../runtime/effects.ts'
import type { Tuning } from '../tuning.ts'
import { readClocks, type ClockReading } from './clock-jumps.ts'
import type { FoldedKind, HostedLog } from './hosted-log.ts'

export interface RegistrarInit {
  readonly tuning: Tuning
}

/** Whom a shard's leader answers once what it asked for is committed: with the claim that holds for this mission then, or with a refusal. */
export type ShardAnswer =
  | { readonly kind: 'claim'; readonly to: ActorAddress; readonly requestId: string; readonly missionId: MissionId; readonly refused?: MessageOf<'claim-answer'>['refused'] }
  | { readonly kind: 'moved'; readonly to: ActorAddress; readonly requestId: string; readonly missionId: MissionId }

/** The shard that serves a mission in this mesh. */
export function shardIn(state: { readonly view: RosterView | undefined }, missionId: MissionId): number {
  return servingShard(missionId, state.view?.shards.length ?? limits.registrarShards)
}

export type ShardLog = HostedLog<RegistrarState, ShardAnswer>

/** A question of this node's desk, asked of one member after another until one answers. */
export interface Asking {
  readonly id: string
  readonly tag: string
  readonly asker: ActorAddress
  /** As the roster divides the registrar now. */
  shard: number
  readonly question: { readonly kind: 'claim'; readonly claim: MissionClaim } | { readonly kind: 'find'; readonly missionId: MissionId }
  readonly untilMs: InstantMs
  /** Whether anybody has been asked yet: then the outcome of a claim may be unknown. */
  asked: boolean
  /** Whose turn it is, and how many were asked at once without waiting. */
  turn: number
  hurried: number
}

/** What a shard is to be told of a mission. */
export interface Telling {
  readonly told: Extract<RegistrarMessage, { kind: 'tell-registrar' }>
  readonly requestId: string
  turn: number
}

export interface RegistrarActorState {
  /** When it was last looked for what has expired. */
  clocksSeen: ClockReading
  incarnation: Incarnation | undefined
  /** Groups of which the store holds a copy, damaged or not: they are not founded. */
  readonly held: Set<GroupId>
  /** To be founded once the store is open. */
  toFound: readonly number[]
  view: RosterView | undefined
  /** The shards that this node leads. */
  readonly shards: Map<number, ShardLog>
  /** Whom this node said to serve each of them. */
  readonly reported: Map<number, readonly PeerId[]>
  /** Who led each shard when it was last heard of. */
  readonly leaders: Map<number, PeerId>
  readonly asking: Map<string, Asking>
  readonly telling: Map<MissionId, Telling>
  counter: number
}

export function newRegistrarState(clocks: ClockReading): RegistrarActorState {
  return { clocksSeen: readClocks(clocks), incarnation: undefined, held: new Set(), toFound: [], view: undefined, shards: new Map(), reported: new Map(), leaders: new Map(), asking: new Map(), telling: new Map(), counter: 0 }
}

export const registrarKind: FoldedKind<RegistrarState> = {
  version: registrarVersion,
  empty: emptyRegistrar,
  fold(state, record) {
    if (isRegistrarEvent(record)) foldRegistrar(state, record)
    return state
  },
  encode: encodeRegistrar,
  decode: decodeRegistrar,
}

const eventTypes = new Set<string>(RegistrarEvent.options.map((option) => option.shape.type.value))

function isRegistrarEvent(record: LogRecord): record is RegistrarEvent {
  return eventTypes.has(record.type)
}

export function readyShard(state: RegistrarActorState, shard: number): ShardLog | undefined {
  const log = state.shards.get(shard)
  return log?.phase === 'ready' ? log : undefined
}

export function timer(what: string, delayMs: number): Effect {
  return { type: 'set-timer', key: what, delayMs, message: { kind: 'tick', what } }
}

/** Bounds of what waits here. */
export const askingMax = 10_000
export const tellingMax = 20_000
export const uncommittedMax = 4_096
