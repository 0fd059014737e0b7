import OpenAI from 'openai'
import { describe, expect, test } from 'vitest'
import { embedding, saying, startModelMesh } from './model-mesh.ts'

describe('models', () => {
  test('of the whole mesh are listed, each once', async () => {
    const { client } = await startModelMesh(saying('no'), {
      offers: [
        { attributes: { model: 'goose-7b', contextTokens: 32_768, quantisation: 'Q4_K_M' }, nodes: ['node-a', 'node-b'] },
        { attributes: { model: 'goose-7b', contextTokens: 8_192 }, nodes: ['node-b'] },
        { attributes: { model: 'Birds/duck:2b' }, nodes: ['node-b'] },
        { capability: 'llm.embed', attributes: { model: 'Birds/duck:2b' }, nodes: ['node-b'] },
        { capability: 'text.count', attributes: { model: 'no-model' } },
        { version: '2.0', attributes: { model: 'of-another-time' } },
      ],
    })
    const page = await client.models.list()
    const created = page.data[0]?.created
    expect(created).toBeGreaterThan(1_600_000_000)
    expect(page.data).toEqual([
      { id: 'Birds/duck:2b', object: 'model', created, owned_by: 'node-b', skein: { does: ['chat', 'embed'], nodes: [{ node: 'node-b', peer_id: '12D3KooWOther' }] } },
      {
        id: 'goose-7b', object: 'model', created, owned_by: 'node-a', context_length: 8_192,
        skein: { does: ['chat'], nodes: [{ node: 'node-a', peer_id: '12D3KooWSelf', quantisation: 'Q4_K_M' }, { node: 'node-b', peer_id: '12D3KooWOther', quantisation: 'Q4_K_M' }] },
      },
    ])
    for (const model of page.data) expect(await client.models.retrieve(model.id)).toEqual(model)
  })

  test('are none on a mesh without any', async () => {
    const { client } = await startModelMesh(saying('no'), { offers: [] })
    expect((await client.models.list()).data).toEqual([])
  })
})

describe('embeddings', () => {
  const vectorOf = (text: string, dimensions = 3) => Array.from({ length: dimensions }, (_, at) => Math.fround(text.length + at / 10))

  test('as the SDK asks for them by default, and as numbers', async () => {
    const { client, calls, post } = await startModelMesh(embedding)
    const got = await client.embeddings.create({ model: 'goose-embed', input: ['a goose', 'two geese'] })
    expect(got.data.map(({ embedding: vector, index, object }) => ({ vector, index, object }))).toEqual([{ vector: vectorOf('a goose'), index: 0, object: 'embedding' }, { vector: vectorOf('two geese'), index: 1, object: 'embedding' }])
    expect(got).toMatchObject({ object: 'list', model: 'goose-embed', usage: { prompt_tokens: 2, total_tokens: 2 }, skein: { node: 'node-b', cost_usd: 0.25 } })
    expect(calls[0]?.invocation).toMatchObject({ capability: 'llm.embed', version: '1.0', attributes: { model: 'goose-embed' }, input: { model: 'goose-embed', texts: ['a goose', 'two geese'] } })
    expect((await client.embeddings.create({ model: 'goose-embed', input: 'a goose', encoding_format: 'float' })).data[0]?.embedding).toEqual(vectorOf('a goose'))

    const raw = await (await post('/v1/embeddings', { input: 'a goose', encoding_format: 'base64', user: 'ada' })).json() as { data: { embedding: string }[] }
    expect(raw.data[0]?.embedding).toBe(Buffer.from(Float32Array.from(vectorOf('a goose')).buffer).toString('base64'))
    expect(calls.at(-1)?.invocation).not.toHaveProperty('attributes')
    const plain = await (await post('/v1/embeddings', { input: 'a goose' })).json() as { data: { embedding: number[] }[] }
    expect(plain.data[0]?.embedding).toEqual(vectorOf('a goose'))
  })

  test('with fewer dimensions', async () => {
    const { client } = await startModelMesh(embedding)
    expect((await client.embeddings.create({ model: 'goose-embed', input: 'goose', dimensions: 2 })).data[0]?.embedding).toEqual(vectorOf('goose', 2))
  })

  test.each(['float', 'base64'] as const)('by the thousand (%s)', async (format) => {
    const { client } = await startModelMesh(embedding)
    const texts = Array.from({ length: 2_048 }, (_, i) => 'x'.repeat((i % 7) + 1))
    const { data } = await client.embeddings.create({ model: 'goose-embed', input: texts, dimensions: 384, ...(format === 'float' ? { encoding_format: format } : {}) })
    expect(data.map(({ index }) => index)).toEqual(texts.map((_, i) => i))
    for (const [i, text] of texts.entries()) expect(data[i]?.embedding).toEqual(vectorOf(text, 384))
  })

  test.each<[string, object, string]>([
    ['tokens', { input: [1, 2, 3] }, 'input'],
    ['lists of tokens', { input: [[1, 2], [3]] }, 'input'],
    ['nothing', { input: '' }, 'input'],
    ['a list of nothing', { input: [] }, 'input'],
    ['too many', { input: Array.from({ length: 2_049 }, () => 'x') }, 'input'],
    ['a form that is none', { encoding_format: 'hex' }, 'encoding_format'],
    ['no dimension', { dimensions: 0 }, 'dimensions'],
    ['what there is not', { truncate: true }, 'truncate'],
  ])('of %s are refused by name', async (_what, wrong, param) => {
    const { client, calls } = await startModelMesh(embedding)
    const thrown = await client.embeddings.create({ model: 'goose-embed', input: 'goose', ...wrong } as never).then(() => undefined, (error: unknown) => error)
    expect(thrown).toBeInstanceOf(OpenAI.BadRequestError)
    expect(thrown).toMatchObject({ param })
    expect(calls).toEqual([])
  })

  test('end with their client, and are checked', async () => {
    const stop = new AbortController()
    const { client, calls } = await startModelMesh(({ aborted }) => {
      setImmediate(() => stop.abort())
      return aborted
    })
    await expect(client.embeddings.create({ model: 'goose-embed', input: 'x' }, { signal: stop.signal })).rejects.toBeInstanceOf(OpenAI.APIUserAbortError)
    await expect(calls[0]?.aborted).rejects.toThrow()
    const { client: other } = await startModelMesh((call) => ({ ...(embedding(call) as object), vectors: [] }))
    await expect(other.embeddings.create({ model: 'goose-embed', input: 'x' })).rejects.toMatchObject({ status: 502, code: 'bad-output' })
  })
})
