/**
 * A key that names a mission which was claimed, and whose founder is gone, may be stuck: no log, and nobody who may found it. The other
 * members are asked to seal the mission. When all of them have, it can never be committed, and the key is claimed anew.
 */
import type { PeerId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { WallMs } from '../../protocols/kernel/units.ts'
import { hasBegun } from '../../protocols/membership/registrar.ts'
import type { MissionClaim } from '../../protocols/membership/schema.ts'
import type { MessageOf } from '../../protocols/wire.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext } from '../runtime/actor.ts'
import { tell, type Effect } from '../runtime/effects.ts'
import type { MissionsState, Sealing } from './missions-state.ts'

const prefix = 'seal '

/**
 * With fewer members than a mission's voters the founder decides alone, and nobody else can know what it did. And only for so
 * long does every node remember that it gave a copy up.
 */
export function isSealable({ key, members, incarnations, atWallMs }: MissionClaim, wallMs: WallMs): boolean {
  return key !== undefined && members.length >= limits.votersAimed && incarnations?.length === members.length && wallMs - atWallMs < limits.sealableMs
}

/**
 * Whether it is worth trying now: its founder is not there, and all that must agree are. Nothing depends on whether the founder
 * is truly gone: what a member says decides. Only whether the members still remember what they have given up since the claim is a
 * question of clocks (`isSealable`; R23), and they remember it for twice as long as they may be asked.
 */
export function maySeal(state: MissionsState, claim: MissionClaim, context: ActorContext): boolean {
  const [founder, ...others] = claim.members
  if (founder === undefined || !isSealable(claim, context.wallMs) || hasBegun(claim)) return false
  if (state.opening.has(claim.missionId) || state.groups.get(claim.missionId)?.led !== undefined) return false
  return isGone(state, claim, founder, context) && others.every((peer) => peer === context.self.peer || context.connected(peer))
}

function isGone(state: MissionsState, { incarnations }: MissionClaim, founder: PeerId, context: ActorContext): boolean {
  if (founder === context.self.peer) return incarnations?.[0] !== state.incarnation
  const replica = state.roster?.replicas.find(({ peer }) => peer === founder)
  return !context.connected(founder) || (replica !== undefined && replica.incarnation !== incarnations?.[0])
}

/** This node first, if it is one of them: it knows best whether it has a copy, and then the others are left alone. */
export function startSealing(state: MissionsState, tag: string, claim: MissionClaim, context: ActorContext): Effect[] {
  const { self } = context
  const others = claim.members.slice(1)
  const first = others.includes(self.peer) ? [self.peer] : others
  const sealing: Sealing = { tag, claim, waiting: new Set(), next: others.filter((peer) => !first.includes(peer)) }
  state.sealings.set(tag, sealing)
  return [...askThese(sealing, first), { type: 'set-timer', key: `${prefix}${tag}`, delayMs: limits.sealAnswerMs, message: { kind: 'tick', what: `${prefix}${tag}` } }]
}

function askThese({ claim, waiting }: Sealing, peers: readonly PeerId[]): Effect[] {
  const { missionId, members, incarnations = [] } = claim
  return peers.flatMap((peer) => {
    const toward = incarnations[members.indexOf(peer)]
    const founder = members[0]
    if (toward === undefined || founder === undefined) return []
    waiting.add(peer)
    return [tell(at(peer, actorNames.logKeeper), { kind: 'seal-ask', group: missionId, founder, toward })]
  })
}

/** What has become of a submission's sealing. */
export interface SealingEnded {
  readonly sealing: Sealing
  readonly isSealed: boolean
  readonly effects: Effect[]
}

/** A member's answer, for every submission that waits for it. */
export function hearSealed(state: MissionsState, { group, as, sealed }: MessageOf<'sealed'>, from: PeerId): { readonly effects: Effect[]; readonly ended: readonly SealingEnded[] } {
  const ended: SealingEnded[] = []
  const effects: Effect[] = []
  for (const sealing of [...state.sealings.values()]) {
    const { claim, waiting } = sealing
    if (claim.missionId !== group || !waiting.has(from) || claim.incarnations?.[claim.members.indexOf(from)] !== as) continue
    waiting.delete(from)
    const { next } = sealing
    if (!sealed) ended.push(end(state, sealing, false))
    else if (waiting.size === 0 && next.length === 0) ended.push(end(state, sealing, true))
    else if (waiting.size === 0) {
      sealing.next = []
      effects.push(...askThese(sealing, next))
    }
  }
  return { effects, ended }
}

/** Its timer: somebody has not answered. */
export function onSealTime(state: MissionsState, what: string): SealingEnded | undefined {
  const sealing = what.startsWith(prefix) ? state.sealings.get(what.slice(prefix.length)) : undefined
  return sealing === undefined ? undefined : end(state, sealing, false)
}

function end(state: MissionsState, sealing: Sealing, isSealed: boolean): SealingEnded {
  state.sealings.delete(sealing.tag)
  return { sealing, isSealed, effects: [{ type: 'clear-timer', key: `${prefix}${sealing.tag}` }] }
}
