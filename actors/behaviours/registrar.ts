/**
 * The registrar: which mission an idempotency key names, and who keeps it. Leads some of the shards, and asks the others
 * for this node's desk; where a shard is led makes no difference to who asks.
 */
import { shardOfGroup } from '../../protocols/membership/placement.ts'
import type { GroupId } from '../../protocols/kernel/ids.ts'
import type { ActorMessage } from '../messages.ts'
import type { ActorContext, Behaviour, Delivery } from '../runtime/actor.ts'
import { fact, type Effect } from '../runtime/effects.ts'
import { groupOfTag, onAppended, onHostTick, onLoaded, onStored } from './hosted-log.ts'
import { askWaiting, onAskTimer, onClaimAnswer, onMovedHeard, onTellTimer, startAsking, startTelling } from './registrar-asking.ts'
import { expireAll, follow, foundShards, lead, onClaim, onLookUp, onMembersWanted, onMoved, onSettled, report, reportAll, entriesBetween } from './registrar-shards.ts'
import { newRegistrarState, timer, type RegistrarActorState, type RegistrarInit, type ShardLog } from './registrar-state.ts'

export type { RegistrarInit } from './registrar-state.ts'

/** So often it is looked for keys and missions that are to be forgotten. */
const expireMs = 10 * 60_000

export function registrar(init: RegistrarInit): Behaviour<RegistrarActorState> {
  return {
    kind: 'registrar',
    supervision: 'resume',
    start: (context) => ({ state: newRegistrarState(context), effects: [timer('look', init.tuning.membersLookMs), timer('expire', expireMs)] }),
    receive: (state, delivery, context) => receive(init, state, delivery, context),
  }
}

function receive(init: RegistrarInit, state: RegistrarActorState, { message, from }: Delivery, context: ActorContext): readonly Effect[] {
  const own = from.peer === context.self.peer
  switch (message.kind) {
    case 'tick':
      return onTick(init, state, message.what ?? '', context)
    case 'groups-opened':
      return onOpened(state, message, context)
    case 'roster-known':
      state.view = message.view
      return askWaiting(state, context)
    case 'found-shards':
      return own ? foundShards(state, message.shards, context) : []
    // ---- this node's desk
    case 'claim-mission':
    case 'find-mission':
      return own ? startAsking(state, message, from, context) : []
    case 'tell-registrar':
      return own ? startTelling(state, message, context) : []
    case 'claim-answer':
      return onClaimAnswer(state, message, from, context)
    case 'moved-heard':
      return onMovedHeard(state, message, from.peer, context)
    // ---- whoever asks a leader
    case 'claim-ask':
      return onClaim(init, state, message, from, context)
    case 'mission-look-up':
      return onLookUp(state, message, from, context)
    case 'mission-moved':
      return onMoved(init, state, message, from, context)
    // ---- the logs
    case 'group-led':
      return lead(state, message, context)
    case 'group-followed':
      return follow(state, message.group, message.leader)
    case 'members-wanted':
      return onMembersWanted(init, state, message.group, message.membership, context)
    case 'appended': {
      const log = logOf(state, groupOfTag(message.tag))
      return log === undefined ? [] : [...onSettled(state, log, onAppended(log, message, entriesBetween(init, log), context), context), ...report(state, log, context)]
    }
    case 'value-loaded': {
      const log = logOf(state, groupOfTag(message.tag))
      return log === undefined ? [] : onLoaded(log, message, context)
    }
    case 'value-stored': {
      const log = logOf(state, groupOfTag(message.tag))
      return log === undefined ? [] : onStored(log, message, context)
    }
    default:
      return []
  }
}

function logOf(state: RegistrarActorState, group: string): ShardLog | undefined {
  const shard = shardOfGroup(group as GroupId)
  return shard === undefined ? undefined : state.shards.get(shard)
}

function onTick(init: RegistrarInit, state: RegistrarActorState, what: string, context: ActorContext): readonly Effect[] {
  const [word = '', rest = ''] = what.split(' ')
  switch (word) {
    case 'ask':
      return onAskTimer(state, rest, context)
    case 'tell':
      return onTellTimer(state, context)
    case 'look':
      return [...reportAll(state, context), timer('look', init.tuning.membersLookMs)]
    case 'expire':
      return [...expireAll(init, state, context), timer('expire', expireMs)]
    case 'again': {
      const log = logOf(state, rest)
      return log === undefined ? [] : onHostTick(log, context)
    }
    default:
      return []
  }
}

function onOpened(state: RegistrarActorState, { incarnation, groups }: Extract<ActorMessage, { kind: 'groups-opened' }>, context: ActorContext): Effect[] {
  state.incarnation = incarnation
  for (const { group } of groups) if (shardOfGroup(group) !== undefined) state.held.add(group)
  const toFound = state.toFound
  state.toFound = []
  const damaged = groups.filter(({ group, damage }) => shardOfGroup(group) !== undefined && damage !== undefined)
  return [...damaged.map(({ group, damage }) => fact('error', 'registrar.shard-damaged', { group, why: damage?.detail })), ...foundShards(state, toFound, context)]
}
