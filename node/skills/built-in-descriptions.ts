/** What `built-in.ts` offers, for the node's own loop: the schemas, but none of the code that runs. */
import builtIn from './built-in.ts'
import { describeSkill } from './module-contents.ts'
import type { SkillDescription } from './skill-module.ts'

/** The same, in the same order, as a skill thread says of `built-in.ts`. */
export function builtInDescriptions(): SkillDescription[] {
  return builtIn.map(describeSkill)
}
