import { afterEach, describe, expect, it, vi } from 'vitest'
import { faultOf } from '../../../contracts/llm-provider.ts'
import { PaidFailure } from '../../../../node/models/paid-failure.ts'
import { inTurn, refuse, say } from '../../../support/openai-server/server.ts'
import { asks, never, open } from './open-provider.ts'

const chat = { signal: never }

afterEach(() => {
  vi.unstubAllEnvs()
})

describe('what an endpoint is sent', () => {
  it('is the input in OpenAI\'s words', async () => {
    const { provider, server } = await open({}, { apiKey: 'sk-my-key-1234', organisation: 'org-geese' })
    await provider.chat('test-model', {
      messages: [{ role: 'system', content: 'Be short.' }, { role: 'user', content: 'hello' }],
      maxTokens: 20, temperature: 0.5, topP: 0.9, stop: ['\n\n'], seed: 7,
    }, chat)
    const request = server.chats[0]
    expect(request?.body).toEqual({
      model: 'test-model', messages: [{ role: 'system', content: 'Be short.' }, { role: 'user', content: 'hello' }],
      stream: true, stream_options: { include_usage: true }, max_tokens: 20, temperature: 0.5, top_p: 0.9, stop: ['\n\n'], seed: 7,
    })
    expect(request?.headers.authorization).toBe('Bearer sk-my-key-1234')
    expect(request?.headers['openai-organization']).toBe('org-geese')
  })

  it('models that think take max_completion_tokens', async () => {
    const { provider, server } = await open({ models: ['o3-mini', 'gpt-5-mini', 'gpt-4o', 'openai/gpt-oss-120b'] })
    for (const model of ['o3-mini', 'gpt-5-mini', 'gpt-4o', 'openai/gpt-oss-120b']) await provider.chat(model, asks('hello', { maxTokens: 9 }), chat)
    expect(server.chats.map(({ chat: { body } }) => [body.max_completion_tokens, body.max_tokens])).toEqual([[9, undefined], [9, undefined], [undefined, 9], [undefined, 9]])
  })

  it('it learns what a model wants said otherwise, and says it so from then on', async () => {
    const { provider, server } = await open({
      script: ({ body }) => {
        if (body.max_tokens !== undefined) return refuse(400, "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", { code: 'unsupported_parameter', param: 'max_tokens' })
        if (body['temperature'] !== undefined) return refuse(400, "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.", { code: 'unsupported_value', param: 'temperature' })
        if (body.stream_options !== undefined) return refuse(422, 'Extra inputs are not permitted: stream_options')
        return say('fine', { usage: false })
      },
    })
    for (let i = 0; i < 2; i++) expect((await provider.chat('test-model', asks('hello', { maxTokens: 9, temperature: 0.2 }), chat)).content).toBe('fine')
    expect(server.chats).toHaveLength(5)
    expect(server.chats.at(-1)?.chat.body).toEqual({ model: 'test-model', messages: [{ role: 'user', content: 'hello' }], stream: true, max_completion_tokens: 9 })
  })

  it('an older server that knows max_tokens only is asked in its words', async () => {
    const { provider } = await open({ models: ['gpt-5-clone'], script: ({ body }) => (body.max_completion_tokens === undefined ? say('fine') : refuse(400, 'Unrecognized request argument supplied: max_completion_tokens')) })
    expect((await provider.chat('gpt-5-clone', asks('hello', { maxTokens: 9 }), chat)).content).toBe('fine')
  })

  it('an endpoint that refuses everything is believed in the end', async () => {
    const { provider, server } = await open({ script: ({ body }) => refuse(400, `Unsupported parameter: '${body.max_tokens === undefined ? 'max_completion_tokens' : 'max_tokens'}'`, { code: 'unsupported_parameter' }) })
    expect((await faultOf(provider.chat('test-model', asks('hello', { maxTokens: 9 }), chat))).code).toBe('bad-input')
    expect(server.chats.length).toBeLessThan(10)
  })

  it('a limit that is too large is no unknown word', async () => {
    const { provider, server } = await open({ script: inTurn(refuse(400, 'max_tokens is too large: 99999. This model supports at most 16384 completion tokens', { param: 'max_tokens' })) })
    expect((await faultOf(provider.chat('test-model', asks('hello', { maxTokens: 99_999 }), chat))).detail).toContain('16384')
    expect(server.chats).toHaveLength(1)
  })

  it('nothing of it comes from the environment: that is meant for OpenAI', async () => {
    vi.stubEnv('OPENAI_API_KEY', 'sk-environment')
    vi.stubEnv('OPENAI_ADMIN_KEY', 'sk-admin-environment')
    vi.stubEnv('OPENAI_ORG_ID', 'org-environment')
    vi.stubEnv('OPENAI_PROJECT_ID', 'project-environment')
    vi.stubEnv('OPENAI_BASE_URL', 'http://127.0.0.1:1/environment')
    vi.stubEnv('OPENAI_CUSTOM_HEADERS', 'Authorization: Bearer environment\nX-Private: environment')
    const { provider, server } = await open()
    await provider.refresh()
    await provider.chat('test-model', asks('hello'), chat)
    await provider.embed('test-embedding', { texts: ['hello'] }, chat)
    expect(server.requests).toHaveLength(3 + 2)
    expect(JSON.stringify(server.requests.map(({ headers, body }) => ({ headers, body })))).not.toContain('environment')
    expect(server.chats[0]?.headers.authorization).toBeUndefined()
  })

  it('user and password of its address are sent, and shown nowhere', async () => {
    const server = (await open()).server
    const withPassword = server.url.replace('http://', 'http://goose:s3cret-pass@')
    const { provider } = await open({}, { baseUrl: withPassword })
    await provider.chat('test-model', asks('hello'), chat)
    expect(server.chats[0]?.headers.authorization).toBe(`Basic ${Buffer.from('goose:s3cret-pass').toString('base64')}`)
    expect(provider.origin).toBe(server.url)
  })

  it('an endpoint that repeats the key in its errors does not get it into ours', async () => {
    const key = 'together-0123456789abcdef'
    const { provider, facts } = await open({ script: ({ body }) => refuse(body.model === 'test-model' ? 400 : 500, `the key ${key} (sk-proj-abc*****xyz) is odd`) }, { apiKey: key })
    const fault = await faultOf(provider.chat('test-model', asks('hello'), chat))
    expect(fault.detail).toContain('the key ***')
    expect(JSON.stringify([fault, facts, provider.origin])).not.toMatch(/0123456789|abc\*|xyz/)
  })
})

describe('what it used', () => {
  it('is what the endpoint says, cached tokens at their own price', async () => {
    const { provider } = await open({ script: inTurn(say('yes', { usage: { prompt_tokens: 1_000, completion_tokens: 50, cached_tokens: 800 } })) }, { prices: { of: () => ({ inputUsdPerMillion: 2, outputUsdPerMillion: 8, cachedInputUsdPerMillion: 0.5 }) } })
    const { usage } = await provider.chat('test-model', asks('hello'), chat)
    expect(usage).toMatchObject({ promptTokens: 1_000, completionTokens: 50, cachedTokens: 800 })
    expect(usage.costUsd).toBeCloseTo((200 * 2 + 800 * 0.5 + 50 * 8) / 1_000_000, 12)
  })

  it('is counted here where it says nothing', async () => {
    const { provider } = await open({ script: inTurn(say('hello world', { usage: false })) })
    const { usage } = await provider.chat('test-model', asks('hello world'), chat)
    expect(usage.completionTokens).toBe(2)
    expect(usage.promptTokens).toBe(await provider.countTokens('test-model', asks('hello world')))
  })

  it('is told when the call fails after it: refused answers, and those that broke off', async () => {
    const prices = { of: () => ({ inputUsdPerMillion: 1, outputUsdPerMillion: 10, cachedInputUsdPerMillion: 1 }) }
    const refused = await open({ script: inTurn(say('no JSON at all', { usage: { prompt_tokens: 100, completion_tokens: 7 } })) }, { prices })
    const paid = refused.provider.chat('test-model', asks('hello', { schema: { type: 'object' } }), chat)
    await expect(paid).rejects.toMatchObject({ fault: { code: 'bad-output' }, usage: { promptTokens: 200, completionTokens: 14 } })
    await expect(paid).rejects.toBeInstanceOf(PaidFailure)

    const broken = await open({ script: inTurn(say('one two three four', { trouble: { afterPieces: 3, what: 'error' } })) }, { prices })
    const [promptTokens, completionTokens] = [await broken.provider.countTokens('test-model', asks('hello')), 3]
    await expect(broken.provider.chat('test-model', asks('hello'), chat)).rejects.toMatchObject({ fault: { code: 'provider-failed' }, usage: { promptTokens, completionTokens, costUsd: (promptTokens + 10 * completionTokens) / 1_000_000 } })

    const second = await open({ script: inTurn(say('no JSON', { usage: { prompt_tokens: 100, completion_tokens: 7 } }), refuse(500, 'broken')) }, { prices })
    await expect(second.provider.chat('test-model', asks('hello', { schema: { type: 'object' } }), chat)).rejects.toMatchObject({ fault: { code: 'provider-failed' }, usage: { promptTokens: 100, completionTokens: 7 } })

    const nothing = await open({ script: inTurn(refuse(500, 'broken')) }, { prices })
    await expect(nothing.provider.chat('test-model', asks('hello'), chat)).rejects.not.toBeInstanceOf(PaidFailure)
  })
})
