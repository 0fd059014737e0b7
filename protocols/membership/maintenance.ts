/** What is to become of a log's members: one step at a time, from what its leader knows. See SPEC.md. */
import type { GroupId, Incarnation, PeerId } from '../kernel/ids.ts'
import { limits } from '../kernel/limits.ts'
import type { DurationMs, InstantMs } from '../kernel/units.ts'
import { chooseMembers, fillMembers, rank } from './rendezvous.ts'
import type { Member, Membership, Replica } from './schema.ts'

export interface MaintenanceInput {
  readonly group: GroupId
  /** The newest one, committed. */
  readonly current: Membership
  /** The leader, who asks. */
  readonly self: Member
  /** How many voters there are to be: 1 for a mission acknowledged `local`, 3 for others and for shards, up to 5 for the roster. */
  readonly aimed: number
  /** The roster, as this node knows it. */
  readonly replicas: readonly Replica[]
  /** Of the other members: how far they are, and when they were heard last. */
  readonly followers: ReadonlyMap<PeerId, { readonly matched: number; readonly heardAtMs: InstantMs }>
  readonly lastIndex: number
  readonly nowMs: InstantMs
  /** Members that answered under an incarnation, the newest of each: when it is not the one in `current`, that copy was lost. */
  readonly incarnationsHeard: ReadonlyMap<PeerId, Incarnation>
  readonly memberSilentMs: DurationMs
  /** Also move towards the rendezvous choice when nobody is missing: registrar shards do, so that load follows the roster. */
  readonly restless: boolean
  /** Replicas that have only just come, and may be gone as soon: nothing moves to them that has enough members. */
  readonly newcomers?: ReadonlySet<PeerId>
  /** Whether a replica can be talked to now; without it, all can. One that cannot is no spare while there is another. */
  readonly reachable?: (peer: PeerId) => boolean
  /** Who has said that it is about to stop, whether or not it is there still. It is no spare, and it is replaced at once where those that stay are too few. */
  readonly leaving?: ReadonlySet<PeerId>
  /** Of these, who has been away for longer than a restart takes: replaced like who is silent for long. */
  readonly left?: ReadonlySet<PeerId>
}

/** So close to the end, a learner needs one more append: it votes without delay once it may. */
const tailEntries = limits.appendEntriesMax
/** Whoever was heard within this time is counted on. */
const livelyMs = 2 * limits.membersLookMs

/**
 * One step of maintenance. Call it when the last step is committed, every few seconds and on news.
 * @returns the next membership, to be appended as it is; undefined when there is nothing to do, or nothing can be done safely now.
 */
export function nextMembership(input: MaintenanceInput): Membership | undefined {
  const { current, self } = input
  const { voters, learners } = current
  // What was agreed jointly is finished first, whatever has become of it since.
  if (current.outgoing !== undefined) return { voters, learners }
  // Without a roster nobody can be judged; and who is no voter changes nothing.
  if (input.replicas.length === 0 || !voters.some(({ peer }) => peer === self.peer)) return undefined
  return withoutLost(input) ?? withNewCopies(input) ?? towards(input, wantedOf(input))
}

/**
 * A voter that lost its copy is dead as a member and never votes again, though its node lives: it goes at once, and its
 * node starts over as a learner in the step after. That needs two other voters who agree, and leaves n−1 voters of whom the living are a
 * majority if they were one of n: so nothing is risked, and less must agree from then on.
 */
function withoutLost(input: MaintenanceInput): Membership | undefined {
  const { voters, learners } = input.current
  const lost = voters.find((member) => isLost(input, member))
  if (lost === undefined || voters.length < 3) return undefined
  // While its old name is in the outgoing half its new one cannot be a member: it learns from the step after.
  return joint(input, voters.filter((member) => member !== lost), learners)
}

/** A learner decides nothing: its new copy takes its place without ado. */
function withNewCopies(input: MaintenanceInput): Membership | undefined {
  const { voters, learners } = input.current
  if (!learners.some((member) => isLost(input, member))) return undefined
  return { voters, learners: learners.map((member) => (isLost(input, member) ? newCopyOf(input, member) : member)) }
}

/**
 * Whether a voter that is about to stop had better wait: when it and all others that are leaving have gone, those that stay would be too
 * few to decide anything, and its leader, if there can be one, is replacing one of them by a spare just now.
 */
export function waitsForSpare(input: Pick<MaintenanceInput, 'current' | 'self' | 'replicas' | 'reachable' | 'leaving'>): boolean {
  const { current: { voters, outgoing }, self, replicas } = input
  return [voters, outgoing ?? []].some((side) => {
    if (!side.some(({ peer }) => peer === self.peer) || !isAtStake(input, side)) return false
    const canDecide = side.filter(({ peer }) => isThere(input, peer)).length > side.length / 2
    // What was agreed jointly is finished, whoever the spare was.
    return canDecide && (outgoing !== undefined || replicas.some(({ peer }) => !voters.some((voter) => voter.peer === peer) && isReachable(input, peer)))
  })
}

/** Too few of these voters are there and stay. One that decides alone, or two that must agree, are not replaced because they stop for a while. */
function isAtStake(input: Pick<MaintenanceInput, 'self' | 'reachable' | 'leaving'>, voters: readonly Member[]): boolean {
  if (voters.length < 3 || !voters.some(({ peer }) => isLeaving(input, peer))) return false
  return voters.filter(({ peer }) => isThere(input, peer) && !isLeaving(input, peer)).length <= voters.length / 2
}

/** Who the voters and the learners should be in the end. */
interface Wanted {
  readonly voters: readonly PeerId[]
  readonly learners: readonly PeerId[]
}

function wantedOf(input: MaintenanceInput): Wanted {
  const { current, replicas, group, self } = input
  const byPeer = new Map(replicas.map((replica) => [replica.peer, replica]))
  const full = votersFor(input.aimed, replicas.length)
  // Where nobody can take the place of one that is missed, there are no fewer voters either: what was promised to a majority of three stays so.
  const size = Math.max(full, current.voters.length)
  const kept = current.voters.filter((member) => !isGone(input, member)).flatMap(({ peer }) => byPeer.get(peer) ?? [])
  const filled = fillMembers(kept, candidates(input), size)
  // Five that have become four or three are better off as three: one less must be alive. So are four, always.
  const fewer = (filled.length < size || size % 2 === 0) && full >= 3 && full < current.voters.length
  const present = (fewer ? chooseMembers(kept, group, full, self.peer) : filled).map(({ peer }) => peer)
  const missed = current.voters.map(({ peer }) => peer).filter((peer) => !present.includes(peer))
  let voters = fewer ? present : [...present, ...missed.slice(0, Math.max(0, current.voters.length - present.length))]
  const settled = present.length === full && present.every((peer) => current.voters.some((member) => member.peer === peer))
  if (input.restless && settled && full >= 3) {
    const able = replicas.filter((replica) => replica.peer === self.peer || kept.includes(replica) || (isReachable(input, replica.peer) && input.newcomers?.has(replica.peer) !== true))
    voters = chooseMembers(able, group, full).map(({ peer }) => peer)
  }
  const missing = voters.filter((peer) => !current.voters.some((member) => member.peer === peer))
  // One voter alone: whoever else there is keeps a copy for the day it is needed.
  const standby = full === 1 && input.aimed > 1 && voters.length === 1 ? candidates(input).map(({ peer }) => peer).filter((peer) => !voters.includes(peer)) : []
  return { voters, learners: [...missing, ...standby].slice(0, limits.learnersMax) }
}

/** Fewer than three replicas: one voter. From three on an odd number, so that none is there in vain. */
export function votersFor(aimed: number, replicas: number): number {
  if (replicas < 3) return 1
  const most = Math.max(1, Math.min(aimed, replicas, limits.votersMax))
  return most % 2 === 0 ? most - 1 : most
}

/** Replicas that are no voters, the best spare first: those who learn already, then the others by rank; learners out of reach last. */
function candidates(input: MaintenanceInput): Replica[] {
  const { current, replicas, group } = input
  const spare = rank(replicas.filter(({ peer }) => !current.voters.some((member) => member.peer === peer)), group)
  const learning = spare.filter(({ peer }) => current.learners.some((member) => member.peer === peer && !isGone(input, member)))
  const able = spare.filter((replica) => !current.learners.some(({ peer }) => peer === replica.peer) && isReachable(input, replica.peer))
  return [...learning.filter(({ peer }) => isReachable(input, peer)), ...able, ...learning.filter(({ peer }) => !isReachable(input, peer))]
}

/** One step: learners first, and voters of those who have caught up. */
function towards(input: MaintenanceInput, wanted: Wanted): Membership | undefined {
  const { current, self } = input
  const leaving = current.voters.filter(({ peer }) => !wanted.voters.includes(peer))
  const missing = wanted.voters.filter((peer) => !current.voters.some((member) => member.peer === peer))
  const ready = current.learners.filter((member) => missing.includes(member.peer) && hasCaughtUp(input, member))

  // The leader goes last: while it is there, it moves the others.
  const others = leaving.filter(({ peer }) => peer !== self.peer)
  const goes = others.length > 0 ? others : leaving
  const swaps = Math.min(goes.length, ready.length)
  let grows = Math.max(0, Math.min(ready.length - swaps, wanted.voters.length - current.voters.length))
  // An even number of voters must all but agree: a growth waits until it leads to an odd one.
  if (grows > 0 && (current.voters.length + grows) % 2 === 0) grows -= 1
  // Rather fewer voters than some that are not there, where there is nobody to take their place.
  const shrinks = missing.length === 0 ? Math.max(0, Math.min(goes.length, current.voters.length - wanted.voters.length)) : 0

  if (swaps + grows + shrinks > 0) {
    const out = goes.slice(0, swaps + shrinks)
    const joining = ready.slice(0, swaps + grows)
    const next = joint(input, [...current.voters.filter((member) => !out.includes(member)), ...joining], current.learners.filter((member) => !joining.includes(member)))
    if (next !== undefined) return next
  }

  const kept = current.learners.filter((member) => wanted.learners.includes(member.peer) && !isGone(input, member))
  const added = wanted.learners.filter((peer) => !current.learners.some((member) => member.peer === peer)).flatMap((peer) => memberFor(input, peer))
  if (kept.length === current.learners.length && added.length === 0) return undefined
  return { voters: current.voters, learners: [...kept, ...added].slice(0, limits.learnersMax) }
}

/** A change of voters, if there are enough living on either side to carry it out. */
function joint(input: MaintenanceInput, voters: readonly Member[], learners: readonly Member[]): Membership | undefined {
  const outgoing = input.current.voters
  if (!isWorking(input, outgoing) || !isWorking(input, voters)) return undefined
  return { voters: [...voters], outgoing: [...outgoing], learners: [...learners] }
}

function isWorking(input: MaintenanceInput, voters: readonly Member[]): boolean {
  return voters.filter((member) => isLively(input, member)).length > voters.length / 2
}

function isLively(input: MaintenanceInput, member: Member): boolean {
  if (member.peer === input.self.peer) return true
  const follower = input.followers.get(member.peer)
  return follower !== undefined && !isLost(input, member) && input.nowMs - follower.heardAtMs <= livelyMs
}

function hasCaughtUp(input: MaintenanceInput, member: Member): boolean {
  return !isLeaving(input, member.peer) && isLively(input, member) && (input.followers.get(member.peer)?.matched ?? 0) >= Math.max(1, input.lastIndex - tailEntries)
}

function isLost(input: MaintenanceInput, member: Member): boolean {
  if (member.peer === input.self.peer) return false
  const heard = input.incarnationsHeard.get(member.peer)
  return heard !== undefined && heard !== member.incarnation
}

/** It left the roster, or the mesh, or nothing was heard of it for long. */
function isGone(input: MaintenanceInput, { peer }: Member): boolean {
  if (!input.replicas.some((replica) => replica.peer === peer)) return true
  if (input.left?.has(peer) === true || (isLeaving(input, peer) && isAtStake(input, input.current.voters))) return true
  const follower = input.followers.get(peer)
  return peer !== input.self.peer && follower !== undefined && input.nowMs - follower.heardAtMs >= input.memberSilentMs
}

/** And it stays. */
function isReachable(input: Pick<MaintenanceInput, 'reachable' | 'leaving'>, peer: PeerId): boolean {
  return !isLeaving(input, peer) && (input.reachable?.(peer) ?? true)
}

function isThere({ self, reachable }: Pick<MaintenanceInput, 'self' | 'reachable'>, peer: PeerId): boolean {
  return peer === self.peer || (reachable?.(peer) ?? true)
}

function isLeaving({ leaving }: Pick<MaintenanceInput, 'leaving'>, peer: PeerId): boolean {
  return leaving?.has(peer) === true
}

function newCopyOf(input: MaintenanceInput, { peer, incarnation }: Member): Member {
  return { peer, incarnation: input.incarnationsHeard.get(peer) ?? incarnation }
}

/** A new member, as it calls itself: what it said to this group counts more than what it told the roster of its store. */
function memberFor(input: MaintenanceInput, peer: PeerId): Member[] {
  const replica = input.replicas.find((one) => one.peer === peer)
  return replica === undefined ? [] : [{ peer, incarnation: input.incarnationsHeard.get(peer) ?? replica.incarnation }]
}
