import { describe, expect, it } from 'vitest'
import { planFault } from '../../../../protocols/tasking/plan.ts'
import { Plan } from '../../../../protocols/tasking/schema.ts'
import type { SkillChild } from '../../../../node/skills/define-skill.ts'
import { reviseMission } from '../../../../node/skills/agents/plan-mission.ts'
import { PlanInput, ReviewInput, WorkInput } from '../../../../node/skills/agents/schema.ts'
import { dead, reviewed, worked } from './outputs.ts'
import { type Script, type Scripted, agentCapabilities, scripted, textOf } from './scripted-context.ts'

async function revised(children: readonly SkillChild[], round: number, script: Script = {}, input: object = {}): Promise<{ plan: Plan | undefined } & Scripted> {
  const made = scripted({ skills: agentCapabilities, planLimits: { leavesLeft: 20, depthLeft: 3 }, model: [], ...script })
  const document = await reviseMission({ input: PlanInput.parse({ goal: 'Compare a and b.', context: { notes: 'n' }, ...input }), children, round }, made.context)
  const plan = document === undefined ? undefined : Plan.parse(document)
  if (plan !== undefined) {
    // As the manager sees it: with all that was planned before.
    const all = { ...Object.fromEntries(children.map(({ name, capability }) => [name, { capability, input: {} }])), ...plan.tasks }
    expect(Object.keys(plan.tasks).filter((name) => children.some((child) => child.name === name)), 'names are new').toEqual([])
    expect(planFault(Plan.parse({ tasks: all }))).toBeUndefined()
  }
  return { plan, ...made }
}

const names = (plan: Plan | undefined): string[] => Object.keys(plan?.tasks ?? {})
const ok = (of: string, score = 0.9) => ({ of, accept: true, score })
const no = (of: string, score = 0.2, more: object = {}) => ({ of, accept: false, score, ...more })

describe('after all went well', () => {
  it('nothing more is to be done, and nobody is asked', async () => {
    const { plan, happened } = await revised([worked('a', '1'), worked('b', '2'), reviewed('review_1', [ok('a'), ok('b')])], 1)
    expect(plan).toBeUndefined()
    expect(happened).toEqual([])
  })
})

describe('a result that was refused', () => {
  it('is mended, with the evidence and what it had rested on, and judged again', async () => {
    const { plan } = await revised([
      worked('a', 'facts'), worked('b', 'wrong', { criteria: ['has a source'], uses: ['a', 'input.notes'], expects: { type: 'string' } }),
      reviewed('review_1', [ok('a'), no('b', 0.3, { reasons: ['no source'] })]),
    ], 1)
    expect(names(plan)).toEqual(['fix_b.r1', 'review_1.r1'])
    const fix = WorkInput.parse(plan?.tasks['fix_b.r1']?.input)
    expect(fix).toMatchObject({
      role: { name: 'fixer' }, expects: { type: 'string' }, part: { goal: 'Do b.', supersedes: 'b', criteria: ['has a source'] },
      context: { a: { $from: 'a', path: 'result' }, notes: 'n', 'the result so far': { $from: 'b', path: 'result' }, 'the objections': ['no source'], 'the task': { goal: 'Do b.', criteria: ['has a source'] } },
    })
    expect(fix.goal).toContain('Mend it')
    expect(plan?.tasks['fix_b.r1']?.optional, 'what cannot be mended stays as it was').toBe(true)
    expect(ReviewInput.parse(plan?.tasks['review_1.r1']?.input).subjects).toEqual([{ name: 'fix_b.r1', goal: 'Do b.', criteria: ['has a source'], output: { $from: 'fix_b.r1' }, scoreBefore: 0.3 }])
  })

  it('brings up to date what rested on it, in order', async () => {
    const { plan } = await revised([
      worked('a', 'wrong'), worked('b', 'of a', { uses: ['a'] }), worked('c', 'of b', { uses: ['b'] }), worked('d', 'alone'),
      reviewed('review_1', [no('a'), ok('b'), ok('c'), ok('d')]),
    ], 1)
    expect(names(plan)).toEqual(['fix_a.r1', 'fix_b.r1', 'fix_c.r1', 'review_1.r1'])
    const b = WorkInput.parse(plan?.tasks['fix_b.r1']?.input)
    expect(b.context).toEqual({ a: { $from: 'fix_a.r1', path: 'result' }, 'the task': 'Do b.', 'the result so far': { $from: 'b', path: 'result' }, 'corrected since': ['a'] })
    expect(b.goal).toContain('Bring it up to date')
    expect(plan?.tasks['fix_c.r1']?.input).toMatchObject({ context: { b: { $from: 'fix_b.r1', path: 'result' } } })
  })

  it('is mended at most twice, from its newest version', async () => {
    const first = [worked('a', '1'), reviewed('review_1', [no('a', 0.2)])]
    const second = [...first, worked('fix_a.r1', '2', { supersedes: 'a' }), reviewed('review_1.r1', [no('fix_a.r1', 0.4)])]
    const third = [...second, worked('fix_a.r2', '3', { supersedes: 'a' }), reviewed('review_1.r2', [no('fix_a.r2', 0.5)])]
    const again = await revised(second, 2)
    expect(names(again.plan)).toEqual(['fix_a.r2', 'review_1.r2'])
    expect(again.plan?.tasks['fix_a.r2']?.input).toMatchObject({ context: { 'the result so far': { $from: 'fix_a.r1', path: 'result' } }, part: { supersedes: 'a' } })
    expect((await revised(third, 3)).plan).toBeUndefined()
    expect((await revised(first, 1, {}, { roundsMax: 0 })).plan).toBeUndefined()
  })

  it('whose mending failed is tried once more, and no more', async () => {
    const once = [worked('a', '1'), reviewed('review_1', [no('a')]), dead('fix_a.r1'), { ...dead('review_1.r1', 'agent.review'), state: 'cancelled' as const }]
    const again = await revised(once, 2)
    expect(names(again.plan)).toEqual(['fix_a.r2', 'review_1.r2'])
    expect((await revised([...once, dead('fix_a.r2')], 3)).plan).toBeUndefined()
  })

  it('comes first when there is room for few, the worst of them', async () => {
    const children = [worked('a', '1'), worked('b', '2'), reviewed('review_1', [no('a', 0.4), no('b', 0.1)])]
    expect(names((await revised(children, 1, { planLimits: { leavesLeft: 1, depthLeft: 1 } })).plan)).toEqual(['fix_b.r1'])
    expect((await revised(children, 1, { planLimits: { leavesLeft: 0, depthLeft: 1 } })).plan).toBeUndefined()
  })

  it('stays as it is when there is no money left', async () => {
    expect((await revised([worked('a', '1'), reviewed('review_1', [no('a')])], 1, { budgetUsd: 0 })).plan).toBeUndefined()
  })
})

describe('results that contradict each other', () => {
  const conflict = { between: ['a', 'b'], about: 'the year' }
  it('become a task that settles it, once', async () => {
    const children = [worked('a', '1998'), worked('b', '1999'), reviewed('review_1', [ok('a'), ok('b')], [conflict, { between: ['b', 'a'], about: 'the same' }])]
    const { plan } = await revised(children, 1)
    expect(names(plan)).toEqual(['merge_1.r1'])
    expect(WorkInput.parse(plan?.tasks['merge_1.r1']?.input)).toMatchObject({
      goal: expect.stringContaining('a and b contradict each other') as string, part: { settles: ['a', 'b'] },
      context: { notes: 'n', 'the contradiction': 'the year', a: { $from: 'a', path: 'result' }, b: { $from: 'b', path: 'result' } },
    })
    expect((await revised([...children, worked('merge_1.r1', '1999', { settles: ['a', 'b'] })], 2)).plan).toBeUndefined()
  })
})

describe('a task that failed', () => {
  const children = [worked('read-a', 'facts about a'), dead('read-b'), { ...dead('compare'), state: 'cancelled' as const, fault: undefined } as unknown as SkillChild]

  it('is planned another way, with the evidence; what is finished is kept and referred to by name', async () => {
    const { plan, asked } = await revised(children, 1, { model: [{ json: { why: 'b by other means', tasks: [
      { name: 'search-b', capability: 'agent.work', role: 'researcher', goal: 'Find b.' },
      { name: 'compare-again', capability: 'agent.work', role: 'analyst', goal: 'Compare.', uses: ['read-a', 'search-b'], criteria: ['fair'] },
    ] } }] })
    expect(names(plan)).toEqual(['search-b.r1', 'compare-again.r1', 'review_1.r1'])
    expect(plan?.tasks['compare-again.r1']?.input).toMatchObject({ context: { 'read-a': { $from: 'read-a', path: 'result' }, 'search-b': { $from: 'search-b.r1', path: 'result' } }, part: { uses: ['read-a', 'search-b.r1'], planned: { round: 1 } } })
    const text = textOf(asked[0])
    for (const part of ['facts about a', 'over-limit: read-b went round in circles', 'compare (agent.work, cancelled)', 'giveUp']) expect(text).toContain(part)
    expect(asked[0]?.key).toBe('plan:1:1')
  })

  it('may be given up', async () => {
    const { plan, logged } = await revised(children, 1, { model: [{ json: { giveUp: true, why: 'there is no b' } }] })
    expect(plan).toBeUndefined()
    expect(logged.join()).toContain('there is no b')
  })

  it('is given up when no plan comes of it, so that the task fails by what its children failed by', async () => {
    const { plan, logged } = await revised(children, 1, { model: ['prose', 'prose', 'prose'] })
    expect(plan).toBeUndefined()
    expect(logged.join()).toContain('made no plan that can be carried out')
  })

  it('in place of one that failed counts by itself: what failed before is not planned for again', async () => {
    const later = [...children, worked('search-b.r1', 'b'), worked('compare-again.r1', 'c')]
    const { plan, happened } = await revised(later, 2)
    expect(plan).toBeUndefined()
    expect(happened).toEqual([])
    expect(names((await revised([...children, dead('search-b.r1')], 2, { model: [{ json: { doItYourself: true, role: 'docs', why: 'w' } }] })).plan)).toEqual(['work.r2'])
    expect((await revised([...children, dead('search-b.r1'), dead('work.r2')], 3)).plan, 'not for ever').toBeUndefined()
  })

  it('that was optional is done without', async () => {
    const { plan, happened } = await revised([worked('a', '1'), { ...dead('b'), optional: true }], 1)
    expect(plan).toBeUndefined()
    expect(happened).toEqual([])
  })

  it('a review that failed is no failure of the work', async () => {
    const { plan, happened } = await revised([worked('a', '1'), dead('review_1', 'agent.review')], 1)
    expect(plan).toBeUndefined()
    expect(happened).toEqual([])
  })
})
