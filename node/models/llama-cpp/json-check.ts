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
    type = z.fromJSONSchema(schema)
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
