/** What a role is: an agent's profile, as its YAML file says it and as it travels in a task's input. */
import { z } from 'zod'
import { digestOfText, canonicalJson } from '../../protocols/kernel/hashing.ts'
import { Digest } from '../../protocols/kernel/ids.ts'
import { ModelName } from '../../protocols/models/schema.ts'

export const RoleName = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'is not a role name (lower-case letters, digits, dashes; at most 32)')
export type RoleName = z.infer<typeof RoleName>

/** `docs.*` allows, `-docs.write` forbids; `*` stands for any characters. */
export const SkillPattern = z.string().regex(/^-?[a-z*][a-z0-9.*-]{0,63}$/, 'is not a pattern of capabilities (like docs.*, or -shell.* to forbid)')

/** `decide` for choosing what to do (plans, reviews), `write` for doing it. A model that the mesh does not have is passed over. */
export const ModelPreference = z.object({ decide: ModelName.optional(), write: ModelName.optional() }).strict()
export type ModelPreference = z.infer<typeof ModelPreference>

/** Of one task. Whatever is not said here has the defaults of `node/skills/agents/limits.ts`. */
export const RoleLimits = z.object({
  /** Decisions of the model. */
  steps: z.number().int().min(1).max(1_000),
  /** Calls of capabilities. */
  calls: z.number().int().min(0).max(10_000),
  /** Prompt and answers together. */
  tokens: z.number().int().min(1),
  costUsd: z.number().min(0),
  timeMs: z.number().int().min(1),
}).partial().strict()
export type RoleLimits = z.infer<typeof RoleLimits>

/** A role's file. */
export const RoleFile = z.object({
  name: RoleName,
  /** What it is good at, for whoever chooses among roles. */
  summary: z.string().min(1).max(280),
  /** Words for the kinds of work it suits. */
  hints: z.array(z.string().min(1).max(64)).max(32).default([]),
  /** The system prompt. */
  prompt: z.string().min(1).max(16_384),
  model: ModelPreference.optional(),
  /** Which capabilities it may call. Absent: all without effects outside; empty: none. One with effects outside needs a pattern that names it. */
  skills: z.array(SkillPattern).max(64).optional(),
  limits: RoleLimits.optional(),
}).strict()
export type RoleFile = z.infer<typeof RoleFile>

/** A role by value, with the digest of all the rest: a node that works under it needs no file. */
export const RoleProfile = RoleFile.extend({ digest: Digest })
export type RoleProfile = z.infer<typeof RoleProfile>

export function profileOf(role: RoleFile): RoleProfile {
  return { ...role, digest: digestOfText(canonicalJson(role)) }
}

/** The profile with the digest that it should have, whatever it came with. */
export function verifiedProfile({ digest: _, ...role }: RoleProfile): RoleProfile {
  return profileOf(role)
}
