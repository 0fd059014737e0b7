import { describe, expect, it } from 'vitest'
import { readVector } from '../../../../node/models/openai/vectors.ts'
import { faultOf } from '../../../contracts/llm-provider.ts'
import { embedText } from '../../../support/openai-server/embeddings.ts'
import { asks, never, open } from './open-provider.ts'

const texts = ['wild geese fly south in autumn', 'geese fly south', 'the stock market fell on monday']

function floats(base64: string): Float32Array {
  const bytes = Buffer.from(base64, 'base64')
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i))
}

function likeness(left: Float32Array, right: Float32Array): number {
  return left.reduce((sum, value, i) => sum + value * (right[i] ?? 0), 0)
}

describe('embeddings of an endpoint', () => {
  it('are the same whether they come as base64, as numbers although base64 was asked for, or as numbers only', async () => {
    for (const embeddingForm of ['base64', 'numbers', 'numbers-only'] as const) {
      const { provider, server } = await open({ embeddingForm, dimensions: 48 })
      for (let i = 0; i < 2; i++) {
        const { vectors, dimensions, usage } = await provider.embed('test-embedding', { texts }, { signal: never })
        expect(dimensions).toBe(48)
        expect(vectors.map(floats)).toEqual(texts.map((text) => embedText(text, 48)))
        expect(usage).toMatchObject({ promptTokens: Math.ceil(texts.join('').length / 4), completionTokens: 0 })
      }
      expect(server.embeddings, 'what it does not take is asked for once').toHaveLength(embeddingForm === 'numbers-only' ? 3 : 2)
    }
  })

  it('can be shorter', async () => {
    const { provider } = await open()
    expect((await provider.embed('test-embedding', { texts, dimensions: 8 }, { signal: never })).dimensions).toBe(8)
  })

  it('many texts are sent in parts, and come back in their order', async () => {
    const { provider, server } = await open({ dimensions: 4 })
    const many = Array.from({ length: 600 }, (_, i) => `text number ${i}`)
    const { vectors } = await provider.embed('test-embedding', { texts: many }, { signal: never })
    expect(vectors.map(floats)).toEqual(many.map((text) => embedText(text, 4)))
    expect(server.embeddings.length).toBeGreaterThan(1)
    const long = Array.from({ length: 5 }, () => 'goose '.repeat(20_000))
    server.forget()
    expect((await provider.embed('test-embedding', { texts: long }, { signal: never })).vectors).toHaveLength(5)
    expect(server.embeddings.length).toBe(2)
  })

  it('come in whatever order the endpoint gives them', async () => {
    const { provider } = await open({ routes: { 'POST /v1/embeddings': { data: [{ index: 1, embedding: [1, 1] }, { index: 0, embedding: [0, 0.5] }] } } })
    const { vectors, usage } = await provider.embed('test-embedding', { texts: ['first', 'second'] }, { signal: never })
    expect(vectors.map((vector) => [...floats(vector)])).toEqual([[0, 0.5], [1, 1]])
    expect(usage.promptTokens, 'counted here').toBe(2)
  })

  it('that are none, too few or of different lengths are refused', async () => {
    for (const data of [[], [{ embedding: [1] }], [{ embedding: [1] }, { embedding: [1, 2] }], [{ embedding: 'AAA=' }, { embedding: 'AAA=' }], [{ embedding: [1, null] }, { embedding: [1, 2] }], 'none']) {
      const { provider } = await open({ routes: { 'POST /v1/embeddings': { data } } })
      expect(await faultOf(provider.embed('test-embedding', { texts: ['a', 'b'] }, { signal: never })), JSON.stringify(data)).toMatchObject({ code: 'provider-failed', retryable: false })
    }
  })

  it('of a model that does not make them, or answers of one that only embeds: bad input', async () => {
    const { provider } = await open()
    await provider.refresh()
    expect((await faultOf(provider.embed('test-model', { texts }, { signal: never }))).code).toBe('bad-input')
    expect((await faultOf(provider.chat('test-embedding', asks('hello'), { signal: never }))).code).toBe('bad-input')
  })

  it('base64 is little-endian float32', () => {
    expect(readVector([1, -2.5], 'x')).toEqual({ dimensions: 2, base64: Buffer.from(new Uint8Array([0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc0])).toString('base64') })
  })

  it('of the test server: texts with words in common are close', () => {
    const [south, same, market] = texts.map((text) => embedText(text, 64))
    if (south === undefined || same === undefined || market === undefined) throw new Error('no vectors')
    expect(likeness(south, same)).toBeGreaterThan(0.5)
    expect(likeness(south, market)).toBeLessThan(0.4)
    expect(likeness(south, south)).toBeCloseTo(1, 5)
  })
})
