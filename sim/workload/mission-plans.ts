/** Missions of a stated shape: the request that a submitter makes, and the leaves in it as an omniscient observer knows them. */
import type { z } from 'zod'
import { limits } from '../../protocols/kernel/limits.ts'
import type { Random } from '../../protocols/kernel/prng.ts'
import type { DurationMs } from '../../protocols/kernel/units.ts'
import type { MissionRequest, PlannedTask } from '../../protocols/tasking/schema.ts'
import { draw } from '../scenario/draw.ts'
import type { MissionShape, ScenarioSkill } from '../scenario/schema.ts'
import { failingAttempts, honestyCheck, type CompositeInput, type LeafInput, type PlannedChild } from './leaf-work.ts'

/** A request as a client writes it, before defaults are filled in. */
export type RequestInput = z.input<typeof MissionRequest>

export interface PlannedLeaf {
  /** Its task id without `root/`. */
  readonly name: string
  /** Leaves of the same mission that must be accepted first. */
  readonly after: readonly string[]
  readonly capability: string
  /** What bidders are told. */
  readonly effort: number
  /** At speed 1; bidders are not told. */
  readonly workMs: DurationMs
  /** Attempts that fail whoever runs them, before the first that does not; absent: none. */
  readonly fails?: number
  /** All attempts that it has fail: so does its mission. */
  readonly dies?: true
}

export interface PlannedMission {
  readonly request: RequestInput
  readonly leaves: readonly PlannedLeaf[]
}

/** A task of the request's own plan. */
interface TopTask {
  readonly name: string
  readonly after: readonly string[]
  readonly capability: string
  readonly effort: number
  readonly input: LeafInput | CompositeInput
  readonly leaves: readonly PlannedLeaf[]
}

export interface MissionSetting {
  readonly skillOf: ReadonlyMap<string, ScenarioSkill>
  /** The slowest node's: a mission's time must do for it. */
  readonly speedMin: number
}

/** Tenths of a millisecond are exact enough, and short on the wire. */
export function roundMs(ms: number): DurationMs {
  return Math.max(0.1, Math.round(ms * 10) / 10)
}

export function drawLuck(random: Random): number {
  return random.below(0x1_0000_0000)
}

/** @param n names the mission. @throws Error when the shape asks for what the skill is not. */
export function planMission(shape: MissionShape, n: string, random: Random, setting: MissionSetting): PlannedMission {
  const skill = skillNamed(shape.capability, setting)
  if (shape.shape === 'composite' && skill.children === undefined) throw new Error(`a mission of the shape 'composite' needs a capability with 'children', and '${shape.capability}' has none`)
  if (shape.shape !== 'composite' && skill.children !== undefined) throw new Error(`'${shape.capability}' plans children: give its missions the shape 'composite'`)
  const tasks = shape.shape === 'composite' ? compositeTasks(shape, skill, n, random, setting) : leafTasks(shape, skill, n, random)
  return missionOf(tasks, shape, setting)
}

function skillNamed(capability: string, { skillOf }: MissionSetting): ScenarioSkill {
  const skill = skillOf.get(capability)
  if (skill === undefined) throw new Error(`the workload asks for '${capability}', which the scenario does not declare under 'skills'`)
  return skill
}

function leafTasks(shape: MissionShape, skill: ScenarioSkill, n: string, random: Random): TopTask[] {
  const drawn = Math.round(draw(shape.leaves, random))
  const count = Math.min(limits.planTasksMax, shape.shape === 'single' ? 1 : Math.max(shape.shape === 'diamond' ? 3 : 1, drawn))
  return Array.from({ length: count }, (_, at) => {
    const name = `t${at + 1}`
    const after = predecessors(shape.shape, at, count)
    const leaf = drawLeaf(shape, skill, `${n}.${at + 1}`, random)
    return { name, after, capability: skill.capability, effort: leaf.effort, input: leaf.input, leaves: [plannedLeaf(name, after, skill, leaf, shape)] }
  })
}

function predecessors(shape: MissionShape['shape'], at: number, count: number): string[] {
  if (at === 0) return []
  if (shape === 'chain') return [`t${at}`]
  if (shape !== 'diamond') return []
  return at < count - 1 ? ['t1'] : Array.from({ length: count - 2 }, (_, middle) => `t${middle + 2}`)
}

interface DrawnLeaf {
  readonly effort: number
  readonly input: LeafInput & { readonly workMs: DurationMs }
}

function drawLeaf(shape: MissionShape, skill: ScenarioSkill, n: string, random: Random): DrawnLeaf {
  const effort = Math.max(0.001, Math.round(draw(shape.effort, random) * 1_000) / 1_000)
  return { effort, input: { n, workMs: roundMs(draw(skill.workMs, random) * effort), luck: drawLuck(random) } }
}

function plannedLeaf(name: string, after: readonly string[], skill: ScenarioSkill, leaf: DrawnLeaf, shape: MissionShape): PlannedLeaf {
  return { name, after, capability: skill.capability, effort: leaf.effort, workMs: leaf.input.workMs, ...fate(leaf.input.luck, skill, shape.retry?.attemptsMax) }
}

/** How often a leaf will fail, and whether it dies of it. */
export function fate(luck: number, skill: ScenarioSkill, attemptsMax: number = limits.attemptsMax): Pick<PlannedLeaf, 'fails' | 'dies'> {
  const fails = failingAttempts(luck, skill.failureFraction, attemptsMax)
  return { ...(fails === 0 ? {} : { fails }), ...(fails === attemptsMax ? { dies: true } : {}) }
}

/** As many composite tasks side by side as make up the leaves that were asked for, at least one. */
function compositeTasks(shape: MissionShape, skill: ScenarioSkill, n: string, random: Random, setting: MissionSetting): TopTask[] {
  const leavesEach = leavesBelow(skill, setting, [])
  const drawn = Math.max(1, Math.round(draw(shape.leaves, random) / leavesEach))
  // A drawn number is cut, one that the scenario states is an error.
  const count = typeof shape.leaves === 'number' ? drawn : Math.max(1, Math.min(drawn, limits.planTasksMax, Math.floor(limits.missionTasksMax / leavesEach)))
  if (count * leavesEach > limits.missionTasksMax) throw new Error(`a mission of '${shape.capability}' would have ${count * leavesEach} leaves, ${limits.missionTasksMax} at most are allowed: lower 'leaves' or a 'count' of children`)
  return Array.from({ length: count }, (_, at) => {
    const name = `t${at + 1}`
    const leaves: PlannedLeaf[] = []
    const child = drawComposite(shape, skill, `${n}.${at + 1}`, name, leaves, random, setting)
    return { name, after: [], capability: skill.capability, effort: child.effort, input: child.input, leaves }
  })
}

function leavesBelow(skill: ScenarioSkill, setting: MissionSetting, above: readonly string[]): number {
  if (skill.children === undefined) return 1
  if (above.includes(skill.capability)) throw new Error(`'${skill.capability}' plans itself: ${[...above, skill.capability].join(' → ')}`)
  return skill.children.count * leavesBelow(skillNamed(skill.children.capability, setting), setting, [...above, skill.capability])
}

function drawComposite(shape: MissionShape, skill: ScenarioSkill, n: string, name: string, leaves: PlannedLeaf[], random: Random, setting: MissionSetting): PlannedChild {
  const below = skill.children
  if (below === undefined) {
    const leaf = drawLeaf(shape, skill, n, random)
    leaves.push(plannedLeaf(name, [], skill, leaf, shape))
    return { capability: skill.capability, ...leaf }
  }
  const workMs = roundMs(draw(skill.workMs, random))
  const luck = drawLuck(random)
  const childSkill = skillNamed(below.capability, setting)
  const children = Array.from({ length: below.count }, (_, at) => drawComposite(shape, childSkill, `${n}.${at + 1}`, `${name}/${at + 1}`, leaves, random, setting))
  return { capability: skill.capability, effort: 1, input: { n, workMs, luck, children, ...(childSkill.children === undefined ? { leaf: leafTerms(shape), ...(shape.checked ? { checked: true } : {}) } : {}) } }
}

function leafTerms(shape: MissionShape): Pick<PlannedTask, 'retry' | 'timeLimitMs' | 'budgetUsd'> {
  return { ...(shape.taskBudgetUsd === undefined ? {} : { budgetUsd: shape.taskBudgetUsd }), ...(shape.retry === undefined ? {} : { retry: shape.retry }), ...(shape.timeLimitMs === undefined ? {} : { timeLimitMs: shape.timeLimitMs }) }
}

/** The limits let the plan through: a scenario tests the mesh, not a submitter's arithmetic. */
function missionOf(tasks: readonly TopTask[], shape: MissionShape, setting: MissionSetting): PlannedMission {
  const leaves = tasks.flatMap((task) => task.leaves)
  const attemptsMax = shape.retry?.attemptsMax ?? limits.attemptsMax
  const costUsd = leaves.reduce((sum, leaf) => sum + (setting.skillOf.get(leaf.capability)?.costUsd ?? 0), 0)
  const workMs = leaves.reduce((sum, leaf) => sum + leaf.workMs, 0)
  const deepest = leaves.reduce((depth, leaf) => Math.max(depth, leaf.name.split('/').length), 1)
  const only = tasks.length === 1 ? tasks[0] : undefined
  const request: RequestInput = {
    // A bare capability has no place for its effort: a plan of one task whose output is the result means the same.
    plan: {
      tasks: Object.fromEntries(tasks.map((task) => [task.name, {
        capability: task.capability, input: task.input, effort: task.effort,
        ...(task.after.length === 0 ? {} : { after: [...task.after] }), ...('children' in task.input ? {} : { ...leafTerms(shape), ...(shape.checked ? { accept: [honestyCheck(task.input)] } : {}) }),
      }])),
      ...(only === undefined ? {} : { result: { $from: only.name } }),
    },
    priority: shape.priority,
    limits: {
      leavesMax: Math.max(limits.missionLeavesDefault, leaves.length),
      depthMax: Math.max(limits.missionDepthDefault, deepest),
      budgetUsd: shape.budgetUsd ?? Math.max(limits.missionBudgetUsdDefault, costUsd * attemptsMax * 2),
      durationMs: shape.durationMs ?? Math.max(limits.missionDurationMsDefault, Math.ceil((workMs / setting.speedMin) * attemptsMax * 2)),
    },
    ...(shape.acknowledgement === undefined ? {} : { acknowledgement: shape.acknowledgement }),
  }
  return { request, leaves }
}
