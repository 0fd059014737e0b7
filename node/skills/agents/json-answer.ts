/** JSON in what a model wrote: alone, in a code fence, or within prose; and whether it fits a schema. */
import { z } from 'zod'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import type { JsonSchema } from '../../../protocols/models/schema.ts'
import { describeIssues } from '../standard-schema.ts'

/** @returns what is wrong with the value, in words; undefined when it fits. */
export type ValueCheck = (value: unknown) => string | undefined

/** @returns the JSON value in the text, or why there is none. */
export function jsonIn(text: string): { readonly value: unknown } | { readonly problem: string } {
  const trimmed = text.trim()
  if (trimmed === '') return { problem: 'the answer is empty' }
  const whole = parsed(trimmed)
  if (whole !== undefined) return whole
  for (const [, inside] of trimmed.matchAll(/```(?:json)?\s*\n([\s\S]*?)```/g)) {
    const fenced = parsed((inside ?? '').trim())
    if (fenced !== undefined) return fenced
  }
  let tried = 0
  for (let at = nextOpening(trimmed, 0); at >= 0 && tried < 16; at = nextOpening(trimmed, at + 1), tried++) {
    const end = closing(trimmed, at)
    const inside = end < 0 ? undefined : parsed(trimmed.slice(at, end + 1))
    if (inside !== undefined) return inside
  }
  return { problem: `the answer is not JSON: it begins with ${JSON.stringify(trimmed.slice(0, 60))}` }
}

function parsed(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) as unknown }
  } catch {
    return undefined
  }
}

function nextOpening(text: string, from: number): number {
  const at = text.slice(from).search(/[{[]/)
  return at < 0 ? -1 : from + at
}

/** Where what opens at `from` closes; -1 when it does not. */
function closing(text: string, from: number): number {
  let depth = 0
  let quoted = false
  for (let i = from; i < text.length; i++) {
    const char = text[i]
    if (quoted) {
      if (char === '\\') i++
      else if (char === '"') quoted = false
    } else if (char === '"') quoted = true
    else if (char === '{' || char === '[') depth++
    else if ((char === '}' || char === ']') && --depth === 0) return i
  }
  return -1
}

/** @throws MeshError `bad-input` when the schema uses what cannot be checked. */
export function checkOf(schema: JsonSchema, what: string): ValueCheck {
  let compiled: z.ZodType
  try {
    compiled = z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0])
  } catch (thrown) {
    throw new MeshError('bad-input', `${what} cannot be used: ${thrown instanceof Error ? thrown.message : String(thrown)}`, { next: 'use JSON Schema (draft 2020-12) without $ref to elsewhere, if/then/else, not and unevaluated…' })
  }
  return (value) => {
    const result = compiled.safeParse(value)
    return result.success ? undefined : describeIssues(result.error.issues)
  }
}
