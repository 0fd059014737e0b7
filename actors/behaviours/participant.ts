/** The node's bidder: hears calls, bids, takes awards and starts whoever runs them. */
import { bidForWaiting, emptyParticipant, endAward, forgetCalls, forgetInitiator, hearCfp, managersFree, slotsFree, takeAward, type ParticipantOutput, type ParticipantState, type ParticipantView } from '../../protocols/bidding/participant.ts'
import type { Award } from '../../protocols/bidding/schema.ts'
import { learnSpeed, speedKey } from '../../protocols/bidding/speed.ts'
import { match } from '../../protocols/capability/matching.ts'
import { callTopic, shardCount, shardOf } from '../../protocols/capability/shards.ts'
import type { Attributes, Capability } from '../../protocols/capability/schema.ts'
import { fault } from '../../protocols/kernel/errors.ts'
import type { ActorAddress, AwardId, MissionId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { Json } from '../../protocols/kernel/payload.ts'
import type { QueueView } from '../../protocols/tasking/views.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext, Behaviour, Delivery } from '../runtime/actor.ts'
import { fact, tell, type Effect, type Spawnable } from '../runtime/effects.ts'
import type { Tuning } from '../tuning.ts'

export interface ParticipantInit {
  readonly name: string
  readonly slots: number
  readonly capabilities: readonly Capability[]
  /** Refuse work while the machine runs on battery. */
  readonly refuseOnBattery: boolean
  /** How many nodes the mesh is thought to have until this one has counted. */
  readonly nodesExpected: number
  readonly tuning: Tuning
  /** Makes whoever runs an award: a worker for a leaf, a manager for a composite task. */
  readonly runnerOf: (award: Award) => Spawnable
}

interface State {
  readonly core: ParticipantState
  capabilities: readonly Capability[]
  readonly topics: Map<string, string>
  shardsOf: ReadonlyMap<string, number>
  /** Award actors that are alive, running or keeping a result. */
  readonly held: Set<AwardId>
  readonly hosted: Set<MissionId>
  /** Something has happened that may let it bid for what waits. */
  mayBid: boolean
  leaving: boolean
  stalled: boolean
  /** Of the machine: its capabilities have them too. */
  attributes: Attributes
  onBattery: boolean
  drainAsker: ActorAddress | undefined
}

export function participant(init: ParticipantInit): Behaviour<State> {
  return {
    kind: 'participant',
    supervision: 'resume',
    start(context) {
      const state: State = { core: emptyParticipant(), capabilities: init.capabilities, topics: new Map(), shardsOf: new Map(), held: new Set(), hosted: new Set(), mayBid: false, leaving: false, stalled: false, attributes: {}, onBattery: false, drainAsker: undefined }
      return { state, effects: [...subscribe(init, state, context), tell(at(context.self.peer, actorNames.directory), { kind: 'watch-peers' })] }
    },
    receive: (state, delivery, context) => receive(init, state, delivery, context),
    // Places come free many at a time: what waits is looked through once for all of them.
    endTurn: (state, context) => (state.mayBid ? bidAgain(init, state, context) : []),
  }
}

function viewOf(init: ParticipantInit, state: State, context: ActorContext): ParticipantView {
  return {
    own: { peer: context.self.peer, match: (query) => match(state.capabilities, query, state.attributes), leaving: state.leaving, stalled: state.stalled, onBattery: state.onBattery && init.refuseOnBattery, priceUsd: 0, inputBytesMax: limits.blobBytesMax },
    slots: init.slots,
    managers: init.tuning.managersPerNodeMax,
    hostsOrchestrator: (missionId) => state.hosted.has(missionId as MissionId),
    locality: (call) => (call.inputBytes === 0 || call.holders.includes(context.self.peer) ? 1 : 0),
  }
}

function receive(init: ParticipantInit, state: State, { message, from, principal }: Delivery, context: ActorContext): readonly Effect[] {
  const view = viewOf(init, state, context)
  switch (message.kind) {
    case 'cfp':
      // A call speaks for the actor that gossip vouches for, not for whom it names.
      if (message.initiator.peer !== from.peer) return [fact('warn', 'cfp.forged', { from: from.peer, initiator: message.initiator.peer })]
      return send(init, hearCfp(state.core, message, view, context.nowMs), context)
    case 'reject-proposal':
      forgetCalls(state.core, message.callIds)
      return bidLater(state)
    case 'accept-proposal': {
      const { award } = message
      if (award.manager.peer !== from.peer) return [fact('warn', 'award.forged', { from: from.peer, award: award.awardId })]
      const refusal = takeAward(state.core, award, view, context.nowMs)
      if (refusal !== undefined) return [tell(award.manager, { kind: 'refuse-award', awardId: award.awardId, refusal })]
      const name = actorNames.award(award.awardId)
      const confirm = tell(award.manager, { kind: 'confirm', awardId: award.awardId, worker: at(context.self.peer, name) }, principal)
      if (state.held.has(award.awardId)) return [confirm]
      state.held.add(award.awardId)
      return [confirm, { type: 'spawn', name, behaviour: init.runnerOf(award) }, fact('info', 'award.taken', { award: award.awardId, capability: award.capability, kind: award.kind, from: from.peer })]
    }
    case 'adopt': {
      if (message.manager.peer !== from.peer) return [fact('warn', 'adopt.forged', { from: from.peer, award: message.awardId })]
      const name = actorNames.award(message.awardId)
      if (!context.exists(name)) return [tell(message.manager, { kind: 'not-holding', awardId: message.awardId })]
      return [tell(at(context.self.peer, name), { kind: 'passed-on', message, from })]
    }
    // Comes the way the award came, so that it never overtakes it.
    case 'cancel': {
      const name = actorNames.award(message.awardId)
      return context.exists(name) ? [tell(at(context.self.peer, name), { kind: 'passed-on', message, from })] : []
    }
    case 'award-finished':
      endAward(state.core, message.awardId)
      if (message.runMs !== undefined) learnSpeed(state.core.speeds, speedKey(message.capability, message.version), message.effort, message.runMs)
      return bidLater(state)
    case 'award-forgotten': {
      // Its slot came free when the skill ended; only an award that is given up while it runs frees one now.
      const wasRunning = state.core.running.has(message.awardId)
      endAward(state.core, message.awardId)
      state.held.delete(message.awardId)
      if (wasRunning) state.mayBid = true
      return sayDrained(state)
    }
    case 'child-failed': {
      const awardId = message.name.slice('award/'.length) as AwardId
      const award = state.core.running.get(awardId)?.award
      endAward(state.core, awardId)
      state.held.delete(awardId)
      if (award === undefined) return sayDrained(state)
      return [
        { type: 'stop-skill', runId: awardId, why: fault('internal', message.reason) },
        tell(award.manager, { kind: 'failure', awardId, fault: fault('internal', `the actor that ran it failed: ${message.reason}`, { retryable: true }), stats: { queueMs: 0, transferMs: 0, runMs: 0, costUsd: 0 } }),
        ...bidLater(state), ...sayDrained(state),
      ]
    }
    case 'peer-down':
      forgetInitiator(state.core, message.peer)
      return bidLater(state)
    case 'capabilities-changed':
      state.capabilities = message.capabilities
      return [...subscribe(init, state, context), tell(at(context.self.peer, actorNames.advertiser), message)]
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
      return [...[...state.held].map((awardId) => tell(at(context.self.peer, actorNames.award(awardId)), { kind: 'drain' as const })), { type: 'set-timer', key: 'drain', delayMs: init.tuning.drainMs, message: { kind: 'tick', what: 'drain' } }, ...sayDrained(state)]
    case 'tick':
      if (message.what === 'bid') return bidLater(state)
      return [...state.held].map((awardId) => tell(at(context.self.peer, actorNames.award(awardId)), { kind: 'tick' as const, what: 'hand-back' }))
    default:
      return []
  }
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
