import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { LlamaCppProvider } from '../../../../node/models/llama-cpp/llama-cpp-adapter.ts'
import { openLlamaCpp } from '../../../../node/models/llama-cpp/llama-cpp-adapter.ts'
import type { ChatDelta, ChatMessage, ChatOutput, ToolSpec } from '../../../../protocols/models/schema.ts'
import { joined } from '../../../contracts/llm-provider.ts'
import { toolCallPhrase, toolTemplate, writeTinyGguf } from '../../../support/tiny-gguf/tiny-gguf.ts'

let folder: string
let provider: LlamaCppProvider
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skein-functions-'))
  const file = join(folder, 'caller.gguf')
  // It either ends at once or begins a call, one as likely as the other.
  await writeTinyGguf(file, { chatTemplate: toolTemplate, phrase: toolCallPhrase, endBias: 2 })
  provider = await openLlamaCpp({ file, gpu: false })
})
afterAll(async () => {
  await provider.close()
  await rm(folder, { recursive: true, force: true })
})

const digit = { type: 'integer', minimum: 0, maximum: 9 }
const tools: ToolSpec[] = [
  { name: 'add', description: 'Adds two numbers.', parameters: { type: 'object', properties: { a: digit, b: digit }, required: ['a', 'b'] } },
  { name: 'say', parameters: { type: 'object', properties: { text: { type: 'string', maxLength: 10 } }, required: ['text'] } },
  { name: 'now' },
]
const question: ChatMessage = { role: 'user', content: 'What is 2 and 3?' }

/** Tries seeds until one answers in the way asked for. */
async function answering(what: (output: ChatOutput) => boolean): Promise<{ output: ChatOutput; deltas: ChatDelta[] }> {
  for (let seed = 1; seed <= 300; seed++) {
    const deltas: ChatDelta[] = []
    const output = await provider.chat('caller', { messages: [question], tools, seed, temperature: 1, maxTokens: 200 }, { signal: new AbortController().signal, onDelta: (delta) => deltas.push(delta) })
    if (what(output)) return { output, deltas }
  }
  throw new Error('no seed answers so')
}

describe('functions of a model that was trained to call them', () => {
  it.each(tools.map((tool) => [tool.name, tool] as const))('are called in its own way: %s', async (name, tool) => {
    const { output, deltas } = await answering(({ toolCalls }) => toolCalls[0]?.name === name)
    expect(output.finish).toBe('tool-calls')
    expect(output.content).toBeNull()
    for (const call of output.toolCalls) expect(call.arguments).toBe(call.arguments.trim())
    const fits = z.fromJSONSchema(tool.parameters ?? { type: 'object' }).safeParse(JSON.parse(output.toolCalls[0]?.arguments ?? ''))
    expect(fits.error).toBeUndefined()
    expect(joined(deltas)).toEqual({ content: '', calls: output.toolCalls })
  })

  it('are streamed while they are written', async () => {
    const { deltas } = await answering(({ toolCalls }) => toolCalls[0]?.name === 'say')
    expect(deltas.length).toBeGreaterThan(5)
    expect(deltas[0]?.toolCall).toMatchObject({ index: 0, id: expect.stringMatching(/^call_/), name: 'say' })
    for (const { toolCall } of deltas.slice(1)) expect(toolCall?.id).toBeUndefined()
  })

  it('need not be called', async () => {
    const { output } = await answering(({ toolCalls }) => toolCalls.length === 0)
    expect(output).toMatchObject({ finish: 'stop', content: '' })
  })

  it('tell the model their results, after the call that it remembers', async () => {
    const { output } = await answering(({ toolCalls }) => toolCalls.length === 1)
    const [call] = output.toolCalls
    const messages: ChatMessage[] = [question, { role: 'assistant', content: null, toolCalls: output.toolCalls }, { role: 'tool', toolCallId: call?.id ?? '', content: '{"sum":5}' }]
    const next = await provider.chat('caller', { messages, tools, seed: 1, maxTokens: 200 }, { signal: new AbortController().signal })
    expect(next.usage.promptTokens).toBeGreaterThan(output.usage.promptTokens + 10)
    // At least up to where it began to call.
    expect(next.usage.cachedTokens).toBeGreaterThanOrEqual(output.usage.promptTokens - 1)
  })

  it('are called through a grammar when they must be', async () => {
    const output = await provider.chat('caller', { messages: [question], tools, toolChoice: { name: 'add' }, maxTokens: 200 }, { signal: new AbortController().signal })
    expect(output).toMatchObject({ finish: 'tool-calls', toolCalls: [{ name: 'add' }] })
  })
})
