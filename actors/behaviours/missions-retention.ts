/** Archives are kept for their time, then they and the blobs that nothing else cites are freed. */
import type { EndedMission } from '../../protocols/replicated-log/schema.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext } from '../runtime/actor.ts'
import { tell, type Effect } from '../runtime/effects.ts'
import type { MissionsState } from './missions-state.ts'

const lookMs = 60_000
/** So many are forgotten at a time: the disk is for those that live. */
const atOnceMax = 256

export function lookForExpired(): Effect {
  return { type: 'set-timer', key: 'expired', delayMs: lookMs, message: { kind: 'tick', what: 'expired' } }
}

export function forgetExpired(context: ActorContext): Effect[] {
  return [{ type: 'read-ended', which: { keptUntilWallMs: context.wallMs, max: atOnceMax }, tag: 'expired' }, lookForExpired()]
}

export function onExpired(_state: MissionsState, ended: readonly EndedMission[], context: ActorContext): Effect[] {
  return ended.length === 0 ? [] : [tell(at(context.self.peer, actorNames.logKeeper), { kind: 'forget-ended', ended })]
}
