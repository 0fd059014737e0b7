/** Who decides, and with how many. Majorities are counted over (peer, incarnation), in both halves of a joint membership. */
import type { PeerId } from '../kernel/ids.ts'
import type { Member, Membership } from '../membership/schema.ts'

/** @returns whether a majority of the voters (of both sets, while there are two) satisfies `holds`. */
export function agreed(membership: Membership, holds: (member: Member) => boolean): boolean {
  return majority(membership.voters, holds) && (membership.outgoing === undefined || majority(membership.outgoing, holds))
}

function majority(voters: readonly Member[], holds: (member: Member) => boolean): boolean {
  let yes = 0
  for (const voter of voters) if (holds(voter)) yes += 1
  return yes * 2 > voters.length
}

/** @returns the highest value that a majority (of both sets, while there are two) has reached. */
export function agreedValue(membership: Membership, valueOf: (member: Member) => number): number {
  const incoming = reached(membership.voters, valueOf)
  return membership.outgoing === undefined ? incoming : Math.min(incoming, reached(membership.outgoing, valueOf))
}

function reached(voters: readonly Member[], valueOf: (member: Member) => number): number {
  const values = voters.map(valueOf).sort((a, b) => (a > b ? -1 : a < b ? 1 : 0))
  return values[Math.floor(values.length / 2)] as number
}

export function sameMember(left: Member, right: Member): boolean {
  return left.peer === right.peer && left.incarnation === right.incarnation
}

/** Whether this member's vote is counted: it is in either set of voters. */
export function decides(membership: Membership, member: Member): boolean {
  return membership.voters.some((voter) => sameMember(voter, member)) || (membership.outgoing?.some((voter) => sameMember(voter, member)) ?? false)
}

/** Calls back once for every peer in the membership, voters first. */
export function eachMember(membership: Membership, visit: (member: Member) => void): void {
  const seen = new Set<PeerId>()
  for (const set of [membership.voters, membership.outgoing, membership.learners]) {
    for (const member of set ?? []) {
      if (seen.has(member.peer)) continue
      seen.add(member.peer)
      visit(member)
    }
  }
}

/** What the membership knows a peer as; undefined for one that is not in it. */
export function memberOf(membership: Membership, peer: PeerId): Member | undefined {
  const named = (member: Member): boolean => member.peer === peer
  return membership.voters.find(named) ?? membership.outgoing?.find(named) ?? membership.learners.find(named)
}

/** @returns why `next` may not follow `now`, in words; undefined when it may. */
export function unsafeChange(now: Membership, next: Membership): string | undefined {
  for (const set of [next.voters, next.outgoing ?? [], next.learners]) if (new Set(set.map(({ peer }) => peer)).size !== set.length) return 'a peer is named twice'
  const known = new Map<PeerId, Member>()
  for (const member of [...next.voters, ...(next.outgoing ?? []), ...next.learners]) {
    const before = known.get(member.peer)
    if (before !== undefined && before.incarnation !== member.incarnation) return `${member.peer} is named under two incarnations`
    known.set(member.peer, member)
  }
  // Any two majorities meet when the sets are the same or one has one voter more (thesis §4.1); for joint memberships one such pair is enough (§4.3).
  const meets = sets(now).some((before) => sets(next).some((after) => distance(before, after) <= 1))
  return meets ? undefined : 'a majority of these voters could decide without any majority of those before: make it a joint change'
}

function sets(membership: Membership): readonly (readonly Member[])[] {
  return membership.outgoing === undefined ? [membership.voters] : [membership.voters, membership.outgoing]
}

function distance(left: readonly Member[], right: readonly Member[]): number {
  const shared = left.filter((member) => right.some((other) => sameMember(member, other))).length
  return left.length + right.length - 2 * shared
}
