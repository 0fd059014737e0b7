/** The roster's leader: admits replicas, drops those that give no sign of life, and writes down who serves which shard. */
import type { PeerId } from '../../protocols/kernel/ids.ts'
import type { InstantMs } from '../../protocols/kernel/units.ts'
import { judgeRoster, type RosterState } from '../../protocols/membership/roster.ts'
import type { RosterEvent } from '../../protocols/membership/schema.ts'
import type { MessageOf } from '../../protocols/wire.ts'
import type { ActorMessage } from '../messages.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext, Delivery } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'
import { append, hostLog, isFault, lose, type HostedLog, type Settled } from './hosted-log.ts'
import { ownReplica, rosterKind, type RosterActorState, type RosterInit, type RosterSaid } from './roster-state.ts'

export function lead(state: RosterActorState, message: Extract<ActorMessage, { kind: 'group-led' }>, context: ActorContext): Effect[] {
  if (state.host !== undefined) lose(state.host)
  const { log, effects } = hostLog<RosterState, RosterSaid>(rosterKind, message, context)
  state.host = log
  state.leader = context.self.peer
  return effects
}

export function follow(state: RosterActorState, leader: PeerId | undefined): Effect[] {
  if (state.host !== undefined) lose(state.host)
  state.host = undefined
  state.leader = leader
  return []
}

function ready(state: RosterActorState): HostedLog<RosterState, RosterSaid> | undefined {
  return state.host?.phase === 'ready' ? state.host : undefined
}

export function onSettled(init: RosterInit, state: RosterActorState, { effects, done, opened }: Settled<RosterSaid>, context: ActorContext): Effect[] {
  const said = done.map(({ name, replica, peer, reason }) => fact('info', name, { replica, peer, reason }))
  return [...effects, ...said, ...(opened ? onReady(init, state, context) : [])]
}

function onReady(init: RosterInit, state: RosterActorState, context: ActorContext): Effect[] {
  const { host } = state
  if (host === undefined) return []
  // Everybody gets as long as if they had just been heard.
  state.heardAtMs.clear()
  for (const { peer } of host.state.replicas) state.heardAtMs.set(peer, context.nowMs)
  const own = ownReplica(init, state, context.self.peer)
  const self = own === undefined ? [] : write(init, state, [{ type: 'replica-admitted', atWallMs: context.wallMs, replica: own }], context)
  // Only the node that founded the mesh: of a shard that nobody has reported there is no copy but on its disk.
  const divided = init.founds && host.state.shards.every((members) => members.length === 0) ? write(init, state, [{ type: 'shards-divided', atWallMs: context.wallMs, count: init.tuning.registrarShards }], context) : []
  const unserved = host.state.shards.flatMap((members, shard) => (members.length === 0 ? [shard] : []))
  const found = init.founds && unserved.length > 0 ? [tell(at(context.self.peer, actorNames.registrar), { kind: 'found-shards' as const, shards: unserved })] : []
  return [fact('info', 'roster.leads', { lineage: host.epoch.lineage, term: host.epoch.term, replicas: host.state.replicas.length }), ...divided, ...self, ...dropGone(init, state, host, context), ...found]
}

/** Taken over by hand: a person said that those who are away are gone for good. A new mission that counted on their votes could not begin. */
function dropGone(init: RosterInit, state: RosterActorState, { epoch, state: { replicas } }: HostedLog<RosterState, RosterSaid>, context: ActorContext): Effect[] {
  if (epoch.lineage === 1 || epoch.term > 1) return []
  const gone = replicas.filter(({ peer }) => peer !== context.self.peer && !context.connected(peer))
  return write(init, state, gone.map(({ peer }) => ({ type: 'replica-dropped', atWallMs: context.wallMs, peer, reason: 'away when the roster was taken over by hand' })), context)
}

/** Appends what says something new. */
function write(init: RosterInit, state: RosterActorState, events: readonly RosterEvent[], context: ActorContext): Effect[] {
  const host = ready(state)
  if (host === undefined) return []
  return events.flatMap((event) => {
    const verdict = judgeRoster(host.state, event)
    if (isFault(verdict)) return [fact('debug', 'roster.refused', { event: event.type, why: verdict.detail })]
    if (verdict === 'already') return []
    return [...append(host, [event], said(host.state, event), init.tuning.snapshotEntries, context).effects]
  })
}

function said(state: RosterState, event: RosterEvent): RosterSaid[] {
  switch (event.type) {
    case 'replica-admitted':
      return [{ name: 'roster.admitted', replica: event.replica.name, peer: event.replica.peer }]
    case 'replica-dropped':
      return [{ name: 'roster.dropped', replica: state.replicas.find(({ peer }) => peer === event.peer)?.name ?? '', peer: event.peer, reason: event.reason }]
    case 'shards-divided':
    case 'shard-served':
      return []
  }
}

/** A replica wants to be admitted, or says that it lives. Passed on once, to the leader. */
export function onJoin(init: RosterInit, state: RosterActorState, message: MessageOf<'roster-join'>, from: Delivery['from'], context: ActorContext): Effect[] {
  const { replica } = message
  const itself = from.peer === replica.peer
  if (!itself && !isKeeper(state, from.peer)) return [fact('warn', 'roster.join-forged', { from: from.peer, peer: replica.peer })]
  if (ready(state) === undefined) return itself ? passOn(state, message, context) : []
  const effects = write(init, state, [{ type: 'replica-admitted', atWallMs: context.wallMs, replica }], context)
  // Of those that wait for a place nothing is remembered.
  if (state.host?.state.replicas.some(({ peer }) => peer === replica.peer) === true) state.heardAtMs.set(replica.peer, context.nowMs)
  return effects
}

/** Who serves a shard now. From this node's own registrar it is sent on to whoever leads, or may know. */
export function onShardReport(init: RosterInit, state: RosterActorState, message: MessageOf<'shard-report'>, from: Delivery['from'], context: ActorContext): Effect[] {
  const { shard, members } = message
  const believed = from.peer === context.self.peer || members.includes(from.peer) || isKeeper(state, from.peer)
  if (!believed) return [fact('warn', 'roster.report-forged', { from: from.peer, shard })]
  if (ready(state) !== undefined) return write(init, state, [{ type: 'shard-served', atWallMs: context.wallMs, shard, members }], context)
  if (message.passedOn === true) return []
  if (from.peer !== context.self.peer) return passOn(state, { ...message, passedOn: true }, context)
  return toKeeper(state, message, context)
}

function passOn(state: RosterActorState, message: MessageOf<'roster-join'> | MessageOf<'shard-report'>, context: ActorContext): Effect[] {
  return state.leader === undefined || state.leader === context.self.peer ? [] : [tell(at(state.leader, actorNames.roster), message)]
}

/** To the leader, if this node follows it; else to one of the keepers, another one each time. */
export function toKeeper(state: RosterActorState, message: MessageOf<'roster-join'> | MessageOf<'shard-report'>, context: ActorContext): Effect[] {
  if (state.leader !== undefined && state.leader !== context.self.peer) return passOn(state, message, context)
  const keepers = (state.view?.keepers ?? []).filter((peer) => peer !== context.self.peer)
  const connected = keepers.filter((peer) => state.connected.has(peer))
  const able = connected.length > 0 ? connected : keepers
  state.turn += 1
  const keeper = able[state.turn % Math.max(able.length, 1)]
  return keeper === undefined ? [] : [tell(at(keeper, actorNames.roster), message)]
}

function isKeeper(state: RosterActorState, peer: PeerId): boolean {
  return state.view?.keepers.includes(peer) ?? false
}

/** A replica that is unheard for long is none any more: logs move away from it. When it is back, it is admitted again. */
export function dropSilent(init: RosterInit, state: RosterActorState, context: ActorContext): Effect[] {
  const host = ready(state)
  if (host === undefined) return []
  const since = (peer: PeerId): InstantMs => state.heardAtMs.get(peer) ?? context.nowMs
  for (const peer of [...state.heardAtMs.keys()]) if (!host.state.replicas.some((replica) => replica.peer === peer)) state.heardAtMs.delete(peer)
  const silent = host.state.replicas.filter(({ peer }) => peer !== context.self.peer && context.nowMs - since(peer) >= init.tuning.memberSilentMs)
  return write(init, state, silent.map(({ peer }) => ({ type: 'replica-dropped', atWallMs: context.wallMs, peer, reason: `unheard for ${Math.round((context.nowMs - since(peer)) / 1_000)} s` })), context)
}
