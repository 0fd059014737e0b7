/** The desk's questions: answered here, or passed to the node that owns the mission; lists are gathered from the whole mesh. */
import { fault, type Fault } from '../../protocols/kernel/errors.ts'
import { fractionOf } from '../../protocols/kernel/hashing.ts'
import type { ActorAddress, PeerId, Principal } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { Json, Payload } from '../../protocols/kernel/payload.ts'
import type { EndedMission } from '../../protocols/replicated-log/schema.ts'
import type { MissionOperation } from '../../protocols/tasking/schema.ts'
import type { MissionView } from '../../protocols/tasking/views.ts'
import type { MessageOf } from '../../protocols/wire.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'
import { withNames } from './missions-names.ts'
import { inquire, onInquiryTime, onRefusedElsewhere, serveRemote } from './missions-routing.ts'
import { learnWhereabouts, reply, type Asker, type Gathering, type MissionsInit, type MissionsState } from './missions-state.ts'

const gatherMs = 1_500

/** Everything but a submission. */
export function ask(init: MissionsInit, state: MissionsState, operation: Exclude<MissionOperation, { op: 'submit' }>, principal: Principal, asker: Asker, context: ActorContext): Effect[] {
  switch (operation.op) {
    case 'list':
    case 'dead':
    case 'queue':
      return gather(state, operation, principal, asker, context)
    case 'takeover':
      return takeOver(state, operation, principal, asker, context)
    default: {
      const what = { kind: 'ask' as const, operation, principal, asker }
      return asker.remote ? serveRemote(init, state, operation.missionId, what, context) : inquire(init, state, operation.missionId, what, context)
    }
  }
}

/** A submission goes to a replica: this node is none, or the mesh has not admitted it yet. */
export function forwardSubmission(state: MissionsState, operation: Extract<MissionOperation, { op: 'submit' }>, principal: Principal, asker: Asker, context: ActorContext): Effect[] {
  // A submission is passed on once: that node takes it or nobody does.
  if (asker.remote) return reply(state, asker, undefined, fault('owner-unreachable', 'this node keeps no missions', { next: 'submit to another node' }))
  const replicas = [...state.members.values()].filter((member) => member.replica && context.connected(member.peer))
  const key = operation.key
  const rank = (peer: PeerId): number => fractionOf(`${peer} ${principal} ${key ?? ''}`)
  const [chosen] = replicas.sort((left, right) => key !== undefined ? rank(left.peer) - rank(right.peer) : left.missionsOwned - right.missionsOwned)
  if (chosen === undefined) return reply(state, asker, undefined, fault('owner-unreachable', 'no node with the duty "replica" is connected, and this one does not have it', { next: 'start a node with --duties worker,replica,bridge' }))
  return passOn(state, operation, principal, asker, chosen.peer)
}

export function passOn(state: MissionsState, operation: MissionOperation, principal: Principal, asker: Asker, peer: PeerId): Effect[] {
  state.counter += 1
  const requestId = `relay-${state.counter}`
  state.relayed.set(requestId, { ...asker, peer, principal, operation })
  return [tell(at(peer, actorNames.missions), { kind: 'mission-ask', requestId, principal, operation }, principal), { type: 'set-timer', key: requestId, delayMs: limits.askTimeoutMs, message: { kind: 'tick', what: requestId } }]
}

export function onTimeout(init: MissionsInit, state: MissionsState, what: string, context: ActorContext): Effect[] {
  const inquiry = state.inquiries.get(what)
  if (inquiry !== undefined) return onInquiryTime(init, state, inquiry, context)
  const gathering = state.gatherings.get(what)
  if (gathering !== undefined) return finishGathering(state, what, gathering)
  const relay = state.relayed.get(what)
  if (relay === undefined) return []
  state.relayed.delete(what)
  return reply(state, relay, undefined, fault('timeout', 'the node that owns the mission did not answer in time: the outcome is unknown', { next: 'try again with the same key' }))
}

export function onAnswer(init: MissionsInit, state: MissionsState, message: { requestId: string; answer?: Json | Payload | undefined; fault?: Fault | undefined; kind: 'local-answer' | 'mission-answer' }, from: ActorAddress, context: ActorContext): Effect[] {
  if (gatheringOf(state, message.requestId) !== undefined) {
    // A long list comes as a blob: it counts once it is here.
    const part = message.kind === 'local-answer' ? { inline: (message.answer ?? []) as Json } : (message.answer as Payload | undefined) ?? { inline: [] }
    return 'inline' in part ? addPart(state, message.requestId, part.inline) : [{ type: 'load-value', payload: part, alsoTry: [], tag: `part ${message.requestId}` }]
  }
  const relay = state.relayed.get(message.requestId)
  // Only who was asked may answer.
  if (relay === undefined || relay.peer !== from.peer) return []
  state.relayed.delete(message.requestId)
  if (relay.inquiry !== undefined && message.fault !== undefined) {
    const rerouted = onRefusedElsewhere(init, state, relay.inquiry, message.fault, context)
    if (rerouted !== undefined) return rerouted
  }
  const inquiry = relay.inquiry === undefined ? undefined : state.inquiries.get(relay.inquiry)
  if (inquiry !== undefined) {
    state.inquiries.delete(inquiry.id)
    if (from.peer !== context.self.peer) learnWhereabouts(state, inquiry.missionId, from.peer)
  }
  if (message.fault !== undefined) return reply(state, relay, undefined, message.fault)
  const op = inquiry?.what.kind === 'ask' ? inquiry.what.operation.op : undefined
  const shown = (answer: Json): Json => (op === undefined ? answer : withNames(state, op, answer))
  if (message.kind === 'local-answer') return reply(state, relay, shown(message.answer as Json), undefined)
  const payload = message.answer as Payload
  if ('inline' in payload) return reply(state, relay, shown(payload.inline), undefined)
  const tag = `unpack-${message.requestId}`
  state.relayed.set(tag, relay)
  return [{ type: 'load-value', payload, alsoTry: [relay.peer === context.self.peer ? context.self.peer : relay.peer], tag }]
}


export function onPacked(state: MissionsState, tag: string, payload: Payload | undefined, problem: Fault | undefined): Effect[] {
  const asker = state.packing.get(tag)
  state.packing.delete(tag)
  if (asker === undefined) return []
  return [tell(asker.to, { kind: 'mission-answer', requestId: asker.requestId, ...(payload === undefined ? {} : { answer: payload }), ...(problem === undefined ? {} : { fault: problem }) })]
}

function gatheringOf(state: MissionsState, requestId: string): [string, Gathering] | undefined {
  return [...state.gatherings].find(([, candidate]) => candidate.waiting.has(requestId))
}

/** One node's share of a list. */
export function addPart(state: MissionsState, requestId: string, part: Json | undefined): Effect[] {
  const found = gatheringOf(state, requestId)
  if (found === undefined) return []
  const [id, gathering] = found
  gathering.waiting.delete(requestId)
  if (Array.isArray(part)) gathering.found.push(...part)
  return gathering.waiting.size === 0 ? finishGathering(state, id, gathering) : []
}

/** Every bridge lists the whole mesh: its own missions, and what the connected nodes answer within a moment. */
function gather(state: MissionsState, operation: Extract<MissionOperation, { op: 'list' | 'dead' | 'queue' }>, principal: Principal, asker: Asker, context: ActorContext): Effect[] {
  state.counter += 1
  const id = `gather-${state.counter}`
  const limit = operation.op === 'list' ? operation.limit : limits.deadLettersKept
  const queue = operation.op === 'queue' ? [`${id}.own`] : []
  const archives = operation.op === 'queue' ? [] : [`${id}.ended`]
  const peers = asker.remote ? [] : [...state.members.values()].filter((member) => context.connected(member.peer)).map((member) => member.peer)
  const requests = peers.map((peer, i) => ({ peer, requestId: `${id}.${i}` }))
  state.gatherings.set(id, { asker, op: operation.op, limit, waiting: new Set([...queue, ...archives, ...requests.map(({ requestId }) => requestId)]), found: [] })
  return [
    ...queue.map((requestId) => tell(at(context.self.peer, actorNames.participant), { kind: 'local-ask' as const, requestId, principal, operation, replyTo: at(context.self.peer, actorNames.missions) })),
    ...archives.map((tag): Effect => ({ type: 'read-ended', which: { beforeWallMs: Number.MAX_SAFE_INTEGER, max: limit }, tag })),
    ...requests.map(({ peer, requestId }) => tell(at(peer, actorNames.missions), { kind: 'mission-ask', requestId, principal, operation }, principal)),
    { type: 'set-timer', key: id, delayMs: asker.remote ? gatherMs / 2 : gatherMs, message: { kind: 'tick', what: id } },
  ]
}

/** This node's archives, for a list. */
export function addEnded(state: MissionsState, tag: string, ended: readonly EndedMission[]): Effect[] {
  const gathering = gatheringOf(state, tag)?.[1]
  if (gathering === undefined) return []
  return addPart(state, tag, (gathering.op === 'dead' ? ended.flatMap(({ dead }) => dead ?? []) : ended.map(({ view }) => view)) as Json)
}

export function finishGathering(state: MissionsState, id: string, gathering: Gathering): Effect[] {
  state.gatherings.delete(id)
  const own: unknown[] = gathering.op === 'list' ? [...state.views.values()] : gathering.op === 'dead' ? [...state.dead.values()].flat() : []
  // Every member of an ended mission has its archive, and what is live says more than what is archived.
  const all = once([...own, ...gathering.found]).slice(-10_000)
  if (gathering.op === 'list') (all as MissionView[]).sort((left, right) => right.submittedAtWallMs - left.submittedAtWallMs)
  return reply(state, gathering.asker, withNames(state, gathering.op, all.slice(0, gathering.limit) as unknown as Json), undefined)
}

function once(found: readonly unknown[]): unknown[] {
  const byId = new Map<unknown, unknown>()
  for (const [i, one] of found.entries()) {
    const id = (one as { id?: unknown } | null)?.id ?? i
    if (!byId.has(id)) byId.set(id, one)
  }
  return [...byId.values()]
}

export function watch(init: MissionsInit, state: MissionsState, message: MessageOf<'watch'>, context: ActorContext): Effect[] {
  const what = { kind: 'watch' as const, message }
  return message.subscriber.peer === context.self.peer ? inquire(init, state, message.missionId, what, context) : serveRemote(init, state, message.missionId, what, context)
}

// ---- takeover by hand ------------------------------------------------------------------------------------------------

/** On a node that has a copy: it goes on alone under the next lineage. What the lost owner did that never came here is lost. */
function takeOver(state: MissionsState, operation: Extract<MissionOperation, { op: 'takeover' }>, principal: Principal, asker: Asker, context: ActorContext): Effect[] {
  const { missionId } = operation
  const group = state.groups.get(missionId)
  if (group === undefined) {
    if (asker.remote) return reply(state, asker, undefined, fault('unknown-mission', 'this node has no copy of the mission'))
    const holder = (state.whereabouts.get(missionId)?.members ?? []).find((peer) => peer !== context.self.peer && context.connected(peer))
    if (holder !== undefined) return passOn(state, operation, principal, asker, holder)
    return reply(state, asker, undefined, fault('unknown-mission', `this node has no copy of mission ${missionId}`, { next: `ask a node that has one: skein mission takeover ${missionId} --url http://…` }))
  }
  if (group.leader !== undefined) {
    const name = group.leader === context.self.peer ? 'this node' : state.members.get(group.leader)?.name ?? group.leader
    return reply(state, asker, undefined, fault('wrong-state', `${name} leads mission ${missionId} and can be reached: there is nothing to take over`, { next: `look at it: skein mission show ${missionId}` }))
  }
  state.counter += 1
  const tag = `takeover-${state.counter}`
  state.takeovers.set(tag, { id: tag, missionId, what: { kind: 'ask', operation: { op: 'view', missionId }, principal, asker }, untilMs: context.nowMs + limits.askTimeoutMs, tried: new Set(), sentTo: undefined, isArchiveChecked: false, lookUp: 'told', problem: undefined })
  return [fact('warn', 'mission.takeover', { mission: missionId, by: principal }), tell(at(context.self.peer, actorNames.logKeeper), { kind: 'take-over', tag, group: missionId })]
}

export function onTakenOver(init: MissionsInit, state: MissionsState, tag: string, problem: Fault | undefined, context: ActorContext): Effect[] {
  const taken = state.takeovers.get(tag)
  state.takeovers.delete(tag)
  if (taken === undefined || taken.what.kind !== 'ask') return []
  return problem === undefined ? inquire(init, state, taken.missionId, taken.what, context) : reply(state, taken.what.asker, undefined, problem)
}
