import { describe, expect, it } from 'vitest'
import type { MeshError} from '../../../../protocols/kernel/errors.ts'
import { fault } from '../../../../protocols/kernel/errors.ts'
import type { ToolCall } from '../../../../protocols/models/schema.ts'
import { checkOf } from '../../../../node/skills/agents/json-answer.ts'
import { agentLimits } from '../../../../node/skills/agents/limits.ts'
import { LoopState, startOf } from '../../../../node/skills/agents/loop-state.ts'
import type { LoopInput, LoopOutput, LoopRules, LoopStep } from '../../../../node/skills/agents/loop-state.ts'
import { step } from '../../../../node/skills/agents/loop.ts'
import { toolOf } from '../../../../node/skills/agents/tools.ts'

const usage = { promptTokens: 100, completionTokens: 10, costUsd: 0.01, modelCalls: 1 }
const search = toolOf({ name: 'docs.search', version: '1.0', summary: 'searches' }, { type: 'object', properties: { query: { type: 'string' } }, required: ['query'] })
const rules: LoopRules = { tools: [search], files: [], given: { notes: { title: 'T' } }, instruction: 'Your goal: g\n', limits: { steps: 10, calls: 10, tokens: 100_000, timeMs: 60_000, costUsd: 1 } }
const start = startOf('brief', [{ role: 'system', content: 's' }, { role: 'user', content: 'Your goal: g\n' }])

const calls = (...wanted: readonly (readonly [name: string, args: string])[]): LoopInput => ({
  type: 'decided', model: 'alpha', node: 'n1', usage,
  answer: { content: null, finish: 'tool-calls', toolCalls: wanted.map(([name, args], index): ToolCall => ({ id: `x${index}`, name, arguments: args })) },
})
const says = (content: string, finish: 'stop' | 'length' | 'filter' = 'stop'): LoopInput => ({ type: 'decided', model: 'alpha', node: 'n1', usage, answer: { content, toolCalls: [], finish } })
const called = (index: number, text = 'found', ok = true): LoopInput => ({ type: 'called', index, ok, text, tookMs: 5 })

/** The steps one after the other; the last one's outputs. */
function run(inputs: readonly LoopInput[], under: LoopRules = rules, from: LoopState = start): LoopStep {
  return inputs.reduce<LoopStep>((before, input) => step(before.state, input, under, 0), { state: from, outputs: [] })
}
const kinds = (outputs: readonly LoopOutput[]): string[] => outputs.map((output) => output.type)
const failure = (made: LoopStep): MeshError['fault'] => {
  const [output] = made.outputs.filter((one) => one.type === 'fail')
  if (output === undefined) throw new Error(`it did not fail: ${JSON.stringify(made.outputs)}`)
  return output.fault
}
const answersTo = (made: LoopStep): (string | null)[] => made.state.messages.filter((message) => message.role === 'tool').map((message) => message.content)

const query = '{"query":"x"}'
const states = {
  asking: start,
  calling: run([{ type: 'begin' }, calls(['docs_search', query], ['docs_search', '{"query":"y"}'])]).state,
  condensing: run([calls(['docs_search', query]), called(0, 'long '.repeat(400)), { type: 'refused', fault: fault('context-overflow', 'too long') }]).state,
  ended: run([says('done')]).state,
} satisfies Record<LoopState['phase'], LoopState>

const inputs = {
  begin: { type: 'begin' },
  'decided to call': calls(['docs_search', '{"query":"z"}']),
  'decided to answer': says('the answer'),
  refused: { type: 'refused', fault: fault('provider-failed', 'down') },
  overflowed: { type: 'refused', fault: fault('context-overflow', 'too long') },
  called: called(1),
  condensed: { type: 'condensed', message: 3, text: 'short', usage },
  'broken off': { type: 'broken-off', fault: fault('over-limit', 'no budget') },
} satisfies Record<string, LoopInput>

/** phase after, and what is put out. */
const table: Record<LoopState['phase'], Record<keyof typeof inputs, readonly [LoopState['phase'], ...string[]]>> = {
  asking: {
    begin: ['asking', 'ask'], 'decided to call': ['calling', 'commit', 'call'], 'decided to answer': ['ended', 'finish'], refused: ['ended', 'fail'], overflowed: ['ended', 'fail'],
    called: ['asking'], condensed: ['asking'], 'broken off': ['ended', 'fail'],
  },
  calling: {
    begin: ['calling', 'call', 'call'], 'decided to call': ['calling'], 'decided to answer': ['calling'], refused: ['calling'], overflowed: ['calling'],
    called: ['calling', 'commit'], condensed: ['calling'], 'broken off': ['ended', 'fail'],
  },
  condensing: {
    begin: ['condensing', 'condense'], 'decided to call': ['condensing'], 'decided to answer': ['condensing'], refused: ['condensing'], overflowed: ['condensing'],
    called: ['condensing'], condensed: ['asking', 'commit', 'ask'], 'broken off': ['ended', 'fail'],
  },
  ended: { begin: ['ended'], 'decided to call': ['ended'], 'decided to answer': ['ended'], refused: ['ended'], overflowed: ['ended'], called: ['ended'], condensed: ['ended'], 'broken off': ['ended'] },
}

describe('every input in every phase', () => {
  for (const [phase, row] of Object.entries(table)) for (const [name, [after, ...outputs]] of Object.entries(row)) {
    it(`${phase}: ${name} → ${after}${outputs.length === 0 ? '' : ` (${outputs.join(', ')})`}`, () => {
      const before = states[phase as LoopState['phase']]
      expect(before.phase).toBe(phase)
      const copy = structuredClone(before)
      const made = step(before, inputs[name as keyof typeof inputs], rules, 0)
      expect([made.state.phase, ...kinds(made.outputs)]).toEqual([after, ...outputs])
      expect(before, 'a state is a value').toEqual(copy)
      expect(LoopState.parse(JSON.parse(JSON.stringify(made.state))), 'and a checkpoint').toEqual(made.state)
    })
  }
})

describe('calls', () => {
  it('are committed before they are made, have keys of their own, and their results go back in order', () => {
    const decided = run([calls(['docs_search', query], ['docs_search', '{"query":"y"}'])])
    expect(decided.outputs).toEqual([
      { type: 'commit' },
      { type: 'call', key: '1:0', index: 0, capability: 'docs.search', version: '1.0', input: { query: 'x' } },
      { type: 'call', key: '1:1', index: 1, capability: 'docs.search', version: '1.0', input: { query: 'y' } },
    ])
    const settled = run([called(1, 'second'), called(0, 'first')], rules, decided.state)
    expect(settled.outputs).toMatchObject([{ type: 'commit' }, { type: 'ask', key: 'decide:1', mayCall: true, tools: 1 }])
    expect(settled.state.messages.slice(2)).toEqual([
      { role: 'assistant', content: null, toolCalls: [{ id: 'call_1_0', name: 'docs_search', arguments: query }, { id: 'call_1_1', name: 'docs_search', arguments: '{"query":"y"}' }] },
      { role: 'tool', toolCallId: 'call_1_0', content: 'first' },
      { role: 'tool', toolCallId: 'call_1_1', content: 'second' },
    ])
    expect(settled.state.calls).toEqual([{ capability: 'docs.search', ok: true, tookMs: 5 }, { capability: 'docs.search', ok: true, tookMs: 5 }])
  })

  it('that are not finished are made again under the same key, the finished ones are not', () => {
    const { state } = run([calls(['docs_search', query], ['docs_search', '{"query":"y"}']), called(0)])
    expect(step(JSON.parse(JSON.stringify(state)) as LoopState, { type: 'begin' }, rules, 0).outputs).toEqual([{ type: 'call', key: '1:1', index: 1, capability: 'docs.search', version: '1.0', input: { query: 'y' } }])
  })

  it.each([
    ['an unknown function', ['docs_serach', query], /there is no function "docs_serach"; did you mean docs_search\? The functions are: docs_search/],
    ['arguments that are no JSON', ['docs_search', '{"query": '], /the arguments of docs_search are not JSON .*: \{"query":/],
    ['arguments that are no object', ['docs_search', '["x"]'], /are not a JSON object/],
    ['arguments that do not fit', ['docs_search', '{"query":7}'], /do not fit docs_search: query: .*expected string/],
    ['a missing argument', ['docs_search', '{}'], /do not fit docs_search: query: /],
    ['a reference to nothing', ['docs_search', '{"query":{"$input":"nothing"}}'], /"nothing"\} refers to nothing that you were given; you were given: notes/],
  ] as const)('%s is answered with the reason, at no cost', (_what, call, reason) => {
    const made = run([calls(call)])
    expect(kinds(made.outputs)).toEqual(['commit', 'ask'])
    expect(answersTo(made)[0]).toMatch(reason)
    expect(made.state.calls).toEqual([])
    // What goes back to the provider is always legal.
    for (const message of made.state.messages) if (message.role === 'assistant') for (const { arguments: text } of message.toolCalls ?? []) expect(() => JSON.parse(text) as unknown).not.toThrow()
  })

  it('may refer to what was given instead of copying it', () => {
    expect(run([calls(['docs_search', '{"query":{"$input":"notes.title"}}'])]).outputs[1]).toMatchObject({ type: 'call', input: { query: 'T' } })
  })

  it('of a capability whose input is no object stand under "input"', () => {
    const union = toolOf({ name: 'repo.report', version: '1.0', summary: 's' }, { anyOf: [{ type: 'string' }, { type: 'number' }] })
    expect(union.spec.parameters).toMatchObject({ type: 'object', required: ['input'] })
    expect(run([calls(['repo_report', '{"input":"a"}'])], { ...rules, tools: [union] }).outputs[1]).toMatchObject({ input: 'a' })
    expect(answersTo(run([calls(['repo_report', '{"input":true}'])], { ...rules, tools: [union] }))[0]).toMatch(/do not fit repo_report/)
  })

  it('the same thrice: the model is told once, then it is over', () => {
    const twice = run([calls(['docs_search', query]), called(0), calls(['docs_search', ' {"query" : "x"}']), called(0)])
    expect(twice.state.calls).toHaveLength(2)
    const told = step(twice.state, calls(['docs_search', query]), rules, 0)
    expect(kinds(told.outputs)).toEqual(['commit', 'ask'])
    expect(answersTo(told).at(-1)).toMatch(/you have asked for exactly this 2 times before/)
    expect(failure(step(told.state, calls(['docs_search', query]), rules, 0))).toMatchObject({ code: 'over-limit', retryable: false, detail: expect.stringContaining('went round in circles: it asked 4 times for docs_search with {"query":"x"}') as string })
    expect(kinds(step(told.state, calls(['docs_search', '{"query":"other"}']), rules, 0).outputs), 'something else is fine').toEqual(['commit', 'call'])
  })

  it('of one answer are limited', () => {
    const made = run([calls(...Array.from({ length: 20 }, (_, i) => ['docs_search', `{"query":"${i}"}`] as const))], { ...rules, limits: { ...rules.limits, calls: 100 } })
    expect(made.outputs.filter((output) => output.type === 'call')).toHaveLength(agentLimits.callsPerStepMax)
  })

  it('what is stored can be read in parts, and nothing else', () => {
    const ref = { $blob: 'a'.repeat(64), sizeBytes: 9 } as never
    const { state } = run([calls(['docs_search', query]), { type: 'called', index: 0, ok: true, text: 'beginning', tookMs: 1, stored: { label: '1:0', ref } }])
    const read = step(state, calls(['readMore', '{"of":"1:0","from":10,"chars":99999999}']), rules, 0)
    expect(read.outputs).toEqual([{ type: 'commit' }, { type: 'read', index: 0, of: '1:0', from: 10, chars: agentLimits.readCharsMax }])
    expect(step(read.state, called(0), rules, 0).state.calls, 'reading is no call of a capability').toHaveLength(1)
    expect(answersTo(step(state, calls(['readMore', '{"of":"9:9","from":0}']), rules, 0)).at(-1)).toMatch(/nothing stored as "9:9"; there is: 1:0/)
  })
})

describe('answers', () => {
  const schema = { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] }
  const expecting: LoopRules = { ...rules, expects: { schema, check: checkOf(schema, 'it') } }

  it('without a form are the text', () => {
    expect(run([says('  the answer \n')]).outputs).toEqual([{ type: 'finish', result: 'the answer', text: 'the answer' }])
  })

  it('are told from what the model thought before', () => {
    expect(run([says('<think>\nIs it {"n":1}?\n</think>\n\nthe answer')]).outputs).toEqual([{ type: 'finish', result: 'the answer', text: 'the answer' }])
    expect(run([says('<think>Is it {"n":1}?</think>No: {"n":3}')], expecting).outputs).toMatchObject([{ type: 'finish', result: { n: 3 } }])
  })

  it.each(['{"n":3}', 'Here you are:\n```json\n{"n":3}\n```', 'I think {"n":3} is right.'])('are found as JSON: %j', (text) => {
    expect(run([says(text)], expecting).outputs).toMatchObject([{ type: 'finish', result: { n: 3 } }])
  })

  it('that do not fit are asked for again, held to the schema, at most twice', () => {
    const once = run([says('prose')], expecting)
    expect(once.outputs).toMatchObject([{ type: 'commit' }, { type: 'ask', mayCall: false, tools: 0, schema }])
    expect(once.state.messages.at(-1)?.content).toMatch(/Your answer was refused: the answer is not JSON: it begins with "prose"/)
    const twice = step(once.state, says('{"n":"three"}'), expecting, 0)
    expect(twice.state.messages.at(-1)?.content).toMatch(/does not fit its schema: n: /)
    expect(failure(step(twice.state, says('{}'), expecting, 0))).toMatchObject({ code: 'bad-output', retryable: false, detail: expect.stringContaining('3 times; at last: the answer does not fit its schema: n: ') as string })
    expect(step(twice.state, says('{"n":1}'), expecting, 0).outputs).toMatchObject([{ type: 'finish', result: { n: 1 } }])
  })

  it('that the provider could not hold to the schema count as well', () => {
    expect(kinds(run([{ type: 'refused', fault: fault('bad-output', 'no JSON of the schema') }], expecting).outputs)).toEqual(['commit', 'ask'])
  })

  it('that are cut off or empty are never taken for whole', () => {
    expect(run([says('half of it', 'length')]).state.messages.at(-1)?.content).toMatch(/cut off/)
    expect(run([says('  ')]).state.messages.at(-1)?.content).toMatch(/empty/)
    expect(failure(run([says('', 'filter')]))).toMatchObject({ code: 'bad-output' })
  })
})

describe('limits', () => {
  it('steps: the last one is said to be the last and has no functions', () => {
    const under = { ...rules, limits: { ...rules.limits, steps: 2 } }
    const made = run([calls(['docs_search', query]), called(0)], under)
    const [, ask] = made.outputs
    expect(ask).toMatchObject({ type: 'ask', mayCall: false })
    expect(ask?.type === 'ask' ? ask.messages.at(-1)?.content : '').toMatch(/your last step/)
const over = step(made.state, calls(['docs_search', '{"query":"more"}']), under, 0)
    expect(kinds(over.outputs), 'what could not be told to it any more is not called').toEqual(['fail'])
    expect(failure(over)).toMatchObject({ code: 'over-limit', detail: expect.stringContaining('limit of 2 steps') as string })
    expect(step(made.state, says('in time'), under, 0).outputs).toMatchObject([{ type: 'finish' }])
  })

  it('calls: what is beyond is not done, and the next answer is to be the last', () => {
    const under = { ...rules, limits: { ...rules.limits, calls: 1 } }
    const made = run([calls(['docs_search', query], ['docs_search', '{"query":"y"}']), called(0)], under)
    expect(answersTo(made)[1]).toMatch(/limit of 1 calls is reached/)
    expect(made.outputs[1]).toMatchObject({ type: 'ask', mayCall: false })
    expect(answersTo(step(made.state, calls(['docs_search', '{"query":"z"}']), under, 0)).at(-1)).toMatch(/Answer now with what you have/)
  })

  it.each([
    ['tokens', { tokens: 110 }, 'limit of 110 tokens (110 used)'],
    ['costUsd', { costUsd: 0.01 }, 'limit of 0.01 USD (0.01 spent)'],
  ])('%s: looked at before every question', (_what, limit, text) => {
    const under = { ...rules, limits: { ...rules.limits, ...limit } }
    expect(failure(run([calls(['docs_search', query]), called(0)], under))).toMatchObject({ code: 'over-limit', detail: expect.stringContaining(text) as string })
    expect(run([says('an answer that is there is not thrown away')], under).outputs).toMatchObject([{ type: 'finish' }])
  })

  it('time: of earlier attempts, too', () => {
    expect(failure(step(start, { type: 'begin' }, rules, 60_000)).detail).toContain('limit of 60000 ms')
    expect(step(start, { type: 'begin' }, rules, 59_999).state.spentMs).toBe(59_999)
    expect(kinds(step({ ...start, spentMs: 60_000 }, { type: 'begin' }, rules, 0).outputs)).toEqual(['fail'])
  })

  it('a budget of zero allows no question at all', () => {
    expect(failure(step(start, { type: 'begin' }, { ...rules, limits: { ...rules.limits, costUsd: 0 } }, 0)).code).toBe('over-limit')
  })
})

describe('functions that do not fit', () => {
  it('become fewer, the least likely first, before what was given is touched', () => {
    const many: LoopRules = { ...rules, tools: Array.from({ length: 10 }, (_, i) => toolOf({ name: `tool.n${i}`, version: '1.0', summary: 's' }, undefined)) }
    const overflow: LoopInput = { type: 'refused', fault: fault('context-overflow', 'too long') }
    const from = startOf('b', [{ role: 'system', content: 's' }, { role: 'user', content: `Your goal: g\n${'given '.repeat(300)}` }])
    const half = run([overflow], many, from)
    expect(half.outputs).toMatchObject([{ type: 'commit' }, { type: 'ask', key: 'decide:0.1', tools: 5 }])
    const least = step(half.state, overflow, many, 0)
    expect(least.outputs).toMatchObject([{ type: 'commit' }, { type: 'ask', key: 'decide:0.2', tools: agentLimits.toolsMin }])
    expect(kinds(step(least.state, overflow, many, 0).outputs)).toEqual(['commit', 'condense'])
  })
})

describe('a conversation that is too long', () => {
  const overflow: LoopInput = { type: 'refused', fault: fault('context-overflow', '9000 tokens do not fit 8192') }
  const long = 'something long '.repeat(100)

  it('has its older results condensed, then the newest, then what was given, and is then given up', () => {
    const from = startOf('b', [{ role: 'system', content: 's' }, { role: 'user', content: `Your goal: g\n${long}` }])
    const conversation = run([calls(['docs_search', query]), called(0, long), calls(['docs_search', '{"query":"y"}']), called(0, long)], rules, from)
    const older = step(conversation.state, overflow, rules, 0)
    expect(older.outputs).toEqual([{ type: 'commit' }, { type: 'condense', key: 'condense:1:3', message: 3, text: long }])
    const again = run([{ type: 'condensed', message: 3, text: 'short', usage }, overflow], rules, older.state)
    expect(again.outputs).toMatchObject([{ type: 'commit' }, { type: 'condense', message: 5 }])
    const given = run([{ type: 'condensed', message: 5, text: 'short', usage }, overflow], rules, again.state)
    expect(given.outputs).toEqual([{ type: 'commit' }, { type: 'condense', key: 'condense:3:1', message: 1, text: long }])
    const last = step(given.state, { type: 'condensed', message: 1, text: 'little', usage }, rules, 0)
    expect(last.state.messages[1]?.content).toBe('Your goal: g\nlittle')
    expect(last.state.condensedMessages).toEqual([3, 5, 1])
    expect(last.state.usage.modelCalls, 'condensing is paid for').toBe(5)
    expect(last.outputs.at(-1)).toMatchObject({ type: 'ask', key: 'decide:2.3' })
    expect(failure(step(last.state, overflow, rules, 0))).toMatchObject({ code: 'context-overflow', detail: expect.stringContaining('3 parts of the conversation were condensed already') as string })
  })
})
