import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { LlamaCppProvider } from '../../../../node/models/llama-cpp/llama-cpp-adapter.ts'
import { openLlamaCpp } from '../../../../node/models/llama-cpp/llama-cpp-adapter.ts'
import type { MeshError } from '../../../../protocols/kernel/errors.ts'
import { prefixDigests } from '../../../../protocols/models/prefixes.ts'
import type { ChatDelta, ChatInput, ChatMessage, JsonSchema } from '../../../../protocols/models/schema.ts'
import { ChatOutput } from '../../../../protocols/models/schema.ts'
import { faultOf } from '../../../contracts/log-store.ts'
import { until } from '../../../support/until.ts'
import { writeTinyGguf } from '../../../support/tiny-gguf/tiny-gguf.ts'

const model = 'tiny'
let folder: string
let provider: LlamaCppProvider
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skein-chat-'))
  const file = join(folder, `${model}.gguf`)
  await writeTinyGguf(file)
  provider = await openLlamaCpp({ file, gpu: false, sequences: 2 })
})
afterAll(async () => {
  await provider.close()
  await rm(folder, { recursive: true, force: true })
})

const ask = (content: string, rest: Partial<ChatInput> = {}): ChatInput => ({ messages: [{ role: 'user', content }], maxTokens: 40, seed: 7, ...rest })
const never = (): AbortSignal => new AbortController().signal
const chat = (input: ChatInput, onDelta?: (delta: ChatDelta) => void) => provider.chat(model, input, { signal: never(), ...(onDelta === undefined ? {} : { onDelta }) })

const parts: JsonSchema = {
  type: 'object', additionalProperties: false, required: ['title', 'tags', 'count', 'kind'],
  properties: { title: { type: 'string', maxLength: 20 }, tags: { type: 'array', items: { type: 'string', maxLength: 8 }, maxItems: 3 }, count: { type: 'integer', minimum: 1, maximum: 9 }, kind: { anyOf: [{ enum: ['a', 'b'] }, { type: 'null' }] }, note: { type: 'string', maxLength: 10 } },
}

describe('a chat', () => {
  it('answers within its limit and counts exactly', async () => {
    const input = ask('Tell me something.', { maxTokens: 12, stop: ['\u0000'] })
    const output = ChatOutput.parse(await chat(input))
    expect(output.usage).toMatchObject({ promptTokens: await provider.countTokens(model, input), completionTokens: 12, costUsd: 0 })
    expect(output).toMatchObject({ model, finish: 'length', toolCalls: [] })
    expect(output.content?.length).toBeGreaterThan(0)
  })

  it('is the same for the same seed, and another for another', async () => {
    const said = async (seed: number) => (await chat(ask('Say it again.', { seed, temperature: 1 }))).content
    const first = await said(1)
    expect(await said(1)).toBe(first)
    expect(await said(2)).not.toBe(first)
  })

  it('always says the likeliest at temperature 0', async () => {
    const said = async (seed: number) => (await chat(ask('Say it again.', { seed, temperature: 0 }))).content
    expect(await said(1)).toBe(await said(2))
  })

  it('stops at a stop string and leaves it out', async () => {
    const input = ask('Go on.', { temperature: 0, maxTokens: 60 })
    const whole = (await chat(input)).content ?? ''
    const stop = whole.slice(10, 12)
    const output = await chat({ ...input, stop: [stop] })
    expect(output.finish).toBe('stop')
    expect(output.content).toBe(whole.slice(0, whole.indexOf(stop)))
  })

  it('streams every piece once, in order', async () => {
    const pieces: string[] = []
    const output = await chat(ask('Stream.', { maxTokens: 30 }), (delta) => pieces.push(delta.content ?? ''))
    expect(pieces.length).toBeGreaterThan(5)
    expect(pieces.join('')).toBe(output.content)
  })

  it('never streams half a character', async () => {
    const text = 'naïve 😀 日本'
    const pieces: string[] = []
    // None of these characters has a token of its own: the grammar leaves their bytes only.
    const output = await chat(ask('Say it.', { schema: { const: text }, maxTokens: 100 }), (delta) => pieces.push(delta.content ?? ''))
    expect(JSON.parse(output.content ?? '')).toBe(text)
    expect(pieces.length).toBeGreaterThan(5)
    expect(pieces.join('')).toBe(output.content)
    for (const piece of pieces) {
      expect(piece).not.toContain('\ufffd')
      expect(piece.isWellFormed()).toBe(true)
    }
  })

  it.each([1, 2, 3, 4, 5])('answers in JSON of the schema (%i of 5)', async (seed) => {
    const output = await chat(ask('Describe it.', { schema: parts, seed, maxTokens: 400, temperature: 1 }))
    expect(z.fromJSONSchema(parts).safeParse(JSON.parse(output.content ?? '')).error).toBeUndefined()
    expect(output.finish).toBe('stop')
  })

  it('tells an answer that was cut off from one that fits', async () => {
    const fault = await faultOf(chat(ask('Describe it.', { schema: parts, maxTokens: 5 })))
    expect(fault).toMatchObject({ code: 'bad-output', detail: expect.stringContaining('cut off after 5 tokens'), next: expect.stringContaining('maxTokens') })
  })

  it('asks twice for what its grammar cannot say, then gives up, and has streamed nothing', async () => {
    const pieces: ChatDelta[] = []
    const schema: JsonSchema = { type: 'object', properties: { code: { type: 'string', maxLength: 8, pattern: '^[0-9]{8}$' } }, required: ['code'] }
    const fault = await faultOf(chat(ask('Give me the code.', { schema, maxTokens: 60 }), (delta) => pieces.push(delta)))
    expect(fault).toMatchObject({ code: 'bad-output', retryable: true, detail: expect.stringMatching(/twice: code: /) })
    expect(pieces).toEqual([])
  })

  it('streams what had to be checked first in one piece', async () => {
    const pieces: string[] = []
    const schema: JsonSchema = { type: 'object', properties: { code: { type: 'string', maxLength: 8, pattern: '^.*$' } }, required: ['code'] }
    const output = await chat(ask('Give me the code.', { schema, maxTokens: 60 }), (delta) => pieces.push(delta.content ?? ''))
    expect(pieces).toEqual([output.content])
  })

  it('refuses a schema that nothing can fit', async () => {
    expect(await faultOf(chat(ask('a', { schema: { enum: [] } })))).toMatchObject({ code: 'bad-input' })
  })

  it('refuses a prompt that does not fit, with both numbers', async () => {
    const input = ask('word '.repeat(3_000))
    const tokens = await provider.countTokens(model, input)
    expect(tokens).toBeGreaterThan(2_048)
    expect(await faultOf(chat(input))).toMatchObject({ code: 'context-overflow', retryable: false, detail: expect.stringMatching(new RegExp(`${tokens} tokens.* 2048`)) })
  })

  it('ends an answer at the end of its context', async () => {
    const room = 15
    let content = 'a'
    for (let missing = 2_048 - room - (await provider.countTokens(model, ask(content))); missing > 0; missing = 2_048 - room - (await provider.countTokens(model, ask(content)))) content += 'a'.repeat(missing)
    const output = await chat(ask(content, { maxTokens: 1_000, temperature: 0 }))
    expect(output.finish).toBe('length')
    expect(output.usage.promptTokens + output.usage.completionTokens).toBeLessThanOrEqual(2_048)
    expect(output.usage.completionTokens).toBeGreaterThan(0)
  })

  it('refuses the result of a call that nobody made', async () => {
    expect(await faultOf(chat({ messages: [{ role: 'tool', toolCallId: 'c1', content: '3' }] }))).toMatchObject({ code: 'bad-input' })
  })
})

describe('functions', () => {
  const tools = [{ name: 'add', description: 'Adds two numbers.', parameters: { type: 'object', properties: { a: { type: 'integer', minimum: 0, maximum: 9 }, b: { type: 'integer', minimum: 0, maximum: 9 } }, required: ['a', 'b'] } }]

  it('are called when they must be, with arguments that fit', async () => {
    const deltas: ChatDelta[] = []
    const output = await chat(ask('What is 2 and 3?', { tools, toolChoice: 'required', maxTokens: 200 }), (delta) => deltas.push(delta))
    const [call] = output.toolCalls
    expect(output).toMatchObject({ finish: 'tool-calls', content: null })
    expect(call).toMatchObject({ name: 'add', id: expect.stringMatching(/^call_/) })
    expect(JSON.parse(call?.arguments ?? '')).toEqual({ a: expect.any(Number), b: expect.any(Number) })
    expect(deltas).toEqual([{ toolCall: { index: 0, ...call } }])
  })

  it('may be called, or an answer given, which is streamed as its text', async () => {
    const finishes = new Set<string>()
    for (let seed = 1; seed <= 40 && finishes.size < 2; seed++) {
      const deltas: ChatDelta[] = []
      const output = await chat(ask('What is 2 and 3?', { tools, seed, temperature: 1, maxTokens: 400 }), (delta) => deltas.push(delta))
      finishes.add(output.finish === 'tool-calls' ? 'tool-calls' : 'stop')
      if (output.finish === 'tool-calls') expect(deltas).toEqual([{ toolCall: { index: 0, ...output.toolCalls[0] } }])
      else expect(deltas.map(({ content }) => content).join('')).toBe(output.content)
    }
    expect([...finishes].sort()).toEqual(['stop', 'tool-calls'])
  })

  it('are not called when they must not be', async () => {
    const output = await chat(ask('What is 2 and 3?', { tools, toolChoice: 'none', maxTokens: 20 }))
    expect(output.toolCalls).toEqual([])
  })

  it('tell the model their results', async () => {
    const call: ChatMessage = { role: 'assistant', content: null, toolCalls: [{ id: 'c1', name: 'add', arguments: '{"a":2,"b":3}' }] }
    const messages: ChatMessage[] = [{ role: 'user', content: 'What is 2 and 3?' }, call, { role: 'tool', toolCallId: 'c1', content: '5' }]
    expect((await chat({ messages, tools, maxTokens: 300 })).usage.promptTokens).toBeGreaterThan((await chat({ messages: messages.slice(0, 1), tools, maxTokens: 300 })).usage.promptTokens)
  })

  it('fit a schema when they are not called', async () => {
    const schema: JsonSchema = { type: 'object', properties: { sum: { type: 'integer', minimum: 0, maximum: 18 } }, required: ['sum'], additionalProperties: false }
    for (let seed = 1; seed <= 10; seed++) {
      const output = await chat(ask('What is 2 and 3?', { tools, schema, seed, temperature: 1, maxTokens: 300 }))
      if (output.finish === 'stop') expect(z.fromJSONSchema(schema).safeParse(JSON.parse(output.content ?? '')).success).toBe(true)
      else expect(output.toolCalls).toHaveLength(1)
    }
  })
})

describe('what a sequence knows from before', () => {
  const system: ChatMessage = { role: 'system', content: 'You are a reviewer. '.repeat(20) }

  it('is not read again', async () => {
    const input: ChatInput = { messages: [system, { role: 'user', content: 'first' }], maxTokens: 10 }
    await chat(input)
    const again = await chat(input)
    expect(again.usage.cachedTokens).toBe(again.usage.promptTokens - 1)
    const other = await chat({ ...input, messages: [system, { role: 'user', content: 'another' }] })
    expect(other.usage.cachedTokens).toBeGreaterThan(again.usage.promptTokens / 2)
    expect(other.usage.cachedTokens).toBeLessThan(other.usage.promptTokens - 1)
  })

  it('makes no difference to the answer', async () => {
    const input: ChatInput = { messages: [system, { role: 'user', content: 'the same, please' }], maxTokens: 20, temperature: 0 }
    const first = await chat(input)
    const second = await chat(input)
    expect(second.usage.cachedTokens).toBeGreaterThan(first.usage.cachedTokens)
    expect(second.content).toBe(first.content)
  })

  it('is told by the digests of its conversations', async () => {
    const messages: ChatMessage[] = [system, { role: 'user', content: 'go on later' }]
    const output = await chat({ messages, maxTokens: 10 })
    const next: ChatMessage[] = [...messages, { role: 'assistant', content: output.content }, { role: 'user', content: 'now' }]
    expect(provider.warmPrefixes(model).filter((digest) => prefixDigests({ messages: next }).includes(digest)).length).toBeGreaterThanOrEqual(3)
    expect(provider.warmPrefixes('another')).toEqual([])
    const continued = await chat({ messages: next, maxTokens: 5 })
    expect(continued.usage.cachedTokens).toBeGreaterThan(output.usage.promptTokens - 2)
  })

  it('is kept for the conversation that knows most of it', async () => {
    const conversations = ['left', 'right'].map((word): ChatMessage[] => [{ role: 'system', content: word.repeat(50) }, { role: 'user', content: 'go' }])
    for (const messages of conversations) await chat({ messages, maxTokens: 4 })
    for (const messages of conversations) {
      const { usage } = await chat({ messages, maxTokens: 4 })
      expect(usage.cachedTokens).toBe(usage.promptTokens - 1)
    }
  })
})

describe('a call that is given up', () => {
  const long = ask('Write for long.', { maxTokens: 1_500, temperature: 1, seed: 3 })

  it('before it began ends with `cancelled`', async () => {
    expect(await faultOf(provider.chat(model, long, { signal: AbortSignal.abort() }))).toMatchObject({ code: 'cancelled' })
  })

  it('while its prompt is read ends with `cancelled`', async () => {
    const giveUp = new AbortController()
    const call = provider.chat(model, ask('word '.repeat(350), { maxTokens: 100 }), { signal: giveUp.signal })
    giveUp.abort()
    expect(await faultOf(call)).toMatchObject({ code: 'cancelled' })
  })

  it('while it is answered ends with `cancelled`, and nothing more is said', async () => {
    const giveUp = new AbortController()
    let pieces = 0
    const call = provider.chat(model, { ...long, stop: ['\u0000'] }, { signal: giveUp.signal, onDelta: () => {
      pieces += 1
      if (pieces === 3) giveUp.abort()
    } })
    expect(await faultOf(call)).toMatchObject({ code: 'cancelled' })
    expect(pieces).toBe(3)
  })

  it('frees its sequence', async () => {
    for (let round = 0; round < 6; round++) {
      const giveUp = new AbortController()
      const call = provider.chat(model, long, { signal: giveUp.signal, onDelta: () => giveUp.abort() })
      await faultOf(call)
    }
    expect((await chat(ask('Still there?', { maxTokens: 3 }))).usage.completionTokens).toBeGreaterThan(0)
  })
})

describe('calls at the same time', () => {
  it('are served by a sequence each, and answered as if alone', async () => {
    const inputs = ['one', 'two'].map((word) => ask(`Count ${word}.`, { temperature: 0, maxTokens: 30 }))
    const alone: (string | null)[] = []
    for (const input of inputs) alone.push((await chat(input)).content)
    const together = await Promise.all(inputs.map((input) => chat(input)))
    expect(together.map(({ content }) => content)).toEqual(alone)
  })

  it('are refused beyond the number of sequences, until one is free', async () => {
    const giveUp = new AbortController()
    const busy = [1, 2].map((seed) => provider.chat(model, ask('Write for long.', { maxTokens: 1_500, seed }), { signal: giveUp.signal }))
    const [first, second] = busy.map((call) => faultOf(call))
    expect(await faultOf(chat(ask('And me?')))).toMatchObject({ code: 'overloaded', retryable: true, detail: expect.stringContaining('2 sequences') })
    giveUp.abort()
    expect(await Promise.all([first, second])).toMatchObject([{ code: 'cancelled' }, { code: 'cancelled' }])
    expect((await chat(ask('And me?', { maxTokens: 3 }))).finish).toBe('length')
  })
})

describe('calls after calls that were given up', () => {
  it('are served, also when others gave up while they waited', async () => {
    for (let round = 0; round < 10; round++) {
      const [busy, waiting] = [new AbortController(), new AbortController()]
      // Reading this takes a while, and it is not left off in the middle.
      const reading = [1, 2].map((seed) => faultOf(provider.chat(model, ask(`${round} ${seed} ${'word '.repeat(370)}`), { signal: busy.signal })))
      await until(async () => (await provider.chat(model, ask('And me?', { maxTokens: 1 }), { signal: never() }).then(() => undefined, (thrown: MeshError) => thrown.fault.code)) === 'overloaded', { what: 'both sequences to be in use', everyMs: 0 })
      busy.abort()
      const gaveUp = [1, 2].map(() => faultOf(provider.chat(model, ask('And me?'), { signal: waiting.signal })))
      for (let turn = 0; turn < 10; turn++) await nextTurn()
      waiting.abort()
      const served = await Promise.all([1, 2].map((seed) => chat(ask('And me?', { maxTokens: 1, seed }))))
      expect(served.map(({ usage }) => usage.completionTokens)).toEqual([1, 1])
      expect((await Promise.all([...reading, ...gaveUp])).map(({ code }) => code)).toEqual(['cancelled', 'cancelled', 'cancelled', 'cancelled'])
    }
  })
})

describe('how fast it is', () => {
  it('is measured from what it has served, reading and writing apart', async () => {
    await chat(ask('word '.repeat(100), { maxTokens: 50 }))
    const about = await provider.about(model)
    expect(about.promptTokensPerSecond).toBeGreaterThan(0)
    expect(about.answerTokensPerSecond).toBeGreaterThan(0)
  })
})
