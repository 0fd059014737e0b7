/**
 * What every LlmProvider must do, whatever its models know: only the form of what they say is looked at.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LlmProvider } from '../../actors/ports/llm-provider.ts'
import { MeshError } from '../../protocols/kernel/errors.ts'
import type { Fault } from '../../protocols/kernel/errors.ts'
import { ChatDelta, ChatOutput, EmbedOutput } from '../../protocols/models/schema.ts'
import type { ChatInput } from '../../protocols/models/schema.ts'

export interface LlmProviderSetup {
  readonly provider: LlmProvider
  /** A model that chats. Its context must be small enough that a prompt of `tooLongChars` characters does not fit. */
  readonly chatModel: string
  readonly tooLongChars: number
  /** Absent: the provider has none that embeds. */
  readonly embedModel?: string
  /** Makes an answer of at least 8 pieces, if it is let. Default: a request to count to a hundred. */
  readonly longInput?: ChatInput
  /** Absent: its models call no functions. The one function is to be called. */
  readonly toolInput?: ChatInput
  close(): Promise<void>
}

const never = new AbortController().signal

export async function faultOf(work: Promise<unknown>): Promise<Fault> {
  const outcome = await work.then((value) => ({ value }), (thrown: unknown) => ({ thrown }))
  if ('value' in outcome) throw new Error(`expected a failure, got ${JSON.stringify(outcome.value).slice(0, 300)}`)
  if (!(outcome.thrown instanceof MeshError)) throw new Error('expected a MeshError', { cause: outcome.thrown })
  return outcome.thrown.fault
}

/** The pieces put together, as a client does. */
export function joined(deltas: readonly ChatDelta[]): { content: string; calls: { id: string; name: string; arguments: string }[] } {
  const calls: { id: string; name: string; arguments: string }[] = []
  for (const { toolCall } of deltas) {
    if (toolCall === undefined) continue
    const call = (calls[toolCall.index] ??= { id: '', name: '', arguments: '' })
    call.id += toolCall.id ?? ''
    call.name += toolCall.name ?? ''
    call.arguments += toolCall.arguments ?? ''
  }
  return { content: deltas.map(({ content }) => content ?? '').join(''), calls }
}

/** @param does whether the provider has a model that embeds. */
export function llmProviderContract(name: string, setup: () => Promise<LlmProviderSetup>, does: { readonly embeds: boolean } = { embeds: true }): void {
  describe(`llm provider: ${name}`, () => {
    let under: LlmProviderSetup
    beforeAll(async () => {
      under = await setup()
    })
    afterAll(() => under.close())

    const hello: ChatInput = { messages: [{ role: 'user', content: 'Say hello.' }], maxTokens: 16 }
    const long = (): ChatInput => under.longInput ?? { messages: [{ role: 'user', content: 'Count from one to a hundred, in words.' }], maxTokens: 200 }

    it('says where it is, and which models it has', () => {
      expect(under.provider.origin).not.toBe('')
      const models = under.provider.models()
      expect(new Set(models.map((model) => model.name)).size, 'each name once').toBe(models.length)
      expect(models.find((model) => model.name === under.chatModel)?.does).toBe('chat')
      if (under.embedModel !== undefined) expect(models.find((model) => model.name === under.embedModel)?.does).toBe('embed')
      for (const model of models) {
        expect(model.contextTokens).toBeGreaterThan(0)
        expect(model.slots).toBeGreaterThan(0)
        expect(model.inputUsdPerMillion).toBeGreaterThanOrEqual(0)
        expect(model.outputUsdPerMillion).toBeGreaterThanOrEqual(0)
      }
    })

    it('answers, and says what it used', async () => {
      const output = ChatOutput.parse(await under.provider.chat(under.chatModel, hello, { signal: never }))
      expect(output.model).toBe(under.chatModel)
      expect(output.content).not.toBeNull()
      expect(output.usage.promptTokens).toBeGreaterThan(0)
      expect(output.usage.cachedTokens).toBeLessThanOrEqual(output.usage.promptTokens)
      expect(output.usage.costUsd).toBeGreaterThanOrEqual(0)
    })

    it('streams every piece once, in order, before the answer is complete', async () => {
      const deltas: ChatDelta[] = []
      const output = await under.provider.chat(under.chatModel, long(), { signal: never, onDelta: (delta) => deltas.push(delta) })
      const atOnce = [...deltas]
      expect(atOnce.length).toBeGreaterThan(1)
      for (const delta of atOnce) expect(() => ChatDelta.parse(delta)).not.toThrow()
      expect(joined(atOnce)).toEqual({ content: output.content ?? '', calls: output.toolCalls })
      await under.provider.chat(under.chatModel, hello, { signal: never })
      expect(deltas, 'nothing comes later').toHaveLength(atOnce.length)
    })

    it('ends an answer at its limit, and says so', async () => {
      const output = await under.provider.chat(under.chatModel, { ...long(), maxTokens: 3 }, { signal: never })
      expect(output.finish).toBe('length')
      expect(output.usage.completionTokens).toBeLessThanOrEqual(3)
    })

    it('gives JSON of the schema', async () => {
      const schema = { type: 'object', properties: { colour: { enum: ['red', 'green'] }, isBig: { type: 'boolean' } }, required: ['colour', 'isBig'], additionalProperties: false }
      const deltas: ChatDelta[] = []
      const output = await under.provider.chat(under.chatModel, { messages: [{ role: 'user', content: 'Choose a colour, and say whether it is big.' }], schema, maxTokens: 100 }, { signal: never, onDelta: (delta) => deltas.push(delta) })
      const value = JSON.parse(output.content ?? '') as { colour: unknown; isBig: unknown }
      expect(['red', 'green']).toContain(value.colour)
      expect(typeof value.isBig).toBe('boolean')
      expect(Object.keys(value).sort()).toEqual(['colour', 'isBig'])
      expect(joined(deltas).content).toBe(output.content)
    })

    it('calls the function that is offered', async (context) => {
      if (under.toolInput === undefined) context.skip('its models call no functions')
      else {
        const output = await under.provider.chat(under.chatModel, under.toolInput, { signal: never })
        expect(output.finish).toBe('tool-calls')
        expect(output.toolCalls.length).toBeGreaterThan(0)
        for (const call of output.toolCalls) {
          expect(call.id).not.toBe('')
          expect(under.toolInput.tools?.map((tool) => tool.name)).toContain(call.name)
        }
      }
    })

    it('does not begin what was given up', async () => {
      const deltas: ChatDelta[] = []
      const fault = await faultOf(under.provider.chat(under.chatModel, hello, { signal: AbortSignal.abort(), onDelta: (delta) => deltas.push(delta) }))
      expect(fault.code).toBe('cancelled')
      expect(deltas).toEqual([])
    })

    it('stops when it is given up, and says nothing after it', async () => {
      const stop = new AbortController()
      const deltas: ChatDelta[] = []
      const fault = await faultOf(under.provider.chat(under.chatModel, long(), {
        signal: stop.signal,
        onDelta: (delta) => {
          deltas.push(delta)
          stop.abort()
        },
      }))
      expect(fault.code).toBe('cancelled')
      expect(deltas).toHaveLength(1)
      expect((await under.provider.chat(under.chatModel, hello, { signal: never })).content, 'the next one is served').not.toBeNull()
      expect(deltas).toHaveLength(1)
    })

    it('refuses a prompt that does not fit, and cuts nothing', async () => {
      const content = 'goose '.repeat(Math.ceil(under.tooLongChars / 6))
      const fault = await faultOf(under.provider.chat(under.chatModel, { messages: [{ role: 'user', content }] }, { signal: never }))
      expect(fault).toMatchObject({ code: 'context-overflow', retryable: false })
      expect(fault.detail, 'with the numbers').toMatch(/\d/)
      expect(fault.next).toBeDefined()
    })

    it('counts tokens: more text has more, and what is asked of the answer has none', async () => {
      const count = (content: string, more: Partial<ChatInput> = {}): Promise<number> => under.provider.countTokens(under.chatModel, { messages: [{ role: 'user', content }], ...more })
      const short = await count('goose')
      expect(short).toBeGreaterThan(0)
      expect(await count('goose '.repeat(100))).toBeGreaterThan(short + 50)
      expect(await count('goose', { maxTokens: 100 })).toBe(short)
      expect(await count('goose', { tools: [{ name: 'fly', description: 'Flies somewhere far away.' }] })).toBeGreaterThan(short)
    })

    it('refuses a model that it does not have', async () => {
      expect((await faultOf(under.provider.chat('no-such-model', hello, { signal: never }))).code).toBe('bad-input')
      expect((await faultOf(under.provider.embed('no-such-model', { texts: ['a'] }, { signal: never }))).code).toBe('bad-input')
    })

    it('keeps parallel answers apart', async () => {
      const slots = Math.min(4, under.provider.models().find((model) => model.name === under.chatModel)?.slots ?? 1)
      await Promise.all(Array.from({ length: slots }, async () => {
        const deltas: ChatDelta[] = []
        const output = await under.provider.chat(under.chatModel, { ...long(), maxTokens: 20 }, { signal: never, onDelta: (delta) => deltas.push(delta) })
        expect(joined(deltas).content).toBe(output.content ?? '')
      }))
    })

    if (does.embeds) it('embeds texts in their order', async () => {
      const { embedModel } = under
      if (embedModel === undefined) throw new Error('the provider has no model that embeds: say so by embeds: false')
      const texts = ['wild geese fly south', 'the stock market fell', 'wild geese fly south']
      const output = EmbedOutput.parse(await under.provider.embed(embedModel, { texts }, { signal: never }))
      expect(output.vectors).toHaveLength(texts.length)
      for (const vector of output.vectors) expect(Buffer.from(vector, 'base64')).toHaveLength(4 * output.dimensions)
      expect(output.vectors[2], 'the same text has the same vector').toBe(output.vectors[0])
      expect(output.vectors[1]).not.toBe(output.vectors[0])
      expect(output.usage.promptTokens).toBeGreaterThan(0)
      expect((await faultOf(under.provider.embed(embedModel, { texts }, { signal: AbortSignal.abort() }))).code).toBe('cancelled')
    })

    it('serves nothing any more once it is closed; closing twice is fine', async () => {
      const again = await setup()
      await again.provider.close()
      await again.provider.close()
      expect((await faultOf(again.provider.chat(again.chatModel, hello, { signal: never }))).code).toBe('cancelled')
      await again.close()
    })
  })
}
