/** Group commit: everything that is to be persisted after one turn, or while one write is being synced, goes into the next write. */
import type { RaftPersist } from '../../../protocols/replicated-log/raft.ts'
import type { GroupWrite } from '../../ports/log-store.ts'
import type { ActorContext } from '../../runtime/actor.ts'
import type { Effect } from '../../runtime/effects.ts'
import { watchSync } from './log-keeper-pace.ts'
import type { Group, LogKeeperState } from './log-keeper-state.ts'

/** At the end of a turn. */
export function writeNext(state: LogKeeperState, context: ActorContext): Effect[] {
  if (state.isWriting || state.broken) return []
  if (state.waiting.length === 0 && state.waitingEnded.length === 0 && state.waitingRemoved.length === 0) return []
  const ofGroups = new Map<Group, RaftPersist[]>()
  for (const { group, persist } of state.waiting) {
    const list = ofGroups.get(group)
    if (list === undefined) ofGroups.set(group, [persist])
    else list.push(persist)
  }
  // A group that has ended meanwhile is not written again. One that was given up, and joined anew before that was written, begins empty.
  const written = [...ofGroups].filter(([group]) => state.groups.get(group.group) === group)
  const anew = new Set(written.map(([group]) => group.group).filter((group) => state.waitingRemoved.includes(group)))
  const writes = written.map(([group, persists]) => merged(persists, anew.has(group.group) || state.waitingWiped.get(group.group) === group))
  const ended = state.waitingEnded
  const removed = state.waitingRemoved.filter((group) => !anew.has(group))
  const former = state.waitingFormer
  Object.assign(state, { writing: state.waiting, waiting: [], writingEnded: ended, waitingEnded: [], waitingRemoved: [], writingFormer: former, waitingFormer: [], waitingWiped: new Map(), isWriting: true, writeStartedAtMs: context.nowMs })
  return [
    { type: 'write-log', batch: { writes, ...(ended.length === 0 ? {} : { ended }), ...(removed.length === 0 ? {} : { removed }), ...(former.length === 0 ? {} : { former }) }, tag: 'batch' },
    watchSync(state.pace, context.nowMs),
  ]
}

/** Several steps of one group as one write: what a later step truncates is not written at all. */
function merged(persists: readonly RaftPersist[], wiped: boolean): GroupWrite {
  const last = persists.at(-1) as RaftPersist
  let entries: RaftPersist['entries'][number][] = []
  let truncateFrom: number | undefined
  let snapshot: RaftPersist['snapshot']
  let dropBelow: number | undefined
  let wipe = wiped
  for (const persist of persists) {
    if (persist.wipe === true) {
      wipe = true
      entries = []
      truncateFrom = snapshot = dropBelow = undefined
    }
    if (persist.snapshot !== undefined) {
      snapshot = persist.snapshot
      const { index } = snapshot.at
      entries = entries.filter((entry) => entry.index > index)
    }
    if (persist.dropBelow !== undefined) dropBelow = persist.dropBelow
    if (persist.truncateFrom !== undefined) {
      const from = persist.truncateFrom
      entries = entries.filter((entry) => entry.index < from)
      truncateFrom = Math.min(truncateFrom ?? from, from)
    }
    entries.push(...persist.entries)
  }
  const below = dropBelow
  return {
    head: last.head, entries: below === undefined ? entries : entries.filter((entry) => entry.index >= below), ...(wipe ? { wipe } : {}), ...(snapshot === undefined ? {} : { snapshot }),
    ...(dropBelow === undefined ? {} : { dropBelow }), ...(truncateFrom === undefined ? {} : { truncateFrom }),
  }
}
