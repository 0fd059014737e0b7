/** Which blobs the logs of this node cite: asked before any are freed, answered a few groups at a time. */
import type { ActorAddress, Digest, GroupId } from '../../../protocols/kernel/ids.ts'
import { isMissionGroup } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { blobRefsIn, type BlobRef } from '../../../protocols/kernel/payload.ts'
import { entriesOf, viewOf } from '../../../protocols/replicated-log/raft.ts'
import type { EndedMission } from '../../../protocols/replicated-log/schema.ts'
import { tell, type Effect } from '../../runtime/effects.ts'
import type { Group, LogKeeperState } from './log-keeper-state.ts'

export function findCitations(state: LogKeeperState, asked: { readonly tag: string; readonly digests: ReadonlySet<Digest>; readonly after?: GroupId }, to: ActorAddress): Effect[] {
  const doubt = doubtOf(state)
  if (doubt !== undefined) return [tell(to, { kind: 'citations-found', tag: asked.tag, cited: [], within: [], doubt })]
  const named = new Set<Digest>()
  const within = new Map<Digest, BlobRef>()
  let entriesLeft = limits.citationsEntriesAtOnce
  const after = asked.after ?? ''
  const ids = [...state.groups.keys()].filter((id) => id > after).sort()
  let next: GroupId | undefined
  for (const id of ids) {
    const group = state.groups.get(id) as Group
    if (entriesLeft <= 0) break
    entriesLeft -= noteGroup(group, (ref) => noteValue(ref, named, within))
    next = id
  }
  const isLast = next === undefined || next === ids.at(-1)
  // Those that ended a moment ago, or are about to, are in no list yet, and what their archives are in no log.
  if (isLast) for (const ended of [...state.ending.values(), ...state.waitingEnded, ...state.writingEnded]) for (const digest of blobsOf(ended)) named.add(digest)
  const cited = [...named].filter((digest) => asked.digests.has(digest))
  const leaderless = [...state.groups.values()].find(({ group, leaderlessSinceMs }) => leaderlessSinceMs !== undefined && isMissionGroup(group))?.group
  return [tell(to, { kind: 'citations-found', tag: asked.tag, cited, within: [...within.values()], ...(leaderless === undefined ? {} : { leaderless }), ...(isLast || next === undefined ? {} : { next }) })]
}

export function blobsOf({ archive, cites }: EndedMission): Digest[] {
  return 'blob' in archive ? [archive.blob.$blob, ...cites] : [...cites]
}

/** Notes a reference that was met, and that it must be looked into if it is a value that was too large for where it stands: what it cites is in it. */
export function noteValue(ref: BlobRef, named: Set<Digest>, within: Map<Digest, BlobRef>): void {
  named.add(ref.$blob)
  if (ref.mediaType === 'application/json' && ref.name === undefined) within.set(ref.$blob, ref)
}

/** What cannot be read may cite anything. */
function doubtOf(state: LogKeeperState): string | undefined {
  const [damaged] = state.damaged
  if (damaged !== undefined) return `the log of ${damaged} cannot be read`
  if (state.installing.size > 0) return 'a snapshot is being fetched'
  // Until it is synced, the disk has the one before.
  if ([...state.waiting, ...state.writing].some(({ persist }) => persist.snapshot !== undefined)) return 'a snapshot is being written'
  return undefined
}

/** @returns the number of entries that were looked through. */
function noteGroup(group: Group, note: (ref: BlobRef) => void): number {
  if (group.snapshot !== undefined) for (const ref of blobRefsIn(group.snapshot.state)) note('blob' in group.snapshot.state ? { ...ref, mediaType: 'application/json' } : ref)
  if (!isMissionGroup(group.group)) return 1
  const entries = entriesOf(group.raft, viewOf(group.raft).base.index + 1)
  for (const ref of blobRefsIn(entries.map(({ event }) => event))) note(ref)
  return 1 + entries.length
}
