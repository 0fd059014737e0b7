/**
 * Keeps the replicated logs of this node: drives the machine of every group, writes all of them in one synced batch
 * (group commit), pulses, looks after members. It folds nothing: a group's host on the leader's node does.
 */
import { fault, type Fault } from '../../../protocols/kernel/errors.ts'
import { isMissionGroup, type GroupId, type Incarnation, type PeerId } from '../../../protocols/kernel/ids.ts'
import { entriesOf, foundGroup, headOf, joinGroup, openRaft, viewOf } from '../../../protocols/replicated-log/raft.ts'
import type { RaftMessage } from '../../../protocols/replicated-log/schema.ts'
import type { MessageOf } from '../../../protocols/wire.ts'
import type { ActorMessage, GroupNews, LogMessage } from '../../messages.ts'
import { actorNames, at } from '../../names.ts'
import type { GroupOnDisk, StoreOnDisk } from '../../ports/log-store.ts'
import type { ActorContext, Behaviour, Delivery } from '../../runtime/actor.ts'
import { fact, tell, type Effect } from '../../runtime/effects.ts'
import { hearPulses, meetAbsent, notLed, onWake, perform, step, tellCommitted, tellLeads } from './log-keeper-drive.ts'
import { askWhetherEnded, endGroup, endUnbegun, onArchiveFetched, onAsked, onGroupEnded, onLeft } from './log-keeper-ending.ts'
import { leavingTimer, onConnection, onLeavingHeard, onLeavingTime, onMemberLeaves, startLeaving } from './log-keeper-leaving.ts'
import { changingTimer, lookAfterChanging, lookAfterMembers, noteRoster, onOtherIncarnation } from './log-keeper-members.ts'
import { onPulse, onPulseHeard, onTerms, sendPulses } from './log-keeper-pulses.ts'
import { notePulse, slowTimer } from './log-keeper-pace.ts'
import { findCitations } from './log-keeper-citations.ts'
import { describeReplication } from './log-keeper-report.ts'
import { putEmptyCopiesAway } from './log-keeper-empty.ts'
import { onInstallFetched, onSnapshotTaken } from './log-keeper-snapshots.ts'
import { aimedOf, hostOf, newGroup, newLogKeeperState, raftInit, type Group, type LogKeeperInit, type LogKeeperState } from './log-keeper-state.ts'
import { onRecalledForSeals, onSealAsk, onSealed, tellSealed } from './log-keeper-sealing.ts'
import { formerCopy, nextIncarnation } from './log-keeper-names.ts'
import { onUnknown, tellName } from './log-keeper-unknown.ts'
import { writeNext } from './log-keeper-batch.ts'
import { onSlowSync, onWritten } from './log-keeper-writes.ts'

export type { LogKeeperInit } from './log-keeper-state.ts'

export function logKeeper(init: LogKeeperInit): Behaviour<LogKeeperState> {
  return {
    kind: 'log-keeper',
    supervision: 'escalate',
    start: (context) => ({ state: newLogKeeperState(), effects: [{ type: 'open-log', tag: 'open' }, tell(at(context.self.peer, actorNames.directory), { kind: 'watch-peers' })] }),
    receive(state, delivery, context) {
      if (!state.opened && waitsForStore(delivery.message)) {
        state.early.push(delivery)
        return []
      }
      return receive(init, state, delivery, context)
    },
    endTurn: writeNext,
  }
}

const afterOpening = new Set<ActorMessage['kind']>(['log-opened', 'peer-up', 'peer-down', 'tick', 'roster-known'])

function waitsForStore(message: ActorMessage): boolean {
  return !afterOpening.has(message.kind)
}

function receive(init: LogKeeperInit, state: LogKeeperState, { message, from }: Delivery, context: ActorContext): readonly Effect[] {
  switch (message.kind) {
    case 'log-opened':
      return message.found === undefined ? [{ type: 'give-up', reason: `the log could not be opened: ${message.fault?.detail ?? 'no reason was given'}` }] : onOpened(init, state, message.found, context)
    case 'log-written': {
      const former = message.fault === undefined ? state.writingFormer : []
      return [...onWritten(state, message.fault, context), ...tellSealed(state, former)]
    }
    case 'tick':
      return onTick(init, state, message.what ?? '', context)
    case 'peer-up':
    case 'peer-down':
      // A time without a connection is no silence.
      state.pace.heard.delete(message.peer)
      onConnection(state, message.peer, message.kind === 'peer-up', context.nowMs)
      return [...state.groups.values()].flatMap((group) => step(state, group, { type: 'peer', peer: message.peer, connected: message.kind === 'peer-up' }, context))
    case 'roster-known':
      noteRoster(state, message.view, context)
      return lookAfterMembers(init, state, context)
    // ---- hosts of this node
    case 'found-group':
    case 'aim-at':
    case 'append':
    case 'barrier':
    case 'snapshot-taken':
    case 'end-group':
    case 'end-unbegun':
    case 'forget-ended':
    case 'lead-again':
    case 'cannot-lead':
    case 'take-over':
    case 'leave':
    case 'hand-over':
    case 'describe-replication':
    case 'find-citations':
      return from.peer === context.self.peer ? fromHost(init, state, message, from, context) : []
    // ---- other members
    case 'vote-ask':
    case 'vote':
    case 'log-append':
    case 'log-appended':
    case 'log-install':
    case 'lead-now':
      return fromMember(init, state, message, from.peer, context)
    case 'group-pulse':
      return onPulse(state, message, from.peer, context)
    case 'group-pulse-heard':
      return onPulseHeard(state, message, from.peer, context)
    case 'group-terms':
      return onTerms(state, message, from.peer, context)
    case 'other-incarnation':
      return onOtherIncarnation(init, state, message.group, message.incarnation, from.peer, context)
    case 'copy-lost':
      return onCopyLost(init, state, message, from.peer, context)
    case 'group-ended':
      return 'group' in message ? onGroupEnded(state, message.group, message.ended, from.peer) : []
    case 'group-ask':
      return onAsked(init, state, message.group, from.peer, context)
    case 'group-left':
      return onLeft(state, message.group, from.peer, context)
    case 'member-leaves':
      return onMemberLeaves(init, state, from.peer, context)
    case 'leaving-heard':
      return onLeavingHeard(state, from.peer, context)
    case 'seal-ask':
      return onSealAsk(state, message, from, context)
    case 'sealed':
      return onSealed(state, message, from.peer, context)
    // ---- effects
    case 'blobs-fetched':
      return message.tag.startsWith('install ') ? onInstallFetched(state, message.tag, message.fault, context) : onArchiveFetched(state, message.tag, message.fault, context)
    case 'group-recalled':
      return onRecalledForSeals(init, state, message, context)
    default:
      return []
  }
}

function onTick(init: LogKeeperInit, state: LogKeeperState, what: string, context: ActorContext): Effect[] {
  switch (what) {
    case 'pulse':
      notePulse(state.pace, context.nowMs, init.tuning.groupPulseMs)
      return [...sendPulses(state, context), timer('pulse', init.tuning.groupPulseMs)]
    case 'members':
      return [...lookAfterMembers(init, state, context), ...putEmptyCopiesAway(init, state, context), ...askWhetherEnded(state, 2 * init.tuning.electionMsMax, context), timer('members', init.tuning.membersLookMs)]
    case changingTimer:
      return lookAfterChanging(init, state, context)
    case slowTimer:
      return onSlowSync(state, context)
    case leavingTimer:
      return onLeavingTime(init, state, context)
    default:
      return [...onWake(state, what as GroupId, context), ...(state.handingOver === undefined ? [] : sayHandedOver(state, context))]
  }
}

function timer(what: string, delayMs: number): Effect {
  return { type: 'set-timer', key: what, delayMs, message: { kind: 'tick', what } }
}

// ---- opening -------------------------------------------------------------------------------------------------------

function onOpened(init: LogKeeperInit, state: LogKeeperState, found: StoreOnDisk, context: ActorContext): Effect[] {
  state.opened = true
  state.incarnation = found.incarnation
  const news: GroupNews[] = []
  const effects: Effect[] = []
  for (const onDisk of found.groups) {
    const { head, damage } = onDisk
    news.push({ group: head.group, ...(head.membership === undefined ? {} : { membership: head.membership }), ...(damage === undefined ? {} : { damage }) })
    if (damage === undefined) effects.push(...openGroup(init, state, onDisk, context))
    else effects.push(...onDamaged(init, state, onDisk, found.incarnation, context))
  }
  if (found.lostEverything) effects.unshift(fact('error', 'store.lost-everything', { incarnation: found.incarnation }))
  const hosts = [actorNames.roster, actorNames.registrar, actorNames.missions]
  const opened = hosts.map((name) => tell(at(context.self.peer, name), { kind: 'groups-opened' as const, incarnation: found.incarnation, lostEverything: found.lostEverything, groups: news.filter(({ group }) => name === actorNames.missions || hostOf(group) === name) }))
  const early = state.early.splice(0)
  return [...opened, ...effects, timer('pulse', init.tuning.groupPulseMs), timer('members', init.tuning.membersLookMs), ...early.flatMap((delivery) => [...receive(init, state, delivery, context)])]
}

function openGroup(init: LogKeeperInit, state: LogKeeperState, { head, snapshot, entries }: GroupOnDisk, context: ActorContext): Effect[] {
  const raft = openRaft(raftInit(init, state.pace, head.group, head.incarnation, context), { head, entries, ...(snapshot === undefined ? {} : { snapshot }) }, { nowMs: context.nowMs, wallMs: context.wallMs })
  const group = newGroup(head.group, head.incarnation, raft, true, aimedOf(head.group))
  group.snapshot = snapshot
  group.leaderlessSinceMs = context.nowMs
  state.groups.set(head.group, group)
  const committed = head.group === 'roster' ? [tellCommitted(group, entriesOf(raft, (snapshot?.at.index ?? 0) + 1).filter(({ index }) => index <= head.commit), context, true)] : []
  return [...committed, ...meetAbsent(state, group, context), ...step(state, group, { type: 'tick' }, context)]
}

/**
 * A copy that is not what was promised never votes again. With other voters its data is elsewhere: it is wiped, and joins
 * anew under another incarnation once their leader has made it a member. A sole voter's is all there was: it is left alone.
 */
function onDamaged(init: LogKeeperInit, state: LogKeeperState, { head, damage }: Pick<GroupOnDisk, 'head' | 'damage'>, store: Incarnation, context: ActorContext): Effect[] {
  const found = fact('error', 'group.damaged', { group: head.group, detail: damage?.detail ?? '' })
  const others = [...(head.membership?.voters ?? []), ...(head.membership?.outgoing ?? [])].filter(({ peer }) => peer !== context.self.peer)
  if (head.membership !== undefined && others.length === 0) {
    state.damaged.add(head.group)
    return [found, tell(at(context.self.peer, hostOf(head.group)), { kind: 'group-damaged', group: head.group, fault: damage ?? fault('storage-failed', 'its copy is damaged') })]
  }
  const incarnation = nextIncarnation(head.incarnation, store)
  const raft = joinGroup(raftInit(init, state.pace, head.group, incarnation, context))
  const group = newGroup(head.group, incarnation, raft, true, aimedOf(head.group))
  group.leaderlessSinceMs = context.nowMs
  state.groups.set(head.group, group)
  state.waitingWiped.set(head.group, group)
  state.waiting.push({ group, persist: { number: 0, head: { group: head.group, incarnation, last: { index: 0, chain: '0'.repeat(64) }, commit: 0 }, entries: [] } })
  return [found, fact('warn', 'group.wiped', { group: head.group, incarnation })]
}

/** The leader remembers more of this copy than it holds: it was put back to an older state, and with it what it had promised. */
function onCopyLost(init: LogKeeperInit, state: LogKeeperState, { group: groupId, toward }: MessageOf<'copy-lost'>, from: PeerId, context: ActorContext): Effect[] {
  const group = state.groups.get(groupId)
  if (group === undefined || state.incarnation === undefined || group.incarnation !== toward || group.leader !== from) return []
  const damage = fault('storage-failed', `its copy of ${groupId} is older than what it had acknowledged: the disk was put back to an earlier state`, { retryable: false })
  return onDamaged(init, state, { head: headOf(group.raft), damage }, state.incarnation, context)
}

// ---- hosts ---------------------------------------------------------------------------------------------------------

type FromHost = Extract<LogMessage, { kind: 'found-group' | 'aim-at' | 'append' | 'barrier' | 'snapshot-taken' | 'end-group' | 'end-unbegun' | 'forget-ended' | 'lead-again' | 'cannot-lead' | 'take-over' | 'leave' | 'hand-over' | 'describe-replication' | 'find-citations' }>

function fromHost(init: LogKeeperInit, state: LogKeeperState, message: FromHost, from: Delivery['from'], context: ActorContext): Effect[] {
  switch (message.kind) {
    case 'found-group': {
      // Of what cannot be used there may be copies elsewhere, or effects: it is not begun again.
      if (state.groups.has(message.group) || state.damaged.has(message.group) || state.incarnation === undefined) return []
      const { state: raft, outputs } = foundGroup(raftInit(init, state.pace, message.group, state.incarnation, context), message.membership, { nowMs: context.nowMs, wallMs: context.wallMs })
      const group = newGroup(message.group, state.incarnation, raft, message.durable, message.aimed)
      state.groups.set(message.group, group)
      group.foundedBy = outputs.persist?.number ?? 0
      return [...perform(state, group, outputs, context), ...meetAbsent(state, group, context)]
    }
    case 'aim-at': {
      const group = state.groups.get(message.group)
      if (group !== undefined) group.aimed = message.voters
      return []
    }
    case 'append':
    case 'barrier': {
      const group = state.groups.get(message.group)
      if (group === undefined || viewOf(group.raft).role !== 'leader') return [notLed(message.tag, from, message.group)]
      const tag = `${from.actor} ${message.tag}`
      group.askers.set(tag, { to: from, tag: message.tag })
      state.groups.asked.add(group)
      return step(state, group, message.kind === 'append' ? { type: 'append', tag, entries: message.entries } : { type: 'barrier', tag }, context)
    }
    case 'snapshot-taken':
      return onSnapshotTaken(init, state, message.group, message.snapshot, context)
    case 'end-group':
      return endGroup(state, message.group, message.ended, context)
    case 'end-unbegun':
      return endUnbegun(state, message.group, context)
    case 'forget-ended':
      state.waitingRemoved.push(...message.ended.map(({ missionId }) => missionId))
      state.waitingFormer.push(...message.ended.map(({ missionId }) => formerCopy(missionId, undefined, context)))
      return []
    case 'lead-again': {
      const group = state.groups.get(message.group)
      return group === undefined || viewOf(group.raft).role !== 'leader' ? [] : [tellLeads(group, context)]
    }
    case 'cannot-lead': {
      const group = state.groups.get(message.group)
      if (group === undefined) return []
      const { detail, next } = message.fault
      return [fact('error', 'group.cannot-lead', { group: message.group, why: detail, next }), ...step(state, group, { type: 'step-down', reason: detail, forGood: true }, context)]
    }
    case 'take-over': {
      const group = state.groups.get(message.group)
      if (group === undefined) return [tell(from, { kind: 'taken-over', tag: message.tag, fault: fault('unknown-mission', `this node has no copy of ${message.group}`, { next: 'ask a node that has: skein mission show ID' }) })]
      if (!hasNobodyElse(group, takeoverPatience * init.tuning.electionMsMax, context)) return [tell(from, { kind: 'taken-over', tag: message.tag, fault: electing(group.group) })]
      // The mesh's own logs that were kept by the same lost node go with it: without them nothing could be submitted any more.
      const lost = [...state.groups.values()].filter((other) => !isMissionGroup(other.group) && hasNobodyElse(other, init.tuning.electionMsMax, context))
      return [...[group, ...lost].flatMap((taken) => step(state, taken, { type: 'take-over' }, context)), tell(from, { kind: 'taken-over', tag: message.tag })]
    }
    case 'find-citations':
      return findCitations(state, message, from)
    case 'describe-replication':
      return describeReplication(state, message, context)
    case 'leave':
      return startLeaving(init, state, from, context)
    case 'hand-over': {
      state.handingOver = from
      const led = ledWithOthers(state, context)
      return [...led.flatMap((group) => step(state, group, { type: 'transfer' }, context)), ...sayHandedOver(state, context)]
    }
  }
}

/** A majority that can be reached elects somebody by itself, and loses nothing: so many times as long as that takes it is waited for. */
const takeoverPatience = 3

function electing(group: GroupId): Fault {
  return fault('wrong-state', `enough of those that keep ${group} can be reached to elect a leader, and nothing is lost then`, { retryable: true, retryAfterMs: 3_000, next: 'wait some seconds; if nobody leads it by then, take it over again' })
}

/** Those that are there cannot elect anybody, whether or not the others' silence was noticed yet; or it has had no leader for longer than an election takes. */
function hasNobodyElse(group: Group, silentMs: number, context: ActorContext): boolean {
  const voters = viewOf(group.raft).membership?.voters ?? []
  const there = voters.filter(({ peer }) => peer === context.self.peer || context.connected(peer))
  if (there.length <= voters.length / 2) return true
  return group.leaderlessSinceMs !== undefined && context.nowMs - group.leaderlessSinceMs >= silentMs
}

/** Groups led here that somebody else could lead, who is there and stays. */
function ledWithOthers(state: LogKeeperState, { self, connected }: ActorContext): Group[] {
  return [...state.groups.values()].filter((group) => {
    const { role, membership } = viewOf(group.raft)
    return role === 'leader' && membership?.voters.some(({ peer }) => peer !== self.peer && connected(peer) && !state.leaving.has(peer)) === true
  })
}

function sayHandedOver(state: LogKeeperState, context: ActorContext): Effect[] {
  if (state.handingOver === undefined || ledWithOthers(state, context).length > 0) return []
  const to = state.handingOver
  state.handingOver = undefined
  return [tell(to, { kind: 'leads-nothing' })]
}

// ---- members -------------------------------------------------------------------------------------------------------

function fromMember(init: LogKeeperInit, state: LogKeeperState, message: RaftMessage, from: PeerId, context: ActorContext): Effect[] {
  const group = state.groups.get(message.group)
  if (group === undefined) return onUnknown(init, state, message.group, from, message, context)
  if (message.toward !== group.incarnation) return tellName(message, group.incarnation, from)
  // Who hears a leader gives no vote: what pulses have said of it since the group was last awake counts first.
  const heard = message.kind === 'vote-ask' ? hearPulses(state, group, context) : []
  const effects = [...heard, ...step(state, group, { type: 'message', from, message }, context)]
  return state.handingOver === undefined ? effects : [...effects, ...sayHandedOver(state, context)]
}
