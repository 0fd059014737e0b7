/** `agent.review`: results judged against their goals and criteria, by another model than wrote them where the mesh has one. */
import { z } from 'zod'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import { canonicalJson, digestOfText } from '../../../protocols/kernel/hashing.ts'
import type { ChatMessage } from '../../../protocols/models/schema.ts'
import type { OfferedCapability, SkillContext } from '../define-skill.ts'
import { describeIssues } from '../standard-schema.ts'
import { type Fitted, askForJson, chatModels, chosenModel, requireBudget, requireModel } from './ask-model.ts'
import { condense } from './condense.ts'
import { agentLimits } from './limits.ts'
import { reviewQuestion, reviewSchema, reviewSystem, reviewVersion } from './prompts/review.ts'
import { roleOf } from './roles-here.ts'
import type { Conflict} from './schema.ts'
import { PlanOutput, type ReviewInput, type ReviewOutput, type ReviewSubject, type Verdict, WorkOutput } from './schema.ts'
import { addUsage, nothingUsed } from './usage.ts'

const Judged = z.object({
  verdicts: z.array(z.object({ of: z.string(), accept: z.boolean(), score: z.number(), reasons: z.array(z.string()).default([]) })),
  conflicts: z.array(z.object({ between: z.array(z.string()), about: z.string() })).default([]),
})

/** @throws MeshError `no-provider`, `over-limit`, `bad-output` (no verdict after three answers), `context-overflow`; else as `SkillContext.call`. */
export async function review(input: ReviewInput, context: SkillContext): Promise<ReviewOutput> {
  const offered = await context.capabilities()
  requireModel(offered, 'a review', true)
  requireBudget(context, offered, 'a review')
  const role = await roleOf(input.role)
  const authors = input.subjects.flatMap((subject) => authorOf(subject))
  const names = input.subjects.map((subject) => subject.name)
  let usage = nothingUsed
  let condensed = 0

  const messagesAt = async (level: number): Promise<ChatMessage[] | undefined> => {
    if (level > 1) return undefined
    const shown: string[] = []
    for (const [index, subject] of input.subjects.entries()) {
      const text = textOf(subject)
      if (level === 0 || text.length < agentLimits.condenseCharsMin) shown.push(text)
      else {
        const short = await condense(context, { key: `condense:${index}`, goal: subject.goal, text, signal: context.signal })
        usage = addUsage(usage, short.usage)
        condensed += 1
        shown.push(short.text)
      }
    }
    return [{ role: 'system', content: reviewSystem(role.prompt) }, { role: 'user', content: reviewQuestion(input.goal, input.subjects, shown) }]
  }

  const judged = await askForJson(context, {
    key: 'review', schema: reviewSchema(names), messagesAt, signal: context.signal,
    model: reviewer(offered, authors.map(({ model }) => model), input.models?.decide, role.model?.decide),
    fit: (value) => fit(value, input.subjects),
    refusedFor: (causes) => new MeshError('bad-output', `the reviewing model gave no verdict that can be used: ${causes.at(-1) ?? ''}`, { retryable: false, next: 'use another model for reviews: "model: { decide: … }" of the role reviewer' }),
  })
  return {
    ...judged.value,
    independent: { model: authors.every(({ model }) => model !== judged.model), node: authors.every(({ node }) => node !== judged.node) },
    usage: addUsage(usage, judged.usage), condensed,
    provenance: { model: judged.model, node: judged.node, role: role.name, roleDigest: role.digest, promptDigest: digestOfText(canonicalJson({ version: reviewVersion, messages: judged.messages })) },
  }
}

/** Another than the authors', as wished if that is another; else as wished, even so. */
function reviewer(offered: readonly OfferedCapability[], authors: readonly string[], ...wishes: readonly (string | undefined)[]): string | undefined {
  const others = chatModels(offered).filter((model) => !authors.includes(model))
  return wishes.find((wish) => wish !== undefined && others.includes(wish)) ?? others[0] ?? chosenModel(offered, ...wishes)
}

function authorOf({ output }: ReviewSubject): { model: string; node: string }[] {
  const made = WorkOutput.safeParse(output).data ?? PlanOutput.safeParse(output).data
  return made === undefined ? [] : [{ model: made.provenance.model, node: made.provenance.node }]
}

/** Of an agent's output the result alone: how it came about is no argument. */
function textOf({ output }: ReviewSubject): string {
  const made = WorkOutput.safeParse(output).data ?? PlanOutput.safeParse(output).data
  const value = made === undefined ? output : made.result
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? 'null')
}

function fit(value: unknown, subjects: readonly ReviewSubject[]): Fitted<{ verdicts: Verdict[]; conflicts: Conflict[] }> {
  const parsed = Judged.safeParse(value)
  if (!parsed.success) return { problems: [`it does not fit the schema: ${describeIssues(parsed.error.issues)}`] }
  const problems: string[] = []
  const verdicts = subjects.flatMap(({ name, scoreBefore }): Verdict[] => {
    const found = parsed.data.verdicts.find((one) => one.of === name)
    if (found === undefined) problems.push(`there is no verdict of ${name}`)
    else if (found.score < 0 || found.score > 1) problems.push(`the score of ${name} is ${found.score}: it is to be from 0 to 1`)
    else if (!found.accept && found.reasons.length === 0) problems.push(`${name} is refused without a reason`)
    else return [{ ...found, ...(scoreBefore === undefined ? {} : { scoreBefore }) }]
    return []
  })
  const names = new Set(subjects.map((subject) => subject.name))
  const conflicts = parsed.data.conflicts.flatMap((conflict): Conflict[] => {
    const between = [...new Set(conflict.between)].filter((name) => names.has(name))
    return between.length < 2 ? [] : [{ between, about: conflict.about }]
  })
  return problems.length > 0 ? { problems } : { value: { verdicts, conflicts } }
}
