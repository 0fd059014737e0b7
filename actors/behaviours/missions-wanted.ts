/**
 * A worker of this node that has not heard from its manager for long asks whether its award is still wanted. Whoever leads the
 * mission by now knows; once it has ended, anybody does.
 */
import type { ActorAddress, AwardId, Epoch, MissionId, PeerId } from '../../protocols/kernel/ids.ts'
import type { Fault } from '../../protocols/kernel/errors.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { MissionClaim } from '../../protocols/membership/schema.ts'
import type { EndedMission } from '../../protocols/replicated-log/schema.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext } from '../runtime/actor.ts'
import { tell, type Effect } from '../runtime/effects.ts'
import type { MissionsState } from './missions-state.ts'

const prefix = 'wanted '

export function isAboutWanted(tag: string): boolean {
  return tag.startsWith(prefix)
}

function missionOf(awardId: AwardId): MissionId {
  return awardId.slice(0, awardId.indexOf(':')) as MissionId
}

/** From a worker of this node, or from the desk of one: only a worker's own desk asks further. */
export function stillWanted(state: MissionsState, awardId: AwardId, asker: ActorAddress, context: ActorContext): Effect[] {
  const missionId = missionOf(awardId)
  if (!state.ready || state.damaged.has(missionId)) return []
  const name = actorNames.orchestrator(missionId)
  if (state.groups.get(missionId)?.led !== undefined && context.exists(name)) return [tell(at(context.self.peer, name), { kind: 'still-wanted', awardId, worker: asker })]
  if (asker.peer !== context.self.peer) return []
  const [oldest] = state.wanted.keys()
  if (state.wanted.size >= limits.whereaboutsKept && oldest !== undefined) state.wanted.delete(oldest)
  state.wanted.set(awardId, { worker: asker, asked: new Set() })
  return [{ type: 'read-ended', which: { missionId }, tag: `${prefix}${awardId}` }]
}

export function onWantedEnded(state: MissionsState, tag: string, ended: readonly EndedMission[], context: ActorContext): Effect[] {
  const awardId = tag.slice(prefix.length) as AwardId
  if (ended.length > 0) return callOff(state, awardId, 'the mission is over')
  return [tell(at(context.self.peer, actorNames.registrar), { kind: 'find-mission', tag, missionId: missionOf(awardId) })]
}

/** Its members are asked: the one that leads it answers if the award is not wanted any more. */
export function onWantedFound(state: MissionsState, tag: string, claim: MissionClaim | undefined, problem: Fault | undefined, context: ActorContext): Effect[] {
  const awardId = tag.slice(prefix.length) as AwardId
  const waiting = state.wanted.get(awardId)
  if (waiting === undefined) return []
  if (claim?.endedAtWallMs !== undefined || problem?.code === 'unknown-mission') return callOff(state, awardId, 'the mission is over')
  const leader = state.groups.get(missionOf(awardId))?.leader
  const members = [...new Set([...(leader === undefined ? [] : [leader]), ...(claim?.members ?? [])])].filter((peer) => peer !== context.self.peer && context.connected(peer))
  for (const peer of members) waiting.asked.add(peer)
  return members.map((peer) => tell(at(peer, actorNames.missions), { kind: 'renew', round: 0, leases: [{ awardId }] }))
}

/** The leader's answer. */
export function onUnwanted(state: MissionsState, awardId: AwardId, reason: string, epoch: Epoch | undefined, from: PeerId): Effect[] {
  return state.wanted.get(awardId)?.asked.has(from) === true ? callOff(state, awardId, reason, epoch) : []
}

function callOff(state: MissionsState, awardId: AwardId, reason: string, epoch?: Epoch): Effect[] {
  const waiting = state.wanted.get(awardId)
  state.wanted.delete(awardId)
  return waiting === undefined ? [] : [tell(waiting.worker, { kind: 'cancel', awardId, reason, ...(epoch === undefined ? {} : { epoch }) })]
}
