/**
 * Invocations: one capability executed for somebody who waits for it, outside of any mission's log. A running skill calls another capability,
 * a bridge asks a model. The best bid to a call is sent `invoke` in the place of an award; the output comes back, piece by piece if wanted,
 * to the caller alone. Nothing is kept: when either side is gone, so is the invocation. See SPEC.md.
 */
import { z } from 'zod'
import { Call, Refusal, RunStats } from '../bidding/schema.ts'
import { SchemaVersion } from '../capability/schema.ts'
import { Fault } from '../kernel/errors.ts'
import { ActorAddress, CallId, CapabilityName, Principal } from '../kernel/ids.ts'
import { limits } from '../kernel/limits.ts'
import { Json, Payload } from '../kernel/payload.ts'

/** The accepted proposal. An invocation goes by the id of its call, which has the attempt in it. */
export const Invoke = z.object({
  kind: z.literal('invoke'),
  caller: ActorAddress,
  principal: Principal,
  call: Call,
  /** Of the bid. */
  version: SchemaVersion,
  input: Payload,
  timeLimitMs: z.number().int().min(1),
  /** For outside systems: the same for every attempt. */
  idempotencyKey: z.string().min(1).max(1_024),
  streams: z.boolean(),
})
export type Invoke = z.infer<typeof Invoke>

/** Calls of invocations are told from those of a mission's tasks by this: their id names the life of the node that made them. */
export function invocationCallId({ missionId, taskId }: Pick<Call, 'missionId' | 'taskId'>, life: string, number: number, attempt: number): CallId {
  return `${missionId}:${taskId}~${life}.${number}#${attempt}?` as CallId
}

export function isInvocationId(callId: string): boolean {
  return callId.includes('~')
}

/** It has a place, and begins. */
export const InvokeTaken = z.object({ kind: z.literal('invoke-taken'), callId: CallId })
/** It cannot be taken after all. */
export const InvokeRefused = z.object({ kind: z.literal('invoke-refused'), callId: CallId, refusal: Refusal })
/** Pieces of the output, in order; `at` is the number of the first of them, from 0. */
export const InvokeChunks = z.object({ kind: z.literal('invoke-chunks'), callId: CallId, at: z.number().int().min(0), chunks: z.array(Json).min(1).max(limits.chunksPerMessageMax) })
/** They live: said at least every `pulseMs`. */
export const InvokePulse = z.object({ kind: z.literal('invoke-pulse'), callIds: z.array(CallId).min(1).max(4_096) })
/** Its end: the output, or what went wrong. */
export const InvokeEnded = z.object({ kind: z.literal('invoke-ended'), callId: CallId, output: Payload.optional(), fault: Fault.optional(), stats: RunStats })
/** Nobody waits for it any more. */
export const InvokeCancel = z.object({ kind: z.literal('invoke-cancel'), callId: CallId, reason: z.string().max(500) })

/** What does one of these ask for? The JSON Schema of a capability's input, of the node that is asked. */
export const DescribeCapability = z.object({ kind: z.literal('describe-capability'), requestId: z.string().max(64), capability: CapabilityName, version: SchemaVersion.optional() })
export const CapabilityDescribed = z.object({ kind: z.literal('capability-described'), requestId: z.string().max(64), inputSchema: Json.optional() })

export const invokingMessages = [Invoke, InvokeTaken, InvokeRefused, InvokeChunks, InvokePulse, InvokeEnded, InvokeCancel, DescribeCapability, CapabilityDescribed] as const
export type InvokingMessage = z.infer<(typeof invokingMessages)[number]>
