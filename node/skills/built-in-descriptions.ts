/** What `built-in.ts` offers, said without loading it: the schemas, but none of the code that runs. */
import { MeshError } from '../../protocols/kernel/errors.ts'
import { declared as agents } from './agents/declarations.ts'
import { declared as docsAnswer } from './docs-answer/declarations.ts'
import { defineSkill } from './define-skill.ts'
import { describeSkill } from './module-contents.ts'
import { declared as repoReport } from './repo-report/declarations.ts'
import type { SkillDescription } from './skill-module.ts'
import type { StandardSchemaV1 } from './standard-schema.ts'

/** The same, in the same order, as a skill thread says of `built-in.ts`. */
export function builtInDescriptions(): SkillDescription[] {
  return [...Object.values(repoReport), ...Object.values(agents), ...Object.values(docsAnswer)].map((one) => {
    const schemas: { input: StandardSchemaV1; output: StandardSchemaV1 } = { input: one.input, output: one.output }
    return describeSkill(one.kind === 'leaf' ? defineSkill({ ...one, ...schemas, run: neverRun }) : defineSkill({ ...one, ...schemas, plan: neverRun, ...('revises' in one ? { revise: neverRun } : {}), synthesise: neverRun }))
  })
}

function neverRun(): never {
  throw new MeshError('internal', 'this is the description of a skill, which is not run')
}
