/** One step of a skill: check the input, call the skill's code, check what it gives back. Runs in a skill thread, or on the loop for inline skills. */
import type { Fault } from '../../protocols/kernel/errors.ts'
import { Fault as FaultSchema, MeshError, fault } from '../../protocols/kernel/errors.ts'
import { Plan } from '../../protocols/tasking/schema.ts'
import type { Skill, SkillChild, SkillContext } from './define-skill.ts'
import { findNonJson } from './json-value.ts'
import { describeIssues } from './standard-schema.ts'
import type { StandardSchemaV1 } from './standard-schema.ts'

export interface StepRequest {
  readonly skill: Skill
  readonly step: 'run' | 'plan' | 'revise' | 'synthesise'
  /** Of `revise`. */
  readonly round?: number
  readonly input: unknown
  readonly children: readonly SkillChild[]
  readonly context: SkillContext
}

/**
 * @returns a JSON value: the output, a Plan for `plan`, or a Plan or null for `revise`.
 * @throws MeshError `bad-input`, `bad-output`, `bad-plan`, `wrong-state` (the skill has no such step), or whatever the skill's code throws.
 */
export async function executeStep(request: StepRequest): Promise<unknown> {
  const { skill, step, children, context } = request
  const named = `${skill.capability} ${skill.version}`
  if ((skill.kind === 'leaf') !== (step === 'run')) {
    throw new MeshError('wrong-state', `${named} is a ${skill.kind} skill: it has no step "${step}"`)
  }
  const checked = await validate(skill.input, request.input)
  if ('issues' in checked) {
    throw new MeshError('bad-input', `the input does not fit ${named}: ${checked.issues}`, { next: 'correct the input' })
  }
  const input = checked.value

  if (skill.kind === 'composite' && step !== 'synthesise') {
    const made = step === 'plan' ? await skill.plan(input, context) : await skill.revise?.({ input, children, round: request.round ?? 1 }, context)
    if (step === 'revise' && (made === undefined || made === null)) return null
    const plan = Plan.safeParse(made)
    if (!plan.success) throw new MeshError('bad-plan', `${named} made a malformed plan: ${describeIssues(plan.error.issues)}`, { next: `correct the skill's ${step}()` })
    requireJson(plan.data, `the plan of ${named}`, 'bad-plan')
    return plan.data
  }
  const raw = skill.kind === 'leaf' ? await skill.run(input, context) : await skill.synthesise({ input, children }, context)
  const output = await validate(skill.output, raw)
  if ('issues' in output) {
    throw new MeshError('bad-output', `the output does not fit ${named}: ${output.issues}`, { next: 'correct the skill, or its output schema' })
  }
  requireJson(output.value, `the output of ${named}`, 'bad-output')
  return output.value
}

async function validate(schema: StandardSchemaV1, value: unknown): Promise<{ value: unknown } | { issues: string }> {
  const result = await schema['~standard'].validate(value)
  return result.issues === undefined ? { value: result.value } : { issues: describeIssues(result.issues) }
}

function requireJson(value: unknown, what: string, code: 'bad-output' | 'bad-plan'): void {
  const found = value === undefined ? 'it is undefined' : findNonJson(value)
  if (found !== undefined) throw new MeshError(code, `${what} is not JSON: ${found}`, { next: 'give back plain objects, arrays, strings, finite numbers, booleans and null' })
}

/** Codes a skill may end with by throwing a MeshError; the others belong to the mesh itself. */
const skillCodes: ReadonlySet<string> = new Set([
  'bad-input', 'bad-plan', 'bad-output', 'wrong-state', 'unknown-blob', 'too-large', 'over-limit', 'deadline-exceeded', 'overloaded',
  'unauthorised', 'forbidden', 'skill-failed', 'storage-failed', 'not-available', 'cancelled',
  // What came of a capability that it called, when it could not do without.
  'no-provider', 'unknown-capability', 'version-mismatch', 'context-overflow', 'provider-failed',
])
const stackLinesMax = 4

/** What a skill threw as a fault: its message and the first lines of its stack. A MeshError of any copy of this package keeps its code. */
export function faultOfThrown(thrown: unknown): Fault {
  if (thrown instanceof Error && 'fault' in thrown) {
    const own = FaultSchema.safeParse(thrown.fault)
    if (own.success && skillCodes.has(own.data.code)) return own.data
  }
  if (!(thrown instanceof Error)) return fault('skill-failed', `the skill threw ${describe(thrown)}`)
  const stack = (thrown.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line) && !line.includes('node:internal')).slice(0, stackLinesMax)
  return fault('skill-failed', [`${thrown.name}: ${thrown.message}`.slice(0, 2_000), ...stack].join('\n'))
}

function describe(thrown: unknown): string {
  try {
    return typeof thrown === 'object' ? (JSON.stringify(thrown) ?? 'an object').slice(0, 500) : String(thrown).slice(0, 500)
  } catch {
    return 'an object that cannot be shown'
  }
}
