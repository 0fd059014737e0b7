/** What the node's loop and a skill thread say to each other. Structured clones; bytes are transferred. */
import type { RunUnits } from '../../protocols/bidding/schema.ts'
import type { Fault } from '../../protocols/kernel/errors.ts'
import type { OfferedCapability } from './define-skill.ts'
import type { BlobRef, Json } from '../../protocols/kernel/payload.ts'
import type { SkillDescription } from './skill-module.ts'

/** A value, or the bytes of its JSON text: big ones are parsed in the thread. */
export type Parcel = { readonly inline: Json } | { readonly bytes: Uint8Array }

/** How a child ended, its output not parsed yet. */
export interface ChildParcel {
  readonly name: string
  readonly capability: string
  readonly state: 'accepted' | 'dead' | 'cancelled'
  readonly output?: Parcel
  readonly fault?: Fault
  readonly optional?: boolean
}

export interface RunAbout {
  readonly missionId: string
  readonly taskId: string
  readonly attempt: number
  readonly principal: string
  readonly planLimits?: { readonly leavesLeft: number; readonly depthLeft: number }
  readonly budgetUsd?: number
  readonly idempotencyKey?: string
}

export interface ThreadCallOptions {
  readonly version?: string
  readonly attributes?: Readonly<Record<string, string | number | boolean>>
  readonly timeLimitMs?: number
  /** Of models: how much there is to do, and how the input begins. */
  readonly units?: RunUnits
  readonly prefixes?: readonly string[]
  readonly key: string
  readonly streams: boolean
}

export type ToThread =
  /** Import a module and say what is in it. Answered by `described`. */
  | { readonly type: 'describe'; readonly url: string }
  /** A run is about to come: pulse from now on. Answered by `started`. */
  | { readonly type: 'begin'; readonly runId: string; readonly pulseMs: number }
  | {
      readonly type: 'run'
      readonly runId: string
      readonly url: string
      readonly capability: string
      readonly version: string
      readonly step: 'run' | 'plan' | 'revise' | 'synthesise'
      /** Of `revise`. */
      readonly round?: number
      readonly input: Parcel
      /** What an earlier attempt has published last. */
      readonly resumed?: Parcel
      readonly children: readonly ChildParcel[]
      readonly about: RunAbout
      /** Not there yet; made when the skill asks for it. */
      readonly workFolder: string
    }
  /** To `call`: pieces of the output, then its end. */
  | { readonly type: 'called'; readonly callNumber: number; readonly chunk?: Json; readonly output?: Parcel; readonly by?: { readonly peer: string; readonly name: string }; readonly costUsd?: number; readonly fault?: Fault }
  /** To `ask-mesh`. */
  | { readonly type: 'mesh-answer'; readonly requestId: number; readonly capabilities?: readonly OfferedCapability[]; readonly inputSchema?: Json; readonly fault?: Fault }
  /** To `read-blob`, `write-blob` and `checkpoint`. */
  | { readonly type: 'answer'; readonly requestId: number; readonly bytes?: Uint8Array; readonly ref?: BlobRef; readonly fault?: Fault }

export type FromThread =
  /** It has loaded what it needs itself. */
  | { readonly type: 'up' }
  | { readonly type: 'described'; readonly url: string; readonly skills?: readonly SkillDescription[]; readonly fault?: Fault }
  | { readonly type: 'started'; readonly runId: string }
  /** The skill's code is loaded and is called now: its time limit starts. */
  | { readonly type: 'executing'; readonly runId: string }
  | { readonly type: 'pulse'; readonly runId: string; readonly fraction?: number; readonly text?: string }
  | { readonly type: 'log'; readonly runId: string; readonly text: string }
  | { readonly type: 'read-blob'; readonly runId: string; readonly requestId: number; readonly ref: BlobRef }
  | { readonly type: 'write-blob'; readonly runId: string; readonly requestId: number; readonly bytes: Uint8Array; readonly name?: string; readonly mediaType?: string }
  /** Another capability is wanted; `input` is JSON text. Answered by `called`. */
  | { readonly type: 'call'; readonly runId: string; readonly callNumber: number; readonly capability: string; readonly input: Uint8Array; readonly options: ThreadCallOptions }
  | { readonly type: 'call-cancelled'; readonly runId: string; readonly callNumber: number }
  | { readonly type: 'ask-mesh'; readonly runId: string; readonly requestId: number; readonly about: 'capabilities' | { readonly capability: string; readonly version?: string } }
  /** JSON text. `committed`: answered once it is in the mission's log. */
  | { readonly type: 'checkpoint'; readonly runId: string; readonly requestId: number; readonly value: Uint8Array; readonly committed?: boolean }
  /** A process that the skill started, to be ended with the thread. */
  | { readonly type: 'child-process'; readonly pid: number; readonly alive: boolean }
  /** `clean`: nothing of the run is left in the thread, it can be used again. `output` is JSON text. */
  | { readonly type: 'done'; readonly runId: string; readonly output: Uint8Array; readonly runMs: number; readonly clean: boolean }
  | { readonly type: 'failed'; readonly runId: string; readonly fault: Fault; readonly runMs: number }
