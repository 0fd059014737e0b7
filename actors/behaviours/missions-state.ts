/** What the missions desk remembers between two messages. */
import type { Fault } from '../../protocols/kernel/errors.ts'
import type { ActorAddress, AwardId, Incarnation, MissionId, PeerId, Principal } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { Json } from '../../protocols/kernel/payload.ts'
import type { MissionClaim, RosterView } from '../../protocols/membership/schema.ts'
import type { EndedMission } from '../../protocols/replicated-log/schema.ts'
import type { MissionOperation } from '../../protocols/tasking/schema.ts'
import type { DeadView, MissionView } from '../../protocols/tasking/views.ts'
import type { MessageOf } from '../../protocols/wire.ts'
import type { Member } from '../messages.ts'
import { actorNames } from '../names.ts'
import type { DiskRoom } from '../ports/log-store.ts'
import { erased, type ActorContext, type Delivery } from '../runtime/actor.ts'
import { tell, type Effect } from '../runtime/effects.ts'
import type { Tuning } from '../tuning.ts'
import type { ClockReading } from './clock-jumps.ts'
import { hasBegun, type LedLog } from './orchestrator-state.ts'
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
  /** Of a submission that is looked at anew: then it has waited long enough. */
  readonly untilMs?: number
}

export interface Gathering {
  readonly asker: Asker
  readonly op: 'list' | 'dead' | 'queue'
  readonly limit: number
  readonly waiting: Set<string>
  readonly found: unknown[]
}

/** A log that this node is a member of. `led`: it leads it, and its orchestrator lives or is started again. */
export interface KnownGroup {
  leader: PeerId | undefined
  led: LedLog | undefined
}

/** Something that only the node which leads a mission can do, on its way there. */
export interface Inquiry {
  readonly id: string
  readonly missionId: MissionId
  readonly what: { readonly kind: 'ask'; readonly operation: MissionOperation; readonly principal: Principal; readonly asker: Asker } | { readonly kind: 'watch'; readonly message: MessageOf<'watch'> }
  readonly untilMs: number
  /** Of a submission: what its key names. Nobody has been asked to seal that yet. */
  readonly claim?: MissionClaim
  readonly tried: Set<PeerId>
  sentTo: PeerId | undefined
  /** The archives of this node were looked through. */
  isArchiveChecked: boolean
  /** What the registrar says of it: not asked in this round, being asked, told. */
  lookUp: 'not-asked' | 'asking' | 'told'
  problem: Fault | undefined
}

/** A submission's question to the members of the mission that its key names: whether they have nothing of it, and never will. */
export interface Sealing {
  readonly tag: string
  readonly claim: MissionClaim
  readonly waiting: Set<PeerId>
  /** To be asked when those who are asked now have sealed it. */
  next: readonly PeerId[]
}

export interface MissionsState {
  ready: boolean
  readonly early: Delivery[]
  incarnation: Incarnation | undefined
  roster: RosterView | undefined
  room: DiskRoom
  readonly groups: Map<MissionId, KnownGroup>
  readonly views: Map<MissionId, MissionView>
  /** Of these, the ones that have not ended, and whose they are: what is admitted is measured by them. Ended ones stay for a while, thousands of them. */
  readonly live: Map<MissionId, Principal>
  readonly dead: Map<MissionId, readonly DeadView[]>
  /** Missions whose only log is here and cannot be read. */
  readonly damaged: Map<MissionId, Fault>
  /** How often a mission's orchestrator failed and was opened again. */
  readonly reopened: Map<MissionId, number>
  readonly submissions: Map<string, { readonly submission: Submission; readonly askers: Asker[] }>
  /** Submissions that wait for a roster. */
  readonly rosterless: Delivery[]
  /** Submissions in the making, by claim: a second one with the same key waits for the first. */
  readonly claiming: Map<string, string>
  /** What was accepted here lately, by claim: whoever asks again is answered, however full it is by then. */
  readonly accepted: Map<string, { readonly missionId: MissionId; readonly digest: string }>
  /** Missions whose group is being founded or whose first events are being committed, by submission. */
  readonly opening: Map<MissionId, string>
  /** Logs in which nothing was begun, while it is being committed that nothing will be. */
  readonly closing: Set<MissionId>
  /** When it was last looked for such. */
  clocksSeen: ClockReading | undefined
  readonly inquiries: Map<string, Inquiry>
  /** Submissions whose key is stuck: the members of the mission that it names are being asked to seal it. */
  readonly sealings: Map<string, Sealing>
  /** Where missions of other nodes were found: the leader as it was heard of last, and the members. */
  readonly whereabouts: Map<MissionId, { readonly leader: PeerId | undefined; readonly members: readonly PeerId[] }>
  /** Questions to orchestrators of this node, and submissions passed on, by our own request id. */
  readonly relayed: Map<string, Asker & { readonly peer: PeerId; readonly inquiry?: string; readonly principal?: Principal; readonly operation?: MissionOperation }>
  readonly gatherings: Map<string, Gathering>
  /** Answers on their way to another node, while they are packed. */
  readonly packing: Map<string, Asker>
  /** Takeovers by hand, until the log-keeper has answered. */
  readonly takeovers: Map<string, Inquiry>
  /** Awards whose workers have asked whether they are still wanted, and whom that was asked of. */
  readonly wanted: Map<AwardId, { readonly worker: ActorAddress; readonly asked: Set<PeerId> }>
  readonly members: Map<PeerId, Member>
  counter: number
}

export function newMissionsState(): MissionsState {
  return {
    ready: false, early: [], incarnation: undefined, roster: undefined, room: 'enough', groups: new Map(), views: new Map(), live: new Map(), dead: new Map(), damaged: new Map(), reopened: new Map(), submissions: new Map(), rosterless: [], claiming: new Map(), accepted: new Map(),
    opening: new Map(), closing: new Set(), clocksSeen: undefined, inquiries: new Map(), sealings: new Map(), whereabouts: new Map(), relayed: new Map(), gatherings: new Map(), packing: new Map(), takeovers: new Map(), wanted: new Map(), members: new Map(), counter: 0,
  }
}

/** Spawns the orchestrator of a mission that this node leads, unless it lives already. */
export function openOrchestrator(init: MissionsInit, state: MissionsState, missionId: MissionId, context: ActorContext): Effect[] {
  const led = state.groups.get(missionId)?.led
  const name = actorNames.orchestrator(missionId)
  if (led === undefined || !hasBegun(led) || context.exists(name)) return []
  return [{ type: 'spawn', name, behaviour: erased(orchestrator({ missionId, nodeName: init.nodeName, tuning: init.tuning, from: { kind: 'led', led } })) }]
}

/** A log that this node leads and in which there is no mission yet: who submits it again begins it. */
export function unbegun(state: MissionsState, missionId: MissionId, context: ActorContext): LedLog | undefined {
  const led = state.groups.get(missionId)?.led
  return led === undefined || hasBegun(led) || isClosed(led) || state.closing.has(missionId) || state.opening.has(missionId) || context.exists(actorNames.orchestrator(missionId)) ? undefined : led
}

/** No mission was begun in it, and none will be. */
export function isClosed(led: LedLog): boolean {
  return !hasBegun(led) && led.entries.some(({ event }) => event.type === 'archived')
}

/** The orchestrator that answers for an archived mission, for a while. */
export function openEnded(init: MissionsInit, ended: EndedMission, context: ActorContext): Effect[] {
  const name = actorNames.orchestrator(ended.missionId)
  if (context.exists(name)) return []
  return [{ type: 'spawn', name, behaviour: erased(orchestrator({ missionId: ended.missionId, nodeName: (ended.view as Partial<MissionView> | undefined)?.ownerName ?? init.nodeName, tuning: init.tuning, from: { kind: 'ended', ended } })) }]
}

/** @returns whether it has begun or ended since it was heard of last. */
export function learnView(state: MissionsState, view: MissionView, dead: readonly DeadView[], hasEnded: boolean): boolean {
  const before = state.views.get(view.id)
  state.views.set(view.id, view)
  if (dead.length > 0) state.dead.set(view.id, dead)
  else state.dead.delete(view.id)
  const wasLive = state.live.has(view.id)
  if (hasEnded) state.live.delete(view.id)
  else state.live.set(view.id, view.principal)
  return before === undefined || wasLive === hasEnded
}

/** This node leads it no more. */
export function forgetView(state: MissionsState, missionId: MissionId): void {
  state.views.delete(missionId)
  state.live.delete(missionId)
  state.dead.delete(missionId)
}

/** The one heard of longest ago makes room: a peer that invents nodes cannot fill the memory. */
export function learnMembers(state: MissionsState, members: readonly Member[]): void {
  for (const member of members) {
    state.members.delete(member.peer)
    state.members.set(member.peer, member)
    const [oldest] = state.members.keys()
    if (state.members.size > limits.adverts && oldest !== undefined) state.members.delete(oldest)
  }
}

export function learnWhereabouts(state: MissionsState, missionId: MissionId, leader: PeerId | undefined, members?: readonly PeerId[]): void {
  const before = state.whereabouts.get(missionId)
  state.whereabouts.delete(missionId)
  state.whereabouts.set(missionId, { leader, members: members ?? before?.members ?? [] })
  const [oldest] = state.whereabouts.keys()
  if (state.whereabouts.size > limits.whereaboutsKept && oldest !== undefined) state.whereabouts.delete(oldest)
}

export function learnAccepted(state: MissionsState, claim: string, missionId: MissionId, digest: string): void {
  state.accepted.delete(claim)
  state.accepted.set(claim, { missionId, digest })
  const [oldest] = state.accepted.keys()
  if (state.accepted.size > limits.whereaboutsKept && oldest !== undefined) state.accepted.delete(oldest)
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
