/** Imports a module and reads the skills from its default export. Runs the module's own code: only in a thread, or for inline skills. */
import { z } from 'zod'
import { MeshError } from '../../protocols/kernel/errors.ts'
import type { Json } from '../../protocols/kernel/payload.ts'
import { isSkill } from './define-skill.ts'
import type { Skill } from './define-skill.ts'
import type { SkillDescription } from './skill-module.ts'
import { skillKey } from './skill-module.ts'

/** @throws MeshError `bad-request` when the default export is not a skill or an array of skills; else what the import throws. */
export async function skillsIn(url: string): Promise<Skill[]> {
  const imported = (await import(/* @vite-ignore */ url)) as { default?: unknown }
  const skills: unknown[] = Array.isArray(imported.default) ? imported.default : [imported.default]
  const next = 'export default defineSkill({…}), or an array of such skills'
  if (imported.default === undefined) throw new MeshError('bad-request', `${url} has no default export`, { next })
  if (skills.length === 0) throw new MeshError('bad-request', `${url} exports an empty array`, { next })
  const seen = new Set<string>()
  return skills.map((skill, index) => {
    if (!isSkill(skill)) throw new MeshError('bad-request', `${url}: ${Array.isArray(imported.default) ? `item ${index} of the default export` : 'the default export'} is not a skill`, { next })
    const key = skillKey(skill.capability, skill.version)
    if (seen.has(key)) throw new MeshError('bad-request', `${url} defines ${key} twice`, { next: 'give one of them another version' })
    seen.add(key)
    return skill
  })
}

export function describeSkill(skill: Skill): SkillDescription {
  const { capability, version, summary, kind, effects, limits, attributes, inline, slots } = skill
  const inputSchema = inputSchemaOf(skill)
  return { capability, version, summary, kind, effects, limits, attributes, inline, ...(slots === undefined ? {} : { slots }), ...(skill.kind === 'composite' && skill.revise !== undefined ? { revises: true } : {}), ...(inputSchema === undefined ? {} : { inputSchema }) }
}

/** Undefined when the schema's library cannot say JSON Schema, or this schema cannot be said in it. */
function inputSchemaOf(skill: Skill): Json | undefined {
  const standard = skill.input['~standard']
  try {
    if ('_zod' in skill.input) return zodInputSchema(skill.input as unknown as z.ZodType)
    if ('jsonSchema' in standard) {
      const { jsonSchema } = standard as { jsonSchema: { input(options: { target: string }): unknown } }
      return JSON.parse(JSON.stringify(jsonSchema.input({ target: 'draft-2020-12' }))) as Json
    }
  } catch {
    return undefined
  }
  return undefined
}

/** Undefined for schemas that coerce or preprocess: JSON Schema would refuse what they accept. */
function zodInputSchema(schema: z.ZodType): Json | undefined {
  let rewrites = false
  const jsonSchema = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override({ zodSchema }) {
      const { def } = zodSchema._zod
      if ('coerce' in def && def.coerce === true) rewrites = true
      if (def.type === 'pipe' && def.in._zod.def.type === 'transform') rewrites = true
    },
  })
  return rewrites ? undefined : (JSON.parse(JSON.stringify(jsonSchema)) as Json)
}
