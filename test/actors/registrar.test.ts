import { describe, expect, it } from 'vitest'
import { actorNames, at } from '../../actors/names.ts'
import type { ActorMessage } from '../../actors/messages.ts'
import { fault } from '../../protocols/kernel/errors.ts'
import type { MissionId, Principal } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { missionIdFor, newMissionId, registrarShardOf, shardGroup, shardOfMission } from '../../protocols/membership/placement.ts'
import type { MissionClaim } from '../../protocols/membership/schema.ts'
import { membershipWorld, type FakeNode } from './membership-world.ts'

const principal = 'local' as Principal
const random = (n: number): string => String(n).padStart(12, '0')

function claimOf(node: FakeNode, n: number, key = 'key', requestDigest = 'digest'): MissionClaim {
  return { missionId: newMissionId(principal, key, 'abcdefgh', random(n)), principal, key, requestDigest, members: [node.peer], atWallMs: 1 }
}

const answer = (node: FakeNode, tag: string) => node.heard.find((message) => message.kind === 'claimed' && message.tag === tag) as Extract<ActorMessage, { kind: 'claimed' }> | undefined
const answers = (node: FakeNode, tag: string) => node.heard.filter((message) => message.kind === 'claimed' && message.tag === tag)

/** A founder, two more replicas and a worker, who all know the roster; every shard is kept by the three, and led by the first. */
async function mesh(tuning = {}) {
  const world = membershipWorld(tuning)
  const a = world.start('a', { founds: true })
  const b = world.start('b')
  const c = world.start('c')
  const w = world.start('w', { replica: false })
  await world.until('all are admitted', () => [a, b, c, w].every((node) => node.view()?.replicas.length === 3 && node.view()?.shards.every((members) => members.length === 1) === true))
  for (let shard = 0; shard < limits.registrarShards; shard++) world.want(shardGroup(shard), 'a', 'b', 'c')
  await world.until('all know who serves', () => [a, b, c, w].every((node) => node.view()?.shards.every((members) => members.length === 3) === true))
  const ask = (node: FakeNode, tag: string, claim: MissionClaim): void => node.desk(actorNames.registrar, { kind: 'claim-mission', tag, claim })
  const find = (node: FakeNode, tag: string, missionId: MissionId): void => node.desk(actorNames.registrar, { kind: 'find-mission', tag, missionId })
  const claimed = async (node: FakeNode, tag: string, claim: MissionClaim) => {
    ask(node, tag, claim)
    await world.until(`${tag} is answered`, () => answer(node, tag) !== undefined)
    return answer(node, tag)
  }
  const found = async (node: FakeNode, tag: string, missionId: MissionId) => {
    find(node, tag, missionId)
    await world.until(`${tag} is answered`, () => answer(node, tag) !== undefined)
    return answer(node, tag)
  }
  return { world, a, b, c, w, ask, claimed, found }
}

const cannotLead = (node: FakeNode) => node.heard.filter(({ kind }) => kind === 'cannot-lead')
const claimsIn = (world: ReturnType<typeof membershipWorld>, shard: number) => world.eventsOf(shardGroup(shard)).filter(({ type }) => type === 'claimed')

describe('claims', () => {
  it('hold wherever they are asked for, and are found from everywhere', async () => {
    const { a, b, w, claimed, found } = await mesh()
    for (const [i, node] of [a, b, w].entries()) {
      const claim = claimOf(node, i, `key ${i}`)
      expect(await claimed(node, `claim ${i}`, claim)).toEqual({ kind: 'claimed', tag: `claim ${i}`, claim })
      for (const asker of [a, b, w]) expect(await found(asker, `find ${i} ${asker.name}`, claim.missionId)).toMatchObject({ claim })
    }
  })

  it('of one key: the first mission, for whoever asks for the same; a conflict for another request', async () => {
    const { world, a, b, w, claimed } = await mesh()
    const first = claimOf(a, 1)
    await claimed(a, 'first', first)
    expect(await claimed(b, 'same', claimOf(b, 2))).toMatchObject({ claim: first })
    expect(await claimed(a, 'again', first)).toMatchObject({ claim: first })
    const other = await claimed(w, 'other', claimOf(w, 3, 'key', 'another'))
    expect(other).toMatchObject({ fault: { code: 'key-conflict', next: expect.any(String) } })
    expect(other?.claim).toBeUndefined()
    expect(claimsIn(world, registrarShardOf(principal, 'key'))).toHaveLength(1)
  })

  it('at the same time from everywhere: one mission, and nobody hears of it before it is committed', async () => {
    const { world, a, b, c, w, ask } = await mesh()
    const shard = registrarShardOf(principal, 'key')
    world.refuseWhen((message) => (message.kind === 'append' && message.group === shardGroup(shard) ? 'silence' : undefined))
    const nodes = [a, b, c, w]
    nodes.forEach((node, i) => ask(node, 'claim', claimOf(node, i)))
    await world.clock.runFor(3_000)
    for (const node of nodes) expect(answers(node, 'claim')).toEqual([])
    world.refuseWhen(undefined)
    world.lead(shardGroup(shard), 'b')
    await world.until('all are answered', () => nodes.every((node) => answer(node, 'claim') !== undefined))
    const ids = new Set(nodes.map((node) => answer(node, 'claim')?.claim?.missionId))
    expect(ids.size).toBe(1)
    expect([...ids][0]).toBeDefined()
    expect(claimsIn(world, shard)).toHaveLength(1)
    for (const node of nodes) expect(answers(node, 'claim'), 'answered once').toHaveLength(1)
  })

  it('go on after the leader’s death, and keep what was claimed', async () => {
    const { world, a, b, w, claimed } = await mesh()
    const claim = claimOf(a, 1)
    await claimed(a, 'first', claim)
    a.stop()
    for (let shard = 0; shard < limits.registrarShards; shard++) world.lead(shardGroup(shard), 'c')
    expect(await claimed(b, 'same', claimOf(b, 2))).toMatchObject({ claim })
    expect(await claimed(w, 'another', claimOf(w, 3, 'another'))).toMatchObject({ claim: { key: 'another' } })
  })

  it('whose outcome is unknown say so in the end; the same claim again is the same', async () => {
    const { world, w, claimed } = await mesh()
    const claim = claimOf(w, 1)
    const shard = shardOfMission(claim.missionId)
    world.refuseWhen((message) => (message.kind === 'append' && message.group === shardGroup(shard) ? 'silence' : undefined))
    const before = world.clock.clockFor('watch').monotonicMs()
    expect(await claimed(w, 'slow', claim)).toMatchObject({ fault: { code: 'timeout', retryable: true, next: expect.stringContaining('same key') } })
    expect(world.clock.clockFor('watch').monotonicMs() - before).toBeGreaterThanOrEqual(limits.askTimeoutMs)
    world.refuseWhen(undefined)
    world.lead(shardGroup(shard), 'a')
    expect(await claimed(w, 'retry', claim)).toMatchObject({ claim })
    expect(claimsIn(world, shard)).toHaveLength(1)
  })

  it('are not told to a shard they do not belong to', async () => {
    const { a, claimed } = await mesh()
    const shard = (registrarShardOf(principal, 'key') + 1) % limits.registrarShards
    const claim = { ...claimOf(a, 1), missionId: missionIdFor(shard, 'abcdefgh', random(1)) }
    expect(await claimed(a, 'misplaced', claim)).toMatchObject({ fault: { code: 'key-conflict' } })
    expect(a.facts.some(({ name }) => name === 'registrar.claim-misplaced')).toBe(true)
  })

  it('with a text that no disk keeps are one claim all the same', async () => {
    const { a, b, claimed } = await mesh()
    const first = claimOf(a, 1, 'k\ud800')
    expect(await claimed(a, 'first', first)).toMatchObject({ claim: { missionId: first.missionId, key: 'k\ufffd' } })
    expect(await claimed(b, 'same', claimOf(b, 2, 'k\ud800'))).toMatchObject({ claim: { missionId: first.missionId } })
    expect(await claimed(b, 'as stored', claimOf(b, 3, 'k\ufffd'))).toMatchObject({ claim: { missionId: first.missionId } })
  })
})

describe('asking', () => {
  it('without a roster, or a shard that is served, says what to do', async () => {
    const world = membershipWorld()
    const w = world.start('w', { replica: false })
    w.desk(actorNames.registrar, { kind: 'claim-mission', tag: 'claim', claim: claimOf(w, 1) })
    w.desk(actorNames.registrar, { kind: 'find-mission', tag: 'find', missionId: claimOf(w, 1).missionId })
    await world.until('both are answered', () => answer(w, 'claim') !== undefined && answer(w, 'find') !== undefined)
    for (const tag of ['claim', 'find']) expect(answer(w, tag)).toMatchObject({ fault: { code: 'owner-unreachable', retryable: true, next: expect.any(String) } })
  })

  it('waits for a roster that comes in time', async () => {
    const world = membershipWorld()
    const w = world.start('w', { replica: false })
    const claim = claimOf(w, 1)
    w.desk(actorNames.registrar, { kind: 'claim-mission', tag: 'claim', claim })
    await world.clock.runFor(2_000)
    world.start('a', { founds: true })
    await world.until('it is answered', () => answer(w, 'claim') !== undefined)
    expect(answer(w, 'claim')).toMatchObject({ claim })
  })

  it('a mission that nobody claimed is unknown, but only to a leader that still is one', async () => {
    const { world, w, found } = await mesh()
    const { missionId } = claimOf(w, 9)
    expect(await found(w, 'unknown', missionId)).toMatchObject({ fault: { code: 'unknown-mission' } })
    world.refuseWhen((message) => (message.kind === 'barrier' ? fault('fenced', 'another leads') : undefined))
    const unknown = await found(w, 'cut off', missionId)
    expect(unknown).toMatchObject({ fault: { code: 'owner-unreachable' } })
  })

  it('hears only this node’s desk', async () => {
    const { world, a, b } = await mesh()
    const claim = claimOf(b, 1)
    a.system.deliver(actorNames.registrar, { message: { kind: 'claim-mission', tag: 'x', claim }, from: at(b.peer, actorNames.missions) })
    await world.clock.runFor(2_000)
    expect(claimsIn(world, shardOfMission(claim.missionId))).toEqual([])
  })
})

describe('where missions are', () => {
  it('is told until it is heard, the newest last', async () => {
    const { world, a, b, w, claimed, found } = await mesh()
    const claim = claimOf(a, 1)
    await claimed(a, 'claim', claim)
    const group = shardGroup(shardOfMission(claim.missionId))
    world.refuseWhen((message) => (message.kind === 'append' && message.group === group ? 'silence' : undefined))
    b.desk(actorNames.registrar, { kind: 'tell-registrar', missionId: claim.missionId, members: [b.peer], epoch: { lineage: 1, term: 2 } })
    await world.clock.runFor(3_000)
    b.desk(actorNames.registrar, { kind: 'tell-registrar', missionId: claim.missionId, members: [b.peer, w.peer], epoch: { lineage: 1, term: 2 }, endedAtWallMs: 77 })
    await world.clock.runFor(3_000)
    expect(world.eventsOf(group).filter(({ type }) => type === 'mission-moved')).toEqual([])
    world.refuseWhen(undefined)
    world.lead(group, 'c')
    await world.until('it is committed', () => world.eventsOf(group).some((event) => event.type === 'mission-moved' && event.members.length === 2))
    expect(await found(w, 'find', claim.missionId)).toMatchObject({ claim: { members: [b.peer, w.peer], endedAtWallMs: 77 } })
    // Heard, it is not told again; and an earlier leader comes too late.
    const events = world.eventsOf(group).length
    a.desk(actorNames.registrar, { kind: 'tell-registrar', missionId: claim.missionId, members: [a.peer], epoch: { lineage: 1, term: 1 } })
    await world.clock.runFor(20_000)
    expect(world.eventsOf(group)).toHaveLength(events)
  })

  it('of a mission that is forgotten nothing more needs to be said', async () => {
    const { world, a, w, claimed, found } = await mesh()
    const { missionId } = claimOf(a, 5)
    const group = shardGroup(shardOfMission(missionId))
    a.desk(actorNames.registrar, { kind: 'tell-registrar', missionId, members: [w.peer] })
    await world.clock.runFor(5_000)
    expect(world.eventsOf(group).some(({ type }) => type === 'mission-moved')).toBe(false)
    // It was heard, and is not said again: a claim that comes now does not change.
    const claim = claimOf(a, 5)
    await claimed(a, 'claim', claim)
    await world.clock.runFor(5_000)
    expect(await found(a, 'find', missionId)).toMatchObject({ claim })
  })
})

describe('a shard', () => {
  it('is snapshotted under load, and its next leader knows everything from there', async () => {
    const { world, a, b, w, ask, claimed, found } = await mesh({ snapshotEntries: 20 })
    const shard = 7
    const claims = Array.from({ length: 200 }, (_, n): MissionClaim => ({ missionId: missionIdFor(shard, 'abcdefgh', random(n)), principal, requestDigest: `${n}`, members: [w.peer], atWallMs: 1 }))
    claims.forEach((claim, n) => ask(n % 2 === 0 ? a : w, `claim ${n}`, claim))
    await world.until('all are claimed', () => claims.every((_, n) => answer(n % 2 === 0 ? a : w, `claim ${n}`)?.claim !== undefined))
    // A batch is one append: the few that there were are not one for each.
    expect(world.appends.filter(({ group }) => group === shardGroup(shard)).length).toBeLessThan(100)
    await claimed(a, 'one more', { missionId: missionIdFor(shard, 'abcdefgh', random(999)), principal, requestDigest: 'x', members: [w.peer], atWallMs: 1 })
    expect(world.groups.get(shardGroup(shard))?.snapshot?.at.index).toBeGreaterThan(20)
    world.lead(shardGroup(shard), 'b')
    for (const n of [0, 57, 199]) expect(await found(w, `find ${n}`, claims[n]?.missionId ?? ('' as MissionId))).toMatchObject({ claim: claims[n] })
    expect(b.facts.some(({ name, fields }) => name === 'registrar.leads' && fields['group'] === shardGroup(shard) && fields['claims'] === 201)).toBe(true)
  })

  it('forgets what has expired', async () => {
    const { world, a, claimed } = await mesh({ archiveKeptMs: 60_000 })
    const { key: _, ...claim } = claimOf(a, 1)
    await claimed(a, 'claim', claim)
    const group = shardGroup(shardOfMission(claim.missionId))
    a.desk(actorNames.registrar, { kind: 'tell-registrar', missionId: claim.missionId, members: [a.peer], endedAtWallMs: world.clock.clockFor('watch').wallMs() })
    await world.until('it is forgotten', () => world.eventsOf(group).some(({ type }) => type === 'claims-expired'), 15 * 60_000)
    a.desk(actorNames.registrar, { kind: 'find-mission', tag: 'find', missionId: claim.missionId })
    await world.until('it is answered', () => answer(a, 'find') !== undefined)
    expect(answer(a, 'find')).toMatchObject({ fault: { code: 'unknown-mission' } })
    // Once is enough.
    await world.clock.runFor(25 * 60_000)
    expect(world.eventsOf(group).filter(({ type }) => type === 'claims-expired')).toHaveLength(1)
  })

  it('forgets nothing by a clock that is set wrong for a while', async () => {
    const hourMs = 60 * 60_000
    const { world, a, claimed } = await mesh({ archiveKeptMs: hourMs })
    const { key: _, ...claim } = claimOf(a, 1)
    await claimed(a, 'claim', claim)
    const forgotten = (): boolean => world.eventsOf(shardGroup(shardOfMission(claim.missionId))).some(({ type }) => type === 'claims-expired')
    a.desk(actorNames.registrar, { kind: 'tell-registrar', missionId: claim.missionId, members: [a.peer], endedAtWallMs: a.clock.wallMs() })
    await world.clock.runFor(5 * 60_000)
    a.clock.jumpWall(24 * hourMs)
    await world.until('it was noticed', () => a.facts.some(({ name }) => name === 'clock.jumped'), hourMs)
    a.clock.jumpWall(-24 * hourMs)
    await world.clock.runFor(hourMs / 2)
    expect(forgotten()).toBe(false)
    await world.until('it is forgotten in its time', forgotten, hourMs)
  })

  it('that its leader cannot read is led by another', async () => {
    const { world, a, b, claimed } = await mesh({ snapshotEntries: 5 })
    const claims = Array.from({ length: 10 }, (_, n): MissionClaim => ({ missionId: missionIdFor(7, 'abcdefgh', random(n)), principal, requestDigest: `${n}`, members: [a.peer], atWallMs: 1 }))
    for (const [n, claim] of claims.entries()) await claimed(a, `claim ${n}`, claim)
    const log = world.groups.get(shardGroup(7))
    if (log?.snapshot === undefined) throw new Error('it has grown')
    log.snapshot = { ...log.snapshot, version: 99 }
    world.lead(shardGroup(7), 'b')
    await world.until('b says that it cannot', () => cannotLead(b).length > 0)
    expect(cannotLead(b)).toMatchObject([{ group: shardGroup(7), fault: { code: 'version-mismatch' } }])
    expect(cannotLead(a)).toEqual([])
  })

  it('that the roster does not know yet keeps its members', async () => {
    const world = membershipWorld()
    world.refuseWhen((message) => (message.group === 'roster' && message.kind === 'append' ? 'silence' : undefined))
    world.start('a', { founds: true })
    world.start('b')
    await world.until('the shards are there', () => world.groups.size === 1 + limits.registrarShards)
    world.want(shardGroup(0), 'a', 'b')
    await world.clock.runFor(2_000)
    expect(world.eventsOf(shardGroup(0)).map(({ type }) => type)).toEqual(['members'])
  })
})
