/** A goal in words: planned by whoever plans, if anybody has a model; refused with what to do about it if nobody has. */
import { describe, expect, it } from 'vitest'
import { MeshError, type Fault } from '../../protocols/kernel/errors.ts'
import type { SkillRun } from '../../actors/ports/skill-runner.ts'
import type { ScriptedSkill } from '../../sim/skill-runner-scripted-adapter.ts'
import { missionWorld, startNodes, type MissionWorld } from './mission-world.ts'
import { capability, doubling } from './virtual-missions.ts'

const model: ScriptedSkill = { capability: capability('llm.chat', 'leaf', { attributes: { model: 'm' }, slots: 2 }), run: () => ({ afterMs: 20, output: { content: 'yes' } }) }

/** Plans one doubling of what the goal's context says, and keeps what it was asked. */
function planner(asked: SkillRun[]): ScriptedSkill {
  return {
    capability: capability('agent.plan', 'composite'),
    plan: (run) => {
      asked.push(run)
      return { afterMs: 5, output: { tasks: { only: { capability: 'number.double', input: { value: 21 } } } } }
    },
    synthesise: ({ children = [] }) => ({ afterMs: 5, output: children.map(({ output }) => (output !== undefined && 'inline' in output ? output.inline : null)) }),
  }
}

async function refusal(world: MissionWorld, request: unknown): Promise<Fault> {
  const thrown = await world.submit('a', request).then(() => undefined, (reason: unknown) => reason)
  if (!(thrown instanceof MeshError)) throw new Error('the mission was accepted')
  return thrown.fault
}

async function threeNodes(seed: number, skills: readonly ScriptedSkill[]): Promise<MissionWorld> {
  const world = missionWorld(seed, () => skills)
  await startNodes(world, ['a', 'b', 'c'])
  await world.runFor(1_000)
  return world
}

describe('a goal in words', () => {
  it('on a mesh without a model is refused at once: what to start, and what works meanwhile', async () => {
    const world = await threeNodes(1, [doubling(20), planner([])])
    const problem = await refusal(world, { text: 'compare these libraries' })
    expect(problem).toMatchObject({ code: 'no-provider', retryable: false })
    expect(problem.detail).toContain('needs a language model')
    expect(problem.detail).toContain('number.double')
    for (const way of ['--model', 'OPENAI_API_KEY', 'SKEIN_LLM_URL']) expect(problem.next).toContain(way)
    expect(problem.detail, 'what cannot be used without a model does not work meanwhile').not.toContain('agent.')
  })

  it('is the planner’s mission, with the goal, and with its inputs as context', async () => {
    const asked: SkillRun[] = []
    const world = await threeNodes(2, [doubling(20), model, planner(asked)])
    const { id } = await world.submit('a', { text: 'double  what is\ngiven', input: { value: 21 } })
    const view = await world.ended('a', id)
    expect(view).toMatchObject({ state: 'completed', name: 'double what is given' })
    expect(await world.result('a', id)).toEqual([42])
    expect(asked.map(({ input }) => input)).toEqual([{ inline: { goal: 'double  what is\ngiven', context: { value: 21 } } }])
  })

  it('without inputs has no context', async () => {
    const asked: SkillRun[] = []
    const world = await threeNodes(3, [doubling(20), model, planner(asked)])
    const { id } = await world.submit('a', { text: 'double it' })
    await world.ended('a', id)
    expect(asked.map(({ input }) => input)).toEqual([{ inline: { goal: 'double it' } }])
  })

  it('with a model that another node has is accepted', async () => {
    const world = await threeNodes(4, [doubling(20), planner([])])
    await world.start('gpu', { skills: [model] })
    await world.runFor(1_000)
    const { id } = await world.submit('a', { text: 'double it' })
    expect((await world.ended('a', id)).state).toBe('completed')
  })

  it('is refused again once the only node with a model is gone', async () => {
    const world = await threeNodes(5, [doubling(20), planner([])])
    await world.start('gpu', { skills: [model] })
    await world.runFor(1_000)
    world.kill('gpu')
    await world.runFor(1_000)
    expect(await refusal(world, { text: 'double it' })).toMatchObject({ code: 'no-provider' })
  })

  it('comes without a capability and without a plan', async () => {
    const world = await threeNodes(6, [doubling(20), model, planner([])])
    for (const other of [{ capability: 'number.double' }, { plan: { tasks: { a: { capability: 'number.double' } } } }]) {
      expect(await refusal(world, { text: 'double it', ...other })).toMatchObject({ code: 'bad-request', detail: expect.stringContaining('one of them') as string })
    }
  })

  it('of which nobody is there to plan says that', async () => {
    const world = await threeNodes(7, [doubling(20), model])
    expect(await refusal(world, { text: 'double it' })).toMatchObject({ code: 'unknown-capability', detail: expect.stringContaining('agent.plan') as string })
  })
})
