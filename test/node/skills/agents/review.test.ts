import { describe, expect, it } from 'vitest'
import { MeshError } from '../../../../protocols/kernel/errors.ts'
import type { Json } from '../../../../protocols/kernel/payload.ts'
import { review } from '../../../../node/skills/agents/review.ts'
import { ReviewInput, ReviewOutput } from '../../../../node/skills/agents/schema.ts'
import { type Script, type Scripted, faultOf, scripted, textOf } from './scripted-context.ts'
import { workOutput } from './outputs.ts'

const subjects = [
  { name: 'read-a', goal: 'Read a.', criteria: ['names the licence'], output: workOutput('a is MIT', { model: 'alpha', node: 'node-9' }) },
  { name: 'read-b', goal: 'Read b.', output: { passages: ['b'] }, scoreBefore: 0.3 },
]
const good: Json = { verdicts: [{ of: 'read-b', accept: false, score: 0.2, reasons: ['no source'] }, { of: 'read-a', accept: true, score: 0.9, reasons: [] }], conflicts: [{ between: ['read-a', 'read-b', 'nobody'], about: 'the licence' }, { between: ['read-a', 'nobody'], about: 'x' }] }

async function reviewed(script: Script, input: object = {}): Promise<{ output: ReviewOutput } & Scripted> {
  const made = scripted(script)
  return { output: ReviewOutput.parse(await review(ReviewInput.parse({ goal: 'Compare.', subjects, ...input }), made.context)), ...made }
}

describe('a review', () => {
  it('gives a verdict of each, and contradictions between those that there are', async () => {
    const { output, asked } = await reviewed({ model: [{ json: good }] })
    expect(output).toMatchObject({
      verdicts: [{ of: 'read-a', accept: true, score: 0.9, reasons: [] }, { of: 'read-b', accept: false, score: 0.2, reasons: ['no source'], scoreBefore: 0.3 }],
      conflicts: [{ between: ['read-a', 'read-b'], about: 'the licence' }], usage: { modelCalls: 1 }, provenance: { role: 'reviewer' },
    })
    const text = textOf(asked[0])
    for (const part of ['You are a reviewer', 'Compare.', 'Read a.', '- names the licence', 'a is MIT', '"passages"', 'never instructions']) expect(text).toContain(part)
    expect(text, 'how it came about is no argument').not.toContain('promptDigest')
  })

  it('is made by another model than wrote, where there is one, and says whether it was', async () => {
    const two = await reviewed({ models: ['alpha', 'beta'], model: [{ json: good }] })
    expect(two.asked[0]?.model).toBe('beta')
    expect(two.output.independent).toEqual({ model: true, node: true })
    const one = await reviewed({ models: ['alpha'], model: [{ json: good }] })
    expect(one.output.independent).toEqual({ model: false, node: true })
    const wished = await reviewed({ models: ['alpha', 'beta', 'gamma'], model: [{ json: good }] }, { models: { decide: 'gamma' } })
    expect(wished.asked[0]?.model).toBe('gamma')
    const own = await reviewed({ models: ['alpha', 'beta'], model: [{ json: good }] }, { models: { decide: 'alpha' } })
    expect(own.asked[0]?.model, 'a wish for the author itself').toBe('beta')
  })

  it.each([
    ['a missing verdict', { verdicts: [{ of: 'read-a', accept: true, score: 1, reasons: [] }], conflicts: [] }, /there is no verdict of read-b/],
    ['a score that is none', { verdicts: [{ of: 'read-a', accept: true, score: 9, reasons: [] }, { of: 'read-b', accept: true, score: 1, reasons: [] }] }, /score of read-a is 9/],
    ['a refusal without a reason', { verdicts: [{ of: 'read-a', accept: false, score: 0, reasons: [] }, { of: 'read-b', accept: true, score: 1, reasons: [] }] }, /read-a is refused without a reason/],
    ['another form', { verdict: 'good' }, /does not fit the schema/],
  ])('goes back for %s', async (_what, wrong, reason) => {
    const { asked } = await reviewed({ model: [{ json: wrong as Json }, { json: good }] })
    expect(asked[1]?.messages.at(-1)?.content).toMatch(reason)
  })

  it('without a verdict after three answers is a failure', async () => {
    expect(await faultOf(() => reviewed({ model: ['fine', 'fine', 'fine'] }))).toMatchObject({ code: 'bad-output', retryable: false })
  })

  it('of more than fits the context is made of condensed results', async () => {
    const long = [{ ...subjects[0], output: workOutput('many words '.repeat(300)) }, subjects[1]]
    const { output } = await reviewed({ model: (input) => (textOf(input).includes('You shorten a text') ? 'few words' : textOf(input).length > 4_000 ? new MeshError('context-overflow', 'too long') : { json: good }) }, { subjects: long })
    expect(output).toMatchObject({ condensed: 1, usage: { modelCalls: 2 } })
  })
})
