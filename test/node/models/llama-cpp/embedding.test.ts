import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LlamaCppProvider } from '../../../../node/models/llama-cpp/llama-cpp-adapter.ts'
import { openLlamaCpp } from '../../../../node/models/llama-cpp/llama-cpp-adapter.ts'
import type { EmbedInput } from '../../../../protocols/models/schema.ts'
import { EmbedOutput } from '../../../../protocols/models/schema.ts'
import { faultOf } from '../../../contracts/log-store.ts'
import { writeTinyGguf } from '../../../support/tiny-gguf/tiny-gguf.ts'

const width = 32
let folder: string
let provider: LlamaCppProvider
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skein-embedding-'))
  const file = join(folder, 'vectors.gguf')
  await writeTinyGguf(file, { pooling: 'mean', width, contextTokens: 512 })
  provider = await openLlamaCpp({ file, gpu: false })
})
afterAll(async () => {
  await provider.close()
  await rm(folder, { recursive: true, force: true })
})

const embed = (input: EmbedInput) => provider.embed('vectors', input, { signal: new AbortController().signal })

function vectorOf(base64: string | undefined): number[] {
  const bytes = Buffer.from(base64 ?? '', 'base64')
  return Array.from({ length: bytes.byteLength / 4 }, (_, index) => bytes.readFloatLE(index * 4))
}

describe('texts as vectors', () => {
  it('is what a model with pooling is for', async () => {
    expect(provider.models()).toMatchObject([{ name: 'vectors', does: 'embed', slots: 1 }])
    expect(await faultOf(provider.chat('vectors', { messages: [{ role: 'user', content: 'a' }] }, { signal: new AbortController().signal }))).toMatchObject({ code: 'bad-input' })
  })

  it('gives one of length 1 for each text, in order', async () => {
    const output = EmbedOutput.parse(await embed({ texts: ['a house', 'another house', 'rain'] }))
    expect(output).toMatchObject({ model: 'vectors', dimensions: width })
    const vectors = output.vectors.map(vectorOf)
    expect(vectors.map(({ length }) => length)).toEqual([width, width, width])
    for (const vector of vectors) expect(Math.hypot(...vector)).toBeCloseTo(1, 5)
    expect(output.usage.promptTokens).toBeGreaterThan(3)
    const alone = await embed({ texts: ['rain'] })
    expect(vectorOf(alone.vectors[0])).toEqual(vectors[2])
  })

  it('gives the same for the same text and another for another', async () => {
    const { vectors } = await embed({ texts: ['a house', 'rain', 'a house'] })
    expect(vectors[0]).toBe(vectors[2])
    expect(vectors[0]).not.toBe(vectors[1])
  })

  it('gives fewer dimensions when asked, of length 1 again', async () => {
    const whole = vectorOf((await embed({ texts: ['a house'] })).vectors[0])
    const output = await embed({ texts: ['a house'], dimensions: 8 })
    const short = vectorOf(output.vectors[0])
    expect(output.dimensions).toBe(8)
    expect(Math.hypot(...short)).toBeCloseTo(1, 5)
    const stretch = Math.hypot(...whole.slice(0, 8))
    for (const [index, value] of short.entries()) expect(value * stretch).toBeCloseTo(whole[index] ?? 0, 5)
    expect(await faultOf(embed({ texts: ['a'], dimensions: width + 1 }))).toMatchObject({ code: 'bad-input' })
  })

  it('takes an empty text', async () => {
    expect(vectorOf((await embed({ texts: [''] })).vectors[0])).toHaveLength(width)
  })

  it('refuses a text that does not fit, and says which', async () => {
    expect(await faultOf(embed({ texts: ['a', 'word '.repeat(600)] }))).toMatchObject({ code: 'context-overflow', detail: expect.stringMatching(/^text 2 has \d+ tokens/) })
  })

  it('can be given up', async () => {
    expect(await faultOf(provider.embed('vectors', { texts: ['a'] }, { signal: AbortSignal.abort() }))).toMatchObject({ code: 'cancelled' })
  })
})
