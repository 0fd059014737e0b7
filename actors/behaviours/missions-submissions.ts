/** The desk's submissions: admission, idempotency, checks, and the mission's first events. */
import { fault, type Fault } from '../../protocols/kernel/errors.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { MissionId, Principal } from '../../protocols/kernel/ids.ts'
import type { Json, Payload } from '../../protocols/kernel/payload.ts'
import type { MissionRequest } from '../../protocols/tasking/schema.ts'
import { actorNames, at, fingerprintOf } from '../names.ts'
import type { Claim } from '../ports/log-store.ts'
import { erased, type ActorContext } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'
import { ask } from './missions-questions.ts'
import { claimKey, reply, type Asker, type MissionsInit, type MissionsState } from './missions-state.ts'
import { orchestrator } from './orchestrator.ts'
import { citedBlobs, digestOfRequest, firstEvents, planOf, type Submission } from './submission.ts'

export function submit(init: MissionsInit, state: MissionsState, request: MissionRequest, key: string | undefined, principal: Principal, asker: Asker, context: ActorContext): Effect[] {
  const digest = digestOfRequest(request)
  if (key !== undefined) {
    const claim = state.claims.get(claimKey(principal, key))
    if (claim !== undefined && claim.atWallMs + limits.idempotencyKeyKeptMs > context.wallMs) {
      if (claim.requestDigest !== digest) return reply(state, asker, undefined, keyConflict(key))
      return ask(init, state, { op: 'view', missionId: claim.missionId }, principal, asker, context)
    }
    const making = state.submissions.get(state.claiming.get(claimKey(principal, key)) ?? '')
    if (making !== undefined) {
      if (making.submission.digest !== digest) return reply(state, asker, undefined, keyConflict(key))
      making.askers.push(asker)
      return []
    }
  }
  const overload = admission(init, state, principal)
  if (overload !== undefined) return reply(state, asker, undefined, overload)
  const plan = planOf(request)
  if (!('tasks' in plan)) return reply(state, asker, undefined, plan)
  state.counter += 1
  const tag = `submit-${state.counter}`
  const missionId = `m-${fingerprintOf(context.self.peer)}-${context.random.text(12)}` as MissionId
  const submission: Submission = { missionId, principal, key, digest, request, plan, inputs: new Map(), requestPayload: undefined, offers: [], inputsChecked: 0 }
  state.submissions.set(tag, { submission, askers: [asker] })
  if (key !== undefined) state.claiming.set(claimKey(principal, key), tag)
  const queries = Object.values(plan.tasks).map((task) => ({ capability: task.capability, ...(task.version === undefined ? {} : { version: task.version }), ...(task.attributes === undefined ? {} : { attributes: task.attributes }) }))
  return [tell(at(context.self.peer, actorNames.directory), { kind: 'who-offers', tag, patient: true, queries })]
}

export function keyConflict(key: string): Fault {
  return fault('key-conflict', `the idempotency key "${key}" was used for another request`, { next: 'use a new key for a new request' })
}

export function admission(init: MissionsInit, state: MissionsState, principal: Principal): Fault | undefined {
  const making = [...state.submissions.values()].map(({ submission }) => submission.principal)
  const live = [...state.views.values()].filter((view) => view.endedAtWallMs === undefined).map((view) => view.principal)
  const all = [...making, ...live]
  if (all.length >= init.tuning.missionsLiveMax) return fault('overloaded', `this node carries ${all.length} missions, ${init.tuning.missionsLiveMax} at most`, { retryAfterMs: 2_000, next: 'try again later, or submit to another node' })
  const own = all.filter((owner) => owner === principal).length
  if (own >= init.tuning.missionsLivePerPrincipalMax) return fault('overloaded', `${principal} has ${own} missions under way here, ${init.tuning.missionsLivePerPrincipalMax} at most`, { retryAfterMs: 2_000, next: 'wait for one of them to end' })
  return undefined
}

export function drop(state: MissionsState, tag: string, problem: Fault): Effect[] {
  const made = state.submissions.get(tag)
  if (made === undefined) return []
  state.submissions.delete(tag)
  if (made.submission.key !== undefined) state.claiming.delete(claimKey(made.submission.principal, made.submission.key))
  return made.askers.flatMap((asker) => reply(state, asker, undefined, problem))
}

export function onOffers(state: MissionsState, tag: string, offers: Submission['offers'], context: ActorContext): Effect[] {
  const made = state.submissions.get(tag)
  if (made === undefined) return []
  made.submission.offers = offers
  const draft = firstEvents(made.submission, context.self.peer, context.wallMs)
  if (!Array.isArray(draft)) return drop(state, tag, draft)
  const checks = Object.values(made.submission.plan.tasks).filter((task) => task.after.length === 0 && !JSON.stringify(task.input ?? {}).includes('"$from"'))
  made.submission.inputsChecked = checks.length
  if (checks.length === 0) return [fetchCited(made.submission, tag)]
  return checks.map((task) => ({ type: 'check-input' as const, capability: task.capability, version: task.version, input: (task.input ?? {}) as Json, tag }))
}

export function onInputChecked(_init: MissionsInit, state: MissionsState, tag: string, problem: Fault | undefined, _context: ActorContext): Effect[] {
  const made = state.submissions.get(tag)
  if (made === undefined) return []
  if (problem !== undefined) return drop(state, tag, problem)
  made.submission.inputsChecked -= 1
  return made.submission.inputsChecked > 0 ? [] : [fetchCited(made.submission, tag)]
}

export function fetchCited(submission: Submission, tag: string): Effect {
  return { type: 'fetch-blobs', refs: citedBlobs(submission), alsoTry: [], tag }
}

export function onBlobs(state: MissionsState, tag: string, problem: Fault | undefined, _context: ActorContext): Effect[] {
  const made = state.submissions.get(tag)
  if (made === undefined) return []
  if (problem !== undefined) return drop(state, tag, { ...problem, next: 'upload it first: PUT /v1/blobs/{sha256}' })
  const { submission } = made
  return [
    { type: 'store-value', value: submission.request as unknown as Json, tag: `${tag} request` },
    ...Object.entries(submission.plan.tasks).map(([name, task]) => ({ type: 'store-value' as const, value: (task.input ?? {}) as Json, tag: `${tag} input ${name}` })),
  ]
}

export function onStored(init: MissionsInit, state: MissionsState, stored: string, payload: Payload | undefined, problem: Fault | undefined, context: ActorContext): Effect[] {
  const [tag = '', what, name = ''] = stored.split(' ')
  const made = state.submissions.get(tag)
  if (made === undefined) return []
  if (problem !== undefined || payload === undefined) return drop(state, tag, problem ?? fault('storage-failed', 'an input could not be stored'))
  const { submission } = made
  if (what === 'request') submission.requestPayload = payload
  else submission.inputs.set(name, payload)
  if (submission.requestPayload === undefined || submission.inputs.size < Object.keys(submission.plan.tasks).length) return []
  const events = firstEvents(submission, context.self.peer, context.wallMs)
  if (!Array.isArray(events)) return drop(state, tag, events)
  const claim: Claim | undefined = submission.key === undefined ? undefined : { principal: submission.principal, key: submission.key, requestDigest: submission.digest, missionId: submission.missionId, atWallMs: context.wallMs }
  state.opening.set(submission.missionId, tag)
  return [{ type: 'spawn', name: actorNames.orchestrator(submission.missionId), behaviour: erased(orchestrator({ missionId: submission.missionId, nodeName: init.nodeName, tuning: init.tuning, opening: { events, ...(claim === undefined ? {} : { claim }) } })) }]
}

/** The first events are synced: only now does anybody hear "accepted". */
export function onOpened(init: MissionsInit, state: MissionsState, missionId: MissionId, problem: Fault | undefined, context: ActorContext): Effect[] {
  const tag = state.opening.get(missionId)
  const made = tag === undefined ? undefined : state.submissions.get(tag)
  state.opening.delete(missionId)
  if (tag === undefined || made === undefined) return []
  if (problem !== undefined) return drop(state, tag, problem)
  const { submission, askers } = made
  state.submissions.delete(tag)
  if (submission.key !== undefined) {
    state.claiming.delete(claimKey(submission.principal, submission.key))
    state.claims.set(claimKey(submission.principal, submission.key), { principal: submission.principal, key: submission.key, requestDigest: submission.digest, missionId, atWallMs: context.wallMs })
  }
  return [fact('info', 'mission.accepted', { mission: missionId, principal: submission.principal }), ...askers.flatMap((asker) => ask(init, state, { op: 'view', missionId }, submission.principal, asker, context))]
}
