/** The desk's submissions: admission, checks, the claim at the registrar, and the mission's log with its first events. */
import { fault, type Fault } from '../../protocols/kernel/errors.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { MissionId, PeerId, Principal } from '../../protocols/kernel/ids.ts'
import type { Json, Payload } from '../../protocols/kernel/payload.ts'
import { chooseMembers, newMissionId } from '../../protocols/membership/placement.ts'
import { hasBegun } from '../../protocols/membership/registrar.ts'
import type { Membership, MissionClaim, Replica } from '../../protocols/membership/schema.ts'
import type { ForkSeed, MissionRequest } from '../../protocols/tasking/schema.ts'
import { queryOf } from '../../protocols/tasking/specify.ts'
import type { MessageOf } from '../../protocols/wire.ts'
import { actorNames, at, fingerprintOf } from '../names.ts'
import { erased, type ActorContext } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'
import { ask } from './missions-questions.ts'
import { inquire } from './missions-routing.ts'
import { hearSealed, maySeal, startSealing, type SealingEnded } from './missions-sealing.ts'
import { claimKey, learnAccepted, learnWhereabouts, reply, unbegun, type Asker, type MissionsInit, type MissionsState } from './missions-state.ts'
import { hasBegun as hasBegunIn, type LedLog } from './orchestrator-state.ts'
import { orchestrator } from './orchestrator.ts'
import { citedBlobs, digestOfRequest, firstEvents, planningNeeds, planOf, type Submission } from './submission.ts'

export function submit(init: MissionsInit, state: MissionsState, request: MissionRequest, key: string | undefined, fork: ForkSeed | undefined, principal: Principal, asker: Asker, context: ActorContext): Effect[] {
  const digest = digestOfRequest(fork === undefined ? request : { request, fork })
  const making = key === undefined ? undefined : state.submissions.get(state.claiming.get(claimKey(principal, key)) ?? '')
  if (making !== undefined && key !== undefined) {
    if (making.submission.digest !== digest) return reply(state, asker, undefined, keyConflict(key))
    making.askers.push(asker)
    return []
  }
  const overload = admission(init, state, principal)
  if (overload !== undefined) {
    // What was accepted before is no new burden. Another key's mission is, as far as is known here.
    const before = key === undefined ? undefined : state.accepted.get(claimKey(principal, key))
    if (before === undefined) return reply(state, asker, undefined, overload)
    return before.digest === digest ? ask(init, state, { op: 'view', missionId: before.missionId }, principal, asker, context) : reply(state, asker, undefined, keyConflict(key ?? ''))
  }
  const plan = planOf(request)
  if (!('tasks' in plan)) return reply(state, asker, undefined, plan)
  state.counter += 1
  const tag = `submit-${state.counter}`
  const missionId = newMissionId(principal, key, fingerprintOf(context.self.peer), context.random.text(12))
  const submission: Submission = { missionId, principal, key, digest, request, ...(fork === undefined ? {} : { fork }), plan, inputs: new Map(), requestPayload: undefined, offers: [], inputsChecked: 0, members: [] }
  state.submissions.set(tag, { submission, askers: [asker] })
  if (key !== undefined) state.claiming.set(claimKey(principal, key), tag)
  const queries = [...Object.values(plan.tasks).map(queryOf), ...(request.text === undefined ? [] : [{ capability: planningNeeds }])]
  return [tell(at(context.self.peer, actorNames.directory), { kind: 'who-offers', tag, patient: true, queries })]
}

export function keyConflict(key: string): Fault {
  return fault('key-conflict', `the idempotency key "${key}" was used for another request`, { next: 'use a new key for a new request' })
}

export function admission(init: MissionsInit, state: MissionsState, principal: Principal): Fault | undefined {
  if (state.room !== 'enough') return fault('overloaded', `the disk of this node is ${state.room === 'low' ? 'nearly ' : ''}full: it takes no new missions`, { retryAfterMs: 10_000, next: 'free some space, or submit to another node' })
  const all = state.submissions.size + state.live.size
  if (all >= init.tuning.missionsLiveMax) return fault('overloaded', `this node carries ${all} missions, ${init.tuning.missionsLiveMax} at most`, { retryAfterMs: 2_000, next: 'try again later, or submit to another node' })
  let own = 0
  for (const { submission } of state.submissions.values()) if (submission.principal === principal) own += 1
  for (const owner of state.live.values()) if (owner === principal) own += 1
  if (own >= init.tuning.missionsLivePerPrincipalMax) return fault('overloaded', `${principal} has ${own} missions under way here, ${init.tuning.missionsLivePerPrincipalMax} at most`, { retryAfterMs: 2_000, next: 'wait for one of them to end' })
  return undefined
}

function drop(state: MissionsState, tag: string, problem: Fault): Effect[] {
  const made = finish(state, tag)
  return made === undefined ? [] : made.askers.flatMap((asker) => reply(state, asker, undefined, problem))
}

function finish(state: MissionsState, tag: string): { readonly submission: Submission; readonly askers: Asker[] } | undefined {
  const made = state.submissions.get(tag)
  if (made === undefined) return undefined
  state.submissions.delete(tag)
  if (made.submission.key !== undefined) state.claiming.delete(claimKey(made.submission.principal, made.submission.key))
  return made
}

export function onOffers(state: MissionsState, tag: string, offers: Submission['offers'], context: ActorContext): Effect[] {
  const made = state.submissions.get(tag)
  if (made === undefined) return []
  made.submission.offers = offers
  const draft = firstEvents(made.submission, context.self.peer, context.wallMs)
  if (!Array.isArray(draft)) return drop(state, tag, draft)
  // What was checked when the other mission was submitted need not be checked again.
  const checks = made.submission.fork !== undefined ? [] : Object.values(made.submission.plan.tasks).filter((task) => task.after.length === 0 && !JSON.stringify(task.input ?? {}).includes('"$from"'))
  made.submission.inputsChecked = checks.length
  if (checks.length === 0) return [fetchCited(made, tag)]
  return checks.map((task) => ({ type: 'check-input' as const, capability: task.capability, version: task.version, input: (task.input ?? {}) as Json, tag }))
}

export function onInputChecked(state: MissionsState, tag: string, problem: Fault | undefined): Effect[] {
  const made = state.submissions.get(tag)
  if (made === undefined) return []
  if (problem !== undefined) return drop(state, tag, problem)
  made.submission.inputsChecked -= 1
  return made.submission.inputsChecked > 0 ? [] : [fetchCited(made, tag)]
}

/** Another node that passed the submission on has what was uploaded there. */
function fetchCited({ submission, askers }: { readonly submission: Submission; readonly askers: readonly Asker[] }, tag: string): Effect {
  return { type: 'fetch-blobs', refs: citedBlobs(submission), alsoTry: askers.filter(({ remote }) => remote).map(({ to }) => to.peer), tag }
}

export function onBlobs(state: MissionsState, tag: string, problem: Fault | undefined): Effect[] {
  const made = state.submissions.get(tag)
  if (made === undefined) return []
  if (problem !== undefined) return drop(state, tag, { ...problem, next: 'upload it first: PUT /v1/blobs/{sha256}' })
  const { submission } = made
  return [
    { type: 'store-value', value: submission.request as unknown as Json, tag: `${tag} request` },
    ...Object.entries(submission.plan.tasks).map(([name, task]) => ({ type: 'store-value' as const, value: (task.input ?? {}) as Json, tag: `${tag} input ${name}` })),
  ]
}

/** Everything is here: the mission is claimed, so that its key names one mission and its id is found from every bridge. */
export function onStored(state: MissionsState, stored: string, payload: Payload | undefined, problem: Fault | undefined, context: ActorContext): Effect[] {
  const [tag = '', what, name = ''] = stored.split(' ')
  const made = state.submissions.get(tag)
  if (made === undefined) return []
  if (problem !== undefined || payload === undefined) return drop(state, tag, problem ?? fault('storage-failed', 'an input could not be stored'))
  const { submission } = made
  if (what === 'request') submission.requestPayload = payload
  else submission.inputs.set(name, payload)
  if (submission.requestPayload === undefined || submission.inputs.size < Object.keys(submission.plan.tasks).length) return []
  submission.members = membersFor(state, submission, context)
  return [claim(tag, submission, undefined, context)]
}

/** @param replaces what the key named before, and can never be committed. */
function claim(tag: string, { missionId, principal, key, digest, members }: Submission, replaces: MissionId | undefined, context: ActorContext): Effect {
  return tell(at(context.self.peer, actorNames.registrar), {
    kind: 'claim-mission', tag,
    claim: {
      missionId, principal, ...(key === undefined ? {} : { key }), requestDigest: digest, members: members.map(({ peer }) => peer), incarnations: members.map(({ incarnation }) => incarnation), atWallMs: context.wallMs,
      ...(replaces === undefined ? {} : { replaces }),
    },
  })
}

/** The node it was submitted to leads first; the others are chosen by rendezvous among those that can be reached. */
function membersFor(state: MissionsState, { missionId, request }: Submission, context: ActorContext): Replica[] {
  // The roster may not have heard yet that this node has lost its store and goes by another name.
  const replicas = (state.roster?.replicas ?? []).map((replica) => (replica.peer === context.self.peer && state.incarnation !== undefined ? { ...replica, incarnation: state.incarnation } : replica))
  const aimed = request.acknowledgement === 'quorum' ? limits.votersAimed : 1
  const reachable = replicas.filter(({ peer }) => context.connected(peer))
  return chooseMembers(reachable.length >= aimed ? reachable : replicas, missionId, aimed, context.self.peer)
}

export function onClaimed(init: MissionsInit, state: MissionsState, tag: string, claim: MissionClaim | undefined, problem: Fault | undefined, context: ActorContext): Effect[] {
  const made = state.submissions.get(tag)
  if (made === undefined) return []
  if (problem !== undefined || claim === undefined) return drop(state, tag, problem ?? fault('timeout', 'the registrar did not answer: the outcome is unknown', { next: 'try again with the same key' }))
  const { submission } = made
  if (claim.missionId !== submission.missionId) return onClaimedBefore(init, state, tag, claim, context)
  const events = firstEvents(submission, context.self.peer, context.wallMs)
  if (!Array.isArray(events)) return drop(state, tag, events)
  state.opening.set(submission.missionId, tag)
  return [tell(at(context.self.peer, actorNames.logKeeper), { kind: 'found-group', group: submission.missionId, membership: membershipOf(submission), durable: submission.request.acknowledgement !== 'ephemeral', aimed: submission.request.acknowledgement === 'quorum' ? limits.votersAimed : 1 })]
}

/** Fewer than three replicas: one votes, the others learn. From three on all vote from the first entry on. */
function membershipOf({ members }: Submission): Membership {
  const [first, ...others] = members.map(({ peer, incarnation }) => ({ peer, incarnation }))
  if (first === undefined) throw new Error('a mission has no member: the roster is not known')
  return others.length + 1 >= limits.votersAimed ? { voters: [first, ...others], learners: [] } : { voters: [first], learners: others }
}

/**
 * The key was used before. Whoever leads that mission's log answers, and begins it if its founder stopped before. If not even the log was
 * founded, only that founder can found it, with the members that it claimed: two logs of one name would be two missions of one key. If that
 * founder is gone, the other members are asked to seal the mission first.
 */
function onClaimedBefore(init: MissionsInit, state: MissionsState, tag: string, claim: MissionClaim, context: ActorContext): Effect[] {
  const { missionId, members: [founder], incarnations } = claim
  const made = state.submissions.get(tag)
  if (made === undefined) return []
  const led = unbegun(state, missionId, context)
  if (led !== undefined) {
    rename(state, tag, made, missionId)
    state.opening.set(missionId, tag)
    return onFounded(init, state, missionId, led, context)
  }
  const isKnown = state.groups.has(missionId) || state.damaged.has(missionId) || state.opening.has(missionId) || hasBegun(claim)
  if (founder === context.self.peer && !isKnown && incarnations?.[0] === state.incarnation) {
    made.submission.members = claimedMembers(state, claim)
    return [{ type: 'read-ended', which: { missionId }, tag: `refound ${tag} ${missionId}` }]
  }
  if (maySeal(state, claim, context)) return startSealing(state, tag, claim, context)
  return askWhoHasIt(init, state, tag, claim, true, context)
}

/** As they were when it was claimed: they are the ones who may say that it is sealed. */
function claimedMembers(state: MissionsState, { members, incarnations = [] }: MissionClaim): Replica[] {
  return members.flatMap((peer, i) => {
    const incarnation = incarnations[i]
    const { name = '', domain = '' } = state.roster?.replicas.find((replica) => replica.peer === peer) ?? {}
    return incarnation === undefined ? [] : [{ peer, incarnation, name, domain }]
  })
}

/** @param mayBeSealed nobody has been asked to seal it, which may have to be done before anybody answers. */
function askWhoHasIt(init: MissionsInit, state: MissionsState, tag: string, claim: MissionClaim, mayBeSealed: boolean, context: ActorContext): Effect[] {
  const made = finish(state, tag)
  if (made === undefined) return []
  const { missionId, members: [founder] } = claim
  const { submission: { request, key, principal, fork }, askers } = made
  const wasBegun = hasBegun(claim)
  if (!wasBegun && !state.whereabouts.has(missionId)) learnWhereabouts(state, missionId, founder, claim.members)
  return askers.flatMap((asker) => {
    if (wasBegun || asker.remote) return ask(init, state, { op: 'view', missionId }, principal, asker, context)
    return inquire(init, state, missionId, { kind: 'ask', operation: { op: 'submit', request, ...(key === undefined ? {} : { key }), ...(fork === undefined ? {} : { fork }) }, principal, asker }, context, mayBeSealed ? claim : undefined)
  })
}

/** A member of a claim has sealed its mission, or has not. */
export function onSealed(init: MissionsInit, state: MissionsState, message: MessageOf<'sealed'>, from: PeerId, context: ActorContext): Effect[] {
  const { effects, ended } = hearSealed(state, message, from)
  return [...effects, ...ended.flatMap((one) => onSealingEnded(init, state, one, context))]
}

export function onSealingEnded(init: MissionsInit, state: MissionsState, { sealing: { tag, claim }, isSealed, effects }: SealingEnded, context: ActorContext): Effect[] {
  return [...effects, ...(isSealed ? claimAnew(state, tag, claim.missionId, context) : askWhoHasIt(init, state, tag, claim, false, context))]
}

/** Nothing of what the key names can be committed: it is to name another mission. Who is later than another to say so gets the other's. */
function claimAnew(state: MissionsState, tag: string, replaces: MissionId, context: ActorContext): Effect[] {
  const made = state.submissions.get(tag)
  if (made === undefined) return []
  const { principal, key } = made.submission
  const submission = rename(state, tag, made, newMissionId(principal, key, fingerprintOf(context.self.peer), context.random.text(12)))
  submission.members = membersFor(state, submission, context)
  return [fact('info', 'mission.claimed-anew', { mission: submission.missionId, replaces }), claim(tag, submission, replaces, context)]
}

/** This node's log-keeper has given a mission's log up. What was to be begun in it is begun under another name. */
export function onGroupSealed(state: MissionsState, missionId: MissionId, context: ActorContext): Effect[] {
  const tag = state.opening.get(missionId)
  state.opening.delete(missionId)
  return tag === undefined ? [] : claimAnew(state, tag, missionId, context)
}

function rename(state: MissionsState, tag: string, { submission, askers }: { readonly submission: Submission; readonly askers: Asker[] }, missionId: MissionId): Submission {
  const renamed = { ...submission, missionId }
  state.submissions.set(tag, { submission: renamed, askers })
  return renamed
}

/** Nothing is left of an earlier attempt to begin it: it is begun now, under the name that was claimed. */
export function onNeverBegun(init: MissionsInit, state: MissionsState, tag: string, missionId: MissionId, wasEnded: boolean, context: ActorContext): Effect[] {
  const made = state.submissions.get(tag)
  if (made === undefined) return []
  if (wasEnded || state.groups.has(missionId)) {
    const { submission, askers } = finish(state, tag) as { submission: Submission; askers: Asker[] }
    return askers.flatMap((asker) => ask(init, state, { op: 'view', missionId }, submission.principal, asker, context))
  }
  const renamed = rename(state, tag, made, missionId)
  return onClaimed(init, state, tag, { missionId, principal: renamed.principal, requestDigest: renamed.digest, members: renamed.members.map(({ peer }): PeerId => peer), atWallMs: context.wallMs }, undefined, context)
}

/** The log is there, with its members: its owner begins. */
export function onFounded(init: MissionsInit, state: MissionsState, missionId: MissionId, led: LedLog, context: ActorContext): Effect[] {
  const tag = state.opening.get(missionId)
  const made = tag === undefined ? undefined : state.submissions.get(tag)
  if (tag === undefined || made === undefined) return []
  const events = firstEvents(made.submission, context.self.peer, context.wallMs)
  if (!Array.isArray(events)) return drop(state, tag, events)
  return [{ type: 'spawn', name: actorNames.orchestrator(missionId), behaviour: erased(orchestrator({ missionId, nodeName: init.nodeName, tuning: init.tuning, from: { kind: 'opening', led, events } })) }]
}

/** The orchestrator that was to begin it has failed, and this is what its log holds. What was appended is committed by another orchestrator; what was not never will be. */
export function onLedAgain(init: MissionsInit, state: MissionsState, missionId: MissionId, led: LedLog, context: ActorContext): Effect[] {
  const tag = state.opening.get(missionId)
  state.opening.delete(missionId)
  if (tag === undefined) return []
  if (!hasBegunIn(led)) return drop(state, tag, fault('internal', 'the mission could not be begun: its orchestrator failed, and nothing of it was committed', { retryable: true, next: 'try again with the same key; why it failed is in the node’s log' }))
  const made = finish(state, tag)
  return made === undefined ? [] : made.askers.flatMap((asker) => ask(init, state, { op: 'view', missionId }, made.submission.principal, asker, context))
}

/** Nobody here will hear what has become of a mission that was being begun. */
export function onOpeningLost(state: MissionsState, missionId: MissionId): Effect[] {
  const tag = state.opening.get(missionId)
  state.opening.delete(missionId)
  return tag === undefined ? [] : drop(state, tag, fault('timeout', 'the orchestrator of the mission failed before it had begun: the outcome is unknown', { next: 'try again with the same key' }))
}

/** The first events are committed: only now does anybody hear "accepted". */
export function onOpened(init: MissionsInit, state: MissionsState, missionId: MissionId, problem: Fault | undefined, context: ActorContext): Effect[] {
  const tag = state.opening.get(missionId)
  state.opening.delete(missionId)
  if (tag === undefined) return []
  if (problem !== undefined) return drop(state, tag, problem)
  const made = finish(state, tag)
  if (made === undefined) return []
  const { principal, key, digest } = made.submission
  if (key !== undefined) learnAccepted(state, claimKey(principal, key), missionId, digest)
  return [fact('info', 'mission.accepted', { mission: missionId, principal: made.submission.principal }), ...made.askers.flatMap((asker) => ask(init, state, { op: 'view', missionId }, made.submission.principal, asker, context))]
}
