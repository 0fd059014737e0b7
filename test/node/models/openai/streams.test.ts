import { describe, expect, it } from 'vitest'
import { faultOf, joined } from '../../../contracts/llm-provider.ts'
import type { ChatDelta } from '../../../../protocols/models/schema.ts'
import { callTools, cut, inTurn, on, rules, say, stall } from '../../../support/openai-server/server.ts'
import { until } from '../../../support/until.ts'
import { asks, never, open } from './open-provider.ts'

const text = 'one two three four five six seven eight'

describe('streams of an endpoint', () => {
  it('a stream that is cut after pieces were delivered fails, and is not begun again', async () => {
    const { provider, server } = await open({ script: inTurn(stall(text, 3), say(text)) }, { retriesMax: 2 })
    const deltas: ChatDelta[] = []
    const answer = faultOf(provider.chat('test-model', asks('count'), { signal: never, onDelta: (delta) => deltas.push(delta) }))
    await until(() => deltas.length === 3, { what: 'three pieces to be delivered', everyMs: 5 })
    server.hangUp()
    const fault = await answer
    expect(fault).toMatchObject({ code: 'provider-failed', retryable: true })
    expect(joined(deltas).content).toBe('one two three')
    expect(server.chats).toHaveLength(1)
  })

  it('one that is cut before its first piece is begun again', async () => {
    const { provider, server } = await open({ script: inTurn({ kind: 'hangup' }, cut(text, 0), say(text)) }, { retriesMax: 2 })
    expect((await provider.chat('test-model', asks('count'), { signal: never })).content).toBe(text)
    expect(server.chats).toHaveLength(3)
  })

  it('one that ends without saying that it has is no answer', async () => {
    const { provider } = await open({ script: inTurn(say(text, { trouble: { afterPieces: 5, what: 'end' } })) })
    const fault = await faultOf(provider.chat('test-model', asks('count'), { signal: never }))
    expect(fault.code).toBe('provider-failed')
    expect(fault.detail).toContain('in the middle')
  })

  it('one that falls silent fails, and its connection is closed', async () => {
    const { provider, server } = await open({ script: inTurn(stall(text, 2)) }, { idleMs: 200 })
    const deltas: ChatDelta[] = []
    const fault = await faultOf(provider.chat('test-model', asks('count'), { signal: never, onDelta: (delta) => deltas.push(delta) }))
    expect(fault).toMatchObject({ code: 'provider-failed' })
    expect(fault.detail).toContain('200 ms')
    expect('one two').toContain(joined(deltas).content)
    await until(() => server.chats[0]?.abortedAtMs !== undefined, { what: 'the server to see that nobody listens' })
  })

  it('an endpoint that does not begin to answer fails, too', async () => {
    const { provider, server } = await open({ script: inTurn({ kind: 'silence' }) }, { firstByteMs: 100 })
    const fault = await faultOf(provider.chat('test-model', asks('count'), { signal: never }))
    expect(fault.code).toBe('provider-failed')
    expect(fault.detail).toContain('did not begin to answer')
    await until(() => server.chats[0]?.abortedAtMs !== undefined, { what: 'the server to see that nobody listens' })
  })

  it('giving up closes the connection of the server, whenever it happens', async () => {
    const { provider, server } = await open({ script: rules(on({ user: 'silence' }, { kind: 'silence' }), on({ user: 'stall' }, stall(text, 3)), on({}, say('word '.repeat(2_000), { tokenMs: 5 }))) })
    for (const [i, what] of ['silence', 'stall', 'slow'].entries()) {
      const stop = new AbortController()
      const answer = faultOf(provider.chat('test-model', asks(what), { signal: stop.signal }))
      const chat = await server.chat(i + 1)
      if (what !== 'silence') await until(() => chat.piecesSent >= 2, { what: 'two pieces to be sent', everyMs: 5 })
      stop.abort()
      expect((await answer).code).toBe('cancelled')
      await until(() => chat.abortedAtMs !== undefined, { what: `the server to see that "${what}" was given up`, everyMs: 5 })
      expect(chat.piecesSent).toBeLessThan(2_000)
    }
    await until(async () => server.open === 0 && (await server.connections()) === 0, { what: 'the connections to be closed' })
  })

  it('closing the provider ends what is under way', async () => {
    const { provider, server } = await open({ script: inTurn(stall(text, 3)) })
    const answer = faultOf(provider.chat('test-model', asks('count'), { signal: never }))
    const chat = await server.chat(1)
    await provider.close()
    expect((await answer).code).toBe('cancelled')
    await until(() => chat.abortedAtMs !== undefined, { what: 'the server to see that nobody listens' })
  })

  it('parallel streams do not mix', async () => {
    const { provider, server } = await open({ script: ({ user }) => say(Array.from({ length: 30 }, (_, i) => `${user}${i}`).join(' '), { tokenMs: 2 }) }, { slots: 16 })
    const names = Array.from({ length: 16 }, (_, i) => `caller${i}x`)
    await Promise.all(names.map(async (name) => {
      const deltas: ChatDelta[] = []
      const { content } = await provider.chat('test-model', asks(name), { signal: never, onDelta: (delta) => deltas.push(delta) })
      expect(content).toBe(Array.from({ length: 30 }, (_, i) => `${name}${i}`).join(' '))
      expect(joined(deltas).content).toBe(content)
    }))
    expect(server.openMost).toBeGreaterThan(8)
  })

  it('calls of functions come in pieces and are put together', async () => {
    const { provider, server } = await open({ script: inTurn(callTools(['add', { left: 1, right: [2, 3] }], ['say', 'this is not JSON'], ['stop', {}])) })
    const deltas: ChatDelta[] = []
    const tools = [{ name: 'add', description: 'Adds.', parameters: { type: 'object', properties: { left: { type: 'number' } } } }, { name: 'say' }, { name: 'stop' }]
    const output = await provider.chat('test-model', asks('go', { tools, toolChoice: { name: 'add' } }), { signal: never, onDelta: (delta) => deltas.push(delta) })
    expect(output).toMatchObject({ content: null, finish: 'tool-calls' })
    expect(output.toolCalls.map(({ name, arguments: args }) => [name, args])).toEqual([['add', '{"left":1,"right":[2,3]}'], ['say', 'this is not JSON'], ['stop', '{}']])
    expect(joined(deltas).calls).toEqual(output.toolCalls)
    const { body } = (await server.chat(1)).chat
    expect(body.tool_choice).toEqual({ type: 'function', function: { name: 'add' } })
    expect(body.tools?.[2]?.function).toEqual({ name: 'stop', parameters: { type: 'object', properties: {} } })

    await provider.chat('test-model', { messages: [{ role: 'user', content: 'go' }, { role: 'assistant', content: null, toolCalls: output.toolCalls }, { role: 'tool', toolCallId: output.toolCalls[0]?.id ?? '', content: '6' }], tools }, { signal: never })
    expect((await server.chat(2)).chat.body.messages).toMatchObject([{ role: 'user' }, { role: 'assistant', content: null, tool_calls: [{ type: 'function', function: { name: 'add' } }, {}, {}] }, { role: 'tool', content: '6', tool_call_id: output.toolCalls[0]?.id }])
  })

  it('understands calls as other servers send them: without numbers, whole, with arguments as an object, under "stop"', async () => {
    const event = (choice: unknown): string => `data: ${JSON.stringify({ choices: [choice] })}\n\n`
    const body = [
      event({ delta: { role: 'assistant', tool_calls: [{ id: 'a', type: 'function', function: { name: 'fly', arguments: { to: 'south' } } }] } }),
      event({ delta: { tool_calls: [{ type: 'function', function: { name: 'eat', arguments: '{"what":' } }] } }),
      event({ delta: { tool_calls: [{ function: { arguments: '"grass"}' } }] } }),
      event({ delta: {}, finish_reason: 'stop' }),
      'data: [DONE]\n\n',
    ].join('')
    const { provider } = await open({ script: inTurn({ kind: 'raw', contentType: 'text/event-stream', body }) })
    const output = await provider.chat('test-model', asks('go', { tools: [{ name: 'fly' }, { name: 'eat' }] }), { signal: never })
    expect(output.finish).toBe('tool-calls')
    expect(output.toolCalls.map(({ name, arguments: args }) => [name, args])).toEqual([['fly', '{"to":"south"}'], ['eat', '{"what":"grass"}']])
    expect(new Set(output.toolCalls.map(({ id }) => id)).size).toBe(2)
  })

  it('understands a server that does not stream', async () => {
    const { provider } = await open({ script: inTurn({ kind: 'raw', contentType: 'application/json; charset=utf-8', body: JSON.stringify({ choices: [{ index: 0, message: { role: 'assistant', content: 'at once' }, finish_reason: 'stop' }], usage: { prompt_tokens: 5, completion_tokens: 2 } }) }) })
    const deltas: ChatDelta[] = []
    expect(await provider.chat('test-model', asks('go'), { signal: never, onDelta: (delta) => deltas.push(delta) })).toMatchObject({ content: 'at once', finish: 'stop', usage: { promptTokens: 5, completionTokens: 2 } })
    expect(deltas).toEqual([{ content: 'at once' }])
  })
})
