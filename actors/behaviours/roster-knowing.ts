/** What a node knows of the roster: its own copy, if it is a member of the roster's group, and what others told it. */
import type { PeerId } from '../../protocols/kernel/ids.ts'
import { peersOf } from '../../protocols/membership/members.ts'
import { decodeRoster, foldRoster, isNewerView, sameReplica, viewOfRoster } from '../../protocols/membership/roster.ts'
import type { RosterView } from '../../protocols/membership/schema.ts'
import type { LogEntry, LogSnapshot } from '../../protocols/replicated-log/schema.ts'
import type { MessageOf } from '../../protocols/wire.ts'
import type { ActorMessage } from '../messages.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext, Delivery } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'
import { isFault } from './hosted-log.ts'
import { onJoin, toKeeper } from './roster-leading.ts'
import { askedAtOnce, isRosterEvent, ownReplica, resetCopy, rosterTimes, timer, type RosterActorState, type RosterInit } from './roster-state.ts'

// ---- the copy of a member -------------------------------------------------------------------------------------------

const copyAgainMs = 1_000

export function onCommitted(init: RosterInit, state: RosterActorState, { snapshot, entries }: Extract<ActorMessage, { kind: 'committed' }>, context: ActorContext): Effect[] {
  const { copy } = state
  if (snapshot !== undefined && isNewerView({ index: snapshot.at.index, lineage: snapshot.at.epoch?.lineage ?? 1 }, copy)) {
    state.counter += 1
    copy.loading = { tag: `copy ${state.counter}`, snapshot, entries: [...entries] }
    return [loadCopy(snapshot, copy.loading.tag, context)]
  }
  if (copy.loading !== undefined) {
    copy.loading.entries.push(...entries)
    return []
  }
  return [...foldCopy(state, entries), ...learnCopy(init, state, context)]
}

function loadCopy(snapshot: LogSnapshot, tag: string, context: ActorContext): Effect {
  return { type: 'load-value', payload: snapshot.state, alsoTry: peersOf(snapshot.membership).filter((peer) => peer !== context.self.peer), tag }
}

export function tryCopyAgain({ copy: { loading } }: RosterActorState, context: ActorContext): Effect[] {
  return loading === undefined ? [] : [loadCopy(loading.snapshot, loading.tag, context)]
}

export function onCopyLoaded(init: RosterInit, state: RosterActorState, { tag, value, fault: problem }: Extract<ActorMessage, { kind: 'value-loaded' }>, context: ActorContext): Effect[] {
  const { copy } = state
  if (copy.loading?.tag !== tag) return []
  if (problem !== undefined) return [fact('warn', 'roster.snapshot-not-loaded', { why: problem.detail }), timer('copy', copyAgainMs)]
  const { snapshot, entries } = copy.loading
  const decoded = decodeRoster(snapshot.version, value)
  // What others tell is all that this node goes by until it runs a release that reads it.
  if (isFault(decoded)) return [fact('error', 'roster.snapshot-unreadable', { why: decoded.detail, next: decoded.next })]
  Object.assign(copy, { state: decoded, index: snapshot.at.index, lineage: snapshot.at.epoch?.lineage ?? 1, membership: snapshot.membership, loading: undefined })
  return [...foldCopy(state, entries), ...learnCopy(init, state, context)]
}

function foldCopy(state: RosterActorState, entries: readonly LogEntry[]): Effect[] {
  const { copy } = state
  for (const { index, epoch, event } of entries) {
    // This node's copy of the log was wiped, and begins anew.
    if (index === 1) resetCopy(copy)
    // What a takeover by hand has cut off stays in the fold: of replicas and shards what is said last holds.
    const cutOff = epoch.lineage > copy.lineage
    if (index <= copy.index && !cutOff) continue
    if (index > copy.index + 1 && !cutOff) return [fact('warn', 'roster.gap', { have: copy.index, got: index })]
    copy.index = index
    copy.lineage = epoch.lineage
    if (event.type === 'members') copy.membership = event.membership
    if (isRosterEvent(event)) copy.state = foldRoster(copy.state, event)
  }
  return []
}

function learnCopy(init: RosterInit, state: RosterActorState, context: ActorContext): Effect[] {
  const { copy } = state
  if (copy.membership === undefined || copy.index === 0) return []
  return learn(init, state, viewOfRoster(copy.state, { index: copy.index, lineage: copy.lineage, keepers: peersOf(copy.membership) }), context)
}

/** Something newer is known: whoever chooses members or looks for a shard is told. */
function learn(init: RosterInit, state: RosterActorState, view: RosterView, context: ActorContext): Effect[] {
  if (!isNewerView(view, state.view)) return []
  const first = state.view === undefined
  state.view = view
  for (const name of state.watchers.keys()) if (!context.exists(name)) state.watchers.delete(name)
  const here = [actorNames.logKeeper, actorNames.registrar, actorNames.missions].filter((name) => !state.watchers.has(name)).map((name) => at(context.self.peer, name))
  return [...[...here, ...state.watchers.values()].map((to) => tell(to, { kind: 'roster-known' as const, view })), ...(first && init.replica ? join(init, state, context) : [])]
}

// ---- asking ---------------------------------------------------------------------------------------------------------

/**
 * Asks one keeper, or while nothing is known a few of those connected, others each time. Members ask as well: one that was voted
 * out hears no more of it from its log.
 */
export function ask(state: RosterActorState, peers: readonly PeerId[] = whomToAsk(state)): Effect[] {
  if (state.host?.phase === 'ready') return []
  for (const peer of peers) state.asked.add(peer)
  return peers.map((peer) => tell(at(peer, actorNames.roster), { kind: 'roster-ask', have: state.view?.index ?? 0, ...(state.view === undefined ? {} : { lineage: state.view.lineage }) }))
}

function whomToAsk(state: RosterActorState): PeerId[] {
  const connected = [...state.connected]
  const keepers = connected.filter((peer) => state.view?.keepers.includes(peer))
  const able = keepers.length > 0 ? keepers : connected
  const wanted = Math.min(state.view === undefined ? askedAtOnce : 1, able.length)
  state.turn += wanted
  return Array.from({ length: wanted }, (_, i) => able[(state.turn + i) % able.length]).flatMap((peer) => peer ?? [])
}

/** Any node answers, with what it knows, if that is newer. */
export function onAsk(state: RosterActorState, { have, lineage }: MessageOf<'roster-ask'>, from: Delivery['from']): Effect[] {
  const { view } = state
  const newer = view !== undefined && isNewerView(view, have === 0 ? undefined : { index: have, lineage: lineage ?? 1 })
  return [tell(from, { kind: 'roster-told', index: view?.index ?? 0, ...(newer ? { view } : {}) })]
}

export function onTold(init: RosterInit, state: RosterActorState, { view }: MessageOf<'roster-told'>, from: Delivery['from'], context: ActorContext): Effect[] {
  if (!state.asked.delete(from.peer) || view === undefined) return []
  return learn(init, state, view, context)
}

// ---- joining --------------------------------------------------------------------------------------------------------

/** A replica asks to be admitted until it is, as it is now; from then on the same message says that it lives. */
export function join(init: RosterInit, state: RosterActorState, context: ActorContext): Effect[] {
  const own = ownReplica(init, state, context.self.peer)
  const admitted = own !== undefined && (state.view?.replicas.some((replica) => sameReplica(replica, own)) ?? false)
  const again = timer('join', admitted ? rosterTimes.signOfLifeMs(init.tuning.memberSilentMs) : rosterTimes.joinMs)
  if (own === undefined || state.view === undefined) return [again]
  const message = { kind: 'roster-join' as const, replica: own }
  return [...(state.host?.phase === 'ready' ? onJoin(init, state, message, context.self, context) : toKeeper(state, message, context)), again]
}
