/**
 * The skills that come with Skein, as one module for the skill threads: what they are is known at once, the code of a family of them is
 * loaded when one of it runs for the first time. A thread for an agent needs no parser of PDFs, and no rules for secrets.
 */
import { MeshError } from '../../protocols/kernel/errors.ts'
import { declared as agents } from './agents/declarations.ts'
import { type CompositeSkill, type LeafSkill, type Skill, defineSkill } from './define-skill.ts'
import { declared as docsAnswer } from './docs-answer/declarations.ts'
import { declared as repoReport } from './repo-report/declarations.ts'
import type { StandardSchemaV1 } from './standard-schema.ts'

/** A declaration, as the families' `declarations.ts` have them. */
type Declared = Pick<Skill, 'kind' | 'capability' | 'version' | 'summary' | 'effects'> & { readonly input: StandardSchemaV1; readonly output: StandardSchemaV1; readonly revises?: boolean }

type Load = () => Promise<{ readonly default: readonly Skill[] }>

export const families: readonly { readonly declared: Readonly<Record<string, Declared>>; readonly load: Load }[] = [
  { declared: repoReport, load: () => import('./repo-report/skills.ts') },
  { declared: agents, load: () => import('./agents/skills.ts') },
  { declared: docsAnswer, load: () => import('./docs-answer/skills.ts') },
]

function loadedWhenRun({ revises, ...declared }: Declared, load: Load): Skill {
  const found = async (): Promise<Skill> => {
    const skill = (await load()).default.find(({ capability, version }) => capability === declared.capability && version === declared.version)
    if (skill === undefined) throw new MeshError('internal', `${declared.capability} is declared, and there is no code for it`)
    return skill
  }
  if (declared.kind === 'leaf') return defineSkill({ ...declared, run: async (input, context) => await ((await found()) as LeafSkill).run(input, context) })
  const composite = async (): Promise<CompositeSkill> => (await found()) as CompositeSkill
  const revise: NonNullable<CompositeSkill['revise']> = async (ended, context) => await (await composite()).revise?.(ended, context)
  return defineSkill({
    ...declared,
    plan: async (input, context) => (await (await composite()).plan(input, context)) as never,
    ...(revises === true ? { revise: revise as never } : {}),
    synthesise: async (ended, context) => await (await composite()).synthesise(ended, context),
  })
}

export default families.flatMap(({ declared, load }) => Object.values(declared).map((one) => loadedWhenRun(one, load)))
