/**
 * How a skill is written. A module's default export is a skill, or an array of skills:
 *
 * ```ts
 * import { defineSkill, z } from 'skein/skill'
 *
 * export default defineSkill({
 *   capability: 'text.count',
 *   version: '1.0',
 *   summary: 'counts the words of a text',
 *   effects: 'none',
 *   input: z.object({ text: z.string() }),
 *   output: z.object({ words: z.number() }),
 *   run: ({ text }) => ({ words: text.split(/\s+/).filter(Boolean).length }),
 * })
 * ```
 *
 * @packageDocumentation
 */
import type { z } from 'zod'
import { Attributes, Effects, SchemaVersion } from '../../protocols/capability/schema.ts'
import type { Fault } from '../../protocols/kernel/errors.ts'
import { MeshError } from '../../protocols/kernel/errors.ts'
import { CapabilityName } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { BlobRef, Json } from '../../protocols/kernel/payload.ts'
import type { Plan } from '../../protocols/tasking/schema.ts'
import { isStandardSchema } from './standard-schema.ts'
import type { InferInput, InferOutput, StandardSchemaV1 } from './standard-schema.ts'

export { z } from 'zod'
export { MeshError } from '../../protocols/kernel/errors.ts'
export type { BlobRef, Json } from '../../protocols/kernel/payload.ts'
export type { StandardSchemaV1 } from './standard-schema.ts'

/** A plan as one writes it: defaults may be left out. See `protocols/tasking/schema.ts`. */
export type PlanDocument = z.input<typeof Plan>

/** How one child of a composite skill's plan ended; `output` is there when it was accepted. */
export interface SkillChild {
  readonly name: string
  readonly capability: string
  readonly state: 'accepted' | 'dead' | 'cancelled'
  readonly output?: Json
  readonly fault?: Fault
  /** The plan goes on without it when it fails. */
  readonly optional?: boolean
}

/** What `SkillContext.call` may be told beside the input. */
export interface CallOptions {
  /** `major.minor`; absent: any. */
  readonly version?: string
  /** What its provider must have, like `{ model: 'qwen3-4b' }`: numbers are minima, the rest must be equal. */
  readonly attributes?: Readonly<Record<string, string | number | boolean>>
  /** Default 5 minutes, at most what is left of the task. */
  readonly timeLimitMs?: number
  readonly signal?: AbortSignal
  /** With it the output is streamed, if its provider can: every piece once, in order, before the promise resolves. */
  readonly onChunk?: (chunk: Json) => void
  /**
   * Names the call within its task: a later attempt that makes it again gives the same one, and with it the provider gets the same `idempotencyKey`.
   * At most 512 characters. Default: after the capability and its input, and how often this attempt has asked for the same; where the same is asked again
   * after a checkpoint and is meant to be done again, it needs a key.
   */
  readonly key?: string
}

/** What a call of another capability has given. */
export interface CallResult {
  readonly output: Json
  /** Which node did it. */
  readonly by: { readonly peer: string; readonly name: string }
  readonly costUsd: number
}

/** A capability of the mesh as a skill sees it. */
export interface OfferedCapability {
  readonly name: string
  readonly version: string
  readonly kind: 'leaf' | 'composite'
  readonly effects: 'none' | 'external'
  readonly summary: string
  /** Of each provider that differs: `{ model: 'qwen3-4b', contextTokens: 32768 }`. */
  readonly attributes: readonly Readonly<Record<string, string | number | boolean>>[]
  /** Live nodes that offer it. */
  readonly providers: number
}

/** What a running skill may use. Everything here works from a worker thread. */
export interface SkillContext {
  /**
   * Aborts when the run is over while the skill is still working (its step failed elsewhere in the thread).
   * A stopped or timed-out run is terminated together with its thread: no code of the skill runs after that.
   */
  readonly signal: AbortSignal
  /**
   * Says how far the skill is, and that it is alive. Works from inside a synchronous loop; call it as often as
   * you like, it is thinned out.
   * @param fraction in [0,1]; left out when unknown. @param text one short line.
   */
  progress(fraction?: number, text?: string): void
  readonly blobs: {
    /** The content of a reference, fetched from whoever holds it, its hash verified. @throws MeshError `unknown-blob`, `too-large`. */
    read(ref: BlobRef): Promise<Uint8Array>
    /** Stores content. Put the reference anywhere into the output. @throws MeshError `too-large`, `storage-failed`. */
    write(content: Uint8Array | string, about?: { name?: string; mediaType?: string }): Promise<BlobRef>
  }
  readonly missionId: string
  readonly taskId: string
  /** 1 for the first try. */
  readonly attempt: number
  /** Who the work is done for. */
  readonly principal: string
  /**
   * The same for every attempt of the same task, different for every other task: pass it to outside systems, so that a second
   * attempt does not act twice.
   */
  readonly idempotencyKey: string
  /**
   * Has another capability of the mesh executed, wherever the best bid comes from, on this task's account: what it costs is part of what this
   * task costs, and its budget holds. Leaf capabilities only.
   *
   * ```ts
   * const { output } = await context.call('llm.chat', { messages: [{ role: 'user', content: 'Say hello.' }] })
   * ```
   * @throws MeshError `no-provider`, `over-limit` (the budget), `deadline-exceeded`, `lost-worker`, `unknown-capability`, or the called skill's own fault.
   */
  call(capability: string, input: Json, options?: CallOptions): Promise<CallResult>
  /** What the mesh offers now, by name and version. */
  capabilities(): Promise<readonly OfferedCapability[]>
  /** The JSON Schema of a capability's input, asked of one of its providers; undefined when none of them can say it. */
  inputSchema(capability: string, version?: string): Promise<Json | undefined>
  /** For `plan`: how many leaves and levels are left to the mission. */
  readonly planLimits?: { readonly leavesLeft: number; readonly depthLeft: number }
  /** What may still be spent on this task in US dollars; undefined when nobody set a limit. */
  readonly budgetUsd?: number
  /**
   * Publishes what a later attempt would need to go on from here; only the newest counts. When this run is lost (its node dies, its
   * thread is ended, it throws), the next one finds it as `resumed`, wherever in the mesh it runs.
   * Publish as often as you like, it is thinned out: about one a second reaches the mission's log.
   *
   * ```ts
   * let { done, sum } = context.resumed as { done: number; sum: number } ?? { done: 0, sum: 0 }
   * for (; done < parts.length; done++) {
   *   sum += await measure(parts[done])
   *   await context.checkpoint({ done: done + 1, sum })
   * }
   * ```
   * @param value JSON, at most 16 MiB as text; large content belongs into `blobs`, with the reference in here.
   * @returns resolves when it, or a newer one, is stored on this node: a crash of the whole node before it has left can still lose it.
   * With `committed` it is not thinned out, and the promise resolves once it is in the mission's log: what was done up to here is not done again, whatever dies.
   * @throws MeshError `bad-output` (not JSON), `too-large`, `storage-failed`; with `committed` also `fenced` when another has the task by now.
   */
  checkpoint(value: Json, options?: { readonly committed?: boolean }): Promise<void>
  /**
   * The newest checkpoint that an earlier attempt of this task got into the mission's log; undefined when there is none. Look at it before
   * you trust it: a node with another version of the skill may have written it.
   */
  readonly resumed: Json | undefined
  /** One line for the node's log. */
  log(text: string): void
  /** A fresh folder of this run's own, removed when it ends. The same folder when asked again. */
  workFolder(): Promise<string>
}

interface SkillCommon<In extends StandardSchemaV1, Out extends StandardSchemaV1> {
  /** Dot-separated lower-case words: `repo.report`. */
  readonly capability: string
  /** `major.minor` of the input and output schemas together. */
  readonly version: string
  /** What it does, one sentence of at most 280 characters. */
  readonly summary: string
  /** Any Standard Schema. Inputs are checked before the skill sees them. */
  readonly input: In
  /** Any Standard Schema of a JSON value. Outputs are checked before anybody else sees them. */
  readonly output: Out
  /** `external` when a run changes something outside the task: such a task starts only after its award is committed. */
  readonly effects: 'none' | 'external'
  /** Defaults: 10 minutes, 512 MiB. */
  readonly limits?: { readonly timeMs?: number; readonly memoryBytes?: number }
  /** What a call may require of this skill (`model`, `contextTokens`, …). */
  readonly attributes?: Readonly<Record<string, string | number | boolean>>
  /**
   * Places of its own on a node, for a skill that mostly waits for what it calls: it takes none of the node's, so that what it calls finds one.
   * Default: it takes the node's.
   */
  readonly slots?: number
}

/** A leaf skill: it executes. */
export interface LeafSkillSpec<In extends StandardSchemaV1, Out extends StandardSchemaV1> extends SkillCommon<In, Out> {
  /**
   * Pure and under 1 ms: may run on the node's own loop, without a thread. The node measures it and stops honouring this
   * when it is slower. Its context has no blobs, no folder and no checkpoints.
   */
  readonly inline?: boolean
  run(input: InferOutput<In>, context: SkillContext): InferInput<Out> | Promise<InferInput<Out>>
}

/** A composite skill: it plans children and makes one output of theirs. */
export interface CompositeSkillSpec<In extends StandardSchemaV1, Out extends StandardSchemaV1> extends SkillCommon<In, Out> {
  plan(input: InferOutput<In>, context: SkillContext): PlanDocument | Promise<PlanDocument>
  /**
   * Asked when all children have ended, and before `synthesise`: more tasks to do (a failed one in another way, what mends a result that a check has
   * refused, what settles a contradiction), or undefined when nothing more is needed. Their names must be new; they may refer to all earlier tasks.
   * With tasks that failed and no more tasks, the composite task fails as it does without this step; with more, what failed is given up.
   * Asked again when those have ended, at most `limits.revisionsMax` times.
   */
  revise?(ended: { readonly input: InferOutput<In>; readonly children: readonly SkillChild[]; /** 1 for the first time. */ readonly round: number }, context: SkillContext): PlanDocument | undefined | Promise<PlanDocument | undefined>
  synthesise(
    ended: { readonly input: InferOutput<In>; readonly children: readonly SkillChild[] },
    context: SkillContext,
  ): InferInput<Out> | Promise<InferInput<Out>>
}

/** Marks skills across copies of this package. The value is the version of this contract. */
const skillMark = Symbol.for('skein.skill')
const skillContract = 1

interface SkillBase {
  readonly capability: string
  readonly version: string
  readonly summary: string
  readonly effects: 'none' | 'external'
  readonly limits: { readonly timeMs: number; readonly memoryBytes: number }
  readonly attributes: Readonly<Record<string, string | number | boolean>>
  readonly slots?: number
  readonly input: StandardSchemaV1
  readonly output: StandardSchemaV1
}

export interface LeafSkill extends SkillBase {
  readonly kind: 'leaf'
  readonly inline: boolean
  run(input: unknown, context: SkillContext): unknown
}

export interface CompositeSkill extends SkillBase {
  readonly kind: 'composite'
  readonly inline: false
  plan(input: unknown, context: SkillContext): unknown
  readonly revise?: (ended: { readonly input: unknown; readonly children: readonly SkillChild[]; readonly round: number }, context: SkillContext) => unknown
  synthesise(ended: { readonly input: unknown; readonly children: readonly SkillChild[] }, context: SkillContext): unknown
}

/** A skill as the node sees it, with its defaults filled in. */
export type Skill = LeafSkill | CompositeSkill

export function isSkill(value: unknown): value is Skill {
  return typeof value === 'object' && value !== null && skillMark in value && value[skillMark] === skillContract
}

/**
 * Declares a skill: a leaf with `run`, or a composite with `plan` and `synthesise`.
 * @throws MeshError `bad-request` that names the field at fault.
 */
export function defineSkill<In extends StandardSchemaV1, Out extends StandardSchemaV1>(spec: LeafSkillSpec<In, Out>): LeafSkill
export function defineSkill<In extends StandardSchemaV1, Out extends StandardSchemaV1>(spec: CompositeSkillSpec<In, Out>): CompositeSkill
export function defineSkill(spec: LeafSkillSpec<StandardSchemaV1, StandardSchemaV1> | CompositeSkillSpec<StandardSchemaV1, StandardSchemaV1>): Skill {
  const named = typeof spec.capability === 'string' ? `the skill "${spec.capability}"` : 'a skill'
  const refuse = (what: string, next: string): MeshError => new MeshError('bad-request', `${named} ${what}`, { next })

  const name = CapabilityName.safeParse(spec.capability)
  if (!name.success) throw refuse('has a bad capability name', 'name it with lower-case words joined by dots, like repo.report')
  if (!SchemaVersion.safeParse(spec.version).success) throw refuse('has a bad version', 'give it a version "major.minor", like "1.0"')
  if (typeof spec.summary !== 'string' || spec.summary.length > 280) throw refuse('has a bad summary', 'say what it does in at most 280 characters')
  if (!Effects.safeParse(spec.effects).success) throw refuse('does not say its effects', "set effects to 'none' or 'external'")
  if (!Attributes.safeParse(spec.attributes ?? {}).success) throw refuse('has bad attributes', 'give attributes strings, numbers or booleans')
  for (const side of ['input', 'output'] as const) {
    if (!isStandardSchema(spec[side])) throw refuse(`has no ${side} schema`, `set ${side} to a Standard Schema, like z.object({…})`)
  }
  const timeMs = spec.limits?.timeMs ?? limits.skillTimeMsDefault
  const memoryBytes = spec.limits?.memoryBytes ?? limits.skillMemoryBytesDefault
  if (!(Number.isInteger(timeMs) && timeMs > 0)) throw refuse('has a bad time limit', 'set limits.timeMs to a positive whole number')
  if (!(Number.isInteger(memoryBytes) && memoryBytes > 0)) throw refuse('has a bad memory limit', 'set limits.memoryBytes to a positive whole number')

  if (spec.slots !== undefined && !(Number.isInteger(spec.slots) && spec.slots > 0)) throw refuse('has a bad number of slots', 'set slots to a positive whole number, or leave it out')

  const base = {
    [skillMark]: skillContract,
    capability: name.data,
    version: spec.version,
    summary: spec.summary,
    effects: spec.effects,
    limits: { timeMs, memoryBytes },
    attributes: spec.attributes ?? {},
    ...(spec.slots === undefined ? {} : { slots: spec.slots }),
    input: spec.input,
    output: spec.output,
  }
  const runs = 'run' in spec && typeof spec.run === 'function'
  const plans = 'plan' in spec && typeof spec.plan === 'function' && typeof spec.synthesise === 'function'
  if (runs === plans) throw refuse('does nothing that can be called', 'give it run(), or plan() and synthesise()')
  if (plans) {
    return { ...base, kind: 'composite', inline: false, plan: spec.plan.bind(spec), ...(spec.revise === undefined ? {} : { revise: spec.revise.bind(spec) }), synthesise: spec.synthesise.bind(spec) }
  }
  const leaf = spec as LeafSkillSpec<StandardSchemaV1, StandardSchemaV1>
  return { ...base, kind: 'leaf', inline: leaf.inline ?? false, run: leaf.run.bind(leaf) }
}
