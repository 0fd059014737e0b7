import { describe, expect, it } from 'vitest'
import { countChat, countText, tokensAtMost } from '../../../../node/models/openai/tokens.ts'
import type { ChatInput } from '../../../../protocols/models/schema.ts'

describe('tokens counted here', () => {
  it('are those of the model\'s encoding', async () => {
    expect(await countText('gpt-4o', 'hello world')).toBe(2)
    expect(await countText('gpt-4o', '')).toBe(0)
    // The same text in both encodings.
    const hindi = 'नमस्ते दुनिया, आप कैसे हैं?'
    expect(await countText('gpt-4', hindi)).toBeGreaterThan(await countText('gpt-4o', hindi))
    expect(await countText('some-model', hindi)).toBe(await countText('gpt-5', hindi))
    expect(await countText('gpt-4.1', hindi)).toBe(await countText('gpt-4o', hindi))
  })

  it('are counted for many at the same time', async () => {
    const counts = await Promise.all(Array.from({ length: 50 }, (_, i) => countText('gpt-4o', 'goose '.repeat(i))))
    for (const i of [0, 1, 7, 49]) expect(counts[i]).toBe(await countText('gpt-4o', 'goose '.repeat(i)))
    expect(counts[49]).toBeGreaterThan(counts[10] ?? Infinity)
  })

  it('do not hold up the loop of the node, however long the text', async () => {
    let turns = 0
    const beat = setInterval(() => turns++, 1)
    // It takes its thread much longer than a turn.
    await countText('gpt-4o', 'Wild geese fly south in the autumn of the year. '.repeat(20_000))
    clearInterval(beat)
    expect(turns).toBeGreaterThan(10)
  })

  it('are never more than is said quickly', async () => {
    for (const content of ['', 'hello', '🪿🪿🪿 नमस्ते', '\u0000\u0001', '!?!?'.repeat(50)]) {
      const input: ChatInput = { messages: [{ role: 'user', content }], tools: [{ name: 'fly' }] }
      expect(await countChat('gpt-4o', input)).toBeLessThanOrEqual(tokensAtMost(input))
    }
  })

  it('control tokens in a text are text', async () => {
    expect(await countText('gpt-4o', '<|endoftext|>')).toBeGreaterThan(1)
  })

  it('of a chat include its messages, calls, functions and schema', async () => {
    const plain = await countChat('gpt-4o', { messages: [{ role: 'user', content: 'hello' }] })
    expect(plain).toBeGreaterThan(1)
    expect(await countChat('gpt-4o', { messages: [{ role: 'user', content: 'hello' }, { role: 'assistant', content: null, toolCalls: [{ id: 'a', name: 'fly', arguments: '{"to":"the south"}' }] }] })).toBeGreaterThan(plain + 5)
    expect(await countChat('gpt-4o', { messages: [{ role: 'user', content: 'hello' }], schema: { type: 'object' } })).toBeGreaterThan(plain)
  })
})
