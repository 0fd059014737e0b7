/** What the agents' capabilities are given and give back. */
import { z } from 'zod'
import { Json } from '../../../protocols/kernel/payload.ts'
import { JsonSchema } from '../../../protocols/models/schema.ts'
import { ModelPreference, RoleLimits, RoleName, RoleProfile } from '../../roles/schema.ts'
import { agentLimits } from './limits.ts'

const count = z.number().int().min(0)
const Goal = z.string().min(1).max(agentLimits.goalCharsMax)
/** In [0,1]. */
const Score = z.number().min(0).max(1)

export const AgentUsage = z.object({ promptTokens: count, completionTokens: count, costUsd: z.number().min(0), modelCalls: count }).strict()
export type AgentUsage = z.infer<typeof AgentUsage>

/** Where a text comes from: the model and the node that served its last call, what it was asked, under which role. */
export const Provenance = z.object({ model: z.string(), node: z.string(), promptDigest: z.string(), role: z.string(), roleDigest: z.string() }).strict()
export type Provenance = z.infer<typeof Provenance>

/** How a plan came about: how many answers of the model it took, and why the earlier ones were refused. */
export const Planned = z.object({ round: count, attempts: z.number().int().min(1), causes: z.array(z.string()), usage: AgentUsage }).strict()
export type Planned = z.infer<typeof Planned>

/** A task's part in its plan. It is handed back as it came: a plan's later steps see nothing but results. */
export const Part = z.object({
  goal: z.string(),
  criteria: z.array(z.string()).default([]),
  /** Tasks whose results it was given. */
  uses: z.array(z.string()).default([]),
  /** The task of the plan that it does again, better. */
  supersedes: z.string().optional(),
  /** Tasks between which it settles a contradiction. */
  settles: z.array(z.string()).default([]),
  expects: JsonSchema.optional(),
  planned: Planned.optional(),
}).strict()
export type Part = z.infer<typeof Part>

/** Input of `agent.work` and `agent.act`. */
export const WorkInput = z.object({
  goal: Goal,
  /** By value, or the name of one that the executing node knows. */
  role: z.union([RoleName, RoleProfile]).default('analyst'),
  /** What it works with, by name: results of other tasks, files as blob references, anything. */
  context: z.record(z.string().min(1).max(128), z.unknown()).default({}),
  /** The result is JSON that fits this schema; absent: text. */
  expects: JsonSchema.optional(),
  /** Narrower than the role's. */
  limits: RoleLimits.optional(),
  models: ModelPreference.optional(),
  part: Part.optional(),
}).strict()
export type WorkInput = z.infer<typeof WorkInput>

export const CallRecord = z.object({ capability: z.string(), ok: z.boolean(), tookMs: z.number().min(0) }).strict()
export type CallRecord = z.infer<typeof CallRecord>

export const WorkOutput = z.object({
  result: Json,
  text: z.string(),
  steps: count,
  calls: z.array(CallRecord),
  usage: AgentUsage,
  provenance: Provenance,
  /** Pieces of the conversation that a model has condensed because it did not fit the context any more. */
  condensed: count,
  part: Part.optional(),
})
export type WorkOutput = z.infer<typeof WorkOutput>

/** One result to be judged. */
export const ReviewSubject = z.object({
  name: z.string(),
  goal: z.string(),
  criteria: z.array(z.string()).default([]),
  output: z.unknown().optional(),
  /** Of the version that this one is to replace. */
  scoreBefore: Score.optional(),
}).strict()
export type ReviewSubject = z.infer<typeof ReviewSubject>

/** Input of `agent.review`. */
export const ReviewInput = z.object({
  /** What all of it is for. */
  goal: Goal,
  subjects: z.array(ReviewSubject).min(1).max(64),
  role: z.union([RoleName, RoleProfile]).default('reviewer'),
  models: ModelPreference.optional(),
}).strict()
export type ReviewInput = z.infer<typeof ReviewInput>

export const Verdict = z.object({ of: z.string(), accept: z.boolean(), score: Score, reasons: z.array(z.string()), scoreBefore: Score.optional() }).strict()
export type Verdict = z.infer<typeof Verdict>

/** Two or more results that cannot all be right. */
export const Conflict = z.object({ between: z.array(z.string()).min(2), about: z.string() }).strict()
export type Conflict = z.infer<typeof Conflict>

export const ReviewOutput = z.object({
  verdicts: z.array(Verdict),
  conflicts: z.array(Conflict),
  /** Whether another model, and another node, judged than wrote. */
  independent: z.object({ model: z.boolean(), node: z.boolean() }).strict(),
  usage: AgentUsage,
  provenance: Provenance,
  condensed: count,
})
export type ReviewOutput = z.infer<typeof ReviewOutput>

/** Input of `agent.plan`: what a mission of free text becomes. */
export const PlanInput = z.object({
  goal: Goal,
  /** What is there to work with, by name. */
  context: z.record(z.string().min(1).max(128), z.unknown()).default({}),
  /** What a good result must be, in words. */
  criteria: z.array(z.string().max(1_000)).max(32).default([]),
  expects: JsonSchema.optional(),
  /** Who plans and writes the result. */
  role: z.union([RoleName, RoleProfile]).default('analyst'),
  /** Roles beyond those that every node has. */
  roles: z.array(RoleProfile).max(64).default([]),
  models: ModelPreference.optional(),
  /** At most so many leaves of the mission are for this part of it. */
  leavesMax: z.number().int().min(1).optional(),
  /** How often a refused result is mended. */
  roundsMax: z.number().int().min(0).max(agentLimits.roundsMax).default(agentLimits.roundsMax),
  part: Part.optional(),
}).strict()
export type PlanInput = z.infer<typeof PlanInput>

export const Refinement = z.object({ task: z.string(), round: z.number().int().min(1), scoreBefore: Score, scoreAfter: Score.optional() }).strict()
export type Refinement = z.infer<typeof Refinement>

export const PlanOutput = z.object({
  result: Json,
  text: z.string(),
  /** Names of tasks that the text rests on, in the order in which it cites them. */
  citations: z.array(z.string()),
  /** Citations of tasks that there are not: taken out of the text. */
  citationsRemoved: count,
  refinements: z.array(Refinement),
  /** Results that were refused to the end, and contradictions that were not settled. */
  doubts: z.array(z.string()),
  /** Tasks that failed for good. */
  missing: z.array(z.string()),
  /** Of each plan, the first and those that came after failures. */
  attempts: z.array(Planned.omit({ usage: true })),
  /** Of everything under it that says so. */
  usage: AgentUsage,
  provenance: Provenance,
  condensed: count,
  part: Part.optional(),
})
export type PlanOutput = z.infer<typeof PlanOutput>
