/** What the missions desk remembers between two messages. */
import type { Fault } from '../../protocols/kernel/errors.ts'
import type { ActorAddress, MissionId, PeerId } from '../../protocols/kernel/ids.ts'
import type { Json } from '../../protocols/kernel/payload.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { LogHead } from '../../protocols/replicated-log/schema.ts'
import type { DeadView, MissionView } from '../../protocols/tasking/views.ts'
import type { Member } from '../messages.ts'
import { actorNames, fingerprintOf } from '../names.ts'
import type { Claim } from '../ports/log-store.ts'
import { erased, type ActorContext, type Delivery } from '../runtime/actor.ts'
import { tell, type Effect } from '../runtime/effects.ts'
import type { Tuning } from '../tuning.ts'
import { orchestrator } from './orchestrator.ts'
import type { Submission } from './submission.ts'

export interface MissionsInit {
  readonly nodeName: string
  readonly tuning: Tuning
  readonly replica: boolean
}

export interface Asker {
  readonly to: ActorAddress
  readonly requestId: string
  /** True when the asker is another node: the answer goes by wire. */
  readonly remote: boolean
}

export interface Gathering {
  readonly asker: Asker
  readonly op: 'list' | 'dead' | 'queue'
  readonly limit: number
  readonly waiting: Set<string>
  readonly found: unknown[]
}

export interface MissionsState {
  ready: boolean
  readonly early: Delivery[]
  readonly heads: Map<MissionId, LogHead>
  readonly views: Map<MissionId, MissionView>
  readonly dead: Map<MissionId, readonly DeadView[]>
  /** Missions whose log cannot be read. */
  readonly damaged: Set<MissionId>
  /** How often a mission's orchestrator failed and was opened again. */
  readonly reopened: Map<MissionId, number>
  readonly claims: Map<string, Claim>
  readonly submissions: Map<string, { readonly submission: Submission; readonly askers: Asker[] }>
  /** Submissions in the making, by claim: a second one with the same key waits for the first. */
  readonly claiming: Map<string, string>
  readonly opening: Map<MissionId, string>
  /** Questions passed on, by our own request id. */
  readonly relayed: Map<string, Asker & { readonly peer: PeerId }>
  readonly gatherings: Map<string, Gathering>
  /** Answers on their way to another node, while they are packed. */
  readonly packing: Map<string, Asker>
  /** The other nodes, by their fingerprints. */
  readonly members: Map<string, Member>
  counter: number
}

export function newMissionsState(): MissionsState {
  return { ready: false, early: [], heads: new Map(), views: new Map(), dead: new Map(), damaged: new Set(), reopened: new Map(), claims: new Map(), submissions: new Map(), claiming: new Map(), opening: new Map(), relayed: new Map(), gatherings: new Map(), packing: new Map(), members: new Map(), counter: 0 }
}

/** Spawns the orchestrator of a mission of this node's log, unless it lives already. */
export function openOrchestrator(init: MissionsInit, state: MissionsState, missionId: MissionId, context: ActorContext): Effect[] {
  const head = state.heads.get(missionId)
  const name = actorNames.orchestrator(missionId)
  if (context.exists(name)) return []
  return [{ type: 'spawn', name, behaviour: erased(orchestrator({ missionId, nodeName: init.nodeName, tuning: init.tuning, ...(head === undefined ? {} : { head }) })) }]
}

/** The one heard of longest ago makes room: a peer that invents nodes cannot fill the memory. */
export function learnMembers(state: MissionsState, members: readonly Member[]): void {
  for (const member of members) {
    const fingerprint = fingerprintOf(member.peer)
    state.members.delete(fingerprint)
    state.members.set(fingerprint, member)
    const [oldest] = state.members.keys()
    if (state.members.size > limits.adverts && oldest !== undefined) state.members.delete(oldest)
  }
}

export function ownerOf(state: MissionsState, missionId: MissionId, context: ActorContext): PeerId | undefined {
  const fingerprint = missionId.split('-')[1]
  if (fingerprint === fingerprintOf(context.self.peer)) return context.self.peer
  return state.members.get(fingerprint ?? '')?.peer
}

export function claimKey(principal: string, key: string): string {
  return `${principal} ${key}`
}

/** To a local front end the value itself; to another node a payload, which is a blob when it is large. */
export function reply(state: MissionsState, asker: Asker, value: Json | undefined, problem: Fault | undefined): Effect[] {
  if (!asker.remote) return [tell(asker.to, { kind: 'local-answer', requestId: asker.requestId, ...(value === undefined ? {} : { answer: value }), ...(problem === undefined ? {} : { fault: problem }) })]
  if (problem !== undefined) return [tell(asker.to, { kind: 'mission-answer', requestId: asker.requestId, fault: problem })]
  state.counter += 1
  const tag = `answer ${state.counter}`
  state.packing.set(tag, asker)
  return [{ type: 'store-value', value: value ?? null, tag }]
}
