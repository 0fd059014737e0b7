import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createGrammarCache } from '../../../../node/models/llama-cpp/grammar-cache.ts'
import { grammarOf } from '../../../../node/models/llama-cpp/grammar.ts'
import { jsonCheck } from '../../../../node/models/llama-cpp/json-check.ts'
import { createLlamaRuntime } from '../../../../node/models/llama-cpp/library.ts'
import type { LlamaCppProvider } from '../../../../node/models/llama-cpp/llama-cpp-adapter.ts'
import { openLlamaCpp } from '../../../../node/models/llama-cpp/llama-cpp-adapter.ts'
import type { JsonSchema } from '../../../../protocols/models/schema.ts'
import { writeTinyGguf } from '../../../support/tiny-gguf/tiny-gguf.ts'

let folder: string
let provider: LlamaCppProvider
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skein-schemas-'))
  const file = join(folder, 'tiny.gguf')
  await writeTinyGguf(file)
  provider = await openLlamaCpp({ file, gpu: false })
})
afterAll(async () => {
  await provider.close()
  await rm(folder, { recursive: true, force: true })
})

const short = { type: 'string', maxLength: 6 }
const schemas: Record<string, JsonSchema> = {
  'a whole number of any size': { type: 'integer' },
  'a number': { type: 'number' },
  'numbers in a list': { type: 'array', items: { type: 'integer' }, minItems: 2, maxItems: 4 },
  'a choice of objects': { oneOf: [{ type: 'object', properties: { kind: { const: 'a' }, text: short }, required: ['kind', 'text'] }, { type: 'object', properties: { kind: { const: 'b' }, yes: { type: 'boolean' } }, required: ['kind', 'yes'] }] },
  'what may be left out': { type: 'object', properties: { a: short, b: short, c: { type: 'null' } }, required: ['b'], additionalProperties: false },
  'a tree': { $ref: '#/$defs/tree', $defs: { tree: { type: 'object', properties: { name: short, below: { type: 'array', items: { $ref: '#/$defs/tree' }, maxItems: 2 } }, required: ['name', 'below'], additionalProperties: false } } },
  'a list that is linked': { type: 'object', properties: { value: { type: 'boolean' }, next: { $ref: '#' } }, required: ['value'] },
  'a tuple': { type: 'array', prefixItems: [short, { type: 'boolean' }], items: false },
  'a map': { type: 'object', additionalProperties: { enum: ['x', 'y'] }, maxProperties: 3 },
  'a whole value': { enum: [{ a: [1, 'two', null] }, ['x'], 'y', 4] },
  'what must hold at once': { allOf: [{ type: 'object', properties: { a: short }, required: ['a'] }, { properties: { b: { type: 'boolean' } }, required: ['b'] }] },
  'anything of a kind': { type: ['boolean', 'null', 'integer'] },
}

describe('an answer in JSON from a model that knows nothing of it', () => {
  it.each(Object.entries(schemas))('fits: %s', async (_what, schema) => {
    for (let seed = 1; seed <= 5; seed++) {
      const { content } = await provider.chat('tiny', { messages: [{ role: 'user', content: 'Answer.' }], schema, seed, temperature: 1, maxTokens: 1_500 }, { signal: new AbortController().signal })
      expect(jsonCheck(schema)(content ?? '')).toBeUndefined()
    }
  })
})

describe('grammars', () => {
  it('write numbers that JavaScript has', async () => {
    const { llama } = await createLlamaRuntime({ gpu: false }).open()
    const grammars = createGrammarCache(llama)
    for (const type of ['integer', 'number']) {
      const { grammar } = await grammars.get(grammarOf({ type: 'array', items: { type } }))
      expect(grammar).toContain('[1-9]')
      expect(grammar).not.toMatch(/\[eE\]|\{0,15\}\)/)
    }
  })

  it('are built once', async () => {
    const { llama } = await createLlamaRuntime({ gpu: false }).open()
    const grammars = createGrammarCache(llama)
    const first = await grammars.get(grammarOf({ type: 'boolean' }))
    expect(await grammars.get(grammarOf({ type: 'boolean' }))).toBe(first)
    for (let count = 0; count < 40; count++) await grammars.get(grammarOf({ const: count }))
    expect(await grammars.get(grammarOf({ type: 'boolean' }))).not.toBe(first)
  })
})
