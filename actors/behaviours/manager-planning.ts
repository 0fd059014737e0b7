/** The two ends of a composite task: its plan, made by its skill, and its synthesis from the children's results. */
import { fault, type Fault } from '../../protocols/kernel/errors.ts'
import { taskDepth } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { Json, Payload } from '../../protocols/kernel/payload.ts'
import { finish, outcomeDue, type Holder, type Outcome } from '../../protocols/leasing/holder.ts'
import { planFault, referencesIn, resolveReferences } from '../../protocols/tasking/plan.ts'
import { Plan } from '../../protocols/tasking/schema.ts'
import { queryOf, specify } from '../../protocols/tasking/specify.ts'
import type { Offer } from '../messages.ts'
import { actorNames, at } from '../names.ts'
import type { SkillRun } from '../ports/skill-runner.ts'
import type { RunStats } from '../../protocols/bidding/schema.ts'
import type { ActorContext } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'
import { newRunCalls } from './skill-calls.ts'
import { offersByName } from './submission.ts'
import { childrenOf, foldOf, hasUnsettled, note, record, taskName, taskOf, type ManagerState, type SkillInProgress } from './manager-state.ts'

function skillRun(state: ManagerState, step: 'plan' | 'revise' | 'synthesise', context: ActorContext): SkillRun | undefined {
  const award = state.init.award
  if (award === undefined) return undefined
  return {
    // A run that was stopped may still have a word on its way: the next one has another name.
    runId: `${award.awardId}:${step}:${state.nextRequest++}`, capability: award.capability, version: award.version, step, input: award.input, principal: award.principal, missionId: award.missionId, taskId: award.taskId, attempt: award.attempt,
    planLimits: { leavesLeft: state.leavesLeft, depthLeft: foldOf(state).limits.depthMax - taskDepth(state.init.taskId) },
    timeLimitMs: Math.max(1, Math.min(award.timeLimitMs, state.deadlineAtMs - context.nowMs)),
    ...(award.budgetUsd === undefined ? {} : { budgetUsd: leftOfBudgetUsd(state, award.budgetUsd) }),
    ...(step === 'revise' ? { round: (taskOf(state, state.init.taskId).rounds ?? 0) + 1 } : {}),
    ...(step !== 'plan' ? {
      children: childrenOf(state).map((child) => ({
        name: taskName(child.spec.taskId), capability: child.spec.capability, state: child.state === 'accepted' ? 'accepted' as const : child.state === 'dead' ? 'dead' as const : 'cancelled' as const,
        ...(child.result === undefined ? {} : { output: child.result }), ...(child.fault === undefined ? {} : { fault: child.fault }), ...(child.spec.optional ? { optional: true } : {}),
      })),
    } : {}),
  }
}

/** Neither spent nor set aside: its children draw on it as its own steps do. */
function leftOfBudgetUsd(state: ManagerState, budgetUsd: number): number {
  return Math.max(0, budgetUsd - (taskOf(state, state.init.taskId).heldUsd ?? 0) - state.unbilledUsd)
}

export function startPlanning(state: ManagerState, context: ActorContext): Effect[] {
  const run = skillRun(state, 'plan', context)
  if (run === undefined) return fail(state, fault('internal', 'a mission was opened without its plan'), context)
  state.phase = 'planning'
  note(state, { taskId: state.init.taskId, note: 'planning' })
  return [beginSkill(state, run)]
}

function beginSkill(state: ManagerState, run: SkillRun): Effect {
  const { priority, principal, missionId, taskId } = state.init.award ?? invariantAward()
  state.skill = { runId: run.runId, step: run.step, calls: newRunCalls({ runId: run.runId, missionId, taskId, principal, priority, budgetUsd: run.budgetUsd ?? 0, timeLimitMs: run.timeLimitMs }) }
  return { type: 'start-skill', run }
}

function invariantAward(): never {
  throw new Error('invariant broken: only an awarded task has a skill')
}

/** The skill's plan arrived: check its shape, then store inputs that are too large to travel inline. */
export function onPlan(state: ManagerState, document: Json, context: ActorContext): Effect[] {
  const parsed = Plan.safeParse(document)
  const isAddition = state.phase === 'finishing'
  const known = new Set(isAddition ? childrenOf(state).map(({ spec }) => taskName(spec.taskId)) : [])
  const problem = parsed.success ? planFault(parsed.data, known) : fault('bad-plan', `the plan of ${state.init.taskId} is malformed: ${parsed.error.issues[0]?.path.join('.') ?? ''} ${parsed.error.issues[0]?.message ?? ''}`)
  if (!parsed.success || problem !== undefined) return fail(state, { ...(problem as Fault), retryable: false }, context)
  state.draft = { plan: parsed.data, inputs: new Map() }
  return Object.entries(parsed.data.tasks).map(([name, task]) => ({ type: 'store-value' as const, value: (task.input ?? {}) as Json, tag: `planned ${name}` }))
}

export function onPlannedInput(state: ManagerState, name: string, payload: Payload, context: ActorContext): Effect[] {
  if (state.draft === undefined) return []
  state.draft.inputs.set(name, payload)
  const tasks = Object.values(state.draft.plan.tasks)
  if (state.draft.inputs.size < tasks.length) return []
  const queries = tasks.map(queryOf)
  return [tell(at(context.self.peer, actorNames.directory), { kind: 'who-offers', tag: 'plan', patient: true, queries })]
}

export function onPlanOffers(state: ManagerState, offers: readonly Offer[], context: ActorContext): Effect[] {
  const draft = state.draft
  if (draft === undefined) return []
  const byName = offersByName(draft.plan, offers)
  const unknown: Offer = { query: { capability: 'unknown' as never }, providers: [], population: 0, shards: 1, partial: false, versions: [], nearest: [] }
  const specs = specify(draft.plan, {
    parent: state.init.taskId, priority: state.priority ?? taskOf(state, state.init.taskId).spec.priority,
    input: (name) => draft.inputs.get(name) ?? { inline: {} },
    capability: (name) => byName.get(name) ?? unknown,
    ...(state.init.award?.budgetUsd === undefined ? {} : { budgetUsd: leftOfBudgetUsd(state, state.init.award.budgetUsd) }),
  })
  state.draft = undefined
  if (!Array.isArray(specs)) return fail(state, { ...specs, retryable: false }, context)
  const task = taskOf(state, state.init.taskId)
  const addition = task.planned ? { round: (task.rounds ?? 0) + 1, givesUp: [...state.children.broken] } : {}
  return record(state, [{ type: 'planned', atWallMs: context.wallMs, taskId: state.init.taskId, children: specs, ...addition, ...(state.unbilledUsd > 0 ? { costUsd: bill(state) } : {}), ...(draft.plan.result === undefined ? {} : { result: { inline: draft.plan.result as Json } }) }])
}

/** @returns the effects that end this task when all of its children have ended; undefined while some have not. */
export function finishIfDone(state: ManagerState, context: ActorContext): Effect[] | undefined {
  if (state.phase !== 'running' || hasUnsettled(state)) return undefined
  const { open, broken: [brokenId] } = state.children
  if (brokenId !== undefined) {
    // What runs is awaited.
    for (const taskId of open) if (taskOf(state, taskId).state === 'awarded' || state.callOf.has(taskId)) return undefined
  } else if (open.size > 0) return undefined
  if (state.init.award !== undefined && (taskOf(state, state.init.taskId).rounds ?? 0) < limits.revisionsMax) return runStep(state, 'revise', context)
  return conclude(state, context)
}

/** Nothing is added to the plan any more: it failed at a child, or its result is made. */
function conclude(state: ManagerState, context: ActorContext): Effect[] {
  const [brokenId] = state.children.broken
  if (brokenId !== undefined) {
    const broken = taskOf(state, brokenId)
    const problem = broken.fault ?? fault('skill-failed', 'it failed')
    return fail(state, { ...problem, detail: `task ${taskName(broken.spec.taskId)} failed: ${problem.detail}`.slice(0, 4_000), retryable: false }, context)
  }
  if (state.init.award === undefined) return synthesiseGiven(state, context)
  note(state, { taskId: state.init.taskId, note: 'synthesising' })
  return runStep(state, 'synthesise', context)
}

function runStep(state: ManagerState, step: 'revise' | 'synthesise', context: ActorContext): Effect[] {
  const run = skillRun(state, step, context)
  if (run === undefined) return []
  state.phase = 'finishing'
  return [beginSkill(state, run)]
}

/** A skill's step has ended well. */
export function onStepDone(state: ManagerState, { step }: SkillInProgress, output: Payload, context: ActorContext): Effect[] {
  if (step === 'synthesise') return complete(state, output, context)
  if (step === 'revise' && 'inline' in output && output.inline === null) return conclude(state, context)
  return 'inline' in output ? onPlan(state, output.inline, context) : [{ type: 'load-value', payload: output, alsoTry: [], tag: 'plan' }]
}

/** A plan of one's own says what its result is; without a word it is every task's output by name. */
export function synthesiseGiven(state: ManagerState, context: ActorContext): Effect[] {
  const task = taskOf(state, state.init.taskId)
  const children = childrenOf(state)
  const template = task.planResult !== undefined && 'inline' in task.planResult ? task.planResult.inline : Object.fromEntries(children.map((child) => [taskName(child.spec.taskId), { $from: taskName(child.spec.taskId) }]))
  // The whole of one task's output needs no loading: it is that task's payload.
  const whole = wholeOf(template)
  const only = whole === undefined ? undefined : children.find((child) => taskName(child.spec.taskId) === whole)
  if (only?.result !== undefined) {
    state.phase = 'finishing'
    return complete(state, only.result, context)
  }
  const wanted = new Set(referencesIn(template))
  const outputs = new Map<string, unknown>()
  const loads: Effect[] = []
  for (const child of children) {
    const name = taskName(child.spec.taskId)
    if (!wanted.has(name) || child.result === undefined) continue
    const value = 'inline' in child.result ? child.result.inline : state.values.get(child.spec.taskId)
    if (value !== undefined) outputs.set(name, value)
    else if (!state.loading.has(child.spec.taskId)) {
      state.loading.add(child.spec.taskId)
      loads.push({ type: 'load-value', payload: child.result, alsoTry: [state.orchestrator.peer], tag: `load ${child.spec.taskId}` })
    } else return []
  }
  if (loads.length > 0) return loads
  state.phase = 'finishing'
  note(state, { taskId: state.init.taskId, note: 'synthesising' })
  return [{ type: 'store-value', value: resolveReferences(template, outputs), tag: 'result' }]
}

/** The task whose whole output the template stands for, if that is all there is to it. */
function wholeOf(template: unknown): string | undefined {
  if (typeof template !== 'object' || template === null || !('$from' in template) || Object.keys(template).length !== 1) return undefined
  return typeof template.$from === 'string' ? template.$from : undefined
}

function cited(state: ManagerState) {
  return childrenOf(state).flatMap((child) => (child.state === 'accepted' && child.acceptedAward !== undefined ? [child.acceptedAward] : []))
}

/** The composite task has its result: told to the parent's manager, or, by the root's manager, to the owner. */
export function complete(state: ManagerState, result: Payload, context: ActorContext): Effect[] {
  state.skill = undefined
  if (state.holder === undefined) {
    return record(state, [{ type: 'accepted', atWallMs: context.wallMs, taskId: state.init.taskId, awardId: state.init.awardId, result, cites: cited(state), tookMs: Math.max(0, context.wallMs - foldOf(state).submittedAtWallMs) }])
  }
  return tellOutcome(state, { kind: 'result', awardId: state.init.awardId, result, cites: cited(state), stats: costs(state) }, context)
}

/** What its skill's steps have cost since it was told last. */
function bill(state: ManagerState): number {
  const costUsd = state.unbilledUsd
  state.unbilledUsd = 0
  return costUsd
}

function costs(state: ManagerState): RunStats {
  return { queueMs: 0, transferMs: 0, runMs: 0, costUsd: bill(state) }
}

export function fail(state: ManagerState, problem: Fault, context: ActorContext): Effect[] {
  state.skill = undefined
  state.phase = 'finishing'
  const log = fact('warn', 'manager.failed', { task: state.init.taskId, code: problem.code, detail: problem.detail })
  if (state.holder === undefined) return [log, ...record(state, [{ type: 'dead', atWallMs: context.wallMs, taskId: state.init.taskId, fault: problem }])]
  return [log, ...tellOutcome(state, { kind: 'failure', awardId: state.init.awardId, fault: problem, stats: costs(state) }, context)]
}

function tellOutcome(state: ManagerState, outcome: Outcome, context: ActorContext): Effect[] {
  const { holder } = state
  if (holder === undefined) return []
  state.phase = 'finished'
  finish(holder, outcome, context.nowMs)
  const due = outcomeDue(holder, context.nowMs)
  const { award } = holder
  return [
    ...(due === undefined ? [] : [tellDue(holder, due)]),
    tell(at(context.self.peer, actorNames.participant), { kind: 'awards-finished', awards: [{ awardId: award.awardId, effort: award.effort, capability: award.capability, version: award.version, ...(outcome.kind === 'result' ? { runMs: context.nowMs - holder.startedAtMs } : {}) }] }),
  ]
}

/** What has become of the composite task, to whoever awarded it. */
export function tellDue({ manager, award }: Holder, outcome: Outcome): Effect {
  if (outcome.kind === 'failure') return tell(manager, outcome, award.principal)
  const { kind: _, ...result } = outcome
  return tell(manager, { kind: 'inform', results: [result] }, award.principal)
}
