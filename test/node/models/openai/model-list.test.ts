import { describe, expect, it } from 'vitest'
import { readModelList } from '../../../../node/models/openai/model-list.ts'
import { contextByName, contextTokensDefault, doesByName } from '../../../../node/models/openai/model-names.ts'
import { faultOf } from '../../../contracts/llm-provider.ts'
import { inTurn, say } from '../../../support/openai-server/server.ts'
import { asks, never, open } from './open-provider.ts'

describe('the models of an endpoint', () => {
  it('are those that it lists, once it was asked, beside configured ones', async () => {
    const { provider } = await open({ models: ['listed-chat', 'listed-embed-small', 'whisper-large'] }, { models: [{ name: 'my-own', contextTokens: 1_234, slots: 2 }, { name: 'listed-chat', contextTokens: 99 }], slots: 5 })
    expect(provider.models().map(({ name }) => name)).toEqual(['my-own', 'listed-chat'])
    await provider.refresh()
    expect(provider.models().map(({ name, does, contextTokens, slots }) => [name, does, contextTokens, slots])).toEqual([
      ['my-own', 'chat', 1_234, 2],
      ['listed-chat', 'chat', 99, 5],
      ['listed-embed-small', 'embed', contextTokensDefault, 5],
    ])
  })

  it('are only those of the configuration, if that is wanted', async () => {
    const { provider } = await open({ models: [{ id: 'one', max_model_len: 777 }, 'two'] }, { models: [{ name: 'one' }], offersListed: false })
    await provider.refresh()
    expect(provider.models().map(({ name, contextTokens }) => [name, contextTokens])).toEqual([['one', 777]])
  })

  it('stay as they were when it cannot be asked', async () => {
    const { provider, server } = await open({ models: ['one'] })
    await provider.refresh()
    await server.close()
    expect((await faultOf(provider.refresh())).code).toBe('provider-failed')
    expect(provider.models().map(({ name }) => name)).toEqual(['one'])
  })

  it('any is asked for while the list is unknown', async () => {
    const { provider } = await open({ script: inTurn(say('here')) })
    expect(provider.models()).toEqual([])
    expect((await provider.chat('test-model', asks('hello'), { signal: never })).content).toBe('here')
  })

  it('cost nothing on one\'s own machine, but for those that only their vendor can run', async () => {
    const { provider } = await open({ models: ['llama-3.3-70b', 'gpt-4o-mini'] })
    await provider.refresh()
    expect(provider.models().map(({ inputUsdPerMillion, outputUsdPerMillion }) => [inputUsdPerMillion, outputUsdPerMillion])).toEqual([[0, 0], [0.15, 0.6]])
  })

  it('of LM Studio: kind, context as it is loaded, quantisation', async () => {
    const { provider } = await open({
      models: ['qwen2.5-7b', 'phi-4', 'nomic'],
      routes: { 'GET /api/v0/models': { data: [
        { id: 'qwen2.5-7b', type: 'llm', quantization: 'Q4_K_M', state: 'loaded', max_context_length: 32_768, loaded_context_length: 4_096 },
        { id: 'phi-4', type: 'llm', quantization: '4bit', state: 'not-loaded', max_context_length: 16_384 },
        { id: 'nomic', type: 'embeddings', quantization: 'F16', max_context_length: 2_048 },
      ] } },
    })
    await provider.refresh()
    expect(provider.models().map(({ name, does, contextTokens, quantisation }) => [name, does, contextTokens, quantisation])).toEqual([
      ['qwen2.5-7b', 'chat', 4_096, 'Q4_K_M'], ['phi-4', 'chat', 16_384, '4bit'], ['nomic', 'embed', 2_048, 'F16'],
    ])
  })

  it('of Ollama: the context that it gives them, not the one they could have; what is too long for that is not sent, since it would be cut', async () => {
    const shown = (body: unknown): unknown => {
      const { model } = body as { model: string }
      if (model === 'tuned') return { parameters: 'temperature 0.6\nnum_ctx    300', details: { quantization_level: 'Q8_0' }, model_info: { 'llama.context_length': 131_072 }, capabilities: ['completion', 'tools'] }
      if (model === 'minilm') return { details: { quantization_level: 'F16' }, model_info: { 'bert.context_length': 256 }, capabilities: ['embedding'] }
      return { details: { quantization_level: 'Q4_0' }, model_info: { 'llama.context_length': 131_072 }, capabilities: ['completion'] }
    }
    const { provider, server } = await open({
      models: ['plain', 'tuned', 'running', 'minilm'],
      routes: { 'GET /api/ps': { models: [{ name: 'running', context_length: 65_536 }] }, 'POST /api/show': shown },
    })
    await provider.refresh()
    expect(provider.models().map(({ name, does, contextTokens, quantisation }) => [name, does, contextTokens, quantisation])).toEqual([
      ['plain', 'chat', 4_096, 'Q4_0'], ['tuned', 'chat', 300, 'Q8_0'], ['running', 'chat', 65_536, 'Q4_0'], ['minilm', 'embed', 256, 'F16'],
    ])
    const fault = await faultOf(provider.chat('tuned', asks('goose '.repeat(400)), { signal: never }))
    expect(fault.code).toBe('context-overflow')
    expect(fault.detail).toMatch(/needs 4\d\d tokens, and the context of tuned has 300/)
    expect((await faultOf(provider.chat('tuned', asks('goose', { maxTokens: 300 }), { signal: never }))).code).toBe('context-overflow')
    expect((await faultOf(provider.embed('minilm', { texts: ['short', 'goose '.repeat(300)] }, { signal: never }))).code).toBe('context-overflow')
    expect(server.chats).toHaveLength(0)
    expect(server.embeddings).toHaveLength(0)
    await provider.chat('tuned', asks('goose', { maxTokens: 200 }), { signal: never })
    expect(server.chats).toHaveLength(1)
  })

  it('a server whose list is none says so', async () => {
    const { provider } = await open({ routes: { 'GET /v1/models': { hello: 'world' } } })
    expect(await faultOf(provider.refresh())).toMatchObject({ code: 'provider-failed', retryable: false })
  })
})

describe('lists of models', () => {
  it('are read as vLLM, llama.cpp, Together and OpenRouter write them', () => {
    expect(readModelList({ object: 'list', data: [{ id: 'Qwen/Qwen3-8B', owned_by: 'vllm', max_model_len: 40_960 }] })).toEqual([{ name: 'Qwen/Qwen3-8B', does: 'chat', contextTokens: 40_960 }])
    expect(readModelList({ data: [{ id: 'model.gguf', owned_by: 'llamacpp', meta: { n_ctx_train: 8_192 } }] })).toEqual([{ name: 'model.gguf', does: 'chat', contextTokens: 8_192 }])
    expect(readModelList([
      { id: 'meta-llama/Llama-3.3-70B-Instruct-Turbo', type: 'chat', context_length: 131_072, pricing: { hourly: 0, input: 0.88, output: 0.88, base: 0, finetune: 0 } },
      { id: 'BAAI/bge-base-en-v1.5', type: 'embedding', context_length: 512, pricing: { input: 0.01, output: 0 } },
      { id: 'black-forest-labs/FLUX.1', type: 'image' },
      { id: 'Salesforce/Llama-Rank', type: 'rerank' },
    ])).toEqual([
      { name: 'meta-llama/Llama-3.3-70B-Instruct-Turbo', does: 'chat', contextTokens: 131_072, price: { inputUsdPerMillion: 0.88, outputUsdPerMillion: 0.88, cachedInputUsdPerMillion: 0.88 } },
      { name: 'BAAI/bge-base-en-v1.5', does: 'embed', contextTokens: 512, price: { inputUsdPerMillion: 0.01, outputUsdPerMillion: 0, cachedInputUsdPerMillion: 0.01 } },
    ])
    const [routed, unpriced] = readModelList({ data: [
      { id: 'openai/gpt-5', context_length: 400_000, architecture: { output_modalities: ['text'] }, pricing: { prompt: '0.00000125', completion: '0.00001', input_cache_read: '0.000000125' } },
      { id: 'openrouter/auto', context_length: 2_000_000, architecture: { output_modalities: ['text'] }, pricing: { prompt: '-1', completion: '-1' } },
      { id: 'google/image-maker', architecture: { output_modalities: ['image'] } },
    ] }) ?? []
    expect(routed).toMatchObject({ name: 'openai/gpt-5', does: 'chat', contextTokens: 400_000 })
    expect(routed?.price?.inputUsdPerMillion).toBeCloseTo(1.25, 9)
    expect(routed?.price?.cachedInputUsdPerMillion).toBeCloseTo(0.125, 9)
    expect(unpriced).toEqual({ name: 'openrouter/auto', does: 'chat', contextTokens: 2_000_000 })
  })

  it('keep what is no model for texts out', () => {
    const odd = ['whisper-1', 'tts-1-hd', 'gpt-4o-mini-tts', 'gpt-4o-transcribe', 'dall-e-3', 'gpt-image-1', 'sora-2', 'omni-moderation-latest', 'gpt-4o-realtime-preview', 'gpt-audio', 'davinci-002', 'gpt-3.5-turbo-instruct', 'o1-pro', 'gpt-5-pro', 'gpt-5.2-codex', 'o3-deep-research', 'computer-use-preview']
    expect(odd.filter((name) => doesByName(name) !== undefined)).toEqual([])
    const chats = ['gpt-4o', 'gpt-4.1-mini', 'gpt-5', 'gpt-5-mini-2025-08-07', 'o3', 'o4-mini', 'chatgpt-4o-latest', 'llama3.2:3b', 'qwen/qwen3-4b-instruct-2507', 'mistral-small3.2:latest', 'claude-opus-4-6', 'deepseek-v4-pro']
    expect(chats.filter((name) => doesByName(name) !== 'chat')).toEqual([])
    const embeds = ['text-embedding-3-small', 'nomic-embed-text', 'BAAI/bge-m3', 'intfloat/e5-large-v2', 'all-minilm:33m', 'mxbai-embed-large']
    expect(embeds.filter((name) => doesByName(name) !== 'embed')).toEqual([])
  })

  it('odd entries do no harm', () => {
    expect(readModelList({ data: [null, 7, {}, { id: '' }, { id: 'x'.repeat(1_000) }, { id: 'fine', max_model_len: 'many', pricing: 'free' }, { id: 'fine' }] })).toEqual([{ name: 'fine', does: 'chat' }])
    for (const none of [undefined, null, 'text', {}, { data: 'none' }]) expect(readModelList(none)).toBeUndefined()
  })

  it('contexts are known by name', () => {
    expect(['gpt-5', 'gpt-5.4', 'gpt-5.4-mini', 'gpt-4o-mini', 'gpt-4', 'gpt-4.1-nano', 'o4-mini', 'meta-llama/Llama-3.3-70B-Instruct-Turbo', 'text-embedding-3-small', 'who-knows'].map((name) => contextByName(name))).toEqual([400_000, 1_050_000, 400_000, 128_000, 8_192, 1_047_576, 200_000, 131_072, 8_192, undefined])
  })
})
