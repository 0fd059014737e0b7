import { describe, expect, it } from 'vitest'
import { faultOf } from '../../../contracts/llm-provider.ts'
import type { ChatDelta, JsonSchema } from '../../../../protocols/models/schema.ts'
import { callTool, inTurn, refuse, say, sayJson, sayJsonInProse } from '../../../support/openai-server/server.ts'
import { asks, never, open } from './open-provider.ts'

const chat = { signal: never }
const schema: JsonSchema = { type: 'object', properties: { name: { type: 'string' }, count: { type: 'integer', minimum: 1 } }, required: ['name', 'count'], additionalProperties: false }
const good = { name: 'goose', count: 3 }

describe('answers that must fit a schema', () => {
  it('asks for it, strictly where every property is required', async () => {
    const { provider, server } = await open({ script: inTurn(sayJson(good)) })
    const output = await provider.chat('test-model', asks('count geese', { schema }), chat)
    expect(JSON.parse(output.content ?? '')).toEqual(good)
    expect(server.chats[0]?.chat.body.response_format).toEqual({ type: 'json_schema', json_schema: { name: 'answer', schema, strict: true } })
    await provider.chat('test-model', asks('count geese', { schema: { ...schema, required: ['name'] } }), chat)
    expect(server.chats[1]?.chat.body.response_format?.json_schema?.strict).toBe(false)
  })

  it('finds it between prose and fences, and delivers nothing else', async () => {
    const { provider, server } = await open({ script: inTurn(sayJsonInProse(good), say(`<think>It could be {"name":"duck"}.</think>\n\n${JSON.stringify(good)}`), say(`The answer is ${JSON.stringify(good)}, I think. Not [1, 2].`)) })
    for (let i = 0; i < 3; i++) {
      const deltas: ChatDelta[] = []
      const output = await provider.chat('test-model', asks('count geese', { schema }), { signal: never, onDelta: (delta) => deltas.push(delta) })
      expect(JSON.parse(output.content ?? '')).toEqual(good)
      expect(deltas).toEqual([{ content: output.content }])
    }
    expect(server.chats).toHaveLength(3)
  })

  it('sends a wrong answer back once, with what is wrong; both are paid for', async () => {
    const { provider, server } = await open({ script: inTurn(sayJson({ name: 'goose', count: 0, wings: 2 }), sayJson(good)) }, { prices: { of: () => ({ inputUsdPerMillion: 1, outputUsdPerMillion: 10, cachedInputUsdPerMillion: 1 }) } })
    const deltas: ChatDelta[] = []
    const output = await provider.chat('test-model', asks('count geese', { schema }), { signal: never, onDelta: (delta) => deltas.push(delta) })
    expect(JSON.parse(output.content ?? '')).toEqual(good)
    expect(deltas).toEqual([{ content: output.content }])
    expect(server.chats).toHaveLength(2)
    const second = server.chats[1]?.chat
    expect(second?.messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'user'])
    expect(second?.messages[1]?.content).toContain('"wings":2')
    expect(second?.user).toContain('count')
    expect(second?.user).toContain('wings')
    expect(second?.user).toContain(JSON.stringify(schema))
    const perRequest = server.chats.map(({ chat: { prompt } }) => Math.ceil(prompt.length / 4))
    expect(output.usage.promptTokens).toBe((perRequest[0] ?? 0) + (perRequest[1] ?? 0))
    expect(output.usage.costUsd).toBeCloseTo((output.usage.promptTokens + 10 * output.usage.completionTokens) / 1_000_000, 12)
  })

  it('prose instead of JSON twice: bad-output, saying why', async () => {
    const { provider, server } = await open({ script: inTurn(say('I would rather talk about the weather.')) })
    const deltas: ChatDelta[] = []
    const fault = await faultOf(provider.chat('test-model', asks('count geese', { schema }), { signal: never, onDelta: (delta) => deltas.push(delta) }))
    expect(fault).toMatchObject({ code: 'bad-output', retryable: true })
    expect(fault.detail).toContain('not JSON')
    expect(server.chats).toHaveLength(2)
    expect(deltas).toEqual([])
  })

  it('an answer that ended in the middle is not asked for again: it would end there again', async () => {
    const { provider, server } = await open({ script: inTurn(say('{"name": "a goose of a very long name", "count": 3}')) })
    const fault = await faultOf(provider.chat('test-model', asks('count geese', { schema, maxTokens: 4 }), chat))
    expect(fault.code).toBe('bad-output')
    expect(fault.next).toContain('maxTokens')
    expect(server.chats).toHaveLength(1)
  })

  it('a refusal is told as one', async () => {
    const { provider } = await open({ script: inTurn(say('I cannot help with geese.', { finish: 'content_filter' })) })
    const fault = await faultOf(provider.chat('test-model', asks('count geese', { schema }), chat))
    expect(fault).toMatchObject({ code: 'bad-output', retryable: false })
    expect(fault.detail).toContain('I cannot help with geese.')
  })

  it('a call of a function instead of the answer is one', async () => {
    const { provider } = await open({ script: inTurn(callTool('look', { at: 'geese' })) })
    const deltas: ChatDelta[] = []
    const output = await provider.chat('test-model', asks('count geese', { schema, tools: [{ name: 'look' }] }), { signal: never, onDelta: (delta) => deltas.push(delta) })
    expect(output).toMatchObject({ content: null, finish: 'tool-calls', toolCalls: [{ name: 'look', arguments: '{"at":"geese"}' }] })
    expect(deltas).toEqual([{ toolCall: { index: 0, ...output.toolCalls[0] } }])
  })

  it('asks with words where the endpoint knows no schemas, and remembers that', async () => {
    const { provider, server } = await open({ script: ({ schema: asked, user }) => (asked === undefined ? sayJson(user.includes(JSON.stringify(schema)) ? good : {}) : refuse(400, 'This response_format type is unavailable now')) })
    for (let i = 0; i < 2; i++) expect(JSON.parse((await provider.chat('test-model', asks('count geese', { schema }), chat)).content ?? '')).toEqual(good)
    expect(server.chats.map(({ chat: { schema: asked } }) => asked !== undefined)).toEqual([true, false, false])
  })

  it('one schema that an endpoint does not like says nothing about the next', async () => {
    const { provider, server } = await open({ script: ({ schema: asked, user }) => (asked?.['title'] === 'odd' ? refuse(400, "Invalid schema for response_format 'answer': title is odd", { param: 'response_format' }) : user === '' ? undefined : sayJson(good)) })
    for (const title of ['odd', 'plain']) await provider.chat('test-model', asks('count geese', { schema: { ...schema, title } }), chat)
    expect(server.chats.map(({ chat: { schema: asked } }) => asked?.['title'])).toEqual(['odd', undefined, 'plain'])
  })

  it('a schema that cannot be checked is refused before anything is paid', async () => {
    const { provider, server } = await open()
    expect(await faultOf(provider.chat('test-model', asks('count', { schema: { type: 'object', if: {}, then: {} } }), chat))).toMatchObject({ code: 'bad-input' })
    expect(server.chats).toHaveLength(0)
  })

  it('is asked for again only as far as the budget goes', async () => {
    const prices = { of: () => ({ inputUsdPerMillion: 1, outputUsdPerMillion: 10, cachedInputUsdPerMillion: 1 }) }
    const wrong = say('no JSON', { usage: { prompt_tokens: 100, completion_tokens: 50 } })
    const poor = await open({ script: inTurn(wrong) }, { prices })
    const fault = await faultOf(poor.provider.chat('test-model', asks('count geese', { schema }), { signal: never, budgetUsd: 0.0006 }))
    expect(fault.code).toBe('bad-output')
    expect(fault.detail).toContain('budget')
    expect(poor.server.chats).toHaveLength(1)

    const richer = await open({ script: inTurn(wrong, sayJson(good)) }, { prices })
    const output = await richer.provider.chat('test-model', asks('count geese', { schema, maxTokens: 5_000 }), { signal: never, budgetUsd: 0.002 })
    expect(JSON.parse(output.content ?? '')).toEqual(good)
    const again = richer.server.chats[1]?.chat.body
    expect(again?.max_tokens).toBeGreaterThan(50)
    // What is left: 0.002 - 0.0006 dollars.
    expect(again?.max_tokens).toBeLessThan(140)
  })
})
