import { describe, expect, it } from 'vitest'
import { inProtocol, readToolAnswer, toolProtocol } from '../../../../node/models/llama-cpp/tool-protocol.ts'
import type { ToolSpec } from '../../../../protocols/models/schema.ts'
import { refused } from './refused.ts'

const tools: ToolSpec[] = [
  { name: 'read', description: 'Reads a file.', parameters: { type: 'object', properties: { path: { $ref: '#/$defs/path' } }, required: ['path'], $defs: { path: { type: 'string' } } } },
  { name: 'list', parameters: { type: 'object', properties: { of: { $ref: '#/$defs/path' } }, required: ['of'], $defs: { path: { type: 'integer' } } } },
]
const messages = [{ role: 'user', content: 'hello' }] as const

describe('function calls for a model that knows none', () => {
  it('describes each function and both ways to reply', () => {
    const { instructions } = toolProtocol({ messages: [...messages], tools })
    for (const part of ['- read: Reads a file.', '- list', '{"tool"', '{"answer"']) expect(instructions).toContain(part)
  })

  it('lets the model choose between the functions and an answer', () => {
    const { grammar } = toolProtocol({ messages: [...messages], tools })
    expect(grammar.root).toMatchObject({ oneOf: [{ properties: { tool: { const: 'read' } } }, { properties: { tool: { const: 'list' } } }, { properties: { answer: { type: 'string' } } }] })
  })

  it('keeps the definitions of the functions apart', () => {
    const { grammar } = toolProtocol({ messages: [...messages], tools })
    expect(Object.values(grammar.definitions)).toEqual([{ type: 'string' }, { type: 'integer' }])
  })

  it('leaves no choice when a call is required, or a certain one', () => {
    const required = toolProtocol({ messages: [...messages], tools, toolChoice: 'required' })
    expect(required.grammar.root).toMatchObject({ oneOf: [{ properties: { tool: { const: 'read' } } }, { properties: { tool: { const: 'list' } } }] })
    expect(required.instructions).not.toContain('{"answer"')
    const certain = toolProtocol({ messages: [...messages], tools, toolChoice: { name: 'list' } })
    expect(certain.grammar.root).toMatchObject({ oneOf: [{ properties: { tool: { const: 'list' } } }] })
    expect(certain.instructions).not.toContain('read')
  })

  it('refuses a certain function that is not there', () => {
    expect(refused(() => toolProtocol({ messages: [...messages], tools, toolChoice: { name: 'write' } }))).toMatchObject({ code: 'bad-input', detail: expect.stringContaining('"write"') })
  })

  it('writes earlier calls and results as the model would have', () => {
    expect(inProtocol([
      { role: 'user', content: 'go' },
      { role: 'assistant', content: null, toolCalls: [{ id: 'c1', name: 'read', arguments: '{"path":"a"}' }, { id: 'c2', name: 'list', arguments: '' }] },
      { role: 'tool', toolCallId: 'c1', content: 'text' },
    ])).toEqual([
      { role: 'user', content: 'go' },
      { role: 'assistant', content: '{"tool":"read","arguments":{"path":"a"}}\n{"tool":"list","arguments":{}}' },
      { role: 'user', content: 'Result of read: text' },
    ])
  })

  it('reads calls and answers, and tells what is neither', () => {
    expect(readToolAnswer('{"tool":"read","arguments":{"path":"a"}}')).toEqual({ type: 'call', name: 'read', arguments: '{"path":"a"}' })
    expect(readToolAnswer('{"answer":"yes"}')).toEqual({ type: 'answer', content: 'yes' })
    expect(readToolAnswer('{"answer":{"a":1}}')).toEqual({ type: 'answer', content: '{"a":1}' })
    for (const text of ['{"answer":"ye', 'yes', '3', 'null', '{}']) expect(readToolAnswer(text)).toBeUndefined()
  })
})
