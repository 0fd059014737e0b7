/** The checks a plan states for a result. A result that fails one counts as a failed attempt. */
import type { AcceptanceCheck } from './schema.ts'
import { canonicalJson } from '../kernel/hashing.ts'
import { patternMatches } from './pattern.ts'
import { valueAt } from './plan.ts'

/** @returns what the output fails, in words; undefined when it passes all checks. */
export function failedCheck(checks: readonly AcceptanceCheck[], output: unknown): string | undefined {
  for (const check of checks) {
    const where = check.path === '' ? 'the output' : `"${check.path}"`
    const value = valueAt(output, check.path)
    if (check.exists !== undefined && (value !== undefined && value !== null) !== check.exists) return `${where} ${check.exists ? 'is missing' : 'should not be there'}`
    if (check.equals !== undefined && canonicalJson(value ?? null) !== canonicalJson(check.equals)) return `${where} is ${show(value)}, not ${show(check.equals)}`
    if (check.matches !== undefined && !(typeof value === 'string' && patternMatches(check.matches, value))) return `${where} does not match /${check.matches}/`
    if (check.atLeast !== undefined && !(typeof value === 'number' && value >= check.atLeast)) return `${where} is ${show(value)}, at least ${check.atLeast} is asked for`
    if (check.atMost !== undefined && !(typeof value === 'number' && value <= check.atMost)) return `${where} is ${show(value)}, at most ${check.atMost} is asked for`
  }
  return undefined
}

function show(value: unknown): string {
  return (JSON.stringify(value) ?? 'missing').slice(0, 80)
}
