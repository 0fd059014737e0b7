import { describe, expect, it } from 'vitest'
import type { MissionId } from '../../protocols/kernel/ids.ts'
import { chainOrigin } from '../../protocols/replicated-log/chain.ts'
import type { Sent } from './log-keeper-links.ts'
import { logKeeperWorld, mission } from './log-keeper-world.ts'

type World = ReturnType<typeof logKeeperWorld>

/** Three voters that have the log; the first leads. */
async function three(seed: number, ...spares: string[]): Promise<World> {
  const world = logKeeperWorld(seed)
  for (const name of ['a', 'b', 'c', ...spares]) await world.start(name)
  world.found('a', ['a', 'b', 'c'])
  await world.until('a leads', () => world.leader()?.name === 'a')
  world.append('one')
  await world.until('everybody has it', () => ['a', 'b', 'c'].every((name) => world.node(name).disk.entriesStored(mission) === 2))
  await world.runFor(1_000)
  return world
}

function has(world: World, name: string): boolean {
  return world.diskOf(name).groupsStored().includes(mission)
}

function isWithout(world: World, name: string): boolean {
  return world.leader() !== undefined && world.members().voters.length === 3 && !world.members().voters.includes(name) && world.members().outgoing.length === 0
}

/** What a leader had sent, and arrives only now. */
function lateAppend(world: World, to: string): Sent {
  return world.sent('log-append', { from: 'a', to }).findLast(({ message }) => message.entries.length > 0)!
}

describe('a log that has ended here', () => {
  it('is not begun again by what comes late: its sender is told that it has ended', async () => {
    const world = await three(1)
    const late = lateAppend(world, 'b')
    world.node('a').tell({ kind: 'end-group', group: mission, ended: world.ended(['a', 'b', 'c']) })
    await world.until('it has ended everywhere, before anybody has to ask', () => ['a', 'b', 'c'].every((name) => !has(world, name)), 1_000)
    for (const name of ['a', 'b', 'c']) expect(world.node(name).host.all('group-ended').map(({ ended }) => ended.missionId)).toEqual([mission])
    const sinceMs = world.clock.nowMs()
    world.links.again(late)
    await world.until('its sender is told', () => world.sent('group-ended', { from: 'b', to: 'a', sinceMs }).length > 0)
    await world.runFor(10_000)
    expect(has(world, 'b')).toBe(false)
    expect(world.sent('log-appended', { from: 'b', sinceMs })).toEqual([])

    world.kill('b')
    await world.restart('b')
    const restartedAtMs = world.clock.nowMs()
    world.links.again(late)
    await world.until('it is told after a restart, too', () => world.sent('group-ended', { from: 'b', to: 'a', sinceMs: restartedAtMs }).length > 0)
    await world.runFor(10_000)
    expect(has(world, 'b')).toBe(false)
  })

  it.each([{ what: 'being written', isBusy: false }, { what: 'waiting for the write before it', isBusy: true }])('the same while its end is $what', async ({ isBusy }) => {
    const other = 'm-05abcdef-abcdefghijkl' as MissionId
    const world = await three(2)
    const late = lateAppend(world, 'b')
    const { disk, host, batches } = world.node('b')
    disk.setStuck(true)
    if (isBusy) {
      world.found('b', ['b'], other)
      await world.until('b is writing', () => disk.unsyncedWrites() === 1)
    }
    world.node('a').tell({ kind: 'end-group', group: mission, ended: world.ended(['a', 'b', 'c']) })
    await world.until('b has heard of it', () => world.sent('group-ended', { from: 'a', to: 'b' }).length > 0)
    await world.runFor(100)
    expect(batches.some(({ ended }) => ended?.length === 1)).toBe(!isBusy)
    expect(has(world, 'b'), 'nothing of it is on the disk').toBe(true)
    const sinceMs = world.clock.nowMs()
    world.links.again(late)
    await world.until('its sender is told', () => world.sent('group-ended', { from: 'b', to: 'a', sinceMs }).length > 0)
    expect(world.sent('log-appended', { from: 'b', sinceMs })).toEqual([])
    disk.setStuck(false)
    await world.until('it is written', () => host.all('group-ended').length === 1)
    await world.runFor(10_000)
    expect(has(world, 'b')).toBe(false)
    expect(disk.groupsStored()).toEqual(isBusy ? [other] : [])
  })

  it('a member that missed its end asks, is told, and keeps the record', async () => {
    const world = await three(3)
    world.kill('c')
    world.node('a').tell({ kind: 'end-group', group: mission, ended: world.ended(['a', 'b', 'c']) })
    await world.until('it has ended', () => ['a', 'b'].every((name) => !has(world, name)))
    await world.restart('c')
    await world.until('c keeps only the record', () => world.node('c').host.all('group-ended').length === 1 && !has(world, 'c'))
    expect(world.node('c').host.leads.size).toBe(0)
  })

  it('nobody but a member or a later one can say that it has ended', async () => {
    const world = await three(4, 'd')
    world.links.again({ atMs: 0, from: 'd', to: 'b', message: { kind: 'group-ended', group: mission, ended: world.ended(['a', 'b', 'c']) } })
    await world.until('it is noticed', () => world.node('b').facts.some(({ name }) => name === 'group.end-forged'))
    await world.runFor(1_000)
    expect(has(world, 'b')).toBe(true)
  })

  it('and whose record is forgotten, is over all the same: whoever still waits for it is told to go', async () => {
    const world = await three(5)
    const late = lateAppend(world, 'b')
    const record = world.ended(['a', 'b', 'c'])
    world.kill('c')
    world.node('a').tell({ kind: 'end-group', group: mission, ended: record })
    await world.until('it has ended', () => ['a', 'b'].every((name) => world.node(name).host.all('group-ended').length === 1))
    for (const name of ['a', 'b']) world.node(name).tell({ kind: 'forget-ended', ended: [record] })
    await world.until('it is written', () => ['a', 'b'].every((name) => world.node(name).batches.some(({ removed }) => removed?.includes(mission)) && world.node(name).disk.unsyncedWrites() === 0))
    world.links.again(late)
    await world.restart('c')
    await world.until('c gives its copy up', () => !has(world, 'c'))
    await world.runFor(10_000)
    expect(['a', 'b', 'c'].map((name) => has(world, name))).toEqual([false, false, false])
  })
})

describe('a log in which nothing will be begun', () => {
  it('goes at its leader; the others hear so when they miss it, also who was away, and nobody votes for it again', async () => {
    const world = await three(6)
    const late = lateAppend(world, 'b')
    world.kill('c')
    await world.runFor(500)
    world.node('a').tell({ kind: 'end-unbegun', group: mission })
    await world.until('it is gone at its leader', () => !has(world, 'a'), 1_000)
    await world.restart('c')
    await world.until('and at the others', () => ['b', 'c'].every((name) => !has(world, name)))
    expect(world.sent('group-left', { from: 'a' }).map(({ to }) => to)).toEqual(expect.arrayContaining(['b', 'c']))
    for (const name of ['a', 'b', 'c']) {
      world.kill(name)
      await world.restart(name)
    }
    const sinceMs = world.clock.nowMs()
    world.links.again(late)
    for (const [from, to] of [['c', 'a'], ['c', 'b']] as const) world.links.again({ atMs: 0, from, to, message: { kind: 'vote-ask', group: mission, as: world.member(from).incarnation, toward: world.member(to).incarnation, epoch: { lineage: 1, term: 9 }, pre: false, transfer: false, last: { index: 2, epoch: { lineage: 1, term: 1 }, chain: chainOrigin } } })
    await world.runFor(10_000)
    expect(['a', 'b', 'c'].map((name) => has(world, name))).toEqual([false, false, false])
    expect([...world.sent('vote', { sinceMs }), ...world.sent('log-appended', { sinceMs })]).toEqual([])
  })

  it('does not go at one that does not lead it', async () => {
    const world = await three(7)
    world.node('b').tell({ kind: 'end-unbegun', group: mission })
    await world.runFor(1_000)
    expect(has(world, 'b')).toBe(true)
  })
})

/**
 * `a` has founded the log and is gone, with an old copy of it. `c` was replaced since, and has given its copy up: with its vote
 * `a`, which knows of no later members, could lead, while `b` and those that came later go on with the log.
 */
async function givenUp(seed: number): Promise<World> {
  const world = await three(seed, 'd', 'e')
  world.knowRoster('a', 'b', 'c', 'd', 'e')
  world.kill('a')
  await world.until('b or c leads', () => world.leader() !== undefined)
  // The one of them that leads is to stay.
  if (world.led().name === 'c') {
    world.led().tell({ kind: 'hand-over' })
    await world.until('b leads', () => world.leader()?.name === 'b')
  }
  await world.until('a is replaced', () => isWithout(world, 'a'))
  world.kill('c')
  await world.until('c is replaced', () => isWithout(world, 'c'))
  const append = world.append('what a has never heard of')
  await world.until('it is committed', () => world.isAnswered(append))
  await world.restart('c')
  await world.until('c has given its copy up', () => !has(world, 'c'))
  return world
}

/** Only `a` and `c` can talk to each other, and for long. */
async function aloneTogether(world: World): Promise<void> {
  for (const name of ['b', 'd', 'e']) world.links.isolate(name, 'a', 'c')
  await world.restart('a')
  expect(await world.notesAt('a')).toEqual(['one'])
  const sinceMs = world.clock.nowMs()
  await world.until('a asks c for its vote', () => world.sent('vote-ask', { from: 'a', to: 'c', sinceMs }).length > 0)
  await world.runFor(30_000)
}

describe('a copy that was given up', () => {
  it('was not given up for a stranger, nor by a leader', async () => {
    const world = await three(14, 'd')
    for (const [from, to] of [['d', 'b'], ['c', 'a'], ['a', 'c']] as const) world.links.again({ atMs: 0, from, to, message: { kind: 'group-left', group: mission } })
    await world.runFor(10_000)
    expect(['a', 'b', 'c'].map((name) => has(world, name))).toEqual([true, true, true])
    expect(world.leader()?.name).toBe('a')
  })

  it('does not vote as if it had never been: a founder with an old log is not elected', async () => {
    const world = await givenUp(10)
    await aloneTogether(world)
    expect(world.node('a').host.epochsLed(mission)).toEqual([])
    expect(world.sent('vote', { from: 'c', to: 'a' }).filter(({ message }) => message.granted)).toEqual([])
    expect(has(world, 'c')).toBe(false)
    world.heal()
    await world.until('a is told that it left', () => !has(world, 'a'))
    expect(await world.lost()).toEqual([])
  })

  it('nor after a restart', async () => {
    const world = await givenUp(11)
    world.kill('c')
    await world.restart('c')
    await aloneTogether(world)
    expect(world.node('a').host.epochsLed(mission)).toEqual([])
    expect(has(world, 'c')).toBe(false)
  })

  it.each([{ what: 'being written', isBusy: false }, { what: 'waiting for the write before it', isBusy: true }])('nor while the word of it is $what', async ({ isBusy }) => {
    const world = await three(12)
    const late = lateAppend(world, 'c')
    const { disk, incarnation, facts, batches } = world.node('c')
    world.links.isolate('c', 'a', 'b')
    await world.until('c knows of no leader', () => world.node('c').host.all('group-followed').at(-1)?.leader === undefined)
    disk.setStuck(true)
    if (isBusy) {
      world.found('c', ['c'], 'm-06abcdef-abcdefghijkl' as MissionId)
      await world.until('c is writing', () => disk.unsyncedWrites() === 1)
    }
    world.links.link('b', 'c').cut = false
    world.links.again({ atMs: 0, from: 'b', to: 'c', message: { kind: 'group-left', group: mission } })
    await world.until('c is about to forget it', () => facts.some(({ name }) => name === 'group.left'), 500)
    world.links.link('b', 'c').cut = true
    expect(batches.some(({ former }) => former?.length === 1)).toBe(!isBusy)
    expect(has(world, 'c')).toBe(true)
    world.links.link('a', 'c').cut = false
    const sinceMs = world.clock.nowMs()
    world.links.again(late)
    await world.until('a is told another name', () => world.sent('other-incarnation', { from: 'c', to: 'a', sinceMs }).length > 0)
    expect(world.sent('other-incarnation', { from: 'c', sinceMs })[0]?.message.incarnation).toBe(`${incarnation}.1`)
    expect(world.sent('log-appended', { from: 'c', sinceMs })).toEqual([])
    disk.setStuck(false)
    await world.until('it is gone', () => !has(world, 'c'))
  })

  it('is a member again only under another name', async () => {
    const world = await givenUp(13)
    const { incarnation } = world.node('c')
    // Another one is gone for good: c is the only spare, and the roster knows it by the name of its store.
    world.kill(world.members().voters.find((name) => name !== world.led().name)!)
    world.knowRoster('b', 'c', 'd', 'e')
    await world.until('c votes again', () => world.leader() !== undefined && world.members().voters.includes('c') && world.members().outgoing.length === 0)
    expect(world.members().incarnations.get('c')).toBe(`${incarnation}.1`)
    expect(world.sent('other-incarnation', { from: 'c' }).length).toBeGreaterThan(0)
    await world.until('c has it all', () => world.node('c').disk.entriesStored(mission) === world.led().disk.entriesStored(mission))
    expect(await world.notesAt('c')).toEqual(['one', 'what a has never heard of'])

    // As that it is a member like any other, after a restart too.
    world.kill('c')
    await world.restart('c')
    const append = world.append('after all')
    await world.until('c has that too', () => world.isAnswered(append) && world.node('c').disk.entriesStored(mission) === world.led().disk.entriesStored(mission))
    expect(world.members().incarnations.get('c')).toBe(`${incarnation}.1`)
    expect(await world.lost()).toEqual([])
  })
})

it('a node that has truly never heard of a log votes for its founder, and the founder leads', async () => {
  const world = logKeeperWorld(20)
  for (const name of ['a', 'b', 'c']) await world.start(name)
  world.links.isolate('a', 'b', 'c')
  world.found('a', ['a', 'b', 'c'])
  await world.until('a has it on its disk', () => has(world, 'a'))
  world.kill('a')
  world.heal()
  await world.restart('a')
  await world.until('a leads', () => world.leader()?.name === 'a')
  const append = world.append('after all')
  await world.until('everybody has it', () => world.isAnswered(append) && ['b', 'c'].every((name) => world.node(name).disk.entriesStored(mission) === world.node('a').disk.entriesStored(mission)))
  expect(append.answers).toEqual(['ok'])
  expect(world.node('a').host.epochsLed(mission)).toEqual(['1.2'])
})

it('a voter that nothing has reached votes for whoever has the log, also after others have led it', async () => {
  const world = logKeeperWorld(21)
  for (const name of ['a', 'b', 'c']) await world.start(name)
  world.links.isolate('c', 'a', 'b')
  world.found('a', ['a', 'b', 'c'])
  await world.until('a leads', () => world.leader()?.name === 'a')
  const append = world.append('without c')
  await world.until('a and b have it', () => world.isAnswered(append))
  world.node('a').tell({ kind: 'hand-over' })
  await world.until('b leads, as a knows', () => world.leader()?.name === 'b' && world.node('a').disk.entriesStored(mission) === world.node('b').disk.entriesStored(mission))
  world.kill('b')
  world.heal()
  await world.until('a leads with the vote of c', () => world.leader()?.name === 'a')
  await world.until('c has it', () => world.node('c').disk.entriesStored(mission) === world.node('a').disk.entriesStored(mission))
  expect(await world.notesAt('c')).toEqual(['without c'])
  expect(await world.lost()).toEqual([])
})
