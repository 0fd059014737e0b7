/**
 * The closed union of everything that can go wrong in the mesh. Each code is documented once, here,
 * and mapped once to an HTTP status (`node/http/problem.ts`) and once to an exit code (`node/cli/exit-codes.ts`).
 */
import { z } from 'zod'

/** code → what it means, and whether trying the same thing again can help. */
export const errorCodes = {
  'bad-request': { retryable: false, means: 'the request is malformed' },
  'bad-input': { retryable: false, means: 'the input does not match the schema of the capability' },
  'bad-plan': { retryable: false, means: 'the plan is malformed, cyclic or over its limits' },
  'unknown-capability': { retryable: false, means: 'no node has ever offered a capability of this name' },
  'version-mismatch': { retryable: false, means: 'the capability is offered, but in no version that was asked for' },
  'no-provider': { retryable: true, means: 'no live node offers the capability' },
  'unknown-mission': { retryable: false, means: 'no node of the mesh knows this mission' },
  'unknown-task': { retryable: false, means: 'the mission has no such task' },
  'unknown-blob': { retryable: false, means: 'no reachable node holds this content' },
  'owner-unreachable': { retryable: true, means: 'the node that owns the mission cannot be reached now' },
  'key-conflict': { retryable: false, means: 'the idempotency key was used for another request' },
  'wrong-state': { retryable: false, means: 'the mission or task is not in a state that allows this' },
  'too-large': { retryable: false, means: 'a size limit was exceeded' },
  'over-limit': { retryable: false, means: 'a limit of the mission (leaves, depth, budget) was exceeded' },
  'deadline-exceeded': { retryable: false, means: 'the time allowed has passed' },
  overloaded: { retryable: true, means: 'the node takes no more work now' },
  unauthorised: { retryable: false, means: 'the token is missing or wrong' },
  forbidden: { retryable: false, means: 'this principal may not do this' },
  'skill-failed': { retryable: true, means: 'the skill threw an error' },
  'skill-timeout': { retryable: true, means: 'the skill ran longer than its time limit' },
  'skill-out-of-memory': { retryable: true, means: 'the skill used more memory than its limit' },
  'skill-silent': { retryable: true, means: 'the skill stopped giving signs of life' },
  'skill-exited': { retryable: true, means: 'the skill ended its thread or process without a result' },
  'context-overflow': { retryable: false, means: 'the prompt does not fit the context of the model' },
  'provider-failed': { retryable: true, means: 'the endpoint of a model failed or cannot be reached' },
  'bad-output': { retryable: true, means: 'the result does not match the schema of the capability' },
  'lost-worker': { retryable: true, means: 'the connection to the worker was lost' },
  cancelled: { retryable: false, means: 'it was cancelled' },
  fenced: { retryable: false, means: 'a newer owner or award has taken over' },
  'storage-failed': { retryable: true, means: 'the store could not be written' },
  timeout: { retryable: true, means: 'no answer came in time: the outcome is unknown' },
  'not-available': { retryable: false, means: 'this part of Skein is not in this release' },
  internal: { retryable: false, means: 'a bug in Skein' },
} as const satisfies Record<string, { retryable: boolean; means: string }>

export type ErrorCode = keyof typeof errorCodes

/** An error as it crosses the wire and is stored: what was wrong, whether a retry helps, what to do next. */
export const Fault = z.object({
  code: z.enum(Object.keys(errorCodes) as [ErrorCode, ...ErrorCode[]]),
  detail: z.string().max(4_000),
  retryable: z.boolean(),
  next: z.string().max(1_000).optional(),
  retryAfterMs: z.number().int().min(0).optional(),
})
export type Fault = z.infer<typeof Fault>

/** What a fault may say beyond its code and detail. */
export interface FaultOptions {
  /** What to do next, one sentence. */
  readonly next?: string
  readonly retryAfterMs?: number
  /** Overrides the code's own answer to "can a retry help". */
  readonly retryable?: boolean
}

export function fault(code: ErrorCode, detail: string, options: FaultOptions = {}): Fault {
  return {
    code,
    detail: detail.slice(0, 4_000),
    retryable: options.retryable ?? errorCodes[code].retryable,
    ...(options.next === undefined ? {} : { next: options.next.slice(0, 1_000) }),
    ...(options.retryAfterMs === undefined ? {} : { retryAfterMs: Math.ceil(options.retryAfterMs) }),
  }
}

/** A fault as an exception, for the edges that throw. */
export class MeshError extends Error {
  readonly fault: Fault

  constructor(code: ErrorCode, detail: string, options: FaultOptions = {}) {
    super(detail)
    this.name = 'MeshError'
    this.fault = fault(code, detail, options)
  }

  static from(value: Fault): MeshError {
    return new MeshError(value.code, value.detail, {
      retryable: value.retryable,
      ...(value.next === undefined ? {} : { next: value.next }),
      ...(value.retryAfterMs === undefined ? {} : { retryAfterMs: value.retryAfterMs }),
    })
  }
}

/** Any thrown value as a fault: a MeshError keeps its code, anything else becomes `otherwise`. */
export function toFault(thrown: unknown, otherwise: ErrorCode = 'internal'): Fault {
  if (thrown instanceof MeshError) return thrown.fault
  return fault(otherwise, thrown instanceof Error ? thrown.message : String(thrown))
}

/** Throws when something that cannot be false is false: a bug, not an error. */
export function invariant(condition: unknown, what: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${what}`)
}

/** For the end of an exhaustive switch: the type checker proves it is never reached. */
export function unreachable(value: never): never {
  throw new Error(`invariant broken: unexpected ${JSON.stringify(value)}`)
}
