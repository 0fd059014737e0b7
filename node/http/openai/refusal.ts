import type { z } from 'zod'
import { fault } from '../../../protocols/kernel/errors.ts'
import { HttpFault } from '../problem.ts'

export interface RefusalOptions {
  /** OpenAI's word for it; default `invalid_value`. */
  readonly code?: string
  /** What to do next; default: where the route is described. */
  readonly next?: string
}

/** What OpenAI calls an invalid request: a 400 that names the parameter (none: the body as a whole). */
export function refused(param: string, detail: string, { code = 'invalid_value', next = 'see the route in /openapi.json' }: RefusalOptions = {}): HttpFault {
  return new HttpFault(fault('bad-request', detail, { next }), { ...(param === '' ? {} : { param }), openAiCode: code })
}

/**
 * The first of what a schema finds wrong with a body.
 * @param unsupported parameters that are known and not served unless they say nothing, each with the reason.
 */
export function refusedBody({ issues }: z.ZodError, unsupported: Readonly<Record<string, string>> = {}): HttpFault {
  const issue = issues[0]
  const name = String(issue?.path[0] ?? '')
  const why = Object.hasOwn(unsupported, name) ? unsupported[name] : undefined
  if (why !== undefined) return refused(name, `${name} is not supported: ${why}`, { code: 'unsupported_parameter', next: 'leave it out' })
  if (issue?.code === 'unrecognized_keys' && issue.path.length === 0) {
    const [unknown = ''] = issue.keys
    return refused(unknown.slice(0, 200), `there is no parameter ${unknown.slice(0, 200)}`, { code: 'unknown_parameter', next: 'leave it out, or see /openapi.json for what there is' })
  }
  const param = paramOf(issue?.path ?? [])
  return refused(param, `${param === '' ? 'the body' : param}: ${issue?.message ?? 'is not valid'}`)
}

/** `['messages', 0, 'content']` → `messages[0].content` */
function paramOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => (typeof part === 'number' ? `${text}[${part}]` : text === '' ? String(part) : `${text}.${String(part)}`), '')
}
