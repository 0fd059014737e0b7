import { createServer } from 'node:net'
import { describe, expect, it } from 'vitest'
import { faultOf } from '../../../contracts/llm-provider.ts'
import { fail, inTurn, refuse, say, tooMany } from '../../../support/openai-server/server.ts'
import { asks, never, open } from './open-provider.ts'

const chat = { signal: never }

describe('errors of an endpoint', () => {
  it('a wrong key: unauthorised, saying where to set it, and never the key', async () => {
    const { provider } = await open({ apiKey: 'the-right-key' }, { apiKey: 'sk-secret-0123456789', keySetting: 'MY_KEY' })
    const fault = await faultOf(provider.chat('test-model', asks('hello'), chat))
    expect(fault).toMatchObject({ code: 'unauthorised', retryable: false })
    expect(fault.next).toContain('MY_KEY')
    expect(fault.detail).toContain('401')
    expect(JSON.stringify(fault)).not.toContain('secret')
  })

  it('403: unauthorised; 402: no credit', async () => {
    const { provider, server } = await open({ script: inTurn(refuse(403, 'You are not allowed to sample from this model'), refuse(402, 'Insufficient credits')) })
    expect(await faultOf(provider.chat('test-model', asks('hello'), chat))).toMatchObject({ code: 'unauthorised' })
    expect((await faultOf(provider.chat('test-model', asks('hello'), chat))).next).toContain('credit')
    expect(server.chats).toHaveLength(2)
  })

  it('429: overloaded, with the time to wait in seconds, milliseconds, or as a date', async () => {
    const { provider, server } = await open({ script: inTurn(tooMany(40)) })
    const inSeconds = await faultOf(provider.chat('test-model', asks('hello'), chat))
    expect(inSeconds).toMatchObject({ code: 'overloaded', retryable: true, retryAfterMs: 40_000 })
    expect(server.chats).toHaveLength(1)

    const precise = await open({ script: inTurn(refuse(429, 'slow down', { headers: { 'retry-after-ms': '41500', 'retry-after': '99' } })) })
    expect(await faultOf(precise.provider.chat('test-model', asks('hello'), chat))).toMatchObject({ code: 'overloaded', retryAfterMs: 41_500 })

    const dated = await open({ script: inTurn(tooMany(new Date(Date.now() + 90_000).toUTCString())) })
    const asDate = await faultOf(dated.provider.chat('test-model', asks('hello'), chat))
    expect(asDate.retryAfterMs).toBeGreaterThan(30_000)
    expect(asDate.retryAfterMs).toBeLessThanOrEqual(90_000)
  })

  it('429 without credit: overloaded, and no retry helps', async () => {
    const { provider, server } = await open({ script: inTurn(refuse(429, 'You exceeded your current quota', { code: 'insufficient_quota', type: 'insufficient_quota' })) }, { retriesMax: 2 })
    expect(await faultOf(provider.chat('test-model', asks('hello'), chat))).toMatchObject({ code: 'overloaded', retryable: false })
    expect(server.chats).toHaveLength(1)
  })

  it('5xx: provider-failed', async () => {
    const { provider } = await open({ script: inTurn(fail('the cat is on the keyboard')) })
    const fault = await faultOf(provider.chat('test-model', asks('hello'), chat))
    expect(fault).toMatchObject({ code: 'provider-failed', retryable: true })
    expect(fault.detail).toContain('500')
    expect(fault.detail).toContain('the cat is on the keyboard')
  })

  it('503 with a time to wait says it', async () => {
    const { provider } = await open({ script: inTurn(refuse(503, 'loading model', { headers: { 'retry-after': '7' } })) })
    expect(await faultOf(provider.chat('test-model', asks('hello'), chat))).toMatchObject({ code: 'provider-failed', retryAfterMs: 7_000 })
  })

  it('context overflow: both numbers, in the words of OpenAI, vLLM, llama.cpp, LM Studio', async () => {
    const said = [
      refuse(400, "This model's maximum context length is 4096 tokens. However, your messages resulted in 5120 tokens. Please reduce the length of the messages.", { code: 'context_length_exceeded' }),
      { kind: 'refusal', status: 400, error: { object: 'error', message: "This model's maximum context length is 4096 tokens. However, you requested 5120 tokens (5000 in the messages, 120 in the completion).", type: 'BadRequestError', code: 400 } },
      { kind: 'refusal', status: 400, error: { code: 400, message: 'request (5120 tokens) exceeds the available context size (4096 tokens), try increasing it', type: 'exceed_context_size_error', n_prompt_tokens: 5120, n_ctx: 4096 } },
      { kind: 'refusal', status: 400, error: 'The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 5120>= n_ctx: 4096). Try to load the model with a larger context length, or provide a shorter input.' },
      say('', { trouble: { afterPieces: 0, what: 'error', error: { message: 'Trying to keep the first 5120 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough.' } } }),
    ] as const
    for (const behaviour of said) {
      const { provider } = await open({ script: () => behaviour })
      const fault = await faultOf(provider.chat('test-model', asks('hello'), chat))
      expect(fault).toMatchObject({ code: 'context-overflow', retryable: false })
      expect(fault.detail).toContain('needs 5120 tokens')
      expect(fault.detail).toContain('has 4096')
    }
  })

  it('another 400 is bad input, with what the endpoint says', async () => {
    const { provider } = await open({ script: inTurn(refuse(400, "Invalid value for 'messages': too odd")) })
    const fault = await faultOf(provider.chat('test-model', asks('hello'), chat))
    expect(fault.code).toBe('bad-input')
    expect(fault.detail).toContain('too odd')
  })

  it('a model that the endpoint does not have: bad input, before and after it has said which it has', async () => {
    const { provider, server } = await open()
    expect(await faultOf(provider.chat('gpt-9', asks('hello'), chat))).toMatchObject({ code: 'bad-input' })
    expect(server.chats).toHaveLength(1)
    await provider.refresh()
    const fault = await faultOf(provider.chat('gpt-9', asks('hello'), chat))
    expect(fault.next).toContain('test-model')
    expect(server.chats, 'it is not asked').toHaveLength(1)
  })

  it('nothing listens there: provider-failed, saying so', async () => {
    const free = await new Promise<number>((resolve) => {
      const probe = createServer().listen(0, '127.0.0.1', () => {
        const address = probe.address()
        probe.close(() => resolve(address !== null && typeof address === 'object' ? address.port : 0))
      })
    })
    const { provider } = await open({}, { baseUrl: `http://127.0.0.1:${free}` })
    const fault = await faultOf(provider.chat('test-model', asks('hello'), chat))
    expect(fault).toMatchObject({ code: 'provider-failed', retryable: true })
    expect(fault.detail).toContain('ECONNREFUSED')
    expect(fault.next).toContain('start it')
    expect((await faultOf(provider.refresh())).code).toBe('provider-failed')
  })

  it('a wrong path, a web page, half a JSON text: provider-failed', async () => {
    const wrongPath = await open()
    const { provider } = await open({}, { baseUrl: `${new URL(wrongPath.server.url).origin}/api/openai` })
    const fault = await faultOf(provider.chat('test-model', asks('hello'), chat))
    expect(fault).toMatchObject({ code: 'provider-failed', retryable: false })
    expect(fault.next).toContain('/v1')

    for (const [contentType, body, retryable] of [['text/html', '<html>Welcome to nginx</html>', false], ['application/json', '{"choices":[{"mess', true], ['text/event-stream', 'data: {"choices":[{"del\n\ndata: [DONE]\n\n', true], ['text/event-stream', 'data: {"choices":"none"}\n\n', true]] as const) {
      const { provider: odd } = await open({ script: inTurn({ kind: 'raw', contentType, body }) })
      expect(await faultOf(odd.chat('test-model', asks('hello'), chat)), body).toMatchObject({ code: 'provider-failed', retryable })
    }
  })

  it('an error in the middle of a stream: provider-failed, with what it says', async () => {
    const { provider } = await open({ script: inTurn(say('one two three', { trouble: { afterPieces: 2, what: 'error', error: { message: 'the GPU fell off the bus', type: 'server_error' } } })) })
    const fault = await faultOf(provider.chat('test-model', asks('hello'), chat))
    expect(fault.code).toBe('provider-failed')
    expect(fault.detail).toContain('the GPU fell off the bus')
  })

  it('an address or a key that cannot be used is refused at once', async () => {
    await expect(open({}, { baseUrl: 'not an address' })).rejects.toMatchObject({ fault: { code: 'bad-request' } })
    await expect(open({}, { baseUrl: 'ftp://127.0.0.1' })).rejects.toMatchObject({ fault: { code: 'bad-request' } })
    const broken = open({}, { apiKey: 'sk-secret\n' })
    await expect(broken).rejects.toMatchObject({ fault: { code: 'bad-request' } })
    await expect(broken).rejects.not.toThrow('secret')
  })
})
