/** A composite task looks at how its children have ended and may add to its plan: what failed is done in another way, whoever manages it by then. */
import { describe, expect, it } from 'vitest'
import { fault } from '../../protocols/kernel/errors.ts'
import type { MissionId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { Json } from '../../protocols/kernel/payload.ts'
import type { MissionEvent } from '../../protocols/tasking/schema.ts'
import type { SkillRun } from '../../actors/ports/skill-runner.ts'
import type { ScriptedCourse, ScriptedSkill } from '../../sim/skill-runner-scripted-adapter.ts'
import { failedActors, logProblems, missionWorld, startNodes, stillRunning, type MissionWorld } from './mission-world.ts'
import { capability } from './virtual-missions.ts'

interface Asked {
  readonly node: string
  readonly round: number | undefined
  /** `name state` */
  readonly children: readonly string[]
  readonly budgetUsd: number | undefined
}

const breaking: ScriptedSkill = { capability: capability('job.break'), run: () => ({ afterMs: 20, fault: fault('skill-failed', 'it cannot be done like this', { retryable: false }) }) }
const working = (afterMs = 20): ScriptedSkill => ({ capability: capability('job.work'), run: () => ({ afterMs, output: 'done' }) })
const once = { attemptsMax: 1 }

function outputsOf({ children = [] }: SkillRun): Json {
  return Object.fromEntries(children.map(({ name, state, output }) => [name, output !== undefined && 'inline' in output ? output.inline : state]))
}

interface Mending {
  /** What is added in a round; undefined: nothing. */
  readonly additions: (round: number, run: SkillRun) => Json | undefined
  readonly reviseMs?: number
  readonly first?: Json
  readonly costs?: { readonly plan: number; readonly revise: number; readonly synthesise: number }
}

/** Three nodes that keep logs, two that can manage, and a worker. */
async function mendingWorld(seed: number, { additions, reviseMs = 20, first = { tasks: { first: { capability: 'job.break', retry: once }, after: { capability: 'job.work', after: ['first'] }, beside: { capability: 'job.work' } } }, costs }: Mending, workMs = 20) {
  const world = missionWorld(seed, () => [])
  const asked: Asked[] = []
  const mend = (node: string): ScriptedSkill => ({
    capability: capability('job.mend', 'composite'),
    plan: () => ({ afterMs: 5, output: first, costUsd: costs?.plan ?? 0 }),
    revise: (run): ScriptedCourse => {
      asked.push({ node, round: run.round, children: (run.children ?? []).map(({ name, state }) => `${name} ${state}`), budgetUsd: run.budgetUsd })
      return { afterMs: reviseMs, output: additions(run.round ?? 0, run) ?? null, costUsd: costs?.revise ?? 0 }
    },
    synthesise: (run) => ({ afterMs: 5, output: outputsOf(run), costUsd: costs?.synthesise ?? 0 }),
  })
  await startNodes(world, ['a', 'b', 'c'], { skills: [] })
  for (const name of ['m', 'n']) await world.start(name, { skills: [mend(name)], duties: ['worker'] })
  await world.start('w', { skills: [breaking, working(workMs)], slots: 4, duties: ['worker'] })
  await world.runFor(2_000)
  return { world, asked }
}

const mendFirst = (round: number): Json | undefined => (round === 1 ? { tasks: { second: { capability: 'job.work' } } } : undefined)

async function check(world: MissionWorld, id: MissionId): Promise<MissionEvent[]> {
  const events = await world.events('a', id)
  expect(logProblems(events)).toEqual([])
  expect(failedActors(world)).toEqual([])
  expect(stillRunning(world)).toEqual([])
  return events
}

const additionsIn = (events: readonly MissionEvent[]) => events.flatMap((event) => (event.type === 'planned' && event.round !== undefined ? [{ round: event.round, children: event.children.map(({ taskId }) => taskId), givesUp: event.givesUp }] : []))

describe('a composite task whose child has died', () => {
  it('is mended by an addition; what waited for the dead child is cancelled, what was accepted is kept', async () => {
    const { world, asked } = await mendingWorld(1, { additions: mendFirst })
    const { id } = await world.submit('a', { capability: 'job.mend' })
    const view = await world.ended('a', id)
    expect(view.state).toBe('completed')
    expect(await world.result('a', id)).toEqual({ first: 'dead', after: 'cancelled', beside: 'done', second: 'done' })
    expect(asked.map(({ round, children }) => [round, children])).toEqual([
      [1, ['first dead', 'after cancelled', 'beside accepted']],
      [2, ['first dead', 'after cancelled', 'beside accepted', 'second accepted']],
    ])
    expect(additionsIn(await check(world, id))).toEqual([{ round: 1, children: ['root/job.mend/second'], givesUp: ['root/job.mend/first'] }])
    expect(world.runs.filter(({ taskId }) => taskId === 'root/job.mend/beside')).toHaveLength(1)
  })

  it('to which nothing is added fails as it did before there were additions', async () => {
    const { world, asked } = await mendingWorld(2, { additions: () => undefined })
    const { id } = await world.submit('a', { plan: { tasks: { job: { capability: 'job.mend', retry: once } } } })
    expect(await world.ended('a', id)).toMatchObject({ state: 'failed', fault: { detail: expect.stringContaining('task first failed: it cannot be done like this') as string } })
    expect(asked.map(({ round }) => round)).toEqual([1])
    expect(additionsIn(await check(world, id))).toEqual([])
  })

  it('of which all children are accepted may be added to as well: their results are not good enough', async () => {
    const { world, asked } = await mendingWorld(3, { first: { tasks: { draft: { capability: 'job.work' } } }, additions: (round) => (round <= 2 ? { tasks: { [`better-${round}`]: { capability: 'job.work', input: { from: { $from: round === 1 ? 'draft' : 'better-1' } } } } } : undefined) })
    const { id } = await world.submit('a', { capability: 'job.mend' })
    expect(await world.ended('a', id)).toMatchObject({ state: 'completed' })
    expect(await world.result('a', id)).toEqual({ draft: 'done', 'better-1': 'done', 'better-2': 'done' })
    expect(asked.map(({ round }) => round)).toEqual([1, 2, 3])
    await check(world, id)
  })

  it('is added to so many times, and is then concluded without being asked', async () => {
    const { world, asked } = await mendingWorld(4, { first: { tasks: { draft: { capability: 'job.work' } } }, additions: (round) => ({ tasks: { [`better-${round}`]: { capability: 'job.work' } } }) })
    const { id } = await world.submit('a', { capability: 'job.mend' })
    expect(await world.ended('a', id)).toMatchObject({ state: 'completed' })
    expect(asked.map(({ round }) => round)).toEqual(Array.from({ length: limits.revisionsMax }, (_, i) => i + 1))
    expect(Object.keys((await world.result('a', id)) as object)).toHaveLength(limits.revisionsMax + 1)
  })

  it('fails in the end when every addition fails', async () => {
    const { world, asked } = await mendingWorld(5, { additions: (round) => ({ tasks: { [`again-${round}`]: { capability: 'job.break', retry: once } } }) })
    const { id } = await world.submit('a', { plan: { tasks: { job: { capability: 'job.mend', retry: once } } } })
    expect(await world.ended('a', id)).toMatchObject({ state: 'failed', fault: { detail: expect.stringContaining(`again-${limits.revisionsMax} failed`) as string } })
    expect(asked).toHaveLength(limits.revisionsMax)
    await check(world, id)
  })

  it.each<[string, Json, string]>([
    ['more leaves than the mission may have', { tasks: Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`x${i}`, { capability: 'job.work' }])) }, '10 are allowed'],
    ['a task that is there already', { tasks: { beside: { capability: 'job.work' } } }, 'there is a task "beside" already'],
    ['a capability that nobody has', { tasks: { x: { capability: 'job.wrok' } } }, 'Did you mean job.work'],
    ['no plan', { tasks: [] }, 'malformed'],
    ['a cycle', { tasks: { x: { capability: 'job.work', after: ['y'] }, y: { capability: 'job.work', after: ['x'] } } }, 'cyclic'],
  ])('fails when the addition is %s, and says so', async (_what, addition, detail) => {
    const { world } = await mendingWorld(6, { additions: () => addition })
    const { id } = await world.submit('a', { plan: { tasks: { job: { capability: 'job.mend', retry: once } } }, limits: { leavesMax: 10 } })
    expect(await world.ended('a', id)).toMatchObject({ state: 'failed', fault: { detail: expect.stringContaining(detail) as string } })
    await check(world, id)
  })
})

describe('its manager is lost', () => {
  const managerOf = async (world: MissionWorld, id: MissionId): Promise<string> => {
    const events = await world.events('a', id)
    const award = events.findLast((event) => event.type === 'awarded' && event.award.taskId === 'root/job.mend')
    return award?.type === 'awarded' ? award.award.workerName : ''
  }

  it('between the failure and the addition: its successor asks for the same round, and nothing is done twice', async () => {
    const { world, asked } = await mendingWorld(10, { additions: mendFirst, reviseMs: 3_000 })
    const { id } = await world.submit('a', { capability: 'job.mend' })
    await world.until(() => asked.length === 1, 'the question what to add')
    world.kill(asked[0]?.node ?? '')
    expect(await world.ended('a', id)).toMatchObject({ state: 'completed' })
    expect(asked.map(({ round }) => round)).toEqual([1, 1, 2])
    expect(asked[1]?.node).not.toBe(asked[0]?.node)
    expect(await world.result('a', id)).toEqual({ first: 'dead', after: 'cancelled', beside: 'done', second: 'done' })
    expect(additionsIn(await check(world, id))).toHaveLength(1)
    for (const name of ['first', 'beside', 'second']) expect(world.runs.filter(({ taskId }) => taskId === `root/job.mend/${name}`), name).toHaveLength(1)
    expect(world.runs.filter(({ step }) => step === 'plan'), 'it is not planned anew').toHaveLength(1)
  })

  it('after the addition: its successor goes on with it and asks for the next round', async () => {
    const { world, asked } = await mendingWorld(11, { additions: mendFirst }, 6_000)
    const { id } = await world.submit('a', { capability: 'job.mend' })
    await world.until(() => world.runs.some(({ taskId }) => taskId === 'root/job.mend/second'), 'what was added to run')
    const first = await managerOf(world, id)
    world.kill(first)
    expect(await world.ended('a', id)).toMatchObject({ state: 'completed' })
    expect(asked.map(({ round }) => round)).toEqual([1, 2])
    expect(await managerOf(world, id)).not.toBe(first)
    expect(world.runs.filter(({ taskId }) => taskId === 'root/job.mend/second'), 'it is adopted').toHaveLength(1)
    expect(additionsIn(await check(world, id))).toHaveLength(1)
  })

  it('and so is the mission’s owner: what was given up stays given up', async () => {
    const { world, asked } = await mendingWorld(12, { additions: mendFirst }, 6_000)
    const { id } = await world.submit('a', { capability: 'job.mend' })
    await world.grown(id)
    await world.until(() => world.runs.some(({ taskId }) => taskId === 'root/job.mend/second'), 'what was added to run')
    const owner = world.leader(id as never) ?? ''
    world.kill(owner)
    const on = ['a', 'b', 'c'].find((name) => name !== owner) ?? ''
    expect(await world.ended(on, id)).toMatchObject({ state: 'completed' })
    expect(await world.result(on, id)).toEqual({ first: 'dead', after: 'cancelled', beside: 'done', second: 'done' })
    expect(asked.map(({ round }) => round)).toEqual([1, 2])
  })
})

describe('what its steps cost', () => {
  const costs = { plan: 0.125, revise: 0.0625, synthesise: 0.25 }

  it('is what the mission has spent, step by step', async () => {
    const { world, asked } = await mendingWorld(20, { additions: mendFirst, costs })
    const { id } = await world.submit('a', { plan: { tasks: { job: { capability: 'job.mend', budgetUsd: 0.75 } } }, limits: { budgetUsd: 1 } })
    const view = await world.ended('a', id)
    expect(view.state).toBe('completed')
    // A plan, two revisions, a synthesis.
    expect(view.spentUsd).toBeCloseTo(0.125 + 2 * 0.0625 + 0.25, 9)
    // Of what is left after the plan, and after the first revision.
    expect(asked.map(({ budgetUsd }) => budgetUsd)).toEqual([0.625, 0.5625])
    await check(world, id)
  })

  it('is never more than its budget, whatever its node says', async () => {
    const { world } = await mendingWorld(21, { additions: mendFirst, costs: { plan: 1e6, revise: 1e6, synthesise: 1e6 } })
    const { id } = await world.submit('a', { plan: { tasks: { job: { capability: 'job.mend', budgetUsd: 0.5 } } }, limits: { budgetUsd: 1 } })
    expect((await world.ended('a', id)).spentUsd).toBeLessThanOrEqual(0.5 + 1e-9)
  })
})
