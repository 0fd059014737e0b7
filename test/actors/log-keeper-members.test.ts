import { describe, expect, it } from 'vitest'
import { limits } from '../../protocols/kernel/limits.ts'
import type { Membership } from '../../protocols/membership/schema.ts'
import { logKeeperWorld, mission } from './log-keeper-world.ts'

type World = ReturnType<typeof logKeeperWorld>

async function nodes(world: World, ...names: string[]): Promise<void> {
  for (const name of names) await world.start(name)
}

async function foundBy(world: World, ...names: [string, ...string[]]): Promise<void> {
  world.found(names[0], names)
  await world.until(`${names[0]} leads`, () => world.leader()?.name === names[0])
}

/** Everything of one log that was ever wanted of a host, in order. */
function wantedOf(world: World, name: string): Membership[] {
  return world.node(name).host.all('members-wanted').filter(({ group }) => group === mission).map(({ membership }) => membership)
}

function isSettled(world: World, ...voters: string[]): boolean {
  if (world.leader() === undefined) return false
  const { voters: now, outgoing, learners } = world.members()
  return now.join() === voters.toSorted().join() && outgoing.length === 0 && learners.length === 0
}

describe('a log that grows from one voter to three', () => {
  it('while entries are appended: learners first, and nothing is lost', async () => {
    const world = logKeeperWorld(1)
    await nodes(world, 'a', 'b', 'c')
    await foundBy(world, 'a')
    const notes: string[] = []
    const append = (): void => {
      notes.push(`note ${notes.length}`)
      world.append(notes.at(-1)!)
    }
    for (let n = 0; n < 100; n++) append()
    world.knowRoster('a', 'b', 'c')
    for (let round = 0; round < 600 && !isSettled(world, 'a', 'b', 'c'); round++) {
      append()
      await world.runFor(20)
    }
    expect(isSettled(world, 'a', 'b', 'c')).toBe(true)
    const [first, ...rest] = wantedOf(world, 'a')
    expect(first).toMatchObject({ voters: [world.member('a')] })
    expect(first?.learners).toHaveLength(2)
    expect(rest.filter(({ voters }) => voters.length === 2), 'an even number is worse than the odd one before').toEqual([])
    const { appends } = world.node('a').host
    await world.until('all are answered', () => appends.every(world.isAnswered))
    await world.runFor(2_000)
    expect(appends.every(({ answers }) => answers.join() === 'ok')).toBe(true)
    for (const name of ['a', 'b', 'c']) expect(await world.notesAt(name)).toEqual(notes)

    world.kill('a')
    await world.until('another leads', () => world.leader() !== undefined)
    expect(await world.lost()).toEqual([])
  })

  it('takes its three steps one right after the other: until then the loss of one node is the loss of the log', async () => {
    const world = logKeeperWorld(5)
    await nodes(world, 'a', 'b', 'c')
    await foundBy(world, 'a')
    world.knowRoster('a', 'b', 'c')
    await world.until('the others learn', () => world.members().learners.length === 2)
    await world.until('all three vote', () => isSettled(world, 'a', 'b', 'c'), world.tuning.membersLookMs / 4)
  })

  it('nobody votes before it has the log', async () => {
    const world = logKeeperWorld(2)
    await nodes(world, 'a', 'b', 'c')
    await foundBy(world, 'a')
    const notes = Array.from({ length: 3 * limits.appendEntriesMax }, (_, n) => `note ${n}`)
    world.append(...notes)
    world.links.mute('a', 'c')
    world.knowRoster('a', 'b', 'c')
    await world.until('b has the log', () => world.node('b').disk.entriesStored(mission) >= notes.length)
    await world.runFor(10_000)
    expect(world.members()).toMatchObject({ voters: ['a'], learners: ['b', 'c'] })

    // What is sent to c at once is lost but for the first pieces: it hears of the log, and lacks most of it.
    world.links.link('a', 'c').cut = false
    await world.until('c has a part of it', () => world.node('c').disk.entriesStored(mission) > 0)
    world.links.link('a', 'c').cut = true
    await world.runFor(10_000)
    expect(world.node('c').disk.entriesStored(mission)).toBeLessThan(2 * limits.appendEntriesMax)
    expect(world.members()).toMatchObject({ voters: ['a'], learners: ['b', 'c'] })

    world.heal()
    await world.until('all three vote', () => isSettled(world, 'a', 'b', 'c'))
    for (const name of ['b', 'c']) expect(await world.notesAt(name)).toEqual(notes)
  })

  it('a host that does not want it is asked again, and nothing changes until it does', async () => {
    const world = logKeeperWorld(3)
    await nodes(world, 'a', 'b', 'c')
    await foundBy(world, 'a')
    world.node('a').host.obeys = false
    world.knowRoster('a', 'b', 'c')
    await world.runFor(45_000)
    expect(world.members()).toMatchObject({ voters: ['a'], learners: [] })
    expect(wantedOf(world, 'a').length).toBeGreaterThanOrEqual(3)
    world.node('a').host.obeys = true
    await world.until('all three vote', () => isSettled(world, 'a', 'b', 'c'))
  })

  it('one that is to have a single voter does not, and is never asked for more, also after a restart', async () => {
    const world = logKeeperWorld(5, {}, 1)
    await nodes(world, 'a', 'b', 'c')
    world.knowRoster('a', 'b', 'c')
    await foundBy(world, 'a')
    await world.runFor(30_000)
    expect(wantedOf(world, 'a')).toEqual([])
    world.kill('a')
    await world.restart('a')
    await world.until('a leads', () => world.leader()?.name === 'a')
    await world.runFor(30_000)
    expect(wantedOf(world, 'a')).toEqual([])
    expect(world.members()).toMatchObject({ voters: ['a'], learners: [] })
  })

  it('the leader dies in the middle of it: another goes on with what was agreed', async () => {
    const world = logKeeperWorld(4)
    await nodes(world, 'a', 'b', 'c', 'd')
    await foundBy(world, 'a', 'b', 'c')
    await world.runFor(1_000)
    const append = world.append('before')
    await world.until('it is committed', () => world.isAnswered(append))
    world.kill('c')
    world.knowRoster('a', 'b', 'c', 'd')
    await world.until('d is to vote instead of c', () => world.members().outgoing.length > 0, 2 * world.tuning.memberSilentMs)
    world.kill('a')
    await world.restart('c')
    await world.until('what was begun is finished, whoever leads', () => world.leader() !== undefined && world.members().outgoing.length === 0 && world.members().voters.includes('d'), 3 * world.tuning.memberSilentMs)
    await world.restart('a')
    const next = world.append('after')
    await world.until('it is committed', () => world.isAnswered(next))
    expect(next.answers).toEqual(['ok'])
    expect(await world.lost()).toEqual([])
  })
})

describe('a member that is silent for long', () => {
  it('is replaced, is told that it left when it comes back, and its copy goes', async () => {
    const world = logKeeperWorld(10)
    await nodes(world, 'a', 'b', 'c', 'd')
    await foundBy(world, 'a', 'b', 'c')
    world.knowRoster('a', 'b', 'c', 'd')
    const append = world.append('before')
    await world.until('everybody has it', () => ['a', 'b', 'c'].every((name) => world.node(name).disk.entriesStored(mission) === 2))
    world.kill('c')
    await world.runFor(world.tuning.memberSilentMs - 1_000)
    expect(world.members(), 'it may come back').toMatchObject({ voters: ['a', 'b', 'c'], learners: [] })
    await world.until('d votes instead', () => isSettled(world, 'a', 'b', 'd'))
    expect(wantedOf(world, 'a')[0], 'it learns first').toMatchObject({ learners: [world.member('d')] })
    const next = world.append('without c')
    await world.until('d has it', () => world.isAnswered(next) && world.node('d').disk.entriesStored(mission) === world.led().disk.entriesStored(mission))
    expect(await world.notesAt('d')).toEqual(['before', 'without c'])

    await world.restart('c')
    expect(await world.notesAt('c')).toEqual(['before'])
    await world.until('the copy of c is gone', () => !world.node('c').disk.groupsStored().includes(mission))
    expect(world.sent('group-left', { to: 'c' }).length).toBeGreaterThan(0)
    await world.runFor(30_000)
    expect(world.node('c').disk.groupsStored()).toEqual([])
    expect(isSettled(world, 'a', 'b', 'd')).toBe(true)
    expect([append, next].map(({ answers }) => answers)).toEqual([['ok'], ['ok']])
    expect(await world.lost()).toEqual([])
  })

  it('stays a member while nobody can take its place, and goes on where it was', async () => {
    const world = logKeeperWorld(11)
    await nodes(world, 'a', 'b', 'c')
    await foundBy(world, 'a', 'b', 'c')
    world.knowRoster('a', 'b', 'c')
    world.kill('c')
    await world.runFor(3 * world.tuning.memberSilentMs)
    expect(world.members()).toMatchObject({ voters: ['a', 'b', 'c'], outgoing: [] })
    const append = world.append('without c')
    await world.until('it is committed', () => world.isAnswered(append))
    await world.restart('c')
    await world.until('c has it', () => world.node('c').disk.entriesStored(mission) === world.led().disk.entriesStored(mission))
    expect(await world.notesAt('c')).toEqual(['without c'])
    expect(world.sent('group-left', { to: 'c' })).toEqual([])
  })

  it('whoever asks about a log that it is still in is not told that it left', async () => {
    const world = logKeeperWorld(12)
    await nodes(world, 'a', 'b', 'c')
    await foundBy(world, 'a', 'b', 'c')
    await world.runFor(1_000)
    for (const name of ['a', 'b']) world.links.again({ atMs: 0, from: 'c', to: name, message: { kind: 'group-ask', group: mission } })
    await world.runFor(10_000)
    expect(world.sent('group-left')).toEqual([])
    expect(world.node('c').disk.groupsStored()).toEqual([mission])
  })
})

describe('a takeover by hand', () => {
  it('is refused while those that can be reached are about to elect somebody, and nothing is lost', async () => {
    const world = logKeeperWorld(13)
    await nodes(world, 'a', 'b', 'c')
    await foundBy(world, 'a', 'b', 'c')
    await world.runFor(500)
    world.sever('a', 'c')
    const append = world.append('c misses this')
    await world.until('a and b have it', () => world.isAnswered(append))
    world.heal()
    world.kill('a')
    const { host } = world.node('c')
    await world.until('c knows of no leader', () => {
      const news = host.all('group-followed').at(-1)
      return news !== undefined && news.leader === undefined
    })
    world.node('c').tell({ kind: 'take-over', tag: 'early', group: mission })
    await world.until('it is answered', () => host.all('taken-over').length > 0)
    expect(host.all('taken-over')).toMatchObject([{ tag: 'early', fault: { code: 'wrong-state', retryable: true } }])
    await world.until('b leads', () => world.leader()?.name === 'b')
    await world.until('c has it, too', () => world.node('c').disk.entriesStored(mission) === world.node('b').disk.entriesStored(mission))
    expect(await world.notesAt('c')).toEqual(['c misses this'])
    expect(await world.lost()).toEqual([])
  })

  it('is done when a majority is gone, and when those that are there have elected nobody for long', async () => {
    const world = logKeeperWorld(14)
    await nodes(world, 'a', 'b', 'c')
    await foundBy(world, 'a', 'b', 'c')
    await world.runFor(500)
    for (const name of ['a', 'b']) world.kill(name)
    world.node('c').tell({ kind: 'take-over', tag: 'alone', group: mission })
    await world.until('c leads', () => world.leader()?.name === 'c')
    expect(world.leader()?.host.leads.get(mission)?.epoch).toEqual({ lineage: 2, term: 1 })
  })
})
