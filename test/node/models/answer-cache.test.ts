import { describe, expect, it } from 'vitest'
import { type AnswerCache, type AnswerCacheSettings, createAnswerCache } from '../../../node/models/answer-cache.ts'
import type { Principal } from '../../../protocols/kernel/ids.ts'
import type { ChatInput, ChatOutput } from '../../../protocols/models/schema.ts'

const who = 'ada' as Principal
const cacheOf = (settings: Partial<AnswerCacheSettings>): AnswerCache => createAnswerCache({ chat: { exact: true, similar: 0 }, embed: { exact: false }, bytesMax: 1_000_000, ...settings })
const question = (text: string, more: Partial<ChatInput> = {}): ChatInput => ({ messages: [{ role: 'user', content: text }], temperature: 0, ...more })
const answer = (content: string, more: Partial<ChatOutput> = {}): ChatOutput => ({ model: 'm', content, toolCalls: [], finish: 'stop', usage: { promptTokens: 1, cachedTokens: 0, completionTokens: 1, costUsd: 1 }, ...more })
const noVector = (): Promise<undefined> => Promise.resolve(undefined)
/** Texts as directions: `3,4`. */
const vector = (text: string): Promise<Float32Array> => Promise.resolve(Float32Array.from(text.split(',').map(Number)))

async function keep(cache: AnswerCache, input: ChatInput, output: ChatOutput, embed: typeof noVector | typeof vector = noVector): Promise<void> {
  const entry = await cache.chat('m', input, who, embed)
  entry.keep(output)
}

describe('room', () => {
  it('is bounded: what was not used for longest goes first', async () => {
    const cache = cacheOf({ bytesMax: 3_500 })
    for (const name of ['a', 'b', 'c']) await keep(cache, question(name), answer(name.repeat(100)))
    expect(cache.usage().entries).toBe(3)
    expect((await cache.chat('m', question('a'), who, noVector)).found?.content).toBe('a'.repeat(100))
    await keep(cache, question('d'), answer('d'.repeat(100)))
    expect(cache.usage().bytes).toBeLessThanOrEqual(3_500)
    expect((await cache.chat('m', question('b'), who, noVector)).found).toBeUndefined()
    for (const name of ['a', 'c', 'd']) expect((await cache.chat('m', question(name), who, noVector)).found?.content?.[0], name).toBe(name)
  })

  it('is not spent on what is larger than all of it', async () => {
    const cache = cacheOf({ bytesMax: 1_500 })
    await keep(cache, question('small'), answer('x'))
    await keep(cache, question('large'), answer('x'.repeat(10_000)))
    expect(cache.usage().entries).toBe(1)
  })
})

describe('likeness', () => {
  it('is the cosine, from the threshold on, of those that differ in nothing else', async () => {
    const cache = cacheOf({ chat: { exact: false, similar: 0.95 } })
    await keep(cache, question('1,0'), answer('east'), vector)
    await keep(cache, question('0,5'), answer('north'), vector)
    const found = async (text: string, more: Partial<ChatInput> = {}): Promise<string | null | undefined> => (await cache.chat('m', question(text, more), who, vector)).found?.content
    expect(await found('10,1')).toBe('east')
    expect(await found('1,10')).toBe('north')
    expect(await found('1,1')).toBeUndefined()
    expect(await found('10,1', { maxTokens: 5 })).toBeUndefined()
    expect(await found('0,0')).toBeUndefined()
    expect(await found('10,1,0')).toBeUndefined()
    expect((await cache.chat('other model', question('10,1'), who, vector)).found).toBeUndefined()
    expect((await cache.chat('m', question('10,1'), 'bob' as Principal, vector)).found).toBeUndefined()
  })

  it('is not looked for after anything but a question', async () => {
    const cache = cacheOf({ chat: { exact: false, similar: 0.5 } })
    const input: ChatInput = { temperature: 0, messages: [{ role: 'user', content: '1,0' }, { role: 'assistant', content: 'and?' }] }
    await keep(cache, input, answer('x'), vector)
    expect((await cache.chat('m', input, who, vector)).found).toBeUndefined()
  })

  it('does not hold for an answer that was cut off', async () => {
    const cache = cacheOf({ chat: { exact: true, similar: 0.9 } })
    await keep(cache, question('1,0'), answer('cu', { finish: 'length' }), vector)
    expect((await cache.chat('m', question('1,0'), who, vector)).found).toMatchObject({ content: 'cu', cached: 'exact' })
    expect((await cache.chat('m', question('2,0'), who, vector)).found).toBeUndefined()
  })
})

it('never keeps what was kept back', async () => {
  const cache = cacheOf({})
  await keep(cache, question('a'), answer('', { finish: 'filter' }))
  expect(cache.usage()).toEqual({ entries: 0, bytes: 0 })
})
