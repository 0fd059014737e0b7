import type { Attributes, Capability } from '../../protocols/capability/schema.ts'
import type { CapabilityMeasure } from '../../protocols/bidding/measure.ts'
import type { RunStats, RunUnits } from '../../protocols/bidding/schema.ts'
import type { Fault } from '../../protocols/kernel/errors.ts'
import type { PeerId, Principal } from '../../protocols/kernel/ids.ts'
import type { Json, Payload } from '../../protocols/kernel/payload.ts'

export type { CapabilityMeasure } from '../../protocols/bidding/measure.ts'

/** How one child of a composite task ended, as its `synthesise` step sees it. */
export interface ChildOutcome {
  readonly name: string
  readonly capability: string
  readonly state: 'accepted' | 'dead' | 'cancelled'
  readonly output?: Payload
  readonly fault?: Fault
  /** The plan goes on without it when it fails. */
  readonly optional?: boolean
}

export interface SkillRun {
  /** Unique on this node while it runs. */
  readonly runId: string
  readonly capability: string
  readonly version: string
  /** Leaf skills `run`; composite skills `plan` (→ a Plan), then, when its children have ended, `revise` (→ a Plan of more, or null: nothing more, also of a skill without that step), and then `synthesise` (→ the output). */
  readonly step: 'run' | 'plan' | 'revise' | 'synthesise'
  readonly input: Payload
  /** For `run` only: what an earlier attempt has published last, to go on from. One whose content cannot be had is as good as none. */
  readonly checkpoint?: Payload
  /** For `revise`: 1 for the first time. */
  readonly round?: number
  /** For `revise` and `synthesise`, in the plan's order. */
  readonly children?: readonly ChildOutcome[]
  readonly principal: Principal
  readonly missionId: string
  readonly taskId: string
  readonly attempt: number
  /** For `plan`: what the plan must keep to. */
  readonly planLimits?: { readonly leavesLeft: number; readonly depthLeft: number }
  readonly timeLimitMs: number
  /** What its provider must have: which model. */
  readonly attributes?: Attributes
  /** For outside systems; absent: made of mission and task. */
  readonly idempotencyKey?: string
  /** What may be spent on it; absent: no limit. */
  readonly budgetUsd?: number
  /** Somebody waits for the pieces of its output: it says them as `chunk` if it can. */
  readonly streams?: boolean
}

/** What a running skill asks of the mesh: another capability, wherever it is offered. */
export interface SkillCall {
  readonly capability: string
  readonly version?: string
  readonly attributes?: Attributes
  readonly input: Payload
  readonly timeLimitMs?: number
  /** How much there is to do for it, and how the input begins: of models. Absent: nobody has looked at what is not inline. */
  readonly units?: RunUnits
  readonly prefixes?: readonly string[]
  /** The same for a call that is made again by a later attempt; unique among those of one task. */
  readonly key: string
  readonly streams?: boolean
}

/** What has become of a skill's call, or of a part of it. Exactly one of `done` and `failed` ends it. */
export type SkillCallEvent =
  | { readonly type: 'chunk'; readonly value: Json }
  | { readonly type: 'done'; readonly output: Payload; readonly by: { readonly peer: PeerId; readonly name: string }; readonly stats: RunStats }
  | { readonly type: 'failed'; readonly fault: Fault; readonly stats: RunStats }

/**
 * `started` once (a run on the node's loop may leave it out), `pulse` at least every `pulseMs` while the executing thread lives, and while
 * the run waits for a thread, before it has started; then exactly one of `done` and `failed`.
 * `checkpoint` is stored here by then; before `failed` comes the newest that the skill has published, unless it was terminated.
 */
export type SkillRunEvent =
  | { readonly type: 'started' }
  | { readonly type: 'pulse'; readonly fraction?: number; readonly text?: string }
  | { readonly type: 'checkpoint'; readonly value: Payload; /** With it the run waits to hear (`checkpointCommitted`) that it is in the mission's log. */ readonly number?: number }
  /** A piece of the output, of a run that streams. */
  | { readonly type: 'chunk'; readonly value: Json }
  /** Answered through `answerCall`. */
  | { readonly type: 'call'; readonly callNumber: number; readonly call: SkillCall }
  /** The skill has no use for the answer any more. */
  | { readonly type: 'call-cancelled'; readonly callNumber: number }
  | { readonly type: 'done'; readonly output: Payload; readonly stats: RunStats }
  | { readonly type: 'failed'; readonly fault: Fault; readonly stats: RunStats }

/** Runs skills off the node's loop, each within its time and memory limit. */
export interface SkillRunner {
  /** What this node can do now. */
  capabilities(): readonly Capability[]
  /** Called after a skill was added, removed or reloaded. */
  onCapabilitiesChanged(listener: () => void): void
  /** The skill's own time limit, used when a task states none. */
  timeLimitMs(capability: string, version: string): number
  /** Checks an input against the skill's schema. @returns a fault `bad-input`, or undefined when it fits or the skill is not here. */
  checkInput(capability: string, version: string | undefined, input: Json): Fault | undefined
  /** JSON Schema of the input of a skill of this node; undefined when there is none, or it is not here. */
  inputSchema(capability: string, version: string | undefined): Json | undefined
  start(run: SkillRun, listener: (event: SkillRunEvent) => void): void
  /** What has become of a call that a run has made. No effect on a run that has ended. */
  answerCall(runId: string, callNumber: number, event: SkillCallEvent): void
  /** Its checkpoint of this number, or a newer one, is in the mission's log; with a fault: it never will be. */
  checkpointCommitted(runId: string, number: number, problem?: Fault): void
  /** Told now, and whenever it has changed. */
  onMeasured(listener: (measures: readonly CapabilityMeasure[]) => void): void
  /** Terminates at once; the run ends with `failed` and the code given. No effect on an unknown run. */
  stop(runId: string, why: Fault): void
}
