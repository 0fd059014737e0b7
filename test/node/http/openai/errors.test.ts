import OpenAI from 'openai'
import { describe, expect, test } from 'vitest'
import { isOpenAiPath, OpenAiError, statusFor } from '../../../../node/http/problem.ts'
import { errorCodes, MeshError } from '../../../../protocols/kernel/errors.ts'
import type { ErrorCode } from '../../../../protocols/kernel/errors.ts'
import { startBridge } from '../bridge-fixture.ts'
import { answer, embedding, hello, saying, startModelMesh } from './model-mesh.ts'
import type { Offer, Script } from './model-mesh.ts'

const failing = (code: ErrorCode, detail = `it is ${code}`, options = {}): Script => () => {
  throw new MeshError(code, detail, options)
}

/** What the SDK throws. */
async function apiErrorOf(promise: PromiseLike<unknown>) {
  const thrown: unknown = await Promise.resolve(promise).then(() => undefined, (error: unknown) => error)
  if (thrown instanceof OpenAI.APIError) return thrown
  throw new Error(`no APIError but ${String(thrown)}`)
}

describe('a request that cannot be served is refused by the name of what is wrong', () => {
  const image = [{ role: 'user', content: [{ type: 'text', text: 'What is it?' }, { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }] }]
  const sound = [{ role: 'user', content: [{ type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } }] }]
  const tool = { type: 'function', function: { name: 'weather' } }
  test.each<[string, object, string]>([
    ['an image', { messages: image }, 'messages[0].content[1]'],
    ['a sound', { messages: sound }, 'messages[0].content[0]'],
    ['no messages', { messages: [] }, 'messages'],
    ['an unknown role', { messages: [{ role: 'function', name: 'x', content: 'y' }] }, 'messages[0].role'],
    ['no content', { messages: [{ role: 'user' }] }, 'messages[0].content'],
    ['a result of no call', { messages: [{ role: 'tool', content: 'x' }] }, 'messages[0].tool_call_id'],
    ['n', { n: 2 }, 'n'],
    ['logprobs', { logprobs: true }, 'logprobs'],
    ['top_logprobs', { top_logprobs: 3 }, 'top_logprobs'],
    ['frequency_penalty', { frequency_penalty: 0.5 }, 'frequency_penalty'],
    ['presence_penalty', { presence_penalty: -1 }, 'presence_penalty'],
    ['logit_bias', { logit_bias: { 50256: -100 } }, 'logit_bias'],
    ['sound as an answer', { modalities: ['text', 'audio'] }, 'modalities'],
    ['audio', { audio: { voice: 'alloy', format: 'wav' } }, 'audio'],
    ['functions', { functions: [{ name: 'x' }] }, 'functions'],
    ['function_call', { function_call: 'auto' }, 'function_call'],
    ['moderation', { moderation: { model: 'auto' } }, 'moderation'],
    ['an old call', { messages: [{ role: 'assistant', content: null, function_call: { name: 'x', arguments: '' } }] }, 'messages[0].function_call'],
    ['web_search_options', { web_search_options: {} }, 'web_search_options'],
    ['something that OpenAI does not know either', { top_k: 5 }, 'top_k'],
    ['too hot', { temperature: 3 }, 'temperature'],
    ['no token', { max_tokens: 0 }, 'max_tokens'],
    ['too many stops', { stop: ['a', 'b', 'c', 'd', 'e'] }, 'stop'],
    ['stream_options without a stream', { stream_options: { include_usage: true } }, 'stream_options'],
    ['a tool that is no function', { tools: [{ type: 'custom', custom: { name: 'x' } }] }, 'tools[0].type'],
    ['a tool with a bad name', { tools: [{ type: 'function', function: { name: 'get weather' } }] }, 'tools[0].function.name'],
    ['a tool twice', { tools: [tool, tool] }, 'tools[1].function.name'],
    ['a choice without tools', { tool_choice: 'required' }, 'tool_choice'],
    ['a choice of another tool', { tools: [tool], tool_choice: { type: 'function', function: { name: 'other' } } }, 'tool_choice.function.name'],
    ['an unknown choice', { tools: [tool], tool_choice: 'maybe' }, 'tool_choice'],
    ['an unknown form', { response_format: { type: 'xml' } }, 'response_format.type'],
    ['a model that is no name', { model: 5 }, 'model'],
  ])('%s', async (_what, wrong, param) => {
    const { client, calls } = await startModelMesh(saying('no'))
    const error = await apiErrorOf(client.chat.completions.create({ model: 'goose-7b', messages: hello, ...wrong } as never))
    expect(error).toBeInstanceOf(OpenAI.BadRequestError)
    expect(error).toMatchObject({ status: 400, param, type: 'invalid_request_error' })
    // What is wrong, and what to do about it.
    expect(error.message).toMatch(/^400 .+; .+/)
    expect(calls).toEqual([])
  })

  test('and so is a body that is none', async () => {
    const { post, send } = await startModelMesh(saying('no'))
    for (const body of [null, [], 'text', 5, {}]) {
      const refused = await post('/v1/chat/completions', body)
      expect([refused.status, OpenAiError.parse(await refused.json()).error.type]).toEqual([400, 'invalid_request_error'])
    }
    const broken = await send('/v1/chat/completions', { method: 'POST', body: '{"messages":', headers: { 'content-type': 'application/json' } })
    expect(broken.status).toBe(400)
    expect(OpenAiError.parse(await broken.json()).error.message).toContain('is not JSON')
    const form = await send('/v1/chat/completions', { method: 'POST', body: 'x=1', headers: { 'content-type': 'application/x-www-form-urlencoded' } })
    expect(form.status).toBe(415)
  })
})

describe('a model that is not there', () => {
  test('is not found, and the message names those that are', async () => {
    const { client } = await startModelMesh(failing('no-provider'))
    for (const stream of [true, false]) {
      const error = await apiErrorOf(client.chat.completions.create({ model: 'gpt-5', messages: hello, stream }))
      expect(error).toBeInstanceOf(OpenAI.NotFoundError)
      expect(error).toMatchObject({ status: 404, code: 'model_not_found', param: 'model' })
      expect(error.message).toContain('it has goose-7b;')
    }
    const error = await apiErrorOf(client.embeddings.create({ model: 'goose-7b', input: 'x' }))
    expect(error).toMatchObject({ status: 404, code: 'model_not_found' })
    expect(error.message).toContain('it has goose-embed;')
    expect(await apiErrorOf(client.models.retrieve('gpt-5'))).toMatchObject({ status: 404, code: 'model_not_found', param: 'model' })
  })

  test.each<[string, readonly Offer[], ErrorCode]>([
    ['nothing', [], 'unknown-capability'],
    ['models of another kind only', [{ capability: 'llm.embed', attributes: { model: 'x' } }], 'no-provider'],
    ['another version only', [{ version: '2.0', attributes: { model: 'x' } }], 'version-mismatch'],
  ])('because the mesh has %s: the message says what to start', async (_what, offers, code) => {
    const { client } = await startModelMesh(failing(code), { offers })
    const error = await apiErrorOf(client.chat.completions.create({ model: 'gpt-5', messages: hello }))
    expect(error).toBeInstanceOf(OpenAI.InternalServerError)
    expect(error).toMatchObject({ status: 503, code: 'no_model' })
    expect(error.message).toContain('skein node start --model file.gguf')
    expect(error.message).toContain('OPENAI_API_KEY')
    expect(error.message).toContain('SKEIN_LLM_URL')
  })

  test('only for the moment, is the mesh\'s own answer', async () => {
    const { client } = await startModelMesh(failing('no-provider', 'node-b has just left'))
    expect(await apiErrorOf(client.chat.completions.create({ model: 'goose-7b', messages: hello }))).toMatchObject({ status: 503, code: 'no-provider' })
  })
})

describe('what goes wrong in the mesh', () => {
  test('a prompt that is too long', async () => {
    const { client } = await startModelMesh(failing('context-overflow', 'the prompt has 40000 tokens, the context 32768'))
    for (const stream of [true, false]) {
      const error = await apiErrorOf(client.chat.completions.create({ model: 'goose-7b', messages: hello, stream }))
      expect(error).toBeInstanceOf(OpenAI.BadRequestError)
      expect(error).toMatchObject({ status: 400, code: 'context_length_exceeded', param: 'messages', message: expect.stringContaining('40000 tokens') as string })
    }
  })

  test('overload: the SDK comes back when it is told to', async () => {
    const { bridge, calls, client } = await startModelMesh((call) => {
      if (calls.length === 1) throw new MeshError('overloaded', 'every model is busy', { retryAfterMs: 30 })
      return saying('now')(call)
    })
    const error = await apiErrorOf(startModelMesh(failing('overloaded', 'busy', { retryAfterMs: 2_500 })).then(({ client: other }) => other.chat.completions.create({ model: 'goose-7b', messages: hello })))
    expect(error).toBeInstanceOf(OpenAI.RateLimitError)
    expect(error).toMatchObject({ status: 429, code: 'rate_limit_exceeded', type: 'rate_limit_error' })
    expect([error.headers?.get('retry-after'), error.headers?.get('retry-after-ms')]).toEqual(['3', '2500'])
    const patient = new OpenAI({ baseURL: `${bridge.url}/v1`, apiKey: 'x', maxRetries: 1 })
    expect((await patient.chat.completions.create({ model: 'goose-7b', messages: hello })).choices[0]?.message.content).toBe('now')
    expect(calls).toHaveLength(2)
    expect((await client.chat.completions.create({ model: 'goose-7b', messages: hello })).choices[0]?.message.content).toBe('now')
  })

  test('what another try cannot mend is not tried again', async () => {
    const { bridge, calls } = await startModelMesh(failing('over-limit', 'the budget is spent'))
    const patient = new OpenAI({ baseURL: `${bridge.url}/v1`, apiKey: 'x', maxRetries: 3 })
    const error = await apiErrorOf(patient.chat.completions.create({ model: 'goose-7b', messages: hello }))
    expect(error).toMatchObject({ status: 429, code: 'insufficient_quota' })
    expect(calls).toHaveLength(1)
  })

  test('a key that an endpoint has refused is not the client\'s own', async () => {
    const { client } = await startModelMesh(failing('unauthorised', 'api.example.com has refused the key of node-b'))
    const error = await apiErrorOf(client.chat.completions.create({ model: 'goose-7b', messages: hello }))
    expect(error).toMatchObject({ status: 502, code: 'provider-failed', message: expect.stringContaining('the key of node-b') as string })
  })

  test('an answer that is none', async () => {
    const { client } = await startModelMesh(() => ({ text: 'Hello' }))
    expect(await apiErrorOf(client.chat.completions.create({ model: 'goose-7b', messages: hello }))).toMatchObject({ status: 502, code: 'bad-output', message: expect.stringContaining('node-b') as string })
    const { client: other } = await startModelMesh(({ emit }) => {
      emit('Hello')
      return answer({ content: 'Hello' })
    })
    expect(await apiErrorOf(other.chat.completions.create({ model: 'goose-7b', messages: hello, stream: true }))).toMatchObject({ status: 502, code: 'bad-output' })
  })

  test('a bug tells nothing to strangers', async () => {
    const { client, facts } = await startModelMesh(() => {
      throw new Error('the secret is 42')
    })
    for (const stream of [true, false]) {
      const error = await apiErrorOf(client.chat.completions.create({ model: 'goose-7b', messages: hello, stream }))
      expect(error).toMatchObject({ status: 500, code: 'internal' })
      expect(error.message).not.toContain('42')
    }
    expect(facts.filter(({ name }) => name === 'http.failed')).toHaveLength(2)
  })

  test.each((Object.keys(errorCodes) as ErrorCode[]).filter((code) => !['no-provider', 'unknown-capability', 'version-mismatch', 'unauthorised'].includes(code)))('%s has its status, and its next step', async (code) => {
    const { client } = await startModelMesh(failing(code, `it is ${code}`, { next: 'do this' }))
    const error = await apiErrorOf(client.chat.completions.create({ model: 'goose-7b', messages: hello }))
    expect(error.status).toBe(statusFor('/v1/chat/completions', code))
    expect(error.message).toContain(`it is ${code}; do this`)
    expect(error.headers?.get('x-should-retry')).toBe(errorCodes[code].retryable ? null : 'false')
  })

  test('an error after the beginning is the last event, and nothing says that it is complete', async () => {
    const { client, post } = await startModelMesh(({ emit }) => {
      emit({ content: 'One' })
      return new Promise((_resolve, reject) => setImmediate(() => reject(new MeshError('provider-failed', 'the endpoint hung up', { next: 'ask again' }))))
    })
    let text = ''
    const thrown = await (async () => {
      for await (const { choices: [choice] } of await client.chat.completions.create({ model: 'goose-7b', messages: hello, stream: true })) text += choice?.delta.content ?? ''
    })().catch((error: unknown) => error)
    expect(text).toBe('One')
    expect(thrown).toBeInstanceOf(OpenAI.APIError)
    expect(thrown).toMatchObject({ code: 'provider-failed', type: 'server_error', message: expect.stringContaining('the endpoint hung up; ask again') as string })
    const raw = await (await post('/v1/chat/completions', { messages: hello, stream: true })).text()
    expect(raw).toMatch(/data: \{"error":\{"message":"the endpoint hung up; ask again","type":"server_error","code":"provider-failed","param":null\}\}\n\n$/)
    expect(raw).not.toContain('[DONE]')
  })
})

test('a wrong token is an AuthenticationError', async () => {
  const { bridge } = await startBridge({ tokens: { 'a-token-of-alice': 'alice' } })
  for (const [apiKey, ok] of [['a-token-of-alice', true], ['another-token', false]] as const) {
    const client = new OpenAI({ baseURL: `${bridge.url}/v1`, apiKey, maxRetries: 0 })
    if (ok) expect((await client.models.list()).data).toEqual([])
    else expect(await apiErrorOf(client.models.list())).toMatchObject({ status: 401, code: 'invalid_api_key' })
  }
})

test('the description tells the statuses that the routes have', async () => {
  const { send } = await startModelMesh(embedding)
  const { paths } = await (await send('/openapi.json')).json() as { paths: Record<string, Record<string, { responses: Record<string, { content: object }> }>> }
  for (const path of ['/v1/chat/completions', '/v1/embeddings']) {
    expect(isOpenAiPath(path)).toBe(true)
    expect(Object.keys(paths[path]?.['post']?.responses ?? {})).toEqual(expect.arrayContaining(['200', '400', '401', '404', '413', '429', '500', '502', '503', '504']))
    expect(paths[path]?.['post']?.responses).not.toHaveProperty('422')
  }
  expect(Object.keys(paths['/v1/chat/completions']?.['post']?.responses['200']?.content ?? {})).toEqual(['application/json', 'text/event-stream'])
  expect(paths).toHaveProperty(['/v1/models/{model}', 'get', 'responses', '404'])
})
