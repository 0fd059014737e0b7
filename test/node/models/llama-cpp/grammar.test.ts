import { describe, expect, it } from 'vitest'
import type { Grammar } from '../../../../node/models/llama-cpp/grammar.ts'
import { grammarOf, wholeSchema } from '../../../../node/models/llama-cpp/grammar.ts'
import type { JsonSchema } from '../../../../protocols/models/schema.ts'
import { refused } from './refused.ts'

const object = (properties: Record<string, unknown>, required = Object.keys(properties)): JsonSchema => ({ type: 'object', properties, required, additionalProperties: false })
const rootOf = (schema: JsonSchema): Grammar['root'] => grammarOf(schema).root

describe('a JSON Schema as a grammar', () => {
  it('keeps what a grammar can say', () => {
    const grammar = grammarOf(object({ name: { type: 'string', minLength: 1, maxLength: 20 }, tags: { type: 'array', items: { enum: ['a', 'b'] }, minItems: 1, maxItems: 3 }, done: { type: 'boolean' } }))
    expect(grammar).toEqual({
      root: { type: 'object', properties: { name: { type: 'string', minLength: 1, maxLength: 20 }, tags: { type: 'array', items: { oneOf: [{ const: 'a' }, { const: 'b' }] }, minItems: 1, maxItems: 3 }, done: { type: 'boolean' } } },
      definitions: {}, exact: false,
    })
  })

  it('writes alternatives as the library knows them', () => {
    expect(grammarOf({ anyOf: [{ type: 'string' }, { type: 'null' }] })).toMatchObject({ root: { oneOf: [{ type: 'string' }, { type: 'null' }] }, exact: true })
    expect(rootOf({ type: ['string', 'null'] })).toEqual({ oneOf: [{ type: 'string' }, { type: 'null' }] })
  })

  it('lets what stands beside alternatives hold for each', () => {
    expect(rootOf({ type: 'object', properties: { kind: { type: 'string' } }, required: ['kind'], anyOf: [{ properties: { a: { type: 'null' } }, required: ['a'] }, { properties: { b: { type: 'null' } }, required: ['b'] }] }))
      .toEqual({ oneOf: [{ type: 'object', properties: { kind: { type: 'string' }, a: { type: 'null' } } }, { type: 'object', properties: { kind: { type: 'string' }, b: { type: 'null' } } }] })
  })

  it('is exact about one of several only where no value can fit two', () => {
    const kinds = ['a', 'b'].map((kind) => object({ kind: { const: kind } }))
    expect(grammarOf({ oneOf: kinds }).exact).toBe(true)
    expect(grammarOf({ oneOf: [{ type: 'string' }, { type: 'boolean' }] }).exact).toBe(true)
    expect(grammarOf({ oneOf: [{ type: 'string', maxLength: 3 }, { type: 'string' }] }).exact).toBe(false)
  })

  it('lists the integers of a small range', () => {
    expect(grammarOf({ type: 'integer', minimum: 1, maximum: 4 })).toMatchObject({ root: { enum: [1, 2, 3, 4] }, exact: true })
    expect(rootOf({ type: 'integer', exclusiveMinimum: -1, exclusiveMaximum: 10, multipleOf: 5 })).toEqual({ enum: [0, 5] })
    expect(grammarOf({ type: 'integer', minimum: 1 })).toMatchObject({ root: { type: 'integer' }, exact: false })
    expect(grammarOf({ type: 'integer' })).toMatchObject({ root: { type: 'integer' }, exact: true })
  })

  it.each([
    ['a pattern', { type: 'string', pattern: '^a' }], ['a format', { type: 'string', format: 'email' }], ['a range', { type: 'number', minimum: 0 }], ['the length of a text in the check\'s units', { type: 'string', maxLength: 10 }], ['a very long repetition', { type: 'string', maxLength: 100_000 }],
    ['what must not be', { type: 'string', not: { const: 'a' } }], ['a list without doubles', { type: 'array', uniqueItems: true }], ['an inner part of it', object({ list: { type: 'array', items: { type: 'string', pattern: 'a' } } })],
  ])('says that it cannot say %s', (_what, schema) => {
    expect(grammarOf(schema).exact).toBe(false)
    expect(JSON.stringify(grammarOf(schema).root)).not.toMatch(/pattern|email|minimum|"not"|uniqueItems|100000/)
  })

  it('lets an object leave out what is optional', () => {
    expect(rootOf(object({ a: { type: 'null' }, b: { type: 'boolean' } }, ['a']))).toEqual({ oneOf: [
      { type: 'object', properties: { a: { type: 'null' }, b: { type: 'boolean' } } },
      { type: 'object', properties: { a: { type: 'null' } } },
    ] })
  })

  it('does not grow without end with what is optional', () => {
    const wide = (depth: number): JsonSchema => object(Object.fromEntries(Array.from({ length: 8 }, (_, index) => [`p${index}`, depth === 0 ? { type: 'null' } : wide(depth - 1)])), [])
    expect(JSON.stringify(grammarOf(wide(2)).root).length).toBeLessThan(100_000)
    const narrow = (depth: number): JsonSchema => object({ a: depth === 0 ? { type: 'null' } : narrow(depth - 1), b: { type: 'null' } }, [])
    expect(JSON.stringify(grammarOf(narrow(20)).root).length).toBeLessThan(100_000)
  })

  it('follows references, also in circles', () => {
    const schema: JsonSchema = { $ref: '#/$defs/node', $defs: { node: object({ name: { type: 'string' }, children: { type: 'array', items: { $ref: '#/$defs/node' } } }) } }
    const grammar = grammarOf(schema)
    const [name = ''] = Object.keys(grammar.definitions)
    expect(grammar.root).toEqual({ $ref: `#/$defs/${name}` })
    expect(grammar.definitions[name]).toEqual({ type: 'object', properties: { name: { type: 'string' }, children: { type: 'array', items: { $ref: `#/$defs/${name}` } } } })
    expect(wholeSchema(grammar)).toEqual({ oneOf: [grammar.root], $defs: grammar.definitions })
    expect(grammar.exact).toBe(true)
  })

  it('knows the older place of definitions, and the root itself', () => {
    expect(Object.keys(grammarOf({ $ref: '#/definitions/a', definitions: { a: { type: 'null' } } }).definitions)).toHaveLength(1)
    expect(Object.keys(grammarOf(object({ next: { anyOf: [{ $ref: '#' }, { type: 'null' }] } })).definitions)).toHaveLength(1)
  })

  it('joins what must hold at once', () => {
    expect(rootOf({ allOf: [object({ a: { type: 'null' } }), object({ b: { type: 'boolean' } })] })).toEqual({ type: 'object', properties: { a: { type: 'null' }, b: { type: 'boolean' } } })
  })

  it('writes whole values out', () => {
    expect(rootOf({ const: { a: [1, 'x'] } })).toEqual({ type: 'object', properties: { a: { type: 'array', prefixItems: [{ const: 1 }, { const: 'x' }], minItems: 2, maxItems: 2 } } })
  })

  it('allows anything where nothing is said', () => {
    expect(rootOf({})).toMatchObject({ oneOf: expect.arrayContaining([{ type: 'object', additionalProperties: true }, { type: 'string' }]) })
  })

  it('refuses what nothing can fit, and what is nested without end', () => {
    let deep: JsonSchema = { type: 'null' }
    for (let depth = 0; depth < 100; depth++) deep = { type: 'array', items: deep }
    for (const schema of [{ type: 'integer', minimum: 2, maximum: 1 }, { enum: [] }, { anyOf: [] }, { $ref: '#/$defs/gone' }, { $ref: 'https://example.org/schema' }, { type: 'date' }, deep]) {
      expect(refused(() => grammarOf(schema))).toMatchObject({ code: 'bad-input' })
    }
  })
})
