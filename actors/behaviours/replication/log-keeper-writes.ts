/** What follows from a write: nobody hears of anything before it is synced, and after a failed sync nothing is believed any more. */
import { fault, type Fault } from '../../../protocols/kernel/errors.ts'
import { viewOf } from '../../../protocols/replicated-log/raft.ts'
import type { EndedMission } from '../../../protocols/replicated-log/schema.ts'
import { actorNames, at } from '../../names.ts'
import type { ActorContext } from '../../runtime/actor.ts'
import { fact, tell, type Effect } from '../../runtime/effects.ts'
import { noteSync, slowTimer, wasLate, watchSync } from './log-keeper-pace.ts'
import { step } from './log-keeper-drive.ts'
import type { Group, LogKeeperState } from './log-keeper-state.ts'

export function onWritten(state: LogKeeperState, problem: Fault | undefined, context: ActorContext): Effect[] {
  const { writing, writingEnded } = state
  Object.assign(state, { writing: [], writingEnded: [], writingFormer: [], isWriting: false })
  noteSync(state.pace, context.nowMs - state.writeStartedAtMs)
  if (problem !== undefined) {
    // After a failed sync nobody knows what is on the disk: only opening it again tells.
    state.broken = true
    const said = fault('storage-failed', 'the log store failed', { next: 'restart the node' })
    const refused = [...state.groups.values()].flatMap((group) => [...group.askers.values()].map(({ to, tag }) => tell(to, { kind: 'appended', tag, fault: said })))
    return [...refused, fact('error', 'log.write-failed', { detail: problem.detail }), { type: 'give-up', reason: `the log could not be written: ${problem.detail}` }]
  }
  const upTo = new Map<Group, number>()
  for (const { group, persist } of writing) upTo.set(group, Math.max(persist.number, upTo.get(group) ?? 0))
  const effects: Effect[] = [{ type: 'clear-timer', key: slowTimer }]
  for (const [group, number] of upTo) {
    if (state.groups.get(group.group) !== group) continue
    if (number >= group.foundedBy) group.foundedBy = 0
    const due = group.held.filter(({ after }) => after <= number)
    if (due.length > 0) {
      group.held.splice(0, group.held.length, ...group.held.filter(({ after }) => after > number))
      for (const { to, message } of due) effects.push(tell(at(to, actorNames.logKeeper), message))
    }
    effects.push(...step(state, group, { type: 'persisted', upTo: number }, context))
  }
  return [...effects, ...tellEnded(writingEnded, context)]
}

/**
 * A leader whose disk hangs holds everybody up: whoever else can leads instead. Only of what waits for that disk, and only where somebody's
 * disk was faster: when all are slow, or this node had no processor to hear of the sync, handing on costs much and brings nothing.
 */
export function onSlowSync(state: LogKeeperState, context: ActorContext): Effect[] {
  if (!state.isWriting) return []
  const isLate = wasLate(state.pace, context.nowMs)
  const again = watchSync(state.pace, context.nowMs)
  if (isLate) return [again]
  const heldUp = [...new Set([...state.writing, ...state.waiting].map(({ group }) => group))].filter((group) => state.groups.get(group.group) === group && viewOf(group.raft).role === 'leader')
  return [
    fact('warn', 'log.sync-slow', { sinceMs: Math.round(context.nowMs - state.writeStartedAtMs), usualMs: Math.round(state.pace.usualSyncMs), heldUp: heldUp.length }),
    ...heldUp.flatMap((group) => step(state, group, { type: 'step-down', reason: 'a sync takes too long', outrun: true }, context)),
    again,
  ]
}

function tellEnded(ended: readonly EndedMission[], context: ActorContext): Effect[] {
  return ended.map((record) => tell(at(context.self.peer, actorNames.missions), { kind: 'group-ended', ended: record }))
}
