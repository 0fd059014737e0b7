/** Whether a text is JSON of a schema: what a grammar could not promise. */
import { z } from 'zod'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import type { JsonSchema } from '../../../protocols/models/schema.ts'

/** @returns why not, in words for the model; undefined when it is. */
export type JsonCheck = (text: string) => string | undefined

const complaintsMax = 5

/** @throws MeshError `bad-input` for a schema that cannot be used. */
export function jsonCheck(schema: JsonSchema): JsonCheck {
  let type: z.ZodType
  try {
    type = z.fromJSONSchema(comparable(schema) as JsonSchema)
  } catch (thrown) {
    throw new MeshError('bad-input', `the schema of the answer cannot be used: ${thrown instanceof Error ? thrown.message : String(thrown)}`, { next: 'use JSON Schema of draft 2020-12 or draft 7, without remote references' })
  }
  return (text) => {
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch (thrown) {
      return `it is not JSON: ${thrown instanceof Error ? thrown.message : String(thrown)}`
    }
    const checked = type.safeParse(value)
    if (checked.success) return undefined
    return checked.error.issues.slice(0, complaintsMax).map(({ path, message }) => `${path.length === 0 ? 'the value' : path.map(String).join('.')}: ${message}`).join('; ')
  }
}

/** Keywords whose values are schemas by name. */
const named = new Set(['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas'])

/** The checker compares a list or an object with a constant by identity; here such a constant is spelled out, as the grammar has it. */
function comparable(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(comparable)
  if (typeof schema !== 'object' || schema === null) return schema
  const { const: constant, enum: choices, ...rest } = schema as { readonly const?: unknown; readonly enum?: unknown } & Readonly<Record<string, unknown>>
  const spelled = isComposite(constant) ? spelledOut(constant) : Array.isArray(choices) && choices.some(isComposite) ? { anyOf: choices.map(spelledOut) } : undefined
  const inner = Object.fromEntries(Object.entries(spelled === undefined ? schema : rest).map(([key, value]) => [
    key, key === 'const' || key === 'enum' ? value : named.has(key) && typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value).map(([name, each]) => [name, comparable(each)])) : comparable(value),
  ]))
  return spelled === undefined ? inner : Object.keys(inner).length === 0 ? spelled : { allOf: [inner, spelled] }
}

function spelledOut(value: unknown): JsonSchema {
  if (Array.isArray(value)) return { type: 'array', prefixItems: value.map(spelledOut), items: false, minItems: value.length }
  if (typeof value !== 'object' || value === null) return { const: value }
  return { type: 'object', properties: Object.fromEntries(Object.entries(value).map(([key, each]) => [key, spelledOut(each)])), required: Object.keys(value), additionalProperties: false }
}

function isComposite(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}
