/**
 * Which nodes keep logs, and who serves the registrar's shards: this node's part in saying so, and what it knows of it.
 * The node that made the mesh founds the roster; its leader admits and drops; everybody else asks until they know.
 */
import type { ActorMessage } from '../messages.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext, Behaviour, Delivery } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { ask, join, onAsk, onCommitted, onCopyLoaded, onTold, tryCopyAgain } from './roster-knowing.ts'
import { lead, onJoin, onShardReport, onSettled, dropSilent, follow } from './roster-leading.ts'
import { changeMembers, onAppended, onHostTick, onLoaded, onStored } from './hosted-log.ts'
import { newRosterState, rosterTimes, timer, watchersMax, type RosterActorState, type RosterInit } from './roster-state.ts'

export type { RosterInit } from './roster-state.ts'

export function roster(init: RosterInit): Behaviour<RosterActorState> {
  return {
    kind: 'roster',
    supervision: 'resume',
    start: (context) => ({
      state: newRosterState(),
      effects: [
        tell(at(context.self.peer, actorNames.directory), { kind: 'watch-peers', present: true }),
        timer('ask', rosterTimes.askUnknownMs),
        timer('look', init.tuning.membersLookMs),
        ...(init.replica ? [timer('join', rosterTimes.joinMs)] : []),
      ],
    }),
    receive: (state, delivery, context) => receive(init, state, delivery, context),
  }
}

function receive(init: RosterInit, state: RosterActorState, { message, from }: Delivery, context: ActorContext): readonly Effect[] {
  const { host } = state
  switch (message.kind) {
    case 'groups-opened':
      return onOpened(init, state, message, context)
    case 'tick':
      return onTick(init, state, message.what ?? '', context)
    case 'peer-up':
      state.connected.add(message.peer)
      return state.view === undefined ? ask(state, [message.peer]) : []
    case 'peer-down':
      state.connected.delete(message.peer)
      state.asked.delete(message.peer)
      return []
    case 'watch-roster':
      if (from.peer !== context.self.peer || (state.watchers.size >= watchersMax && !state.watchers.has(from.actor))) return []
      state.watchers.set(from.actor, from)
      return state.view === undefined ? [] : [tell(from, { kind: 'roster-known', view: state.view })]
    // ---- between nodes
    case 'roster-ask':
      return onAsk(state, message, from)
    case 'roster-told':
      return onTold(init, state, message, from, context)
    case 'roster-join':
      return onJoin(init, state, message, from, context)
    case 'shard-report':
      return onShardReport(init, state, message, from, context)
    // ---- the log
    case 'group-led':
      return message.group === 'roster' ? lead(state, message, context) : []
    case 'group-followed':
      return message.group === 'roster' ? follow(state, message.leader) : []
    case 'committed':
      return message.group === 'roster' ? onCommitted(init, state, message, context) : []
    case 'appended':
      return host === undefined ? [] : onSettled(init, state, onAppended(host, message, init.tuning.snapshotEntries, context), context)
    case 'members-wanted':
      return host === undefined || message.group !== 'roster' ? [] : changeMembers(host, message.membership, init.tuning.snapshotEntries, context)
    case 'value-loaded':
      return message.tag.startsWith('copy ') ? onCopyLoaded(init, state, message, context) : host === undefined ? [] : onLoaded(host, message, context)
    case 'value-stored':
      return host === undefined ? [] : onStored(host, message, context)
    default:
      return []
  }
}

function onTick(init: RosterInit, state: RosterActorState, what: string, context: ActorContext): readonly Effect[] {
  switch (what) {
    case 'ask':
      return [...ask(state), timer('ask', state.view === undefined ? rosterTimes.askUnknownMs : rosterTimes.askMs)]
    case 'join':
      return join(init, state, context)
    case 'look':
      return [...dropSilent(init, state, context), timer('look', init.tuning.membersLookMs)]
    case 'copy':
      return tryCopyAgain(state, context)
    default:
      return state.host === undefined ? [] : onHostTick(state.host, context)
  }
}

/** A mesh is founded once: by a node that was told to, and never had anything. */
function onOpened(init: RosterInit, state: RosterActorState, { incarnation, lostEverything, groups }: Extract<ActorMessage, { kind: 'groups-opened' }>, context: ActorContext): Effect[] {
  state.incarnation = incarnation
  if (!init.founds || groups.some(({ group }) => group === 'roster')) return []
  // What it had founded lives on at the other members, or is lost with it: a second roster beside it would split the mesh.
  if (lostEverything) return [fact('error', 'roster.not-founded', { why: 'this node founded its mesh before, and its store is gone', next: 'it joins again if another node keeps the roster; otherwise restore the data directory, or make a new mesh' })]
  if (!init.replica) return [fact('error', 'roster.not-founded', { why: 'the node that makes a mesh must keep logs', next: 'start it with the duty replica' })]
  return [
    tell(at(context.self.peer, actorNames.logKeeper), { kind: 'found-group', group: 'roster', membership: { voters: [{ peer: context.self.peer, incarnation }], learners: [] }, durable: true, aimed: limits.rosterVotersMax }),
    fact('info', 'roster.founded', {}),
  ]
}
