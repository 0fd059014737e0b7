import { describe, expect, it, vi } from 'vitest'
import { seededRandom } from '../../protocols/kernel/prng.ts'
import { failedActors, logProblems, missionWorld, repeatedAfterAcceptance, runsByTask, seeds, startNodes, stillRunning, type MissionWorld } from './mission-world.ts'
import { doubling, summing } from './virtual-missions.ts'

// Many seeds of virtual time: how long they take on a busy machine says nothing.
vi.setConfig({ testTimeout: 240_000 })

const request = { capability: 'number.sum', input: { values: [1, 2, 3, 4, 5, 6, 7, 8] } }

async function sumOnThree(seed: number): Promise<{ world: MissionWorld; base: number }> {
  const world = missionWorld(seed, () => [doubling(100), summing()])
  await startNodes(world, ['a', 'b', 'c'])
  return { world, base: world.node('a').mesh.actorCount }
}

async function expectWhole(world: MissionWorld, missionId: Parameters<MissionWorld['ended']>[1], value: number): Promise<void> {
  const done = await world.ended('a', missionId)
  expect(done).toMatchObject({ state: 'completed' })
  // A mission that was over before its owner fell is known again before its node is connected.
  await world.runFor(50)
  expect(await world.result('b', missionId)).toBe(value)
  const events = await world.events('a', missionId)
  expect([...logProblems(events), ...repeatedAfterAcceptance(world, events), ...failedActors(world)]).toEqual([])
}

describe('a killed owner that is started again finishes its mission', () => {
  it('at any instant of its life, without running a finished task again, under a higher term', async () => {
    for (let killAtMs = 0; killAtMs < 620; killAtMs += 11) {
      const { world } = await sumOnThree(1_000 + killAtMs)
      const accepted = await world.submit('a', request)
      await world.runFor(killAtMs)
      world.kill('a')
      await world.runFor(300)
      await world.restart('a')
      const restartedMs = world.mesh.clock.nowMs()
      await expectWhole(world, accepted.id, 72)
      expect(world.mesh.clock.nowMs() - restartedMs, `killed at ${killAtMs} ms`).toBeLessThan(4_000)
      // The workers that lived were not interrupted: what they ran they ran once.
      for (const [taskId, runs] of runsByTask(world)) {
        const elsewhere = runs.filter((run) => run.node !== 'a')
        expect(elsewhere.length, `${taskId} killed at ${killAtMs} ms: ${JSON.stringify(runs)}`).toBeLessThanOrEqual(1)
      }
    }
  })

  it('while the disk had not synced what was under way', async () => {
    for (const seed of seeds(15)) {
      const { world } = await sumOnThree(seed)
      world.mesh.disk('a').setSyncMs(20)
      const accepted = await world.submit('a', request)
      await world.runFor(seed * 23)
      world.kill('a')
      await world.runFor(300)
      await world.restart('a')
      await expectWhole(world, accepted.id, 72)
    }
  })

  it('between the end of its last task and the end of the mission', async () => {
    for (const seed of seeds(5)) {
      const { world } = await sumOnThree(seed)
      const accepted = await world.submit('a', request)
      world.mesh.disk('a').setSyncMs(20)
      // Written when the end is decided, and not synced before 20 ms later.
      await world.until(() => world.node('a').telemetry.named('mission.completed').length > 0, 'the end that nobody has heard of')
      world.kill('a')
      await world.runFor(100)
      await world.restart('a')
      await expectWhole(world, accepted.id, 72)
    }
  })

  it('many times in a row', async () => {
    const { world, base } = await sumOnThree(7)
    const accepted = await world.submit('a', request)
    for (let i = 0; i < 8; i++) {
      await world.runFor(60)
      world.kill('a')
      await world.runFor(100)
      await world.restart('a')
    }
    await world.runFor(500)
    await expectWhole(world, accepted.id, 72)
    const terms = (await world.events('a', accepted.id)).flatMap((event) => (event.type === 'took-over' ? [event.epoch.term] : []))
    expect(terms.length).toBeGreaterThan(0)
    await world.runFor(75_000)
    for (const node of world.live()) expect(node.mesh.actorCount).toBe(base)
  })

  it('after a time longer than every lease: what the others had done meanwhile is taken, not done again', async () => {
    for (const seed of seeds(10)) {
      const { world } = await sumOnThree(seed)
      const accepted = await world.submit('a', request)
      await world.until(() => world.runs.some((run) => run.step === 'run' && run.node !== 'a'), 'a leaf that runs elsewhere')
      const sum = world.runs.find((run) => run.step === 'plan')?.node ?? ''
      world.kill('a')
      await world.runFor(60_000)
      const before = world.runs.length
      await world.restart('a')
      await expectWhole(world, accepted.id, 72)
      if (sum !== 'a') expect(world.runs.slice(before).every((run) => !['b', 'c'].includes(run.node) || !world.runs.slice(0, before).some((earlier) => earlier.taskId === run.taskId && earlier.step === run.step && earlier.node === run.node))).toBe(true)
    }
  })

  it('keeps the terms that were changed before it was killed', async () => {
    const { world } = await sumOnThree(3)
    const accepted = await world.submit('a', request)
    await world.ask('a', { op: 'pause', missionId: accepted.id })
    await world.ask('a', { op: 'change', missionId: accepted.id, priority: 9 })
    world.kill('a')
    await world.runFor(200)
    await world.restart('a')
    await world.runFor(3_000)
    expect(await world.view('b', accepted.id)).toMatchObject({ state: 'paused', priority: 9 })
    const before = world.runs.length
    await world.runFor(10_000)
    expect(world.runs.length).toBe(before)
    await world.ask('b', { op: 'resume', missionId: accepted.id })
    await expectWhole(world, accepted.id, 72)
    const events = await world.events('a', accepted.id)
    expect(events.filter((event) => event.type === 'took-over')).toHaveLength(1)
  })
})

describe('owner, managers and workers killed in any combination', () => {
  it('the mission completes, and nothing is left behind', async () => {
    for (const seed of seeds(12)) {
      const random = seededRandom([seed, 0xfa17])
      const world = missionWorld(seed, () => [doubling(100), summing()])
      await startNodes(world, ['a', 'b', 'c', 'd'])
      const base = world.node('a').mesh.actorCount
      const accepted = await world.submit('a', { capability: 'number.sum', input: { values: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] } })
      const down = new Map<string, number>()
      const untilMs = world.mesh.clock.nowMs() + 3_000
      while (world.mesh.clock.nowMs() < untilMs) {
        await world.runFor(random.next() * 150)
        for (const [name, atMs] of down) {
          if (atMs > world.mesh.clock.nowMs()) continue
          down.delete(name)
          await world.restart(name)
        }
        const live = world.live().map((node) => node.name)
        const victim = live[random.below(live.length)]
        if (victim === undefined || live.length <= 2 || random.next() > 0.35) continue
        world.kill(victim)
        down.set(victim, world.mesh.clock.nowMs() + random.next() * 1_500)
      }
      for (const name of down.keys()) await world.restart(name)
      await world.runFor(400)
      await expectWhole(world, accepted.id, 110)
      await world.runFor(5_000)
      expect(stillRunning(world)).toEqual([])
      if (seed % 3 > 0) continue
      await world.runFor(75_000)
      for (const node of world.live()) expect(node.mesh.actorCount, `actors of ${node.name}, seed ${seed}`).toBe(base)
    }
  })
})
