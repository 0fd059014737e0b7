/** What a planning model writes, checked and turned into the plan that a person might have written. Pure. */
import { z } from 'zod'
import { JsonSchema } from '../../../protocols/models/schema.ts'
import { isReference, planFault, referencesIn } from '../../../protocols/tasking/plan.ts'
import { AcceptanceCheck, Plan } from '../../../protocols/tasking/schema.ts'
import type { PlannedTask } from '../../../protocols/tasking/schema.ts'
import type { ModelPreference, RoleProfile } from '../../roles/schema.ts'
import type { OfferedCapability, PlanDocument } from '../define-skill.ts'
import { describeIssues } from '../standard-schema.ts'
import type { Fitted } from './ask-model.ts'
import { withInputs } from './decide-calls.ts'
import type { ValueCheck } from './json-answer.ts'
import { agentLimits } from './limits.ts'
import { isAgentTask, nameInRound, reviewName } from './names.ts'
import type { Part, PlanInput, Planned, ReviewSubject } from './schema.ts'
import { ranked } from './shortlist.ts'
import { isAllowed } from './tools.ts'
import { nearest } from '../../config/nearest.ts'

const DraftTask = z.object({
  name: z.string(),
  capability: z.string(),
  role: z.string().optional(),
  goal: z.string().max(agentLimits.goalCharsMax).optional(),
  uses: z.array(z.string()).default([]),
  input: z.record(z.string(), z.unknown()).optional(),
  after: z.array(z.string()).default([]),
  criteria: z.array(z.string().min(1).max(1_000)).max(32).default([]),
  accept: z.array(AcceptanceCheck).default([]),
  expects: JsonSchema.optional(),
  effort: z.number().positive().optional(),
  budgetUsd: z.number().min(0).optional(),
  optional: z.boolean().default(false),
})
type DraftTask = z.infer<typeof DraftTask>

export const Draft = z.object({
  doItYourself: z.boolean().default(false),
  giveUp: z.boolean().default(false),
  role: z.string().optional(),
  why: z.string().default(''),
  criteria: z.array(z.string().min(1).max(1_000)).max(32).default([]),
  tasks: z.array(DraftTask).default([]),
})
export type Draft = z.infer<typeof Draft>

/** What a draft is checked against. */
export interface DraftScope {
  readonly input: PlanInput
  readonly roles: ReadonlyMap<string, RoleProfile>
  /** Roles that not every node has: they travel with what is planned further. */
  readonly ownRoles: readonly RoleProfile[]
  /** Of each capability the newest version. */
  readonly offered: readonly OfferedCapability[]
  /** Of inputs, by capability, as far as their schemas are known. */
  readonly checks: ReadonlyMap<string, ValueCheck>
  readonly leavesLeft: number
  readonly depthLeft: number
  readonly budgetUsd: number | undefined
  /** Tasks that were accepted in earlier rounds: name → capability. */
  readonly earlier: ReadonlyMap<string, string>
  /** 0 for the first plan. */
  readonly round: number
}

type Names = Map<string, { readonly name: string; readonly capability: string }>

const taskNameOfModel = /^[a-z0-9][a-z0-9-]{0,39}$/

/** @returns the draft, or what is wrong with its form. */
export function draftIn(value: unknown): Fitted<Draft> {
  const tidy = withoutNulls(value)
  const tasks = isObject(tidy) ? tidy['tasks'] : undefined
  // Some models write the tasks as an object by name, as a person does.
  const listed = isObject(tasks) ? Object.entries(tasks).map(([name, task]) => ({ ...(isObject(task) ? task : {}), name })) : tasks
  const draft = Draft.safeParse(Array.isArray(listed) ? { ...(tidy as object), tasks: listed.map(withoutNulls) } : tidy)
  return draft.success ? { value: draft.data } : { problems: [`it does not fit the schema: ${describeIssues(draft.error.issues)}`] }
}

/** A task of this plan or of an earlier round, by the name that the model knows. */
export type Named = (name: string) => { readonly name: string; readonly capability: string } | undefined

/** Capabilities that the draft names, each once. */
export function capabilitiesIn(draft: Draft): string[] {
  return [...new Set(draft.tasks.map((task) => task.capability))]
}

/** @returns the plan, checked as a person's is, or everything that is wrong with it. */
export function planOf(draft: Draft, scope: DraftScope, planned: Planned): Fitted<PlanDocument> {
  if (draft.doItYourself) return alone(draft, scope, planned)
  const { tasks } = draft
  if (tasks.length === 0) return { problems: ['the plan has no tasks: give some, or answer with "doItYourself": true and a role'] }
  if (tasks.length > scope.leavesLeft) return { problems: [`the plan has ${tasks.length} tasks, and at most ${scope.leavesLeft} are left: plan larger tasks`] }

  const problems: string[] = []
  const names: Names = new Map()
  for (const { name, capability } of tasks) {
    if (!taskNameOfModel.test(name)) problems.push(`${JSON.stringify(name.slice(0, 80))} is not a task name: lower-case letters, digits and dashes, at most 40`)
    else if (names.has(name)) problems.push(`two tasks are named "${name}"`)
    else names.set(name, { name: nameInRound(name, scope.round), capability })
  }
  const composites = tasks.filter((task) => kindOf(task.capability, scope) === 'composite').length
  if (composites > 0 && scope.depthLeft < 2) problems.push('there is no level left below this plan: use leaf capabilities (agent.work) only')
  const budget = tasks.reduce((sum, task) => sum + (task.budgetUsd ?? 0), 0)
  if (scope.budgetUsd !== undefined && budget > scope.budgetUsd) problems.push(`the budgets of the tasks add up to ${budget} USD, and ${scope.budgetUsd} USD are left`)

  const reviewed = tasks.filter((task) => isAgentTask(task.capability) && task.criteria.length > 0)
  const reviews = reviewsWithin(reviewed.length, scope.leavesLeft - tasks.length)
  // At least one, since every task counts as a leaf above.
  const leavesEach = composites === 0 ? 0 : Math.floor((scope.leavesLeft - (tasks.length - composites) - reviews) / composites)
  const planTasks: Record<string, z.input<typeof PlannedTask>> = {}
  for (const task of tasks) {
    const made = taskOf(task, scope, names, planned, leavesEach)
    if ('problems' in made) problems.push(...made.problems.map((problem) => `task "${task.name}": ${problem}`))
    else planTasks[names.get(task.name)?.name ?? task.name] = made.value
  }
  if (problems.length > 0) return { problems: problems.slice(0, 20) }
  Object.assign(planTasks, reviewTasks(subjectsOf(reviewed, names), scope, reviews))
  return checkedPlan({ ...describe(scope, draft.why), tasks: planTasks }, scope.earlier)
}

function alone(draft: Draft, scope: DraftScope, planned: Planned): Fitted<PlanDocument> {
  const name = 'work'
  const criteria = [...new Set([...draft.criteria, ...scope.input.criteria])]
  const task = DraftTask.parse({ name, capability: 'agent.work', role: draft.role ?? roleNameOf(scope.input.role), goal: scope.input.goal, criteria, ...(scope.input.expects === undefined ? {} : { expects: scope.input.expects }), ...(scope.round === 0 ? {} : { uses: [...(Object.keys(scope.input.context).length > 0 ? ['input'] : []), ...scope.earlier.keys()] }) })
  const names: Names = new Map([[name, { name: nameInRound(name, scope.round), capability: task.capability }]])
  const made = taskOf(task, scope, names, planned, 0)
  if ('problems' in made) return made
  const reviews = reviewsWithin(criteria.length > 0 ? 1 : 0, scope.leavesLeft - 1)
  return checkedPlan({ ...describe(scope, draft.why), tasks: { [nameInRound(name, scope.round)]: made.value, ...reviewTasks(subjectsOf([task], names), scope, reviews) } }, scope.earlier)
}

function describe({ input }: DraftScope, why: string): { name: string; description?: string } {
  return { name: input.goal.replaceAll(/\s+/g, ' ').slice(0, 100), ...(why === '' ? {} : { description: why.slice(0, 2_000) }) }
}

function taskOf(task: DraftTask, scope: DraftScope, names: Names, planned: Planned, leavesMax: number): Fitted<z.input<typeof PlannedTask>> {
  const problems: string[] = []
  const offered = scope.offered.find((one) => one.name === task.capability)
  if (offered === undefined || task.capability === 'agent.review' || task.capability.startsWith('llm.')) return { problems: [unknownCapability(task.capability, scope)] }
  const named: Named = (name) => names.get(name) ?? earlierTask(name, scope.earlier)
  const after = task.after.flatMap((name) => {
    const found = named(name)
    if (found === undefined) problems.push(`"after" names "${name}", which is no task`)
    return found === undefined ? [] : [found.name]
  })
  const common = {
    capability: task.capability, after, accept: task.accept, optional: task.optional,
    ...(task.effort === undefined ? {} : { effort: task.effort }), ...(task.budgetUsd === undefined ? {} : { budgetUsd: task.budgetUsd }),
  }
  if (!isAgentTask(task.capability)) {
    const input = inputOf(task, scope, named)
    return 'problems' in input ? { problems: [...problems, ...input.problems] } : problems.length > 0 ? { problems } : { value: { ...common, input: input.value } }
  }

  const role = scope.roles.get(task.role ?? 'analyst')
  if (role === undefined) problems.push(`there is no role "${task.role ?? ''}"; the roles are: ${[...scope.roles.keys()].join(', ')}`)
  if (task.goal === undefined || task.goal.trim() === '') problems.push(`${task.capability} needs a goal`)
  if (task.capability === 'agent.act' && role !== undefined && !scope.offered.some((one) => one.effects === 'external' && isAllowed(role.skills, one, true))) problems.push(`the role ${role.name} may call nothing that has effects outside: use agent.work`)
  const given = givenTo(task.uses, scope.input, named)
  if ('problems' in given) problems.push(...given.problems)
  if (problems.length > 0 || role === undefined || 'problems' in given || task.goal === undefined) return { problems }

  const part: Part = { goal: task.goal, criteria: task.criteria, uses: given.value.uses, settles: [], planned, ...(task.expects === undefined ? {} : { expects: task.expects }) }
  const shared = { goal: task.goal, role, context: given.value.context, part, ...modelsOf(scope.input.models), ...(task.expects === undefined ? {} : { expects: task.expects }) }
  const input = task.capability === 'agent.plan'
    ? { ...shared, criteria: task.criteria, roles: scope.ownRoles, leavesMax, roundsMax: scope.input.roundsMax }
    : shared
  return { value: { ...common, input } }
}

export function modelsOf(models: ModelPreference | undefined): { models?: ModelPreference } {
  return models === undefined ? {} : { models }
}

export function earlierTask(name: string, earlier: ReadonlyMap<string, string>): ReturnType<Named> {
  const capability = earlier.get(name)
  return capability === undefined ? undefined : { name, capability }
}

/** Where the result is in a task's output: an agent's has more beside it. */
export function resultOf({ name, capability }: { readonly name: string; readonly capability: string }): { $from: string; path?: string } {
  return { $from: name, ...(isAgentTask(capability) ? { path: 'result' } : {}) }
}

/** What an agent's task is given: by the names that it uses; all of the input when it names nothing. */
export function givenTo(uses: readonly string[], input: PlanInput, named: Named): Fitted<{ context: Record<string, unknown>; uses: string[] }> {
  const problems: string[] = []
  const context: Record<string, unknown> = {}
  const resolved: string[] = []
  const wanted = uses.length === 0 && Object.keys(input.context).length > 0 ? ['input'] : uses
  for (const use of wanted) {
    const task = named(use)
    if (task !== undefined) {
      context[use] = resultOf(task)
      resolved.push(task.name)
    } else if (use === 'input') {
      Object.assign(context, input.context)
      resolved.push(use)
    } else if (use.startsWith('input.')) {
      const path = use.slice('input.'.length)
      const found = withInputs({ $input: path }, input.context)
      if ('missing' in found) problems.push(`"uses" names "${use}", and the input has only: ${Object.keys(input.context).join(', ') || 'nothing'}`)
      else {
        context[path] = found.value
        resolved.push(use)
      }
    } else problems.push(`"uses" names "${use}", which is neither a task nor "input"`)
  }
  return problems.length > 0 ? { problems } : { value: { context, uses: resolved } }
}

function inputOf(task: DraftTask, scope: DraftScope, named: Named): Fitted<unknown> {
  const problems: string[] = []
  const filled = withInputs(task.input ?? {}, scope.input.context)
  if ('missing' in filled) return { problems: [`{"$input": ${JSON.stringify(filled.missing)}} refers to nothing in the input, which has: ${Object.keys(scope.input.context).join(', ') || 'nothing'}`] }
  const renamed = (value: unknown): unknown => {
    if (isReference(value)) {
      const found = named(value.$from)
      if (found === undefined) problems.push(`its input refers to "${value.$from}", which is no task`)
      return { ...value, $from: found?.name ?? value.$from }
    }
    if (Array.isArray(value)) return value.map(renamed)
    return isObject(value) ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, renamed(inner)])) : value
  }
  const input = renamed(filled.value)
  // With references in it, it is checked once they are resolved: by the skill itself.
  const problem = referencesIn(input).length > 0 ? undefined : scope.checks.get(task.capability)?.(input)
  if (problem !== undefined) problems.push(`its input does not fit ${task.capability}: ${problem}`)
  return problems.length > 0 ? { problems } : { value: input }
}

function unknownCapability(name: string, scope: DraftScope): string {
  const names = scope.offered.map((one) => one.name).filter((one) => one !== 'agent.review' && !one.startsWith('llm.'))
  const close = nearest(name, names)
  const near = [...new Set([...(close === undefined ? [] : [close]), ...ranked(names, (one) => one.replaceAll('.', ' '), name.replaceAll(/[._-]/g, ' ')).slice(0, 3)])].slice(0, 3)
  return `no node offers "${name.slice(0, 80)}"; the nearest: ${near.join(', ')}`
}

function kindOf(capability: string, scope: DraftScope): 'leaf' | 'composite' {
  return scope.offered.find((one) => one.name === capability)?.kind ?? 'leaf'
}

export function roleNameOf(role: PlanInput['role']): string {
  return typeof role === 'string' ? role : role.name
}

/** So many review tasks for so many results, as far as there is room for them. */
export function reviewsWithin(results: number, room: number): number {
  return Math.max(0, Math.min(Math.ceil(results / agentLimits.reviewGroupMax), room))
}

function subjectsOf(tasks: readonly DraftTask[], names: Names): ReviewSubject[] {
  return tasks.map((task) => {
    const name = names.get(task.name)?.name ?? task.name
    return { name, goal: task.goal ?? '', criteria: task.criteria, output: { $from: name } }
  })
}

/** Reviews that share the subjects evenly. A plan goes on without a review that fails. */
export function reviewTasks(subjects: readonly ReviewSubject[], scope: Pick<DraftScope, 'input' | 'roles' | 'round'>, reviews: number): Record<string, z.input<typeof PlannedTask>> {
  const role = scope.roles.get('reviewer')
  const tasks: Record<string, z.input<typeof PlannedTask>> = {}
  for (let i = 0; i < reviews; i++) {
    const from = Math.floor((i * subjects.length) / reviews)
    const group = subjects.slice(from, Math.floor(((i + 1) * subjects.length) / reviews))
    if (group.length === 0) continue
    tasks[reviewName(i + 1, scope.round)] = { capability: 'agent.review', optional: true, input: { goal: scope.input.goal, subjects: group, ...(role === undefined ? {} : { role }), ...modelsOf(scope.input.models) } }
  }
  return tasks
}

/** As a plan of a person's is checked; tasks of earlier rounds may be referred to. */
export function checkedPlan(document: PlanDocument, earlier: ReadonlyMap<string, string>): Fitted<PlanDocument> {
  const plan = Plan.safeParse(document)
  if (!plan.success) return { problems: [describeIssues(plan.error.issues)] }
  const before = Object.fromEntries([...earlier].map(([name, capability]) => [name, { capability, input: {}, after: [], accept: [], optional: false }]))
  const wrong = planFault({ ...plan.data, tasks: { ...(before as unknown as Plan['tasks']), ...plan.data.tasks } })
  return wrong === undefined ? { value: document } : { problems: [wrong.next === undefined ? wrong.detail : `${wrong.detail}: ${wrong.next}`] }
}

function withoutNulls(value: unknown): unknown {
  return isObject(value) ? Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== null)) : value
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
