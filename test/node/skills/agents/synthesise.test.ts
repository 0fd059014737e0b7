import { describe, expect, it } from 'vitest'
import { MeshError } from '../../../../protocols/kernel/errors.ts'
import type { SkillChild } from '../../../../node/skills/define-skill.ts'
import { PlanInput, PlanOutput } from '../../../../node/skills/agents/schema.ts'
import { synthesise } from '../../../../node/skills/agents/synthesise.ts'
import { dead, reviewed, worked } from './outputs.ts'
import { type Script, type Scripted, faultOf, scripted, textOf } from './scripted-context.ts'

async function written(children: readonly SkillChild[], script: Script = {}, input: object = {}): Promise<{ output: PlanOutput } & Scripted> {
  const made = scripted({ model: [], ...script })
  return { output: PlanOutput.parse(await synthesise({ input: PlanInput.parse({ goal: 'Compare a and b.', ...input }), children }, made.context)), ...made }
}

const planned = { round: 0, attempts: 2, causes: ['the plan has no tasks'], usage: { promptTokens: 5, completionTokens: 5, costUsd: 0.5, modelCalls: 2 } }
const two = [worked('read-a', 'a is fast', { planned }), worked('read-b', 'b is small', { planned })]

describe('the result of a plan', () => {
  it('is written from its tasks\' results and cites them by name; other citations are taken out and counted', async () => {
    const { output, asked } = await written(two, { model: ['Take a [read-a], for b is only small [read-b] [read-c].'] }, { criteria: ['short'] })
    expect(output).toMatchObject({
      text: 'Take a [read-a], for b is only small [read-b].', result: 'Take a [read-a], for b is only small [read-b].', citations: ['read-a', 'read-b'], citationsRemoved: 1,
      refinements: [], doubts: [], missing: [], attempts: [{ round: 0, attempts: 2, causes: ['the plan has no tasks'] }], provenance: { model: 'alpha', role: 'analyst' },
    })
    // Two tasks, the plan (once, though both tell of it), and the text itself.
    expect(output.usage).toMatchObject({ modelCalls: 2 + 2 + 1 })
    const text = textOf(asked[0])
    for (const part of ['Compare a and b.', '- short', 'a is fast', 'Do read-b.', '[read-a], [read-b]', 'never instructions']) expect(text).toContain(part)
  })

  it('is another prompt when a result is another', async () => {
    const ask = async (result: string): Promise<string> => textOf((await written([worked('read-a', result), worked('read-b', 'b')], { model: ['[read-a]'] })).asked[0])
    expect(await ask('one')).not.toBe(await ask('two'))
  })

  it('is the work of the one that did it alone, as it is', async () => {
    const { output, happened } = await written([worked('work', { n: 1 }), reviewed('review_1', [{ of: 'work', accept: true, score: 1 }])])
    expect(output).toMatchObject({ result: { n: 1 }, citations: ['work'], usage: { modelCalls: 2 } })
    expect(happened).toEqual([])
  })

  it('rests on what was mended, and says what it has gained', async () => {
    const { output, asked } = await written([
      ...two, reviewed('review_1', [{ of: 'read-a', accept: false, score: 0.2 }, { of: 'read-b', accept: true, score: 0.9 }]),
      worked('fix_read-a.r1', 'a is slow', { supersedes: 'read-a' }), reviewed('review_1.r1', [{ of: 'fix_read-a.r1', accept: true, score: 0.8 }]),
    ], { model: ['b [fix_read-a.r1]'] })
    expect(output.refinements).toEqual([{ task: 'read-a', round: 1, scoreBefore: 0.2, scoreAfter: 0.8 }])
    expect(textOf(asked[0])).toContain('a is slow')
    expect(textOf(asked[0])).not.toContain('a is fast')
    expect(output.citations).toEqual(['fix_read-a.r1'])
  })

  it('keeps the first version when mending made it worse, and says what is in doubt, missing or settled', async () => {
    const { output, asked } = await written([
      ...two, dead('read-c'), reviewed('review_1', [{ of: 'read-a', accept: false, score: 0.4 }, { of: 'read-b', accept: true, score: 0.9 }], [{ between: ['read-a', 'read-b'], about: 'the size' }, { between: ['read-b', 'read-a'], about: 'again' }]),
      worked('fix_read-a.r1', 'worse', { supersedes: 'read-a' }), reviewed('review_1.r1', [{ of: 'fix_read-a.r1', accept: false, score: 0.1 }]),
      worked('merge_1.r1', 'both are small', { settles: ['read-a', 'read-b'] }),
    ], { model: ['both [merge_1.r1]'] })
    expect(output.doubts).toEqual(['read-a was refused (score 0.4): read-a is wrong'])
    expect(output.missing).toEqual(['read-c: over-limit: read-c went round in circles'])
    const text = textOf(asked[0])
    for (const part of ['a is fast', 'Reviewers have refused it', 'both are small', 'It settles the contradiction between read-a and read-b', 'read-c went round in circles']) expect(text).toContain(part)
    expect(text).not.toContain('worse')
  })

  it('takes other capabilities\' outputs as they are', async () => {
    const { output } = await written([{ name: 'find', capability: 'docs.search', state: 'accepted', output: { passages: ['p'] } }, ...two], { model: (input) => (textOf(input).includes('"passages"') ? 'p [find]' : 'not shown') })
    expect(output.citations).toEqual(['find'])
  })

  it('without citations is asked for once more', async () => {
    const { output, asked } = await written(two, { model: ['a is better', 'a is better [read-a]'] })
    expect(output.citations).toEqual(['read-a'])
    expect(asked[1]?.messages.at(-1)?.content).toMatch(/cites none of the results by name/)
    expect((await written(two, { model: ['a is better', 'a is better still'] })).output).toMatchObject({ text: 'a is better still', citations: [] })
  })

  it('is never an empty or a cut one', async () => {
    expect(await faultOf(() => written(two, { model: ['', ''] }))).toMatchObject({ code: 'bad-output' })
    expect((await written(two, { model: [{ finish: 'length', content: 'a [read-a] is' }, 'a [read-a]'] })).output.text).toBe('a [read-a]')
  })

  it('of nothing is a failure that says why there is nothing', async () => {
    expect(await faultOf(() => written([{ ...dead('read-a'), optional: true }]))).toMatchObject({ code: 'skill-failed', retryable: false, detail: expect.stringContaining('read-a went round in circles') as string })
  })

  it('has the form that is expected', async () => {
    const expects = { type: 'object', properties: { best: { $ref: '#/$defs/name' } }, required: ['best'], $defs: { name: { type: 'string' } } }
    const { output, asked } = await written(two, { model: [{ json: { text: 'a [read-a]', result: { best: 1 } } }, { json: { text: 'a [read-a] [x-y]', result: { best: 'a' } } }] }, { expects })
    expect(output).toMatchObject({ result: { best: 'a' }, text: 'a [read-a]', citations: ['read-a'], citationsRemoved: 1 })
    expect(asked[0]?.schema).toMatchObject({ $defs: { name: { type: 'string' } }, required: ['text', 'result'] })
  })

  it('of more than fits the context rests on condensed results', async () => {
    const long = [worked('read-a', 'many words '.repeat(300)), worked('read-b', 'b')]
    const { output } = await written(long, { model: (input) => (textOf(input).includes('You shorten a text') ? 'few words' : textOf(input).length > 3_500 ? new MeshError('context-overflow', 'too long') : 'few [read-a]') })
    expect(output).toMatchObject({ condensed: 1, citations: ['read-a'] })
  })
})
