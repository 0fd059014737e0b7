/**
 * A task of a stored fold, read back. A mission has thousands, and a successor reads all of them before it leads: they are looked at
 * just closely enough that whoever folds on meets what the types promise. Only one that does not look right goes through the whole schema,
 * which says what is wrong with it. The bytes themselves were verified by their digest, and a member of the group wrote them.
 */
import { z } from 'zod'
import { Fault } from '../kernel/errors.ts'
import { AwardId, MissionId, TaskId } from '../kernel/ids.ts'
import { RunUnits } from '../bidding/schema.ts'
import { Payload } from '../kernel/payload.ts'
import type { TaskNode } from './mission-state.ts'
import { AwardRecord, TaskSpec, taskStates } from './schema.ts'

export const StoredAttempt = z.object({
  award: AwardRecord,
  awardedAtWallMs: z.number(),
  endedAtWallMs: z.number().optional(),
  outcome: z.enum(['running', 'accepted', 'refused', 'lost', 'failed', 'cancelled']),
  fault: Fault.optional(),
})

export const StoredTask = z.object({
  spec: TaskSpec,
  state: z.enum(taskStates),
  attempts: z.array(StoredAttempt),
  children: z.array(TaskId),
  planned: z.boolean(),
  rounds: z.number().int().optional(),
  givenUp: z.boolean().optional(),
  costUsd: z.number().optional(),
  tokens: RunUnits.optional(),
  heldUsd: z.number().optional(),
  planResult: Payload.optional(),
  checkpoint: Payload.optional(),
  result: Payload.optional(),
  acceptedAward: AwardId.optional(),
  tookMs: z.number().optional(),
  reusedFrom: MissionId.optional(),
  fault: Fault.optional(),
  failures: z.number().int(),
  losses: z.number().int(),
  notBeforeWallMs: z.number(),
  diedAtWallMs: z.number().optional(),
  droppedAtWallMs: z.number().optional(),
})

type Look = (value: unknown) => boolean
type Fields = Readonly<Record<string, Look>>

const isText: Look = (value) => typeof value === 'string' && value !== ''
const isNumber: Look = (value) => typeof value === 'number'
const isFlag: Look = (value) => typeof value === 'boolean'
const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)
const isPayload: Look = (value) => isObject(value) && ('inline' in value ? value['inline'] !== undefined : isObject(value['blob']) && isText(value['blob']['$blob']))
const oneOf = (words: readonly string[]): Look => {
  const known = new Set<unknown>(words)
  return (value) => known.has(value)
}
const optional = (look: Look): Look => (value) => value === undefined || look(value)
const listOf = (look: Look): Look => (value) => Array.isArray(value) && value.every(look)

function withFields(fields: Fields): Look {
  const looks = Object.entries(fields)
  return (value) => isObject(value) && looks.every(([name, look]) => look(value[name]))
}

const isEpoch = withFields({ lineage: isNumber, term: isNumber })
const isFault = withFields({ code: isText, detail: (value) => typeof value === 'string', retryable: isFlag })

/** Of what a bid or a refusal said, nothing but its being there is needed to go on. */
export const awardLooks: Fields = {
  awardId: isText, taskId: isText, attempt: isNumber, epoch: isEpoch, worker: isText, workerName: (value) => typeof value === 'string', capability: isText, version: isText, offer: optional(isText), setAsideUsd: optional(isNumber),
  bid: isObject, bids: listOf(isObject), refusals: listOf(isObject), why: (value) => typeof value === 'string',
}
export const attemptLooks: Fields = { award: withFields(awardLooks), awardedAtWallMs: isNumber, endedAtWallMs: optional(isNumber), outcome: oneOf(StoredAttempt.shape.outcome.options), fault: optional(isFault) }
export const specLooks: Fields = {
  taskId: (value) => typeof value === 'string' && (value === 'root' || value.startsWith('root/')), kind: oneOf(TaskSpec.shape.kind.options), capability: isText, version: optional(isText), attributes: optional(isObject), effects: oneOf(TaskSpec.shape.effects.options),
  input: isPayload, after: listOf(isText), priority: isNumber, effort: isNumber, accept: listOf(isObject), retry: isObject, timeLimitMs: isNumber, optional: isFlag, budgetUsd: optional(isNumber),
}
export const taskLooks: Fields = {
  spec: withFields(specLooks), state: oneOf(taskStates), attempts: listOf(withFields(attemptLooks)), children: listOf(isText), planned: isFlag, rounds: optional(isNumber), givenUp: optional(isFlag), costUsd: optional(isNumber), tokens: optional(isObject), heldUsd: optional(isNumber), planResult: optional(isPayload), checkpoint: optional(isPayload), result: optional(isPayload),
  acceptedAward: optional(isText), tookMs: optional(isNumber), reusedFrom: optional(isText), fault: optional(isFault), failures: isNumber, losses: isNumber, notBeforeWallMs: isNumber, diedAtWallMs: optional(isNumber), droppedAtWallMs: optional(isNumber),
}

const looksRight = withFields(taskLooks)

/** @returns a copy as far as folding changes it: what never changes once it is there is shared. @throws ZodError when it is none. */
export function readTask(value: unknown): TaskNode {
  const task = (looksRight(value) ? value : StoredTask.parse(value)) as TaskNode
  return { ...task, attempts: task.attempts.map((attempt) => ({ ...attempt })), children: [...task.children] }
}
