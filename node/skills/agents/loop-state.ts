/** What an agent's loop remembers, what it is told and what it wants done: all of it values, the state also a checkpoint. */
import { z } from 'zod'
import type { Fault } from '../../../protocols/kernel/errors.ts'
import { BlobRef } from '../../../protocols/kernel/payload.ts'
import type { Json } from '../../../protocols/kernel/payload.ts'
import { ChatMessage, ToolCall } from '../../../protocols/models/schema.ts'
import type { JsonSchema } from '../../../protocols/models/schema.ts'
import type { ValueCheck } from './json-answer.ts'
import { AgentUsage, CallRecord } from './schema.ts'
import type { Tool } from './tools.ts'

const count = z.number().int().min(0)

/** One call of the model's newest decision. With `answer` it is finished. */
export const DecidedCall = z.object({
  index: count,
  toolCall: ToolCall,
  /** What to do about it; absent when it was answered without doing anything. */
  todo: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('call'), capability: z.string(), version: z.string(), input: z.unknown() }),
    z.object({ kind: z.literal('read'), of: z.string(), from: count, chars: count }),
  ]).optional(),
  answer: z.string().optional(),
})
export type DecidedCall = z.infer<typeof DecidedCall>

/**
 * `asking`: the model is to decide. `calling`: its calls are under way. `condensing`: the conversation was too long, parts of it are being
 * condensed. `ended`: with a result or a fault.
 */
export const LoopState = z.object({
  format: z.literal('agent-loop-1'),
  /** Digest of what the task was given: a checkpoint of other work is of no use. */
  brief: z.string(),
  phase: z.enum(['asking', 'calling', 'condensing', 'ended']),
  messages: z.array(ChatMessage),
  steps: count,
  decision: z.array(DecidedCall),
  /** What the model said beside its calls. */
  said: z.string().nullable(),
  calls: z.array(CallRecord),
  /** Results that were too long to be shown whole, by label. */
  stored: z.record(z.string(), BlobRef),
  /** Messages that are being condensed; with `text` it is done. */
  condensing: z.array(z.object({ message: count, text: z.string().optional() })),
  condensedMessages: z.array(count),
  usage: AgentUsage,
  /** How often each call was asked for, by the digest of its name and arguments. */
  asked: z.record(z.string(), count),
  repairs: count,
  /** Why no more calls are allowed; the next answer is the last. */
  closing: z.string().optional(),
  /** So many of the functions are offered, since all of them did not fit; absent: all. */
  toolsOffered: count.optional(),
  /** Model calls that ended without a decision, so that every call has a key of its own. */
  refusals: count,
  spentMs: z.number().min(0),
  model: z.string().optional(),
  node: z.string().optional(),
})
export type LoopState = z.infer<typeof LoopState>

/** What does not change while the loop runs. */
export interface LoopRules {
  readonly tools: readonly Tool[]
  readonly limits: { readonly steps: number; readonly calls: number; readonly tokens: number; readonly timeMs: number; readonly costUsd?: number }
  readonly expects?: { readonly schema: JsonSchema; readonly check: ValueCheck }
  /** What the task was given: `{ "$input": "path" }` in arguments stands for a part of it. */
  readonly given: Readonly<Record<string, unknown>>
  /** Labels of files that may be read beside `LoopState.stored`. */
  readonly files: readonly string[]
  /** The part of the first user message that is never condensed. */
  readonly instruction: string
}

export type LoopInput =
  /** Once per attempt: begins, or goes on where the state is. */
  | { readonly type: 'begin' }
  | { readonly type: 'decided'; readonly answer: { readonly content: string | null; readonly toolCalls: readonly ToolCall[]; readonly finish: 'stop' | 'length' | 'tool-calls' | 'filter' }; readonly model: string; readonly node: string; readonly usage: AgentUsage }
  /** The model could not be asked, or gave nothing that is an answer. */
  | { readonly type: 'refused'; readonly fault: Fault }
  | { readonly type: 'called'; readonly index: number; readonly ok: boolean; readonly text: string; readonly tookMs: number; readonly stored?: { readonly label: string; readonly ref: BlobRef } }
  | { readonly type: 'condensed'; readonly message: number; readonly text: string; readonly usage: AgentUsage }
  /** What was to be done cannot be done, and nothing goes on without it. */
  | { readonly type: 'broken-off'; readonly fault: Fault }

export type LoopOutput =
  /** The state is to be in the mission's log before anything that follows is done. */
  | { readonly type: 'commit' }
  | { readonly type: 'ask'; readonly key: string; readonly messages: readonly ChatMessage[]; readonly mayCall: boolean; /** So many of the rules' functions are offered. */ readonly tools: number; readonly schema?: JsonSchema }
  | { readonly type: 'call'; readonly key: string; readonly index: number; readonly capability: string; readonly version: string; readonly input: Json }
  | { readonly type: 'read'; readonly index: number; readonly of: string; readonly from: number; readonly chars: number }
  | { readonly type: 'condense'; readonly key: string; readonly message: number; readonly text: string }
  | { readonly type: 'finish'; readonly result: Json; readonly text: string }
  | { readonly type: 'fail'; readonly fault: Fault }

export interface LoopStep {
  readonly state: LoopState
  readonly outputs: readonly LoopOutput[]
}

export function startOf(brief: string, messages: readonly ChatMessage[]): LoopState {
  return {
    format: 'agent-loop-1', brief, phase: 'asking', messages: [...messages], steps: 0, decision: [], said: null, calls: [], stored: {}, condensing: [], condensedMessages: [],
    usage: { promptTokens: 0, completionTokens: 0, costUsd: 0, modelCalls: 0 }, asked: {}, repairs: 0, refusals: 0, spentMs: 0,
  }
}
