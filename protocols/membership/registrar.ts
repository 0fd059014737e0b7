/** One registrar shard: which mission an idempotency key names, and who keeps its log. The fold of the shard's log. */
import { z } from 'zod'
import { fault, type Fault } from '../kernel/errors.ts'
import { compareEpochs, type MissionId, type Principal } from '../kernel/ids.ts'
import { limits } from '../kernel/limits.ts'
import type { Json } from '../kernel/payload.ts'
import type { DurationMs, WallMs } from '../kernel/units.ts'
import { MissionClaim, type RegistrarEvent } from './schema.ts'

/** Changed in place: a shard may hold many thousands. */
export interface RegistrarState {
  readonly claims: Map<MissionId, MissionClaim>
  /** `principal key` → the mission it names. */
  readonly keys: Map<string, MissionId>
}

/** The shape of `encodeRegistrar`. */
export const registrarVersion = 1
const StoredRegistrar = z.object({ claims: z.array(MissionClaim) })

export function emptyRegistrar(): RegistrarState {
  return { claims: new Map(), keys: new Map() }
}

export type ClaimVerdict =
  | { readonly verdict: 'apply' }
  /** An earlier claim holds: the same one, or another mission's under the same key and for the same request. */
  | { readonly verdict: 'holds'; readonly claim: MissionClaim }
  /** The key, or the id, was used for another request. */
  | { readonly verdict: 'conflict'; readonly claim: MissionClaim }

/** First come, first served: what was claimed first holds for whoever asks for the same, until it is known that it can never begin. */
export function judgeClaim(state: RegistrarState, claim: MissionClaim): ClaimVerdict {
  const holder = claim.key === undefined ? undefined : state.keys.get(keyOf(claim.principal, claim.key))
  const earlier = state.claims.get(holder ?? claim.missionId)
  if (earlier === undefined) return { verdict: 'apply' }
  const same = earlier.principal === claim.principal && earlier.requestDigest === claim.requestDigest
  if (same && holder !== undefined && claim.replaces === holder && !hasBegun(earlier) && !state.claims.has(claim.missionId)) return { verdict: 'apply' }
  return { verdict: same ? 'holds' : 'conflict', claim: earlier }
}

/** A leader has said where it is, or that it has ended. That none has does not tell that it never began. */
export function hasBegun(claim: MissionClaim): boolean {
  return claim.epoch !== undefined || claim.endedAtWallMs !== undefined
}

/** Whether it says something new. What an earlier leader of the mission says late is not. */
export function judgeMoved(state: RegistrarState, event: Omit<Extract<RegistrarEvent, { type: 'mission-moved' }>, 'type' | 'atWallMs'>): 'apply' | 'already' | 'unknown' {
  const claim = state.claims.get(event.missionId)
  if (claim === undefined) return 'unknown'
  const newer = event.epoch === undefined ? 0 : claim.epoch === undefined ? 1 : compareEpochs(event.epoch, claim.epoch)
  if (newer < 0) return 'already'
  const members = claim.members.length === event.members.length && claim.members.every((peer, i) => peer === event.members[i])
  const ending = event.endedAtWallMs === undefined || event.endedAtWallMs === claim.endedAtWallMs
  return members && ending && newer === 0 ? 'already' : 'apply'
}

export function foldRegistrar(state: RegistrarState, event: RegistrarEvent): void {
  switch (event.type) {
    case 'claimed': {
      if (judgeClaim(state, event.claim).verdict !== 'apply') return
      if (event.claim.key !== undefined && event.claim.replaces !== undefined) forget(state, event.claim.principal, event.claim.key)
      put(state, event.claim)
      return
    }
    case 'mission-moved': {
      const claim = state.claims.get(event.missionId)
      if (claim === undefined || judgeMoved(state, event) !== 'apply') return
      const { incarnations: _, ...rest } = claim
      put(state, {
        ...rest, members: event.members,
        ...(event.endedAtWallMs === undefined ? {} : { endedAtWallMs: event.endedAtWallMs }),
        ...(event.epoch === undefined ? {} : { epoch: event.epoch }),
      })
      return
    }
    case 'claims-expired':
      for (const claim of [...state.claims.values()]) expire(state, claim, event.atWallMs, event.archiveKeptMs)
  }
}

/** Whether there is anything to append `claims-expired` for. */
export function hasExpired(state: RegistrarState, wallMs: WallMs, archiveKeptMs: DurationMs): boolean {
  for (const claim of state.claims.values()) if (keyExpired(claim, wallMs) || isUnheardOf(claim, wallMs) || isForgotten(claim, wallMs, archiveKeptMs)) return true
  return false
}

/** A mission is known for as long as its archive is kept, and at least as long as its key. */
function expire(state: RegistrarState, claim: MissionClaim, wallMs: WallMs, archiveKeptMs: DurationMs): void {
  if (claim.key !== undefined && keyExpired(claim, wallMs)) {
    state.keys.delete(keyOf(claim.principal, claim.key))
    const { key: _, ...rest } = claim
    claim = rest
    state.claims.set(claim.missionId, claim)
  }
  if (isUnheardOf(claim, wallMs) || isForgotten(claim, wallMs, archiveKeptMs)) state.claims.delete(claim.missionId)
}

function keyExpired(claim: MissionClaim, wallMs: WallMs): boolean {
  return claim.key !== undefined && claim.endedAtWallMs !== undefined && wallMs - claim.endedAtWallMs > limits.idempotencyKeyKeptMs
}

/** No owner has told of it for as long as none could live without doing so. One with a key waits for its founder: the key must not name two. */
function isUnheardOf(claim: MissionClaim, wallMs: WallMs): boolean {
  return claim.key === undefined && !hasBegun(claim) && wallMs - claim.atWallMs > limits.unbegunClaimKeptMs
}

function isForgotten(claim: MissionClaim, wallMs: WallMs, archiveKeptMs: DurationMs): boolean {
  return (claim.key === undefined || keyExpired(claim, wallMs)) && claim.endedAtWallMs !== undefined && wallMs - claim.endedAtWallMs > archiveKeptMs
}

/** The mission that the key has named until now. */
function forget(state: RegistrarState, principal: Principal, key: string): void {
  const missionId = state.keys.get(keyOf(principal, key))
  if (missionId !== undefined) state.claims.delete(missionId)
}

function put(state: RegistrarState, claim: MissionClaim): void {
  state.claims.set(claim.missionId, claim)
  if (claim.key !== undefined) state.keys.set(keyOf(claim.principal, claim.key), claim.missionId)
}

/** A principal holds no space. */
function keyOf(principal: Principal, key: string): string {
  return `${principal} ${key}`
}

/** For a snapshot of the log. */
export function encodeRegistrar(state: RegistrarState): Json {
  return { claims: [...state.claims.values()].map((claim) => ({ ...claim })) } as unknown as Json
}

export function decodeRegistrar(version: number, stored: unknown): RegistrarState | Fault {
  if (version !== registrarVersion) return fault('version-mismatch', `a snapshot of a registrar shard has version ${version}, this node reads ${registrarVersion}`, { next: 'run the release that wrote it, or a later one' })
  const parsed = StoredRegistrar.safeParse(stored)
  if (!parsed.success) return fault('storage-failed', `a snapshot of a registrar shard cannot be read: ${z.prettifyError(parsed.error).slice(0, 500)}`)
  const state = emptyRegistrar()
  for (const claim of parsed.data.claims) put(state, claim)
  return state
}
