/**
 * The logs of all groups as their members' disks and words tell them. An entry counts as committed from the moment that any
 * member says so of it, or of one after it; its content is the one on the disks. What two members say must agree.
 */
import type { GroupId, PeerId } from '../../protocols/kernel/ids.ts'
import type { Member, Membership } from '../../protocols/membership/schema.ts'
import { chainOrigin } from '../../protocols/replicated-log/chain.ts'
import type { LogEntry } from '../../protocols/replicated-log/schema.ts'

export interface CommittedUpTo {
  readonly index: number
  readonly chain: string
}

/** What a member says is committed, and another has said otherwise. */
export interface Conflict extends CommittedUpTo {
  readonly peer: PeerId
}

export interface GroupLog {
  readonly group: GroupId
  /** From entry 1 on, none left out. */
  readonly committed: LogEntry[]
  /** What each member has said last. */
  readonly reports: Map<PeerId, CommittedUpTo>
  /** The newest committed one. */
  membership: Membership | undefined
  /** Which entries each disk has, by their chains. */
  readonly copies: Map<PeerId, Map<number, string>>
  readonly known: Map<string, { readonly entry: LogEntry; readonly previous: string | undefined; readonly holders: Set<PeerId> }>
  /** Said of entries that no disk had by then. */
  readonly pending: Map<PeerId, CommittedUpTo>
}

/** What one report has brought. */
export interface Reported {
  readonly fresh: readonly LogEntry[]
  readonly conflict?: Conflict
  /** A majority of the voters did not have it on their disks when it was called committed. */
  readonly isLoose: boolean
}

export interface GroupLogs {
  readonly logs: ReadonlyMap<GroupId, GroupLog>
  /** @returns the entries, each the one object that is kept of it. */
  synced(peer: PeerId, group: GroupId, entries: readonly LogEntry[], truncateFrom?: number): { readonly entries: readonly LogEntry[]; readonly fresh: readonly LogEntry[] }
  reported(peer: PeerId, group: GroupId, upTo: CommittedUpTo): Reported
}

export function createGroupLogs(): GroupLogs {
  const logs = new Map<GroupId, GroupLog>()

  function logOf(group: GroupId): GroupLog {
    let log = logs.get(group)
    if (log === undefined) logs.set(group, (log = { group, committed: [], reports: new Map(), membership: undefined, copies: new Map(), known: new Map(), pending: new Map() }))
    return log
  }

  return {
    logs,
    synced(peer, group, entries, truncateFrom = Infinity) {
      const log = logOf(group)
      const copy = log.copies.get(peer) ?? new Map<number, string>()
      log.copies.set(peer, copy)
      if (truncateFrom < Infinity) for (const index of [...copy.keys()]) if (index >= truncateFrom) copy.delete(index)
      const kept = entries.map((entry) => {
        const previous = entry.index === 1 ? chainOrigin : copy.get(entry.index - 1)
        const before = log.known.get(entry.chain)
        const known = before === undefined || (before.previous === undefined && previous !== undefined) ? { entry: before?.entry ?? entry, previous, holders: before?.holders ?? new Set<PeerId>() } : before
        if (known !== before) log.known.set(entry.chain, known)
        known.holders.add(peer)
        copy.set(entry.index, entry.chain)
        return known.entry
      })
      const fresh: LogEntry[] = []
      for (const [by, upTo] of log.pending) {
        const found = entriesUpTo(log, upTo)
        if (found === undefined || 'differs' in found) continue
        log.pending.delete(by)
        fresh.push(...take(log, found))
      }
      return { entries: kept, fresh }
    },
    reported(peer, group, upTo) {
      const log = logOf(group)
      log.reports.set(peer, upTo)
      const there = log.committed[upTo.index - 1]
      if (there !== undefined) return there.chain === upTo.chain ? { fresh: [], isLoose: false } : { fresh: [], isLoose: false, conflict: { peer, ...upTo } }
      // What lives in memory only is on no disk, and nobody can say what it was.
      if (log.copies.size === 0) return { fresh: [], isLoose: false }
      const isLoose = !isHeld(log, peer, upTo)
      const found = entriesUpTo(log, upTo)
      if (found === undefined) {
        log.pending.set(peer, upTo)
        return { fresh: [], isLoose }
      }
      if ('differs' in found) return { fresh: [], isLoose, conflict: { peer, ...upTo } }
      return { fresh: take(log, found), isLoose }
    },
  }
}

function take(log: GroupLog, entries: readonly LogEntry[]): readonly LogEntry[] {
  const fresh = entries.filter(({ index }) => index > log.committed.length)
  for (const entry of fresh) {
    log.committed.push(entry)
    if (entry.event.type === 'members') log.membership = entry.event.membership
  }
  return fresh
}

/** Back from there to what is known to be committed. @returns undefined while no disk has all of them. */
function entriesUpTo(log: GroupLog, { index, chain }: CommittedUpTo): LogEntry[] | { readonly differs: true } | undefined {
  const found: LogEntry[] = []
  let at: string | undefined = chain
  for (let wanted = index; wanted > log.committed.length; wanted--) {
    const known: { readonly entry: LogEntry; readonly previous: string | undefined } | undefined = at === undefined ? undefined : log.known.get(at)
    if (known === undefined || known.entry.index !== wanted) return undefined
    found.push(known.entry)
    at = known.previous
  }
  if (at === undefined) return undefined
  return at === (log.committed.at(-1)?.chain ?? chainOrigin) ? found.reverse() : { differs: true }
}

/** By the voters of that entry's time, or of a later time that the one who says so knows of. */
function isHeld(log: GroupLog, by: PeerId, { index, chain }: CommittedUpTo): boolean {
  const holders = log.known.get(chain)?.holders ?? new Set<PeerId>()
  const memberships: Membership[] = []
  let inForce = log.membership
  const copies = [log.copies.get(by), ...log.copies.values()]
  for (const copy of copies) {
    if (copy === undefined || (copy.has(index) && copy.get(index) !== chain)) continue
    for (const [at, held] of copy) {
      if (at <= log.committed.length) continue
      const event = log.known.get(held)?.entry.event
      if (event?.type !== 'members') continue
      if (at <= index) inForce = event.membership
      else memberships.push(event.membership)
    }
  }
  return [...(inForce === undefined ? [] : [inForce]), ...memberships].some((membership) => isMajority(membership, ({ peer }) => holders.has(peer)))
}

/** Of the voters, and of those that leave while there are two sets. */
export function isMajority(membership: Membership, holds: (member: Member) => boolean): boolean {
  const most = (voters: readonly Member[]): boolean => voters.filter(holds).length * 2 > voters.length
  return most(membership.voters) && (membership.outgoing === undefined || most(membership.outgoing))
}
