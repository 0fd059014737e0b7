import { describe, expect, it } from 'vitest'
import type { Incarnation, MissionId, Principal } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import { decodeRegistrar, emptyRegistrar, encodeRegistrar, foldRegistrar, hasExpired, judgeClaim, judgeMoved, registrarVersion, type RegistrarState } from '../../../protocols/membership/registrar.ts'
import { RegistrarEvent, type MissionClaim } from '../../../protocols/membership/schema.ts'
import { peerOf } from './members.ts'

const day = 24 * 60 * 60_000
const archiveKeptMs = 30 * day
const idOf = (n: number): MissionId => `m-00abcdef-${String(n).padStart(12, '0')}` as MissionId

function claimOf(n: number, more: Partial<MissionClaim> = {}): MissionClaim {
  return { missionId: idOf(n), principal: 'local' as Principal, key: `key ${n}`, requestDigest: `digest ${n}`, members: [peerOf('a')], atWallMs: 1_000, ...more }
}

function keyless(n: number): MissionClaim {
  const { key: _, ...claim } = claimOf(n)
  return claim
}

const claimed = (claim: MissionClaim): RegistrarEvent => ({ type: 'claimed', atWallMs: 1_000, claim })
const moved = (n: number, names: string[], more: Partial<Extract<RegistrarEvent, { type: 'mission-moved' }>> = {}) => ({ type: 'mission-moved' as const, atWallMs: 2_000, missionId: idOf(n), members: names.map(peerOf), ...more })
const expired = (atWallMs: number): RegistrarEvent => ({ type: 'claims-expired', atWallMs, archiveKeptMs })

function fold(...events: RegistrarEvent[]): RegistrarState {
  const state = emptyRegistrar()
  for (const event of events) foldRegistrar(state, RegistrarEvent.parse(event))
  return state
}

describe('claims', () => {
  const held = () => fold(claimed(claimOf(1)), claimed(keyless(2)))

  it.each([
    ['another key', claimOf(3), 'apply'],
    ['no key', keyless(3), 'apply'],
    ['the same claim again', claimOf(1), 'holds'],
    ['the same claim without a key again', keyless(2), 'holds'],
    ['the same key and request, for a mission of its own', claimOf(3, { key: 'key 1', requestDigest: 'digest 1' }), 'holds'],
    ['the same key, another request', claimOf(3, { key: 'key 1' }), 'conflict'],
    ['the same mission, another request', claimOf(1, { key: 'another', requestDigest: 'another' }), 'conflict'],
    ['another principal’s mission', claimOf(2, { principal: 'other' as Principal, requestDigest: 'digest 2' }), 'conflict'],
    ['another principal’s key', claimOf(3, { principal: 'other' as Principal, key: 'key 1' }), 'apply'],
  ])('%s', (_what, claim, verdict) => {
    const state = held()
    expect(judgeClaim(state, claim).verdict).toBe(verdict)
    const before = JSON.stringify(encodeRegistrar(state))
    foldRegistrar(state, claimed(claim))
    if (verdict === 'apply') expect(judgeClaim(state, claim)).toEqual({ verdict: 'holds', claim })
    else expect(JSON.stringify(encodeRegistrar(state)), 'the first holds').toBe(before)
  })

  it('the mission that holds is named', () => {
    expect(judgeClaim(held(), claimOf(3, { key: 'key 1', requestDigest: 'digest 1' }))).toEqual({ verdict: 'holds', claim: claimOf(1) })
  })
})

describe('a claim in place of one whose mission can never begin', () => {
  const instead = (n: number, replaces: number, more: Partial<MissionClaim> = {}) => claimOf(n, { key: 'key 1', requestDigest: 'digest 1', replaces: idOf(replaces), ...more })
  const held = (...events: RegistrarEvent[]) => fold(claimed(claimOf(1)), claimed(claimOf(2)), ...events)

  it.each([
    ['that the key names', instead(3, 1), [], 'apply'],
    ['that it named until another was claimed in its place', instead(4, 1), [claimed(instead(3, 1))], 'holds'],
    ['again, the same claim', instead(3, 1), [claimed(instead(3, 1))], 'holds'],
    ['and then in place of that', instead(4, 3), [claimed(instead(3, 1))], 'apply'],
    ['that another key names', instead(3, 2), [], 'holds'],
    ['that nobody claimed', instead(3, 9), [], 'holds'],
    ['with the id of another mission', instead(2, 1), [], 'holds'],
    ['for another request', instead(3, 1, { requestDigest: 'another' }), [], 'conflict'],
    ['for another principal, whose key is free', instead(3, 1, { principal: 'other' as Principal }), [], 'apply'],
    ['that has begun', instead(3, 1), [moved(1, ['b'], { epoch: { lineage: 1, term: 2 } })], 'holds'],
    ['that has ended', instead(3, 1), [moved(1, ['a'], { endedAtWallMs: 5_000 })], 'holds'],
  ] as const)('%s', (_what, claim, events, verdict) => {
    const state = held(...events)
    expect(judgeClaim(state, claim).verdict).toBe(verdict)
    const before = structuredClone(state)
    foldRegistrar(state, claimed(claim))
    if (verdict === 'apply') expect(state.claims.get(claim.missionId)).toEqual(claim)
    else expect(state).toEqual(before)
    expect(state.claims.size, 'one mission for a key').toBe(state.keys.size)
  })

  it('the key names it, the other is forgotten, and its claim that comes late is answered with it', () => {
    const state = held(claimed(instead(3, 1)))
    expect(state.keys.get('local key 1')).toBe(idOf(3))
    expect([...state.claims.keys()]).toEqual([idOf(2), idOf(3)])
    expect(judgeClaim(state, claimOf(1))).toEqual({ verdict: 'holds', claim: instead(3, 1) })
    expect(judgeMoved(state, moved(1, ['b']))).toBe('unknown')
  })

  it('where a mission has moved, its first members say nothing any more', () => {
    const state = fold(claimed(claimOf(1, { incarnations: ['aaaaaa' as Incarnation] })), moved(1, ['b']))
    expect(state.claims.get(idOf(1))).toEqual({ ...claimOf(1), members: [peerOf('b')] })
  })
})

describe('where a mission is', () => {
  it('is what was said last', () => {
    const state = fold(claimed(claimOf(1)), moved(1, ['b', 'c']))
    expect(state.claims.get(idOf(1))).toEqual({ ...claimOf(1), members: [peerOf('b'), peerOf('c')] })
    expect([judgeMoved(state, moved(1, ['b', 'c'])), judgeMoved(state, moved(1, ['b'])), judgeMoved(state, moved(9, ['b']))]).toEqual(['already', 'apply', 'unknown'])
    foldRegistrar(state, moved(9, ['b']))
    expect(state.claims.has(idOf(9))).toBe(false)
  })

  it('is not what an earlier leader says late', () => {
    const state = fold(claimed(claimOf(1)), moved(1, ['b', 'c'], { epoch: { lineage: 1, term: 3 } }))
    const late = moved(1, ['a'], { epoch: { lineage: 1, term: 2 } })
    expect(judgeMoved(state, late)).toBe('already')
    foldRegistrar(state, late)
    expect(state.claims.get(idOf(1))?.members).toEqual([peerOf('b'), peerOf('c')])
    foldRegistrar(state, moved(1, ['a'], { epoch: { lineage: 2, term: 1 } }))
    expect(state.claims.get(idOf(1))?.members).toEqual([peerOf('a')])
    // A new leader that has nothing else to say silences the old ones.
    foldRegistrar(state, moved(1, ['a'], { epoch: { lineage: 2, term: 3 } }))
    foldRegistrar(state, moved(1, ['b'], { epoch: { lineage: 2, term: 2 } }))
    expect(state.claims.get(idOf(1))?.members).toEqual([peerOf('a')])
  })

  it('an ended mission stays ended', () => {
    const state = fold(claimed(claimOf(1)), moved(1, ['a'], { endedAtWallMs: 5_000 }), moved(1, ['b']))
    expect(state.claims.get(idOf(1))).toEqual({ ...claimOf(1), members: [peerOf('b')], endedAtWallMs: 5_000 })
    expect(judgeMoved(state, moved(1, ['b'], { endedAtWallMs: 5_000 }))).toBe('already')
  })
})

describe('forgetting', () => {
  const end = 1_000_000
  const state = () => fold(claimed(claimOf(1)), claimed(keyless(2)), claimed(claimOf(3)), moved(1, ['a'], { endedAtWallMs: end }), moved(2, ['a'], { endedAtWallMs: end }))

  it('a key outlives its mission by seven days; then it is free, and the mission is still known', () => {
    const after = state()
    expect(hasExpired(after, end + limits.idempotencyKeyKeptMs, archiveKeptMs)).toBe(false)
    foldRegistrar(after, expired(end + limits.idempotencyKeyKeptMs))
    expect(judgeClaim(after, claimOf(4, { key: 'key 1' })).verdict).toBe('conflict')
    expect(hasExpired(after, end + limits.idempotencyKeyKeptMs + 1, archiveKeptMs)).toBe(true)
    foldRegistrar(after, expired(end + limits.idempotencyKeyKeptMs + 1))
    expect(judgeClaim(after, claimOf(4, { key: 'key 1' })).verdict).toBe('apply')
    expect(after.claims.get(idOf(1))).toEqual({ ...keyless(1), endedAtWallMs: end })
    expect(hasExpired(after, end + limits.idempotencyKeyKeptMs + 1, archiveKeptMs)).toBe(false)
  })

  it('a mission is known while its archive is kept', () => {
    const after = state()
    foldRegistrar(after, expired(end + archiveKeptMs))
    expect([...after.claims.keys()]).toEqual([idOf(1), idOf(2), idOf(3)])
    foldRegistrar(after, expired(end + archiveKeptMs + 1))
    expect([...after.claims.keys()]).toEqual([idOf(3)])
    expect([...after.keys.values()]).toEqual([idOf(3)])
  })

  it('and no shorter than its key', () => {
    const after = state()
    foldRegistrar(after, { type: 'claims-expired', atWallMs: end + day + 1, archiveKeptMs: day })
    expect([...after.claims.keys()]).toEqual([idOf(1), idOf(3)])
  })

  it('what has not ended is not forgotten', () => {
    const after = state()
    foldRegistrar(after, expired(end * 1e6))
    expect([...after.claims.keys()]).toEqual([idOf(3)])
    expect(judgeClaim(after, claimOf(4, { key: 'key 3' })).verdict).toBe('conflict')
  })

  it('a claim without a key of which no owner has told is forgotten; with a key it waits, as does what an owner has told of', () => {
    const epoch = { lineage: 1, term: 1 }
    const after = fold(claimed(claimOf(1)), claimed(keyless(2)), claimed(keyless(3)), moved(3, ['a'], { epoch }))
    const kept = 1_000 + limits.unbegunClaimKeptMs
    expect(hasExpired(after, kept, archiveKeptMs)).toBe(false)
    foldRegistrar(after, expired(kept))
    expect([...after.claims.keys()]).toEqual([idOf(1), idOf(2), idOf(3)])
    expect(hasExpired(after, kept + 1, archiveKeptMs)).toBe(true)
    foldRegistrar(after, expired(kept + 1))
    expect([...after.claims.keys()]).toEqual([idOf(1), idOf(3)])
    expect(hasExpired(after, kept * 100, archiveKeptMs)).toBe(false)
  })
})

it('is the same after it was stored, and goes on alike', () => {
  for (let seed = 1; seed <= 50; seed++) {
    const random = seededRandom([seed, 5])
    const drawn = (): RegistrarEvent => {
      const n = random.below(8)
      const kind = random.below(10)
      if (kind < 1) return claimed(claimOf(8 + random.below(8), { key: `key ${random.below(5)}`, requestDigest: `digest ${random.below(2)}`, replaces: idOf(random.below(16)) }))
      if (kind < 4) return claimed(random.below(3) === 0 ? keyless(n) : claimOf(n, { key: `key ${random.below(5)}`, requestDigest: `digest ${random.below(2)}` }))
      if (kind < 9) return moved(n, ['a', 'b', 'c'].slice(random.below(3)), random.below(2) === 0 ? { endedAtWallMs: random.below(40) * day } : {})
      return expired(random.below(80) * day)
    }
    const one = fold(...Array.from({ length: 40 }, drawn))
    const other = decodeRegistrar(registrarVersion, JSON.parse(JSON.stringify(encodeRegistrar(one))) as unknown)
    if ('code' in other) throw new Error(other.detail)
    expect(other, `seed ${seed}`).toEqual(one)
    for (let i = 0; i < 40; i++) {
      const event = drawn()
      for (const state of [one, other]) foldRegistrar(state, event)
      expect(other, `seed ${seed}`).toEqual(one)
    }
    for (const [key, missionId] of one.keys) expect(one.claims.get(missionId), `seed ${seed}`).toMatchObject({ key: key.slice('local '.length) })
  }
  expect(decodeRegistrar(registrarVersion + 1, { claims: [] })).toMatchObject({ code: 'version-mismatch' })
  expect(decodeRegistrar(registrarVersion, [])).toMatchObject({ code: 'storage-failed' })
})
