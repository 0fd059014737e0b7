/**
 * Logs that are led here and in which no mission was begun: their founder stopped between the claim and the first events. Whoever names
 * the same key again begins it; after a week nobody will. Such a log is closed: `archived` is committed, so that no later leader begins
 * it, then its members let go of it.
 */
import { fault, type Fault } from '../../protocols/kernel/errors.ts'
import type { MissionId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { peersOf } from '../../protocols/membership/members.ts'
import { extend, logOrigin } from '../../protocols/replicated-log/chain.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'
import { clockJump, readClocks } from './clock-jumps.ts'
import { isClosed, unbegun, type MissionsState } from './missions-state.ts'
import type { LedLog } from './orchestrator-state.ts'

const lookMs = 10 * 60_000
const prefix = 'close '

export const nextLook: Effect = { type: 'set-timer', key: 'unbegun', delayMs: lookMs, message: { kind: 'tick', what: 'unbegun' } }

export function closeUnbegun(state: MissionsState, context: ActorContext): Effect[] {
  const jumpMs = state.clocksSeen === undefined ? undefined : clockJump(state.clocksSeen, context)
  state.clocksSeen = readClocks(context)
  if (jumpMs !== undefined) return [nextLook]
  return [nextLook, ...[...state.groups].flatMap(([missionId, { led }]) => (led === undefined || state.closing.has(missionId) ? [] : closeIfDue(state, missionId, led, context)))]
}

function closeIfDue(state: MissionsState, missionId: MissionId, led: LedLog, context: ActorContext): Effect[] {
  const [first] = led.entries
  const isOld = first !== undefined && unbegun(state, missionId, context) !== undefined && context.wallMs - first.event.atWallMs >= limits.unbegunKeptMs
  // One that an earlier leader has closed, and did not live to let go of.
  if (!isOld && !isClosed(led)) return []
  state.closing.add(missionId)
  const entries = extend(led.entries.at(-1) ?? logOrigin, led.epoch, [{ type: 'archived', atWallMs: context.wallMs, archive: { inline: null } }])
  return [tell(at(context.self.peer, actorNames.logKeeper), { kind: 'append', tag: `${prefix}${missionId}`, group: missionId, entries })]
}

/** The answer to an append of this desk: the only ones are those above. */
export function onAppended(state: MissionsState, tag: string, problem: Fault | undefined, context: ActorContext): Effect[] {
  const missionId = tag.slice(prefix.length) as MissionId
  if (!tag.startsWith(prefix) || !state.closing.delete(missionId)) return []
  const led = state.groups.get(missionId)?.led
  // It is looked at again in a while, by whoever leads it then.
  if (problem !== undefined || led === undefined) return []
  state.groups.delete(missionId)
  const { self, wallMs } = context
  return [
    fact('info', 'mission.never-begun', { mission: missionId }),
    tell(at(self.peer, actorNames.registrar), { kind: 'tell-registrar', missionId, members: peersOf(led.membership), endedAtWallMs: wallMs, epoch: led.epoch }),
    tell(at(self.peer, actorNames.logKeeper), { kind: 'end-unbegun', group: missionId }),
  ]
}

/** What is said of a log that was closed, while it is here still. @returns undefined for any other */
export function closedFault(state: MissionsState, missionId: MissionId): Fault | undefined {
  const led = state.groups.get(missionId)?.led
  if (!state.closing.has(missionId) && (led === undefined || !isClosed(led))) return undefined
  return fault('unknown-mission', `mission ${missionId} was never begun: the node it was handed to stopped before that, and nobody submitted it again for a week`, { next: 'submit it under a new key' })
}
