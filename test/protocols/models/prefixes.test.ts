import { describe, expect, it } from 'vitest'
import { prefixDigests, prefixDigestsMax } from '../../../protocols/models/prefixes.ts'
import type { ChatMessage, ToolSpec } from '../../../protocols/models/schema.ts'

const system: ChatMessage = { role: 'system', content: 'You review code.' }
const tools: ToolSpec[] = [{ name: 'read', parameters: { type: 'object' } }]

function turns(count: number): ChatMessage[] {
  return Array.from({ length: count }, (_, index) => ({ role: index % 2 === 0 ? 'user' : 'assistant', content: `turn ${index}` }))
}

function inCommon(left: readonly string[], right: readonly string[]): number {
  return left.filter((digest) => right.includes(digest)).length
}

describe('digests of the beginnings of a conversation', () => {
  it('are shared by two calls of one role with different questions', () => {
    const [left, right] = ['one', 'two'].map((content) => prefixDigests({ messages: [system, { role: 'user', content }], tools }))
    expect(inCommon(left ?? [], right ?? [])).toBe(1)
    expect(left?.[0]).toBe(right?.[0])
  })

  it('tell roles with other tools, or another system message, apart from the start', () => {
    const question: ChatMessage = { role: 'user', content: 'one' }
    const mine = prefixDigests({ messages: [system, question], tools })
    expect(inCommon(mine, prefixDigests({ messages: [system, question] }))).toBe(0)
    expect(inCommon(mine, prefixDigests({ messages: [{ ...system, content: 'You write code.' }, question], tools }))).toBe(0)
  })

  it('say nothing of what all conversations share: nothing', () => {
    expect(inCommon(prefixDigests({ messages: turns(3) }), prefixDigests({ messages: [{ role: 'user', content: 'else' }] }))).toBe(0)
  })

  it.each([1, 2, 5, 40])('recognise a conversation of %i messages that has gone on by two', (length) => {
    const before = prefixDigests({ messages: [system, ...turns(length)], tools })
    const after = prefixDigests({ messages: [system, ...turns(length + 2)], tools })
    expect(before.length).toBeLessThanOrEqual(prefixDigestsMax)
    expect(after.length).toBeLessThanOrEqual(prefixDigestsMax)
    // The whole of what was said before, not only the role.
    expect(after).toContain(before.at(-1))
    expect(inCommon(before, after)).toBeGreaterThanOrEqual(2)
  })

  it('do not recognise one that has gone another way', () => {
    const shared = turns(2)
    const left = prefixDigests({ messages: [system, ...shared, { role: 'user', content: 'left' }, { role: 'assistant', content: 'same' }] })
    const right = prefixDigests({ messages: [system, ...shared, { role: 'user', content: 'right' }, { role: 'assistant', content: 'same' }] })
    expect(inCommon(left, right)).toBe(3)
    expect(left.at(-1)).not.toBe(right.at(-1))
  })

  it('do not depend on the order in which objects were built', () => {
    expect(prefixDigests({ messages: [{ content: 'a', role: 'user' }], tools: [{ parameters: { b: 1, a: 2 }, name: 'f' }] }))
      .toEqual(prefixDigests({ messages: [{ role: 'user', content: 'a' }], tools: [{ name: 'f', parameters: { a: 2, b: 1 } }] }))
  })
})
