import { describe, expect, it } from 'vitest'
import { fault } from '../../protocols/kernel/errors.ts'
import { formatEpoch, type GroupId } from '../../protocols/kernel/ids.ts'
import { noteOf } from './log-keeper-host.ts'
import { logKeeperWorld, mission } from './log-keeper-world.ts'

type World = ReturnType<typeof logKeeperWorld>

/** Three nodes; the first has founded the log. */
async function three(seed: number): Promise<World> {
  const world = logKeeperWorld(seed)
  for (const name of ['a', 'b', 'c']) await world.start(name)
  world.found('a', ['a', 'b', 'c'])
  await world.until('a leads', () => world.leader()?.name === 'a')
  return world
}

const epochOf = (world: World): string => formatEpoch(world.led().host.leads.get(mission)!.epoch)

describe('founding and appending', () => {
  it('what is appended is answered once, in order, when a majority has it', async () => {
    const world = await three(1)
    world.links.isolate('c', 'a', 'b')
    const appends = [world.append('one'), world.append('two', 'three')]
    await world.until('it is committed without c', () => appends.every(world.isAnswered))
    expect(appends.map(({ answers }) => answers)).toEqual([['ok'], ['ok']])
    expect(await world.notesAt('b')).toEqual(['one', 'two', 'three'])
    expect(await world.notesAt('c')).toEqual([])

    world.links.isolate('b', 'a')
    const alone = world.append('four')
    await world.runFor(world.tuning.electionMsMin / 2)
    expect(alone.answers, 'one of three is no majority').toEqual([])
    world.heal()
    await world.until('it is committed after all', () => world.isAnswered(alone))
    await world.runFor(5_000)
    expect(world.led().host.appends.map(({ answers }) => answers)).toEqual([['ok'], ['ok'], ['ok']])
    for (const name of ['a', 'b', 'c']) expect(await world.notesAt(name)).toEqual(['one', 'two', 'three', 'four'])
  })

  it('messages that overtake one another and arrive twice change nothing', async () => {
    const world = await three(2)
    for (const from of ['a', 'b', 'c']) for (const to of ['a', 'b', 'c']) Object.assign(world.links.link(from, to), { jitterMs: 120, doubles: true })
    const notes: string[] = []
    for (let n = 0; n < 60; n++) {
      notes.push(`note ${n}`)
      world.append(`note ${n}`)
      await world.runFor(17)
    }
    const { appends } = world.led().host
    await world.until('all are answered', () => appends.every(world.isAnswered))
    await world.runFor(3_000)
    expect(appends.every(({ answers }) => answers.join() === 'ok')).toBe(true)
    for (const name of ['a', 'b', 'c']) expect(await world.notesAt(name)).toEqual(notes)
    expect(epochOf(world)).toBe('1.1')
  })

  it('what is appended while a write is under way goes into the next one, all logs together', async () => {
    const other = 'm-01abcdef-abcdefghijkl' as GroupId
    const world = await three(3)
    world.found('a', ['a', 'b', 'c'], other)
    await world.until('both are led', () => world.leader(other)?.name === 'a')
    await world.runFor(1_000)
    const { batches, disk, host } = world.node('a')
    disk.setSyncMs(200)
    const before = batches.length
    const first = host.note(mission, 'first')
    await world.until('it is being written', () => batches.length > before)
    const later = Array.from({ length: 10 }, (_, n) => host.note(n % 2 === 0 ? mission : other, `later ${n}`))
    await world.until('all are on the disk of a', () => disk.entriesStored(mission) === 7 && disk.entriesStored(other) === 6)
    await world.until('all are answered', () => [first, ...later].every(world.isAnswered))
    const written = batches.slice(before).map(({ writes }) => writes.flatMap(({ entries }) => entries.flatMap(noteOf))).filter((notes) => notes.length > 0)
    expect(written[0]).toEqual(['first'])
    expect(written[1]?.toSorted()).toEqual(later.flatMap(({ entries }) => entries.flatMap(noteOf)).toSorted())
    expect(written).toHaveLength(2)
  })

  it('no word of a log leaves its founder before that is on its disk', async () => {
    const world = logKeeperWorld(4)
    for (const name of ['a', 'b', 'c']) await world.start(name)
    world.node('a').disk.setStuck(true)
    world.found('a', ['a', 'b', 'c'])
    await world.runFor(300)
    expect(world.leader()?.name, 'its host may append already').toBe('a')
    const append = world.append('early')
    await world.runFor(300)
    expect(world.sent('log-append', { from: 'a' })).toEqual([])
    expect(append.answers).toEqual([])
    world.node('a').disk.setStuck(false)
    await world.until('it is committed', () => world.isAnswered(append))
    expect(append.answers).toEqual(['ok'])
  })

  it('the host of every member of the roster hears what is committed, and again after a restart', async () => {
    const world = logKeeperWorld(5)
    for (const name of ['a', 'b', 'c']) await world.start(name)
    world.found('a', ['a', 'b', 'c'], 'roster')
    await world.until('a leads', () => world.leader('roster') !== undefined)
    const append = world.led('roster').host.note('roster', 'one', 'two')
    await world.until('it is committed', () => world.isAnswered(append))
    const heardBy = (name: string): string[] => world.node(name).host.all('committed').flatMap(({ entries }) => entries.flatMap(noteOf))
    await world.until('everybody hears of it', () => ['a', 'b', 'c'].every((name) => heardBy(name).length > 0))
    for (const name of ['a', 'b', 'c']) expect(heardBy(name)).toEqual(['one', 'two'])
    // With what comes next it is written that this was committed: then c need not be told by anybody.
    const more = world.led('roster').host.note('roster', 'three')
    await world.until('everybody has it', () => world.isAnswered(more) && world.node('c').disk.entriesStored('roster') === 4)
    world.kill('c')
    world.links.isolate('c', 'a', 'b')
    await world.restart('c')
    await world.runFor(1_000)
    expect(heardBy('c')).toEqual(['one', 'two'])
    world.heal()
    await world.until('c hears of the rest', () => heardBy('c').length === 3)
    expect(heardBy('c')).toEqual(['one', 'two', 'three'])
  })
})

describe('who leads', () => {
  it('the founder dies: another leads within a moment, and nothing that was answered is lost', async () => {
    const world = await three(10)
    const append = world.append('before')
    await world.until('it is committed', () => world.isAnswered(append))
    world.kill('a')
    await world.until('another leads', () => world.leader() !== undefined, world.tuning.electionMsMin)
    const next = world.append('after')
    await world.until('it is committed', () => world.isAnswered(next))
    await world.restart('a')
    await world.until('a has it all', () => world.node('a').disk.entriesStored(mission) === world.led().disk.entriesStored(mission))
    expect(await world.notesAt('a')).toEqual(['before', 'after'])
    expect(await world.lost()).toEqual([])
  })

  it('a leader that is heard and hears nobody steps down, and another leads', async () => {
    const world = await three(11)
    world.links.mute('b', 'a')
    world.links.mute('c', 'a')
    const inVain = world.append('in vain')
    const question = world.node('a').host.barrier(mission)
    await world.until('another leads', () => ['b', 'c'].includes(world.leader()?.name ?? ''))
    expect(inVain.answers).toMatchObject([{ code: 'fenced' }])
    expect(question.answer()).toMatchObject({ code: 'fenced' })
    expect(world.node('a').host.leads.has(mission)).toBe(false)
    const next = world.append('of the next')
    await world.until('it is committed', () => world.isAnswered(next))
    const epoch = epochOf(world)
    await world.runFor(20_000)
    world.heal()
    await world.until('a has it', () => world.node('a').disk.entriesStored(mission) === world.led().disk.entriesStored(mission))
    await world.runFor(10_000)
    expect(epochOf(world), 'nobody was deposed by the one that came back').toBe(epoch)
    expect(await world.lost()).toEqual([])
  })

  it('a leader of an idle log stops when it has heard nobody for as long as an election takes', async () => {
    const world = await three(18)
    const { electionMsMax, groupPulseMs } = world.tuning
    for (const waitMs of [3_100, 4_000, 5_200, 5_900]) {
      await world.runFor(waitMs)
      const was = world.led()
      const others = ['a', 'b', 'c'].filter((name) => name !== was.name)
      world.links.isolate(was.name, ...others)
      // Those who were silent just before are waited for longer.
      await world.until('it leads no more', () => !was.host.leads.has(mission), 2 * electionMsMax + groupPulseMs)
      world.heal()
      await world.until('somebody leads', () => world.leader() !== undefined)
    }
  })

  it('a leader that was deposed learns it from any member, also when it has nothing to say and never hears the new one', async () => {
    const world = await three(17)
    await world.runFor(1_000)
    world.links.isolate('a', 'b', 'c')
    await world.until('another leads', () => ['b', 'c'].includes(world.leader()?.name ?? ''))
    expect(world.node('a').host.leads.has(mission), 'it does not know yet').toBe(true)
    const [next = '', other = ''] = world.led().name === 'b' ? ['b', 'c'] : ['c', 'b']
    world.links.mend()
    world.links.mute(next, 'a')
    await world.until('a leads no more', () => !world.node('a').host.leads.has(mission))
    await world.runFor(20_000)
    expect(world.node('a').host.epochsLed(mission)).toEqual(['1.1'])
    expect(world.leader()?.name).toBe(next)
    expect(world.sent('group-pulse-heard', { from: other, to: 'a' }).some(({ message }) => !message.agrees)).toBe(true)
  })

  it.each([
    { what: 'nobody hears it', cut: (world: World) => world.links.mute('c', 'a', 'b') },
    { what: 'it does not hear its leader', cut: (world: World) => world.links.mute('a', 'c') },
    { what: 'it hears nobody', cut: (world: World) => { world.links.mute('a', 'c'); world.links.mute('b', 'c') } },
    { what: 'it is cut off', cut: (world: World) => world.links.isolate('c', 'a', 'b') },
  ])('a follower deposes nobody when $what, nor when it is heard again', async ({ cut }) => {
    const world = await three(12)
    await world.runFor(1_000)
    cut(world)
    // At first its log is as good as anybody's.
    await world.runFor(10_000)
    for (let round = 0; round < 10; round++) {
      world.append(`round ${round}`)
      await world.runFor(1_000)
    }
    world.heal()
    await world.runFor(10_000)
    expect(epochOf(world)).toBe('1.1')
    expect(world.led().host.appends.every(({ answers }) => answers.join() === 'ok')).toBe(true)
    expect(await world.notesAt('c')).toEqual(await world.notesAt('a'))
  })

  it('a witness that had to be elected hands on as soon as the other has caught up', async () => {
    const world = logKeeperWorld(13)
    for (const name of ['a', 'b', 'w']) await world.start(name, { likesToLead: name !== 'w' })
    world.found('a', ['a', 'b', 'w'])
    await world.until('a leads', () => world.leader()?.name === 'a')
    await world.runFor(1_000)
    world.links.isolate('b', 'a', 'w')
    const append = world.append('only a and w have it')
    await world.until('it is committed', () => world.isAnswered(append))
    world.kill('a')
    await world.runFor(1_000)
    world.heal()
    await world.until('the witness leads', () => world.leader()?.name === 'w')
    await world.until('b leads', () => world.leader()?.name === 'b', world.tuning.electionMsMin)
    await world.runFor(10_000)
    expect(world.leader()?.name).toBe('b')
    expect(await world.notesAt('b')).toEqual(['only a and w have it'])
  })

  it.each([[21, 'once'], [24, 'once'], [21, 'whenever it leads'], [24, 'whenever it leads']] as const)('a node that cannot fold a log leads it only while nobody else does (seed %i, its host says so %s)', async (seed, says) => {
    const world = await three(seed)
    world.kill('c')
    const append = world.append('before')
    await world.until('it is written', () => world.isAnswered(append))
    const { host, tell } = world.node('a')
    let refused = 0
    const isLedBy = (name: string) => (): boolean => {
      const epochs = host.epochsLed(mission).length
      if (epochs > refused && (refused === 0 || says !== 'once')) tell({ kind: 'cannot-lead', group: mission, fault: fault('version-mismatch', 'it was folded by a newer release') })
      refused = epochs
      return world.leader()?.name === name
    }
    await world.until('b leads', isLedBy('b'))
    expect(world.node('a').facts).toContainEqual(expect.objectContaining({ level: 'error', name: 'group.cannot-lead' }))
    await world.restart('c')
    world.append('after')
    await world.runFor(5_000)
    // Whichever of the others is elected first.
    world.kill('b')
    await world.until('c leads', isLedBy('c'), 20_000)
    await world.runFor(20_000)
    expect(world.leader()?.name).toBe('c')
    expect(await world.lost()).toEqual([])
  })

  it('a node that is about to stop hands on all its logs, one epoch later, with everything that was appended', async () => {
    const world = await three(14)
    const groups = [mission, ...['m-03abcdef-abcdefghijkl', 'm-04abcdef-abcdefghijkl'] as GroupId[]]
    for (const group of groups.slice(1)) world.found('a', ['a', 'b', 'c'], group)
    await world.until('all are led', () => groups.every((group) => world.leader(group)?.name === 'a'))
    const { host, tell } = world.node('a')
    for (const group of groups) for (let n = 0; n < 20; n++) host.note(group, `note ${n}`)
    tell({ kind: 'hand-over' })
    await world.until('a leads nothing', () => host.all('leads-nothing').length > 0, world.tuning.electionMsMin)
    expect([...host.leads.keys()], 'when it says so, it is true').toEqual([])
    await world.until('others lead', () => groups.every((group) => ['b', 'c'].includes(world.leader(group)?.name ?? '')), world.tuning.electionMsMin)
    world.kill('a')
    await world.runFor(10_000)
    expect(host.all('leads-nothing')).toHaveLength(1)
    for (const group of groups) {
      expect(formatEpoch(world.led(group).host.leads.get(group)!.epoch)).toBe('1.2')
      expect(await world.notesAt(world.led(group).name, group)).toEqual(Array.from({ length: 20 }, (_, n) => `note ${n}`))
      expect(await world.lost(group)).toEqual([])
    }
  })

  it('a log that is kept in memory only is led and answered without a write', async () => {
    const world = logKeeperWorld(16)
    await world.start('a')
    world.found('a', ['a'], mission, false)
    await world.until('a leads', () => world.leader() !== undefined)
    const append = world.append('one')
    await world.until('it is committed', () => world.isAnswered(append), 100)
    expect(append.answers).toEqual(['ok'])
    expect(world.node('a').batches).toEqual([])
    world.kill('a')
    await world.restart('a')
    expect(world.node('a').host.found()).toEqual([])
  })

  it('a node that is alone with its logs says at once that it leads nothing that others could', async () => {
    const world = logKeeperWorld(15)
    await world.start('a')
    world.found('a', ['a'])
    await world.until('a leads', () => world.leader() !== undefined)
    world.node('a').tell({ kind: 'hand-over' })
    await world.until('it is said', () => world.node('a').host.all('leads-nothing').length > 0, 100)
    expect(world.leader()?.name).toBe('a')
  })
})
