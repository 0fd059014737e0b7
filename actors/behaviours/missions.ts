/**
 * The desk where missions are handed in and asked for. It admits, checks and opens the ones this node will own, recovers
 * them after a restart, and passes questions about any other mission of the mesh to the node that owns it.
 */
import { fault, type Fault } from '../../protocols/kernel/errors.ts'
import type { ActorAddress, MissionId, PeerId, Principal } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { Json, Payload } from '../../protocols/kernel/payload.ts'
import type { NodeView } from '../../protocols/capability/views.ts'
import type { LogHead } from '../../protocols/replicated-log/schema.ts'
import type { MissionOperation, MissionRequest } from '../../protocols/tasking/schema.ts'
import type { DeadView, MissionView } from '../../protocols/tasking/views.ts'
import type { MessageOf } from '../../protocols/wire.ts'
import { actorNames, at, fingerprintOf } from '../names.ts'
import type { Claim } from '../ports/log-store.ts'
import { erased, type ActorContext, type Behaviour, type Delivery } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'
import type { Tuning } from '../tuning.ts'
import { orchestrator } from './orchestrator.ts'
import { citedBlobs, digestOfRequest, firstEvents, planOf, type Submission } from './submission.ts'

export interface MissionsInit {
  readonly nodeName: string
  readonly tuning: Tuning
  readonly replica: boolean
}

interface Asker {
  readonly to: ActorAddress
  readonly requestId: string
  /** True when the asker is another node: the answer goes by wire. */
  readonly remote: boolean
}

interface Gathering {
  readonly asker: Asker
  readonly op: 'list' | 'dead'
  readonly limit: number
  readonly waiting: Set<string>
  readonly found: unknown[]
}

interface State {
  ready: boolean
  readonly early: Delivery[]
  readonly heads: Map<MissionId, LogHead>
  readonly views: Map<MissionId, MissionView>
  readonly dead: Map<MissionId, readonly DeadView[]>
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
  nodes: readonly NodeView[]
  readonly watches: { readonly message: MessageOf<'watch'> }[]
  counter: number
}

const gatherMs = 1_500

export function missions(init: MissionsInit): Behaviour<State> {
  return {
    kind: 'missions',
    supervision: 'resume',
    start: (context) => ({
      state: { ready: false, early: [], heads: new Map(), views: new Map(), dead: new Map(), claims: new Map(), submissions: new Map(), claiming: new Map(), opening: new Map(), relayed: new Map(), gatherings: new Map(), packing: new Map(), nodes: [], watches: [], counter: 0 },
      effects: [
        { type: 'open-log', tag: 'open' },
        tell(at(context.self.peer, actorNames.directory), { kind: 'watch-peers' }),
        tell(at(context.self.peer, actorNames.directory), { kind: 'describe-nodes', replyTo: { peer: context.self.peer, actor: actorNames.missions } }),
        { type: 'set-timer', key: 'nodes', delayMs: 1_000, message: { kind: 'tick', what: 'nodes' } },
      ],
    }),
    receive: (state, delivery, context) => receive(init, state, delivery, context),
  }
}

function receive(init: MissionsInit, state: State, delivery: Delivery, context: ActorContext): readonly Effect[] {
  const { message, from, principal } = delivery
  const directory = at(context.self.peer, actorNames.directory)
  switch (message.kind) {
    case 'log-opened':
      return onLogOpened(init, state, message.heads, message.claims, message.fault, context)
    case 'nodes-described':
      state.nodes = message.nodes
      return []
    case 'tick':
      if (message.what === 'nodes') return [tell(directory, { kind: 'describe-nodes', replyTo: at(context.self.peer, actorNames.missions) }), { type: 'set-timer', key: 'nodes', delayMs: 1_000, message }]
      return message.what === undefined ? [] : onTimeout(state, message.what)
    case 'local-ask':
    case 'mission-ask': {
      if (!state.ready) {
        state.early.push(delivery)
        return []
      }
      const remote = message.kind === 'mission-ask'
      const asker: Asker = remote ? { to: from, requestId: message.requestId, remote } : { to: message.replyTo, requestId: message.requestId, remote }
      return ask(init, state, message.operation, message.principal ?? principal, asker, context)
    }
    case 'local-watch':
    case 'watch': {
      if (!state.ready) {
        state.early.push(delivery)
        return []
      }
      return watch(init, state, { kind: 'watch', missionId: message.missionId, fromIndex: message.fromIndex, subscriber: message.subscriber }, context)
    }
    case 'unwatch': {
      const owner = ownerOf(state, message.missionId, context)
      if (owner === context.self.peer) return context.exists(actorNames.orchestrator(message.missionId)) ? [tell(at(owner, actorNames.orchestrator(message.missionId)), message)] : []
      return owner === undefined ? [] : [tell(at(owner, actorNames.missions), message)]
    }
    // ---- submissions
    case 'offers':
      return onOffers(state, message.tag, message.offers, context)
    case 'input-checked':
      return onInputChecked(init, state, message.tag, message.fault, context)
    case 'blobs-fetched':
      return onBlobs(state, message.tag, message.fault, context)
    case 'value-stored':
      return message.tag.startsWith('answer ') ? onPacked(state, message.tag, message.payload, message.fault) : onStored(init, state, message.tag, message.payload, message.fault, context)
    case 'mission-opened':
      return onOpened(init, state, message.missionId, message.fault, context)
    // ---- answers
    case 'local-answer':
    case 'mission-answer':
      return onAnswer(state, message, context)
    case 'value-loaded': {
      const relay = state.relayed.get(message.tag)
      state.relayed.delete(message.tag)
      return relay === undefined ? [] : reply(state, relay, message.value, message.fault)
    }
    case 'mission-changed':
      state.views.set(message.view.id, message.view)
      if (message.dead.length > 0) state.dead.set(message.view.id, message.dead)
      else state.dead.delete(message.view.id)
      return [tell(at(context.self.peer, actorNames.participant), { kind: 'hosting', missionId: message.view.id, hosts: !message.ended }), ...fillGatherings(state)]
    case 'mission-rested':
      state.heads.set(message.head.missionId, message.head)
      return []
    case 'peer-down':
      return [...state.relayed].flatMap(([id, relay]) => {
        if (relay.peer !== message.peer) return []
        state.relayed.delete(id)
        return reply(state, relay, undefined, fault('owner-unreachable', 'the connection to the node that owns the mission was lost', { next: 'try again when it is back' }))
      })
    case 'child-failed':
      return [fact('error', 'mission.stopped', { actor: message.name, reason: message.reason })]
    default:
      return []
  }
}

// ---- recovery -----------------------------------------------------------------------------------------------------

function claimKey(principal: string, key: string): string {
  return `${principal} ${key}`
}

function onLogOpened(init: MissionsInit, state: State, heads: readonly LogHead[], claims: readonly Claim[], problem: Fault | undefined, context: ActorContext): Effect[] {
  if (problem !== undefined) return [{ type: 'give-up', reason: `the log could not be opened: ${problem.detail}` }]
  for (const head of heads) state.heads.set(head.missionId, head)
  state.ready = true
  for (const claim of claims) state.claims.set(claimKey(claim.principal, claim.key), claim)
  const recovered = heads.filter((head) => !head.sealed).flatMap((head) => openOrchestrator(init, state, head.missionId, context))
  const early = state.early.splice(0)
  return [...recovered, ...early.flatMap((delivery) => [...receive(init, state, delivery, context)])]
}

/** Spawns the orchestrator of a mission of this node's log, unless it lives already. */
function openOrchestrator(init: MissionsInit, state: State, missionId: MissionId, context: ActorContext): Effect[] {
  const head = state.heads.get(missionId)
  const name = actorNames.orchestrator(missionId)
  if (context.exists(name)) return []
  return [{ type: 'spawn', name, behaviour: erased(orchestrator({ missionId, nodeName: init.nodeName, tuning: init.tuning, ...(head === undefined ? {} : { head }) })) }]
}

function ownerOf(state: State, missionId: MissionId, context: ActorContext): PeerId | undefined {
  const fingerprint = missionId.split('-')[1]
  if (fingerprint === fingerprintOf(context.self.peer)) return context.self.peer
  return state.nodes.find((node) => fingerprintOf(node.peerId) === fingerprint)?.peerId
}

// ---- questions ----------------------------------------------------------------------------------------------------

function ask(init: MissionsInit, state: State, operation: MissionOperation, principal: Principal, asker: Asker, context: ActorContext): Effect[] {
  switch (operation.op) {
    case 'submit':
      return init.replica ? submit(init, state, operation.request, operation.key, principal, asker, context) : forwardSubmission(state, operation, principal, asker, context)
    case 'list':
    case 'dead':
      return gather(init, state, operation, principal, asker, context)
    case 'queue': {
      state.counter += 1
      const requestId = `queue-${state.counter}`
      state.relayed.set(requestId, { ...asker, peer: context.self.peer })
      return [tell(at(context.self.peer, actorNames.participant), { kind: 'local-ask', requestId, principal, operation, replyTo: at(context.self.peer, actorNames.missions) })]
    }
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

function passOn(state: State, operation: MissionOperation, principal: Principal, asker: Asker, owner: PeerId, context: ActorContext): Effect[] {
  // A question is passed on once: the owner answers or nobody does.
  if (asker.remote) return reply(state, asker, undefined, fault('unknown-mission', 'this node does not own the mission'))
  if (!context.connected(owner)) {
    const name = state.nodes.find((node) => node.peerId === owner)?.name ?? owner
    return reply(state, asker, undefined, fault('owner-unreachable', `the mission belongs to ${name}, which cannot be reached now`, { next: `start ${name} again: it will finish its missions` }))
  }
  state.counter += 1
  const requestId = `relay-${state.counter}`
  state.relayed.set(requestId, { ...asker, peer: owner })
  return [tell(at(owner, actorNames.missions), { kind: 'mission-ask', requestId, principal, operation }, principal), { type: 'set-timer', key: requestId, delayMs: limits.askTimeoutMs, message: { kind: 'tick', what: requestId } }]
}

function forwardSubmission(state: State, operation: MissionOperation, principal: Principal, asker: Asker, context: ActorContext): Effect[] {
  const replicas = state.nodes.filter((node) => !node.self && context.connected(node.peerId) && node.advert?.duties.includes('replica') === true)
  const chosen = replicas.sort((left, right) => (left.advert?.load.missionsOwned ?? 0) - (right.advert?.load.missionsOwned ?? 0))[0]
  if (chosen === undefined) return reply(state, asker, undefined, fault('owner-unreachable', 'no node with the duty "replica" is connected, and this one does not have it', { next: 'start a node with --duties worker,replica,bridge' }))
  return passOn(state, operation, principal, asker, chosen.peerId, context)
}

function onTimeout(state: State, what: string): Effect[] {
  const gathering = state.gatherings.get(what)
  if (gathering !== undefined) return finishGathering(state, what, gathering)
  const relay = state.relayed.get(what)
  if (relay === undefined) return []
  state.relayed.delete(what)
  return reply(state, relay, undefined, fault('timeout', 'the node that owns the mission did not answer in time: the outcome is unknown', { next: 'try again with the same key' }))
}

function onAnswer(state: State, message: { requestId: string; answer?: Json | Payload | undefined; fault?: Fault | undefined; kind: 'local-answer' | 'mission-answer' }, context: ActorContext): Effect[] {
  const gathering = [...state.gatherings].find(([, candidate]) => candidate.waiting.has(message.requestId))
  if (gathering !== undefined) {
    const [id, gathered] = gathering
    gathered.waiting.delete(message.requestId)
    const inline = message.kind === 'mission-answer' && message.answer !== undefined ? ('inline' in (message.answer as Payload & object) ? (message.answer as { inline: Json }).inline : []) : []
    if (Array.isArray(inline)) gathered.found.push(...inline)
    return gathered.waiting.size === 0 ? finishGathering(state, id, gathered) : []
  }
  const relay = state.relayed.get(message.requestId)
  if (relay === undefined) return []
  state.relayed.delete(message.requestId)
  if (message.fault !== undefined) return reply(state, relay, undefined, message.fault)
  if (message.kind === 'local-answer') return reply(state, relay, message.answer as Json, undefined)
  const payload = message.answer as Payload
  if ('inline' in payload) return reply(state, relay, payload.inline, undefined)
  const tag = `unpack-${message.requestId}`
  state.relayed.set(tag, relay)
  return [{ type: 'load-value', payload, alsoTry: [relay.peer === context.self.peer ? context.self.peer : relay.peer], tag }]
}

/** To a local front end the value itself; to another node a payload, which is a blob when it is large. */
function reply(state: State, asker: Asker, value: Json | undefined, problem: Fault | undefined): Effect[] {
  if (!asker.remote) return [tell(asker.to, { kind: 'local-answer', requestId: asker.requestId, ...(value === undefined ? {} : { answer: value }), ...(problem === undefined ? {} : { fault: problem }) })]
  if (problem !== undefined) return [tell(asker.to, { kind: 'mission-answer', requestId: asker.requestId, fault: problem })]
  state.counter += 1
  const tag = `answer ${state.counter}`
  state.packing.set(tag, asker)
  return [{ type: 'store-value', value: value ?? null, tag }]
}

function onPacked(state: State, tag: string, payload: Payload | undefined, problem: Fault | undefined): Effect[] {
  const asker = state.packing.get(tag)
  state.packing.delete(tag)
  if (asker === undefined) return []
  return [tell(asker.to, { kind: 'mission-answer', requestId: asker.requestId, ...(payload === undefined ? {} : { answer: payload }), ...(problem === undefined ? {} : { fault: problem }) })]
}

/** Every bridge lists the whole mesh: its own missions, and what the connected nodes answer within a moment. */
function gather(init: MissionsInit, state: State, operation: Extract<MissionOperation, { op: 'list' | 'dead' }>, principal: Principal, asker: Asker, context: ActorContext): Effect[] {
  state.counter += 1
  const id = `gather-${state.counter}`
  const limit = operation.op === 'list' ? operation.limit : limits.deadLettersKept
  const unseen = [...state.heads.keys()].filter((missionId) => !state.views.has(missionId)).slice(-limit)
  const peers = asker.remote ? [] : state.nodes.filter((node) => !node.self && context.connected(node.peerId)).map((node) => node.peerId)
  const requests = peers.map((peer, i) => ({ peer, requestId: `${id}.${i}` }))
  const gathering: Gathering = { asker, op: operation.op, limit, waiting: new Set([...requests.map(({ requestId }) => requestId), ...unseen]), found: [] }
  state.gatherings.set(id, gathering)
  if (gathering.waiting.size === 0) return finishGathering(state, id, gathering)
  return [
    ...unseen.flatMap((missionId) => openOrchestrator(init, state, missionId, context)),
    ...requests.map(({ peer, requestId }) => tell(at(peer, actorNames.missions), { kind: 'mission-ask', requestId, principal, operation }, principal)),
    { type: 'set-timer', key: id, delayMs: asker.remote ? gatherMs / 2 : gatherMs, message: { kind: 'tick', what: id } },
  ]
}

function fillGatherings(state: State): Effect[] {
  return [...state.gatherings].flatMap(([id, gathering]) => {
    for (const missionId of state.views.keys()) gathering.waiting.delete(missionId)
    return gathering.waiting.size === 0 ? finishGathering(state, id, gathering) : []
  })
}

function finishGathering(state: State, id: string, gathering: Gathering): Effect[] {
  state.gatherings.delete(id)
  const own: unknown[] = gathering.op === 'list' ? [...state.views.values()] : [...state.dead.values()].flat()
  const all = [...own, ...gathering.found].slice(-10_000)
  if (gathering.op === 'list') (all as MissionView[]).sort((left, right) => right.submittedAtWallMs - left.submittedAtWallMs)
  return reply(state, gathering.asker, all.slice(0, gathering.limit) as unknown as Json, undefined)
}

function watch(init: MissionsInit, state: State, message: MessageOf<'watch'>, context: ActorContext): Effect[] {
  const owner = ownerOf(state, message.missionId, context)
  const refused = (problem: Fault): Effect[] => [tell(message.subscriber, { kind: 'watched', missionId: message.missionId, events: [], notes: [], fault: problem })]
  if (owner === undefined) return refused(fault('unknown-mission', `no node of this mesh knows mission ${message.missionId}`, { next: 'list them: skein mission list' }))
  if (owner !== context.self.peer) return message.subscriber.peer === context.self.peer ? [tell(at(owner, actorNames.missions), message)] : refused(fault('unknown-mission', 'this node does not own the mission'))
  if (!state.heads.has(message.missionId) && !context.exists(actorNames.orchestrator(message.missionId))) return refused(fault('unknown-mission', `there is no mission ${message.missionId}`, { next: 'list them: skein mission list' }))
  return [...openOrchestrator(init, state, message.missionId, context), tell(at(context.self.peer, actorNames.orchestrator(message.missionId)), message)]
}

// ---- submissions --------------------------------------------------------------------------------------------------

function submit(init: MissionsInit, state: State, request: MissionRequest, key: string | undefined, principal: Principal, asker: Asker, context: ActorContext): Effect[] {
  const digest = digestOfRequest(request)
  if (key !== undefined) {
    const claim = state.claims.get(claimKey(principal, key))
    if (claim !== undefined) {
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

function keyConflict(key: string): Fault {
  return fault('key-conflict', `the idempotency key "${key}" was used for another request`, { next: 'use a new key for a new request' })
}

function admission(init: MissionsInit, state: State, principal: Principal): Fault | undefined {
  const making = [...state.submissions.values()].map(({ submission }) => submission.principal)
  const live = [...state.views.values()].filter((view) => view.endedAtWallMs === undefined).map((view) => view.principal)
  const all = [...making, ...live]
  if (all.length >= init.tuning.missionsLiveMax) return fault('overloaded', `this node carries ${all.length} missions, ${init.tuning.missionsLiveMax} at most`, { retryAfterMs: 2_000, next: 'try again later, or submit to another node' })
  const own = all.filter((owner) => owner === principal).length
  if (own >= init.tuning.missionsLivePerPrincipalMax) return fault('overloaded', `${principal} has ${own} missions under way here, ${init.tuning.missionsLivePerPrincipalMax} at most`, { retryAfterMs: 2_000, next: 'wait for one of them to end' })
  return undefined
}

function drop(state: State, tag: string, problem: Fault): Effect[] {
  const made = state.submissions.get(tag)
  if (made === undefined) return []
  state.submissions.delete(tag)
  if (made.submission.key !== undefined) state.claiming.delete(claimKey(made.submission.principal, made.submission.key))
  return made.askers.flatMap((asker) => reply(state, asker, undefined, problem))
}

function onOffers(state: State, tag: string, offers: Submission['offers'], context: ActorContext): Effect[] {
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

function onInputChecked(_init: MissionsInit, state: State, tag: string, problem: Fault | undefined, _context: ActorContext): Effect[] {
  const made = state.submissions.get(tag)
  if (made === undefined) return []
  if (problem !== undefined) return drop(state, tag, problem)
  made.submission.inputsChecked -= 1
  return made.submission.inputsChecked > 0 ? [] : [fetchCited(made.submission, tag)]
}

function fetchCited(submission: Submission, tag: string): Effect {
  return { type: 'fetch-blobs', refs: citedBlobs(submission), alsoTry: [], tag }
}

function onBlobs(state: State, tag: string, problem: Fault | undefined, _context: ActorContext): Effect[] {
  const made = state.submissions.get(tag)
  if (made === undefined) return []
  if (problem !== undefined) return drop(state, tag, { ...problem, next: 'upload it first: PUT /v1/blobs/{sha256}' })
  const { submission } = made
  return [
    { type: 'store-value', value: submission.request as unknown as Json, tag: `${tag} request` },
    ...Object.entries(submission.plan.tasks).map(([name, task]) => ({ type: 'store-value' as const, value: (task.input ?? {}) as Json, tag: `${tag} input ${name}` })),
  ]
}

function onStored(init: MissionsInit, state: State, stored: string, payload: Payload | undefined, problem: Fault | undefined, context: ActorContext): Effect[] {
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
function onOpened(init: MissionsInit, state: State, missionId: MissionId, problem: Fault | undefined, context: ActorContext): Effect[] {
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
