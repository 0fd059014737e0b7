/** The node's bidder: hears calls, bids, takes awards and starts whoever runs them. */
import { bidForWaiting, emptyParticipant, endAward, forgetCalls, forgetInitiator, hearCfp, learnMeasures, managersFree, offersToTell, slotsFree, takeAward, type ParticipantOutput, type ParticipantState, type ParticipantView } from '../../protocols/bidding/participant.ts'
import { measureKey } from '../../protocols/bidding/measure.ts'
import { awardsIn, type Award } from '../../protocols/bidding/schema.ts'
import { forgetOffers } from '../../protocols/bidding/standing-offers.ts'
import { learnSpeed, speedKey } from '../../protocols/bidding/speed.ts'
import { match } from '../../protocols/capability/matching.ts'
import { callTopic, shardCount, shardOf } from '../../protocols/capability/shards.ts'
import type { Attributes, Capability } from '../../protocols/capability/schema.ts'
import { fault } from '../../protocols/kernel/errors.ts'
import { isInvocationId } from '../../protocols/invoking/schema.ts'
import type { ActorAddress, AwardId, MissionId, Principal } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { Json } from '../../protocols/kernel/payload.ts'
import type { QueueView } from '../../protocols/tasking/views.ts'
import type { MessageOf } from '../../protocols/wire.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext, Behaviour, Delivery } from '../runtime/actor.ts'
import { fact, tell, type Effect, type Spawnable } from '../runtime/effects.ts'
import type { Tuning } from '../tuning.ts'
import { byAddress } from './batches.ts'

export interface ParticipantInit {
  readonly name: string
  readonly slots: number
  readonly capabilities: readonly Capability[]
  /** Refuse work while the machine runs on battery. */
  readonly refuseOnBattery: boolean
  /** How many nodes the mesh is thought to have until this one has counted. */
  readonly nodesExpected: number
  readonly tuning: Tuning
  /** Makes whoever runs an awarded composite task, and whoever executes the leaves of a mission. */
  readonly managerOf: (award: Award) => Spawnable
  readonly workerOf: (missionId: MissionId) => Spawnable
}

/** A worker, or the manager of one composite task. */
interface Holder {
  readonly name: string
  awards: number
}

interface State {
  readonly core: ParticipantState
  capabilities: readonly Capability[]
  readonly topics: Map<string, string>
  shardsOf: ReadonlyMap<string, number>
  /** Awards that run here, or whose results are kept, with the actor that does it. */
  readonly held: Map<AwardId, Holder>
  readonly workers: Map<MissionId, Holder>
  workersMade: number
  readonly hosted: Set<MissionId>
  /** Something has happened that may let it bid for what waits. */
  mayBid: boolean
  /** Something has happened that may change its standing offers. */
  mayTell: boolean
  leaving: boolean
  stalled: boolean
  /** Of the machine: its capabilities have them too. */
  attributes: Attributes
  onBattery: boolean
  drainAsker: ActorAddress | undefined
  /** Who waits to hear what a skill's input looks like. */
  readonly described: Map<string, ActorAddress>
}

export function participant(init: ParticipantInit): Behaviour<State> {
  return {
    kind: 'participant',
    supervision: 'resume',
    start(context) {
      const state: State = { core: emptyParticipant(), capabilities: init.capabilities, topics: new Map(), shardsOf: new Map(), held: new Map(), workers: new Map(), workersMade: 0, hosted: new Set(), mayBid: false, mayTell: false, leaving: false, stalled: false, attributes: {}, onBattery: false, drainAsker: undefined, described: new Map() }
      return { state, effects: [...subscribe(init, state, context), tell(at(context.self.peer, actorNames.directory), { kind: 'watch-peers' })] }
    },
    receive: (state, delivery, context) => receive(init, state, delivery, context),
    // Places come free many at a time: what waits is looked through once for all of them.
    endTurn: (state, context) => [...(state.mayBid ? bidAgain(init, state, context) : []), ...tellOffers(init, state, context)],
  }
}

function viewOf(init: ParticipantInit, state: State, context: ActorContext): ParticipantView {
  return {
    own: { peer: context.self.peer, match: (query) => match(state.capabilities, query, state.attributes), leaving: state.leaving, stalled: state.stalled, onBattery: state.onBattery && init.refuseOnBattery, inputBytesMax: limits.blobBytesMax },
    slots: init.slots,
    managers: init.tuning.managersPerNodeMax,
    poolSize: (pool) => state.capabilities.find((capability) => capability.slots !== undefined && measureKey(capability) === pool)?.slots ?? 0,
    hostsOrchestrator: (missionId) => state.hosted.has(missionId as MissionId),
    locality: (call) => (call.inputBytes === 0 || call.holders.includes(context.self.peer) ? 1 : 0),
  }
}

function receive(init: ParticipantInit, state: State, { message, from, principal }: Delivery, context: ActorContext): readonly Effect[] {
  const view = viewOf(init, state, context)
  switch (message.kind) {
    case 'cfp':
      // A call speaks for the actor that gossip or the stream vouches for, not for whom it names.
      if (message.initiator.peer !== from.peer) return [fact('warn', 'cfp.forged', { from: from.peer, initiator: message.initiator.peer })]
      state.mayTell = true
      return send(init, hearCfp(state.core, message, view, context.nowMs), context)
    case 'reject-proposal':
      forgetCalls(state.core, message.callIds)
      return bidLater(state)
    case 'accept-proposal': {
      const { terms } = message
      if (terms.manager.peer !== from.peer) return [fact('warn', 'award.forged', { from: from.peer, mission: terms.missionId })]
      state.mayTell = true
      return take(init, state, message, principal, view, context)
    }
    case 'invoke':
      if (message.caller.peer !== from.peer) return [fact('warn', 'invoke.forged', { from: from.peer, caller: message.caller.peer })]
      state.mayTell = true
      return takeInvocation(state, message, view, context)
    case 'invoke-cancel': {
      const taken = state.core.running.get(message.callId as string as AwardId)
      if (taken === undefined || taken.award.manager.peer !== from.peer) return []
      return [tell(at(context.self.peer, actorNames.invocations), message)]
    }
    case 'describe-capability':
      // Each asker counts its own questions.
      state.described.set(`${from.peer} ${message.requestId}`, from)
      return [{ type: 'describe-skill', capability: message.capability, version: message.version, tag: `${from.peer} ${message.requestId}` }]
    case 'skill-described': {
      const asker = state.described.get(message.tag)
      state.described.delete(message.tag)
      return asker === undefined ? [] : [tell(asker, { kind: 'capability-described', requestId: message.tag.slice(asker.peer.length + 1), ...(message.inputSchema === undefined ? {} : { inputSchema: message.inputSchema }) })]
    }
    case 'offers-released':
      forgetOffers(state.core.offers, ({ offerId, initiator }) => initiator.peer === from.peer && message.offerIds.includes(offerId))
      return bidLater(state)
    case 'adopt': {
      if (message.manager.peer !== from.peer) return [fact('warn', 'adopt.forged', { from: from.peer, award: message.awardId })]
      const holder = holderOf(state, message.awardId, context)
      if (holder === undefined) return [tell(message.manager, { kind: 'not-holding', awardId: message.awardId })]
      return [tell(at(context.self.peer, holder), { kind: 'passed-on', message, from })]
    }
    // Comes the way the award came, so that it never overtakes it.
    case 'cancel': {
      const holder = holderOf(state, message.awardId, context)
      return holder === undefined ? [] : [tell(at(context.self.peer, holder), { kind: 'passed-on', message, from })]
    }
    case 'awards-finished':
      for (const { awardId, runMs, effort, capability, version } of message.awards) {
        endAward(state.core, awardId)
        if (runMs !== undefined) learnSpeed(state.core.speeds, speedKey(capability, version), effort, runMs)
      }
      return bidLater(state)
    case 'awards-forgotten':
      for (const awardId of message.awardIds) forget(state, awardId)
      return sayDrained(state)
    case 'worker-idle': {
      const known = state.workers.get(message.missionId)
      // Or else awards are on their way to it.
      if (known?.name !== from.actor || known.awards > 0) return []
      state.workers.delete(message.missionId)
      return [tell(from, { kind: 'worker-ends' })]
    }
    case 'child-failed': {
      const lost = [...state.held].filter(([, { name }]) => name === message.name).map(([awardId]) => awardId)
      for (const [missionId, { name }] of state.workers) if (name === message.name) state.workers.delete(missionId)
      return [...lost.flatMap((awardId) => lose(state, awardId, message.reason)), tell(at(context.self.peer, actorNames.invoker), { kind: 'askers-gone', actor: message.name }), ...sayDrained(state)]
    }
    case 'peer-down':
      forgetInitiator(state.core, message.peer)
      return bidLater(state)
    case 'capabilities-changed':
      state.capabilities = message.capabilities
      return [...subscribe(init, state, context), tell(at(context.self.peer, actorNames.advertiser), message)]
    case 'capabilities-measured':
      learnMeasures(state.core, message.measures, context.nowMs)
      return bidLater(state)
    case 'capability-shards':
      state.shardsOf = message.shardsOf
      return subscribe(init, state, context)
    case 'hosting':
      if (message.hosts) state.hosted.add(message.missionId)
      else state.hosted.delete(message.missionId)
      return []
    case 'machine-sampled':
      Object.assign(state, { stalled: message.stalled, onBattery: message.onBattery, attributes: message.attributes })
      return bidLater(state)
    case 'load-asked':
      return [tell(from, { kind: 'load', slots: init.slots, slotsBusy: init.slots - slotsFree(state.core, view), waiting: state.core.calls.size, managers: init.tuning.managersPerNodeMax - managersFree(state.core, view), missionsOwned: state.hosted.size })]
    case 'local-ask':
      return [tell(message.replyTo, { kind: 'local-answer', requestId: message.requestId, answer: [queueView(init, state, context)] as unknown as Json })]
    case 'drain':
      state.leaving = true
      state.drainAsker = from
      return [...holders(state).map((holder) => tell(at(context.self.peer, holder), { kind: 'drain' as const })), { type: 'set-timer', key: 'drain', delayMs: init.tuning.drainMs, message: { kind: 'tick', what: 'drain' } }, ...sayDrained(state)]
    case 'tick':
      if (message.what === 'bid') return bidLater(state)
      return holders(state).map((holder) => tell(at(context.self.peer, holder), { kind: 'tick' as const, what: 'hand-back' }))
    default:
      return []
  }
}

/** What fits is confirmed and begun, the rest refused. An award by a standing offer needs no confirmation: no other bidder waits to hear of it. */
function take(init: ParticipantInit, state: State, message: MessageOf<'accept-proposal'>, principal: Principal | undefined, view: ParticipantView, context: ActorContext): Effect[] {
  const { manager, missionId, kind, capability } = message.terms
  const effects: Effect[] = []
  const confirmed: AwardId[] = []
  const leaves: Award[] = []
  for (const [i, award] of awardsIn(message).entries()) {
    const { awardId } = award
    const isCalled = message.tasks[i]?.callId !== undefined
    // Told again: it is as it was, running or done.
    if (state.held.has(awardId)) {
      if (isCalled) confirmed.push(awardId)
      continue
    }
    const refusal = takeAward(state.core, award, view, context.nowMs)
    if (refusal !== undefined) {
      effects.push(tell(manager, { kind: 'refuse-award', awardId, refusal }))
      // Nobody has called for it: it does not wait here.
      if (!isCalled) forgetCalls(state.core, [award.callId])
      continue
    }
    if (isCalled) confirmed.push(awardId)
    effects.push(fact('info', 'award.taken', { award: awardId, capability, kind, from: manager.peer }))
    if (kind === 'leaf') leaves.push(award)
    else {
      const name = actorNames.award(awardId)
      state.held.set(awardId, { name, awards: 1 })
      effects.push({ type: 'spawn', name, behaviour: init.managerOf(award) })
    }
  }
  if (confirmed.length > 0) effects.unshift(tell(manager, { kind: 'confirm', awardIds: confirmed }, principal))
  return [...effects, ...giveToWorker(init, state, missionId, leaves, context)]
}

/** Its place is taken like that of an award, under the id of its call. */
function takeInvocation(state: State, invoke: MessageOf<'invoke'>, view: ParticipantView, context: ActorContext): Effect[] {
  const { call, caller, principal, version, timeLimitMs } = invoke
  const awardId = call.callId as string as AwardId
  // Its id is never that of an award: nobody keeps the place of one with it.
  if (!isInvocationId(call.callId)) return [fact('warn', 'invoke.forged', { from: caller.peer, call: call.callId })]
  if (state.held.has(awardId)) {
    const holder = state.core.running.get(awardId)?.award.manager
    // Told again: it runs. Calls are heard by everybody, and so are their ids: what runs under one is its first caller's alone.
    if (holder?.peer === caller.peer && holder.actor === caller.actor) return [tell(caller, { kind: 'invoke-taken', callId: call.callId })]
    return [fact('warn', 'invoke.taken-by-another', { from: caller.peer, call: call.callId }), tell(caller, { kind: 'invoke-refused', callId: call.callId, refusal: { callId: call.callId, reason: 'overloaded', detail: 'another has begun one of this id here', retryable: true, waiting: false } })]
  }
  const refusal = takeAward(state.core, {
    missionId: call.missionId, epoch: { lineage: 1, term: 1 }, kind: 'leaf', manager: caller, orchestrator: caller, principal, capability: call.capability, version, ...(call.attributes === undefined ? {} : { attributes: call.attributes }), effects: call.effects, leaseMs: limits.leaseMs,
    remainingMs: timeLimitMs, taskId: call.taskId, attempt: call.attempt, effort: call.effort, input: invoke.input, priority: call.priority, timeLimitMs, awardId, callId: call.callId,
  }, view, context.nowMs)
  if (refusal !== undefined) return [tell(caller, { kind: 'invoke-refused', callId: call.callId, refusal })]
  state.held.set(awardId, { name: actorNames.invocations, awards: 1 })
  return [tell(at(context.self.peer, actorNames.invocations), { kind: 'run-invocation', invoke })]
}

function giveToWorker(init: ParticipantInit, state: State, missionId: MissionId, awards: readonly Award[], context: ActorContext): Effect[] {
  if (awards.length === 0) return []
  const effects: Effect[] = []
  let known = state.workers.get(missionId)
  if (known === undefined) {
    known = { name: actorNames.worker(missionId, state.workersMade++), awards: 0 }
    state.workers.set(missionId, known)
    effects.push({ type: 'spawn', name: known.name, behaviour: init.workerOf(missionId) })
  }
  known.awards += awards.length
  for (const { awardId } of awards) state.held.set(awardId, known)
  return [...effects, tell(at(context.self.peer, known.name), { kind: 'run-awards', awards })]
}

function holderOf(state: State, awardId: AwardId, context: ActorContext): string | undefined {
  const holder = state.held.get(awardId)?.name
  return holder !== undefined && context.exists(holder) ? holder : undefined
}

function holders(state: State): string[] {
  return [...new Set(state.held.values())].map(({ name }) => name)
}

/** Its place came free when the skill ended; only an award that is given up while it runs frees one now. */
function forget(state: State, awardId: AwardId): void {
  const award = state.core.running.get(awardId)?.award
  const holder = state.held.get(awardId)
  endAward(state.core, awardId)
  state.held.delete(awardId)
  if (holder !== undefined) holder.awards -= 1
  if (award !== undefined) bidLater(state)
}

/** Whoever ran it has failed. */
function lose(state: State, awardId: AwardId, reason: string): Effect[] {
  const award = state.core.running.get(awardId)?.award
  forget(state, awardId)
  if (award === undefined) return []
  return [
    { type: 'stop-skill', runId: awardId, why: fault('internal', reason) },
    tell(award.manager, { kind: 'failure', awardId, fault: fault('internal', `the actor that ran it failed: ${reason}`, { retryable: true }), stats: { queueMs: 0, transferMs: 0, runMs: 0, costUsd: 0 } }),
  ]
}

function tellOffers(init: ParticipantInit, state: State, context: ActorContext): Effect[] {
  if (!state.mayTell || state.core.offers.size === 0) return []
  state.mayTell = false
  const changes = offersToTell(state.core, viewOf(init, state, context), context.nowMs)
  return byAddress(changes, ({ to }) => to).map(({ to, items }) => tell(to, { kind: 'offers-changed', offers: items.map(({ offer }) => offer) }))
}

function send(init: ParticipantInit, outputs: readonly ParticipantOutput[], context: ActorContext): Effect[] {
  const self = at(context.self.peer, actorNames.participant)
  return outputs.map((output) =>
    output.type === 'propose'
      ? tell(output.to, { kind: 'propose', participant: self, name: init.name, bids: [...output.bids] })
      : tell(output.to, { kind: 'refuse', participant: self, name: init.name, refusals: [...output.refusals] }),
  )
}

/** When the bids that left now must have been answered. */
const bidTimer: Effect = { type: 'set-timer', key: 'bid', delayMs: limits.bidPatienceMs, message: { kind: 'tick', what: 'bid' } }

function bidLater(state: State): readonly Effect[] {
  state.mayBid = true
  state.mayTell = true
  return []
}

function bidAgain(init: ParticipantInit, state: State, context: ActorContext): Effect[] {
  state.mayBid = false
  if (state.leaving || state.core.calls.size === 0) return []
  const { outputs, heldBack } = bidForWaiting(state.core, viewOf(init, state, context), context.nowMs)
  return [...send(init, outputs, context), ...(heldBack ? [bidTimer] : [])]
}

/** Listens where calls for its capabilities are announced; the shard follows the number of providers. */
function subscribe(init: ParticipantInit, state: State, context: ActorContext): Effect[] {
  const wanted = new Map<string, string>()
  for (const { name } of state.capabilities) wanted.set(name, callTopic(name, shardOf(context.self.peer, state.shardsOf.get(name) ?? shardCount(init.nodesExpected))))
  const effects: Effect[] = []
  for (const [name, topic] of state.topics) if (wanted.get(name) !== topic) effects.push({ type: 'unsubscribe', topic })
  for (const [name, topic] of wanted) if (state.topics.get(name) !== topic) effects.push({ type: 'subscribe', topic })
  state.topics.clear()
  for (const [name, topic] of wanted) state.topics.set(name, topic)
  return effects
}

function sayDrained(state: State): Effect[] {
  return state.drainAsker !== undefined && state.held.size === 0 ? [tell(state.drainAsker, { kind: 'drained' })] : []
}

function queueView(init: ParticipantInit, state: State, context: ActorContext): QueueView {
  return {
    node: context.self.peer,
    slots: init.slots,
    running: [...state.core.running.values()].map(({ award, sinceMs }) => ({ awardId: award.awardId, capability: award.capability, principal: award.principal, runningMs: context.nowMs - sinceMs })),
    waiting: [...state.core.calls.values()].map((known) => ({ callId: known.call.callId, capability: known.call.capability, principal: known.principal, priority: known.call.priority, waitingMs: context.nowMs - known.heardAtMs })),
  }
}
