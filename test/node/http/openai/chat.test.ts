import OpenAI from 'openai'
import { zodResponseFormat } from 'openai/helpers/zod'
import type { ChatCompletionChunk } from 'openai/resources/chat/completions'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { answer, hello, saying, startModelMesh } from './model-mesh.ts'
import type { Script } from './model-mesh.ts'

const weather = {
  type: 'function' as const,
  function: { name: 'weather', description: 'of a place', strict: true, parameters: { type: 'object', properties: { place: { type: 'string' } }, required: ['place'], additionalProperties: false } },
}

/** Asks for the weather; once told, passes it on. */
const asksForWeather: Script = ({ invocation, emit }) => {
  const told = (invocation.input as { messages: { role: string; content: string }[] }).messages.findLast(({ role }) => role === 'tool')
  if (told !== undefined) {
    emit({ content: `It is ${told.content}.` })
    return answer({ content: `It is ${told.content}.` })
  }
  emit({ toolCall: { index: 0, id: 'call-1', name: 'weather' } })
  emit({ toolCall: { index: 0, arguments: '{"place":' } })
  emit({ toolCall: { index: 0, arguments: '"Gander"}' } })
  return answer({ content: null, finish: 'tool-calls', toolCalls: [{ id: 'call-1', name: 'weather', arguments: '{"place":"Gander"}' }] })
}

async function chunksOf(stream: AsyncIterable<ChatCompletionChunk>): Promise<ChatCompletionChunk[]> {
  const chunks: ChatCompletionChunk[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return chunks
}

describe('a whole answer', () => {
  test('has what the SDK expects, and who gave it', async () => {
    const { client, calls, chatInput } = await startModelMesh(saying('Hello yourself'))
    const completion = await client.chat.completions.create({ model: 'goose-7b', messages: hello })
    expect(completion).toEqual({
      id: expect.stringMatching(/^chatcmpl-[\w-]{20,}$/) as string,
      object: 'chat.completion',
      created: expect.any(Number) as number,
      model: 'goose-7b',
      choices: [{ index: 0, message: { role: 'assistant', content: 'Hello yourself', refusal: null }, logprobs: null, finish_reason: 'stop' }],
      usage: { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9, prompt_tokens_details: { cached_tokens: 3 } },
      system_fingerprint: 'node-b',
      skein: { node: 'node-b', peer_id: '12D3KooWOther', cost_usd: 0.25 },
    })
    expect(calls[0]?.invocation).toMatchObject({ capability: 'llm.chat', version: '1.0', attributes: { model: 'goose-7b' } })
    expect(calls[0]?.options.onChunk).toBeUndefined()
    expect(chatInput()).toEqual({ model: 'goose-7b', messages: hello })
  })

  test('of any model, when none is named', async () => {
    const { client, calls, chatInput } = await startModelMesh(saying('Hello'))
    for (const model of ['auto', '']) {
      expect((await client.chat.completions.create({ model, messages: hello })).model).toBe('goose-7b')
      expect(calls.at(-1)?.invocation).not.toHaveProperty('attributes')
      expect(chatInput()).not.toHaveProperty('model')
    }
  })

  test('takes everything that the SDK sends', async () => {
    const { client, chatInput } = await startModelMesh(saying('Hello'))
    await client.chat.completions.create({
      model: 'goose-7b',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'developer', content: [{ type: 'text', text: 'Be' }, { type: 'text', text: 'kind.' }] },
        { role: 'user', name: 'ada', content: [{ type: 'text', text: 'Weather?' }] },
        { role: 'assistant', content: null, tool_calls: [{ id: 'call-1', type: 'function', function: { name: 'weather', arguments: 'not JSON' } }] },
        { role: 'tool', tool_call_id: 'call-1', content: [{ type: 'text', text: 'sunny' }] },
        { role: 'assistant', content: [{ type: 'text', text: 'Well,' }, { type: 'refusal', refusal: 'no.' }] },
        { role: 'user', content: 'Why?' },
      ],
      tools: [weather], tool_choice: { type: 'function', function: { name: 'weather' } }, parallel_tool_calls: true,
      max_completion_tokens: 50, max_tokens: 60, temperature: 0.5, top_p: 0.9, stop: 'END', seed: 5,
      n: 1, logprobs: false, top_logprobs: 0, frequency_penalty: 0, presence_penalty: 0, logit_bias: {}, modalities: ['text'], audio: null,
      user: 'ada', metadata: { a: 'b' }, store: true, service_tier: 'auto', safety_identifier: 'x', prompt_cache_key: 'y', reasoning_effort: 'low', verbosity: 'low',
      prediction: { type: 'content', content: 'x' },
    })
    expect(chatInput()).toEqual({
      model: 'goose-7b',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'system', content: 'Be\nkind.' },
        { role: 'user', content: 'Weather?' },
        { role: 'assistant', content: null, toolCalls: [{ id: 'call-1', name: 'weather', arguments: 'not JSON' }] },
        { role: 'tool', toolCallId: 'call-1', content: 'sunny' },
        { role: 'assistant', content: 'Well,\nno.' },
        { role: 'user', content: 'Why?' },
      ],
      tools: [{ name: 'weather', description: 'of a place', parameters: weather.function.parameters }],
      toolChoice: { name: 'weather' },
      maxTokens: 50, temperature: 0.5, topP: 0.9, stop: ['END'], seed: 5,
    })
  })

  test('and what says nothing when it is null', async () => {
    const { client, chatInput } = await startModelMesh(saying('Hello'))
    await client.chat.completions.create({
      model: 'goose-7b', messages: hello, stream: false, stream_options: null, max_tokens: null, max_completion_tokens: null, temperature: null, top_p: null, stop: null, seed: null,
      n: null, logprobs: null, frequency_penalty: null, presence_penalty: null, logit_bias: null, modalities: null, metadata: null, store: null,
    })
    expect(chatInput()).toEqual({ model: 'goose-7b', messages: hello })
  })

  test.each([
    [{ type: 'text' as const }, undefined],
    [{ type: 'json_object' as const }, { type: 'object', additionalProperties: true }],
    [{ type: 'json_schema' as const, json_schema: { name: 'x', description: 'a bird', schema: { type: 'object' }, strict: true } }, { description: 'a bird', type: 'object' }],
  ])('in the form %j', async (format, schema) => {
    const { client, chatInput } = await startModelMesh(saying('{}'))
    await client.chat.completions.create({ model: 'goose-7b', messages: hello, response_format: format })
    expect(chatInput().schema).toEqual(schema)
  })

  test('is parsed by the SDK\'s helper', async () => {
    const Bird = z.object({ name: z.string(), wings: z.number() })
    const { client, chatInput } = await startModelMesh(saying('{"name":"goose","wings":2}'))
    const { choices: [choice] } = await client.chat.completions.parse({ model: 'goose-7b', messages: hello, response_format: zodResponseFormat(Bird, 'bird') })
    expect(choice?.message.parsed).toEqual({ name: 'goose', wings: 2 })
    expect(chatInput().schema).toMatchObject({ type: 'object', properties: { name: { type: 'string' }, wings: { type: 'number' } }, required: ['name', 'wings'] })
  })

  test.each([['length', 'length'], ['filter', 'content_filter'], ['stop', 'stop']] as const)('that ended by %s', async (finish, told) => {
    const { client } = await startModelMesh(() => answer({ content: 'He', finish }))
    expect((await client.chat.completions.create({ model: 'goose-7b', messages: hello })).choices[0]?.finish_reason).toBe(told)
  })
})

describe('functions', () => {
  test('are asked for, and their results passed on', async () => {
    const { client, chatInput } = await startModelMesh(asksForWeather)
    const first = await client.chat.completions.create({ model: 'goose-7b', messages: hello, tools: [weather], tool_choice: 'auto' })
    const message = first.choices[0]?.message
    expect(first.choices[0]?.finish_reason).toBe('tool_calls')
    expect(message).toEqual({ role: 'assistant', content: null, refusal: null, tool_calls: [{ id: 'call-1', type: 'function', function: { name: 'weather', arguments: '{"place":"Gander"}' } }] })
    if (message === undefined) throw new Error('no message')
    const second = await client.chat.completions.create({ model: 'goose-7b', messages: [...hello, message, { role: 'tool', tool_call_id: 'call-1', content: 'windy' }], tools: [weather] })
    expect(second.choices[0]?.message.content).toBe('It is windy.')
    expect(chatInput().messages.slice(1)).toEqual([
      { role: 'assistant', content: null, toolCalls: [{ id: 'call-1', name: 'weather', arguments: '{"place":"Gander"}' }] },
      { role: 'tool', toolCallId: 'call-1', content: 'windy' },
    ])
  })

  test('are run by the SDK, whole and streamed', async () => {
    const { client } = await startModelMesh(asksForWeather)
    const asked: string[] = []
    const tool = {
      type: 'function' as const,
      function: { ...weather.function, parse: (text: string) => JSON.parse(text) as { place: string }, function: ({ place }: { place: string }) => { asked.push(place); return 'windy' } },
    }
    expect(await client.chat.completions.runTools({ model: 'goose-7b', messages: hello, tools: [tool] }).finalContent()).toBe('It is windy.')
    expect(await client.chat.completions.runTools({ model: 'goose-7b', messages: hello, tools: [tool], stream: true }).finalContent()).toBe('It is windy.')
    expect(asked).toEqual(['Gander', 'Gander'])
  })

  test('are streamed with their index; the first piece has id, type and name', async () => {
    const { client } = await startModelMesh(asksForWeather)
    const chunks = await chunksOf(await client.chat.completions.create({ model: 'goose-7b', messages: hello, tools: [weather], stream: true }))
    expect(chunks.map(({ choices: [choice] }) => choice?.delta)).toEqual([
      { role: 'assistant', content: '', refusal: null },
      { tool_calls: [{ index: 0, id: 'call-1', type: 'function', function: { name: 'weather', arguments: '' } }] },
      { tool_calls: [{ index: 0, function: { arguments: '{"place":' } }] },
      { tool_calls: [{ index: 0, function: { arguments: '"Gander"}' } }] },
      {},
    ])
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('tool_calls')
  })

  test('one at a time, when the client wants no more', async () => {
    const both = [{ id: 'c1', name: 'weather', arguments: '{}' }, { id: 'c2', name: 'weather', arguments: '{}' }]
    const { client } = await startModelMesh(({ emit }) => {
      for (const [index, call] of both.entries()) emit({ toolCall: { index, ...call } })
      return answer({ content: null, finish: 'tool-calls', toolCalls: both })
    })
    const asked = { model: 'goose-7b', messages: hello, tools: [weather] }
    for (const [parallel, calls] of [[true, 2], [false, 1]] as const) {
      const whole = await client.chat.completions.create({ ...asked, parallel_tool_calls: parallel })
      expect(whole.choices[0]?.message.tool_calls).toHaveLength(calls)
      const streamed = await client.chat.completions.stream({ ...asked, parallel_tool_calls: parallel }).finalChatCompletion()
      expect(streamed.choices[0]?.message.tool_calls).toHaveLength(calls)
    }
  })

  test('of those that are allowed', async () => {
    const { client, chatInput } = await startModelMesh(saying('no'))
    const other = { type: 'function' as const, function: { name: 'other' } }
    await client.chat.completions.create({ model: 'goose-7b', messages: hello, tools: [weather, other], tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name: 'other' } }] } } })
    expect(chatInput()).toMatchObject({ tools: [{ name: 'other' }], toolChoice: 'required' })
  })
})

describe('a streamed answer', () => {
  test('comes piece by piece, the role first, then how it ended', async () => {
    const { client } = await startModelMesh(saying('Hello to you'))
    const chunks = await chunksOf(await client.chat.completions.create({ model: 'goose-7b', messages: hello, stream: true }))
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1)
    for (const chunk of chunks) expect(chunk).toMatchObject({ object: 'chat.completion.chunk', model: 'goose-7b' })
    for (const chunk of chunks) expect(chunk).not.toHaveProperty('usage')
    expect(chunks.map(({ choices }) => choices)).toEqual([
      [{ index: 0, delta: { role: 'assistant', content: '', refusal: null }, logprobs: null, finish_reason: null }],
      ...['Hello', ' to', ' you'].map((content) => [{ index: 0, delta: { content }, logprobs: null, finish_reason: null }]),
      [{ index: 0, delta: {}, logprobs: null, finish_reason: 'stop' }],
    ])
    expect(chunks.at(-1)).toMatchObject({ system_fingerprint: 'node-b', skein: { node: 'node-b', peer_id: '12D3KooWOther', cost_usd: 0.25 } })
  })

  test('tells its usage at the end, when it is asked to', async () => {
    const { client } = await startModelMesh(saying('Hello'))
    const chunks = await chunksOf(await client.chat.completions.create({ model: 'auto', messages: hello, stream: true, stream_options: { include_usage: true } }))
    const last = chunks.pop()
    expect(last).toMatchObject({ model: 'goose-7b', choices: [], usage: { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9, prompt_tokens_details: { cached_tokens: 3 } }, system_fingerprint: 'node-b', skein: { node: 'node-b' } })
    for (const chunk of chunks) expect(chunk.usage).toBeNull()
    expect(chunks.at(-1)).not.toHaveProperty('skein')
  })

  test('is one piece, when its node does not stream', async () => {
    const { client } = await startModelMesh(() => answer({ content: 'All at once', toolCalls: [{ id: 'c1', name: 'weather', arguments: '{}' }], finish: 'tool-calls' }))
    const { choices: [choice] } = await client.chat.completions.stream({ model: 'goose-7b', messages: hello }).finalChatCompletion()
    expect(choice?.message).toMatchObject({ role: 'assistant', content: 'All at once', tool_calls: [{ id: 'c1', type: 'function', function: { name: 'weather', arguments: '{}' } }] })
  })

  test('begins before the model has ended', async () => {
    const { promise: seen, resolve: see } = Promise.withResolvers<void>()
    const { client } = await startModelMesh(async ({ emit }) => {
      emit({ content: 'One' })
      await seen
      emit({ content: ' two' })
      return answer({ content: 'One two' })
    })
    let text = ''
    for await (const { choices: [choice] } of await client.chat.completions.create({ model: 'goose-7b', messages: hello, stream: true })) {
      text += choice?.delta.content ?? ''
      if (text === 'One') see()
    }
    expect(text).toBe('One two')
  })

  test('and another at the same time keep apart', async () => {
    const meeting = Promise.withResolvers<void>()
    let there = 0
    const { client } = await startModelMesh(async ({ invocation, emit }) => {
      const [message] = (invocation.input as { messages: { content: string }[] }).messages
      emit({ content: `${message?.content} ` })
      if (++there === 2) meeting.resolve()
      await meeting.promise
      emit({ content: 'again' })
      return answer({ content: `${message?.content} again` })
    })
    const said = await Promise.all(['left', 'right'].map((content) => client.chat.completions.stream({ model: 'goose-7b', messages: [{ role: 'user', content }] }).finalContent()))
    expect(said).toEqual(['left again', 'right again'])
  })
})

describe('a client that goes', () => {
  test.each([true, false])('ends the call (streamed: %s)', async (stream) => {
    const begun = Promise.withResolvers<void>()
    const { client, calls } = await startModelMesh(async ({ emit, aborted }) => {
      emit({ content: 'One' })
      begun.resolve()
      return aborted
    })
    const stop = new AbortController()
    const asked = client.chat.completions.create({ model: 'goose-7b', messages: hello, stream }, { signal: stop.signal })
    const ended = stream ? (await (asked as Promise<AsyncIterable<ChatCompletionChunk>>)) : asked
    await begun.promise
    stop.abort()
    if (!stream) await expect(ended).rejects.toBeInstanceOf(OpenAI.APIUserAbortError)
    await expect(calls[0]?.aborted).rejects.toThrow('the caller has ended it')
  })

  test('by leaving the loop', async () => {
    const { client, calls, metrics } = await startModelMesh(async ({ emit, aborted }) => {
      emit({ content: 'One' })
      return aborted
    })
    for await (const _chunk of await client.chat.completions.create({ model: 'goose-7b', messages: hello, stream: true })) break
    await expect(calls[0]?.aborted).rejects.toThrow('the caller has ended it')
    await expect.poll(() => metrics.text(), { timeout: 10_000 }).toContain('skein_http_streams 0')
  })
})
