/** What a call of a model says, and what it may not say. */
import type { SkillRun } from '../../actors/ports/skill-runner.ts'
import { unmetAttribute } from '../../protocols/capability/matching.ts'
import { MeshError } from '../../protocols/kernel/errors.ts'
import type { Json } from '../../protocols/kernel/payload.ts'
import type { ChatDelta, ChatOutput } from '../../protocols/models/schema.ts'
import { describeIssues } from '../skills/standard-schema.ts'
import type { HostedModel, Member } from './hosted-models.ts'
import { attributesOf } from './offered-models.ts'

interface Checking<T> {
  safeParse(value: unknown): { readonly success: true; readonly data: T } | { readonly success: false; readonly error: { readonly issues: readonly { readonly message: string; readonly path: readonly PropertyKey[] }[] } }
}

/** @throws MeshError `bad-input`. */
export function parsed<T>(schema: Checking<T>, input: Json, run: SkillRun): T {
  const result = schema.safeParse(input)
  if (result.success) return result.data
  throw new MeshError('bad-input', `the input does not fit ${run.capability} ${run.version}: ${describeIssues(result.error.issues)}`, { next: 'correct the input' })
}

/** @throws MeshError `bad-output`. */
export function checked<T>(schema: Checking<T>, output: unknown, { by, info }: Member): T {
  const result = schema.safeParse(output)
  if (result.success) return result.data
  throw new MeshError('bad-output', `what ${by.name} gave for ${info.name} is no answer: ${describeIssues(result.error.issues)}`)
}

/** An input may name its model, and so may what the call asks of its provider. @throws MeshError `bad-input` when they name two. */
export function wantedModel({ attributes }: SkillRun, named: string | undefined): string | undefined {
  const asked = attributes?.['model']
  if (typeof asked !== 'string') return named
  if (named === undefined || named === asked) return asked
  throw new MeshError('bad-input', `the input names the model ${named}, the call asks for ${asked}`, { next: 'name one of them, or leave it out of the input' })
}

/** What is asked of a model beside its name; what only the node can state was looked at by whoever took the call. */
export function fitsFor({ attributes = {} }: SkillRun): (model: HostedModel) => boolean {
  // A speed is a hope, and the name was looked at.
  const asked = Object.entries(attributes).filter(([name]) => name !== 'model' && name !== 'tokensPerSecond')
  if (asked.length === 0) return () => true
  return (model) => {
    const offered = attributesOf(model, undefined)
    return unmetAttribute(offered, Object.fromEntries(asked.filter(([name]) => offered[name] !== undefined))) === undefined
  }
}

const deltaChars = 8 * 1024

/** An answer that was there at once, as if it came piece by piece. */
export function deltasOf({ content, toolCalls }: ChatOutput): ChatDelta[] {
  const deltas: ChatDelta[] = []
  for (let at = 0; at < (content?.length ?? 0);) {
    let end = Math.min(content?.length ?? 0, at + deltaChars)
    // Not between the halves of a surrogate pair.
    if (/[\ud800-\udbff]/.test(content?.[end - 1] ?? '')) end -= 1
    deltas.push({ content: content?.slice(at, end) })
    at = end
  }
  for (const [index, { id, name, arguments: text }] of toolCalls.entries()) deltas.push({ toolCall: { index, id, name, arguments: text } })
  return deltas
}
