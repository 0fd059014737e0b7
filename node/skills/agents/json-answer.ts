/** JSON in what a model wrote: alone, in a code fence, or within prose; and whether it fits a schema. */
import { z } from 'zod'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import { unplain } from '../../../protocols/kernel/json.ts'
import type { JsonSchema } from '../../../protocols/models/schema.ts'
import { fencesIn, stretchesIn, withoutThoughts } from '../json-in-text.ts'
import { describeIssues } from '../standard-schema.ts'

/** @returns what is wrong with the value, in words; undefined when it fits. */
export type ValueCheck = (value: unknown) => string | undefined

/** @returns the JSON value in the text, or why there is none. */
export function jsonIn(text: string): { readonly value: unknown } | { readonly problem: string } {
  const answer = withoutThoughts(text).trim()
  if (answer === '') return { problem: 'the answer is empty' }
  // Of several within prose the longest: the others are citations, and examples of its parts.
  for (const candidate of [answer, ...fencesIn(answer), ...stretchesIn(answer).sort((left, right) => right.length - left.length)]) {
    const found = parsed(candidate)
    if (found === undefined) continue
    const nested = unplain(found.value)
    return nested === undefined ? found : { problem: `the answer cannot be used: ${nested}` }
  }
  return { problem: `the answer is not JSON: it begins with ${JSON.stringify(answer.slice(0, 60))}` }
}

function parsed(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) as unknown }
  } catch {
    return undefined
  }
}

/** @throws MeshError `bad-input` when the schema uses what cannot be checked. */
export function checkOf(schema: JsonSchema, what: string): ValueCheck {
  let compiled: z.ZodType
  try {
    compiled = z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0], { registry: z.registry<Record<string, unknown>>() })
  } catch (thrown) {
    throw new MeshError('bad-input', `${what} cannot be used: ${thrown instanceof Error ? thrown.message : String(thrown)}`, { next: 'use JSON Schema (draft 2020-12) without $ref to elsewhere, if/then/else, not and unevaluated…' })
  }
  return (value) => {
    const result = compiled.safeParse(value)
    return result.success ? undefined : describeIssues(result.error.issues)
  }
}
