import { describe, expect, it } from 'vitest'
import { createVirtualBlobStore } from '../../sim/blob-store-virtual-adapter.ts'
import { logKeeperWorld, mission } from './log-keeper-world.ts'

type World = ReturnType<typeof logKeeperWorld>

const names = ['a', 'b', 'c'] as const

/** Three voters that have the notes, and know of the roster. The first leads. */
async function three(seed: number, ...notes: string[]): Promise<World> {
  const world = logKeeperWorld(seed, { snapshotTailEntries: 4 })
  for (const name of names) await world.start(name)
  world.found('a', names)
  await world.until('a leads', () => world.leader()?.name === 'a')
  world.knowRoster(...names)
  world.append(...notes)
  await world.until('everybody has it', () => names.every((name) => world.node(name).disk.entriesStored(mission) === notes.length + 1))
  return world
}

function hasAll(world: World, name: string): boolean {
  return world.node(name).disk.entriesStored(mission) > 0 && world.node(name).disk.entriesStored(mission) === world.led().disk.entriesStored(mission)
}

/** It votes again, under another name, and no change is under way. */
function isMemberAgain(world: World, name: string, incarnation: string): boolean {
  if (world.leader() === undefined) return false
  const { voters, outgoing, learners, incarnations } = world.members()
  return voters.join() === names.join() && outgoing.length === 0 && learners.length === 0 && incarnations.get(name) === incarnation
}

/** The names under which it promised anything since then. */
function saidAs(world: World, from: string, sinceMs: number): string[] {
  return [...new Set([...world.sent('log-appended', { from, sinceMs }), ...world.sent('vote', { from, sinceMs })].map(({ message }) => message.as))]
}

/** Only this one can be elected now, with everything that is committed. */
async function leads(world: World, name: string): Promise<void> {
  const others = names.filter((other) => other !== name)
  const [behind = '', gone = ''] = world.led().name === others[1] ? others : others.toReversed()
  world.links.isolate(behind, ...names.filter((other) => other !== behind))
  const append = world.append('the newest')
  await world.until('it is committed without one', () => world.isAnswered(append))
  world.kill(gone)
  world.links.mend()
  await world.until(`${name} leads`, () => world.leader()?.name === name)
  await world.restart(gone)
}

describe('a member that was away past the entries that are kept', () => {
  it.each([{ what: 'small', isBlob: false }, { what: 'a blob', isBlob: true }])('is sent the snapshot, which is $what, and goes on from there', async ({ isBlob }) => {
    const world = await three(1, 'first')
    world.kill('c')
    const appends = Array.from({ length: 40 }, (_, n) => world.append(`note ${n}`))
    await world.until('all are committed', () => appends.every(world.isAnswered))
    const folded = { upTo: 30 }
    const store = createVirtualBlobStore({ self: world.node('a').peer, swarm: world.swarm })
    world.node('a').host.snapshot(mission, 30, isBlob ? { blob: await store.put(new TextEncoder().encode(JSON.stringify(folded)), { mediaType: 'application/json' }) } : { inline: folded })
    await world.until('a keeps only a tail', () => world.node('a').disk.entriesStored(mission) < 20)
    await world.until('b has it too', () => world.node('b').batches.some(({ writes }) => writes.some(({ snapshot }) => snapshot?.at.index === 30)))

    await world.restart('c')
    await world.until('c has it', () => world.sent('log-install', { to: 'c' }).length > 0 && world.node('c').batches.some(({ writes }) => writes.some(({ head }) => head.last.index === 42)))
    const more = world.append('more')
    await world.until('c has that too', () => world.isAnswered(more) && world.node('c').batches.some(({ writes }) => writes.some(({ head }) => head.last.index === 43)))
    if (isBlob) expect(world.swarm.shelves.get(world.node('c').peer)?.size, 'it was fetched before it counted').toBe(1)

    await leads(world, 'c')
    const told = world.node('c').host.all('group-led').at(-1)
    expect(told?.snapshot).toMatchObject({ at: { index: 30 }, membership: { voters: names.map(world.member) } })
    expect(told?.entries.map(({ index }) => index)).toEqual(Array.from({ length: told?.entries.length ?? 0 }, (_, n) => 31 + n))
    expect(told?.entries.length).toBeGreaterThanOrEqual(14)
    expect(await world.lost()).toEqual([])

    world.kill('c')
    await world.restart('c')
    expect(world.node('c').host.found().map(({ group, damage }) => ({ group, damage })), 'the log on its disk is sound').toEqual([{ group: mission, damage: undefined }])
  })

  it('without the blob it is not counted as having it, and gets it once that can be fetched', async () => {
    const world = await three(2, 'first', 'second')
    world.kill('c')
    const store = createVirtualBlobStore({ self: world.node('a').peer, swarm: world.swarm })
    const blob = await store.put(new TextEncoder().encode('{}'), { mediaType: 'application/json' })
    const shelf = world.swarm.shelves.get(world.node('a').peer)
    const bytes = shelf?.get(blob.$blob)
    const appends = Array.from({ length: 20 }, (_, n) => world.append(`note ${n}`))
    await world.until('all are committed', () => appends.every(world.isAnswered))
    world.node('a').host.snapshot(mission, 20, { blob })
    await world.until('a keeps only a tail', () => world.node('a').disk.entriesStored(mission) < 10)
    for (const held of world.swarm.shelves.values()) held.delete(blob.$blob)
    await world.restart('c')
    await world.until('c is offered it', () => world.sent('log-install', { to: 'c' }).length > 0)
    await world.runFor(5_000)
    expect(await world.notesAt('c')).toEqual(['first', 'second'])
    shelf?.set(blob.$blob, bytes!)
    await world.until('c has it', () => world.node('c').batches.some(({ writes }) => writes.some(({ head }) => head.last.index === 23)), 120_000)
  })
})

it('a snapshot leaves as many entries before it as the node is told to keep, at every member', async () => {
  const world = await three(3, ...Array.from({ length: 30 }, (_, n) => `note ${n}`))
  await world.until('all have said so', () => ['b', 'c'].every((name) => world.sent('log-appended', { from: name }).some(({ message }) => message.matched === 31)))
  await world.runFor(100)
  world.node('a').host.snapshot(mission, 30, { inline: null })
  await world.until('all have it', () => names.every((name) => world.node(name).batches.some(({ writes }) => writes.some(({ snapshot }) => snapshot?.at.index === 30))))
  await world.runFor(1_000)
  // 27 to 30, and the one after it.
  expect(names.map((name) => world.node(name).disk.entriesStored(mission))).toEqual([5, 5, 5])
})

it('a snapshot of what is not committed is not taken', async () => {
  const world = await three(3, 'first')
  world.links.isolate('a', 'b', 'c')
  const append = world.append('second')
  world.node('a').host.snapshot(mission, 3, { inline: null })
  await world.runFor(world.tuning.electionMsMin / 2)
  expect(append.answers).toEqual([])
  expect(world.node('a').batches.filter(({ writes }) => writes.some(({ snapshot }) => snapshot !== undefined))).toEqual([])
  world.links.mend()
  await world.until('it is committed', () => world.isAnswered(append))
  expect(append.answers).toEqual(['ok'])
})

describe('a member that has lost its copy', () => {
  it('with its disk: it comes back as another, and is made a member as that', async () => {
    const world = await three(10, 'one', 'two')
    const before = world.node('c').incarnation
    world.kill('c')
    world.diskOf('c').wipe()
    const append = world.append('without c')
    await world.until('it is committed', () => world.isAnswered(append))
    const backAtMs = world.clock.nowMs()
    const { incarnation } = await world.restart('c')
    expect(incarnation).not.toBe(before)
    await world.until('c votes again', () => isMemberAgain(world, 'c', incarnation))
    await world.until('c has it all', () => hasAll(world, 'c'))
    expect(await world.notesAt('c')).toEqual(['one', 'two', 'without c'])
    expect(saidAs(world, 'c', backAtMs)).toEqual([incarnation])
    await leads(world, 'c')
    expect(await world.lost()).toEqual([])
  })

  it('by rot: it says so, is wiped, and votes again only under another name', async () => {
    const world = await three(11, 'one', 'two', 'three')
    const before = world.node('c').incarnation
    world.kill('c')
    world.diskOf('c').lose(mission, 3)
    await world.runFor(1_000)
    const backAtMs = world.clock.nowMs()
    const { host, facts, batches } = await world.restart('c')
    expect(host.found()).toMatchObject([{ group: mission, damage: { code: 'storage-failed' } }])
    expect(facts.map(({ name }) => name)).toContain('group.wiped')
    await world.until('c votes again', () => isMemberAgain(world, 'c', `${before}.1`))
    await world.until('c has it all', () => hasAll(world, 'c'))
    expect(await world.notesAt('c')).toEqual(['one', 'two', 'three'])
    expect(batches[0]?.writes, 'what is left of the old one goes before anything comes').toMatchObject([{ wipe: true, head: { incarnation: `${before}.1` } }])
    expect(saidAs(world, 'c', backAtMs), 'it says nothing under the old one').toEqual([`${before}.1`])
    await leads(world, 'c')

    // A second time, and its name goes on counting.
    world.kill('c')
    world.diskOf('c').lose(mission, 2)
    await world.restart('c')
    await world.until('c votes again', () => isMemberAgain(world, 'c', `${before}.2`))
    expect(await world.lost()).toEqual([])
  })

  it('a vote that was forgotten is not given a second time', async () => {
    const world = await three(12, 'one')
    world.kill('c')
    const log = await world.diskOf('c').open()
    const head = (await log.found()).groups[0]!.head
    await log.close()
    // Rot has put an older head in its place: of what was promised last the database knows nothing.
    const { votedFor: _forgotten, ...older } = head
    world.diskOf('c').plantHead(mission, { ...older, epoch: { lineage: 1, term: 1 }, last: { ...head.last, index: head.last.index - 1 } })
    const { incarnation, facts } = await world.restart('c')
    expect(facts.map(({ name }) => name)).toContain('group.damaged')
    await world.until('c votes again', () => isMemberAgain(world, 'c', `${incarnation}.1`))
  })

  it('by the loss of what vouched for it: once it is another, nothing is held against it', async () => {
    const world = await three(15, 'one', 'two')
    const { incarnation } = world.node('c')
    world.kill('c')
    world.diskOf('c').spoilWatermark()
    await world.restart('c')
    await world.until('c votes again', () => isMemberAgain(world, 'c', `${incarnation}.1`))
    await world.until('c has it all', () => hasAll(world, 'c'))
    world.kill('c')
    const { host } = await world.restart('c')
    expect(host.found().map(({ damage }) => damage)).toEqual([undefined])
    await world.runFor(10_000)
    expect(isMemberAgain(world, 'c', `${incarnation}.1`)).toBe(true)
    await leads(world, 'c')
  })

  it('a disk that was put back to an older copy is found out by its leader', async () => {
    const world = await three(13, 'one')
    const older = world.node('c').disk.snapshot()
    const append = world.append('two')
    await world.until('c has acknowledged it', () => world.isAnswered(append) && world.node('c').disk.entriesStored(mission) === 3)
    await world.runFor(1_000)
    world.kill('c')
    world.diskOf('c').restore(older)
    const { incarnation } = await world.restart('c')
    await world.until('c votes again', () => isMemberAgain(world, 'c', `${incarnation}.1`))
    expect(world.sent('copy-lost', { from: 'a', to: 'c' }).length).toBeGreaterThan(0)
    await world.until('c has it all', () => hasAll(world, 'c'))
    expect(await world.notesAt('c')).toEqual(['one', 'two'])
  })

  it('a learner that has lost it is given another without ado', async () => {
    const world = logKeeperWorld(14)
    for (const name of ['a', 'b']) await world.start(name)
    world.found('a', ['a'])
    await world.until('a leads', () => world.leader()?.name === 'a')
    world.append('one', 'two')
    world.knowRoster('a', 'b')
    await world.until('b learns it', () => world.node('b').disk.entriesStored(mission) === 4)
    const { incarnation } = world.node('b')
    world.kill('b')
    world.diskOf('b').lose(mission, 2)
    await world.restart('b')
    await world.until('b has it again', () => world.members().incarnations.get('b') === `${incarnation}.1` && hasAll(world, 'b'))
    expect(world.members()).toMatchObject({ voters: ['a'], learners: ['b'] })
    expect(await world.notesAt('b')).toEqual(['one', 'two'])
  })
})

it('a sole voter whose copy is damaged is left alone, and its host is told', async () => {
  const world = logKeeperWorld(20)
  for (const name of ['a', 'b']) await world.start(name)
  world.found('a', ['a'])
  await world.until('a leads', () => world.leader()?.name === 'a')
  const append = world.append('one', 'two', 'three')
  await world.until('it is committed', () => world.isAnswered(append))
  world.kill('a')
  world.diskOf('a').lose(mission, 2)
  const { host, disk, batches, tell } = await world.restart('a')
  await world.until('its host is told', () => host.all('group-damaged').length > 0)
  expect(host.all('group-damaged')).toMatchObject([{ group: mission, fault: { code: 'storage-failed' } }])
  // Nobody makes a new one in its place: not its host, and not a peer that has heard of it.
  tell({ kind: 'append', tag: 'x', group: mission, entries: append.entries })
  world.links.again({ atMs: 0, from: 'b', to: 'a', message: { kind: 'log-append', group: mission, as: world.node('b').incarnation, toward: world.node('a').incarnation, epoch: { lineage: 1, term: 9 }, previous: { index: 0, chain: '0'.repeat(64) }, entries: [], commit: 0, round: 1 } })
  await world.runFor(30_000)
  expect(host.leads.size).toBe(0)
  expect(host.all('appended')).toMatchObject([{ tag: 'x', fault: { code: 'fenced' } }])
  expect(batches).toEqual([])
  expect(disk.entriesStored(mission)).toBe(3)
  expect(world.links.sent.filter(({ from }) => from === 'a')).toEqual([])
})
