/** The scripted server, as the official client sees it. */
import OpenAI from 'openai'
import { describe, expect, it, onTestFinished } from 'vitest'
import { callTool, fail, inTurn, on, rules, say, sayJson, startOpenAiServer, tooMany } from '../../../support/openai-server/server.ts'
import type { OpenAiServer, OpenAiServerOptions } from '../../../support/openai-server/server.ts'
import { until } from '../../../support/until.ts'

async function start(options: OpenAiServerOptions = {}): Promise<{ server: OpenAiServer; client: OpenAI }> {
  const server = await startOpenAiServer(options)
  onTestFinished(() => server.close())
  return { server, client: new OpenAI({ baseURL: server.url, apiKey: options.apiKey ?? 'any', maxRetries: 0 }) }
}

const ask = (content: string, system = ''): OpenAI.Chat.Completions.ChatCompletionCreateParamsNonStreaming => ({ model: 'test-model', messages: [...(system === '' ? [] : [{ role: 'system' as const, content: system }]), { role: 'user', content }] })

describe('the scripted server', () => {
  it('listens on loopback only', async () => {
    const { server } = await start()
    expect(new URL(server.url).hostname).toBe('127.0.0.1')
  })

  it('answers whole and streamed, with usage', async () => {
    const { client } = await start({ script: inTurn(say('one two three')) })
    const whole = await client.chat.completions.create(ask('go'))
    expect(whole.choices[0]).toMatchObject({ message: { content: 'one two three' }, finish_reason: 'stop' })
    expect(whole.usage?.completion_tokens).toBe(3)
    const pieces: string[] = []
    let usage: unknown
    for await (const chunk of await client.chat.completions.create({ ...ask('go'), stream: true, stream_options: { include_usage: true } })) {
      pieces.push(chunk.choices[0]?.delta.content ?? '')
      usage ??= chunk.usage ?? undefined
    }
    expect(pieces.filter(Boolean)).toEqual(['one', ' two', ' three'])
    expect(usage).toEqual(whole.usage)
  })

  it('does what the first rule says that fits: by system prompt, last user message, function, model, schema, result', async () => {
    const { server, client } = await start({
      models: ['test-model', 'other'],
      script: rules(
        on({ system: 'plan', promptIncludes: ['geese', /\d+ ducks/] }, [say('first'), sayJson({ tasks: [] })]),
        on({ system: 'plan', promptLacks: 'geese' }, say('no geese')),
        on({ tools: 'count', toolResult: '' , where: ({ messages }) => messages.at(-1)?.role !== 'tool' }, callTool('count', { what: 'geese' })),
        on({ toolResult: /\d+/ }, ({ toolResult }) => say(`there are ${toolResult}`)),
        on({ schema: 'colour' }, sayJson({ colour: 'red' })),
        on({ model: 'other' }, say('the other model')),
        on({ user: 'once' }, say('only once'), { times: 1 }),
      ),
    })
    const text = async (params: OpenAI.Chat.Completions.ChatCompletionCreateParamsNonStreaming): Promise<string | null | undefined> => (await client.chat.completions.create(params)).choices[0]?.message.content
    expect(await text(ask('geese and 7 ducks', 'You plan.'))).toBe('first')
    expect(await text(ask('geese and 7 ducks', 'You plan.'))).toBe('{"tasks":[]}')
    expect(await text(ask('geese and 9 ducks', 'You plan.'))).toBe('{"tasks":[]}')
    expect(await text(ask('only swans', 'You plan.'))).toBe('no geese')
    const tools: OpenAI.Chat.Completions.ChatCompletionTool[] = [{ type: 'function', function: { name: 'count' } }]
    const called = (await client.chat.completions.create({ ...ask('how many?'), tools })).choices[0]
    expect(called?.finish_reason).toBe('tool_calls')
    const [call] = called?.message.tool_calls ?? []
    expect(call).toMatchObject({ type: 'function', function: { name: 'count', arguments: '{"what":"geese"}' } })
    expect(await text({ model: 'test-model', tools, messages: [{ role: 'user', content: 'how many?' }, { role: 'assistant', tool_calls: called?.message.tool_calls ?? [] }, { role: 'tool', tool_call_id: call?.id ?? '', content: '42' }] })).toBe('there are 42')
    expect(await text({ ...ask('choose'), response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'object', properties: { colour: {} } } } } })).toBe('{"colour":"red"}')
    expect(await text({ ...ask('hello'), model: 'other' })).toBe('the other model')
    expect(await text(ask('once'))).toBe('only once')
    await expect(text(ask('once'))).rejects.toThrow('the script has nothing for this request')
    expect(server.unscripted.map(({ chat }) => chat.user)).toEqual(['once'])
  })

  it('refuses as a server does', async () => {
    const { client } = await start({ apiKey: 'right', script: inTurn(tooMany(3), fail()) })
    await expect(client.chat.completions.create(ask('go'))).rejects.toMatchObject({ status: 429, code: 'rate_limit_exceeded' })
    await expect(client.chat.completions.create(ask('go'))).rejects.toMatchObject({ status: 500 })
    await expect(client.chat.completions.create({ ...ask('go'), model: 'unknown' })).rejects.toMatchObject({ status: 404, code: 'model_not_found' })
    await expect(client.withOptions({ apiKey: 'wrong' }).models.list()).rejects.toMatchObject({ status: 401, code: 'invalid_api_key' })
  })

  it('writes down what came, and who went away', async () => {
    const { server, client } = await start({ script: inTurn({ kind: 'silence' }) })
    const stop = new AbortController()
    const answer = client.chat.completions.create(ask('go'), { signal: stop.signal })
    answer.catch(() => undefined)
    const chat = await server.chat(1)
    expect(chat).toMatchObject({ method: 'POST', path: '/v1/chat/completions', abortedAtMs: undefined, isDone: false })
    expect(chat.headers.authorization).toBe('Bearer any')
    stop.abort()
    await expect(answer).rejects.toThrow()
    await until(() => chat.abortedAtMs !== undefined, { what: 'the server to see it', everyMs: 5 })
  })

  it('lists models and embeds', async () => {
    const { client } = await start()
    expect((await client.models.list()).data.map(({ id }) => id)).toEqual(['test-model', 'test-embedding'])
    const { data } = await client.embeddings.create({ model: 'test-embedding', input: ['a', 'b', 'a'] })
    expect(data.map(({ embedding }) => embedding.length)).toEqual([64, 64, 64])
    expect(data[2]?.embedding).toEqual(data[0]?.embedding)
  })
})
