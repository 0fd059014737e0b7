/**
 * What a node of a scenario can do, as scripts: how long a run takes and how it ends is read from the task's input.
 * Times are at speed 1: the runner divides them by the node's speed.
 */
import type { ChildOutcome, SkillRun } from '../../actors/ports/skill-runner.ts'
import { fault } from '../../protocols/kernel/errors.ts'
import { hash32 } from '../../protocols/kernel/hashing.ts'
import type { Json, Payload } from '../../protocols/kernel/payload.ts'
import { seededRandom, type Random } from '../../protocols/kernel/prng.ts'
import type { DurationMs } from '../../protocols/kernel/units.ts'
import { draw } from '../scenario/draw.ts'
import type { PlannedNode } from '../scenario/expand.ts'
import type { ScenarioSkill } from '../scenario/schema.ts'
import type { ScriptedCourse, ScriptedSkill } from '../skill-runner-scripted-adapter.ts'
import { addSums, attemptFails, honestyCheck, sumOf, workMsOf, type CompositeInput, type LeafInput } from './leaf-work.ts'

export interface ScriptedSkillsOptions {
  /** How long one run may take when its task does not say; default: the runner's. */
  readonly timeLimitMs?: DurationMs
  /** Changes the course of a leaf's run: for nodes that misbehave. Not asked for `plan` and `synthesise`. */
  readonly alter?: (course: ScriptedCourse, run: SkillRun) => ScriptedCourse
}

/** Adding the children up: short, and the same for all. */
const synthesisMs = 1
const version = '1.0'

/** @param random for inputs that say nothing about their work: missions that are not of the scenario's workload. */
export function skillsOf(node: PlannedNode, random: Random, options: ScriptedSkillsOptions = {}): ScriptedSkill[] {
  const salt = random.text(8)
  return node.skills.map((skill): ScriptedSkill => ({
    capability: {
      name: skill.capability, version, kind: skill.children === undefined ? 'leaf' : 'composite', effects: skill.effects,
      attributes: attributesOf(skill), ...(skill.slots === undefined ? {} : { slots: skill.slots }), summary: skill.children === undefined ? 'a scripted skill' : `plans ${skill.children.count} of ${skill.children.capability}`,
    },
    ...(options.timeLimitMs === undefined ? {} : { timeLimitMs: options.timeLimitMs }),
    ...(skill.children === undefined
      ? { run: (run: SkillRun) => options.alter?.(leafCourse(skill, run, salt), run) ?? leafCourse(skill, run, salt) }
      : { plan: (run: SkillRun) => planCourse(skill, run, salt), synthesise: (run: SkillRun) => synthesisCourse(skill, run, salt) }),
  }))
}

function attributesOf({ capability, model }: ScenarioSkill): ScriptedSkill['capability']['attributes'] {
  if (model === undefined) return {}
  const usdPerMillion = model.usdPerThousandTokens * 1_000
  return { model: capability, ...(usdPerMillion > 0 ? { inputUsdPerMillion: usdPerMillion, outputUsdPerMillion: usdPerMillion } : {}) }
}

/** What an honest run of a leaf gives: anything else is wrong. */
export function honestOutput(skill: ScenarioSkill, input: LeafInput): Json {
  const told = { n: input.n, ok: true, sum: sumOf(input as unknown as Json) }
  if (!('promptTokens' in input)) return padded(told, skill.outputBytes)
  const { promptTokens, outputTokens } = input
  return padded({ ...told, text: `A scripted answer of ${outputTokens} tokens.`, usage: { promptTokens, completionTokens: outputTokens } }, skill.outputBytes)
}

function padded(output: { [key: string]: Json }, outputBytes: number): Json {
  // `,"padding":""` is 13 bytes, and what is known so far is ASCII.
  const missing = outputBytes - JSON.stringify(output).length - 13
  return missing > 0 ? { ...output, padding: '.'.repeat(missing) } : output
}

function leafCourse(skill: ScenarioSkill, run: SkillRun, salt: string): ScriptedCourse {
  const input = leafInputOf(skill, run, salt)
  const afterMs = workMsOf(skill, input)
  const costUsd = costOf(skill, input)
  const calls = callsOf(skill, input)
  if (attemptFails(input.luck, run.attempt, skill.failureFraction)) return { afterMs, costUsd, ...calls, fault: fault('skill-failed', `attempt ${run.attempt} of ${input.n} was drawn to fail`) }
  return { afterMs, costUsd, ...calls, output: honestOutput(skill, input) }
}

function callsOf({ calls }: ScenarioSkill, { n }: LeafInput): Pick<ScriptedCourse, 'calls'> {
  if (calls === undefined) return {}
  return { calls: Array.from({ length: calls.count }, (_, i) => ({ capability: calls.capability, key: String(i), input: { messages: [{ role: 'user', content: `${n}, question ${i}` }], maxTokens: calls.maxTokens } })) }
}

function costOf(skill: ScenarioSkill, input: LeafInput): number {
  const tokens = 'promptTokens' in input ? input.promptTokens + input.outputTokens : 0
  return skill.costUsd + (tokens / 1_000) * (skill.model?.usdPerThousandTokens ?? 0)
}

function planCourse(skill: ScenarioSkill, run: SkillRun, salt: string): ScriptedCourse {
  const input = compositeInputOf(skill, run, salt)
  if (attemptFails(input.luck, run.attempt, skill.failureFraction)) return { afterMs: input.workMs, costUsd: skill.costUsd, fault: fault('skill-failed', `attempt ${run.attempt} to plan ${input.n} was drawn to fail`) }
  const tasks = Object.fromEntries(input.children.map((child, at) => [String(at + 1), { capability: child.capability, effort: child.effort, input: child.input, ...input.leaf, ...(input.checked === true ? { accept: [honestyCheck(child.input as LeafInput)] } : {}) }]))
  return { afterMs: input.workMs, costUsd: skill.costUsd, output: { tasks } as unknown as Json }
}

function synthesisCourse(skill: ScenarioSkill, run: SkillRun, salt: string): ScriptedCourse {
  const children = run.children ?? []
  const output = { n: compositeInputOf(skill, run, salt).n, ok: children.every((child) => child.state === 'accepted'), sum: addSums(children.map(childSum)), children: children.length }
  return { afterMs: synthesisMs, output: padded(output, skill.outputBytes) }
}

function childSum(child: ChildOutcome): number {
  const output = child.output === undefined ? undefined : inlineOf(child.output)
  return isObject(output) && typeof output.sum === 'number' ? output.sum : 0
}

function inlineOf(payload: Payload): Json | undefined {
  return 'inline' in payload ? payload.inline : undefined
}

function isObject(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function leafInputOf(skill: ScenarioSkill, run: SkillRun, salt: string): LeafInput {
  const input = inlineOf(run.input)
  if (isObject(input) && typeof input.n === 'string' && typeof input.luck === 'number') {
    if (typeof input.workMs === 'number') return input as unknown as LeafInput
    if (skill.model !== undefined && typeof input.promptTokens === 'number' && typeof input.outputTokens === 'number') return input as unknown as LeafInput
  }
  const drawn = drawnFor(skill, run, salt)
  // A conversation: half of what may be answered is.
  if (skill.model !== undefined && isObject(input) && Array.isArray(input.messages)) return { n: drawn.n, luck: drawn.luck, promptTokens: 20, outputTokens: typeof input.maxTokens === 'number' ? Math.ceil(input.maxTokens / 2) : 100 }
  return drawn
}

function compositeInputOf(skill: ScenarioSkill, run: SkillRun, salt: string): CompositeInput {
  const input = inlineOf(run.input)
  if (isObject(input) && typeof input.n === 'string' && typeof input.workMs === 'number' && Array.isArray(input.children)) return input as unknown as CompositeInput
  // The children's inputs say nothing either: each is drawn where it runs.
  const children = Array.from({ length: skill.children?.count ?? 1 }, () => ({ capability: skill.children?.capability ?? skill.capability, effort: 1, input: {} as LeafInput }))
  return { ...drawnFor(skill, run, salt), children }
}

/** Drawn for this task and node alone, so that the order in which tasks run changes nothing. */
function drawnFor(skill: ScenarioSkill, run: SkillRun, salt: string): { n: string; workMs: DurationMs; luck: number } {
  const about = `${salt} ${run.missionId} ${run.taskId}`
  const random = seededRandom([hash32(about), hash32(`${about}.`)])
  return { n: run.taskId, workMs: draw(skill.workMs, random), luck: hash32(about) }
}
