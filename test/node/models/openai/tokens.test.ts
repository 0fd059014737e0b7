import { describe, expect, it } from 'vitest'
import { countChat, countText } from '../../../../node/models/openai/tokens.ts'

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

  it('of a long text are counted in parts, and come to the same', async () => {
    const words = Array.from({ length: 10_000 }, (_, i) => `word${i % 97}`).join(' ')
    const once = await countText('gpt-4o', words.slice(0, 4_000))
    expect(await countText('gpt-4o', words.slice(0, 4_000).repeat(10))).toBeGreaterThan(10 * once - 20)
    expect(await countText('gpt-4o', words.slice(0, 4_000).repeat(10))).toBeLessThan(10 * once + 20)
    expect(await countText('gpt-4o', '🪿'.repeat(9_000)), 'without a space to part it at').toBeGreaterThan(9_000)
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
