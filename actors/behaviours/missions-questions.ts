/** The desk's questions: answered here, or passed to the node that owns the mission; lists are gathered from the whole mesh. */
import { fault, type Fault } from '../../protocols/kernel/errors.ts'
import { fractionOf } from '../../protocols/kernel/hashing.ts'
import type { ActorAddress, PeerId, Principal } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { Json, Payload } from '../../protocols/kernel/payload.ts'
import type { MissionOperation } from '../../protocols/tasking/schema.ts'
import type { MissionView } from '../../protocols/tasking/views.ts'
import type { MessageOf } from '../../protocols/wire.ts'
import { actorNames, at, fingerprintOf } from '../names.ts'
import type { ActorContext } from '../runtime/actor.ts'
import { tell, type Effect } from '../runtime/effects.ts'
import { openOrchestrator, ownerOf, reply, type Asker, type Gathering, type MissionsInit, type MissionsState } from './missions-state.ts'

const gatherMs = 1_500

/** Everything but a submission. */
export function ask(init: MissionsInit, state: MissionsState, operation: Exclude<MissionOperation, { op: 'submit' }>, principal: Principal, asker: Asker, context: ActorContext): Effect[] {
  switch (operation.op) {
    case 'list':
    case 'dead':
    case 'queue':
      return gather(init, state, operation, principal, asker, context)
    default: {
      const owner = ownerOf(state, operation.missionId, context)
      if (owner === undefined) return reply(state, asker, undefined, fault('unknown-mission', `no node of this mesh knows mission ${operation.missionId}`, { next: 'list them: skein mission list' }))
      if (owner !== context.self.peer) return passOn(state, operation, principal, asker, owner, context)
      if (!state.heads.has(operation.missionId) && !context.exists(actorNames.orchestrator(operation.missionId))) {
        return reply(state, asker, undefined, fault('unknown-mission', `there is no mission ${operation.missionId}`, { next: 'list them: skein mission list' }))
      }
      state.counter += 1
      const requestId = `own-${state.counter}`
      state.relayed.set(requestId, { ...asker, peer: context.self.peer })
      return [...openOrchestrator(init, state, operation.missionId, context), tell(at(context.self.peer, actorNames.orchestrator(operation.missionId)), { kind: 'mission-ask', requestId, principal, operation })]
    }
  }
}

export function passOn(state: MissionsState, operation: MissionOperation, principal: Principal, asker: Asker, owner: PeerId, context: ActorContext): Effect[] {
  // A question is passed on once: the owner answers or nobody does.
  if (asker.remote) return reply(state, asker, undefined, fault('unknown-mission', 'this node does not own the mission'))
  if (!context.connected(owner)) {
    const name = state.members.get(fingerprintOf(owner))?.name ?? owner
    return reply(state, asker, undefined, fault('owner-unreachable', `the mission belongs to ${name}, which cannot be reached now`, { next: `start ${name} again: it will finish its missions` }))
  }
  state.counter += 1
  const requestId = `relay-${state.counter}`
  state.relayed.set(requestId, { ...asker, peer: owner })
  return [tell(at(owner, actorNames.missions), { kind: 'mission-ask', requestId, principal, operation }, principal), { type: 'set-timer', key: requestId, delayMs: limits.askTimeoutMs, message: { kind: 'tick', what: requestId } }]
}

/** With a key always to the same of the connected replicas, so that a repeated submission finds the first. */
export function forwardSubmission(state: MissionsState, operation: Extract<MissionOperation, { op: 'submit' }>, principal: Principal, asker: Asker, context: ActorContext): Effect[] {
  const replicas = [...state.members.values()].filter((member) => member.replica && context.connected(member.peer))
  const key = operation.key
  const rank = (peer: PeerId): number => fractionOf(`${peer} ${principal} ${key ?? ''}`)
  const chosen = replicas.sort((left, right) => key !== undefined ? rank(left.peer) - rank(right.peer) : left.missionsOwned - right.missionsOwned)[0]
  if (chosen === undefined) return reply(state, asker, undefined, fault('owner-unreachable', 'no node with the duty "replica" is connected, and this one does not have it', { next: 'start a node with --duties worker,replica,bridge' }))
  return passOn(state, operation, principal, asker, chosen.peer, context)
}

export function onTimeout(state: MissionsState, what: string): Effect[] {
  const gathering = state.gatherings.get(what)
  if (gathering !== undefined) return finishGathering(state, what, gathering)
  const relay = state.relayed.get(what)
  if (relay === undefined) return []
  state.relayed.delete(what)
  return reply(state, relay, undefined, fault('timeout', 'the node that owns the mission did not answer in time: the outcome is unknown', { next: 'try again with the same key' }))
}

export function onAnswer(state: MissionsState, message: { requestId: string; answer?: Json | Payload | undefined; fault?: Fault | undefined; kind: 'local-answer' | 'mission-answer' }, from: ActorAddress, context: ActorContext): Effect[] {
  if (gatheringOf(state, message.requestId) !== undefined) {
    // A long list comes as a blob: it counts once it is here.
    const part = message.kind === 'local-answer' ? { inline: (message.answer ?? []) as Json } : (message.answer as Payload | undefined) ?? { inline: [] }
    return 'inline' in part ? addPart(state, message.requestId, part.inline) : [{ type: 'load-value', payload: part, alsoTry: [], tag: `part ${message.requestId}` }]
  }
  const relay = state.relayed.get(message.requestId)
  // Only who was asked may answer.
  if (relay === undefined || relay.peer !== from.peer) return []
  state.relayed.delete(message.requestId)
  if (message.fault !== undefined) return reply(state, relay, undefined, message.fault)
  if (message.kind === 'local-answer') return reply(state, relay, message.answer as Json, undefined)
  const payload = message.answer as Payload
  if ('inline' in payload) return reply(state, relay, payload.inline, undefined)
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
export function gather(init: MissionsInit, state: MissionsState, operation: Extract<MissionOperation, { op: 'list' | 'dead' | 'queue' }>, principal: Principal, asker: Asker, context: ActorContext): Effect[] {
  state.counter += 1
  const id = `gather-${state.counter}`
  const limit = operation.op === 'list' ? operation.limit : limits.deadLettersKept
  const own = operation.op === 'queue' ? [`${id}.own`] : []
  const unseen = operation.op === 'queue' ? [] : [...state.heads.keys()].filter((missionId) => !state.views.has(missionId) && !state.damaged.has(missionId)).slice(-limit)
  const peers = asker.remote ? [] : [...state.members.values()].filter((member) => context.connected(member.peer)).map((member) => member.peer)
  const requests = peers.map((peer, i) => ({ peer, requestId: `${id}.${i}` }))
  const gathering: Gathering = { asker, op: operation.op, limit, waiting: new Set([...own, ...requests.map(({ requestId }) => requestId), ...unseen]), found: [] }
  state.gatherings.set(id, gathering)
  if (gathering.waiting.size === 0) return finishGathering(state, id, gathering)
  return [
    ...unseen.flatMap((missionId) => openOrchestrator(init, state, missionId, context)),
    ...own.map((requestId) => tell(at(context.self.peer, actorNames.participant), { kind: 'local-ask' as const, requestId, principal, operation, replyTo: at(context.self.peer, actorNames.missions) })),
    ...requests.map(({ peer, requestId }) => tell(at(peer, actorNames.missions), { kind: 'mission-ask', requestId, principal, operation }, principal)),
    { type: 'set-timer', key: id, delayMs: asker.remote ? gatherMs / 2 : gatherMs, message: { kind: 'tick', what: id } },
  ]
}

export function fillGatherings(state: MissionsState): Effect[] {
  return [...state.gatherings].flatMap(([id, gathering]) => {
    for (const missionId of [...state.views.keys(), ...state.damaged]) gathering.waiting.delete(missionId)
    return gathering.waiting.size === 0 ? finishGathering(state, id, gathering) : []
  })
}

export function finishGathering(state: MissionsState, id: string, gathering: Gathering): Effect[] {
  state.gatherings.delete(id)
  const own: unknown[] = gathering.op === 'list' ? [...state.views.values()] : gathering.op === 'dead' ? [...state.dead.values()].flat() : []
  const all = [...own, ...gathering.found].slice(-10_000)
  if (gathering.op === 'list') (all as MissionView[]).sort((left, right) => right.submittedAtWallMs - left.submittedAtWallMs)
  return reply(state, gathering.asker, all.slice(0, gathering.limit) as unknown as Json, undefined)
}

export function watch(init: MissionsInit, state: MissionsState, message: MessageOf<'watch'>, context: ActorContext): Effect[] {
  const owner = ownerOf(state, message.missionId, context)
  const refused = (problem: Fault): Effect[] => [tell(message.subscriber, { kind: 'watched', missionId: message.missionId, events: [], notes: [], fault: problem })]
  if (owner === undefined) return refused(fault('unknown-mission', `no node of this mesh knows mission ${message.missionId}`, { next: 'list them: skein mission list' }))
  if (owner !== context.self.peer) return message.subscriber.peer === context.self.peer ? [tell(at(owner, actorNames.missions), message)] : refused(fault('unknown-mission', 'this node does not own the mission'))
  if (!state.heads.has(message.missionId) && !context.exists(actorNames.orchestrator(message.missionId))) return refused(fault('unknown-mission', `there is no mission ${message.missionId}`, { next: 'list them: skein mission list' }))
  return [...openOrchestrator(init, state, message.missionId, context), tell(at(context.self.peer, actorNames.orchestrator(message.missionId)), message)]
}
