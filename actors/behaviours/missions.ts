/**
 * The desk where missions are handed in and asked for. It admits, checks and opens the ones this node will own, recovers
 * them after a restart, and passes questions about any other mission of the mesh to the node that owns it.
 */
import { fault, type Fault } from '../../protocols/kernel/errors.ts'
import type { ActorAddress, AwardId, MissionId } from '../../protocols/kernel/ids.ts'
import type { LogHead } from '../../protocols/replicated-log/schema.ts'
import { actorNames, at } from '../names.ts'
import type { Claim } from '../ports/log-store.ts'
import type { ActorContext, Behaviour, Delivery } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'
import { addPart, ask, fillGatherings, forwardSubmission, onAnswer, onPacked, onTimeout, watch } from './missions-questions.ts'
import { claimKey, learnMembers, newMissionsState, openOrchestrator, ownerOf, reply, type Asker, type MissionsInit, type MissionsState } from './missions-state.ts'
import { onBlobs, onInputChecked, onOffers, onOpened, onStored, submit } from './missions-submissions.ts'

export type { MissionsInit } from './missions-state.ts'

export function missions(init: MissionsInit): Behaviour<MissionsState> {
  return {
    kind: 'missions',
    supervision: 'resume',
    start: (context) => ({
      state: newMissionsState(),
      effects: [
        { type: 'open-log', tag: 'open' },
        tell(at(context.self.peer, actorNames.directory), { kind: 'watch-peers' }),
        tell(at(context.self.peer, actorNames.directory), { kind: 'watch-members' }),
      ],
    }),
    receive: (state, delivery, context) => receive(init, state, delivery, context),
  }
}

function receive(init: MissionsInit, state: MissionsState, delivery: Delivery, context: ActorContext): readonly Effect[] {
  const { message, from, principal } = delivery
  switch (message.kind) {
    case 'log-opened':
      return message.tag === 'open' ? onLogOpened(init, state, message.heads, message.claims, message.fault, context) : onReopened(init, state, message.tag as MissionId, message.heads, message.fault, context)
    case 'members':
      learnMembers(state, message.members)
      return []
    case 'tick':
      return message.what === undefined ? [] : onTimeout(state, message.what)
    case 'local-ask':
    case 'mission-ask': {
      if (!state.ready) {
        state.early.push(delivery)
        return []
      }
      const remote = message.kind === 'mission-ask'
      const asker: Asker = remote ? { to: from, requestId: message.requestId, remote } : { to: message.replyTo, requestId: message.requestId, remote }
      const by = message.principal ?? principal
      if (message.operation.op !== 'submit') return ask(init, state, message.operation, by, asker, context)
      return init.replica ? submit(init, state, message.operation.request, message.operation.key, by, asker, context) : forwardSubmission(state, message.operation, by, asker, context)
    }
    case 'local-watch':
    case 'watch': {
      if (!state.ready) {
        state.early.push(delivery)
        return []
      }
      if (message.kind === 'watch' && message.subscriber.peer !== from.peer) return [fact('warn', 'watch.forged', { from: from.peer })]
      return watch(init, state, { kind: 'watch', missionId: message.missionId, fromIndex: message.fromIndex, subscriber: message.subscriber }, context)
    }
    case 'unwatch': {
      if (message.subscriber.peer !== from.peer) return []
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
      return onAnswer(state, message, from, context)
    case 'value-loaded': {
      if (message.tag.startsWith('part ')) return addPart(state, message.tag.slice('part '.length), message.value)
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
    case 'mission-damaged':
      state.damaged.add(message.missionId)
      return fillGatherings(state)
    case 'renew':
      return message.leases.flatMap(({ awardId }) => stillWanted(init, state, awardId, from, context))
    case 'peer-down':
      return [...state.relayed].flatMap(([id, relay]) => {
        if (relay.peer !== message.peer) return []
        state.relayed.delete(id)
        return reply(state, relay, undefined, fault('owner-unreachable', 'the connection to the node that owns the mission was lost', { next: 'try again when it is back' }))
      })
    case 'child-failed':
      return onOrchestratorFailed(state, message.name, message.reason)
    default:
      return []
  }
}

/** An orchestrator that failed is opened again from the log, but not without end: a mission that always fails it is left alone. */
const reopensMax = 3

function onOrchestratorFailed(state: MissionsState, name: string, reason: string): Effect[] {
  const missionId = name.slice(actorNames.orchestrator('' as MissionId).length) as MissionId
  const times = (state.reopened.get(missionId) ?? 0) + 1
  state.reopened.set(missionId, times)
  const log = fact('error', 'mission.stopped', { actor: name, reason, times })
  return times > reopensMax ? [log] : [log, { type: 'open-log', tag: missionId }]
}

function onReopened(init: MissionsInit, state: MissionsState, missionId: MissionId, heads: readonly LogHead[], problem: Fault | undefined, context: ActorContext): Effect[] {
  const head = heads.find((candidate) => candidate.missionId === missionId)
  if (problem !== undefined || head === undefined) return []
  state.heads.set(missionId, head)
  return openOrchestrator(init, state, missionId, context)
}

/** The award's mission decides, if there is one; what belongs to none any more is called off. */
function stillWanted(init: MissionsInit, state: MissionsState, awardId: AwardId, worker: ActorAddress, context: ActorContext): Effect[] {
  const missionId = awardId.slice(0, awardId.indexOf(':')) as MissionId
  if (!state.ready || ownerOf(state, missionId, context) !== context.self.peer || state.damaged.has(missionId)) return []
  const lives = context.exists(actorNames.orchestrator(missionId))
  if (!lives && state.heads.get(missionId)?.sealed !== false) return [tell(worker, { kind: 'cancel', awardId, reason: 'the mission is over' })]
  return [...openOrchestrator(init, state, missionId, context), tell(at(context.self.peer, actorNames.orchestrator(missionId)), { kind: 'still-wanted', awardId, worker })]
}

function onLogOpened(init: MissionsInit, state: MissionsState, heads: readonly LogHead[], claims: readonly Claim[], problem: Fault | undefined, context: ActorContext): Effect[] {
  if (problem !== undefined) return [{ type: 'give-up', reason: `the log could not be opened: ${problem.detail}` }]
  for (const head of heads) state.heads.set(head.missionId, head)
  state.ready = true
  for (const claim of claims) state.claims.set(claimKey(claim.principal, claim.key), claim)
  const recovered = heads.filter((head) => !head.sealed).flatMap((head) => openOrchestrator(init, state, head.missionId, context))
  const early = state.early.splice(0)
  return [...recovered, ...early.flatMap((delivery) => [...receive(init, state, delivery, context)])]
}
