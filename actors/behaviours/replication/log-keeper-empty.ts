/**
 * Copies that were joined because somebody asked for a vote, and were never sent anything: the mission was never begun, or goes on
 * without this node. What is left of one is whom it had voted for. That is kept on the disk, and the copy goes; whoever speaks of the log
 * again finds it as it was.
 */
import { isMissionGroup } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { headOf, viewOf } from '../../../protocols/replicated-log/raft.ts'
import type { ActorContext } from '../../runtime/actor.ts'
import { fact, type Effect } from '../../runtime/effects.ts'
import { formerCopy } from './log-keeper-names.ts'
import type { Group, LogKeeperInit, LogKeeperState } from './log-keeper-state.ts'

/** It was joined to vote, and holds nothing yet. */
export function isEmpty({ raft, incoming }: Group): boolean {
  const { last, membership, snapshot } = viewOf(raft)
  return last.index === 0 && membership === undefined && snapshot === undefined && incoming === undefined
}

/** Those that nobody leads for as long as a member may be silent. */
export function putEmptyCopiesAway(init: LogKeeperInit, state: LogKeeperState, context: ActorContext): Effect[] {
  const { nowMs } = context
  const idle = [...state.groups.values()].filter((group) => group.leaderlessSinceMs !== undefined && nowMs - group.leaderlessSinceMs >= init.tuning.memberSilentMs && isMissionGroup(group.group) && isEmpty(group))
  return idle.flatMap(({ group, incarnation, raft }) => {
    state.groups.delete(group)
    state.waitingRemoved.push(group)
    state.waitingFormer.push({ ...formerCopy(group, undefined, context), voted: { as: incarnation, head: headOf(raft) }, untilWallMs: context.wallMs + limits.sealedCopyKeptMs })
    return [{ type: 'clear-timer' as const, key: `raft ${group}` }, fact('debug', 'group.put-away', { group })]
  })
}
