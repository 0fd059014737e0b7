import { describe, expect, it, vi } from 'vitest'
import type { MissionId } from '../../protocols/kernel/ids.ts'
import { failedActors, logProblems, missionWorld, repeatedAfterAcceptance, runsByTask, startNodes, stillRunning, type MissionWorld } from './mission-world.ts'
import { doubling, summing } from './virtual-missions.ts'

// Many seeds of virtual time: how long they take on a busy machine says nothing.
vi.setConfig({ testTimeout: 400_000 })

const request = { capability: 'number.sum', input: { values: [1, 2, 3, 4, 5, 6] } }

async function sumOnThree(seed: number, afterMs = 100): Promise<MissionWorld> {
  const world = missionWorld(seed, () => [doubling(afterMs), summing()])
  await startNodes(world, ['a', 'b', 'c'])
  return world
}

async function expectWhole(world: MissionWorld, on: string, missionId: MissionId, value = 42) {
  expect(await world.ended(on, missionId)).toMatchObject({ state: 'completed' })
  expect(await world.result(on, missionId)).toBe(value)
  const events = await world.events(on, missionId)
  expect([...logProblems(events), ...repeatedAfterAcceptance(world, events), ...failedActors(world)]).toEqual([])
  return events
}

describe('an owner that never comes back', () => {
  it('at any instant of its mission: another finishes it, nothing that was finished runs again', async () => {
    for (let killAtMs = 0; killAtMs < 420; killAtMs += 11) {
      const world = await sumOnThree(2_000 + killAtMs)
      const accepted = await world.submit('a', request)
      await world.runFor(killAtMs)
      const wasOver = (await world.view('b', accepted.id)).endedAtWallMs !== undefined
      world.kill('a')
      const killedMs = world.mesh.clock.nowMs()
      const events = await expectWhole(world, 'b', accepted.id)
      expect(world.mesh.clock.nowMs() - killedMs, `killed at ${killAtMs} ms`).toBeLessThan(8_000)
      const takeovers = events.flatMap((event) => (event.type === 'took-over' ? [event.epoch] : []))
      expect(takeovers.every(({ lineage, term }) => lineage === 1 && term > 1)).toBe(true)
      if (!wasOver) expect(takeovers.length, `killed at ${killAtMs} ms`).toBeGreaterThanOrEqual(1)
      // The workers that lived were not interrupted: what they ran they ran once.
      for (const [taskId, runs] of runsByTask(world)) expect(runs.filter((run) => run.node !== 'a').length, `${taskId} killed at ${killAtMs} ms: ${JSON.stringify(runs)}`).toBeLessThanOrEqual(1)
    }
  })

  it('after it has gone the next owner is lost for a while, too: the mission waits and then goes on', async () => {
    const world = await sumOnThree(5, 1_000)
    const accepted = await world.submit('a', request)
    await world.runFor(300)
    world.kill('a')
    await world.until(() => ['b', 'c'].includes(world.leader(accepted.id) ?? ''), 'another leader')
    const second = world.leader(accepted.id) ?? ''
    const third = second === 'b' ? 'c' : 'b'
    await world.runFor(500)
    world.kill(second)
    await world.runFor(10_000)
    expect((await world.ask(third, { op: 'view', missionId: accepted.id }).catch(() => ({ state: 'nobody' }))) as { state: string }, 'one of three decides nothing').toMatchObject({ state: 'nobody' })
    await world.restart(second)
    await expectWhole(world, third, accepted.id)
  })

  it('a worker whose award was of its time goes on for the new owner, and stops when nobody wants it', async () => {
    const world = await sumOnThree(6, 60_000)
    const accepted = await world.submit('a', request)
    await world.until(() => world.runs.filter(({ step, node }) => step === 'run' && node !== 'a').length >= 2, 'runs elsewhere')
    world.kill('a')
    await world.until(() => ['b', 'c'].includes(world.leader(accepted.id) ?? ''), 'another leader')
    await world.runFor(2_000)
    await world.ask('b', { op: 'cancel', missionId: accepted.id, reason: 'enough' })
    await world.until(() => stillRunning(world).length === 0, 'the end of everything', 30_000)
    expect((await world.view('c', accepted.id)).state).toBe('cancelled')
  })
})

describe('an owner that is cut off', () => {
  it('both ways, while its workers go on: what it does then counts for nothing, and it stops', async () => {
    for (const seed of [1, 2, 3, 4]) {
      const world = await sumOnThree(seed, 400)
      const accepted = await world.submit('a', request)
      await world.runFor(60 + seed * 70)
      for (const name of ['b', 'c']) world.mesh.network.disconnect(world.node('a').peer, world.node(name).peer)
      const events = await expectWhole(world, 'b', accepted.id)
      expect(events.some((event) => event.type === 'took-over' && event.epoch.term > 1)).toBe(true)
      for (const name of ['b', 'c']) world.mesh.network.connect(world.node('a').peer, world.node(name).peer)
      await world.until(() => stillRunning(world).length === 0, 'the end of what the old owner ran', 30_000)
      // The old owner has the same log as everybody.
      await world.until(() => world.node('a').telemetry.named('mission.deposed').length > 0, 'the old owner to step down', 30_000)
      expect(await world.events('a', accepted.id)).toEqual(events)
    }
  })
})

describe('a majority that is down', () => {
  it('nothing is accepted meanwhile; when it is back, everything completes', async () => {
    const world = await sumOnThree(3, 2_000)
    const accepted = await world.submit('a', request)
    await world.runFor(100)
    for (const name of ['b', 'c']) world.kill(name)
    await world.runFor(15_000)
    const stored = world.mesh.disk('a').entriesStored(accepted.id)
    const refused = await world.submit('a', { ...request, priority: 9 }, 'k').then(() => undefined, (thrown: unknown) => thrown)
    expect(refused).toMatchObject({ fault: { retryable: true } })
    expect((await world.ask('a', { op: 'view', missionId: accepted.id }).catch(() => undefined)), 'nobody can say what holds').toBeUndefined()
    await world.runFor(5_000)
    expect(world.mesh.disk('a').entriesStored(accepted.id) - stored, 'an owner that leads no more appends nothing').toBeLessThanOrEqual(1)
    for (const name of ['b', 'c']) await world.restart(name)
    await expectWhole(world, 'a', accepted.id)
    const again = await world.submit('b', { ...request, priority: 9 }, 'k')
    await world.ended('c', again.id)
    expect((await world.submit('c', { ...request, priority: 9 }, 'k')).id).toBe(again.id)
  })
})
