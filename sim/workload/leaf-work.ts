/**
 * What a task's input says about its work. The plan of the workload writes it and the scripted skills read it; bidders see only the task's effort.
 * Nothing here depends on when or where a task runs, so that the same task ends the same way whatever the order of events.
 */
import { canonicalJson, fractionOf, hash32 } from '../../protocols/kernel/hashing.ts'
import type { Json } from '../../protocols/kernel/payload.ts'
import type { DurationMs } from '../../protocols/kernel/units.ts'
import type { AcceptanceCheck, PlannedTask } from '../../protocols/tasking/schema.ts'
import type { ScenarioSkill } from '../scenario/schema.ts'

/** Of a leaf whose time was drawn. */
export interface TimedInput {
  /** Names the task in its scenario; no two are the same. */
  readonly n: string
  /** At speed 1. */
  readonly workMs: DurationMs
  /** Which attempts fail, see `attemptFails`. */
  readonly luck: number
}

/** Of a leaf that asks a model. */
export interface ModelInput {
  readonly n: string
  readonly promptTokens: number
  readonly outputTokens: number
  readonly luck: number
}

/** A child that a composite task plans. */
export interface PlannedChild {
  readonly capability: string
  readonly effort: number
  readonly input: LeafInput | CompositeInput
}

export interface CompositeInput {
  readonly n: string
  /** What planning takes. */
  readonly workMs: DurationMs
  readonly luck: number
  readonly children: readonly PlannedChild[]
  /** Written into every leaf's task. */
  readonly leaf?: Pick<PlannedTask, 'retry' | 'timeLimitMs' | 'budgetUsd'>
  /** Every leaf's task gets an `honestyCheck`. */
  readonly checked?: true
}

export type LeafInput = TimedInput | ModelInput

/** A model's time is its prompt's plus its answer's, each at its rate. */
export function modelWorkMs(model: NonNullable<ScenarioSkill['model']>, promptTokens: number, outputTokens: number): DurationMs {
  return (promptTokens / model.promptTokensPerSecond + outputTokens / model.outputTokensPerSecond) * 1_000
}

/** At speed 1. */
export function workMsOf(skill: ScenarioSkill, input: LeafInput): DurationMs {
  if ('workMs' in input) return input.workMs
  return skill.model === undefined ? 0 : modelWorkMs(skill.model, input.promptTokens, input.outputTokens)
}

/** Drawn by hash: which node runs an attempt, and when, makes no difference. */
export function attemptFails(luck: number, attempt: number, failureFraction: number): boolean {
  return failureFraction > 0 && fractionOf(`${luck}#${attempt}`) < failureFraction
}

/** How many attempts fail before the first that does not, at most `attemptsMax`. */
export function failingAttempts(luck: number, failureFraction: number, attemptsMax: number): number {
  let attempts = 0
  while (attempts < attemptsMax && attemptFails(luck, attempts + 1, failureFraction)) attempts += 1
  return attempts
}

/** The digest that an honest leaf returns as `sum`. */
export function sumOf(input: Json): number {
  return hash32(canonicalJson(input))
}

/** Passed only by the result of an honest run. */
export function honestyCheck(input: LeafInput): AcceptanceCheck {
  return { path: 'sum', equals: sumOf(input as unknown as Json) }
}

/** A composite task returns its children's sums, added up within 32 bits. */
export function addSums(sums: readonly number[]): number {
  return sums.reduce((total, sum) => (total + sum) % 0x1_0000_0000, 0)
}
