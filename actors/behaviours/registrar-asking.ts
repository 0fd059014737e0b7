/** The questions of this node's desk to the registrar's shards, wherever they are led: asked again elsewhere until one answers or the time is over. */
import { fault } from '../../protocols/kernel/errors.ts'
import { compareEpochs, type MissionId, type PeerId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { Message, MessageOf } from '../../protocols/wire.ts'
import type { RegistrarMessage } from '../messages.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext, Delivery } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'
import { askingMax, shardIn, tellingMax, timer, type Asking, type RegistrarActorState, type Telling } from './registrar-state.ts'

const askAgainMs = 500
const tellAgainMs = 1_000
/** So many are asked one right after another when each says that it does not lead; then it is waited for. */
const hurriedMax = 8
/** So many missions' news are repeated at once. */
const toldAtOnceMax = 256

export function startAsking(state: RegistrarActorState, message: Extract<RegistrarMessage, { kind: 'claim-mission' | 'find-mission' }>, from: Delivery['from'], context: ActorContext): Effect[] {
  if (state.asking.size >= askingMax) return [tell(from, { kind: 'claimed', tag: message.tag, fault: fault('overloaded', 'too many questions to the registrar are unanswered', { retryAfterMs: 2_000 }) })]
  state.counter += 1
  const question = message.kind === 'claim-mission' ? { kind: 'claim' as const, claim: message.claim } : { kind: 'find' as const, missionId: message.missionId }
  const missionId = question.kind === 'claim' ? question.claim.missionId : question.missionId
  const asking: Asking = { id: `${state.counter}-${context.random.text(6)}`, tag: message.tag, asker: from, shard: shardIn(state, missionId), question, untilMs: context.nowMs + limits.askTimeoutMs, asked: false, turn: 0, hurried: 0 }
  state.asking.set(asking.id, asking)
  return askNext(state, asking, context)
}

/** Asks whoever is next, and comes back to it in a while. */
function askNext(state: RegistrarActorState, asking: Asking, context: ActorContext, whom?: PeerId): Effect[] {
  asking.shard = shardIn(state, asking.question.kind === 'claim' ? asking.question.claim.missionId : asking.question.missionId)
  const peer = whom ?? nextOf(state, asking.shard, asking.turn, context)
  asking.turn += 1
  const again: Effect = timer(`ask ${asking.id}`, askAgainMs + context.random.below(askAgainMs))
  if (peer === undefined) return [again]
  asking.asked = true
  const { question, id } = asking
  const message: Message = question.kind === 'claim' ? { kind: 'claim-ask', requestId: id, claim: question.claim } : { kind: 'mission-look-up', requestId: id, missionId: question.missionId }
  return [tell(at(peer, actorNames.registrar), message), again]
}

/** This node if it leads the shard, whoever led it last, then one member after another; those that are connected, if any is. */
function nextOf(state: RegistrarActorState, shard: number, turn: number, context: ActorContext): PeerId | undefined {
  const leader = state.shards.has(shard) ? context.self.peer : state.leaders.get(shard)
  const members = state.view?.shards[shard] ?? []
  const all = [...new Set([...(leader === undefined ? [] : [leader]), ...members])]
  const connected = all.filter((peer) => context.connected(peer))
  const able = connected.length > 0 ? connected : all
  return able[turn % Math.max(1, able.length)]
}

export function onAskTimer(state: RegistrarActorState, id: string, context: ActorContext): Effect[] {
  const asking = state.asking.get(id)
  if (asking === undefined) return []
  asking.hurried = 0
  if (context.nowMs < asking.untilMs) return askNext(state, asking, context)
  return finish(state, asking, { fault: outOfTime(state, asking) })
}

function outOfTime(state: RegistrarActorState, { asked, question, shard }: Asking) {
  if (!asked && state.view === undefined) return fault('owner-unreachable', 'this node knows no roster yet: nobody could be asked', { next: 'see whether it is connected to a node that keeps the roster: skein doctor', retryAfterMs: 2_000 })
  if (!asked) return fault('owner-unreachable', `nobody serves registrar shard ${shard} yet`, { next: 'try again in a moment; if it stays so, a majority of its members is down: skein nodes', retryAfterMs: 2_000 })
  if (question.kind === 'claim') return fault('timeout', 'the registrar did not answer: the outcome is unknown', { next: 'try again with the same key' })
  return fault('owner-unreachable', 'the registrar that knows where the mission is did not answer', { next: 'try again; if it stays so, a majority of its members is down: skein nodes' })
}

export function onClaimAnswer(state: RegistrarActorState, message: MessageOf<'claim-answer'>, from: Delivery['from'], context: ActorContext): Effect[] {
  const asking = state.asking.get(message.requestId)
  if (asking === undefined) return []
  const { shard, question } = asking
  const { claim } = message
  if (claim !== undefined && message.refused === undefined) {
    if (shardIn(state, claim.missionId) !== shard) return [fact('warn', 'registrar.answer-misplaced', { from: from.peer, missionId: claim.missionId })]
    state.leaders.set(shard, from.peer)
    return finish(state, asking, { claim })
  }
  switch (message.refused) {
    case 'key-conflict':
      return finish(state, asking, { fault: fault('key-conflict', question.kind === 'claim' && question.claim.key !== undefined ? `the key ${JSON.stringify(question.claim.key)} was used for another request` : 'the mission’s id was used for another request', { next: 'use another key, or send the same request again' }) })
    case 'unknown-mission':
      state.leaders.set(shard, from.peer)
      return finish(state, asking, { fault: fault('unknown-mission', `no mission ${question.kind === 'find' ? question.missionId : question.claim.missionId} is registered`, { next: 'check the id: skein mission list' }) })
    case 'not-leader':
      return elsewhere(state, asking, message.leader, from.peer, context)
    // It leads, but not just now; or it refuses for a reason of a later release: asked again in a while.
    case 'unavailable':
    case undefined:
      return []
  }
}

/** At once: at the leader that was named, or at the next member. */
function elsewhere(state: RegistrarActorState, asking: Asking, leader: PeerId | undefined, from: PeerId, context: ActorContext): Effect[] {
  if (leader !== undefined && leader !== from) state.leaders.set(asking.shard, leader)
  else if (state.leaders.get(asking.shard) === from) state.leaders.delete(asking.shard)
  const members = state.view?.shards[asking.shard]?.length ?? 0
  asking.hurried += 1
  if (asking.hurried > Math.min(hurriedMax, members + 1)) return []
  return askNext(state, asking, context, leader === from ? undefined : leader)
}

function finish(state: RegistrarActorState, asking: Asking, answer: Omit<Extract<RegistrarMessage, { kind: 'claimed' }>, 'kind' | 'tag'>): Effect[] {
  state.asking.delete(asking.id)
  return [tell(asking.asker, { kind: 'claimed', tag: asking.tag, ...answer }), { type: 'clear-timer', key: `ask ${asking.id}` }]
}

/** What nobody could be asked yet is asked now. */
export function askWaiting(state: RegistrarActorState, context: ActorContext): Effect[] {
  return [...state.asking.values()].filter(({ asked }) => !asked).flatMap((asking) => askNext(state, asking, context))
}

// ---- news of missions that are led here -----------------------------------------------------------------------------

/** Told until it is heard. The newest of a mission replaces what was to be told before. */
export function startTelling(state: RegistrarActorState, told: Extract<RegistrarMessage, { kind: 'tell-registrar' }>, context: ActorContext): Effect[] {
  const before = state.telling.get(told.missionId)
  if (before?.told.epoch !== undefined && told.epoch !== undefined && compareEpochs(told.epoch, before.told.epoch) < 0) return []
  if (before === undefined && state.telling.size >= tellingMax) return [fact('error', 'registrar.news-dropped', { missionId: told.missionId })]
  state.counter += 1
  // What it ended with is told with every later news.
  const { endedAtWallMs = before?.told.endedAtWallMs } = told
  const whole = { ...told, ...(endedAtWallMs === undefined ? {} : { endedAtWallMs }) }
  const telling: Telling = { told: whole, requestId: `${state.counter}-${context.random.text(6)}`, turn: 0 }
  state.telling.set(told.missionId, telling)
  return [...tellNext(state, telling, context), ...(state.telling.size === 1 ? [timer('tell', tellAgainMs)] : [])]
}

function tellNext(state: RegistrarActorState, telling: Telling, context: ActorContext, whom?: PeerId): Effect[] {
  const { told, requestId } = telling
  const peer = whom ?? nextOf(state, shardIn(state, told.missionId), telling.turn, context)
  telling.turn += 1
  if (peer === undefined) return []
  const { missionId, members, endedAtWallMs, epoch } = told
  return [tell(at(peer, actorNames.registrar), { kind: 'mission-moved', requestId, missionId, members: [...members], ...(endedAtWallMs === undefined ? {} : { endedAtWallMs }), ...(epoch === undefined ? {} : { epoch }) })]
}

export function onTellTimer(state: RegistrarActorState, context: ActorContext): Effect[] {
  if (state.telling.size === 0) return []
  const now = [...state.telling].slice(0, toldAtOnceMax)
  // Those that have had their turn go to the end.
  for (const [missionId, telling] of now) {
    state.telling.delete(missionId)
    state.telling.set(missionId, telling)
  }
  return [...now.flatMap(([, telling]) => tellNext(state, telling, context)), timer('tell', tellAgainMs)]
}

export function onMovedHeard(state: RegistrarActorState, { requestId, missionId, committed, leader }: MessageOf<'moved-heard'>, from: PeerId, context: ActorContext): Effect[] {
  const telling = state.telling.get(missionId)
  if (telling?.requestId !== requestId) return []
  if (committed) {
    state.telling.delete(missionId)
    state.leaders.set(shardIn(state, missionId), from)
    return []
  }
  return heardElsewhere(state, telling, missionId, leader, from, context)
}

/** Only a named leader is told at once; the next member has its turn with the timer. */
function heardElsewhere(state: RegistrarActorState, telling: Telling, missionId: MissionId, leader: PeerId | undefined, from: PeerId, context: ActorContext): Effect[] {
  const shard = shardIn(state, missionId)
  if (leader === undefined || leader === from) {
    if (state.leaders.get(shard) === from) state.leaders.delete(shard)
    return []
  }
  if (state.leaders.get(shard) === leader) return []
  state.leaders.set(shard, leader)
  return tellNext(state, telling, context, leader)
}
