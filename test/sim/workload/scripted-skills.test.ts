import { describe, expect, test } from 'vitest'
import type { SkillRun } from '../../../actors/ports/skill-runner.ts'
import type { Json } from '../../../protocols/kernel/payload.ts'
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import { Plan } from '../../../protocols/tasking/schema.ts'
import { expandNodes } from '../../../sim/scenario/expand.ts'
import { Scenario } from '../../../sim/scenario/schema.ts'
import type { ScriptedCourse, ScriptedSkill } from '../../../sim/skill-runner-scripted-adapter.ts'
import { planArrivals } from '../../../sim/workload/arrivals.ts'
import { skillsOf, type ScriptedSkillsOptions } from '../../../sim/workload/scripted-skills.ts'

const scenario = Scenario.parse({
  name: 'test', durationMs: 60_000, nodes: [{ group: 'home', speed: 0.5 }],
  skills: [
    { capability: 'job.run', workMs: { exponential: 300 }, outputBytes: 200, costUsd: 0.01 },
    { capability: 'job.flaky', failureFraction: 0.5 },
    { capability: 'job.group', children: { capability: 'job.run', count: 4 }, workMs: 50 },
    { capability: 'llm.chat', effects: 'external', model: { promptTokensPerSecond: 1_000, outputTokensPerSecond: 10, usdPerThousandTokens: 1 } },
  ],
  workload: [
    { kind: 'count', missions: 40, mission: { capability: 'job.flaky', retry: { attemptsMax: 4 } } },
    { kind: 'count', missions: 1, fromMs: 59_000, mission: { capability: 'job.run', checked: true } }, { kind: 'count', missions: 1, fromMs: 59_500, mission: { capability: 'job.group', shape: 'composite', timeLimitMs: 5_000, checked: true } },
  ],
})
const [node] = expandNodes(scenario, seededRandom([1, 1]))
const arrivals = planArrivals(scenario, node === undefined ? [] : [node], seededRandom([1, 2]), new Map())

function skills(options?: ScriptedSkillsOptions): Map<string, ScriptedSkill> {
  return new Map((node === undefined ? [] : skillsOf(node, seededRandom([3, 4]), options)).map((skill) => [skill.capability.name, skill]))
}

function runOf(capability: string, input: Json, rest: Partial<SkillRun> = {}): SkillRun {
  return { runId: 'r', capability, version: '1.0', step: 'run', input: { inline: input }, principal: 'p1' as SkillRun['principal'], missionId: 'm-aaaaaaaa-aaaaaaaaaaaa', taskId: 'root/t1', attempt: 1, timeLimitMs: 60_000, ...rest }
}

function inputOf(capability: string, at = 0): Json {
  const found = arrivals.filter((arrival) => arrival.request.plan?.tasks.t1?.capability === capability)
  return found[at]?.request.plan?.tasks.t1?.input as Json
}

describe('scripted skills', () => {
  test('a leaf takes the time that its input says, whatever the node, and pads its output', () => {
    const input = inputOf('job.run')
    const course = skills().get('job.run')?.run?.(runOf('job.run', input)) as ScriptedCourse
    expect(course.afterMs).toBe((input as { workMs: number }).workMs)
    expect(course.costUsd).toBe(0.01)
    expect(JSON.stringify(course.output)).toHaveLength(200)
    expect(course.output).toMatchObject({ n: 'w2-1.1', ok: true, sum: expect.any(Number) as number })
    const check = arrivals.find((arrival) => arrival.leaves[0]?.capability === 'job.run')?.request.plan?.tasks.t1?.accept?.[0]
    expect(check).toEqual({ path: 'sum', equals: (course.output as { sum: number }).sum })
  })

  test('attempts fail as the workload said', () => {
    arrivals.filter((arrival) => arrival.leaves[0]?.capability === 'job.flaky').forEach((arrival, at) => {
      const course = (attempt: number) => skills().get('job.flaky')?.run?.(runOf('job.flaky', inputOf('job.flaky', at), { attempt }))
      const fails = arrival.leaves[0]?.fails ?? 0
      for (let attempt = 1; attempt <= fails; attempt++) expect(course(attempt)?.fault?.code).toBe('skill-failed')
      if (fails < 4) expect(course(fails + 1)?.output).toMatchObject({ ok: true })
    })
  })

  test('a composite plans what the workload knows and adds up', () => {
    const skill = skills().get('job.group')
    const input = inputOf('job.group')
    const course = skill?.plan?.(runOf('job.group', input, { step: 'plan' }))
    const plan = Plan.parse(course?.output)
    expect(course?.afterMs).toBe(50)
    expect(Object.values(plan.tasks).map((task) => (task.input as { workMs: number }).workMs)).toEqual(arrivals.at(-1)?.leaves.map((leaf) => leaf.workMs))
    expect(Object.values(plan.tasks).map((task) => task.timeLimitMs)).toEqual([5_000, 5_000, 5_000, 5_000])
    for (const task of Object.values(plan.tasks)) expect(task.accept[0]?.equals).toBe((skills().get('job.run')?.run?.(runOf('job.run', task.input as Json))?.output as { sum: number }).sum)
    const children = [1, 2].map((sum) => ({ name: String(sum), capability: 'job.run', state: 'accepted' as const, output: { inline: { sum: 0xffff_fffe + sum - 1 } } }))
    expect(skill?.synthesise?.(runOf('job.group', input, { step: 'synthesise', children }))?.output).toEqual({ n: 'w3-1.1', ok: true, sum: 0xffff_fffd, children: 2 })
  })

  test('a model answers at its rates', () => {
    const skill = skills().get('llm.chat')
    const course = skill?.run?.(runOf('llm.chat', { n: 'x', promptTokens: 2_000, outputTokens: 20, luck: 1 }))
    expect(skill?.capability).toMatchObject({ kind: 'leaf', effects: 'external' })
    expect(course).toMatchObject({ afterMs: 4_000, costUsd: 2.02, output: { text: 'A scripted answer of 20 tokens.', usage: { promptTokens: 2_000, completionTokens: 20 } } })
  })

  test('inputs that say nothing get a time of their own, the same each time', () => {
    const course = (taskId: string) => skills().get('job.run')?.run?.(runOf('job.run', {}, { taskId }))
    expect(course('root/a')).toEqual(course('root/a'))
    expect(course('root/a')?.afterMs).not.toBe(course('root/b')?.afterMs)
    expect(Object.keys(Plan.parse(skills().get('job.group')?.plan?.(runOf('job.group', null, { step: 'plan' }))?.output).tasks)).toEqual(['1', '2', '3', '4'])
  })

  test('a node that misbehaves alters the courses of its leaves', () => {
    const altered = skills({ alter: (course) => ({ ...course, afterMs: Infinity }) }).get('job.run')?.run?.(runOf('job.run', inputOf('job.run')))
    expect(altered?.afterMs).toBe(Infinity)
  })
})
