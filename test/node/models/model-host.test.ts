import { describe, expect, it } from 'vitest'
import { fault } from '../../../protocols/kernel/errors.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import type { Json } from '../../../protocols/kernel/payload.ts'
import { ChatOutput, EmbedOutput, noUsage } from '../../../protocols/models/schema.ts'
import { Capability } from '../../../protocols/capability/schema.ts'
import type { Digest, Principal } from '../../../protocols/kernel/ids.ts'
import { vectorOf } from '../../../node/models/answer-cache.ts'
import { expectDone, expectFailed, follow, skillRun } from '../../contracts/skill-runner.ts'
import { callTool, fail, inTurn, on, refuse, rules, say, sayJson, type Script, tooMany } from '../../support/openai-server/server.ts'
import { until } from '../../support/until.ts'
import { startHost } from './host-fixture.ts'

const hello = (text = 'Hello?'): { messages: Json[] } => ({ messages: [{ role: 'user', content: text }] })

function chatOf(event: Parameters<typeof expectDone>[0]): ChatOutput {
  const { output } = expectDone(event)
  if (!('inline' in output)) throw new Error('expected an inline output')
  return ChatOutput.parse(output.inline)
}

describe('what it offers', () => {
  it('is one capability for each model, with what a call may ask for', async () => {
    const { host } = await startHost({ slots: 3, prices: { 'test-model': { input: 2, output: 10 } }, contextTokens: 4_096 })
    const offered = host.capabilities().map((capability) => Capability.parse(capability))
    expect(offered.map(({ name, version, kind, effects, slots }) => ({ name, version, kind, effects, slots }))).toEqual([
      { name: 'llm.chat', version: '1.0', kind: 'leaf', effects: 'none', slots: 3 },
      { name: 'llm.embed', version: '1.0', kind: 'leaf', effects: 'none', slots: 3 },
    ])
    expect(offered[0]?.attributes).toEqual({ model: 'test-model', provider: 'scripted', contextTokens: 4_096, slots: 3, inputUsdPerMillion: 2, outputUsdPerMillion: 10 })
    expect(offered[1]?.attributes).toMatchObject({ model: 'test-embedding', inputUsdPerMillion: 0 })
  })

  it('checks inputs by the schemas, and says them', async () => {
    const { host } = await startHost()
    expect(host.checkInput('llm.chat', '1.0', hello())).toBeUndefined()
    expect(host.checkInput('llm.chat', undefined, { messages: [] })).toMatchObject({ code: 'bad-input', retryable: false })
    expect(host.checkInput('llm.embed', '1.0', hello())?.detail).toMatch(/^the input does not fit llm\.embed 1\.0: /)
    expect(host.checkInput('llm.chat', '2.0', 7)).toBeUndefined()
    expect(host.checkInput('other.thing', '1.0', 7)).toBeUndefined()
    expect(host.inputSchema('llm.chat', '1.0')).toMatchObject({ type: 'object', required: ['messages'] })
  })
})

describe('a chat', () => {
  it('is answered, with what it took and what it cost', async () => {
    const { host, facts } = await startHost({ prices: { 'test-model': { input: 2, output: 10 } }, server: { script: inTurn(say('one two three', { usage: { prompt_tokens: 100, completion_tokens: 50 } })) } })
    const { events, ended } = follow(host, skillRun('llm.chat', { model: 'test-model', ...hello() }))
    const done = await ended
    expect(chatOf(done)).toMatchObject({ model: 'test-model', content: 'one two three', finish: 'stop', toolCalls: [] })
    expect(events.filter(({ type }) => type === 'started')).toHaveLength(1)
    expect(events.some(({ type }) => type === 'chunk')).toBe(false)
    expect(done.stats).toMatchObject({ tokens: { input: 100, output: 50 }, costUsd: (100 * 2 + 50 * 10) / 1_000_000 })
    expect(done.stats.runMs).toBeGreaterThan(0)
    expect(facts.find(({ name }) => name === 'model.answered')?.fields).toMatchObject({ model: 'test-model', provider: 'scripted', outputTokens: 50 })
  })

  it('takes its input from a blob', async () => {
    const { host, blobs, server } = await startHost({ contextTokens: 100_000 })
    const text = 'long '.repeat(10_000)
    const blob = await blobs.put(new TextEncoder().encode(JSON.stringify(hello(text))))
    const done = await follow(host, skillRun('llm.chat', null, { input: { blob } })).ended
    expect(chatOf(done).content).toBeTruthy()
    expect(server.chats[0]?.chat.user).toBe(text)
    const lost = { $blob: '0'.repeat(64) as Digest, sizeBytes: 5 }
    expect(expectFailed(await follow(host, skillRun('llm.chat', null, { input: { blob: lost } })).ended).fault.code).toBe('unknown-blob')
    const huge = { $blob: '0'.repeat(64) as Digest, sizeBytes: limits.modelInputBytesMax + 1 }
    expect(expectFailed(await follow(host, skillRun('llm.chat', null, { input: { blob: huge } })).ended).fault.code).toBe('too-large')
  })

  it('streams every piece once and in order, when somebody waits for them', async () => {
    const { host } = await startHost({ server: { script: inTurn(say('one two three four')) } })
    const { events, ended } = follow(host, skillRun('llm.chat', hello(), { streams: true }))
    expect(chatOf(await ended).content).toBe('one two three four')
    const pieces = events.flatMap((event) => (event.type === 'chunk' ? [(event.value as { content?: string }).content ?? ''] : []))
    expect(pieces.length).toBeGreaterThan(1)
    expect(pieces.join('')).toBe('one two three four')
    expect(events.findIndex(({ type }) => type === 'started')).toBeLessThan(events.findIndex(({ type }) => type === 'chunk'))
  })

  it('that is computed here says how far it is', async () => {
    const { host } = await startHost({ isLocal: true, server: { script: inTurn(say('one two three four', { trouble: { afterPieces: 3, what: 'stall' } })) } })
    const run = skillRun('llm.chat', hello())
    const { events, ended } = follow(host, run)
    await until(() => events.some((event) => event.type === 'pulse' && event.text === '3 tokens'), { what: 'a pulse with its progress' })
    expect(events.some(({ type }) => type === 'chunk')).toBe(false)
    host.stop(run.runId, fault('cancelled', 'enough'))
    // What had come by then counts as used.
    expect((await ended).stats.tokens?.output).toBe(3)
  })

  it('may ask for functions to be called, and for JSON', async () => {
    const { host } = await startHost({ server: { script: rules(on({ tools: true }, callTool('add', { a: 1 })), on({ schema: 'name' }, sayJson({ name: 'goose' }))) } })
    const called = chatOf(await follow(host, skillRun('llm.chat', { ...hello(), tools: [{ name: 'add' }] })).ended)
    expect(called).toMatchObject({ finish: 'tool-calls', toolCalls: [{ name: 'add', arguments: '{"a":1}' }] })
    const told = chatOf(await follow(host, skillRun('llm.chat', { ...hello(), schema: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] } })).ended)
    expect(JSON.parse(told.content ?? '')).toEqual({ name: 'goose' })
  })

  it('fails with the fault of its endpoint, secrets taken out', async () => {
    const { host } = await startHost({ server: { script: inTurn(fail('the key swordfish-1234 is broken')) }, redact: (text) => text.replaceAll('swordfish-1234', '[redacted]') })
    const { fault: why } = expectFailed(await follow(host, skillRun('llm.chat', hello())).ended)
    expect(why).toMatchObject({ code: 'provider-failed', retryable: true })
    expect(why.detail).toContain('the key [redacted] is broken')
  })

  it('is refused before anything is sent when it does not fit, with both numbers', async () => {
    const { host, server } = await startHost({ contextTokens: 64 })
    const { fault: why } = expectFailed(await follow(host, skillRun('llm.chat', { ...hello('geese fly in a skein '.repeat(8)), maxTokens: 40 })).ended)
    expect(why).toMatchObject({ code: 'context-overflow', retryable: false })
    expect(why.detail).toMatch(/the prompt has \d+ tokens and its answer may have 40, the context of test-model has 64/)
    expect(server.chats).toHaveLength(0)
    expect(chatOf(await follow(host, skillRun('llm.chat', { ...hello('hi'), maxTokens: 8 })).ended).content).toBeTruthy()
  })

  it('costs no more than it may: its answer is as long as can be paid', async () => {
    const { host, server } = await startHost({ prices: { 'test-model': { input: 0, output: 1_000_000 } }, server: { script: inTurn(say('a b c d e f g h')) } })
    const cut = await follow(host, skillRun('llm.chat', hello(), { budgetUsd: 3 })).ended
    expect(server.chats[0]?.chat.body).toMatchObject({ max_tokens: 3 })
    expect(chatOf(cut).finish).toBe('length')
    expect(cut.stats.costUsd).toBeLessThanOrEqual(3)
    expect(expectFailed(await follow(host, skillRun('llm.chat', hello(), { budgetUsd: 0.5 })).ended).fault).toMatchObject({ code: 'over-limit' })
    expect(server.chats).toHaveLength(1)
  })

  it('asks for no longer answer than its endpoint lets anybody ask for, once that has said so', async () => {
    const script: Script = ({ body }) => ((body.max_tokens ?? 0) > 500 ? refuse(400, `max_tokens is too large: ${body.max_tokens}. This model supports at most 500 completion tokens, whereas you provided ${body.max_tokens}.`, { param: 'max_tokens', code: 'invalid_value' }) : say('yes'))
    const { host, server } = await startHost({ prices: { 'test-model': { input: 0, output: 1_000 } }, contextTokens: 100_000, server: { script } })
    for (let i = 0; i < 2; i++) expect(chatOf(await follow(host, skillRun('llm.chat', hello(), { budgetUsd: 2 })).ended).content).toBe('yes')
    expect(server.chats.map(({ chat }) => chat.body.max_tokens)).toEqual([2_000, 500, 500])
    // What its caller has asked for is its caller's to mend.
    expect(expectFailed(await follow(host, skillRun('llm.chat', { ...hello(), maxTokens: 900 }, { budgetUsd: 2 })).ended).fault.code).toBe('bad-input')
  })

  it('names a model, by its input or by what the call asks for', async () => {
    const { host, server } = await startHost({ server: { models: ['first', 'second'] } })
    expect(chatOf(await follow(host, skillRun('llm.chat', hello(), { attributes: { model: 'second' } })).ended).model).toBe('second')
    expect(chatOf(await follow(host, skillRun('llm.chat', { ...hello(), model: 'first' })).ended).model).toBe('first')
    expect(server.chats.map(({ chat }) => chat.model)).toEqual(['second', 'first'])
    const none = expectFailed(await follow(host, skillRun('llm.chat', { ...hello(), model: 'third' })).ended).fault
    expect(none).toMatchObject({ code: 'no-provider', detail: 'this node has no model third for llm.chat; it has first, second' })
    expect(expectFailed(await follow(host, skillRun('llm.chat', { ...hello(), model: 'first' }, { attributes: { model: 'second' } })).ended).fault.code).toBe('bad-input')
  })

  it('with an input that is none is refused', async () => {
    const { host } = await startHost()
    expect(expectFailed(await follow(host, skillRun('llm.chat', { messages: 'hi' })).ended).fault).toMatchObject({ code: 'bad-input' })
    expect(expectFailed(await follow(host, skillRun('llm.chat', hello(), { version: '2.0' })).ended).fault).toMatchObject({ code: 'unknown-capability' })
  })
})

describe('embeddings', () => {
  it('are one vector for each text', async () => {
    const { host } = await startHost({ prices: { 'test-embedding': { input: 1_000_000 } } })
    const done = expectDone(await follow(host, skillRun('llm.embed', { texts: ['geese fly', 'geese fly', 'bread'] })).ended)
    if (!('inline' in done.output)) throw new Error('expected an inline output')
    const { vectors, dimensions, usage } = EmbedOutput.parse(done.output.inline)
    expect(dimensions).toBe(64)
    expect(vectors).toHaveLength(3)
    expect(vectors[0]).toBe(vectors[1])
    expect(vectorOf(vectors[2] ?? '')).toHaveLength(64)
    expect(done.stats).toMatchObject({ costUsd: usage.promptTokens, tokens: { input: usage.promptTokens, output: 0 } })
  })
})

describe('places', () => {
  it('are as many as its slots; who has none waits, alive, in the order of coming', async () => {
    const answers: (() => void)[] = []
    const { host, server } = await startHost({
      slots: 2,
      server: { script: ({ user }) => new Promise((resolve) => answers.push(() => resolve(say(user)))) },
    })
    const runs = ['1', '2', '3', '4'].map((text) => follow(host, skillRun('llm.chat', hello(text))))
    await until(() => answers.length === 2, { what: 'two chats to be asked' })
    await until(() => runs[3]?.events.some(({ type }) => type === 'pulse'), { what: 'the last one to pulse while it waits' })
    expect(runs[2]?.events.some(({ type }) => type === 'started')).toBe(false)
    expect(server.chats).toHaveLength(2)
    answers.shift()?.()
    await until(() => answers.length === 2, { what: 'the third to be asked' })
    expect(server.chats.map(({ chat }) => chat.user)).toEqual(['1', '2', '3'])
    expect(server.openMost).toBe(2)
    await until(() => {
      for (const answer of answers.splice(0)) answer()
      return server.chats.length === 4 && server.open === 0
    }, { what: 'all to be answered' })
    expect(await Promise.all(runs.map(async ({ ended }) => chatOf(await ended).content))).toEqual(['1', '2', '3', '4'])
  })

  it('are free again when a run is stopped, wherever it was', async () => {
    const { host, server } = await startHost({ slots: 1, server: { script: rules(on({ user: 'silent' }, { kind: 'silence' }), on({}, say('yes'))) } })
    const silent = skillRun('llm.chat', hello('silent'))
    const waiting = skillRun('llm.chat', hello('waits'))
    const [first, second] = [follow(host, silent), follow(host, waiting)]
    await server.chat(1)
    host.stop(waiting.runId, fault('cancelled', 'not wanted'))
    expect(expectFailed(await second.ended).fault).toEqual(fault('cancelled', 'not wanted'))
    host.stop(silent.runId, fault('lost-worker', 'gone'))
    expect(expectFailed(await first.ended).fault).toEqual(fault('lost-worker', 'gone'))
    await until(() => server.chats[0]?.abortedAtMs !== undefined, { what: 'the endpoint to see that its client is gone' })
    expect(chatOf(await follow(host, skillRun('llm.chat', hello('after'))).ended).content).toBe('yes')
    expect(first.events.filter(({ type }) => type === 'failed' || type === 'done')).toHaveLength(1)
    expect(() => host.stop('no-such-run', fault('cancelled', 'nothing'))).not.toThrow()
  })

  it('end with their time limit, and with the node', async () => {
    const { host } = await startHost({ server: { script: inTurn({ kind: 'silence' }) } })
    expect(expectFailed(await follow(host, skillRun('llm.chat', hello(), { timeLimitMs: 200 })).ended).fault.code).toBe('skill-timeout')
    const last = follow(host, skillRun('llm.chat', hello()))
    await host.close()
    expect(expectFailed(await last.ended).fault.code).toBe('cancelled')
    expect(expectFailed(await follow(host, skillRun('llm.chat', hello())).ended).fault.code).toBe('cancelled')
  })
})

describe('what is measured', () => {
  it('is told after an answer, and changes what is offered', async () => {
    const { host, measures, changes } = await startHost({ server: { script: inTurn(say('a b c d e f g h i j', { tokenMs: 5 })) } })
    expect(measures()).toEqual([
      { capability: 'llm.chat', version: '1.0', model: 'test-model', warmUpMs: 0, warm: [] },
      { capability: 'llm.embed', version: '1.0', model: 'test-embedding', warmUpMs: 0, warm: [] },
    ])
    await follow(host, skillRun('llm.chat', hello(), { streams: true })).ended
    await until(() => measures()[0]?.msPerOutputUnit !== undefined, { what: 'the measure to be told' })
    expect(measures()[0]?.msPerOutputUnit).toBeGreaterThan(1)
    expect(measures()[0]?.msPerInputUnit).toBeGreaterThan(0)
    await until(() => changes() > 0, { what: 'the mesh to be told' })
    expect(host.capabilities()[0]?.attributes['tokensPerSecond']).toBeGreaterThan(0)
  })

  it('of an endpoint that wants no more is for how long', async () => {
    const { host, measures } = await startHost({ server: { script: inTurn(tooMany(20), say('yes')) } })
    expect(expectFailed(await follow(host, skillRun('llm.chat', hello())).ended).fault).toMatchObject({ code: 'overloaded', retryAfterMs: 20_000 })
    await until(() => measures()[0]?.closedForMs !== undefined, { what: 'the closing to be told' })
    expect(measures()[0]?.closedForMs).toBeGreaterThan(10_000)
  })
})

describe('the cache', () => {
  const question = (text: string, more: Record<string, Json> = { temperature: 0 }): Json => ({ ...hello(text), ...more })

  it('is off unless it was asked for', async () => {
    const { host, server } = await startHost()
    for (let i = 0; i < 2; i++) expect(chatOf(await follow(host, skillRun('llm.chat', question('same'))).ended).cached).toBeUndefined()
    expect(server.chats).toHaveLength(2)
  })

  it('gives the same answer to the same question that leaves nothing to chance, says so, and takes nothing for it', async () => {
    const { host, server, facts } = await startHost({ cache: { chat: { exact: true, similar: 0 } }, prices: { 'test-model': { input: 1, output: 1 } }, server: { script: (_request, count) => say(`answer ${count}`) } })
    const first = await follow(host, skillRun('llm.chat', question('same'))).ended
    const again = follow(host, skillRun('llm.chat', question('same'), { streams: true }))
    const second = await again.ended
    expect(chatOf(second)).toEqual({ ...chatOf(first), usage: noUsage, cached: 'exact' })
    expect(second.stats).toMatchObject({ costUsd: 0, tokens: { input: 0, output: 0 } })
    expect(again.events.flatMap((event) => (event.type === 'chunk' ? [event.value] : []))).toEqual([{ content: 'answer 1' }])
    expect(facts.find(({ name }) => name === 'model.answered-from-cache')?.fields).toMatchObject({ cached: 'exact', model: 'test-model' })
    expect(server.chats).toHaveLength(1)
    for (const other of [question('same', {}), question('same', { temperature: 0.5 }), question('other'), question('same', { temperature: 0, seed: 1 })]) expect(chatOf(await follow(host, skillRun('llm.chat', other)).ended).cached).toBeUndefined()
    expect(chatOf(await follow(host, skillRun('llm.chat', question('same', { seed: 7 }))).ended).cached).toBeUndefined()
    expect(chatOf(await follow(host, skillRun('llm.chat', question('same', { seed: 7 }))).ended).cached).toBe('exact')
    expect(chatOf(await follow(host, skillRun('llm.chat', question('same'), { principal: 'somebody else' as Principal })).ended).cached).toBeUndefined()
  })

  it('gives the answer to a question that means the same, when everything else is the same', async () => {
    const { host, server } = await startHost({ cache: { chat: { exact: true, similar: 0.8 } }, server: { script: (_request, count) => say(`answer ${count}`) } })
    const ask = async (text: string, system = 'be brief'): Promise<ChatOutput> => chatOf(await follow(host, skillRun('llm.chat', { temperature: 0, messages: [{ role: 'system', content: system }, { role: 'user', content: text }] })).ended)
    const first = await ask('how high do the geese fly over the mountains in autumn')
    expect(await ask('how high do the geese fly over the mountains in the autumn')).toEqual({ ...first, usage: noUsage, cached: 'similar' })
    expect((await ask('what is the price of bread')).cached).toBeUndefined()
    expect((await ask('how high do the geese fly over the mountains in the autumn', 'be long')).cached).toBeUndefined()
    expect(server.chats).toHaveLength(3)
    expect(server.embeddings.length).toBeGreaterThan(0)
  })

  it('does without likeness where nothing embeds', async () => {
    const { host, server } = await startHost({ cache: { chat: { exact: false, similar: 0.5 } }, server: { models: ['test-model'] } })
    for (let i = 0; i < 2; i++) expect(chatOf(await follow(host, skillRun('llm.chat', question('same'))).ended).cached).toBeUndefined()
    expect(server.chats).toHaveLength(2)
  })

  it('keeps vectors, too', async () => {
    const { host, server } = await startHost({ cache: { embed: { exact: true } } })
    const ask = async (): Promise<EmbedOutput> => {
      const { output } = expectDone(await follow(host, skillRun('llm.embed', { texts: ['geese'] })).ended)
      return EmbedOutput.parse('inline' in output ? output.inline : undefined)
    }
    const first = await ask()
    expect(await ask()).toEqual({ ...first, cached: 'exact', usage: noUsage })
    expect(server.embeddings).toHaveLength(1)
  })
})

it('offers no more models than fit into an advert, and says so', async () => {
  const { host, facts } = await startHost({ server: { models: Array.from({ length: limits.modelsOfferedMax + 5 }, (_, at) => `model-${at}`) } })
  expect(host.capabilities()).toHaveLength(limits.modelsOfferedMax)
  expect(facts.find(({ name }) => name === 'model.left-out')?.fields).toMatchObject({ count: 5 })
})
