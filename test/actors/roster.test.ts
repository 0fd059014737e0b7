import { describe, expect, it } from 'vitest'
import { actorNames, at } from '../../actors/names.ts'
import { fault } from '../../protocols/kernel/errors.ts'
import type { GroupId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { shardGroup } from '../../protocols/membership/placement.ts'
import { membershipWorld, type FakeNode } from './membership-world.ts'

const namesIn = (node: FakeNode): string[] => (node.view()?.replicas ?? []).map(({ name }) => name)
const isServed = (node: FakeNode): boolean => node.view()?.shards.every((members) => members.length > 0) ?? false
const factsOf = (node: FakeNode, name: string) => node.facts.filter((fact) => fact.name === name)

describe('founding', () => {
  it('the node that made the mesh founds the roster and all shards, admits itself, and serves them', async () => {
    const world = membershipWorld()
    const a = world.start('a', { founds: true })
    await world.until('all shards are served', () => isServed(a))
    expect(a.found).toHaveLength(1 + limits.registrarShards)
    expect(a.view()).toMatchObject({ lineage: 1, keepers: [a.peer], replicas: [{ peer: a.peer, name: 'a', domain: 'a', incarnation: a.incarnation }] })
    expect(a.view()?.shards).toEqual(Array.from({ length: limits.registrarShards }, () => [a.peer]))
    expect(world.appends.filter(({ group }) => group === 'roster').length, 'in a few batches').toBeLessThan(6)
    expect(factsOf(a, 'roster.admitted')).toHaveLength(1)
  })

  it('every other node waits', async () => {
    const world = membershipWorld()
    const b = world.start('b')
    await world.clock.runFor(30_000)
    expect(b.found).toEqual([])
    expect(b.view()).toBeUndefined()
  })

  it('whoever founded before and lost everything does not found again', async () => {
    const world = membershipWorld()
    const a = world.start('a', { founds: true, lostEverything: true })
    await world.clock.runFor(30_000)
    expect(a.found).toEqual([])
    expect(factsOf(a, 'roster.not-founded')).toMatchObject([{ level: 'error', fields: { next: expect.any(String) } }])
  })

  it('nor does one that holds a roster, nor one that keeps no logs', async () => {
    const world = membershipWorld()
    const a = world.start('a', { founds: true, holds: ['roster'] })
    const b = world.start('b', { founds: true, replica: false })
    await world.clock.runFor(30_000)
    expect([a.found, b.found]).toEqual([[], []])
    expect(factsOf(b, 'roster.not-founded')).toHaveLength(1)
  })

  it('one that was cut short is finished by the next start: shards that nobody serves, and that are not there', async () => {
    const world = membershipWorld()
    // What it says of itself and its shards never gets to the disk.
    world.refuseWhen((message) => (message.group === 'roster' && message.kind === 'append' ? 'silence' : undefined))
    const first = world.start('a', { founds: true })
    await world.until('the shards are founded', () => world.groups.size === 1 + limits.registrarShards)
    first.stop()
    world.refuseWhen(undefined)
    for (const group of [...world.groups.keys()]) if (group !== 'roster' && group !== shardGroup(3)) world.groups.delete(group)
    const held: GroupId[] = [...world.groups.keys()]
    const again = world.start('a', { founds: true, holds: held, life: '' })
    world.replay('a')
    world.lead(shardGroup(3), 'a')
    await world.until('all shards are served', () => isServed(again))
    expect(again.found).toHaveLength(limits.registrarShards - 1)
    expect(again.found).not.toContain('roster')
    for (const group of held) expect(again.found).not.toContain(group)
  })
})

describe('knowing', () => {
  it('every node learns the roster from whom it is connected to, and tells who watches', async () => {
    const world = membershipWorld()
    const a = world.start('a', { founds: true })
    await world.until('a knows', () => isServed(a))
    const w = world.start('w', { replica: false })
    await world.until('w knows', () => w.view() !== undefined)
    expect(w.view()).toEqual(a.view())
    expect(namesIn(w), 'a worker is no replica').toEqual(['a'])
    w.heard.length = 0
    w.desk(actorNames.roster, { kind: 'watch-roster' })
    await world.until('the watcher is told', () => w.view() !== undefined)
  })

  it('a node that nobody connects to a keeper learns it from a node that knows', async () => {
    const world = membershipWorld()
    const a = world.start('a', { founds: true })
    const middle = world.start('m', { replica: false })
    await world.until('m knows', () => isServed(a) && middle.view()?.index === a.view()?.index)
    world.cut('a', 'far')
    const far = world.start('far', { replica: false })
    await world.until('far knows', () => far.view() !== undefined)
    expect(far.view()).toEqual(a.view())
  })

  it('changes reach nodes that are no members within their next question', async () => {
    const world = membershipWorld()
    const a = world.start('a', { founds: true })
    const w = world.start('w', { replica: false })
    await world.until('w knows', () => isServed(a) && w.view() !== undefined)
    world.start('b')
    await world.until('b is in the roster of w', () => namesIn(w).includes('b'), 15_000)
  })

  it('nobody answers with what is older, and what was not asked for is not believed', async () => {
    const world = membershipWorld()
    const a = world.start('a', { founds: true })
    const w = world.start('w', { replica: false })
    await world.until('w knows', () => isServed(a) && w.view()?.index === a.view()?.index)
    const view = w.view()
    if (view === undefined) throw new Error('no view')
    w.system.deliver(actorNames.roster, { message: { kind: 'roster-told', index: 9_999, view: { ...view, index: 9_999, replicas: [] } }, from: at(world.start('x', { replica: false }).peer, 'forger') })
    await world.clock.runFor(100)
    expect(namesIn(w)).toEqual(['a'])
    const told: unknown[] = []
    w.system.attach('asker', (message) => void told.push(message))
    for (const asked of [{ have: view.index }, { have: view.index - 1 }, { have: 99_999, lineage: 2 }, { have: 0 }]) w.system.deliver(actorNames.roster, { message: { kind: 'roster-ask', ...asked }, from: at(w.peer, 'asker') })
    await world.clock.runFor(100)
    expect(told.map((message) => (message as { view?: unknown }).view !== undefined)).toEqual([false, true, false, true])
  })

  it('a member that begins from a snapshot knows what its log knew', async () => {
    const world = membershipWorld({ snapshotEntries: 10 })
    const a = world.start('a', { founds: true })
    const b = world.start('b')
    await world.until('b is admitted', () => isServed(a) && namesIn(a).includes('b'))
    expect(world.groups.get('roster')?.snapshot, 'the log has grown').toBeDefined()
    world.want('roster', 'a', 'b')
    await world.until('both keep it', () => b.view()?.keepers.length === 2)
    expect(b.view()).toEqual(a.view())
    world.lead('roster', 'b')
    const c = world.start('c')
    await world.until('the new leader admits', () => namesIn(c).includes('c'))
    expect(namesIn(b)).toEqual(['a', 'b', 'c'])
  })
})

describe('admitting and dropping', () => {
  it('replicas are admitted, and admitted anew when they are not what they were', async () => {
    const world = membershipWorld()
    const a = world.start('a', { founds: true })
    const b = world.start('b', { domain: 'rack' })
    await world.until('b is admitted', () => namesIn(b).includes('b'))
    expect(b.view()?.replicas[1]).toEqual({ peer: b.peer, name: 'b', domain: 'rack', incarnation: b.incarnation })
    b.stop()
    const later = world.start('b', { domain: 'attic', life: 'two' })
    await world.until('b has moved', () => a.view()?.replicas[1]?.domain === 'attic')
    expect(a.view()?.replicas).toHaveLength(2)
    expect(a.view()?.replicas[1]?.incarnation).toBe(later.incarnation)
  })

  it('a keeper that does not lead passes it on; nobody joins for another', async () => {
    const world = membershipWorld()
    const a = world.start('a', { founds: true })
    const b = world.start('b')
    await world.until('b is admitted', () => isServed(a) && namesIn(b).includes('b'))
    world.want('roster', 'a', 'b')
    await world.until('both keep it', () => b.view()?.keepers.length === 2)
    world.lead('roster', 'b')
    // It can only talk to the one that does not lead.
    world.cut('b', 'c')
    const c = world.start('c')
    await world.until('c is admitted', () => namesIn(c).includes('c'))
    expect(factsOf(b, 'roster.admitted').map(({ fields }) => fields['replica'])).toEqual(['c'])
    const d = { peer: world.start('d', { replica: false }).peer, name: 'd', domain: 'd', incarnation: c.incarnation }
    b.system.deliver(actorNames.roster, { message: { kind: 'roster-join', replica: d }, from: at(c.peer, actorNames.roster) })
    await world.until('it is told', () => factsOf(b, 'roster.join-forged').length > 0)
    expect(namesIn(b)).toEqual(['a', 'b', 'c'])
  })

  it('one that gives no sign of life for long is dropped, and comes back; one that does stays', async () => {
    const world = membershipWorld({ memberSilentMs: 60_000 })
    const a = world.start('a', { founds: true })
    const b = world.start('b')
    const c = world.start('c')
    await world.until('both are admitted', () => namesIn(a).length === 3)
    c.stop()
    await world.clock.runFor(50_000)
    expect(namesIn(a).sort()).toEqual(['a', 'b', 'c'])
    await world.until('c is dropped', () => namesIn(a).length === 2)
    expect(factsOf(a, 'roster.dropped')).toMatchObject([{ fields: { replica: 'c', reason: expect.stringContaining('unheard') } }])
    await world.clock.runFor(200_000)
    expect(namesIn(b).sort()).toEqual(['a', 'b'])
    world.start('c', { life: 'two' })
    await world.until('c is back', () => namesIn(a).length === 3)
  })

  it('a new leader gives everybody their time', async () => {
    const world = membershipWorld({ memberSilentMs: 60_000 })
    const a = world.start('a', { founds: true })
    const b = world.start('b')
    const c = world.start('c')
    await world.until('both are admitted', () => isServed(a) && namesIn(b).length === 3)
    world.want('roster', 'a', 'b')
    await world.until('both keep it', () => b.view()?.keepers.length === 2)
    c.stop()
    await world.clock.runFor(55_000)
    world.lead('roster', 'b')
    await world.clock.runFor(55_000)
    expect(namesIn(b)).toContain('c')
    await world.until('c is dropped', () => !namesIn(b).includes('c'))
  })
})

describe('the log', () => {
  it('nothing is said before took-over is committed', async () => {
    const world = membershipWorld()
    const a = world.start('a', { founds: true })
    await world.until('a knows', () => isServed(a))
    world.refuseWhen((message) => (message.kind === 'barrier' ? 'silence' : undefined))
    world.lead('roster', 'a')
    const before = world.appends.length
    world.start('b')
    await world.clock.runFor(10_000)
    expect(world.appends.length).toBe(before)
    world.refuseWhen(undefined)
    world.lead('roster', 'a')
    await world.until('b is admitted', () => namesIn(a).includes('b'))
  })

  it('an append that fails is asked about: the log is told again, and goes on from what is there', async () => {
    const world = membershipWorld()
    const a = world.start('a', { founds: true })
    await world.until('a knows', () => isServed(a))
    let refused = 0
    world.refuseWhen((message) => (message.kind === 'append' && refused++ === 0 ? fault('timeout', 'who knows') : undefined))
    world.start('b')
    await world.until('b is admitted', () => namesIn(a).includes('b'))
    expect(refused).toBeGreaterThan(1)
    expect(factsOf(a, 'log.host-lost')).toHaveLength(1)
  })

  it('members that are wanted are appended once', async () => {
    const world = membershipWorld()
    const a = world.start('a', { founds: true })
    const b = world.start('b')
    await world.until('b is admitted', () => isServed(a) && namesIn(b).includes('b'))
    world.want('roster', 'a', 'b')
    world.want('roster', 'a', 'b')
    await world.until('both keep it', () => b.view()?.keepers.length === 2)
    world.want('roster', 'a', 'b')
    await world.clock.runFor(1_000)
    expect(world.eventsOf('roster').filter(({ type }) => type === 'members')).toHaveLength(2)
    expect(b.view()?.keepers).toEqual([a.peer, b.peer])
  })
})
