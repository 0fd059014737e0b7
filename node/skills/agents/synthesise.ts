/** `agent.plan`, its last step: one result of what the tasks have found. */
import { z } from 'zod'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import { canonicalJson, digestOfText } from '../../../protocols/kernel/hashing.ts'
import { Json } from '../../../protocols/kernel/payload.ts'
import type { ChatMessage } from '../../../protocols/models/schema.ts'
import type { SkillChild, SkillContext } from '../define-skill.ts'
import { withoutThoughts } from '../json-in-text.ts'
import { askForJson, askModel, chosenModel, requireModel } from './ask-model.ts'
import { type CitedText, checkedCitations } from './citations.ts'
import { condense } from './condense.ts'
import { type Gathered, type Version, best, doubtsOf, gather, refinementsOf } from './gather.ts'
import { checkOf } from './json-answer.ts'
import { agentLimits } from './limits.ts'
import { synthesiseQuestion, synthesiseSystem, synthesiseVersion } from './prompts/synthesise.ts'
import { roleOf } from './roles-here.ts'
import { type AgentUsage, PlanOutput, type PlanInput, WorkOutput } from './schema.ts'
import { wrapped } from './tools.ts'
import { addUsage, nothingUsed } from './usage.ts'

/** @throws MeshError `skill-failed` (there is nothing to write from), `no-provider`, `bad-output`, `context-overflow`; else as `SkillContext.call`. */
export async function synthesise({ input, children }: { readonly input: PlanInput; readonly children: readonly SkillChild[] }, context: SkillContext): Promise<PlanOutput> {
  const gathered = gather(children)
  const results = [...gathered.strands.map(best), ...gathered.merges]
  const common = {
    refinements: refinementsOf(gathered),
    doubts: doubtsOf(gathered),
    missing: gathered.failures.map(({ name, state, fault }) => `${name}: ${fault === undefined ? state : `${fault.code}: ${fault.detail}`}`.slice(0, 1_000)),
    attempts: gathered.planned.map(({ round, attempts, causes }) => ({ round, attempts, causes })),
    ...(input.part === undefined ? {} : { part: input.part }),
  }
  if (results.length === 0) {
    throw new MeshError('skill-failed', `no task of the plan has given a result${common.missing.length === 0 ? '' : `: ${common.missing.join('; ')}`}`.slice(0, 4_000), { retryable: false, next: 'see why: skein mission why ID' })
  }
  const only = results.length === 1 && gathered.failures.length === 0 ? results[0] : undefined
  const handedUp = only === undefined ? undefined : asItIs(only, children, input)
  if (handedUp !== undefined) return { ...common, ...handedUp, citations: [only?.name ?? ''], citationsRemoved: 0, usage: gathered.usage }
  return { ...common, ...(await written(input, results, gathered, context)) }
}

/** The work of one agent alone is the result: writing it anew would cost and gain nothing. */
function asItIs(only: Version, children: readonly SkillChild[], input: PlanInput): Pick<PlanOutput, 'result' | 'text' | 'provenance' | 'condensed'> | undefined {
  const output = children.find((child) => child.name === only.name)?.output
  const made = WorkOutput.safeParse(output).data ?? PlanOutput.safeParse(output).data
  if (made === undefined || (input.expects !== undefined && checkOf(input.expects, 'the schema under "expects"')(made.result) !== undefined)) return undefined
  const { result, text, provenance, condensed } = made
  return { result, text, provenance, condensed }
}

async function written(input: PlanInput, results: readonly Version[], gathered: Gathered, context: SkillContext): Promise<Pick<PlanOutput, 'result' | 'text' | 'citations' | 'citationsRemoved' | 'usage' | 'provenance' | 'condensed'>> {
  const offered = await context.capabilities()
  requireModel(offered, 'putting the results together', true)
  const role = await roleOf(input.role, input.roles)
  const model = chosenModel(offered, input.models?.write, role.model?.write)
  const names = new Set(results.map(({ name }) => name))
  let usage = gathered.usage
  let condensed = 0

  const messagesAt = async (level: number): Promise<ChatMessage[] | undefined> => {
    if (level > 1) return undefined
    const shown: { name: string; goal?: string; note?: string; text: string }[] = []
    for (const { name, result, part, verdict } of results) {
      let text = typeof result === 'string' ? result : JSON.stringify(result)
      if (level > 0 && text.length >= agentLimits.condenseCharsMin) {
        const short = await condense(context, { key: `condense:${name}`, goal: input.goal, text, model, signal: context.signal })
        usage = addUsage(usage, short.usage)
        condensed += 1
        text = short.text
      }
      const settles = part?.settles ?? []
      const note = settles.length > 0 ? `It settles the contradiction between ${settles.join(' and ')}.` : verdict?.accept === false ? 'Reviewers have refused it: see what is in doubt.' : undefined
      shown.push({ name, text, ...(part === undefined ? {} : { goal: part.goal }), ...(note === undefined ? {} : { note }) })
    }
    const question = synthesiseQuestion({ goal: input.goal, criteria: input.criteria, results: shown, doubts: doubtsOf(gathered), missing: gathered.failures.map(({ name, fault }) => `${name}: ${fault?.detail ?? 'not begun'}`) })
    return [{ role: 'system', content: synthesiseSystem(role.prompt, input.expects !== undefined) }, { role: 'user', content: question }]
  }

  const made = input.expects === undefined ? await inProse(context, messagesAt, names, model) : await asJson(context, messagesAt, names, model, input.expects)
  return {
    result: made.result ?? made.cited.text, text: made.cited.text, citations: [...made.cited.citations], citationsRemoved: made.cited.removed,
    usage: addUsage(usage, made.usage), condensed,
    provenance: { model: made.model, node: made.node, role: role.name, roleDigest: role.digest, promptDigest: digestOfText(canonicalJson({ version: synthesiseVersion, messages: made.messages })) },
  }
}

interface Made {
  readonly cited: CitedText
  readonly result?: Json
  readonly usage: AgentUsage
  readonly model: string
  readonly node: string
  readonly messages: readonly ChatMessage[]
}

type MessagesAt = (level: number) => Promise<ChatMessage[] | undefined>

/** A text that cites nothing, or is cut off or empty, is asked for once more. */
async function inProse(context: SkillContext, messagesAt: MessagesAt, names: ReadonlySet<string>, model: string | undefined): Promise<Made> {
  let usage = nothingUsed
  let level = 0
  let messages = (await messagesAt(0)) ?? []
  let again: ChatMessage[] = []
  for (let call = 1; ; call++) {
    try {
      const asked = await askModel(context, { key: `synthesise:${call}`, messages: [...messages, ...again], model, signal: context.signal })
      usage = addUsage(usage, asked.usage)
      const text = withoutThoughts(asked.answer.content ?? '').trim()
      const cited = checkedCitations(text, names)
      const problem = text === '' ? 'it is empty' : asked.answer.finish === 'length' ? 'it was cut off because it was too long: be more brief' : cited.citations.length === 0 ? 'it cites none of the results by name' : undefined
      if (problem === undefined || (again.length > 0 && text !== '' && asked.answer.finish !== 'length')) return { cited, usage, model: asked.answer.model, node: asked.node, messages }
      if (again.length > 0) throw new MeshError('bad-output', `the model did not put the results together: ${problem}`, { next: 'use another model ("model: { write: … }" of the role)' })
      again = [...(text === '' ? [] : [{ role: 'assistant' as const, content: text }]), { role: 'user', content: `Your text was refused: ${problem}. Write it again, in full.` }]
    } catch (thrown) {
      if (!(thrown instanceof MeshError) || thrown.fault.code !== 'context-overflow') throw thrown
      const shorter = await messagesAt(++level)
      if (shorter === undefined) throw thrown
      messages = shorter
    }
  }
}

async function asJson(context: SkillContext, messagesAt: MessagesAt, names: ReadonlySet<string>, model: string | undefined, expects: NonNullable<PlanInput['expects']>): Promise<Made> {
  const check = checkOf(expects, 'the schema under "expects"')
  const Whole = z.object({ text: z.string().min(1), result: Json })
  const { value, usage, model: by, node, messages } = await askForJson(context, {
    key: 'synthesise', schema: wrapped(expects, 'result', { text: { type: 'string' } }), messagesAt, model, signal: context.signal,
    fit(found) {
      const whole = Whole.safeParse(found)
      if (!whole.success) return { problems: ['it is to have a text under "text" and the result under "result"'] }
      const problem = check(whole.data.result)
      return problem === undefined ? { value: whole.data } : { problems: [`the result does not fit its schema: ${problem}`] }
    },
    refusedFor: (causes) => new MeshError('bad-output', `the model did not put the results together: ${causes.at(-1) ?? ''}`, { retryable: false, next: 'ask for a simpler form under "expects", or use another model' }),
  })
  return { cited: checkedCitations(value.text, names), result: value.result, usage, model: by, node, messages }
}
