/** `agent.plan`, its steps `plan` and `revise`: a goal in words becomes a plan, and a plan that went wrong becomes another. */
import { MeshError, toFault } from '../../../protocols/kernel/errors.ts'
import type { Json } from '../../../protocols/kernel/payload.ts'
import type { ChatMessage } from '../../../protocols/models/schema.ts'
import type { RoleProfile } from '../../roles/schema.ts'
import { verifiedProfile } from '../../roles/schema.ts'
import type { OfferedCapability, PlanDocument, SkillChild, SkillContext } from '../define-skill.ts'
import { askForJson, canAsk, chosenModel, requireBudget, requireModel } from './ask-model.ts'
import { excerpts } from './excerpts.ts'
import { best, gather } from './gather.ts'
import type { Gathered } from './gather.ts'
import { type ValueCheck, checkOf } from './json-answer.ts'
import { agentLimits } from './limits.ts'
import { roundOf } from './names.ts'
import { type Draft, type DraftScope, capabilitiesIn, checkedPlan, draftIn, planOf } from './plan-draft.ts'
import { draftSchema, planEvidence, planQuestion, planSystem } from './prompts/plan.ts'
import { refinements } from './refine.ts'
import { roleOf, rolesHere } from './roles-here.ts'
import type { PlanInput, Planned } from './schema.ts'
import { ranked } from './shortlist.ts'
import { isPartOfAnother, newest } from './tools.ts'
import { nothingUsed } from './usage.ts'

/** How much is shown, by how short it must be. */
const shortlistByLevel = [agentLimits.shortlist, 8, 4]
const schemasByLevel = [agentLimits.schemasShown, 3, 0]
const otherNamesByLevel = [60, 0, 0]
const finishedCharsByLevel = [1_000, 300, 0]

/** @throws MeshError `no-provider` (no model), `over-limit` (no budget, no leaves, no level left), `bad-plan` (after three answers); else as `SkillContext.call`. */
export async function planMission(input: PlanInput, context: SkillContext): Promise<PlanDocument> {
  const offered = newest(await context.capabilities())
  requireModel(offered, 'a mission in free text', input.part !== undefined)
  requireBudget(context, offered, 'planning')
  const scope = await scopeOf(input, context, offered, { earlier: new Map(), round: 0 })
  if (scope.leavesLeft < 1 || scope.depthLeft < 1) {
    throw new MeshError('over-limit', `nothing is left to plan with: ${scope.leavesLeft} tasks, ${scope.depthLeft} levels`, { next: 'raise limits.leavesMax or limits.depthMax of the mission' })
  }
  const planner = await roleOf(input.role, input.roles)
  // With one task left there is nothing to decide.
  if (scope.leavesLeft === 1) return builtPlan({ doItYourself: true, giveUp: false, why: 'one task is left', criteria: [], tasks: [] }, scope, { round: 0, attempts: 1, causes: [], usage: nothingUsed })
  const { draft, planned, full } = await askForDraft(context, scope, planner, undefined)
  return builtPlan(draft, full, planned)
}

/**
 * Asked when all children have ended: tasks in place of those that failed, and tasks that mend what reviews have refused.
 * @returns undefined when nothing is to be done, or nothing can be.
 */
export async function reviseMission({ input, children, round }: { readonly input: PlanInput; readonly children: readonly SkillChild[]; readonly round: number }, context: SkillContext): Promise<PlanDocument | undefined> {
  const offered = newest(await context.capabilities())
  if (!canAsk(context, offered)) return undefined
  const gathered = gather(children)
  const earlier = new Map(children.filter((child) => child.state === 'accepted').map((child) => [child.name, child.capability]))
  const scope = await scopeOf(input, context, offered, { earlier, round })
  if (scope.leavesLeft < 1) return undefined
  // What was optional is done without.
  const failures = gathered.failures.filter((child) => child.optional !== true && roundOf(child.name) === round - 1)
  const replanned = failures.length === 0 ? undefined : await replan(failures, gathered, scope, context)
  if (failures.length > 0 && replanned === undefined) return undefined
  const left = scope.leavesLeft - Object.keys(replanned?.tasks ?? {}).length
  const mending = refinements(gathered, { ...scope, leavesLeft: Math.max(0, left) })
  const tasks = { ...replanned?.tasks, ...mending }
  if (Object.keys(tasks).length === 0) return undefined
  const checked = checkedPlan({ ...(replanned ?? { name: `mending, round ${round}` }), tasks }, earlier)
  if ('value' in checked) return checked.value
  throw new MeshError('internal', `the tasks of round ${round} are no plan: ${checked.problems.join('; ')}`)
}

async function replan(failures: readonly SkillChild[], gathered: Gathered, scope: DraftScope, context: SkillContext): Promise<PlanDocument | undefined> {
  if (gathered.planned.length > agentLimits.replansMax || scope.round > agentLimits.replansMax) return undefined
  try {
    requireModel(scope.offered, 'planning', true)
    const planner = await roleOf(scope.input.role, scope.input.roles)
    const { draft, planned, full } = await askForDraft(context, scope, planner, { failures, gathered })
    if (!draft.giveUp) return builtPlan(draft, full, planned)
    context.log(`nothing is planned in place of ${failures.map((child) => child.name).join(', ')}: ${draft.why}`)
  } catch (thrown) {
    // The task then fails by what its children failed by, which says more.
    const why = toFault(thrown)
    if (why.retryable) throw thrown
    context.log(`nothing could be planned in place of ${failures.map((child) => child.name).join(', ')}: ${why.detail}`)
  }
  return undefined
}

function builtPlan(draft: Draft, scope: DraftScope, planned: Planned): PlanDocument {
  const built = planOf(draft, scope, planned)
  if ('value' in built) return built.value
  throw badPlan(built.problems)
}

function badPlan(causes: readonly string[]): MeshError {
  return new MeshError('bad-plan', `the model made no plan that can be carried out, ${causes.length} times; at last: ${causes.at(-1) ?? ''}`, { next: 'state the goal more exactly, write the plan yourself (skein run plan.yaml), or use another model for decisions ("model: { decide: … }" of the role)' })
}

async function scopeOf(input: PlanInput, context: SkillContext, offered: readonly OfferedCapability[], at: Pick<DraftScope, 'earlier' | 'round'>): Promise<DraftScope> {
  const here = await rolesHere()
  const roles = new Map<string, RoleProfile>([...here.values()].map(({ profile }) => [profile.name, profile]))
  const brought = input.roles.map(verifiedProfile)
  for (const role of brought) roles.set(role.name, role)
  if (typeof input.role !== 'string') roles.set(input.role.name, verifiedProfile(input.role))
  const own = [...here.values()].filter(({ origin }) => origin !== 'shipped').map(({ profile }) => profile)
  return {
    ...at, input, roles, offered, checks: new Map(),
    ownRoles: [...brought, ...own.filter((role) => brought.every(({ name }) => name !== role.name))],
    leavesLeft: Math.min(context.planLimits?.leavesLeft ?? 10, at.round === 0 ? (input.leavesMax ?? Infinity) : Infinity),
    depthLeft: context.planLimits?.depthLeft ?? 1,
    budgetUsd: context.budgetUsd,
  }
}

/** @returns with the scope in which the draft was found good: it knows the schemas of what the draft names. */
async function askForDraft(context: SkillContext, scope: DraftScope, planner: RoleProfile, failed: { readonly failures: readonly SkillChild[]; readonly gathered: Gathered } | undefined): Promise<{ draft: Draft; planned: Planned; full: DraftScope }> {
  const { input, offered, roles, round } = scope
  const usable = offered.filter((one) => !isPartOfAnother(one) && !one.name.startsWith('llm.') && one.name !== 'agent.review' && (one.kind === 'leaf' || scope.depthLeft >= 2))
  const own = usable.filter((one) => one.name.startsWith('agent.'))
  const others = ranked(usable.filter((one) => !own.includes(one)), (one) => `${one.name} ${one.summary}`, `${input.goal} ${Object.keys(input.context).join(' ')}`)
  const schemas = new Map<string, Json | undefined>()
  const checks = new Map<string, ValueCheck>()
  const learn = async (name: string): Promise<Json | undefined> => {
    const one = offered.find((other) => other.name === name)
    if (one === undefined || name.startsWith('agent.')) return undefined
    if (!schemas.has(name)) {
      const schema = await context.inputSchema(name, one.version)
      schemas.set(name, schema)
      const check = checkIfPossible(schema)
      if (check !== undefined) checks.set(name, check)
    }
    return schemas.get(name)
  }

  const messagesAt = async (level: number): Promise<ChatMessage[] | undefined> => {
    const given = await excerpts(context.blobs, input.context, level)
    if (given === undefined) return undefined
    const listed = others.slice(0, shortlistByLevel[level])
    const shown = new Map<string, Json>()
    for (const one of listed.slice(0, schemasByLevel[level])) {
      const schema = await learn(one.name)
      if (schema !== undefined) shown.set(one.name, schema)
    }
    return [
      { role: 'system', content: planSystem() },
      {
        role: 'user',
        content: planQuestion({
          goal: input.goal, criteria: input.criteria, given, planner, roles: [...roles.values()], isBrief: level > 1,
          capabilities: [...own, ...listed], schemas: shown, otherNames: others.slice(listed.length, listed.length + (otherNamesByLevel[level] ?? 0)).map((one) => one.name),
          tasksMax: tasksMax(scope.leavesLeft), depthLeft: scope.depthLeft, budgetUsd: scope.budgetUsd,
          ...(failed === undefined ? {} : { evidence: planEvidence(evidenceOf(failed, level)) }),
        }),
      },
    ]
  }

  const names = [...own, ...others].map((one) => one.name)
  const answer = await askForJson(context, {
    key: `plan:${round}`, messagesAt, schema: draftSchema(names, [...roles.keys()], failed !== undefined), signal: context.signal,
    model: chosenModel(offered, input.models?.decide, planner.model?.decide),
    async fit(value) {
      const draft = draftIn(value)
      if ('problems' in draft) return draft
      if (draft.value.giveUp && failed !== undefined) return draft
      await Promise.all(capabilitiesIn(draft.value).map(learn))
      const built = planOf(draft.value, { ...scope, checks }, { round, attempts: 1, causes: [], usage: nothingUsed })
      return 'problems' in built ? built : draft
    },
    refusedFor: badPlan,
  })
  return { draft: answer.value, full: { ...scope, checks }, planned: { round, attempts: answer.attempts, causes: answer.causes.map((cause) => cause.slice(0, 300)), usage: answer.usage } }
}

/** Some are kept for reviews and for what has to be mended. */
function tasksMax(leavesLeft: number): number {
  return Math.max(1, leavesLeft - Math.min(8, Math.floor(leavesLeft / 3)))
}

function evidenceOf({ failures, gathered }: { readonly failures: readonly SkillChild[]; readonly gathered: Gathered }, level: number): Parameters<typeof planEvidence>[0] {
  return {
    finished: gathered.strands.map((strand) => {
      const { name, capability, result } = best(strand)
      const text = typeof result === 'string' ? result : JSON.stringify(result)
      return { name, capability, text: text.slice(0, finishedCharsByLevel[level] ?? 0) }
    }),
    failures: failures.map(({ name, capability, state, fault }) => ({ name, capability, state, why: fault === undefined ? 'it was not begun, for what it needs failed' : `${fault.code}: ${fault.detail}` })),
  }
}

function checkIfPossible(schema: Json | undefined): ValueCheck | undefined {
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) return undefined
  try {
    return checkOf(schema, 'the schema')
  } catch (thrown) {
    if (thrown instanceof MeshError) return undefined
    throw thrown
  }
}
