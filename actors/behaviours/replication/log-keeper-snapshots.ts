/** Snapshots: a host folds its log into one, members that are behind are sent it, and the log before it goes. */
import type { Fault } from '../../../protocols/kernel/errors.ts'
import { headOf, viewOf } from '../../../protocols/replicated-log/raft.ts'
import type { LogSnapshot } from '../../../protocols/replicated-log/schema.ts'
import type { ActorContext } from '../../runtime/actor.ts'
import { fact, type Effect } from '../../runtime/effects.ts'
import { step, tellCommitted } from './log-keeper-drive.ts'
import { tailOf, type LogKeeperInit, type LogKeeperState } from './log-keeper-state.ts'
import type { GroupId } from '../../../protocols/kernel/ids.ts'

/** The state is on this disk already: as a blob, when it is large. */
export function onSnapshotTaken(init: LogKeeperInit, state: LogKeeperState, groupId: GroupId, snapshot: LogSnapshot, context: ActorContext): Effect[] {
  const group = state.groups.get(groupId)
  if (group === undefined || snapshot.at.index <= (group.snapshot?.at.index ?? 0) || snapshot.at.index > viewOf(group.raft).commit) return []
  group.snapshot = snapshot
  const dropBelow = Math.max(1, snapshot.at.index + 1 - tailOf(init, groupId))
  if (group.durable) state.waiting.push({ group, persist: { number: 0, head: headOf(group.raft), snapshot, dropBelow, entries: [] } })
  return [fact('debug', 'group.snapshot', { group: groupId, index: snapshot.at.index }), ...step(state, group, { type: 'compacted', snapshot, dropBelow }, context)]
}

export function onInstallFetched(state: LogKeeperState, tag: string, problem: Fault | undefined, context: ActorContext): Effect[] {
  const groupId = state.installing.get(tag)
  state.installing.delete(tag)
  const group = groupId === undefined ? undefined : state.groups.get(groupId)
  const snapshot = group?.incoming
  if (group === undefined || snapshot === undefined) return []
  group.incoming = undefined
  if (problem === undefined) group.snapshot = snapshot
  const effects = step(state, group, { type: 'installed', ok: problem === undefined }, context)
  return problem === undefined && group.group === 'roster' ? [...effects, tellCommitted(group, [], context, true)] : effects
}
