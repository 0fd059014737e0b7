import { describe, expect, it } from 'vitest'
import { chainOrigin } from '../../protocols/replicated-log/chain.ts'
import { virtualPeerId } from '../../sim/identity-virtual-adapter.ts'
import { logKeeperWorld, mission } from './log-keeper-world.ts'

type World = ReturnType<typeof logKeeperWorld>

function askForVote(world: World, from: string, to: string, term: number): void {
  world.links.again({ atMs: 0, from, to, message: { kind: 'vote-ask', group: mission, as: world.member(from).incarnation, toward: world.member(to).incarnation, epoch: { lineage: 1, term }, pre: false, transfer: false, last: { index: 1, epoch: { lineage: 1, term: 1 }, chain: chainOrigin } } })
}

const votes = (world: World, to: string): boolean[] => world.sent('vote', { from: 'c', to }).map(({ message }) => message.granted)
const has = (world: World, name: string): boolean => world.diskOf(name).groupsStored().includes(mission)

/** `c` has voted for `a` under term 2, has heard no more of it, and has put its copy away. */
async function putAway(seed: number): Promise<World> {
  const world = logKeeperWorld(seed)
  for (const name of ['a', 'b', 'c', 'd']) await world.start(name)
  world.knowRoster('a', 'b', 'c', 'd')
  askForVote(world, 'a', 'c', 2)
  await world.until('c has voted', () => votes(world, 'a').length === 1)
  expect([votes(world, 'a'), has(world, 'c')]).toEqual([[true], true])
  await world.runFor(world.tuning.memberSilentMs / 2)
  expect(has(world, 'c'), 'not at once').toBe(true)
  await world.until('c has put its copy away', () => !has(world, 'c'), 2 * world.tuning.memberSilentMs)
  return world
}

describe('a copy that was joined to vote, and was never sent anything', () => {
  it('is put away, and does not vote as if it had never been', async () => {
    const world = await putAway(1)
    askForVote(world, 'b', 'c', 2)
    await world.until('b is answered', () => votes(world, 'b').length === 1)
    expect(votes(world, 'b')).toEqual([false])
    askForVote(world, 'b', 'c', 3)
    await world.until('b is answered again', () => votes(world, 'b').length === 2)
    expect(votes(world, 'b'), 'under a later term it may').toEqual([false, true])
    await world.until('it is put away again', () => !has(world, 'c'), 2 * world.tuning.memberSilentMs)
    askForVote(world, 'a', 'c', 3)
    await world.until('a is answered', () => votes(world, 'a').length === 2)
    expect(votes(world, 'a'), 'and remembers for whom it has voted last').toEqual([true, false])
  })

  it('nor after a restart', async () => {
    const world = await putAway(2)
    world.kill('c')
    await world.restart('c')
    expect(world.node('c').host.found()).toEqual([])
    askForVote(world, 'b', 'c', 2)
    await world.until('b is answered', () => votes(world, 'b').length === 1)
    expect(votes(world, 'b')).toEqual([false])
  })

  it('nor while that is being written', async () => {
    const world = logKeeperWorld(3)
    for (const name of ['a', 'b', 'c', 'd']) await world.start(name)
    askForVote(world, 'a', 'c', 2)
    await world.until('c has voted', () => votes(world, 'a').length === 1)
    world.node('c').disk.setStuck(true)
    await world.until('c is about to put it away', () => world.node('c').batches.some(({ former }) => former?.length === 1), 2 * world.tuning.memberSilentMs)
    expect(has(world, 'c')).toBe(true)
    askForVote(world, 'b', 'c', 2)
    await world.runFor(500)
    world.node('c').disk.setStuck(false)
    await world.until('b is answered', () => votes(world, 'b').length === 1)
    expect(votes(world, 'b')).toEqual([false])
  })

  it('is the same member as before when the log comes: it goes on with the votes of those who are there', async () => {
    const world = logKeeperWorld(4)
    for (const name of ['a', 'b', 'c']) await world.start(name)
    world.links.isolate('c', 'a', 'b')
    world.found('a', ['a', 'b', 'c'])
    await world.until('a leads', () => world.leader()?.name === 'a')
    const append = world.append('without c')
    await world.until('a and b have it', () => world.isAnswered(append))
    for (const name of ['a', 'b']) world.kill(name)
    world.heal()
    world.links.link('a', 'c').delayMs = 40
    await world.restart('a')
    await world.until('c has voted', () => votes(world, 'a').includes(true))
    world.kill('a')
    await world.until('c has put its copy away', () => !has(world, 'c'), 2 * world.tuning.memberSilentMs)
    await world.restart('a')
    await world.until('a leads with the vote of c', () => world.leader()?.name === 'a')
    await world.until('c has it', () => world.node('c').disk.entriesStored(mission) === world.node('a').disk.entriesStored(mission))
    expect(await world.notesAt('c')).toEqual(['without c'])
    expect(world.sent('other-incarnation')).toEqual([])
    expect(await world.lost()).toEqual([])
  })

  it('can be sealed, and does not vote twice when that fails', async () => {
    const world = await putAway(5)
    world.links.again({ atMs: 0, from: 'd', to: 'c', message: { kind: 'seal-ask', group: mission, founder: virtualPeerId('a'), toward: world.member('c').incarnation } })
    await world.until('it is answered', () => world.sent('sealed', { from: 'c', to: 'd' }).length === 1)
    expect(world.sent('sealed', { from: 'c', to: 'd' })[0]?.message.sealed).toBe(true)
    askForVote(world, 'a', 'c', 3)
    await world.until('its founder hears that it is sealed', () => world.sent('sealed', { from: 'c', to: 'a' }).length > 0)
    askForVote(world, 'b', 'c', 2)
    await world.until('b is answered', () => votes(world, 'b').length === 1)
    expect(votes(world, 'b')).toEqual([false])
  })

  it('and whoever only asks after the log is told nothing: it has not ended', async () => {
    const world = await putAway(6)
    world.links.again({ atMs: 0, from: 'b', to: 'c', message: { kind: 'group-ask', group: mission } })
    await world.runFor(1_000)
    expect([...world.sent('group-left'), ...world.sent('group-ended')]).toEqual([])
  })
})
