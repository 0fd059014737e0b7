/** The registrar shards that this node leads: claims, where missions are, what is forgotten. */
import type { GroupId, MissionId, PeerId } from '../../protocols/kernel/ids.ts'
import { storable } from '../../protocols/kernel/json.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { registrarShardOf, shardGroup, shardOfGroup, shardOfMission } from '../../protocols/membership/placement.ts'
import { hasExpired, judgeClaim, judgeMoved, type RegistrarState } from '../../protocols/membership/registrar.ts'
import { samePeers } from '../../protocols/membership/roster.ts'
import { peersOf } from '../../protocols/membership/members.ts'
import type { Membership } from '../../protocols/membership/schema.ts'
import type { MessageOf } from '../../protocols/wire.ts'
import type { ActorMessage } from '../messages.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext, Delivery } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'
import { clockJump, readClocks } from './clock-jumps.ts'
import { append, changeMembers, hostLog, isChangingMembers, lose, readAfterBarrier, uncommitted, type Settled } from './hosted-log.ts'
import { readyShard, registrarKind, shardIn, uncommittedMax, type RegistrarActorState, type RegistrarInit, type ShardAnswer, type ShardLog } from './registrar-state.ts'

// ---- which shards are led here --------------------------------------------------------------------------------------

export function lead(state: RegistrarActorState, message: Extract<ActorMessage, { kind: 'group-led' }>, context: ActorContext): Effect[] {
  const shard = shardOfGroup(message.group)
  if (shard === undefined) return []
  const before = forget(state, shard, undefined)
  const { log, effects } = hostLog<RegistrarState, ShardAnswer>(registrarKind, message, context)
  state.shards.set(shard, log)
  state.held.add(message.group)
  return [...before, ...effects]
}

export function follow(state: RegistrarActorState, group: GroupId, leader: PeerId | undefined): Effect[] {
  const shard = shardOfGroup(group)
  if (shard === undefined) return []
  if (leader === undefined) state.leaders.delete(shard)
  else state.leaders.set(shard, leader)
  return forget(state, shard, leader)
}

/** Whoever waits for this shard asks its next leader: what was not committed here may be there all the same. */
function forget(state: RegistrarActorState, shard: number, leader: PeerId | undefined): Effect[] {
  const log = state.shards.get(shard)
  if (log === undefined) return []
  state.shards.delete(shard)
  state.reported.delete(shard)
  return refuseAll(lose(log), leader)
}

function refuseAll(answers: readonly ShardAnswer[], leader: PeerId | undefined): Effect[] {
  const where = leader === undefined ? {} : { leader }
  return answers.map((answer) =>
    answer.kind === 'claim'
      ? tell(answer.to, { kind: 'claim-answer', requestId: answer.requestId, refused: leader === undefined ? 'unavailable' : 'not-leader', ...where })
      : tell(answer.to, { kind: 'moved-heard', requestId: answer.requestId, missionId: answer.missionId, committed: false, ...where }),
  )
}

/** The first shards of a mesh, all at once. What the store holds already is not founded again. */
export function foundShards(state: RegistrarActorState, shards: readonly number[], context: ActorContext): Effect[] {
  const { incarnation } = state
  if (incarnation === undefined) {
    state.toFound = shards
    return []
  }
  const groups = shards.map(shardGroup).filter((group) => !state.held.has(group))
  for (const group of groups) state.held.add(group)
  const membership: Membership = { voters: [{ peer: context.self.peer, incarnation }], learners: [] }
  return groups.map((group) => tell(at(context.self.peer, actorNames.logKeeper), { kind: 'found-group', group, membership, durable: true, aimed: limits.votersAimed }))
}

/** What a shard's log has settled. */
export function onSettled(state: RegistrarActorState, log: ShardLog, { effects, done, failed, opened }: Settled<ShardAnswer>, context: ActorContext): Effect[] {
  return [...effects, ...done.map((answer) => answerOf(log, answer)), ...refuseAll(failed, undefined), ...(opened ? [fact('debug', 'registrar.leads', { group: log.group, term: log.epoch.term, claims: log.state.claims.size }), ...report(state, log, context)] : [])]
}

function answerOf(log: ShardLog, answer: ShardAnswer): Effect {
  if (answer.kind === 'moved') return tell(answer.to, { kind: 'moved-heard', requestId: answer.requestId, missionId: answer.missionId, committed: true })
  const claim = log.state.claims.get(answer.missionId)
  const refused = answer.refused ?? (claim === undefined ? 'unknown-mission' as const : undefined)
  return tell(answer.to, { kind: 'claim-answer', requestId: answer.requestId, ...(claim === undefined || refused !== undefined ? {} : { claim }), ...(refused === undefined ? {} : { refused }) })
}

/** The roster learns who serves the shard: at once when that has changed, and from time to time (`again`) until it knows. */
export function report(state: RegistrarActorState, log: ShardLog, context: ActorContext, again = false): Effect[] {
  const shard = shardOfGroup(log.group)
  if (shard === undefined || log.phase !== 'ready' || log.membership.outgoing !== undefined || isChangingMembers(log)) return []
  const members = peersOf(log.membership)
  if (!again && samePeers(state.reported.get(shard) ?? [], members)) return []
  state.reported.set(shard, members)
  if (state.view !== undefined && samePeers(state.view.shards[shard] ?? [], members)) return []
  return [tell(at(context.self.peer, actorNames.roster), { kind: 'shard-report', shard, members })]
}

/** Not before the roster knows the shard: a founder that finds it unknown would found it again, were it not there any more. */
export function onMembersWanted(init: RegistrarInit, state: RegistrarActorState, group: GroupId, membership: Membership, context: ActorContext): readonly Effect[] {
  const shard = shardOfGroup(group)
  const log = shard === undefined ? undefined : readyShard(state, shard)
  if (shard === undefined || log === undefined || (state.view?.shards[shard]?.length ?? 0) === 0) return []
  return changeMembers(log, membership, entriesBetween(init, log), context)
}

/** From one snapshot of a shard to the next. What is written down again and again grows with its claims, and so do the pauses. */
export function entriesBetween({ tuning }: RegistrarInit, { state }: ShardLog): number {
  return Math.min(tuning.snapshotEntries, Math.max(limits.shardSnapshotEntries, Math.ceil(state.claims.size / 2)))
}

// ---- what is asked of a leader --------------------------------------------------------------------------------------

/** @returns the log that answers for a mission here, or the refusal. */
function shardFor(state: RegistrarActorState, missionId: MissionId, context: ActorContext): ShardLog | { readonly refused: 'not-leader' | 'unavailable'; readonly leader?: PeerId } {
  const shard = shardIn(state, missionId)
  const log = state.shards.get(shard)
  if (log?.phase === 'ready') return uncommitted(log) < uncommittedMax ? log : { refused: 'unavailable' }
  if (log !== undefined) return { refused: 'unavailable' }
  const leader = state.leaders.get(shard)
  return { refused: 'not-leader', ...(leader === undefined || leader === context.self.peer ? {} : { leader }) }
}

/** The first claim holds; whoever claims the same hears so once that one is committed. */
export function onClaim(init: RegistrarInit, state: RegistrarActorState, { requestId, claim: asked }: MessageOf<'claim-ask'>, from: Delivery['from'], context: ActorContext): Effect[] {
  // As the log will hold it.
  const claim = storable(asked)
  if (claim.key !== undefined && registrarShardOf(claim.principal, claim.key) !== shardOfMission(claim.missionId)) {
    return [fact('warn', 'registrar.claim-misplaced', { from: from.peer, missionId: claim.missionId }), tell(from, { kind: 'claim-answer', requestId, refused: 'key-conflict' })]
  }
  const log = shardFor(state, claim.missionId, context)
  if ('refused' in log) return [tell(from, { kind: 'claim-answer', requestId, ...log })]
  const judged = judgeClaim(log.state, claim)
  const answer = { kind: 'claim' as const, to: from, requestId, missionId: judged.verdict === 'apply' ? claim.missionId : judged.claim.missionId }
  const events = judged.verdict === 'apply' ? [{ type: 'claimed' as const, atWallMs: context.wallMs, claim }] : []
  const then: ShardAnswer = judged.verdict === 'conflict' ? { ...answer, refused: 'key-conflict' } : answer
  return onSettled(state, log, append(log, events, [then], entriesBetween(init, log), context), context)
}

/** A read: only a leader that is still one may say that a mission is unknown. */
export function onLookUp(state: RegistrarActorState, { requestId, missionId }: MessageOf<'mission-look-up'>, from: Delivery['from'], context: ActorContext): Effect[] {
  const log = shardFor(state, missionId, context)
  if ('refused' in log) return [tell(from, { kind: 'claim-answer', requestId, ...log })]
  return readAfterBarrier(log, { kind: 'claim', to: from, requestId, missionId }, context)
}

/** Heard when it is committed. Of a mission that is forgotten nothing needs to be known. */
export function onMoved(init: RegistrarInit, state: RegistrarActorState, message: MessageOf<'mission-moved'>, from: Delivery['from'], context: ActorContext): Effect[] {
  const { requestId, missionId } = message
  const log = shardFor(state, missionId, context)
  if ('refused' in log) return [tell(from, { kind: 'moved-heard', requestId, missionId, committed: false, ...(log.leader === undefined ? {} : { leader: log.leader }) })]
  const { kind: _, requestId: __, ...moved } = message
  const events = judgeMoved(log.state, moved) === 'apply' ? [{ type: 'mission-moved' as const, atWallMs: context.wallMs, ...moved }] : []
  return onSettled(state, log, append(log, events, [{ kind: 'moved', to: from, requestId, missionId }], entriesBetween(init, log), context), context)
}

// ---- from time to time ----------------------------------------------------------------------------------------------

export function reportAll(state: RegistrarActorState, context: ActorContext): Effect[] {
  return [...state.shards.values()].flatMap((log) => report(state, log, context, true))
}

export function expireAll(init: RegistrarInit, state: RegistrarActorState, context: ActorContext): Effect[] {
  const { archiveKeptMs } = init.tuning
  const jumpMs = clockJump(state.clocksSeen, context)
  state.clocksSeen = readClocks(context)
  if (jumpMs !== undefined) return [fact('warn', 'clock.jumped', { jumpMs, putOff: 'forgetting keys' })]
  return [...state.shards.values()].flatMap((log) =>
    log.phase === 'ready' && hasExpired(log.state, context.wallMs, archiveKeptMs)
      ? onSettled(state, log, append(log, [{ type: 'claims-expired', atWallMs: context.wallMs, archiveKeptMs }], [], entriesBetween(init, log), context), context)
      : [],
  )
}
