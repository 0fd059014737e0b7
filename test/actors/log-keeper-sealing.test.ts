import { describe, expect, it } from 'vitest'
import type { MissionId } from '../../protocols/kernel/ids.ts'
import { chainOrigin } from '../../protocols/replicated-log/chain.ts'
import { virtualPeerId } from '../../sim/identity-virtual-adapter.ts'
import { logKeeperWorld, mission } from './log-keeper-world.ts'

const otherMission = 'm-00other0-abcdefghijkl' as MissionId

type World = ReturnType<typeof logKeeperWorld>

/** Three replicas and one more that takes submissions; the log of the first three is not founded yet. */
async function four(seed: number): Promise<World> {
  const world = logKeeperWorld(seed)
  for (const name of ['a', 'b', 'c', 'd']) await world.start(name)
  world.knowRoster('a', 'b', 'c', 'd')
  return world
}

/** The log is founded by `a`, and nobody else has heard of it. */
async function foundAlone(world: World): Promise<void> {
  for (const name of ['b', 'c']) world.sever('a', name)
  world.found('a', ['a', 'b', 'c'])
  await world.until('a leads', () => world.leader()?.name === 'a')
}

function askToSeal(world: World, name: string, incarnation = world.node(name).incarnation): void {
  world.links.again({ atMs: 0, from: 'd', to: name, message: { kind: 'seal-ask', group: mission, founder: virtualPeerId('a'), toward: incarnation } })
}

const answersOf = (world: World, name: string): boolean[] => world.sent('sealed', { from: name, to: 'd' }).map(({ message }) => message.sealed)

async function seal(world: World, ...names: string[]): Promise<void> {
  for (const name of names) {
    const before = answersOf(world, name).length
    askToSeal(world, name)
    await world.until(`${name} has answered`, () => answersOf(world, name).length > before)
    expect(answersOf(world, name).at(-1), name).toBe(true)
  }
}

const has = (world: World, name: string): boolean => world.diskOf(name).groupsStored().includes(mission)

describe('a member that has nothing of a log', () => {
  it('seals it: says so when that is on its disk, refuses it from then on, also after a restart', async () => {
    const world = await four(1)
    await foundAlone(world)
    world.node('b').disk.setStuck(true)
    askToSeal(world, 'b')
    await world.runFor(500)
    expect(answersOf(world, 'b')).toEqual([])
    askToSeal(world, 'b')
    await world.runFor(500)
    expect(answersOf(world, 'b'), 'asked again').toEqual([])
    world.node('b').disk.setStuck(false)
    await world.until('both are answered', () => answersOf(world, 'b').length === 2)
    expect(answersOf(world, 'b')).toEqual([true, true])
    expect(world.node('b').host.all('group-sealed').map(({ group }) => group)).toEqual([mission])

    world.heal()
    await world.until('its founder hears of it', () => world.sent('sealed', { from: 'b', to: 'a' }).length > 0)
    world.kill('b')
    await world.restart('b')
    const sinceMs = world.clock.nowMs()
    await world.until('its founder hears of it again', () => world.sent('sealed', { from: 'b', to: 'a', sinceMs }).length > 0)
    await seal(world, 'b')
    expect(has(world, 'b')).toBe(false)
  })

  it('and hears of it at the same moment has it or seals it, not both', async () => {
    for (const first of ['append', 'ask']) {
      const world = await four(2)
      await foundAlone(world)
      world.heal()
      world.links.link('b', 'a').cut = true
      await world.until('it is sent', () => world.sent('log-append', { from: 'a', to: 'b' }).length > 0)
      const append = world.sent('log-append', { from: 'a', to: 'b' })[0]!
      expect(has(world, 'b')).toBe(false)
      if (first === 'append') world.links.again(append)
      askToSeal(world, 'b')
      if (first === 'ask') world.links.again(append)
      await world.until('it is answered', () => answersOf(world, 'b').length > 0)
      await world.runFor(200)
      expect(has(world, 'b')).toBe(answersOf(world, 'b')[0] === false)
    }
  })

  it('does not seal what it had in another life, nor for a node that takes no submissions', async () => {
    const world = await four(3)
    await foundAlone(world)
    askToSeal(world, 'b', 'otherlife' as never)
    await world.until('it is answered', () => answersOf(world, 'b').length > 0)
    expect(answersOf(world, 'b')).toEqual([false])
    world.knowRoster('a', 'b', 'c')
    askToSeal(world, 'c')
    await world.runFor(2_000)
    expect(answersOf(world, 'c')).toEqual([])
    world.heal()
    await world.until('all have it', () => ['b', 'c'].every((name) => has(world, name)))
  })
})

it('a member that has a copy, its archive, or the memory of one, does not seal it', async () => {
  const world = await four(4)
  world.found('a', ['a', 'b', 'c'])
  await world.until('all have it', () => ['a', 'b', 'c'].every((name) => has(world, name)))
  const answers: boolean[] = []
  const asked = async (): Promise<void> => {
    askToSeal(world, 'b')
    await world.until('it is answered', () => answersOf(world, 'b').length > answers.length)
    answers.push(answersOf(world, 'b').at(-1) === true)
  }
  await asked()
  const record = world.ended(['a', 'b', 'c'])
  world.node('a').tell({ kind: 'end-group', group: mission, ended: record })
  await world.until('it has ended', () => world.node('b').host.all('group-ended').length === 1)
  await asked()
  world.node('b').tell({ kind: 'forget-ended', ended: [record] })
  await world.until('it is written', () => world.node('b').batches.some(({ removed }) => removed?.includes(mission)) && world.node('b').disk.unsyncedWrites() === 0)
  await asked()
  expect(answers).toEqual([false, false, false])
})

describe('a founder whose log all the others have sealed', () => {
  it('leading it, gives it up when it hears so, and not before', async () => {
    const world = await four(10)
    await foundAlone(world)
    const append = world.append('in vain')
    await seal(world, 'b')
    world.heal()
    world.sever('a', 'c')
    await world.until('it hears of one', () => world.sent('sealed', { from: 'b', to: 'a' }).length > 0)
    await world.runFor(1_000)
    expect(has(world, 'a')).toBe(true)
    await seal(world, 'c')
    world.heal()
    await world.until('its copy is gone', () => !has(world, 'a'))
    expect(append.answers).toMatchObject([{ code: 'fenced', retryable: true }])
    expect(world.node('a').host.all('group-sealed').map(({ group }) => group)).toEqual([mission])
    await world.runFor(20_000)
    expect(['a', 'b', 'c'].map((name) => has(world, name))).toEqual([false, false, false])
  })

  it('coming back with it, never leads it', async () => {
    const world = await four(11)
    await foundAlone(world)
    world.kill('a')
    await seal(world, 'b', 'c')
    world.heal()
    await world.restart('a')
    await world.until('its copy is gone', () => !has(world, 'a'))
    expect(world.node('a').host.leads.size).toBe(0)
    await world.runFor(20_000)
    expect(world.leader()).toBeUndefined()
  })
})

describe('a log that not all have sealed', () => {
  it('and that another has: who has sealed it is a member like any other, and votes for it', async () => {
    const world = await four(20)
    await foundAlone(world)
    await seal(world, 'c')
    world.links.link('b', 'a').cut = true
    world.heal()
    world.sever('a', 'c')
    await world.until('b has it', () => has(world, 'b'))
    world.kill('a')
    await world.until('b leads', () => world.leader()?.name === 'b')
    const append = world.append('without a')
    await world.until('it is committed', () => world.isAnswered(append))
    expect(await world.notesAt('c')).toEqual(['without a'])
    askToSeal(world, 'c')
    await world.until('c is asked again', () => answersOf(world, 'c').length === 2)
    expect(answersOf(world, 'c')).toEqual([true, false])
  })

  it('and that is committed: who has sealed it has it in the end', async () => {
    const world = await four(21)
    await foundAlone(world)
    await seal(world, 'c')
    world.heal()
    const append = world.append('one')
    await world.until('it is committed', () => world.isAnswered(append))
    await world.until('c has it', () => world.node('c').disk.entriesStored(mission) === 2)
    expect(await world.notesAt('c')).toEqual(['one'])
    world.kill('a')
    await world.until('another leads', () => world.leader() !== undefined)
    expect(await world.lost()).toEqual([])
  })

  it('and in which it had voted: it does not vote twice', async () => {
    const world = await four(22)
    const [a, b, c] = ['a', 'b', 'c'].map((name) => world.member(name)) as [ReturnType<World['member']>, ReturnType<World['member']>, ReturnType<World['member']>]
    const voteAsk = (from: string, as: string, term: number): void => world.links.again({ atMs: 0, from, to: 'c', message: { kind: 'vote-ask', group: mission, as: as as never, toward: c.incarnation, epoch: { lineage: 1, term }, pre: false, transfer: false, last: { index: 1, epoch: { lineage: 1, term: 1 }, chain: chainOrigin } } })
    const votes = (to: string): boolean[] => world.sent('vote', { from: 'c', to }).map(({ message }) => message.granted)
    voteAsk('a', a.incarnation, 2)
    await world.until('c has voted', () => votes('a').length === 1)
    expect(votes('a')).toEqual([true])
    await seal(world, 'c')
    voteAsk('a', a.incarnation, 3)
    await world.until('its founder hears that it is sealed', () => world.sent('sealed', { from: 'c', to: 'a' }).length > 0)
    voteAsk('b', b.incarnation, 2)
    await world.until('b is answered', () => votes('b').length === 1)
    voteAsk('b', b.incarnation, 3)
    await world.until('b is answered again', () => votes('b').length === 2)
    expect(votes('a')).toEqual([true])
    expect(votes('b')).toEqual([false, true])
  })

  it('and that has it again before the promise was written: what it says that it has is on its disk', async () => {
    const world = await four(23)
    for (const name of ['b', 'c']) world.sever('a', name)
    world.found('a', ['a', 'b', 'c'])
    await world.until('a leads', () => world.leader()?.name === 'a')
    world.heal()
    world.sever('a', 'c')
    const one = world.append('one')
    await world.until('a and b have it', () => world.isAnswered(one))
    // Its disk is busy with something else meanwhile.
    world.node('c').disk.setStuck(true)
    world.found('c', ['c'], otherMission)
    await world.runFor(20)
    askToSeal(world, 'c')
    await world.runFor(20)
    world.heal()
    await world.runFor(300)
    world.kill('b')
    const two = world.append('two')
    await world.runFor(50)
    world.node('c').disk.setStuck(false)
    await world.until('a and c have it', () => world.isAnswered(two))
    expect(two.answers).toEqual(['ok'])
    expect(await world.notesAt('c')).toEqual(['one', 'two'])
    for (const name of ['a', 'c']) world.kill(name)
    for (const name of ['b', 'c']) await world.restart(name)
    await world.until('c leads, which has more', () => world.leader()?.name === 'c')
    await world.until('b has it, too', () => world.node('b').disk.entriesStored(mission) === world.node('c').disk.entriesStored(mission))
    expect(await world.notesAt('b')).toEqual(['one', 'two'])
    expect(await world.lost()).toEqual([])
  })
})
