import { describe, expect, it } from 'vitest'
import type { MissionId } from '../../protocols/kernel/ids.ts'
import { logKeeperWorld, mission } from './log-keeper-world.ts'

type World = ReturnType<typeof logKeeperWorld>

/** Three voters of one log, the first leads; and spares. The roster knows them all. Nobody is replaced for its silence within the test. */
async function meshOf(seed: number, ...spares: string[]): Promise<World> {
  const world = logKeeperWorld(seed, { memberSilentMs: 600_000, membersLookMs: 5_000 })
  for (const name of ['a', 'b', 'c', ...spares]) await world.start(name)
  world.found('a', ['a', 'b', 'c'])
  await world.until('a leads', () => world.leader()?.name === 'a')
  world.append('one')
  await world.until('everybody has it', () => ['a', 'b', 'c'].every((name) => world.node(name).disk.entriesStored(mission) === 2))
  world.knowRoster('a', 'b', 'c', ...spares)
  return world
}

function mayGo(world: World, name: string): boolean {
  return world.node(name).host.all('may-leave').length > 0
}

/** As `drain` does: it asks, hands on what it leads, and goes. */
async function leave(world: World, name: string): Promise<void> {
  world.node(name).tell({ kind: 'leave' })
  await world.until(`${name} may go`, () => mayGo(world, name), 10_000)
  world.node(name).tell({ kind: 'hand-over' })
  await world.until(`${name} leads nothing`, () => world.node(name).host.all('leads-nothing').length > 0, 5_000)
  world.kill(name)
}

async function expectGoesOn(world: World, what: string): Promise<void> {
  await world.until('somebody leads', () => world.leader() !== undefined)
  const append = world.append(what)
  await world.until('it is committed', () => world.isAnswered(append))
  expect(append.answers).toEqual(['ok'])
  expect(await world.lost()).toEqual([])
}

describe('a voter that is stopped in order', () => {
  it('goes at once, and when it is back soon nothing has been copied', async () => {
    const world = await meshOf(1, 'd')
    const sinceMs = world.clock.nowMs()
    await leave(world, 'c')
    expect(world.clock.nowMs() - sinceMs).toBeLessThan(100)
    await world.runFor(20_000)
    await world.restart('c')
    await world.runFor(120_000)
    expect(world.members()).toMatchObject({ voters: ['a', 'b', 'c'], outgoing: [], learners: [] })
    expect(world.sent('log-append', { to: 'd' })).toEqual([])
  })

  it('and does not come back is replaced long before a silent one would be', async () => {
    const world = await meshOf(2, 'd')
    await leave(world, 'c')
    await world.until('d votes instead', () => world.members().voters.join() === 'a,b,d' && world.members().outgoing.length === 0, 60_000)
    await expectGoesOn(world, 'without c')
  })

  it('nor is it waited for longer when its word is heard after its connection has closed', async () => {
    const world = await meshOf(12, 'd')
    world.kill('c')
    await world.runFor(1_000)
    for (const to of ['a', 'b', 'd']) world.links.again({ atMs: 0, from: 'c', to, message: { kind: 'member-leaves' } })
    await world.until('d votes instead', () => world.members().voters.join() === 'a,b,d' && world.members().outgoing.length === 0, 60_000)
  })

  it('after another waits until a spare votes: a majority is left', async () => {
    const world = await meshOf(3, 'd')
    await leave(world, 'c')
    await leave(world, 'b')
    expect(world.members()).toMatchObject({ outgoing: [] })
    expect(world.members().voters).toContain('d')
    await expectGoesOn(world, 'with two of three')
  })

  it('at the same instant as another does not go with it, whichever of them leads', async () => {
    for (const pair of [['b', 'c'], ['a', 'b'], ['c', 'a']] as const) {
      for (const [delayMs, seed] of [[1, 4], [1, 14], [40, 24], [40, 34]] as const) {
        const world = await meshOf(seed, 'd', 'e')
        for (const from of ['a', 'b', 'c', 'd', 'e']) for (const to of ['a', 'b', 'c', 'd', 'e']) if (from !== to) world.links.link(from, to).delayMs = delayMs
        for (const name of pair) world.node(name).tell({ kind: 'leave' })
        for (const name of pair) {
          await world.until(`${name} may go`, () => mayGo(world, name), 10_000)
          world.node(name).tell({ kind: 'hand-over' })
          await world.until(`${name} leads nothing`, () => world.node(name).host.all('leads-nothing').length > 0, 5_000)
        }
        for (const name of pair) world.kill(name)
        await expectGoesOn(world, 'without both')
      }
    }
  })

  it('without a spare just goes, and so does a whole mesh', async () => {
    const world = await meshOf(5)
    await leave(world, 'c')
    await leave(world, 'b')
    expect(mayGo(world, 'a')).toBe(false)
    await leave(world, 'a')
    for (const name of ['a', 'b', 'c']) await world.restart(name)
    await world.until('somebody leads', () => world.leader() !== undefined)
    expect(world.members()).toMatchObject({ voters: ['a', 'b', 'c'], outgoing: [], learners: [] })

    const all = await meshOf(6, 'd', 'e')
    for (const name of ['a', 'b', 'c', 'd', 'e']) all.node(name).tell({ kind: 'leave' })
    await all.until('all may go', () => ['a', 'b', 'c', 'd', 'e'].every((name) => mayGo(all, name)), 2_000)
    expect(all.members()).toMatchObject({ voters: ['a', 'b', 'c'], outgoing: [] })
  })

  it('as the last one there, waits for nobody to lead in its place', async () => {
    const world = await meshOf(9)
    for (const name of ['b', 'c']) world.kill(name)
    world.node('a').tell({ kind: 'leave' })
    world.node('a').tell({ kind: 'hand-over' })
    await world.until('it has nothing to hand on', () => mayGo(world, 'a') && world.node('a').host.all('leads-nothing').length > 0, 100)

    const two = await meshOf(10)
    two.kill('c')
    for (const name of ['a', 'b']) two.node(name).tell({ kind: 'leave' })
    await two.until('both may go', () => ['a', 'b'].every((name) => mayGo(two, name)), 100)
    two.links.isolate('b', 'a')
    two.node('a').tell({ kind: 'hand-over' })
    await two.until('nothing is handed to one that goes as well', () => two.node('a').host.all('leads-nothing').length > 0, 100)
  })

  it('of a log that one votes for alone, goes and takes nothing along', async () => {
    const world = await meshOf(7, 'd')
    const alone = 'm-05abcdef-abcdefghijkl' as MissionId
    world.found('b', ['b'], alone)
    await world.until('b leads it', () => world.leader(alone)?.name === 'b')
    world.node('b').host.obeys = false
    await leave(world, 'b')
    expect(world.diskOf('b').groupsStored()).toContain(alone)
  })

  it('is believed about itself only, and by nobody who is no replica', async () => {
    const world = await meshOf(8, 'd')
    world.knowRoster('a', 'b', 'c')
    world.links.again({ atMs: 0, from: 'd', to: 'a', message: { kind: 'member-leaves' } })
    await world.runFor(1_000)
    expect(world.sent('leaving-heard', { from: 'a' })).toEqual([])
  })
})
