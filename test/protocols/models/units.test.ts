import { describe, expect, it } from 'vitest'
import type { Digest } from '../../../protocols/kernel/ids.ts'
import { answerTokensGuess, unitsOf, unitsOfPayload } from '../../../protocols/models/units.ts'

const user = (content: string) => ({ role: 'user', content })

describe('how much a model has to do', () => {
  it('is a token for four characters of what it is told, and eight for each message', () => {
    // "role", "user", "content" and 85 characters: 100.
    expect(unitsOf('llm.chat', { messages: [user('x'.repeat(85))], maxTokens: 50 })).toEqual({ input: 25 + 8, output: 50 })
    expect(unitsOf('llm.chat', { messages: [user('x'.repeat(85)), user('x'.repeat(85))], maxTokens: 50 })).toEqual({ input: 50 + 16, output: 50 })
  })

  it('with its functions and the schema of its answer, names and texts', () => {
    const bare = unitsOf('llm.chat', { messages: [user('hello')] })?.input ?? 0
    expect(unitsOf('llm.chat', { messages: [user('hello')], tools: [{ name: 'x'.repeat(36) }] })?.input).toBe(bare + 10)
    expect(unitsOf('llm.chat', { messages: [user('hello')], schema: { type: 'x'.repeat(36) } })?.input).toBe(bare + 10)
  })

  it('of an answer that nobody has limited is a guess', () => {
    expect(unitsOf('llm.chat', { messages: [user('hello')] })?.output).toBe(answerTokensGuess)
    expect(unitsOf('llm.chat', { messages: [user('hello')], maxTokens: 'many' })?.output).toBe(answerTokensGuess)
  })

  it('of embeddings is what goes in', () => {
    expect(unitsOf('llm.embed', { texts: ['x'.repeat(40), 'y'.repeat(41)] })).toEqual({ input: 21, output: 0 })
    expect(unitsOf('llm.embed', { texts: [] })).toEqual({ input: 0, output: 0 })
  })

  it('is not known of other capabilities, nor of what is no input', () => {
    expect(unitsOf('number.double', { messages: [user('hello')] })).toBeUndefined()
    for (const input of [undefined, null, 'hello', 7]) expect(unitsOf('llm.chat', input), String(input)).toBeUndefined()
  })

  it('of a broken input is a number all the same: its provider says what is wrong with it', () => {
    expect(unitsOf('llm.chat', {})).toEqual({ input: 0, output: answerTokensGuess })
    expect(unitsOf('llm.chat', { messages: 'hello' })).toEqual({ input: 2, output: answerTokensGuess })
  })

  it('of an input that is in the blob store is told by its size', () => {
    const blob = { $blob: '0'.repeat(64) as Digest, sizeBytes: 40_001 }
    expect(unitsOfPayload('llm.chat', { blob })).toEqual({ input: 10_001, output: answerTokensGuess })
    expect(unitsOfPayload('llm.embed', { blob })).toEqual({ input: 10_001, output: 0 })
    expect(unitsOfPayload('number.double', { blob })).toBeUndefined()
    expect(unitsOfPayload('llm.embed', { inline: { texts: ['x'.repeat(40)] } })).toEqual({ input: 10, output: 0 })
  })

  it('is found in what is nested 10,000 deep or has ten thousand parts', () => {
    let nested: unknown = 'x'
    for (let i = 0; i < 10_000; i++) nested = [nested]
    expect(unitsOf('llm.embed', { texts: nested })).toEqual({ input: 1, output: 0 })
    expect(unitsOf('llm.embed', { texts: Array.from({ length: 10_000 }, () => 'xxxx') })).toEqual({ input: 10_000, output: 0 })
  })
})
