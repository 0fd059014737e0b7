import { describe, expect, it, vi } from 'vitest'
import { MeshError, type Fault } from '../../protocols/kernel/errors.ts'
import type { MissionId } from '../../protocols/kernel/ids.ts'
import { MissionView } from '../../protocols/tasking/views.ts'
import { failedActors, logProblems, missionWorld, startNodes, type MissionWorld } from './mission-world.ts'
import { doubling } from './virtual-missions.ts'

// Many lives of virtual nodes: how long they take on a busy machine says nothing.
vi.setConfig({ testTimeout: 240_000 })

const steps = 6
/** One after the other, so that some are finished, one runs and the others wait, whenever it is looked at. */
const chain = { plan: { tasks: Object.fromEntries(Array.from({ length: steps }, (_, i) => [`s${i}`, { capability: 'number.double', input: { value: i }, ...(i === 0 ? {} : { after: [`s${i - 1}`] }) }])) } }

async function threeKeepers(seed: number, afterMs = 200): Promise<{ world: MissionWorld; /** Tasks whose acceptance is on the disk of that node. */ acceptedOn(name: string): Set<string> }> {
  const world = missionWorld(seed, () => [doubling(afterMs)])
  await startNodes(world, ['a', 'b', 'c'])
  const synced = new Map(['a', 'b', 'c'].map((name) => [name, new Set<string>()]))
  for (const [name, accepted] of synced) world.mesh.disk(name).onSynced((_, entries) => {
    for (const { event } of entries) if (event.type === 'accepted') accepted.add(event.taskId)
  })
  return { world, acceptedOn: (name) => new Set(synced.get(name)) }
}

async function refusal(asked: Promise<unknown>): Promise<Fault> {
  const thrown = await asked.then(() => undefined, (error: unknown) => error)
  if (!(thrown instanceof MeshError)) throw new Error(`it was not refused: ${String(thrown)}`)
  return thrown.fault
}

async function takeOver(world: MissionWorld, on: string, missionId: MissionId): Promise<MissionView> {
  return MissionView.parse(await world.ask(on, { op: 'takeover', missionId }))
}

async function expectWhole(world: MissionWorld, on: string, missionId: MissionId) {
  expect(await world.ended(on, missionId)).toMatchObject({ state: 'completed', ownerName: 'c', epoch: { lineage: 2 } })
  const events = await world.events(on, missionId)
  expect([...lineageProblems(events), ...failedActors(world)]).toEqual([])
  return events
}

/** The terms of a new lineage begin anew: those of each are judged by themselves. */
function lineageProblems(events: Awaited<ReturnType<MissionWorld['events']>>): string[] {
  return logProblems(events.filter((event) => event.type !== 'took-over' || event.epoch.lineage === 1))
}

function runsSince(world: MissionWorld, atMs: number): string[] {
  return world.runs.filter((run) => run.step === 'run' && run.atMs >= atMs).map(({ taskId }) => taskId)
}

describe('two keepers of three are lost for good', () => {
  it('at any instant: nobody leads, and says so; taken over by hand the mission completes on the one that is left, nothing it knows to be finished runs again', async () => {
    let knew = 0
    for (let killAtMs = 40; killAtMs < 1_300; killAtMs += 97) {
      const { world, acceptedOn } = await threeKeepers(3_000 + killAtMs)
      const { id } = await world.submit('a', chain, 'k')
      expect(await refusal(takeOver(world, 'c', id))).toMatchObject({ code: 'wrong-state' })
      await world.runFor(killAtMs)
      for (const name of ['a', 'b']) world.kill(name)
      const lostMs = world.mesh.clock.nowMs()
      await world.runFor(2_000 + killAtMs * 7)
      const why = await refusal(world.view('c', id))
      expect(why, `killed at ${killAtMs} ms`).toMatchObject({ code: 'owner-unreachable', retryable: true })
      expect(why.next).toContain(`skein mission takeover ${id}`)
      expect(await refusal(world.submit('c', chain, 'while nobody leads'))).toMatchObject({ retryable: true })
      expect(runsSince(world, lostMs), 'nothing is begun without an owner').toEqual([])

      const finished = acceptedOn('c')
      knew += finished.size
      const view = await takeOver(world, 'c', id)
      expect(view).toMatchObject({ id, ownerName: 'c', epoch: { lineage: 2 } })
      await expectWhole(world, 'c', id)
      expect(runsSince(world, lostMs).filter((taskId) => finished.has(taskId)), `killed at ${killAtMs} ms`).toEqual([])
      expect(world.runs.filter(({ node, atMs }) => node !== 'c' && atMs > lostMs)).toEqual([])
      // The roster and the shards that the lost ones kept too work again, and know what they knew.
      expect((await world.submit('c', chain, 'k')).id).toBe(id)
      const next = await world.submit('c', chain, 'while nobody leads')
      expect(await world.ended('c', next.id)).toMatchObject({ state: 'completed', epoch: { lineage: 1 } })
    }
    expect(knew, 'some tasks were finished before').toBeGreaterThan(steps)
  })

  it('taken over before their silence could be noticed: the mesh’s own logs go with the mission', async () => {
    const { world } = await threeKeepers(11)
    const { id } = await world.submit('a', chain)
    await world.runFor(300)
    for (const name of ['a', 'b']) world.kill(name)
    await world.runFor(100)
    await takeOver(world, 'c', id)
    await expectWhole(world, 'c', id)
    const next = await world.submit('c', chain, 'k2')
    expect(await world.ended('c', next.id)).toMatchObject({ state: 'completed' })
  })

  it('each mission is taken over by itself, and the lineage of the mesh’s own logs grows once', async () => {
    const { world } = await threeKeepers(12)
    const [first, second] = [await world.submit('a', chain), await world.submit('b', chain)]
    await world.runFor(300)
    for (const name of ['a', 'b']) world.kill(name)
    await world.runFor(6_000)
    await takeOver(world, 'c', first.id)
    await world.runFor(2_000)
    expect(await refusal(world.view('c', second.id))).toMatchObject({ code: 'owner-unreachable' })
    await takeOver(world, 'c', second.id)
    for (const { id } of [first, second]) await expectWhole(world, 'c', id)
    expect(await refusal(takeOver(world, 'c', second.id))).toMatchObject({ code: 'wrong-state' })
    expect(world.kept.get('roster' as never)?.epoch).toMatchObject({ lineage: 2 })
  })
})

describe('a lost keeper comes back after all', () => {
  /** `c` sees nothing of the last of what the others do; then they are gone, and it takes over. */
  async function takenOverBehind(seed: number, afterMs: number) {
    const { world, acceptedOn } = await threeKeepers(seed, afterMs)
    const { id } = await world.submit('a', chain, 'k')
    await world.until(() => acceptedOn('c').size >= 1, 'the first task to be finished')
    for (const name of ['a', 'b']) world.mesh.network.disconnect(world.node(name).peer, world.node('c').peer)
    await world.until(() => acceptedOn('a').size >= 3, 'tasks that one of them knows nothing of')
    for (const name of ['a', 'b']) world.kill(name)
    await world.runFor(6_000)
    const unseen = [...acceptedOn('a')].filter((taskId) => !acceptedOn('c').has(taskId))
    expect(unseen.length).toBeGreaterThanOrEqual(1)
    const takenMs = world.mesh.clock.nowMs()
    await takeOver(world, 'c', id)
    return { world, id, unseen, takenMs, acceptedOn }
  }

  /** Cut off from where the new lineage begins, or left altogether by who is no member in it. */
  const gaveUp = (world: MissionWorld, name: string, group: MissionId): boolean => ['group.tail-orphaned', 'group.left'].some((fact) => world.node(name).telemetry.named(fact).some(({ fields }) => fields['group'] === group))

  it('it gives up what the new lineage contradicts, and has the same log as everybody', async () => {
    for (const [seed, isOver] of [[21, false], [22, true], [23, false]] as const) {
      const { world, id, unseen, takenMs } = await takenOverBehind(seed, 300)
      if (isOver) await world.ended('c', id)
      await world.restart('a')
      await world.until(() => gaveUp(world, 'a', id), 'the lost one to give up its tail')
      const events = await expectWhole(world, 'a', id)
      expect(runsSince(world, takenMs), 'what nobody had seen is done again').toEqual(expect.arrayContaining(unseen))
      for (const taskId of unseen) expect(events.filter((event) => event.type === 'accepted' && event.taskId === taskId)).toHaveLength(1)
      await world.restart('b')
      await world.until(() => gaveUp(world, 'b', id), 'the other one to give up its tail')
      // All three keep everything again, and any two of them go on without the third.
      await world.grown(id)
      world.kill('c')
      await world.until(() => ['a', 'b'].includes(world.leader(id) ?? ''), 'another leader')
      const after = await world.events('b', id)
      expect(after.slice(0, events.length)).toEqual(events)
      expect(after.slice(events.length).filter(({ type }) => !['members', 'took-over'].includes(type))).toEqual([])
      const next = await world.submit('b', chain, 'k3')
      expect(await world.ended('a', next.id)).toMatchObject({ state: 'completed' })
      expect((await world.submit('a', chain, 'k')).id).toBe(id)
    }
  })

  it('both, and go on as a majority of what they were: until they hear of the new lineage, then none of it counts', async () => {
    const { world, id, acceptedOn } = await takenOverBehind(24, 1_500)
    for (const name of ['a', 'b']) await world.restart(name)
    for (const name of ['a', 'b']) world.mesh.network.disconnect(world.node(name).peer, world.node('c').peer)
    const before = acceptedOn('a').size
    await world.until(() => acceptedOn('a').size > before && acceptedOn('b').size > before, 'the old lineage to go on', 30_000)
    for (const name of ['a', 'b']) world.mesh.network.connect(world.node(name).peer, world.node('c').peer)
    await world.until(() => gaveUp(world, 'a', id) && gaveUp(world, 'b', id), 'both to give up their tails')
    const events = await expectWhole(world, 'b', id)
    await world.grown(id)
    world.kill('c')
    await world.until(() => ['a', 'b'].includes(world.leader(id) ?? ''), 'another leader')
    expect((await world.events('a', id)).slice(0, events.length)).toEqual(events)
  })
})
