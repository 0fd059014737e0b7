/**
 * Finds the node that leads a mission, however often that changes: itself, a member it has heard of, or whoever the
 * registrar names. A question is asked again elsewhere until it is answered or its time is over.
 */
import { fault, type Fault } from '../../protocols/kernel/errors.ts'
import type { MissionId, PeerId, Principal } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { MissionClaim } from '../../protocols/membership/schema.ts'
import type { EndedMission } from '../../protocols/replicated-log/schema.ts'
import type { MissionOperation } from '../../protocols/tasking/schema.ts'
import type { MessageOf } from '../../protocols/wire.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext } from '../runtime/actor.ts'
import { tell, type Effect } from '../runtime/effects.ts'
import { closedFault } from './missions-unbegun.ts'
import { isSealable, maySeal } from './missions-sealing.ts'
import { learnWhereabouts, openEnded, openOrchestrator, reply, unbegun, type Asker, type Inquiry, type MissionsInit, type MissionsState } from './missions-state.ts'

const roundMs = 500
const tryMs = 3_000
/** Faults of a node that say nothing about the mission: another may lead it. */
const elsewhere: ReadonlySet<Fault['code']> = new Set(['owner-unreachable', 'fenced', 'timeout'])

/** @param claim of a submission: what its key names, if that may still have to be sealed. */
export function inquire(init: MissionsInit, state: MissionsState, missionId: MissionId, what: Inquiry['what'], context: ActorContext, claim?: MissionClaim): Effect[] {
  state.counter += 1
  const untilMs = (what.kind === 'ask' ? what.asker.untilMs : undefined) ?? context.nowMs + limits.askTimeoutMs - 500
  const inquiry: Inquiry = { id: `inquiry-${state.counter}`, missionId, what, untilMs, ...(claim === undefined ? {} : { claim }), tried: new Set(), sentTo: undefined, isArchiveChecked: false, lookUp: 'not-asked', problem: undefined }
  state.inquiries.set(inquiry.id, inquiry)
  return route(init, state, inquiry, context)
}

export function route(init: MissionsInit, state: MissionsState, inquiry: Inquiry, context: ActorContext): Effect[] {
  const { missionId } = inquiry
  const damage = state.damaged.get(missionId)
  if (damage !== undefined) return settle(state, inquiry, damage)
  const closed = closedFault(state, missionId)
  if (closed !== undefined) return settle(state, inquiry, closed)
  if (unbegun(state, missionId, context) !== undefined) return settle(state, inquiry, fault('timeout', `mission ${missionId} was never begun: the node it was handed to stopped before that`, { next: 'submit it again with the same key' }))
  if (state.groups.get(missionId)?.led !== undefined || context.exists(actorNames.orchestrator(missionId))) return [...openOrchestrator(init, state, missionId, context), ...serveHere(state, inquiry, context)]
  if (!inquiry.isArchiveChecked) return [{ type: 'read-ended', which: { missionId }, tag: inquiry.id }]
  const known = state.whereabouts.get(missionId)
  const candidates = [state.groups.get(missionId)?.leader, known?.leader, ...(known?.members ?? [])]
  const next = candidates.find((peer): peer is PeerId => peer !== undefined && peer !== context.self.peer && !inquiry.tried.has(peer) && context.connected(peer))
  if (next !== undefined) return send(state, inquiry, next)
  if (inquiry.lookUp === 'not-asked') {
    inquiry.lookUp = 'asking'
    return [tell(at(context.self.peer, actorNames.registrar), { kind: 'find-mission', tag: inquiry.id, missionId })]
  }
  if (inquiry.lookUp === 'asking') return []
  if (context.nowMs >= inquiry.untilMs) return settle(state, inquiry, unanswered(state, inquiry, context))
  // Nobody leads it now, or nobody that can be reached: an election may be under way.
  return [{ type: 'set-timer', key: inquiry.id, delayMs: roundMs, message: { kind: 'tick', what: inquiry.id } }]
}

/** Of a submission whose mission its founder took, and perhaps nobody else has: who must be there. */
function unanswered(state: MissionsState, inquiry: Inquiry, context: ActorContext): Fault {
  const { claim, missionId, problem } = inquiry
  if (claim === undefined || state.groups.has(missionId) || claim.members.slice(0, 1).some((founder) => context.connected(founder))) return problem ?? unreachable(state, missionId)
  const [founder = '', ...others] = claim.members.map((peer) => state.members.get(peer)?.name ?? peer)
  const taken = `the key names mission ${missionId}, and no node that leads it can be reached`
  if (!isSealable(claim, context.wallMs)) return fault('owner-unreachable', taken, { next: `the node that took it, ${founder}, must come back; then try again with the same key` })
  return fault('owner-unreachable', taken, { next: `try again with the same key when the node that took it, ${founder}, is back, or all of these can be reached: ${others.join(', ')}` })
}

/** What its key names may be sealed by now, or another has done so: it is handed in anew, and waits no longer for that. */
function submitAgain(state: MissionsState, { id, what, untilMs }: Inquiry, context: ActorContext): Effect[] {
  state.inquiries.delete(id)
  if (what.kind !== 'ask') return []
  const { operation, principal, asker: { to, requestId } } = what
  return [{ type: 'clear-timer', key: id }, tell(at(context.self.peer, actorNames.missions), { kind: 'local-ask', requestId, principal, operation, replyTo: to, untilMs })]
}

function unreachable(state: MissionsState, missionId: MissionId): Fault {
  const names = (state.whereabouts.get(missionId)?.members ?? []).map((peer) => state.members.get(peer)?.name ?? peer)
  const byHand = `skein mission takeover ${missionId}`
  const withCopy = names.length === 0 ? `the node that led it must run; if it never comes back: ${byHand}` : `a majority of these must run: ${names.join(', ')}; if they never come back: ${byHand}, on a node that has a copy`
  return fault('owner-unreachable', `no node that leads mission ${missionId} can be reached now`, { next: names.length > 0 || state.groups.has(missionId) ? withCopy : 'see which nodes are there: skein nodes' })
}

export function settle(state: MissionsState, inquiry: Inquiry, problem: Fault): Effect[] {
  const { what, id, missionId } = inquiry
  state.inquiries.delete(id)
  if (what.kind === 'ask') return [{ type: 'clear-timer', key: id }, ...reply(state, what.asker, undefined, problem)]
  // A feed asks again by itself, unless that is in vain.
  return [{ type: 'clear-timer', key: id }, tell(what.message.subscriber, { kind: 'watched', missionId, events: [], notes: [], fault: problem })]
}

/** To the orchestrator of this node. */
function serveHere(state: MissionsState, inquiry: Inquiry, context: ActorContext): Effect[] {
  const { what, missionId, id } = inquiry
  const there = at(context.self.peer, actorNames.orchestrator(missionId))
  if (what.kind === 'watch') {
    state.inquiries.delete(id)
    return [{ type: 'clear-timer', key: id }, tell(there, what.message)]
  }
  state.counter += 1
  const requestId = `own-${state.counter}`
  inquiry.sentTo = context.self.peer
  state.relayed.set(requestId, { ...what.asker, peer: context.self.peer, inquiry: id })
  // What was handed in again and is here already is looked at.
  const operation = what.operation.op === 'submit' ? { op: 'view' as const, missionId } : what.operation
  return [tell(there, { kind: 'mission-ask', requestId, principal: what.principal, operation }), { type: 'set-timer', key: id, delayMs: Math.max(roundMs, inquiry.untilMs - context.nowMs), message: { kind: 'tick', what: id } }]
}

function send(state: MissionsState, inquiry: Inquiry, peer: PeerId): Effect[] {
  const { what, id } = inquiry
  inquiry.tried.add(peer)
  inquiry.sentTo = peer
  const patience: Effect = { type: 'set-timer', key: id, delayMs: tryMs, message: { kind: 'tick', what: id } }
  if (what.kind === 'watch') {
    // Frames go straight to the subscriber; only "elsewhere" comes back here.
    return [tell(at(peer, actorNames.missions), what.message), patience]
  }
  state.counter += 1
  const requestId = `relay-${state.counter}`
  state.relayed.set(requestId, { ...what.asker, peer, inquiry: id })
  return [tell(at(peer, actorNames.missions), { kind: 'mission-ask', requestId, principal: what.principal, operation: what.operation }, what.principal), patience]
}

/** Its timer: nobody answered, or a round begins anew. */
export function onInquiryTime(init: MissionsInit, state: MissionsState, inquiry: Inquiry, context: ActorContext): Effect[] {
  if (inquiry.sentTo !== undefined && inquiry.what.kind === 'watch') {
    // It was taken, or was lost on the way: the feed asks again if it hears nothing.
    state.inquiries.delete(inquiry.id)
    return []
  }
  if (inquiry.sentTo !== undefined) {
    inquiry.problem = fault('timeout', 'the node that leads the mission did not answer in time: the outcome is unknown', { next: 'try again with the same key' })
    inquiry.sentTo = undefined
    if (!mayRepeat(inquiry)) return settle(state, inquiry, inquiry.problem)
  }
  return again(init, state, inquiry, context)
}

function again(init: MissionsInit, state: MissionsState, inquiry: Inquiry, context: ActorContext): Effect[] {
  if (context.nowMs >= inquiry.untilMs) return settle(state, inquiry, unanswered(state, inquiry, context))
  if (inquiry.claim !== undefined && maySeal(state, inquiry.claim, context)) return submitAgain(state, inquiry, context)
  inquiry.tried.clear()
  inquiry.isArchiveChecked = false
  inquiry.lookUp = 'not-asked'
  return route(init, state, inquiry, context)
}

/** "Try what is dead again" means another thing when it is heard twice; everything else may be asked again. */
function mayRepeat({ what }: Inquiry): boolean {
  return what.kind === 'watch' || what.operation.op !== 'retry'
}

/** An answer that may mean that somebody else leads by now. @returns undefined when it is the answer. */
export function onRefusedElsewhere(init: MissionsInit, state: MissionsState, inquiryId: string, problem: Fault, context: ActorContext): Effect[] | undefined {
  const inquiry = state.inquiries.get(inquiryId)
  if (inquiry === undefined || !elsewhere.has(problem.code)) return undefined
  const wasOwn = inquiry.sentTo === context.self.peer
  inquiry.sentTo = undefined
  inquiry.problem = problem
  if (problem.code === 'timeout' && !mayRepeat(inquiry)) return undefined
  if (context.nowMs >= inquiry.untilMs) return undefined
  // This node is being deposed, or its log is gone: asked again at once, it would say the same.
  return wasOwn ? [{ type: 'set-timer', key: inquiry.id, delayMs: roundMs, message: { kind: 'tick', what: inquiry.id } }] : route(init, state, inquiry, context)
}

export function onElsewhere(init: MissionsInit, state: MissionsState, message: MessageOf<'mission-elsewhere'>, from: PeerId, context: ActorContext): Effect[] {
  const relay = message.requestId === undefined ? undefined : state.relayed.get(message.requestId)
  if (message.requestId !== undefined && relay?.inquiry === undefined && relay?.principal !== undefined && relay.peer === from) {
    // A submission that was passed on, under a key that names a mission which another leads by now: that one answers for it, or begins it.
    const { principal, to, requestId, remote, operation: passedOn } = relay
    const operation = passedOn?.op === 'submit' ? passedOn : { op: 'view' as const, missionId: message.missionId }
    state.relayed.delete(message.requestId)
    learnWhereabouts(state, message.missionId, message.leader === from ? undefined : message.leader)
    const what = { kind: 'ask' as const, operation, principal, asker: { to, requestId, remote } }
    return [{ type: 'clear-timer', key: message.requestId }, ...inquire(init, state, message.missionId, what, context)]
  }
  const inquiry = relay?.inquiry !== undefined && relay.peer === from ? state.inquiries.get(relay.inquiry) : [...state.inquiries.values()].find(({ what, sentTo }) => what.kind === 'watch' && sentTo === from && what.message.subscriber.actor === message.subscriber?.actor)
  if (inquiry === undefined || inquiry.missionId !== message.missionId) return []
  if (message.requestId !== undefined) state.relayed.delete(message.requestId)
  inquiry.sentTo = undefined
  learnWhereabouts(state, message.missionId, message.leader === from ? undefined : message.leader)
  return route(init, state, inquiry, context)
}

export function onEndedRead(init: MissionsInit, state: MissionsState, inquiry: Inquiry, ended: readonly EndedMission[], context: ActorContext): Effect[] {
  inquiry.isArchiveChecked = true
  const [record] = ended
  if (record === undefined && isRemote(inquiry, context)) return state.groups.get(inquiry.missionId)?.led !== undefined ? route(init, state, inquiry, context) : sayElsewhere(state, inquiry, context)
  return record === undefined ? route(init, state, inquiry, context) : [...openEnded(init, record, context), ...serveHere(state, inquiry, context)]
}

function isRemote({ what }: Inquiry, context: ActorContext): boolean {
  return what.kind === 'ask' ? what.asker.remote : what.message.subscriber.peer !== context.self.peer
}

export function onFound(init: MissionsInit, state: MissionsState, inquiry: Inquiry, claim: MissionClaim | undefined, problem: Fault | undefined, context: ActorContext): Effect[] {
  inquiry.lookUp = 'told'
  if (claim === undefined) {
    if (problem?.code === 'unknown-mission' && inquiry.claim !== undefined) return submitAgain(state, inquiry, context)
    if (problem?.code === 'unknown-mission' && !state.groups.has(inquiry.missionId)) return settle(state, inquiry, problem)
    // With a copy here there is more to say than that the registrar is silent, too: what can be done.
    if (!state.groups.has(inquiry.missionId)) inquiry.problem = problem
    return route(init, state, inquiry, context)
  }
  learnWhereabouts(state, inquiry.missionId, claim.members[0], claim.members)
  if (claim.endedAtWallMs === undefined) return route(init, state, inquiry, context)
  // Nobody leads what has ended. If none of its members has its archive, nothing is kept of it.
  inquiry.problem = fault('unknown-mission', `mission ${inquiry.missionId} has ended, and no node that can be reached has kept it`, { next: 'an ephemeral mission is forgotten soon after its end: submit with --ack local or quorum' })
  const hasAskedAll = claim.members.every((peer) => inquiry.tried.has(peer) || peer === context.self.peer)
  return hasAskedAll ? settle(state, inquiry, inquiry.problem) : route(init, state, inquiry, context)
}

/** The connection to a node is gone: whatever it was asked is asked of another. */
export function onPeerLost(init: MissionsInit, state: MissionsState, peer: PeerId, context: ActorContext): Effect[] {
  return [...state.inquiries.values()].filter(({ sentTo }) => sentTo === peer).flatMap((inquiry) => {
    for (const [requestId, relay] of state.relayed) if (relay.inquiry === inquiry.id) state.relayed.delete(requestId)
    inquiry.sentTo = undefined
    inquiry.problem = fault('owner-unreachable', 'the connection to the node that led the mission was lost', { next: 'try again in a moment' })
    return mayRepeat(inquiry) ? route(init, state, inquiry, context) : settle(state, inquiry, { ...inquiry.problem, code: 'timeout' })
  })
}

/** A question or a watch of another node: answered here, or told who leads. It is never passed on. */
export function serveRemote(init: MissionsInit, state: MissionsState, missionId: MissionId, what: { readonly kind: 'ask'; readonly operation: MissionOperation; readonly principal: Principal; readonly asker: Asker } | { readonly kind: 'watch'; readonly message: MessageOf<'watch'> }, context: ActorContext): Effect[] {
  state.counter += 1
  const inquiry: Inquiry = { id: `remote-${state.counter}`, missionId, what, untilMs: context.nowMs + limits.askTimeoutMs, tried: new Set(), sentTo: undefined, isArchiveChecked: false, lookUp: 'told', problem: undefined }
  if (state.damaged.has(missionId) || state.groups.get(missionId)?.led !== undefined || context.exists(actorNames.orchestrator(missionId))) {
    state.inquiries.set(inquiry.id, inquiry)
    return route(init, state, inquiry, context)
  }
  state.inquiries.set(inquiry.id, inquiry)
  return [{ type: 'read-ended', which: { missionId }, tag: inquiry.id }]
}

/** Of another node's inquiry: it is not archived here either. */
function sayElsewhere(state: MissionsState, inquiry: Inquiry, context: ActorContext): Effect[] {
  state.inquiries.delete(inquiry.id)
  const leader = state.groups.get(inquiry.missionId)?.leader
  const { what, missionId } = inquiry
  const told = leader === undefined || leader === context.self.peer ? {} : { leader }
  if (what.kind === 'ask') return [tell(what.asker.to, { kind: 'mission-elsewhere', missionId, requestId: what.asker.requestId, ...told })]
  return [tell(at(what.message.subscriber.peer, actorNames.missions), { kind: 'mission-elsewhere', missionId, subscriber: what.message.subscriber, ...told })]
}
