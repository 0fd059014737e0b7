/**
 * The desk where missions are handed in and asked for. It admits, checks, claims and opens new ones, starts the orchestrators
 * of those whose logs this node leads, and brings questions about any mission of the mesh to the node that leads it.
 */
import { fault } from '../../protocols/kernel/errors.ts'
import { isMissionGroup, type ActorAddress, type MissionId } from '../../protocols/kernel/ids.ts'
import type { LogMessage } from '../messages.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext, Behaviour, Delivery } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'
import { addEnded, addPart, ask, forwardSubmission, onAnswer, onPacked, onTakenOver, onTimeout, watch } from './missions-questions.ts'
import { onElsewhere, onEndedRead, onFound, onPeerLost } from './missions-routing.ts'
import { forgetView, learnMembers, learnView, newMissionsState, openOrchestrator, reply, type Asker, type MissionsInit, type MissionsState } from './missions-state.ts'
import { onSealTime } from './missions-sealing.ts'
import { closeUnbegun, nextLook, onAppended } from './missions-unbegun.ts'
import { isAboutWanted, onUnwanted, onWantedEnded, onWantedFound, stillWanted } from './missions-wanted.ts'
import { onBlobs, onClaimed, onFounded, onGroupSealed, onInputChecked, onLedAgain, onNeverBegun, onOffers, onOpened, onOpeningLost, onSealed, onSealingEnded, onStored, submit } from './missions-submissions.ts'

export type { MissionsInit } from './missions-state.ts'

const roomMs = 5_000

export function missions(init: MissionsInit): Behaviour<MissionsState> {
  return {
    kind: 'missions',
    supervision: 'resume',
    start: (context) => ({
      state: newMissionsState(),
      effects: [
        tell(at(context.self.peer, actorNames.directory), { kind: 'watch-peers' }),
        tell(at(context.self.peer, actorNames.directory), { kind: 'watch-members' }),
        { type: 'look-for-room', tag: 'room' },
        nextLook,
      ],
    }),
    receive: (state, delivery, context) => receive(init, state, delivery, context),
  }
}

function receive(init: MissionsInit, state: MissionsState, delivery: Delivery, context: ActorContext): readonly Effect[] {
  const { message, from } = delivery
  switch (message.kind) {
    // ---- the logs of this node
    case 'groups-opened':
      return onGroupsOpened(init, state, message, context)
    case 'group-led':
      return onGroupLed(init, state, message, context)
    case 'group-followed':
      return onGroupFollowed(state, message, context)
    case 'members-wanted': {
      const name = isMissionGroup(message.group) ? actorNames.orchestrator(message.group) : ''
      return context.exists(name) ? [tell(at(context.self.peer, name), message)] : []
    }
    case 'appended':
      return onAppended(state, message.tag, message.fault, context)
    case 'group-damaged': {
      if (!isMissionGroup(message.group)) return []
      // Asking again does not mend a disk.
      state.damaged.set(message.group, { ...message.fault, retryable: false, next: message.fault.next ?? 'look at the log: skein store verify; then submit the mission again' })
      return [...disown(state, message.group, context), fact('error', 'mission.damaged', { mission: message.group, detail: message.fault.detail })]
    }
    case 'group-ended':
      if (!('ended' in message) || 'group' in message) return []
      return onGroupEnded(state, message.ended.missionId, context)
    case 'group-sealed':
      return [...onGroupEnded(state, message.group, context), ...onGroupSealed(state, message.group, context)]
    case 'taken-over':
      return onTakenOver(init, state, message.tag, message.fault, context)
    case 'ended-read':
      return onEnded(init, state, message.tag, message.ended, context)
    // ---- the mesh
    case 'members':
      learnMembers(state, message.members)
      return []
    case 'roster-known': {
      state.roster = message.view
      return state.rosterless.splice(0).flatMap((waiting) => [...receive(init, state, waiting, context)])
    }
    case 'peer-down':
      return [...onPeerLost(init, state, message.peer, context), ...[...state.relayed].flatMap(([id, relay]) => {
        if (relay.peer !== message.peer || relay.inquiry !== undefined) return []
        state.relayed.delete(id)
        return reply(state, relay, undefined, fault('timeout', 'the connection to the node that was asked was lost: the outcome is unknown', { next: 'try again with the same key' }))
      })]
    case 'describe-replication':
      return from.peer === context.self.peer ? [tell(at(context.self.peer, actorNames.logKeeper), { kind: 'describe-replication', replyTo: message.replyTo, replica: init.replica, room: state.room })] : []
    case 'room-looked':
      state.room = message.room
      return [{ type: 'set-timer', key: 'room', delayMs: roomMs, message: { kind: 'tick', what: 'room' } }]
    case 'tick':
      if (message.what === 'room') return [{ type: 'look-for-room', tag: 'room' }]
      if (message.what === 'unbegun') return closeUnbegun(state, context)
      if (message.what?.startsWith('seal ') === true) {
        const ended = onSealTime(state, message.what)
        return ended === undefined ? [] : onSealingEnded(init, state, ended, context)
      }
      if (message.what?.startsWith('open ') === true) return openOrchestrator(init, state, message.what.slice('open '.length) as MissionId, context)
      return message.what === undefined ? [] : onTimeout(init, state, message.what, context)
    // ---- questions
    case 'local-ask':
    case 'mission-ask':
      return onAsk(init, state, delivery, context)
    case 'mission-elsewhere':
      return onElsewhere(init, state, message, from.peer, context)
    case 'local-watch':
    case 'watch': {
      if (!state.ready) return later(state, delivery)
      if (message.kind === 'watch' && message.subscriber.peer !== from.peer) return [fact('warn', 'watch.forged', { from: from.peer })]
      return watch(init, state, { kind: 'watch', missionId: message.missionId, fromIndex: message.fromIndex, subscriber: message.subscriber }, context)
    }
    case 'unwatch':
      return onUnwatch(state, message, from, context)
    case 'local-answer':
    case 'mission-answer':
      return onAnswer(init, state, message, from, context)
    case 'value-loaded': {
      if (message.tag.startsWith('part ')) return addPart(state, message.tag.slice('part '.length), message.value)
      const relay = state.relayed.get(message.tag)
      state.relayed.delete(message.tag)
      return relay === undefined ? [] : reply(state, relay, message.value, message.fault)
    }
    // ---- submissions
    case 'offers':
      return onOffers(state, message.tag, message.offers, context)
    case 'input-checked':
      return onInputChecked(state, message.tag, message.fault)
    case 'blobs-fetched':
      return onBlobs(state, message.tag, message.fault)
    case 'value-stored':
      return message.tag.startsWith('answer ') ? onPacked(state, message.tag, message.payload, message.fault) : onStored(state, message.tag, message.payload, message.fault, context)
    case 'claimed': {
      if (isAboutWanted(message.tag)) return onWantedFound(state, message.tag, message.claim, message.fault, context)
      const inquiry = state.inquiries.get(message.tag)
      return inquiry === undefined ? onClaimed(init, state, message.tag, message.claim, message.fault, context) : onFound(init, state, inquiry, message.claim, message.fault, context)
    }
    case 'sealed':
      return onSealed(init, state, message, from.peer, context)
    case 'mission-opened':
      return onOpened(init, state, message.missionId, message.fault, context)
    // ---- orchestrators
    case 'mission-changed':
      // Its orchestrator may have said so before it heard that another leads.
      if (state.groups.get(message.view.id)?.led === undefined) return []
      return !learnView(state, message.view, message.dead, message.ended) ? [] : [tell(at(context.self.peer, actorNames.participant), { kind: 'hosting', missionId: message.view.id, hosts: !message.ended })]
    case 'renew':
      return message.leases.flatMap(({ awardId }) => stillWanted(state, awardId, from, context))
    case 'cancel':
      return onUnwanted(state, message.awardId, message.reason, message.epoch, from.peer)
    case 'child-failed':
      return onOrchestratorFailed(state, message.name, message.reason, context)
    default:
      return []
  }
}

function later(state: MissionsState, delivery: Delivery): Effect[] {
  state.early.push(delivery)
  return []
}

function onAsk(init: MissionsInit, state: MissionsState, delivery: Delivery, context: ActorContext): Effect[] {
  const { message, from, principal } = delivery
  if (message.kind !== 'mission-ask' && message.kind !== 'local-ask') return []
  if (!state.ready) return later(state, delivery)
  const remote = message.kind === 'mission-ask'
  const asker: Asker = remote ? { to: from, requestId: message.requestId, remote } : { to: message.replyTo, requestId: message.requestId, remote, ...(message.untilMs === undefined ? {} : { untilMs: message.untilMs }) }
  const by = message.principal ?? principal
  if (message.operation.op !== 'submit') return ask(init, state, message.operation, by, asker, context)
  if (!init.replica) return forwardSubmission(state, message.operation, by, asker, context)
  if (state.roster?.replicas.some(({ peer }) => peer === context.self.peer) === true) return submit(init, state, message.operation.request, message.operation.key, message.operation.fork, by, asker, context)
  // Not admitted yet: whoever is takes it, and if nobody is there it waits for the roster.
  if (!remote && state.roster?.replicas.some(({ peer }) => context.connected(peer)) === true) return forwardSubmission(state, message.operation, by, asker, context)
  if (state.rosterless.length >= init.tuning.missionsLiveMax) return reply(state, asker, undefined, fault('overloaded', 'this node is not admitted to the mesh’s roster yet', { retryAfterMs: 2_000 }))
  state.rosterless.push(delivery)
  return []
}

// ---- the logs of this node -------------------------------------------------------------------------------------------

type GroupMessage<Kind extends LogMessage['kind']> = Extract<LogMessage, { kind: Kind }>

function onGroupsOpened(init: MissionsInit, state: MissionsState, message: GroupMessage<'groups-opened'>, context: ActorContext): Effect[] {
  state.ready = true
  state.incarnation = message.incarnation
  for (const { group, damage } of message.groups) {
    if (!isMissionGroup(group)) continue
    if (damage === undefined && !state.groups.has(group)) state.groups.set(group, { leader: undefined, led: undefined })
  }
  return state.early.splice(0).flatMap((delivery) => [...receive(init, state, delivery, context)])
}

function onGroupLed(init: MissionsInit, state: MissionsState, message: GroupMessage<'group-led'>, context: ActorContext): Effect[] {
  const { group } = message
  if (!isMissionGroup(group)) return []
  state.damaged.delete(group)
  if (state.opening.has(group) && !state.groups.has(group)) {
    state.groups.set(group, { leader: context.self.peer, led: message })
    return onFounded(init, state, group, message, context)
  }
  state.groups.set(group, { leader: context.self.peer, led: message })
  const name = actorNames.orchestrator(group)
  if (state.opening.has(group) && !context.exists(name)) return [...openOrchestrator(init, state, group, context), ...onLedAgain(init, state, group, message, context)]
  // An orchestrator of an earlier epoch ends first: its place is taken when it has.
  return context.exists(name) ? [tell(at(context.self.peer, name), { kind: 'group-followed', group }), { type: 'set-timer', key: `open ${group}`, delayMs: 1, message: { kind: 'tick', what: `open ${group}` } }] : openOrchestrator(init, state, group, context)
}

function onGroupFollowed(state: MissionsState, message: GroupMessage<'group-followed'>, context: ActorContext): Effect[] {
  const { group } = message
  if (!isMissionGroup(group)) return []
  state.damaged.delete(group)
  const effects = disown(state, group, context)
  state.groups.set(group, { leader: message.leader, led: undefined })
  // The orchestrator that would have said so has failed.
  return context.exists(actorNames.orchestrator(group)) ? effects : [...effects, ...onOpeningLost(state, group)]
}

/** Its archive is on this disk. Where it was led until now without knowing that, its owner ends. */
function onGroupEnded(state: MissionsState, missionId: MissionId, context: ActorContext): Effect[] {
  const effects = disown(state, missionId, context)
  state.groups.delete(missionId)
  forgetView(state, missionId)
  return effects
}

/** This node leads it no more: its orchestrator and what that told of it go. */
function disown(state: MissionsState, missionId: MissionId, context: ActorContext): Effect[] {
  const known = state.groups.get(missionId)
  if (known?.led === undefined) return []
  known.led = undefined
  forgetView(state, missionId)
  const name = actorNames.orchestrator(missionId)
  return [tell(at(context.self.peer, actorNames.participant), { kind: 'hosting', missionId, hosts: false }), ...(context.exists(name) ? [tell(at(context.self.peer, name), { kind: 'group-followed' as const, group: missionId })] : [])]
}

function onEnded(init: MissionsInit, state: MissionsState, tag: string, ended: Parameters<typeof onEndedRead>[3], context: ActorContext): Effect[] {
  const inquiry = state.inquiries.get(tag)
  if (inquiry !== undefined) return onEndedRead(init, state, inquiry, ended, context)
  if (isAboutWanted(tag)) return onWantedEnded(state, tag, ended, context)
  if (tag.startsWith('refound ')) {
    const [, submission = '', missionId = ''] = tag.split(' ')
    return onNeverBegun(init, state, submission, missionId as MissionId, ended.length > 0, context)
  }
  return addEnded(state, tag, ended)
}

/** An orchestrator that failed is opened again from the log, but not without end: a mission that always fails it is left alone. */
const reopensMax = 3

function onOrchestratorFailed(state: MissionsState, name: string, reason: string, context: ActorContext): Effect[] {
  const missionId = name.slice(actorNames.orchestrator('' as MissionId).length) as MissionId
  const times = (state.reopened.get(missionId) ?? 0) + 1
  state.reopened.set(missionId, times)
  const log = fact('error', 'mission.stopped', { actor: name, reason, times })
  // What it had appended and not heard of is in the log-keeper's copy only: that is asked for it again.
  if (times > reopensMax || state.groups.get(missionId)?.led === undefined) return [log, ...onOpeningLost(state, missionId)]
  return [log, tell(at(context.self.peer, actorNames.logKeeper), { kind: 'lead-again', group: missionId })]
}

function onUnwatch(state: MissionsState, message: Extract<Delivery['message'], { kind: 'unwatch' }>, from: ActorAddress, context: ActorContext): Effect[] {
  if (message.subscriber.peer !== from.peer) return []
  const name = actorNames.orchestrator(message.missionId)
  if (context.exists(name)) return [tell(at(context.self.peer, name), message)]
  const leader = state.groups.get(message.missionId)?.leader ?? state.whereabouts.get(message.missionId)?.leader
  return leader === undefined || leader === context.self.peer || message.subscriber.peer !== context.self.peer ? [] : [tell(at(leader, actorNames.missions), message)]
}
