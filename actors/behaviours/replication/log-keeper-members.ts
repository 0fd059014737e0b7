/** Who keeps each group that is led here: grown to three, replaced when they are gone for long. The rules are in `placement.ts`. */
import type { GroupId, Incarnation, PeerId } from '../../../protocols/kernel/ids.ts'
import { compareEpochs, isMissionGroup } from '../../../protocols/kernel/ids.ts'
import { peersOf } from '../../../protocols/membership/members.ts'
import { nextMembership } from '../../../protocols/membership/placement.ts'
import type { Member, Membership, RosterView } from '../../../protocols/membership/schema.ts'
import { entriesOf, viewOf } from '../../../protocols/replicated-log/raft.ts'
import { at } from '../../names.ts'
import type { ActorContext } from '../../runtime/actor.ts'
import { fact, tell, type Effect } from '../../runtime/effects.ts'
import { hearPulses } from './log-keeper-drive.ts'
import { hostOf, type Group, type LogKeeperInit, type LogKeeperState } from './log-keeper-state.ts'

/** A host that has not appended what was wanted by then did not want it, or was busy. */
const askAgainMs = 10_000
/** A replica is a newcomer for this part of the time after which a silent member is replaced: for a minute. */
const newcomerRest = 10
/** Who said that it stops may only be restarted: it is waited for as long as that takes, half a minute. */
const restartRest = 20

export function noteRoster(state: LogKeeperState, view: RosterView, { nowMs }: ActorContext): void {
  state.roster = view
  const there = new Set(view.replicas.map(({ peer }) => peer))
  for (const peer of state.replicasSinceMs.keys()) if (!there.has(peer)) state.replicasSinceMs.delete(peer)
  for (const peer of there) if (!state.replicasSinceMs.has(peer)) state.replicasSinceMs.set(peer, nowMs)
}

/** Who said that it stops, and has been away since for longer than a restart takes. */
function leftForGood(init: LogKeeperInit, { leaving }: LogKeeperState, { nowMs }: ActorContext): Set<PeerId> {
  const restMs = init.tuning.memberSilentMs / restartRest
  return new Set([...leaving].flatMap(([peer, goneAtMs]) => (goneAtMs !== undefined && nowMs - goneAtMs >= restMs ? [peer] : [])))
}

interface Judged {
  readonly newcomers: ReadonlySet<PeerId>
  readonly leaving: ReadonlySet<PeerId>
  readonly left: ReadonlySet<PeerId>
  /** This node is in the roster and stays: what it is to keep alone it keeps. */
  readonly stays: boolean
}

function judge(init: LogKeeperInit, state: LogKeeperState, context: ActorContext): Judged {
  const self = context.self.peer
  const stays = !state.leaving.has(self) && state.roster?.replicas.some(({ peer }) => peer === self) === true
  return { newcomers: newcomers(init, state, context), leaving: new Set(state.leaving.keys()), left: leftForGood(init, state, context), stays }
}

/** Whoever comes for a minute should not take logs along when it leaves: two such, and those that they shared have no majority. */
function newcomers(init: LogKeeperInit, { replicasSinceMs }: LogKeeperState, { nowMs }: ActorContext): Set<PeerId> {
  const restMs = init.tuning.memberSilentMs / newcomerRest
  return new Set([...replicasSinceMs].filter(([, sinceMs]) => nowMs - sinceMs < restMs).map(([peer]) => peer))
}

export function lookAfterMembers(init: LogKeeperInit, state: LogKeeperState, context: ActorContext): Effect[] {
  const judged = judge(init, state, context)
  return [...[...state.groups.values()].flatMap((group) => lookAfter(init, state, group, judged, context)), ...lookSoon(init, state)]
}

/** Of the timer that looks after the groups whose members are changing: from one voter to three it is three steps, and until then one more loss is too many. */
export const changingTimer = 'changing'
const looksSoonerBy = 20
const changingAtOnceMax = 256

function lookSoon(init: LogKeeperInit, { changing }: LogKeeperState): Effect[] {
  return changing.size === 0 ? [] : [{ type: 'set-timer', key: changingTimer, delayMs: init.tuning.membersLookMs / looksSoonerBy, message: { kind: 'tick', what: changingTimer } }]
}

/** Each of them is looked after until nothing has been wanted of it for as long as two ordinary looks take. */
export function lookAfterChanging(init: LogKeeperInit, state: LogKeeperState, context: ActorContext): Effect[] {
  const judged = judge(init, state, context)
  const now = [...state.changing].slice(0, changingAtOnceMax)
  const effects = now.flatMap(([groupId, untilMs]) => {
    state.changing.delete(groupId)
    const group = state.groups.get(groupId)
    if (group === undefined || context.nowMs >= untilMs) return []
    // Those that have had their turn go to the end.
    state.changing.set(groupId, untilMs)
    return lookAfter(init, state, group, judged, context)
  })
  return [...effects, ...lookSoon(init, state)]
}

function lookAfter(init: LogKeeperInit, state: LogKeeperState, group: Group, judged: Judged, context: ActorContext): Effect[] {
  const { roster } = state
  const { aimed } = group
  if (roster === undefined || aimed === undefined || !group.durable || viewOf(group.raft).role !== 'leader') return []
  // Missions acknowledged `local`, thousands of them: nothing is to become of their one member.
  if (aimed === 1 && judged.stays && isAlone(group, context.self.peer)) return []
  const heard = hearPulses(state, group, context)
  const view = viewOf(group.raft)
  const { membership } = view
  if (view.role !== 'leader' || membership === undefined || view.commit < view.membershipIndex) return heard
  // Before an entry of its own epoch is committed a leader may not change the members: it would be refused.
  if (view.commit < view.last.index && !hasOpened(group, view.commit)) return heard
  if (group.membersWanted !== undefined && context.nowMs - group.membersWantedAtMs < askAgainMs && !sameMembers(group.membersWanted, membership)) return heard
  const wanted = nextMembership({
    group: group.group, current: membership, self: { peer: context.self.peer, incarnation: group.incarnation }, aimed, replicas: roster.replicas, followers: view.followers, lastIndex: view.last.index,
    nowMs: context.nowMs, incarnationsHeard: group.strangers, memberSilentMs: init.tuning.memberSilentMs, restless: !isMissionGroup(group.group) && group.group !== 'roster', reachable: (peer) => context.connected(peer), ...judged,
  })
  group.membersWanted = wanted
  group.membersWantedAtMs = context.nowMs
  if (wanted === undefined) return heard
  state.changing.set(group.group, context.nowMs + 2 * init.tuning.membersLookMs)
  return [...heard, tell(at(context.self.peer, hostOf(group.group)), { kind: 'members-wanted', group: group.group, membership: wanted }), fact('debug', 'group.members-wanted', { group: group.group, voters: wanted.voters.length, learners: wanted.learners.length, joint: wanted.outgoing !== undefined })]
}

function isAlone({ raft, incarnation }: Group, self: PeerId): boolean {
  const { membership } = viewOf(raft)
  const [voter, ...others] = membership?.voters ?? []
  return voter?.peer === self && voter.incarnation === incarnation && others.length === 0 && membership?.outgoing === undefined && membership?.learners.length === 0
}

function hasOpened(group: Group, commit: number): boolean {
  const [at] = entriesOf(group.raft, commit)
  const { epoch } = viewOf(group.raft)
  return at?.index === commit && epoch !== undefined && compareEpochs(at.epoch, epoch) === 0
}

function sameMembers(left: Membership, right: Membership): boolean {
  const text = (members: readonly Member[] | undefined): string => (members ?? []).map(({ peer, incarnation }) => `${peer} ${incarnation}`).join()
  return text(left.voters) === text(right.voters) && text(left.outgoing) === text(right.outgoing) && text(left.learners) === text(right.learners)
}

/** A member answers under another incarnation: what it had promised is lost, and another member takes its place. */
export function onOtherIncarnation(init: LogKeeperInit, state: LogKeeperState, groupId: GroupId, incarnation: Incarnation, from: PeerId, context: ActorContext): Effect[] {
  const group = state.groups.get(groupId)
  if (group === undefined || viewOf(group.raft).role !== 'leader' || group.strangers.get(from) === incarnation) return []
  if (!peersOf(viewOf(group.raft).membership).includes(from)) return []
  group.strangers.set(from, incarnation)
  return [fact('warn', 'group.member-lost-its-copy', { group: groupId, peer: from }), ...lookAfter(init, state, group, judge(init, state, context), context), ...lookSoon(init, state)]
}
