/** What a model says when it was asked for JSON: finds the JSON in it, and checks it against the schema. */
import { z } from 'zod'
import { MeshError } from '../../protocols/kernel/errors.ts'
import { unplain } from '../../protocols/kernel/json.ts'
import type { JsonSchema } from '../../protocols/models/schema.ts'
import { fencesIn, stretchesIn, withoutThoughts } from '../skills/json-in-text.ts'

export type JsonFinding =
  | { readonly ok: true; /** The JSON as the model wrote it, and nothing else. */ readonly text: string; readonly value: unknown }
  /** In words that a model understands. */
  | { readonly ok: false; readonly why: string }

const issuesShownMax = 12

/**
 * @returns what judges an answer's text by the schema.
 * @throws MeshError `bad-input` for a schema that cannot be checked.
 */
export function jsonJudge(schema: JsonSchema): (text: string) => JsonFinding {
  let checker: z.ZodType
  try {
    checker = z.fromJSONSchema(schema, { registry: z.registry<Record<string, unknown>>() })
  } catch (thrown) {
    throw new MeshError('bad-input', `the answer's schema cannot be checked: ${thrown instanceof Error ? thrown.message : String(thrown)}`, { next: 'use JSON Schema of draft 2020-12 without "if", "not", "unevaluatedProperties" and remote references' })
  }
  return (text) => {
    let unreadable: string | undefined
    let unfit: string | undefined
    for (const candidate of candidates(text)) {
      let value: unknown
      try {
        value = JSON.parse(candidate)
      } catch (thrown) {
        unreadable ??= `it is not JSON: ${thrown instanceof Error ? thrown.message : String(thrown)}`
        continue
      }
      const nested = unplain(value)
      if (nested !== undefined) return { ok: false, why: nested }
      const checked = checker.safeParse(value)
      if (checked.success) return { ok: true, text: candidate, value }
      unfit ??= describe(checked.error.issues)
    }
    return { ok: false, why: unfit ?? unreadable ?? 'it is empty' }
  }
}

/** Texts that may be the JSON that was asked for, the likeliest first. */
function* candidates(text: string): Iterable<string> {
  const answer = withoutThoughts(text).trim()
  if (answer === '') return
  yield answer
  yield* fencesIn(answer)
  // The last one first: whoever explains comes to the point at the end.
  yield* stretchesIn(answer).reverse()
}

function describe(issues: readonly z.core.$ZodIssue[]): string {
  const shown = issues.slice(0, issuesShownMax).map(({ path, message }) => (path.length === 0 ? message : `${path.map(String).join('.')}: ${message}`))
  if (issues.length > shown.length) shown.push(`and ${issues.length - shown.length} more`)
  return shown.join('; ')
}

/** What a model is told whose answer did not do. */
export function askAgain(why: string, schema: JsonSchema): string {
  return `Your answer does not do: ${why}.\nAnswer again with nothing but one JSON value that fits this JSON Schema, without explanations and without code fences:\n${JSON.stringify(schema)}`
}

/** What a model is told beforehand by an endpoint that cannot hold it to a schema. */
export function askForJson(schema: JsonSchema): string {
  return `Answer with nothing but one JSON value that fits this JSON Schema, without explanations and without code fences:\n${JSON.stringify(schema)}`
}
