import { describe, expect, it } from 'vitest'
import { formatEpoch } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { seededRandom } from '../../protocols/kernel/prng.ts'
import { logKeeperWorld, mission } from './log-keeper-world.ts'

type World = ReturnType<typeof logKeeperWorld>

async function started(seed: number, ...names: [string, ...string[]]): Promise<World> {
  const world = logKeeperWorld(seed)
  for (const name of names) await world.start(name)
  world.found(names[0], names)
  await world.until(`${names[0]} leads`, () => world.leader()?.name === names[0])
  const append = world.append('before')
  await world.until('everybody has it', () => world.isAnswered(append) && names.every((name) => world.node(name).disk.entriesStored(mission) === 2))
  await world.runFor(1_000)
  return world
}

describe('a sync that fails', () => {
  it('at a sole voter: nobody is answered that it is done, and the node gives up', async () => {
    const world = await started(1, 'a')
    const a = world.node('a')
    a.disk.failNextSync(seededRandom([1, 1]))
    const appends = [world.append('one')]
    await world.until('it is being written', () => a.disk.unsyncedWrites() > 0)
    appends.push(world.append('two'))
    const question = a.host.barrier(mission)
    await world.until('the node has given up', () => a.gaveUp !== undefined)
    await world.runFor(5_000)
    expect(appends.map(({ answers }) => answers)).toMatchObject([[{ code: 'storage-failed' }], [{ code: 'storage-failed' }]])
    expect(question.answer()).not.toBe('ok')
    expect(world.isRunning('a')).toBe(false)
    expect(a.batches.flatMap(({ writes }) => writes.flatMap(({ entries }) => entries)).length, 'nothing is written after it').toBe(3)

    await world.restart('a')
    await world.until('a leads', () => world.leader()?.name === 'a')
    const next = world.append('after')
    await world.until('it is committed', () => world.isAnswered(next))
    expect(next.answers).toEqual(['ok'])
    expect(await world.lost()).toEqual([])
  })

  it('at a leader: what others have not synced is not answered, and another leads', async () => {
    const world = await started(2, 'a', 'b', 'c')
    const a = world.node('a')
    for (const name of ['b', 'c']) world.node(name).disk.setSyncMs(50)
    a.disk.failNextSync(seededRandom([2, 2]))
    const append = world.append('one')
    await world.until('the node has given up', () => a.gaveUp !== undefined, 45)
    expect(append.answers).toMatchObject([{ code: 'storage-failed' }])
    await world.until('another leads', () => ['b', 'c'].includes(world.leader()?.name ?? ''))
    await world.restart('a')
    const next = world.append('two')
    await world.until('everybody has it', () => world.isAnswered(next) && world.node('a').disk.entriesStored(mission) === world.led().disk.entriesStored(mission))
    expect(append.answers).toHaveLength(1)
    expect(await world.notesAt('a')).toEqual(await world.notesAt(world.led().name))
    expect(await world.lost()).toEqual([])
  })

  it('at a follower: it acknowledges nothing of it, and votes for nobody', async () => {
    const world = await started(3, 'a', 'b', 'c')
    const b = world.node('b')
    b.disk.failNextSync(seededRandom([3, 3]))
    const sinceMs = world.clock.nowMs()
    world.links.isolate('c', 'a', 'b')
    const append = world.append('one')
    await world.until('b has given up', () => b.gaveUp !== undefined)
    await world.runFor(5_000)
    expect(append.answers.includes('ok'), 'one of three is no majority').toBe(false)
    expect(world.sent('log-appended', { from: 'b', sinceMs }).filter(({ message }) => message.ok && message.matched > 2)).toEqual([])
    expect(world.isRunning('b')).toBe(false)
    await world.restart('b')
    world.heal()
    await world.until('somebody leads', () => world.leader() !== undefined)
    const next = world.append('two')
    await world.until('it is committed', () => world.isAnswered(next))
    expect(await world.lost()).toEqual([])
  })
})

describe('a sync that takes long', () => {
  it('makes a leader hand over, and it goes on as a follower', async () => {
    const world = await started(10, 'a', 'b', 'c')
    const a = world.node('a')
    a.disk.setSyncMs(6_000)
    const append = world.append('one')
    await world.until('it is committed by the others', () => world.isAnswered(append), limits.slowSyncMs)
    await world.until('another leads', () => ['b', 'c'].includes(world.leader()?.name ?? ''), limits.slowSyncMs + 500)
    expect(a.host.leads.has(mission)).toBe(false)
    const next = world.append('two')
    await world.until('it is committed without a', () => world.isAnswered(next), 1_000)
    a.disk.setSyncMs(1)
    await world.until('a has it all', () => a.disk.entriesStored(mission) === world.led().disk.entriesStored(mission))
    expect(a.gaveUp).toBeUndefined()
    expect(formatEpoch(world.led().host.leads.get(mission)!.epoch)).toBe('1.2')
    expect([append.answers, next.answers]).toEqual([['ok'], ['ok']])
    expect(await world.lost()).toEqual([])
  })

  it('a sole voter leads on: there is nobody else', async () => {
    const world = await started(11, 'a')
    world.node('a').disk.setSyncMs(3_500)
    const append = world.append('one')
    await world.until('it is committed', () => world.isAnswered(append), 4_000)
    expect(append.answers).toEqual(['ok'])
    expect(formatEpoch(world.led().host.leads.get(mission)!.epoch)).toBe('1.1')
  })

  it('what waits for the next write is not acknowledged with the one before', async () => {
    const world = await started(13, 'a', 'b', 'c')
    world.links.isolate('c', 'a', 'b')
    world.node('b').disk.setSyncMs(300)
    const first = world.append('one')
    await world.until('b is writing it', () => world.node('b').disk.unsyncedWrites() > 0)
    const second = world.append('two')
    await world.until('the first is committed', () => world.isAnswered(first))
    await world.runFor(50)
    expect(second.answers).toEqual([])
    world.node('b').disk.crash()
    world.kill('b')
    await world.restart('b')
    expect(await world.notesAt('b'), 'what was acknowledged is there').toContain('one')
    await world.until('the second is, too', () => world.isAnswered(second))
    expect(await world.lost()).toEqual([])
  })

  it.each([{ what: 'is on its disk', isStuck: false }, { what: 'still waits to be written', isStuck: true }])('what a leader had appended alone, and $what, gives way to what the others have agreed on', async ({ isStuck }) => {
    const world = await started(14, 'a', 'b', 'c')
    const a = world.node('a')
    world.links.isolate('a', 'b', 'c')
    a.disk.setStuck(isStuck)
    const alone = [a.host.note(mission, 'x')]
    await world.until('it is being written', () => a.disk.unsyncedWrites() > 0)
    alone.push(a.host.note(mission, 'y'), a.host.note(mission, 'z'))
    await world.until('another leads', () => ['b', 'c'].includes(world.leader()?.name ?? ''))
    const append = world.append('agreed')
    await world.until('it is committed', () => world.isAnswered(append))
    world.links.mend()
    await world.until('a has heard of it', () => alone.every(world.isAnswered) && world.sent('log-append', { from: world.led().name, to: 'a' }).length > 0)
    await world.runFor(1_000)
    a.disk.setStuck(false)
    await world.until('a has it', () => a.disk.entriesStored(mission) === world.led().disk.entriesStored(mission))
    await world.runFor(2_000)
    expect(await world.notesAt('a')).toEqual(['before', 'agreed'])
    expect(alone.map(({ answers }) => answers)).toMatchObject(alone.map(() => [{ code: 'fenced' }]))
    world.kill('a')
    await world.restart('a')
    expect(world.node('a').host.found().map(({ damage }) => damage)).toEqual([undefined])
  })

  it('nothing that is promised leaves a node before it is on its disk: a power cut takes back only what nobody has heard of', async () => {
    const world = await started(12, 'a', 'b', 'c')
    for (let round = 0; round < 8; round++) {
      const victim = ['b', 'c'][round % 2]!
      const { disk } = world.node(victim)
      const other = victim === 'b' ? 'c' : 'b'
      world.links.isolate(other, 'a', victim)
      disk.setStuck(true)
      const append = world.append(`round ${round}`)
      await world.runFor(400)
      expect(append.answers, 'only the leader has synced it').toEqual([])
      disk.crash()
      disk.setStuck(false)
      world.kill(victim)
      await world.restart(victim)
      world.links.mend()
      await world.until('it is committed', () => world.isAnswered(append))
      await world.until('everybody has it', () => ['b', 'c'].every((name) => world.node(name).disk.entriesStored(mission) === world.node('a').disk.entriesStored(mission)))
    }
    expect(await world.lost()).toEqual([])
    expect(formatEpoch(world.led().host.leads.get(mission)!.epoch)).toBe('1.1')
  })
})
