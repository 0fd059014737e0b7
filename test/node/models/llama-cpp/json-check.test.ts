import { describe, expect, it } from 'vitest'
import { jsonCheck } from '../../../../node/models/llama-cpp/json-check.ts'
import { refused } from './refused.ts'

describe('whether a text is JSON of a schema', () => {
  it('is told in words for the model', () => {
    const check = jsonCheck({ type: 'object', properties: { n: { type: 'integer', minimum: 3 }, s: { type: 'string', pattern: '^a' } }, required: ['n', 's'] })
    expect(check('{"n":3,"s":"ab"}')).toBeUndefined()
    expect(check('{"n":2,"s":"b"}')).toMatch(/^n: .*; s: /)
    expect(check('Sure! {"n":3}')).toMatch(/^it is not JSON: /)
    expect(check('3')).toMatch(/^the value: /)
  })

  it('compares whole values', () => {
    const check = jsonCheck({ type: 'object', properties: { of: { enum: [{ a: [1, null] }, ['x'], 'y'] }, const: { const: { b: 2 } } }, required: ['of'] })
    for (const good of ['{"of":{"a":[1,null]}}', '{"of":["x"]}', '{"of":"y","const":{"b":2}}']) expect(check(good)).toBeUndefined()
    for (const bad of ['{"of":{"a":[1]}}', '{"of":["x","x"]}', '{"of":{"a":[1,null],"b":1}}', '{"of":"y","const":{"b":3}}', '{"of":"y","const":2}']) expect(check(bad)).toBeDefined()
  })

  it('refuses a schema that cannot be used', () => {
    expect(refused(() => jsonCheck({ $ref: 'https://example.org/schema.json' }))).toMatchObject({ code: 'bad-input' })
  })
})
