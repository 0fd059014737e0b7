import { describe, expect, it } from 'vitest'
import { MeshError } from '../../../../protocols/kernel/errors.ts'
import type { Json } from '../../../../protocols/kernel/payload.ts'
import { planFault } from '../../../../protocols/tasking/plan.ts'
import { Plan } from '../../../../protocols/tasking/schema.ts'
import { planMission } from '../../../../node/skills/agents/plan-mission.ts'
import { PlanInput, ReviewInput, WorkInput } from '../../../../node/skills/agents/schema.ts'
import { profileOf, RoleFile } from '../../../../node/roles/schema.ts'
import { type Script, type Scripted, type ScriptedSkill, agentCapabilities, faultOf, scripted, textBlob, textOf } from './scripted-context.ts'

const search: ScriptedSkill = { summary: 'finds passages in documents', schema: { type: 'object', properties: { query: { type: 'string' }, folder: {} }, required: ['query'] } }
const skills = { ...agentCapabilities, 'docs.search': search, 'repo.slice': { summary: 'Measures a slice. Part of repo.report.' } }
const planLimits = { leavesLeft: 30, depthLeft: 3 }

async function planned(input: object, script: Script): Promise<{ plan: Plan } & Scripted> {
  const made = scripted({ skills, planLimits, ...script })
  const plan = Plan.parse(await planMission(PlanInput.parse({ goal: 'Compare a and b.', ...input }), made.context))
  expect(planFault(plan)).toBeUndefined()
  return { plan, ...made }
}

const task = (name: string, more: object = {}): Json => ({ name, capability: 'agent.work', role: 'researcher', goal: `Do ${name}.`, ...more })
const tasks = (...all: Json[]): { json: Json } => ({ json: { why: 'independent parts', tasks: all } })

describe('a plan of a model', () => {
  it('becomes a plan as a person writes it: roles by value, results by reference, reviews where there are criteria', async () => {
    const { plan, asked } = await planned({ context: { readmes: { a: 'about a', b: 'about b' } } }, {
      model: [tasks(
        task('read-a', { uses: ['input.readmes.a'], criteria: ['names the licence'], effort: 2 }),
        task('read-b', { uses: ['input.readmes.b'], criteria: ['names the licence'], budgetUsd: 0.1, accept: [{ path: 'result', matches: 'licence' }] }),
        { name: 'look-up', capability: 'docs.search', input: { query: { $from: 'read-a', path: 'result' }, folder: { $input: 'readmes' } }, after: ['read-b'], optional: true },
        task('compare', { role: 'analyst', uses: ['read-a', 'read-b', 'look-up'], expects: { type: 'object' } }),
      )],
    })
    expect(Object.keys(plan.tasks)).toEqual(['read-a', 'read-b', 'look-up', 'compare', 'review_1'])
    expect(plan.description).toBe('independent parts')
    const readA = WorkInput.parse(plan.tasks['read-a']?.input)
    expect(readA).toMatchObject({ goal: 'Do read-a.', context: { 'readmes.a': 'about a' }, role: { name: 'researcher', prompt: expect.stringContaining('You are a researcher') as string }, part: { uses: ['input.readmes.a'], criteria: ['names the licence'], planned: { round: 0, attempts: 1, causes: [], usage: { modelCalls: 1 } } } })
    expect(plan.tasks['read-a']?.effort).toBe(2)
    expect(plan.tasks['read-b']).toMatchObject({ accept: [{ path: 'result', matches: 'licence' }], budgetUsd: 0.1 })
    expect(plan.tasks['look-up']).toMatchObject({ after: ['read-b'], optional: true, input: { query: { $from: 'read-a', path: 'result' }, folder: { a: 'about a', b: 'about b' } } })
    expect(plan.tasks['compare']?.input).toMatchObject({
      context: { 'read-a': { $from: 'read-a', path: 'result' }, 'read-b': { $from: 'read-b', path: 'result' }, 'look-up': { $from: 'look-up' } }, expects: { type: 'object' },
    })
    expect(plan.tasks['review_1']?.optional).toBe(true)
    expect(ReviewInput.parse(plan.tasks['review_1']?.input)).toMatchObject({
      goal: 'Compare a and b.', role: { name: 'reviewer' },
      subjects: [{ name: 'read-a', goal: 'Do read-a.', criteria: ['names the licence'], output: { $from: 'read-a' } }, { name: 'read-b', output: { $from: 'read-b' } }],
    })
    const text = textOf(asked[0])
    for (const part of ['Compare a and b.', 'about b', 'docs.search: finds passages in documents', '"query"', 'researcher: Finds and extracts', 'at most 22 tasks', '2 more levels']) expect(text).toContain(part)
    expect(text).not.toContain('agent.review: ')
    expect(text).not.toContain('llm.chat: ')
    expect(text, 'what is of no use alone').not.toContain('repo.slice')
  })

  it('may be to do it at one go', async () => {
    const { plan } = await planned({ context: { notes: 'n' }, criteria: ['is short'] }, { model: [{ json: { doItYourself: true, role: 'docs', why: 'one train of thought' } }] })
    expect(Object.keys(plan.tasks)).toEqual(['work', 'review_1'])
    expect(plan.tasks['work']).toMatchObject({ capability: 'agent.work', input: { goal: 'Compare a and b.', role: { name: 'docs' }, context: { notes: 'n' }, part: { criteria: ['is short'] } } })
  })

  it('may plan a part further: with its share of the leaves, and with the roles that other nodes do not have', async () => {
    const own = profileOf(RoleFile.parse({ name: 'lawyer', summary: 'reads contracts', prompt: 'You read contracts.' }))
    const { plan, asked } = await planned({ roles: [own] }, { planLimits: { leavesLeft: 11, depthLeft: 2 }, model: [tasks(task('alone', { role: 'lawyer' }), task('part-1', { capability: 'agent.plan' }), task('part-2', { capability: 'agent.plan' }))] })
    expect(plan.tasks['part-1']).toMatchObject({ capability: 'agent.plan', input: { goal: 'Do part-1.', leavesMax: 5, roles: [{ name: 'lawyer', digest: own.digest }] } })
    expect(textOf(asked[0])).toContain('lawyer: reads contracts')
    expect(PlanInput.safeParse(plan.tasks['part-1']?.input).success).toBe(true)
  })

  it('is made without a model when there is nothing to decide', async () => {
    const { plan, asked } = await planned({}, { planLimits: { leavesLeft: 1, depthLeft: 1 }, model: [] })
    expect(Object.keys(plan.tasks)).toEqual(['work'])
    expect(asked).toEqual([])
  })

  it('may name its tasks as a person does, and leave out by null', async () => {
    const { plan } = await planned({}, { model: [{ json: { why: 'w', role: null, tasks: { one: { capability: 'agent.work', goal: 'g', uses: null, expects: null } } } as Json }] })
    expect(plan.tasks['one']?.input).toMatchObject({ goal: 'g', role: { name: 'analyst' } })
  })

  it('tasks that name nothing that they use are given all of the input', async () => {
    const { plan } = await planned({ context: { notes: 'n' } }, { model: [tasks(task('one'))] })
    expect(plan.tasks['one']?.input).toMatchObject({ context: { notes: 'n' }, part: { uses: ['input'] } })
  })

  it('has as many reviews as there is room for', async () => {
    const six = Array.from({ length: 6 }, (_, i) => task(`t${i}`, { criteria: ['c'] }))
    const names = async (leavesLeft: number): Promise<string[]> => Object.keys((await planned({}, { planLimits: { leavesLeft, depthLeft: 1 }, model: [tasks(...six)] })).plan.tasks).filter((name) => name.startsWith('review'))
    expect(await names(30)).toEqual(['review_1', 'review_2'])
    expect(await names(7)).toEqual(['review_1'])
    expect(await names(6)).toEqual([])
  })
})

describe('a plan that is not one', () => {
  const good = tasks(task('one'))
  const cases: [what: string, reply: { json: Json } | string, reason: RegExp, script?: Script][] = [
    ['prose', 'First I would read both, then compare.', /not JSON: it begins with "First I would read/],
    ['no tasks', { json: { why: 'w', tasks: [] } }, /the plan has no tasks/],
    ['an empty object', { json: {} }, /the plan has no tasks/],
    ['a cycle', tasks(task('one', { after: ['two'] }), task('two', { uses: ['one'] })), /the plan is cyclic: /],
    ['a thousand tasks', tasks(...Array.from({ length: 1_000 }, (_, i) => task(`t${i}`))), /has 1000 tasks, and at most 30 are left/],
    ['an unknown capability', tasks({ name: 'one', capability: 'doc.search', input: {} }), /no node offers "doc\.search"; the nearest: docs\.search/],
    ['a capability of models', tasks({ name: 'one', capability: 'llm.chat', input: {} }), /no node offers "llm\.chat"/],
    ['its own reviews', tasks({ name: 'one', capability: 'agent.review', input: {} }), /no node offers "agent\.review"/],
    ['an unknown role', tasks(task('one', { role: 'wizard' })), /there is no role "wizard"; the roles are: analyst/],
    ['no goal', tasks({ name: 'one', capability: 'agent.work', role: 'docs' }), /task "one": agent\.work needs a goal/],
    ['a name that is none', tasks(task('Read A!')), /"Read A!" is not a task name/],
    ['two of one name', tasks(task('one'), task('one')), /two tasks are named "one"/],
    ['something unknown that it uses', tasks(task('one', { uses: ['two'] })), /"uses" names "two", which is neither a task nor "input"/],
    ['something of the input that is not there', tasks(task('one', { uses: ['input.readme'] })), /the input has only: notes/],
    ['something unknown to wait for', tasks(task('one', { after: ['two'] })), /"after" names "two", which is no task/],
    ['an input that does not fit', tasks({ name: 'one', capability: 'docs.search', input: { query: 7 } }), /its input does not fit docs\.search: query: /],
    ['a reference to nothing', tasks({ name: 'one', capability: 'docs.search', input: { query: { $from: 'two' } } }), /its input refers to "two", which is no task/],
    ['a missing part of the input', tasks({ name: 'one', capability: 'docs.search', input: { query: { $input: 'x.y' } } }), /"x\.y"\} refers to nothing in the input/],
    ['a check that says nothing', tasks(task('one', { accept: [{ path: 'result' }] })), /says nothing: give exists/],
    ['a pattern that is none', tasks(task('one', { accept: [{ path: 'result', matches: '(' }] })), /has a pattern that /],
    ['a larger budget than there is', tasks(task('one', { budgetUsd: 3 })), /add up to 3 USD, and 1 USD are left/, { budgetUsd: 1 }],
    ['a further plan without a level left', tasks(task('one', { capability: 'agent.plan' })), /no level left below/, { planLimits: { leavesLeft: 9, depthLeft: 1 } }],
    ['an agent that acts where nothing can be acted with', tasks(task('one', { capability: 'agent.act' })), /may call nothing that has effects outside: use agent\.work/],
  ]
  it.each(cases)('%s goes back with the reason', async (_what, reply, reason, script) => {
    const made = await planned({ context: { notes: 'n' } }, { ...script, model: [reply, good] })
    expect(made.asked).toHaveLength(2)
    expect(made.asked[1]?.messages.at(-1)?.content).toMatch(reason)
    expect(made.plan.tasks['one']?.input).toMatchObject({ part: { planned: { attempts: 2, usage: { modelCalls: 2 } } } })
  })

  it('three times is the end, with what was wrong', async () => {
    const made = scripted({ skills, planLimits, model: ['prose', { json: { tasks: [] } }, tasks(task('one', { role: 'wizard' }))] })
    expect(await faultOf(() => planMission(PlanInput.parse({ goal: 'g' }), made.context))).toMatchObject({ code: 'bad-plan', retryable: false, detail: expect.stringContaining('3 times; at last: task "one": there is no role "wizard"') as string })
    expect(made.asked.map(({ key }) => key)).toEqual(['plan:0:1', 'plan:0:2', 'plan:0:3'])
  })

  it('counts an answer that the provider could not hold to the schema', async () => {
    const { asked } = await planned({}, { model: [new MeshError('bad-output', 'no JSON of the schema'), good] })
    expect(asked).toHaveLength(2)
  })
})

describe('planning needs', () => {
  it('a model: without one it says what to start, at once', async () => {
    const made = scripted({ models: [], skills: { ...skills, 'repo.report': { kind: 'composite' } }, planLimits })
    const fault = await faultOf(() => planMission(PlanInput.parse({ goal: 'g' }), made.context))
    expect(fault).toMatchObject({ code: 'no-provider', retryable: false, detail: expect.stringContaining('a mission in free text needs a language model') as string })
    for (const text of ['skein node start --model file.gguf', 'OPENAI_API_KEY', 'SKEIN_LLM_URL', 'docs.search, repo.report']) expect(fault.next).toContain(text)
  })

  it.each([
    ['money', { budgetUsd: 0 }, /its budget is 0 USD/],
    ['leaves', { planLimits: { leavesLeft: 0, depthLeft: 3 } }, /nothing is left to plan with: 0 tasks, 3 levels/],
    ['a level', { planLimits: { leavesLeft: 9, depthLeft: 0 } }, /9 tasks, 0 levels/],
  ])('%s: without it nothing is asked', async (_what, script, reason) => {
    const made = scripted({ skills, planLimits, model: [], ...script })
    expect(await faultOf(() => planMission(PlanInput.parse({ goal: 'g' }), made.context))).toMatchObject({ code: 'over-limit', detail: expect.stringMatching(reason) as string })
    expect(made.happened).toEqual([])
  })

  it('no more than the part of the mission that it was given', async () => {
    const { asked } = await planned({ leavesMax: 4 }, { model: [tasks(...Array.from({ length: 5 }, (_, i) => task(`t${i}`))), tasks(task('one'))] })
    expect(asked[1]?.messages.at(-1)?.content).toContain('has 5 tasks, and at most 4 are left')
  })
})

describe('what the planner is shown', () => {
  const prompt = async (input: object, script: Script = {}): Promise<string> => textOf((await planned(input, { model: [{ json: { doItYourself: true } }], ...script })).asked[0])

  it('is another prompt when the input, a skill or a role is another', async () => {
    const long = 'x'.repeat(20_000)
    const prompts = [
      await prompt({}), await prompt({ context: { readme: 'one' } }), await prompt({ context: { readme: 'two' } }),
      // Beyond what is shown of it.
      await prompt({ context: { readme: `${long}one` } }), await prompt({ context: { readme: `${long}two` } }),
      await prompt({}, { skills: { ...skills, 'text.translate': { summary: 'translates' } } }),
      await prompt({}, { skills: { ...skills, 'docs.search': { ...search, schema: { type: 'object' } } } }),
      await prompt({ roles: [profileOf(RoleFile.parse({ name: 'lawyer', summary: 'reads contracts', prompt: 'p' }))] }),
    ]
    expect(new Set(prompts).size).toBe(prompts.length)
  })

  it('says how much there is of what it shows in part, and looks into text files', async () => {
    const made = scripted({ skills, planLimits, model: [{ json: { doItYourself: true } }] })
    const readme = await textBlob(made, `# Title\n${'word '.repeat(2_000)}`, 'README.md')
    await planMission(PlanInput.parse({ goal: 'g', context: { readme } }), made.context)
    expect(textOf(made.asked[0])).toMatch(/"readme" has 10008 characters \(digest [0-9a-f]{12}\); tasks are given all of it, and this is its beginning:\n<data [^>]+>\n# Title/)
  })

  it('are the likeliest of many capabilities, with all their names to choose from', async () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`thing.n${i}`, { summary: `does thing ${i}` }]))
    const made = await planned({ goal: 'Find passages in documents.' }, { skills: { ...many, ...skills }, model: [{ json: { doItYourself: true } }] })
    const text = textOf(made.asked[0])
    expect(text.indexOf('docs.search: finds passages')).toBeLessThan(text.indexOf('thing.n'))
    expect(text.match(/- thing\.n/g)?.length).toBeLessThan(30)
    expect(text).toContain('Offered, too: thing.n')
    expect(JSON.stringify(made.asked[0]?.schema)).toContain('"thing.n99"')
  })

  it('is made shorter when it does not fit the context', async () => {
    const { asked } = await planned({ context: { readme: 'word '.repeat(2_000) } }, {
      model: (input) => (textOf(input).length > 9_000 ? new MeshError('context-overflow', 'too long') : { json: { doItYourself: true } }),
    })
    expect(asked.length).toBeGreaterThan(1)
    expect(textOf(asked.at(-1)).length).toBeLessThan(textOf(asked[0]).length)
    expect(textOf(asked.at(-1))).toContain('"readme" has 10000 characters')
    const never = scripted({ skills, planLimits, model: () => new MeshError('context-overflow', 'too long') })
    expect(await faultOf(() => planMission(PlanInput.parse({ goal: 'g' }), never.context))).toMatchObject({ code: 'context-overflow' })
    expect(never.asked).toHaveLength(3)
  })
})
