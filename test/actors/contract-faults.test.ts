import { describe, expect, it, vi } from 'vitest'
import { fault } from '../../protocols/kernel/errors.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { MissionEvent } from '../../protocols/tasking/schema.ts'
import type { ScriptedSkill } from '../../sim/skill-runner-scripted-adapter.ts'
import { failedActors, logProblems, missionWorld, repeatedAfterAcceptance, runsByTask, seeds, startNodes, stillRunning, type MissionWorld } from './mission-world.ts'
import { capability, doubling, summing } from './virtual-missions.ts'

// Many seeds of virtual time: how long they take on a busy machine says nothing.
vi.setConfig({ testTimeout: 240_000 })

const request = { capability: 'number.sum', input: { values: [1, 2, 3, 4, 5, 6] } }

function leaf(name: string, course: ScriptedSkill['run'], effects: 'none' | 'external' = 'none'): ScriptedSkill {
  return { capability: capability(name, 'leaf', { effects }), ...(course === undefined ? {} : { run: course }) }
}

async function expectSound(world: MissionWorld, on: string, missionId: Parameters<MissionWorld['ended']>[1]): Promise<MissionEvent[]> {
  const events = await world.events(on, missionId)
  expect([...logProblems(events), ...repeatedAfterAcceptance(world, events), ...failedActors(world)]).toEqual([])
  return events
}

function endings(events: readonly MissionEvent[], taskId: string) {
  return events.flatMap((event) => (event.type === 'award-ended' && event.taskId === taskId ? [event] : []))
}

describe('a worker that is killed in mid-task', () => {
  it('loses the task at once: awarded again elsewhere, without back-off, the rest untouched', async () => {
    for (const seed of seeds(15)) {
      const world = missionWorld(seed, () => [doubling(400), summing()])
      await startNodes(world, ['a', 'b', 'c', 'd'])
      const accepted = await world.submit('a', request)
      const isLeaf = (node: string) => world.runs.some((run) => run.step === 'run' && run.node === node)
      await world.until(() => ['b', 'c', 'd'].some((name) => isLeaf(name) && !world.runs.some((run) => run.step === 'plan' && run.node === name)), 'a leaf on a node that manages nothing')
      const victim = ['b', 'c', 'd'].find((name) => isLeaf(name) && !world.runs.some((run) => run.step === 'plan' && run.node === name)) ?? ''
      await world.runFor(50)
      const peer = world.node(victim).peer
      const held = world.node(victim).skills.running().map((run) => run.taskId)
      const killedAtMs = world.mesh.clock.nowMs()
      world.kill(victim)
      expect((await world.ended('a', accepted.id)).state).toBe('completed')
      expect(await world.result('a', accepted.id)).toBe(42)
      const events = await expectSound(world, 'a', accepted.id)
      for (const taskId of held) {
        const [lost] = endings(events, taskId)
        expect(lost).toMatchObject({ outcome: 'lost', retryInMs: 0, fault: { code: 'lost-worker' } })
        const again = events.findLast((event) => event.type === 'awarded' && event.award.taskId === taskId)
        expect(again?.type === 'awarded' && again.award.worker).not.toBe(peer)
        // Announced at once and before what was never started; then it waits for a slot at most.
        const rerun = runsByTask(world).get(taskId)?.find((run) => run.atMs > killedAtMs)
        expect((rerun?.atMs ?? Infinity) - killedAtMs).toBeLessThan(500)
      }
    }
  })

  it('is awarded again within a few round trips when a slot is free', async () => {
    const world = missionWorld(5, () => [doubling(2_000)])
    await startNodes(world, ['a', 'b', 'c'])
    const accepted = await world.submit('a', { capability: 'number.double', input: { value: 4 } })
    await world.until(() => world.runs.length === 1, 'the run')
    const victim = world.runs[0]?.node ?? ''
    await world.runFor(100)
    const killedAtMs = world.mesh.clock.nowMs()
    if (victim === 'a') throw new Error('the owner should not win against idle nodes')
    world.kill(victim)
    await world.until(() => world.runs.length === 2, 'the second run')
    expect(world.mesh.clock.nowMs() - killedAtMs).toBeLessThan(50)
    expect((await world.ended('a', accepted.id)).state).toBe('completed')
  })
})

describe('a composite task whose manager is killed', () => {
  it('another takes over: finished children are kept, running ones adopted', async () => {
    for (const seed of seeds(14)) {
      const world = missionWorld(seed, () => [doubling(300), summing()])
      await startNodes(world, ['a', 'b', 'c', 'd'])
      const accepted = await world.submit('a', request)
      await world.until(() => world.runs.filter((run) => run.step === 'run').length > 0, 'a leaf')
      await world.runFor(20 + seed * 50)
      const manager = world.runs.find((run) => run.step === 'plan')?.node ?? ''
      expect(manager).not.toBe('a')
      world.kill(manager)
      expect((await world.ended('a', accepted.id)).state).toBe('completed')
      expect(await world.result('a', accepted.id)).toBe(42)
      await expectSound(world, 'a', accepted.id)
      expect(world.runs.filter((run) => run.step === 'plan')).toHaveLength(1)
      for (const [taskId, runs] of runsByTask(world)) expect(runs.filter((run) => run.node !== manager).length, `${taskId}: ${JSON.stringify(runs)}`).toBe(runs.some((run) => run.node !== manager) ? 1 : 0)
    }
  })
})

describe('a skill that gives no sign of life', () => {
  it('loses its lease, is stopped at the worker, and after its attempts is a dead letter', async () => {
    const world = missionWorld(2, () => [leaf('work.loop', () => ({ afterMs: Infinity, pulses: false }))])
    await startNodes(world, ['a', 'b', 'c'])
    const accepted = await world.submit('a', { plan: { tasks: { loop: { capability: 'work.loop', retry: { attemptsMax: 2, backoffMs: 1_000 } } } } })
    await world.until(() => world.runs.length === 1, 'the run')
    const startedMs = world.mesh.clock.nowMs()
    await world.until(() => stillRunning(world).length === 0, 'the end of the silent run', 30_000)
    expect(world.mesh.clock.nowMs() - startedMs).toBeLessThan(limits.leaseMs + 2 * limits.pulseMs)
    const done = await world.ended('a', accepted.id)
    expect(done).toMatchObject({ state: 'failed', fault: { code: 'skill-silent' } })
    expect(world.runs).toHaveLength(2)
    expect(new Set(world.runs.map((run) => run.node)).size).toBe(2)
    expect(stillRunning(world)).toEqual([])
    expect(await world.ask('b', { op: 'dead' })).toContainEqual(expect.objectContaining({ kind: 'task', taskId: 'root/loop' }))
    await expectSound(world, 'a', accepted.id)
  })

  it('a run that pulses keeps its lease for as long as it takes', async () => {
    const world = missionWorld(2, () => [doubling(60_000)])
    await startNodes(world, ['a', 'b'])
    const accepted = await world.submit('a', { capability: 'number.double', input: { value: 2 } })
    expect((await world.ended('a', accepted.id)).state).toBe('completed')
    expect(world.runs).toHaveLength(1)
  })
})

describe('a skill that fails', () => {
  it('is retried after 1 s, 2 s and 4 s, three times by default, then is a dead letter; retry keeps what was accepted', async () => {
    let mended = false
    const world = missionWorld(9, () => [doubling(50), leaf('work.fail', () => (mended ? { afterMs: 10, output: 'mended' } : { afterMs: 10, fault: fault('skill-failed', 'the press is jammed') }))])
    await startNodes(world, ['a', 'b', 'c'])
    const accepted = await world.submit('a', { plan: { tasks: { good: { capability: 'number.double', input: { value: 3 } }, bad: { capability: 'work.fail' }, after: { capability: 'number.double', input: { value: 1 }, after: ['bad'] } } } })
    const done = await world.ended('a', accepted.id)
    expect(done.state).toBe('failed')
    expect(done.fault).toMatchObject({ code: 'skill-failed', retryable: false })
    expect(done.fault?.detail).toMatch(/bad.*failed 4 times.*the press is jammed/)
    const events = await expectSound(world, 'b', accepted.id)
    expect(endings(events, 'root/bad').map((event) => event.retryInMs)).toEqual([1_000, 2_000, 4_000, undefined])
    const runs = runsByTask(world)
    const starts = runs.get('root/bad')?.map((run) => run.atMs) ?? []
    expect(starts).toHaveLength(4)
    for (const [i, waitMs] of [1_000, 2_000, 4_000].entries()) expect((starts[i + 1] ?? 0) - (starts[i] ?? 0)).toBeGreaterThanOrEqual(waitMs)
    expect((starts[3] ?? 0) - (starts[0] ?? 0)).toBeLessThan(10_000)
    expect(runs.has('root/after')).toBe(false)
    expect(await world.ask('c', { op: 'dead' })).toContainEqual(expect.objectContaining({ missionId: accepted.id, taskId: 'root/bad', reason: expect.stringContaining('the press is jammed') }))
    mended = true
    await world.ask('c', { op: 'retry', missionId: accepted.id })
    expect((await world.ended('c', accepted.id)).state).toBe('completed')
    expect(await world.result('c', accepted.id)).toEqual({ good: 6, bad: 'mended', after: 2 })
    expect(runsByTask(world).get('root/good')).toHaveLength(1)
    expect(await world.ask('b', { op: 'dead' })).not.toContainEqual(expect.objectContaining({ kind: 'task' }))
    await expectSound(world, 'a', accepted.id)
  })

  it('in a composite task on another node: the mission says so, retry resumes it below', async () => {
    for (const seed of seeds(8)) {
      let mended = false
      const doubles = doubling(50)
      const flaky: ScriptedSkill = { capability: doubles.capability, run: (run) => (!mended && run.taskId.endsWith('double-2') ? { afterMs: 10, fault: fault('bad-input', 'not this number', { retryable: false }) } : doubles.run?.(run) ?? { afterMs: 0 }) }
      const world = missionWorld(seed, () => [flaky, summing()])
      await startNodes(world, ['a', 'b', 'c'])
      const accepted = await world.submit('a', request)
      const done = await world.ended('a', accepted.id)
      expect(done).toMatchObject({ state: 'failed', fault: { code: 'bad-input' } })
      expect(stillRunning(world)).toEqual([])
      mended = true
      if (seed % 2 === 0) {
        // The retry finds everything in the log, even after the owner's restart.
        world.kill('a')
        await world.runFor(100)
        await world.restart('a')
      }
      await world.ask('a', { op: 'retry', missionId: accepted.id })
      expect((await world.ended('a', accepted.id)).state).toBe('completed')
      expect(await world.result('a', accepted.id)).toBe(42)
      await expectSound(world, 'a', accepted.id)
    }
  })

  it('and is optional: its parent goes on without it', async () => {
    const world = missionWorld(4, () => [doubling(20), leaf('work.fail', () => ({ afterMs: 10, fault: fault('skill-failed', 'no luck', { retryable: false }) }))])
    await startNodes(world, ['a', 'b'])
    const accepted = await world.submit('a', { plan: { tasks: { extra: { capability: 'work.fail', optional: true }, main: { capability: 'number.double', input: { value: 5 }, after: ['extra'] } } } })
    expect((await world.ended('a', accepted.id)).state).toBe('completed')
    expect(await world.result('a', accepted.id)).toEqual({ extra: null, main: 10 })
  })

  it('a result that fails its acceptance check counts as a failed attempt', async () => {
    let runs = 0
    const world = missionWorld(4, () => [leaf('work.count', () => ({ afterMs: 10, output: { count: ++runs } }))])
    await startNodes(world, ['a', 'b'])
    const accepted = await world.submit('a', { plan: { tasks: { count: { capability: 'work.count', accept: [{ path: 'count', atLeast: 2 }], retry: { attemptsMax: 3, backoffMs: 100 } } } } })
    expect((await world.ended('a', accepted.id)).state).toBe('completed')
    expect(await world.result('a', accepted.id)).toEqual({ count: { count: 2 } })
    expect(endings(await world.events('a', accepted.id), 'root/count')).toMatchObject([{ outcome: 'failed', fault: { code: 'bad-output' } }])
  })

  it('a result that cites content nobody has is a failed attempt', async () => {
    const world = missionWorld(4, () => [leaf('work.lie', () => ({ afterMs: 10, payload: { inline: { file: { $blob: '0'.repeat(64), sizeBytes: 5 } } as never } }))])
    await startNodes(world, ['a', 'b', 'c'])
    const accepted = await world.submit('a', { plan: { tasks: { lie: { capability: 'work.lie', retry: { attemptsMax: 2, backoffMs: 100 } } } } })
    expect(await world.ended('a', accepted.id)).toMatchObject({ state: 'failed', fault: { code: 'bad-output' } })
    await expectSound(world, 'a', accepted.id)
  })
})

describe('a task with effects outside', () => {
  it('runs on no two nodes at a time: the lease of a lost worker runs out first', async () => {
    for (const seed of seeds(10)) {
      const world = missionWorld(seed, () => [leaf('world.touch', () => ({ afterMs: 20_000, output: 1 }), 'external')])
      await startNodes(world, ['a', 'b', 'c'])
      const accepted = await world.submit('a', { capability: 'world.touch' })
      await world.until(() => world.runs.length === 1, 'the run')
      const first = world.runs[0]?.node ?? ''
      await world.runFor(seed * 100)
      // From everybody, or the other member of the log would be made its owner and hear the worker still.
      const others = ['a', 'b', 'c'].filter((name) => name !== first)
      for (const name of others) world.mesh.network.disconnect(world.node(name).peer, world.node(first).peer)
      let together = 0
      for (let i = 0; i < 400 && world.runs.length < 2; i++) {
        await world.runFor(50)
        together = Math.max(together, stillRunning(world).length)
      }
      expect(world.runs).toHaveLength(2)
      expect(together).toBe(1)
      for (const name of others) world.mesh.network.connect(world.node(name).peer, world.node(first).peer)
      expect((await world.ended('a', accepted.id)).state).toBe('completed')
      const events = await expectSound(world, 'a', accepted.id)
      expect(endings(events, 'root/world.touch')).toMatchObject([{ outcome: 'lost' }])
    }
  })
})

describe('a worker that had to stop because its lease ran out', () => {
  it('has lost the task and not failed at it, whenever it is heard again', async () => {
    for (let awayMs = 4_800; awayMs < 8_000; awayMs += 160) {
      const world = missionWorld(awayMs, () => [leaf('world.touch', () => ({ afterMs: 20_000, output: 1 }), 'external')], { dialTimeoutMs: 50 })
      await startNodes(world, ['a', 'b', 'c'])
      const accepted = await world.submit('a', { capability: 'world.touch' })
      await world.until(() => world.runs.length === 1, 'the run')
      const first = world.runs[0]?.node ?? ''
      await world.runFor(1_100)
      world.mesh.network.disconnect(world.node('a').peer, world.node(first).peer)
      await world.runFor(awayMs)
      world.mesh.network.connect(world.node('a').peer, world.node(first).peer)
      expect(await world.ended('a', accepted.id)).toMatchObject({ state: 'completed' })
      const events = await expectSound(world, 'a', accepted.id)
      expect(endings(events, 'root/world.touch').filter((event) => event.outcome !== 'lost'), `away for ${awayMs} ms`).toEqual([])
    }
  })
})

describe('bad networks', () => {
  it('half of all gossip lost: the mission completes', async () => {
    for (const seed of seeds(12)) {
      const world = missionWorld(seed, () => [doubling(50), summing()], { gossipLossFraction: 0.5 })
      await startNodes(world, ['a', 'b', 'c', 'd', 'e'])
      const accepted = await world.submit('a', request)
      expect((await world.ended('a', accepted.id)).state).toBe('completed')
      expect(await world.result('a', accepted.id)).toBe(42)
      await expectSound(world, 'a', accepted.id)
    }
  })

  it('a partition between manager and worker, for any time: one result each, nothing left behind', async () => {
    for (const seed of seeds(15)) {
      const world = missionWorld(seed, () => [doubling(1_500), summing()])
      await startNodes(world, ['a', 'b', 'c'])
      const base = world.node('a').mesh.actorCount
      const accepted = await world.submit('a', request)
      await world.until(() => world.runs.filter((run) => run.step === 'run').length >= 3, 'leaves')
      const manager = world.runs.find((run) => run.step === 'plan')?.node ?? ''
      const worker = ['b', 'c'].find((name) => name !== manager) ?? ''
      await world.runFor(seed * 90)
      world.mesh.network.disconnect(world.node(manager).peer, world.node(worker).peer)
      await world.runFor(seed * 400)
      world.mesh.network.connect(world.node(manager).peer, world.node(worker).peer)
      expect((await world.ended('a', accepted.id)).state).toBe('completed')
      expect(await world.result('a', accepted.id)).toBe(42)
      await expectSound(world, 'a', accepted.id)
      await world.runFor(16_000)
      expect(stillRunning(world)).toEqual([])
      if (seed % 4 > 0) continue
      await world.runFor(75_000)
      for (const node of world.live()) expect(node.mesh.actorCount, `actors of ${node.name}, seed ${seed}`).toBe(base)
    }
  })

  it('a worker cut off while its mission is cancelled stops when it is back', async () => {
    const world = missionWorld(3, () => [doubling(600_000)])
    await startNodes(world, ['a', 'b', 'c'])
    const accepted = await world.submit('a', { capability: 'number.double', input: { value: 1 } })
    await world.until(() => world.runs.length === 1, 'the run')
    const worker = world.runs[0]?.node ?? ''
    world.mesh.network.disconnect(world.node('a').peer, world.node(worker).peer)
    await world.ask('a', { op: 'cancel', missionId: accepted.id, reason: 'changed my mind' })
    await world.runFor(20_000)
    world.mesh.network.connect(world.node('a').peer, world.node(worker).peer)
    await world.until(() => stillRunning(world).length === 0, 'the end of everything', 30_000)
  })
})

describe('a node that stops gracefully', () => {
  it('lets its leaves finish, hands composites back, withdraws its advert; no mission is lost', async () => {
    for (const seed of seeds(12)) {
      const world = missionWorld(seed, () => [doubling(300), summing()])
      await startNodes(world, ['a', 'b', 'c', 'd'])
      const accepted = await world.submit('a', request)
      await world.until(() => world.runs.some((run) => run.step === 'run'), 'a leaf')
      await world.runFor(seed * 20)
      const leaving = world.runs.find((run) => run.step === 'plan')?.node ?? ''
      const inHand = world.node(leaving).skills.running().filter((run) => run.step === 'run').map((run) => run.taskId)
      let drained = false
      void world.node(leaving).mesh.drain().then(() => (drained = true))
      await world.until(() => drained, 'the drain', limits.drainMs + 3_000)
      world.kill(leaving)
      expect((await world.ended('a', accepted.id)).state).toBe('completed')
      expect(await world.result('a', accepted.id)).toBe(42)
      await expectSound(world, 'a', accepted.id)
      for (const taskId of inHand) expect(runsByTask(world).get(taskId)).toHaveLength(1)
    }
  })

  it('hands back what takes longer than the drain', async () => {
    const world = missionWorld(6, () => [doubling(40_000)])
    await startNodes(world, ['a', 'b', 'c'])
    const accepted = await world.submit('a', { capability: 'number.double', input: { value: 8 } })
    await world.until(() => world.runs.length === 1, 'the run')
    const leaving = world.runs[0]?.node ?? ''
    void world.node(leaving).mesh.drain()
    await world.until(() => world.runs.length === 2, 'the second run', limits.drainMs + 5_000)
    expect(world.runs[1]?.node).not.toBe(leaving)
    expect(world.node(leaving).skills.running()).toEqual([])
    expect((await world.ended('a', accepted.id)).state).toBe('completed')
  })
})
