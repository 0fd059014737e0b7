import { describe, expect, it, vi } from 'vitest'
import { MeshError, fault, type Fault } from '../../protocols/kernel/errors.ts'
import type { ScriptedSkill } from '../../sim/skill-runner-scripted-adapter.ts'
import { failedActors, logProblems, missionWorld, runsByTask, seeds, startNodes, stillRunning, type MissionWorld } from './mission-world.ts'
import { capability, doubling, summing } from './virtual-missions.ts'

// Many seeds of virtual time: how long they take on a busy machine says nothing.
vi.setConfig({ testTimeout: 240_000 })

interface Tree { readonly depth: number; readonly width: number }

/** Plans a tree of itself whose leaves take `afterMs` and give 1; a node gives the number of leaves below it. */
function trees(afterMs: number): ScriptedSkill[] {
  return [
    {
      capability: capability('tree.grow', 'composite'),
      plan: (run) => {
        const { depth, width } = ('inline' in run.input ? run.input.inline : { depth: 1, width: 1 }) as unknown as Tree
        const child = depth > 1 ? { capability: 'tree.grow', input: { depth: depth - 1, width } } : { capability: 'tree.leaf' }
        return { afterMs: 5, output: { tasks: Object.fromEntries(Array.from({ length: width }, (_, i) => [`n${i}`, child])) } }
      },
      synthesise: (run) => ({ afterMs: 5, output: (run.children ?? []).reduce((sum, child) => sum + (child.output !== undefined && 'inline' in child.output ? Number(child.output.inline) : 0), 0) }),
    },
    { capability: capability('tree.leaf'), run: () => ({ afterMs, output: 1 }) },
  ]
}

async function refusal(asked: Promise<unknown>): Promise<Fault> {
  const thrown = await asked.then(() => undefined, (error: unknown) => error)
  if (!(thrown instanceof MeshError)) throw new Error(`it was not refused: ${String(thrown)}`)
  return thrown.fault
}

async function treeWorld(seed: number, afterMs: number, names = ['a', 'b', 'c']): Promise<MissionWorld> {
  const world = missionWorld(seed, () => trees(afterMs))
  await startNodes(world, names)
  return world
}

describe('recursion', () => {
  it('of depth 3: composites are awarded to other nodes, which plan further', async () => {
    for (const seed of seeds(8)) {
      const world = await treeWorld(seed, 20)
      const accepted = await world.submit('a', { capability: 'tree.grow', input: { depth: 3, width: 3 }, limits: { leavesMax: 27, depthMax: 4 } })
      expect((await world.ended('a', accepted.id)).state).toBe('completed')
      expect(await world.result('c', accepted.id)).toBe(27)
      expect(new Set(world.runs.filter((run) => run.step === 'plan').map((run) => run.node)).size).toBeGreaterThan(1)
      const events = await world.events('b', accepted.id)
      expect([...logProblems(events), ...failedActors(world)]).toEqual([])
    }
  })

  it('is limited in depth and in leaves, with a clear fault', async () => {
    const world = await treeWorld(1, 20)
    const deep = await world.submit('a', { capability: 'tree.grow', input: { depth: 3, width: 2 }, limits: { depthMax: 3 } })
    expect(await world.ended('a', deep.id)).toMatchObject({ state: 'failed', fault: { code: 'over-limit' } })
    const wide = await world.submit('a', { capability: 'tree.grow', input: { depth: 1, width: 5 }, limits: { leavesMax: 4 } })
    const done = await world.ended('a', wide.id)
    expect(done).toMatchObject({ state: 'failed', fault: { code: 'over-limit' } })
    expect(done.fault?.detail).toContain('4 are allowed')
    expect(stillRunning(world)).toEqual([])
    // What failed by its limits can be given others.
    await world.ask('a', { op: 'change', missionId: wide.id, limits: { leavesMax: 10 } })
    await world.ask('a', { op: 'retry', missionId: wide.id })
    expect((await world.ended('a', wide.id)).state).toBe('completed')
    expect(await world.result('a', wide.id)).toBe(5)
    const tooMany = await refusal(world.submit('a', { plan: { tasks: Object.fromEntries(Array.from({ length: 31 }, (_, i) => [`t${i}`, { capability: 'tree.leaf' }])) } }))
    expect(tooMany).toMatchObject({ code: 'over-limit' })
  })

  it('a mission of 100 leaves on five nodes', async () => {
    const world = await treeWorld(1, 30, ['a', 'b', 'c', 'd', 'e'])
    const startedMs = world.mesh.clock.nowMs()
    const accepted = await world.submit('b', { capability: 'tree.grow', input: { depth: 2, width: 10 }, limits: { leavesMax: 100 } })
    expect((await world.ended('b', accepted.id)).state).toBe('completed')
    expect(await world.result('a', accepted.id)).toBe(100)
    for (const runs of runsByTask(world).values()) expect(runs).toHaveLength(1)
    expect(new Set(world.runs.filter((run) => run.step === 'run').map((run) => run.node)).size).toBeGreaterThanOrEqual(4)
    // 100 leaves of 30 ms on ten slots are 300 ms of work.
    expect(world.mesh.clock.nowMs() - startedMs).toBeLessThan(1_500)
  })
})

describe('a plan of one’s own', () => {
  it('keeps the order of its DAG and hands outputs on, inline and as blobs', async () => {
    const seen: Record<string, unknown> = {}
    const skills: ScriptedSkill[] = [
      { capability: capability('text.make'), run: (run) => ({ afterMs: 30, output: { text: 'x'.repeat('inline' in run.input ? Number((run.input.inline as { size: number }).size) : 0), label: 'made' } }) },
      { capability: capability('text.measure'), run: (run) => {
        const input = 'inline' in run.input ? (run.input.inline as Record<string, unknown>) : {}
        seen[run.taskId] = input
        return { afterMs: 30, output: { length: String(input.text).length } }
      } },
    ]
    for (const seed of seeds(6)) {
      const world = missionWorld(seed, () => skills)
      await startNodes(world, ['a', 'b', 'c'])
      const accepted = await world.submit('c', {
        plan: {
          tasks: {
            small: { capability: 'text.make', input: { size: 10 } },
            large: { capability: 'text.make', input: { size: 100_000 }, after: ['small'] },
            left: { capability: 'text.measure', input: { text: { $from: 'small', path: 'text' }, why: { $from: 'large', path: 'label' } } },
            right: { capability: 'text.measure', input: { text: { $from: 'large', path: 'text' } } },
            end: { capability: 'text.measure', input: { text: { $from: 'large', path: 'text' }, both: [{ $from: 'left', path: 'length' }, { $from: 'right' }] } },
          },
          result: { short: { $from: 'left', path: 'length' }, long: { $from: 'right', path: 'length' }, end: { $from: 'end' }, body: { $from: 'large', path: 'text' } },
        },
      })
      expect((await world.ended('a', accepted.id)).state).toBe('completed')
      const result = await world.result('b', accepted.id)
      expect(result).toMatchObject({ short: 10, long: 100_000, end: { length: 100_000 } })
      expect((result as { body: string }).body).toHaveLength(100_000)
      expect(seen['root/end']).toMatchObject({ both: [10, { length: 100_000 }] })
      expect(seen['root/left']).toMatchObject({ why: 'made' })
      const at = (name: string) => world.runs.find((run) => run.taskId === `root/${name}`)?.atMs ?? NaN
      expect(at('large') - at('small')).toBeGreaterThanOrEqual(30)
      expect(at('left') - at('large')).toBeGreaterThanOrEqual(30)
      expect(at('end')).toBeGreaterThan(Math.max(at('left'), at('right')))
      // Whatever is ready is announced at once: from one end to the next start are a commit and a few round trips.
      expect(at('large') - at('small') - 30).toBeLessThan(40)
    }
  })

  it('that refers to nothing, to itself or round in a circle is refused', async () => {
    const world = missionWorld(1, () => [doubling(10)])
    await startNodes(world, ['a', 'b'])
    const task = { capability: 'number.double' }
    expect(await refusal(world.submit('a', { plan: { tasks: { one: { ...task, after: ['two'] }, two: { ...task, input: { value: { $from: 'one' } } } } } }))).toMatchObject({ code: 'bad-plan' })
    expect(await refusal(world.submit('a', { plan: { tasks: { one: { ...task, after: ['none'] } } } }))).toMatchObject({ code: 'bad-plan' })
    expect(await refusal(world.submit('a', { plan: { tasks: {} } }))).toMatchObject({ code: 'bad-plan' })
  })
})

describe('cancellation', () => {
  it('reaches every running child at every level, whenever it comes, and nothing runs afterwards', async () => {
    for (const seed of seeds(14)) {
      const world = await treeWorld(seed, 400, ['a', 'b', 'c', 'd'])
      const base = world.node('a').mesh.actorCount
      const accepted = await world.submit('a', { capability: 'tree.grow', input: { depth: 3, width: 2 }, limits: { depthMax: 4 } })
      await world.runFor(seed * 27)
      expect(await world.ask('b', { op: 'cancel', missionId: accepted.id, reason: 'enough' })).toMatchObject({ state: 'cancelled' })
      await world.runFor(50)
      expect(stillRunning(world), `cancelled after ${seed * 27} ms`).toEqual([])
      const runs = world.runs.length
      await world.runFor(8_000)
      expect(world.runs.length, `started after the cancellation, seed ${seed}`).toBe(runs)
      expect(await refusal(world.ask('a', { op: 'retry', missionId: accepted.id }))).toMatchObject({ code: 'wrong-state' })
      expect(failedActors(world)).toEqual([])
      if (seed % 4 > 0) continue
      await world.runFor(70_000)
      for (const node of world.live()) expect(node.mesh.actorCount).toBe(base)
    }
  })

  it('survives the owner’s restart', async () => {
    const world = await treeWorld(2, 60_000)
    const accepted = await world.submit('a', { capability: 'tree.grow', input: { depth: 2, width: 2 } })
    await world.until(() => stillRunning(world).filter((run) => run.includes('/n')).length >= 3, 'leaves')
    await world.ask('a', { op: 'cancel', missionId: accepted.id, reason: 'enough' })
    world.kill('a')
    await world.runFor(500)
    await world.restart('a')
    await world.until(() => stillRunning(world).length === 0, 'the end of everything', 30_000)
    expect((await world.view('a', accepted.id)).state).toBe('cancelled')
  })
})

describe('pause and resume', () => {
  it('no node awards anything while the mission is paused; then it goes on', async () => {
    let resumed = 0
    for (const seed of seeds(14)) {
      const world = await treeWorld(seed, 150)
      const accepted = await world.submit('a', { capability: 'tree.grow', input: { depth: 3, width: 2 }, limits: { depthMax: 4 } })
      await world.runFor(seed * 24)
      const paused = await world.ask('b', { op: 'pause', missionId: accepted.id }) as { state: string }
      if (paused.state === 'completed') continue
      expect(paused.state).toBe('paused')
      await world.runFor(1_000)
      const before = (await world.events('a', accepted.id)).filter((event) => event.type === 'awarded').length
      const runs = world.runs.filter((run) => run.step === 'run').length
      await world.runFor(15_000)
      expect((await world.events('a', accepted.id)).filter((event) => event.type === 'awarded')).toHaveLength(before)
      expect(world.runs.filter((run) => run.step === 'run')).toHaveLength(runs)
      const events = await world.events('a', accepted.id)
      expect(events.slice(events.findIndex((event) => event.type === 'paused')).filter((event) => event.type === 'awarded')).toEqual([])
      // Everything may have been awarded before; then it came to its end.
      if ((await world.view('a', accepted.id)).state === 'paused') {
        resumed += 1
        await world.ask('c', { op: 'resume', missionId: accepted.id })
      }
      expect((await world.ended('a', accepted.id)).state).toBe('completed')
      expect(await world.result('a', accepted.id)).toBe(8)
      expect(failedActors(world)).toEqual([])
    }
    expect(resumed).toBeGreaterThan(7)
  })

  it('the word to go on is heard even by a manager that was cut off', async () => {
    const world = await treeWorld(4, 100)
    const accepted = await world.submit('a', { capability: 'tree.grow', input: { depth: 2, width: 3 } })
    await world.until(() => world.runs.some((run) => run.step === 'run'), 'a leaf')
    await world.ask('a', { op: 'pause', missionId: accepted.id })
    await world.runFor(500)
    // A manager elsewhere hears nothing, and the owner still has a majority of the log's voters.
    const away = world.runs.find((run) => run.step === 'plan' && run.node !== 'a')?.node ?? 'c'
    world.mesh.network.disconnect(world.node('a').peer, world.node(away).peer)
    await world.ask('a', { op: 'resume', missionId: accepted.id })
    await world.runFor(300)
    world.mesh.network.connect(world.node('a').peer, world.node(away).peer)
    expect((await world.ended('a', accepted.id)).state).toBe('completed')
  })
})

describe('deadlines', () => {
  it('a mission that is not done in time fails, says what it waited for, and stops what runs', async () => {
    const world = await treeWorld(1, 100_000)
    const accepted = await world.submit('a', { capability: 'tree.grow', input: { depth: 2, width: 2 }, limits: { durationMs: 5_000 } })
    const done = await world.ended('a', accepted.id)
    expect(done).toMatchObject({ state: 'failed', fault: { code: 'deadline-exceeded' } })
    expect((done.endedAtWallMs ?? 0) - done.submittedAtWallMs).toBeLessThan(7_500)
    await world.runFor(2_000)
    expect(stillRunning(world)).toEqual([])
    // With more time it goes on from where it was.
    await world.ask('a', { op: 'change', missionId: accepted.id, limits: { durationMs: 1_000_000 } })
    await world.ask('a', { op: 'retry', missionId: accepted.id })
    expect((await world.ended('a', accepted.id)).state).toBe('completed')
  })

  it('a task that is over its own time limit is a failed attempt', async () => {
    const world = missionWorld(1, () => [doubling(60_000)])
    await startNodes(world, ['a', 'b'])
    const accepted = await world.submit('a', { plan: { tasks: { slow: { capability: 'number.double', timeLimitMs: 500, retry: { attemptsMax: 2, backoffMs: 100 } } } } })
    expect(await world.ended('a', accepted.id)).toMatchObject({ state: 'failed', fault: { code: 'skill-timeout' } })
    expect(world.runs).toHaveLength(2)
  })
})

describe('who can do it', () => {
  it('an unknown capability is refused with the nearest names', async () => {
    const world = missionWorld(1, () => [doubling(10), summing()])
    await startNodes(world, ['a', 'b'])
    const refused = await refusal(world.submit('a', { capability: 'number.dubble' }))
    expect(refused.code).toBe('unknown-capability')
    expect(refused.detail).toContain('number.double')
    expect(refused.next).toBeDefined()
  })

  it('two schema versions of one capability are matched by version, never by luck', async () => {
    const versioned = (version: string): ScriptedSkill => ({ capability: capability('text.shout', 'leaf', { version }), run: () => ({ afterMs: 10, output: version }) })
    for (const seed of seeds(6)) {
      const world = missionWorld(seed, () => [])
      await world.start('a', { skills: [doubling(10)] })
      await world.start('b', { skills: [versioned('1.4')] })
      await world.start('c', { skills: [versioned('2.0')] })
      await world.runFor(1_500)
      for (const [asked, given] of [['1.0', '1.4'], ['1.4', '1.4'], ['2.0', '2.0'], [undefined, '2.0']] as const) {
        const accepted = await world.submit('a', { capability: 'text.shout', ...(asked === undefined ? {} : { version: asked }) })
        expect((await world.ended('a', accepted.id)).state).toBe('completed')
        expect(await world.result('a', accepted.id)).toBe(given)
      }
      const refused = await refusal(world.submit('a', { capability: 'text.shout', version: '3.0' }))
      expect(refused.code).toBe('version-mismatch')
      expect(refused.detail).toContain('text.shout@1.4')
    }
  })

  it('when the last provider leaves, the mission says what it waits for, and fails with what to start', async () => {
    const world = missionWorld(2, () => [doubling(10)])
    await startNodes(world, ['a', 'b'])
    await world.start('c', { skills: [{ capability: capability('gpu.draw'), run: () => ({ afterMs: 5_000, output: 1 }) }] })
    await world.runFor(1_500)
    const accepted = await world.submit('a', { plan: { tasks: { one: { capability: 'gpu.draw' } } } })
    await world.until(() => world.runs.length === 1, 'the run')
    world.kill('c')
    await world.runFor(5_000)
    const waiting = await world.view('b', accepted.id)
    expect(waiting.state).toBe('waiting')
    expect(waiting.waitingFor).toContain('no live node offers gpu.draw')
    const done = await world.ended('a', accepted.id)
    expect(done).toMatchObject({ state: 'failed', fault: { code: 'no-provider' } })
    expect(done.fault?.detail).toContain('skein node start')
    await world.restart('c')
    await world.runFor(1_000)
    await world.ask('a', { op: 'retry', missionId: accepted.id })
    expect((await world.ended('a', accepted.id)).state).toBe('completed')
  })

  it('a provider that joins late is found within seconds', async () => {
    const world = missionWorld(2, () => [doubling(10)])
    await startNodes(world, ['a', 'b'])
    await world.start('c', { skills: [{ capability: capability('gpu.draw'), run: () => ({ afterMs: 50, output: 'picture' }) }] })
    await world.runFor(1_500)
    world.kill('c')
    await world.runFor(500)
    const accepted = await world.submit('a', { capability: 'gpu.draw' })
    await world.runFor(10_000)
    await world.restart('c')
    const backMs = world.mesh.clock.nowMs()
    expect((await world.ended('a', accepted.id)).state).toBe('completed')
    expect(world.mesh.clock.nowMs() - backMs).toBeLessThan(7_000)
  })

  it('one who failed at it is tried again when nobody else is left', async () => {
    let broken = true
    const trying: ScriptedSkill = { capability: capability('work.try'), run: () => (broken ? { afterMs: 10, fault: fault('skill-failed', 'not now') } : { afterMs: 10, output: 'done' }) }
    const world = missionWorld(3, () => [trying])
    await world.start('a', { skills: [] })
    await world.start('b')
    await world.start('c')
    await world.runFor(1_500)
    const accepted = await world.submit('a', { capability: 'work.try' })
    await world.until(() => world.runs.length === 1, 'the first run')
    const failed = world.runs[0]?.node
    await world.runFor(30)
    broken = false
    world.kill(['b', 'c'].find((name) => name !== failed) ?? '')
    expect((await world.ended('a', accepted.id)).state).toBe('completed')
    expect(world.runs.map((run) => run.node)).toEqual([failed, failed])
  })

  it('but is passed over while somebody else is there, even when the call was open before they left', async () => {
    for (const seed of seeds(8)) {
      const world = missionWorld(seed, () => [{ capability: capability('work.try'), run: (run) => (run.attempt === 1 ? { afterMs: 10, fault: fault('skill-failed', 'not now') } : { afterMs: 2_000, output: 'done' }) }])
      await world.start('a', { skills: [] })
      await world.start('b', { slots: 1 })
      await world.start('c', { slots: 1 })
      await world.runFor(1_500)
      const accepted = await world.submit('a', { capability: 'work.try' })
      await world.until(() => world.runs.length === 2, 'the second run')
      expect(world.runs[1]?.node).not.toBe(world.runs[0]?.node)
      // Both have been lost or failed now: the one that is left is asked again.
      world.kill(world.runs[1]?.node ?? '')
      expect((await world.ended('a', accepted.id)).state).toBe('completed')
      expect(world.runs[2]?.node).toBe(world.runs[0]?.node)
    }
  })

  it('nodes without the worker duty execute nothing', async () => {
    const world = missionWorld(3, () => [doubling(20)])
    await world.start('a', { duties: ['replica', 'bridge'] })
    await world.start('b')
    await world.runFor(1_500)
    const accepted = await world.submit('a', { plan: { tasks: Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`t${i}`, { capability: 'number.double', input: { value: i } }])) } })
    expect((await world.ended('a', accepted.id)).state).toBe('completed')
    expect(new Set(world.runs.map((run) => run.node))).toEqual(new Set(['b']))
  })
})
