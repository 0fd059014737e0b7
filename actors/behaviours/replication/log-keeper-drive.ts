/** One step of one group's machine, and everything that it causes: writes, messages, answers, news for the host. */
import { fault } from '../../../protocols/kernel/errors.ts'
import { blobRefsIn } from '../../../protocols/kernel/payload.ts'
import type { Epoch, GroupId, PeerId } from '../../../protocols/kernel/ids.ts'
import { peersOf } from '../../../protocols/membership/members.ts'
import { memberOf } from '../../../protocols/replicated-log/raft-quorum.ts'
import { entriesOf, installFor, stepRaft, viewOf, type RaftInput, type RaftOutputs } from '../../../protocols/replicated-log/raft.ts'
import { actorNames, at } from '../../names.ts'
import type { ActorContext } from '../../runtime/actor.ts'
import { fact, tell, type Effect } from '../../runtime/effects.ts'
import { patienceWith } from './log-keeper-pace.ts'
import { hostOf, type Group, type LogKeeperState } from './log-keeper-state.ts'

export function step(state: LogKeeperState, group: Group, input: RaftInput, context: ActorContext): Effect[] {
  let outputs: RaftOutputs
  try {
    outputs = stepRaft(group.raft, input, { nowMs: context.nowMs, wallMs: context.wallMs })
  } catch (thrown) {
    return contradicted(state, group, thrown instanceof Error ? thrown.message : String(thrown), context)
  }
  return perform(state, group, outputs, context)
}

/** A leader contradicts what is committed here: somebody's disk or code is broken. This log is left alone; the others go on. */
function contradicted(state: LogKeeperState, group: Group, detail: string, context: ActorContext): Effect[] {
  state.groups.delete(group.group)
  state.damaged.add(group.group)
  const problem = fault('storage-failed', `the log of ${group.group} contradicts itself: ${detail}`, { next: 'compare the copies of its members: skein store verify', retryable: false })
  return [{ type: 'clear-timer', key: `raft ${group.group}` }, fact('error', 'group.contradicted', { group: group.group, detail }), tell(at(context.self.peer, hostOf(group.group)), { kind: 'group-damaged', group: group.group, fault: problem })]
}

/** The machine takes every member for connected until it is told otherwise. */
export function meetAbsent(state: LogKeeperState, group: Group, context: ActorContext): Effect[] {
  return peersOf(viewOf(group.raft).membership).filter((peer) => !context.connected(peer)).flatMap((peer) => step(state, group, { type: 'peer', peer, connected: false }, context))
}

/** Also for what founding a group puts out. */
export function perform(state: LogKeeperState, group: Group, outputs: RaftOutputs, context: ActorContext): Effect[] {
  const effects: Effect[] = []
  if (outputs.persist !== undefined && group.durable) state.waiting.push({ group, persist: outputs.persist })
  for (const { to, message, after } of outputs.send) {
    const synced = Math.max(after, group.foundedBy)
    if (synced === 0 || !group.durable) effects.push(tell(at(to, actorNames.logKeeper), message))
    else group.held.push({ after: synced, to, message })
  }
  if (outputs.leader !== undefined) {
    group.leader = outputs.leader.peer
    group.leaderlessSinceMs = outputs.leader.peer === undefined ? context.nowMs : undefined
  }
  if (outputs.role?.became === 'leads') group.leader = context.self.peer
  state.groups.note(group, context.self.peer)
  // Refusals of a deposed leader's appends come before the news that it is deposed, answers of a new one after.
  effects.push(...answers(group, outputs))
  if (outputs.role?.became === 'leads') effects.push(...onLeads(group, outputs.role.epoch, context))
  else if (outputs.role?.became === 'follows' || outputs.leader !== undefined) effects.push(tellFollowed(group, context))
  if (outputs.committed !== undefined) effects.push(...onCommitted(group, outputs.committed, context))
  if (outputs.orphanedFrom !== undefined) effects.push(fact('warn', 'group.tail-orphaned', { group: group.group, from: outputs.orphanedFrom }))
  if (outputs.needsSnapshot.length > 0) effects.push(...sendSnapshots(group, outputs.needsSnapshot))
  if (outputs.install !== undefined) effects.push(...startInstall(state, group, outputs.install))
  for (const { peer, why } of outputs.strangers) {
    const { membership } = viewOf(group.raft)
    const member = membership === undefined ? undefined : memberOf(membership, peer)
    if (why === 'lost-what-it-held' && member !== undefined) effects.push(tell(at(peer, actorNames.logKeeper), { kind: 'copy-lost', group: group.group, toward: member.incarnation }))
  }
  if (outputs.wakeAtMs < group.wakeAtMs) effects.push(wakeUp(group, outputs.wakeAtMs, context))
  // What is never written is synced at once.
  if (outputs.persist !== undefined && !group.durable) return [...effects, ...step(state, group, { type: 'persisted', upTo: outputs.persist.number }, context)]
  return effects
}

function wakeUp(group: Group, atMs: number, context: ActorContext): Effect {
  group.wakeAtMs = atMs
  return { type: 'set-timer', key: `raft ${group.group}`, delayMs: Math.max(0, atMs - context.nowMs), message: { kind: 'tick', what: group.group } }
}

/** The timer of one group: what pulses have said of its peers meanwhile counts first. */
export function onWake(state: LogKeeperState, groupId: GroupId, context: ActorContext): Effect[] {
  const group = state.groups.get(groupId)
  if (group === undefined) return []
  const lateMs = Math.max(0, context.nowMs - group.wakeAtMs)
  group.wakeAtMs = Infinity
  const heard = hearPulses(state, group, context)
  const waitMs = patienceWith(group, state.pace, lateMs, context)
  if (waitMs !== undefined) return [...heard, wakeUp(group, context.nowMs + waitMs, context)]
  return [...heard, ...step(state, group, { type: 'tick' }, context)]
}

/** Pulses are heard for all groups of a peer at once; a machine is told when it asks. */
export function hearPulses(state: LogKeeperState, group: Group, context: ActorContext): Effect[] {
  const view = viewOf(group.raft)
  const heard = (peer: PeerId, sentAtMs: number): Effect[] => step(state, group, { type: 'pulse', peer, sentAtMs }, context)
  if (view.role === 'leader') {
    return [...view.followers].flatMap(([peer, follower]) => {
      const followedAtMs = state.followedAtMs.get(peer)
      return followedAtMs !== undefined && followedAtMs > follower.heardAtMs ? heard(peer, followedAtMs) : []
    })
  }
  const leaderHeardAtMs = view.leader === undefined ? undefined : state.leaderHeardAtMs.get(view.leader)
  return view.leader === undefined || leaderHeardAtMs === undefined || view.role !== 'follower' ? [] : heard(view.leader, leaderHeardAtMs)
}

function answers(group: Group, outputs: RaftOutputs): Effect[] {
  return outputs.settled.flatMap(({ tag, fault: problem }) => {
    const asker = group.askers.get(tag)
    group.askers.delete(tag)
    return asker === undefined ? [] : [tell(asker.to, { kind: 'appended', tag: asker.tag, ...(problem === undefined ? {} : { fault: problem }) })]
  })
}

function onLeads(group: Group, epoch: Epoch, context: ActorContext): Effect[] {
  group.leaderlessSinceMs = undefined
  group.strangers.clear()
  group.membersWanted = undefined
  return [
    tellLeads(group, context),
    fact('debug', 'group.leads', { group: group.group, lineage: epoch.lineage, term: epoch.term }),
  ]
}

/** To its host: everything that this leader has, its own `took-over` included. */
export function tellLeads(group: Group, context: ActorContext): Effect {
  const { membership, epoch, commit, base } = viewOf(group.raft)
  if (membership === undefined || epoch === undefined) return { type: 'give-up', reason: `the log of ${group.group} has a leader and no members` }
  return tell(at(context.self.peer, hostOf(group.group)), { kind: 'group-led', group: group.group, epoch, membership, ...(group.snapshot === undefined ? {} : { snapshot: group.snapshot }), entries: entriesOf(group.raft, base.index + 1), commit })
}

export function tellFollowed(group: Group, context: ActorContext): Effect {
  const { membership } = viewOf(group.raft)
  return tell(at(context.self.peer, hostOf(group.group)), { kind: 'group-followed', group: group.group, ...(group.leader === undefined || group.leader === context.self.peer ? {} : { leader: group.leader }), ...(membership === undefined ? {} : { membership }) })
}

function onCommitted(group: Group, { from, to }: { readonly from: number; readonly to: number }, context: ActorContext): Effect[] {
  const entries = entriesOf(group.raft, from + 1).filter(({ index }) => index <= to)
  // What came as a snapshot is committed by that.
  const { snapshot } = viewOf(group.raft)
  const last = entries.at(-1) ?? (snapshot?.at.index === to ? snapshot.at : undefined)
  const effects: Effect[] = last === undefined ? [] : [fact('debug', 'log.committed', { group: group.group, index: last.index, chain: last.chain })]
  if (group.group === 'roster') effects.push(tellCommitted(group, entries, context))
  return effects
}

export function tellCommitted(group: Group, entries: ReturnType<typeof entriesOf>, context: ActorContext, withSnapshot = false): Effect {
  return tell(at(context.self.peer, hostOf(group.group)), { kind: 'committed', group: group.group, ...(withSnapshot && group.snapshot !== undefined ? { snapshot: group.snapshot } : {}), entries })
}

/** A question of a host to a group that is not here or not led. */
export function notLed(tag: string, to: Parameters<typeof tell>[0], group: GroupId): Effect {
  return tell(to, { kind: 'appended', tag, fault: fault('fenced', `this node does not lead ${group} any more`, { retryable: true }) })
}

// ---- snapshots -----------------------------------------------------------------------------------------------------

function sendSnapshots(group: Group, peers: readonly PeerId[]): Effect[] {
  const { snapshot } = group
  if (snapshot === undefined) return []
  return peers.flatMap((peer) => {
    const message = installFor(group.raft, peer, snapshot)
    return message === undefined ? [] : [tell(at(peer, actorNames.logKeeper), message)]
  })
}

/** What the snapshot's state is made of is fetched before the snapshot counts. */
function startInstall(state: LogKeeperState, group: Group, { from, snapshot }: NonNullable<RaftOutputs['install']>): Effect[] {
  const tag = `install ${state.counter++}`
  state.installing.set(tag, group.group)
  group.incoming = snapshot
  return [{ type: 'fetch-blobs', refs: blobRefsIn(snapshot.state), alsoTry: [from], tag }]
}
