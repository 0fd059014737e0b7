import type { Capability } from '../../protocols/capability/schema.ts'
import type { RunStats } from '../../protocols/bidding/schema.ts'
import type { Fault } from '../../protocols/kernel/errors.ts'
import type { Principal } from '../../protocols/kernel/ids.ts'
import type { Json, Payload } from '../../protocols/kernel/payload.ts'

/** How one child of a composite task ended, as its `synthesise` step sees it. */
export interface ChildOutcome {
  readonly name: string
  readonly capability: string
  readonly state: 'accepted' | 'dead' | 'cancelled'
  readonly output?: Payload
  readonly fault?: Fault
}

export interface SkillRun {
  /** Unique on this node while it runs. */
  readonly runId: string
  readonly capability: string
  readonly version: string
  /** Leaf skills `run`; composite skills `plan` (→ a Plan) and then `synthesise` (→ the output). */
  readonly step: 'run' | 'plan' | 'synthesise'
  readonly input: Payload
  /** For `run` only: what an earlier attempt has published last, to go on from. One whose content cannot be had is as good as none. */
  readonly checkpoint?: Payload
  /** For `synthesise` only, in the plan's order. */
  readonly children?: readonly ChildOutcome[]
  readonly principal: Principal
  readonly missionId: string
  readonly taskId: string
  readonly attempt: number
  /** For `plan`: what the plan must keep to. */
  readonly planLimits?: { readonly leavesLeft: number; readonly depthLeft: number }
  readonly timeLimitMs: number
}

/**
 * `started` once (a run on the node's loop may leave it out), `pulse` at least every `pulseMs` while the executing thread lives, and while
 * the run waits for a thread, before it has started; then exactly one of `done` and `failed`.
 * `checkpoint` is stored here by then; before `failed` comes the newest that the skill has published, unless it was terminated.
 */
export type SkillRunEvent =
  | { readonly type: 'started' }
  | { readonly type: 'pulse'; readonly fraction?: number; readonly text?: string }
  | { readonly type: 'checkpoint'; readonly value: Payload }
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
  start(run: SkillRun, listener: (event: SkillRunEvent) => void): void
  /** Terminates at once; the run ends with `failed` and the code given. No effect on an unknown run. */
  stop(runId: string, why: Fault): void
}
