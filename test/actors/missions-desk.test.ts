import { describe, expect, it, vi } from 'vitest'
import { MeshError, type Fault } from '../../protocols/kernel/errors.ts'
import type { MissionId, Principal } from '../../protocols/kernel/ids.ts'
import type { IndexedEvent } from '../../protocols/tasking/schema.ts'
import { MissionRequest } from '../../protocols/tasking/schema.ts'
import type { DeadView, MissionView } from '../../protocols/tasking/views.ts'
import type { WatchFrame } from '../../actors/mesh-api.ts'
import { failedActors, missionWorld, seeds, startNodes, type MissionWorld } from './mission-world.ts'
import { doubling, local, summing } from './virtual-missions.ts'

// Many seeds of virtual time: how long they take on a busy machine says nothing.
vi.setConfig({ testTimeout: 240_000 })

const request = { capability: 'number.sum', input: { values: [1, 2, 3, 4] } }

async function refusal(asked: Promise<unknown>): Promise<Fault> {
  const thrown = await asked.then(() => undefined, (error: unknown) => error)
  if (!(thrown instanceof MeshError)) throw new Error(`it was not refused: ${String(thrown)}`)
  return thrown.fault
}

async function threeNodes(seed = 1, afterMs = 100): Promise<MissionWorld> {
  const world = missionWorld(seed, () => [doubling(afterMs), summing()])
  await startNodes(world, ['a', 'b', 'c'])
  return world
}

/** Asks several at once, as concurrent requests do. */
async function together<T>(world: MissionWorld, asked: readonly Promise<T>[]): Promise<PromiseSettledResult<T>[]> {
  let settled: PromiseSettledResult<T>[] | undefined
  void Promise.allSettled(asked).then((results) => (settled = results))
  await world.until(() => settled !== undefined, 'all answers')
  return settled ?? []
}

describe('idempotency keys', () => {
  it('the same key gives the same mission: later, at once, and after a restart', async () => {
    const world = await threeNodes()
    const mesh = world.node('a').mesh
    const submission = { op: 'submit', request: MissionRequest.parse(request), key: 'k1' } as const
    const answers = await together(world, [mesh.ask(submission, local), mesh.ask(submission, local), mesh.ask(submission, local)])
    const ids = answers.map((answer) => (answer.status === 'fulfilled' ? (answer.value as unknown as MissionView).id : String(answer.reason)))
    expect(new Set(ids).size).toBe(1)
    expect((await world.submit('a', request, 'k1')).id).toBe(ids[0])
    await world.ended('a', ids[0] as MissionId)
    world.kill('a')
    await world.runFor(100)
    await world.restart('a')
    expect(await world.submit('a', request, 'k1')).toMatchObject({ id: ids[0], state: 'completed' })
    expect(world.runs.filter((run) => run.step === 'plan')).toHaveLength(1)
  })

  it('survives an owner that dies before it could answer', async () => {
    for (const seed of seeds(20)) {
      const world = await threeNodes(seed)
      const asked = world.node('a').mesh.ask({ op: 'submit', request: MissionRequest.parse(request), key: 'k' }, local)
      asked.catch(() => undefined)
      await world.runFor(seed * 0.15)
      world.kill('a')
      await world.runFor(100)
      await world.restart('a')
      await world.runFor(300)
      const again = await world.submit('a', request, 'k')
      await world.ended('a', again.id)
      expect(await world.ask('a', { op: 'list', limit: 100 })).toHaveLength(1)
    }
  })

  it('another request under the same key is a conflict; another principal has keys of its own', async () => {
    const world = await threeNodes()
    const first = await world.submit('a', request, 'k1')
    expect(await refusal(world.submit('a', { ...request, input: { values: [9] } }, 'k1'))).toMatchObject({ code: 'key-conflict' })
    const other = await world.submit('a', { ...request, input: { values: [9] } }, 'k1', 'ann' as Principal)
    expect(other.id).not.toBe(first.id)
    const mesh = world.node('a').mesh
    const answers = await together(world, [mesh.ask({ op: 'submit', request: MissionRequest.parse(request), key: 'k2' }, local), mesh.ask({ op: 'submit', request: MissionRequest.parse({ ...request, priority: 7 }), key: 'k2' }, local)])
    expect(answers.map((answer) => answer.status).sort()).toEqual(['fulfilled', 'rejected'])
  })

  it('through a node that keeps no missions, the same key finds the same mission', async () => {
    const world = await threeNodes()
    await world.start('d', { duties: ['worker', 'bridge'] })
    await world.runFor(1_500)
    const first = await world.submit('d', request, 'k1')
    await world.runFor(30_000)
    expect((await world.submit('d', request, 'k1')).id).toBe(first.id)
    expect(first.ownerName).not.toBe('d')
    expect((await world.ended('d', first.id)).state).toBe('completed')
    expect(await world.result('d', first.id)).toBe(20)
  })

  it('also when the mission is led by another than the node that it was passed on to', async () => {
    const world = await threeNodes(1, 20_000)
    await world.start('d', { duties: ['worker', 'bridge'] })
    await world.runFor(1_500)
    const first = await world.submit('d', request, 'k1')
    world.kill(first.ownerName)
    await world.runFor(10_000)
    await world.restart(first.ownerName)
    await world.runFor(3_000)
    const again = await world.submit('d', request, 'k1')
    expect(again.id).toBe(first.id)
    expect(again.ownerName).not.toBe(first.ownerName)
  })
})

describe('any node answers for any mission', () => {
  it('view, tasks, why, result, cancel', async () => {
    const world = await threeNodes()
    const accepted = await world.submit('a', request)
    await world.ended('c', accepted.id)
    for (const name of ['a', 'b', 'c']) {
      expect(await world.view(name, accepted.id)).toMatchObject({ state: 'completed', ownerName: 'a' })
      expect((await world.tree(name, accepted.id)).children[0]?.children).toHaveLength(4)
      const why = await world.why(name, accepted.id)
      expect(why.tasks.every((task) => task.attempts[0] !== undefined && task.attempts[0].bids.length > 0 && task.attempts[0].why !== '')).toBe(true)
      expect(await world.result(name, accepted.id)).toBe(20)
    }
    expect(await refusal(world.ask('c', { op: 'cancel', missionId: accepted.id, reason: 'late' }))).toMatchObject({ code: 'wrong-state' })
  })

  it('answers larger than a frame may be inline come whole', async () => {
    const world = missionWorld(1, () => [doubling(5)])
    await startNodes(world, ['a', 'b'])
    const accepted = await world.submit('a', { plan: { tasks: Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`t${i}`, { capability: 'number.double', input: { value: i } }])) }, limits: { leavesMax: 300 } })
    await world.ended('b', accepted.id)
    expect((await world.why('b', accepted.id)).tasks).toHaveLength(300)
  })

  it('lists and dead letters of the whole mesh', async () => {
    const world = await threeNodes()
    const first = await world.submit('a', request)
    const second = await world.submit('b', { plan: { tasks: { bad: { capability: 'number.double', input: { value: 1 }, accept: [{ equals: 3 }], retry: { attemptsMax: 1 } } } } })
    await world.ended('a', first.id)
    await world.ended('b', second.id)
    for (const name of ['a', 'b', 'c']) {
      expect(((await world.ask(name, { op: 'list', limit: 10 })) as unknown as MissionView[]).map(({ id }) => id).sort()).toEqual([first.id, second.id].sort())
      const dead = (await world.ask(name, { op: 'dead' })) as unknown as DeadView[]
      expect(dead.filter(({ kind }) => kind === 'task')).toMatchObject([{ missionId: second.id, taskId: 'root/bad' }])
    }
    // After a restart the ended ones are still listed.
    for (const name of ['a', 'b']) world.kill(name)
    await world.runFor(100)
    for (const name of ['a', 'b']) await world.restart(name)
    await world.runFor(1_500)
    expect(await world.ask('c', { op: 'list', limit: 10 })).toHaveLength(2)
  })

  it('says that an owner is away, and that a mission is unknown', async () => {
    const world = await threeNodes()
    const accepted = await world.submit('a', request)
    expect(await refusal(world.ask('b', { op: 'view', missionId: `${accepted.id.slice(0, 11)}zzzzzzzzzzzz` as MissionId }))).toMatchObject({ code: 'unknown-mission' })
    expect(await refusal(world.ask('b', { op: 'view', missionId: 'm-aaaaaaaa-zzzzzzzzzzzz' as MissionId }))).toMatchObject({ code: 'unknown-mission' })
    // Of three nodes one may go without anybody noticing; of two that are gone the mission is told by nobody.
    world.kill('a')
    expect(await world.view('b', accepted.id)).toMatchObject({ id: accepted.id })
    world.kill('c')
    await world.runFor(4_000)
    const away = await refusal(world.ask('b', { op: 'view', missionId: accepted.id }))
    expect(away).toMatchObject({ code: 'owner-unreachable', retryable: true })
    expect(away.next).toBeDefined()
  })
})

describe('a feed', () => {
  function follow(world: MissionWorld, on: string, missionId: MissionId, fromIndex = 0) {
    const events: IndexedEvent[] = []
    const faults: Fault[] = []
    const stop = world.node(on).mesh.watch(missionId, fromIndex, local, (frame: WatchFrame) => {
      events.push(...frame.events)
      if (frame.fault !== undefined) faults.push(frame.fault)
    })
    return { events, faults, stop }
  }

  it('brings each event once and in order, across restarts of the owner and lost connections', async () => {
    for (const seed of seeds(15)) {
      const world = await threeNodes(seed)
      const accepted = await world.submit('a', request)
      const feeds = ['b', 'c'].map((name) => follow(world, name, accepted.id))
      await world.runFor(seed * 11)
      world.mesh.network.closeConnection(world.node('a').peer, world.node('b').peer)
      await world.runFor(10)
      world.mesh.network.connect(world.node('a').peer, world.node('b').peer)
      await world.runFor(30)
      world.kill('a')
      await world.runFor(200)
      await world.restart('a')
      const done = await world.ended('a', accepted.id)
      // Who keeps the log may be said after the mission's end.
      await world.until(() => feeds.every(({ events }) => events.length >= done.lastIndex && events.some(({ event }) => event.type === 'completed')), 'the end of both feeds', 20_000)
      for (const { events, faults } of feeds) {
        expect(events.map(({ index }) => index)).toEqual(events.map((_, i) => i + 1))
        expect(faults).toEqual([])
      }
      for (const { stop } of feeds) stop()
      if (seed % 5 > 0) continue
      // Neither feeds nor owners are left: what an idle node has.
      const idle = (await threeNodes(seed)).node('b').mesh.actorCount
      await world.until(() => world.node('b').mesh.actorCount === idle, 'as many actors as an idle node has', 240_000)
    }
  })

  it('starts where it is told to, tells of progress, and hears within moments of an owner that is back', async () => {
    const world = await threeNodes(2, 2_000)
    const accepted = await world.submit('a', request)
    await world.runFor(300)
    const { lastIndex } = await world.view('a', accepted.id)
    const late = follow(world, 'c', accepted.id, lastIndex)
    await world.runFor(100)
    world.kill('a')
    await world.runFor(1_000)
    await world.restart('a')
    await world.until(() => late.events.some(({ event }) => event.type === 'took-over'), 'the news', 1_500)
    expect(late.events[0]?.index).toBe(lastIndex + 1)
    late.stop()
  })

  it('of an unknown mission ends with a fault', async () => {
    const world = await threeNodes()
    const lost = follow(world, 'b', 'm-aaaaaaaa-zzzzzzzzzzzz' as MissionId)
    await world.until(() => lost.faults.length > 0, 'a fault', 2_000)
    expect(lost.faults[0]).toMatchObject({ code: 'unknown-mission' })
    lost.stop()
  })
})

describe('overload', () => {
  it('is refused with the time to wait, per principal and for the node', async () => {
    const world = missionWorld(1, () => [doubling(5_000)])
    await startNodes(world, ['a', 'b'], { tuning: { missionsLiveMax: 4, missionsLivePerPrincipalMax: 2 } })
    const one = { capability: 'number.double', input: { value: 1 } }
    const ids = [await world.submit('a', one, 'accepted'), await world.submit('a', one)].map(({ id }) => id)
    const own = await refusal(world.submit('a', one))
    expect(own).toMatchObject({ code: 'overloaded', retryable: true })
    expect(own.retryAfterMs).toBeGreaterThan(0)
    // What was accepted before is answered, not refused.
    expect((await world.submit('a', one, 'accepted')).id).toBe(ids[0])
    expect(await refusal(world.submit('a', { ...one, priority: 9 }, 'accepted'))).toMatchObject({ code: 'key-conflict' })
    await world.submit('a', one, undefined, 'ann' as Principal)
    await world.submit('a', one, undefined, 'ben' as Principal)
    expect(await refusal(world.submit('a', one, undefined, 'cy' as Principal))).toMatchObject({ code: 'overloaded' })
    for (const id of ids) await world.ended('a', id)
    await world.submit('a', one)
  })
})

describe('a disk that fails', () => {
  it('the submitter never hears "failed" of what may have happened, the node gives up, and everything acknowledged is there', async () => {
    const world = await threeNodes(1, 1_000)
    const safe = await world.submit('a', request)
    world.mesh.disk('a').failWrites(1)
    const second = { ...request, priority: 8 }
    const refused = await refusal(world.submit('a', second, 'k'))
    // Its node may end before it can say why; either way the outcome is unknown and the same key may be used again.
    expect(['storage-failed', 'timeout', 'owner-unreachable']).toContain(refused.code)
    expect(refused.retryable).toBe(true)
    expect(world.node('a').gaveUp).toContain('the log could not be written')
    world.kill('a')
    await world.runFor(300)
    await world.restart('a')
    const again = await world.submit('b', second, 'k')
    for (const { id } of [safe, again]) expect((await world.ended('a', id)).state).toBe('completed')
    expect(await world.ask('a', { op: 'list', limit: 10 })).toHaveLength(2)
  })

  it('one damaged copy of three is made anew: the mission goes on as if nothing had been', async () => {
    for (const damage of ['corrupt', 'lose'] as const) {
      const world = await threeNodes(1, 1_000)
      const rotten = await world.submit('a', request)
      await world.runFor(500)
      world.kill('a')
      world.mesh.disk('a')[damage](rotten.id, 3)
      await world.runFor(300)
      await world.restart('a')
      expect((await world.ended('a', rotten.id)).state).toBe('completed')
      expect(world.node('a').telemetry.named('group.damaged')).toHaveLength(1)
      expect(failedActors(world)).toEqual([])
    }
  })

  it('a damaged log of which there is no other copy is refused with a clear error, the other missions go on', async () => {
    for (const damage of ['corrupt', 'lose'] as const) {
      const world = missionWorld(1, () => [doubling(1_000), summing()])
      await startNodes(world, ['a', 'b'])
      const rotten = await world.submit('a', request, 'the key')
      const sound = await world.submit('a', request)
      await world.runFor(500)
      world.kill('a')
      world.mesh.disk('a')[damage](rotten.id, 3)
      await world.runFor(300)
      await world.restart('a')
      await world.runFor(300)
      const refused = await refusal(world.view('b', rotten.id))
      expect(refused).toMatchObject({ code: 'storage-failed', retryable: false })
      expect(refused.next).toBeDefined()
      expect((await world.ended('b', sound.id)).state).toBe('completed')
      const runsBefore = world.runs.length
      expect(await refusal(world.submit('a', request, 'the key'))).toMatchObject({ code: 'storage-failed', retryable: false })
      expect(world.runs.length, 'its key does not begin it again').toBe(runsBefore)
      const faults: Fault[] = []
      const stop = world.node('b').mesh.watch(rotten.id, 0, local, (frame) => {
        if (frame.fault !== undefined) faults.push(frame.fault)
      })
      await world.until(() => faults.length > 0, 'the fault of the feed', 10_000)
      stop()
      const startedMs = world.mesh.clock.nowMs()
      expect(await world.ask('a', { op: 'list', limit: 10 })).toHaveLength(1)
      expect(world.mesh.clock.nowMs() - startedMs).toBeLessThan(1_000)
      expect(failedActors(world)).toEqual([])
    }
  })
})

describe('what is not synced is not told', () => {
  it('no view is ahead of the disk', async () => {
    for (const seed of seeds(10)) {
      const world = await threeNodes(seed, 50)
      world.mesh.disk('a').setSyncMs(40)
      const accepted = await world.submit('a', request)
      const said: number[] = []
      for (let i = 0; i < 12; i++) {
        await world.runFor(23)
        said.push((await world.view('a', accepted.id)).lastIndex)
      }
      world.kill('a')
      expect(world.mesh.disk('a').entriesStored(accepted.id)).toBeGreaterThanOrEqual(Math.max(...said))
    }
  })
})
