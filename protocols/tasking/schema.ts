/** Missions, plans, tasks and the events their log is made of. */
import { z } from 'zod'
import { Attributes, Effects, SchemaVersion } from '../capability/schema.ts'
import { BidSummary, RefusalSummary, RunUnits, WinningBid } from '../bidding/schema.ts'
import { Fault } from '../kernel/errors.ts'
import { ActorAddress, AwardId, CapabilityName, Epoch, MissionId, OfferId, PeerId, Principal, TaskId } from '../kernel/ids.ts'
import { unplain } from '../kernel/json.ts'
import { limits } from '../kernel/limits.ts'
import { Payload } from '../kernel/payload.ts'
import { MembersChanged, TookOver } from '../membership/schema.ts'

export const Priority = z.number().int().min(1).max(10)

export const missionStates = ['accepted', 'planning', 'running', 'waiting', 'paused', 'synthesising', 'completed', 'failed', 'cancelled', 'orphaned'] as const
export type MissionState = (typeof missionStates)[number]
export const taskStates = ['pending', 'announced', 'awarded', 'running', 'validating', 'accepted', 'failed', 'dead', 'cancelled'] as const
export type TaskState = (typeof taskStates)[number]

/** How safe a mission must be before its submitter is told "accepted". */
export const Acknowledgement = z.enum(['ephemeral', 'local', 'quorum'])
export type Acknowledgement = z.infer<typeof Acknowledgement>

export const MissionLimits = z.object({
  leavesMax: z.number().int().min(1).max(limits.missionTasksMax).default(limits.missionLeavesDefault),
  depthMax: z.number().int().min(1).max(limits.missionDepthMax).default(limits.missionDepthDefault),
  budgetUsd: z.number().min(0).max(limits.usdMax).default(limits.missionBudgetUsdDefault),
  durationMs: z.number().int().min(1).default(limits.missionDurationMsDefault),
})
export type MissionLimits = z.infer<typeof MissionLimits>

/** Some of the limits, the others left as they are: no defaults are filled in. */
export const LimitChange = z.object({
  leavesMax: z.number().int().min(1).max(limits.missionTasksMax),
  depthMax: z.number().int().min(1).max(limits.missionDepthMax),
  budgetUsd: z.number().min(0).max(limits.usdMax),
  durationMs: z.number().int().min(1),
}).partial().strict()
export type LimitChange = z.infer<typeof LimitChange>

/** Any JSON, nested no deeper than everything that walks through it can bear. */
const Input = z.unknown().superRefine((value, context) => {
  const problem = unplain(value)
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
})

/** One task's own name inside its plan. */
export const TaskName = z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, 'is not a task name (letters, digits, dot, dash, underscore; at most 64)')

/**
 * A check that a result must pass before it is accepted.
 * `path` is a dotted path into the output; exactly one of the others says what must hold there.
 */
export const AcceptanceCheck = z.object({
  path: z.string().max(256).default(''),
  exists: z.boolean().optional(),
  equals: z.unknown().optional(),
  matches: z.string().max(256).optional(),
  atLeast: z.number().optional(),
  atMost: z.number().optional(),
}).strict()
export type AcceptanceCheck = z.infer<typeof AcceptanceCheck>

export const RetryPolicy = z.object({
  attemptsMax: z.number().int().min(1).max(limits.attemptsHardMax).default(limits.attemptsMax),
  backoffMs: z.number().int().min(0).max(600_000).default(limits.retryBackoffMs),
}).strict()
export type RetryPolicy = z.infer<typeof RetryPolicy>

/**
 * A task as a plan states it. Inside `input`, `{ "$from": "other", "path": "a.b" }` stands for (part of) another
 * task's output and makes that task a dependency; `{ "$each": … }` does not exist: a plan says what it means.
 */
export const PlannedTask = z.object({
  capability: CapabilityName,
  version: SchemaVersion.optional(),
  attributes: Attributes.optional(),
  input: Input.default({}),
  after: z.array(TaskName).max(limits.planTasksMax).default([]),
  priority: Priority.optional(),
  /** Work in the skill's own units (for `repo.measure` bytes): the ratio between tasks is what counts. */
  effort: z.number().positive().optional(),
  accept: z.array(AcceptanceCheck).max(64).default([]),
  retry: RetryPolicy.optional(),
  timeLimitMs: z.number().int().min(1).optional(),
  /** A failure of this task leaves its parent to carry on without it. */
  optional: z.boolean().default(false),
  /** What it, and everything below it, may spend on priced capabilities, US dollars. Absent: nothing, but a mission of one task may spend the mission's budget. */
  budgetUsd: z.number().min(0).max(limits.usdMax).optional(),
}).strict()
export type PlannedTask = z.infer<typeof PlannedTask>

/** The document a person writes, a rule makes or a model's planner produces. */
export const Plan = z.object({
  name: z.string().max(128).optional(),
  description: z.string().max(2_000).optional(),
  tasks: z.record(TaskName, PlannedTask),
  /** What the plan's result is: a value with `$from` references; absent: an object of every task's output by name. */
  result: Input.optional(),
  priority: Priority.optional(),
  limits: LimitChange.optional(),
}).strict()
export type Plan = z.infer<typeof Plan>

/** What a submitter asks for: a capability with input, a plan of their own, or a goal in words. */
export const MissionRequest = z.object({
  capability: CapabilityName.optional(),
  version: SchemaVersion.optional(),
  input: Input.optional(),
  plan: Plan.optional(),
  /** A goal in words, planned by a model of the mesh; `input` is what there is to work with, by name. */
  text: z.string().min(1).max(limits.goalCharsMax).optional(),
  priority: Priority.default(5),
  limits: LimitChange.optional(),
  acknowledgement: Acknowledgement.default('quorum'),
  name: z.string().max(128).optional(),
}).strict()
export type MissionRequest = z.infer<typeof MissionRequest>

/** A planned task as it stands in the log: named, with its parent's defaults filled in. */
export const TaskSpec = z.object({
  taskId: TaskId,
  kind: z.enum(['leaf', 'composite']),
  capability: CapabilityName,
  version: SchemaVersion.optional(),
  attributes: Attributes.optional(),
  effects: Effects,
  input: Payload,
  /** Siblings that must be accepted first (task ids). */
  after: z.array(TaskId),
  priority: Priority,
  effort: z.number().positive(),
  accept: z.array(AcceptanceCheck),
  retry: RetryPolicy,
  timeLimitMs: z.number().int().min(1),
  optional: z.boolean(),
  budgetUsd: z.number().min(0).max(limits.usdMax).optional(),
})
export type TaskSpec = z.infer<typeof TaskSpec>

/** The award as the log keeps it; `award` on the wire carries more. */
export const AwardRecord = z.object({
  awardId: AwardId,
  taskId: TaskId,
  attempt: z.number().int().min(1),
  epoch: Epoch,
  worker: PeerId,
  workerName: z.string().max(64),
  capability: CapabilityName,
  version: SchemaVersion,
  /** The standing offer that it was awarded against, without a call. */
  offer: OfferId.optional(),
  /** What it sets aside, US dollars; absent: its bid's price. */
  setAsideUsd: z.number().min(0).max(limits.usdMax).optional(),
  bid: WinningBid,
  bids: z.array(BidSummary).max(limits.bidsRecordedMax),
  refusals: z.array(RefusalSummary).max(limits.refusalsRecordedMax),
  why: z.string().max(500),
})
export type AwardRecord = z.infer<typeof AwardRecord>

const at = { atWallMs: z.number() }

/** The log of a mission. Its state is the fold of these, nothing else. */
export const MissionEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('submitted'), ...at, missionId: MissionId, principal: Principal, owner: PeerId, name: z.string(), request: Payload, rootSpec: TaskSpec, priority: Priority, limits: MissionLimits, acknowledgement: Acknowledgement, key: z.string().max(256).optional(), requestDigest: z.string(), forkOf: z.object({ missionId: MissionId, taskId: TaskId }).optional() }),
  TookOver,
  MembersChanged,
  z.object({ type: z.literal('planned'), ...at, taskId: TaskId, children: z.array(TaskSpec), result: Payload.optional(), /** Of an addition to a plan, after its children have ended: 1 for the first. */ round: z.number().int().min(1).max(limits.revisionsMax).optional(), /** Dead children that are done without from now on; what waits for them is cancelled. */ givesUp: z.array(TaskId).optional(), /** What making it has cost. */ costUsd: z.number().min(0).max(limits.usdMax).optional() }),
  z.object({ type: z.literal('awarded'), ...at, award: AwardRecord }),
  z.object({ type: z.literal('award-ended'), ...at, awardId: AwardId, taskId: TaskId, fault: Fault, outcome: z.enum(['refused', 'lost', 'failed']), retryInMs: z.number().int().min(0).optional(), /** What it has cost, when that is known. */ costUsd: z.number().min(0).max(limits.usdMax).optional() }),
  /** What a running attempt has published to go on from; a later attempt is given the newest. */
  z.object({ type: z.literal('checkpointed'), ...at, taskId: TaskId, awardId: AwardId, checkpoint: Payload }),
  z.object({ type: z.literal('accepted'), ...at, taskId: TaskId, awardId: AwardId, result: Payload, cites: z.array(AwardId), tookMs: z.number(), costUsd: z.number().min(0).max(limits.usdMax).optional(), /** Of models. */ tokens: RunUnits.optional() }),
  /** Of a forked mission, before anything of it ran: the result that the task had in the other one. */
  z.object({ type: z.literal('reused'), ...at, taskId: TaskId, result: Payload, from: z.object({ missionId: MissionId, awardId: AwardId }) }),
  z.object({ type: z.literal('dead'), ...at, taskId: TaskId, fault: Fault }),
  z.object({ type: z.literal('retried'), ...at, taskId: TaskId }),
  z.object({ type: z.literal('task-cancelled'), ...at, taskId: TaskId, reason: z.string() }),
  z.object({ type: z.literal('paused'), ...at }),
  z.object({ type: z.literal('resumed'), ...at }),
  z.object({ type: z.literal('changed'), ...at, priority: Priority.optional(), limits: LimitChange.optional() }),
  z.object({ type: z.literal('cancel-requested'), ...at, by: Principal, reason: z.string().max(500) }),
  z.object({ type: z.literal('completed'), ...at, result: Payload }),
  z.object({ type: z.literal('failed'), ...at, fault: Fault }),
  z.object({ type: z.literal('cancelled'), ...at }),
  /** A dead task that somebody has looked at and wants to see no more among the dead letters. */
  z.object({ type: z.literal('dead-dropped'), ...at, taskId: TaskId, by: Principal }),
  /** The last entry: everything about the mission is in this, on a majority of its members' disks. */
  z.object({ type: z.literal('archived'), ...at, archive: Payload }),
])
export type MissionEvent = z.infer<typeof MissionEvent>

/** Where a mission begins that continues another from one of its tasks on. See `fork.ts`. */
export const ForkSeed = z.object({ of: MissionId, at: TaskId, events: z.array(MissionEvent).max(limits.missionTasksMax) }).strict()
export type ForkSeed = z.infer<typeof ForkSeed>

/** Events with their log index. */
export const IndexedEvent = z.object({ index: z.number().int().min(1), event: MissionEvent })
export type IndexedEvent = z.infer<typeof IndexedEvent>

/** Seen by watchers, never stored: announced, running, progress text. */
export const ProgressNote = z.object({
  taskId: TaskId,
  note: z.enum(['announced', 'running', 'progress', 'stalled', 'synthesising', 'planning']),
  attempt: z.number().int().min(0).optional(),
  worker: PeerId.optional(),
  fraction: z.number().min(0).max(1).optional(),
  text: z.string().max(500).optional(),
  /** With `stalled`: who said no so far. */
  refusals: z.array(RefusalSummary).max(limits.refusalsRecordedMax).optional(),
})
export type ProgressNote = z.infer<typeof ProgressNote>

// ---- manager ⇄ orchestrator -------------------------------------------------------------------------------------

/** A manager asks the mission's owner for the subtree it was awarded. Answered by `attached` or `record-refused`. */
export const Attach = z.object({ kind: z.literal('attach'), missionId: MissionId, taskId: TaskId, awardId: AwardId })
export const Attached = z.object({
  kind: z.literal('attached'), missionId: MissionId, taskId: TaskId, epoch: Epoch, paused: z.boolean(),
  limits: MissionLimits, leavesLeft: z.number().int(), priority: Priority, remainingMs: z.number(), events: z.array(IndexedEvent), last: z.boolean(),
  /** The subtree as it was folded before the first of the events (`foldSlice`), when the log does not begin at the beginning any more. */
  base: Payload.optional(),
})
/** A manager proposes events of its subtree, fenced by its award. Answered by `recorded` or `record-refused`. */
export const RecordEvents = z.object({ kind: z.literal('record'), missionId: MissionId, taskId: TaskId, awardId: AwardId, requestId: z.number().int(), events: z.array(MissionEvent).max(1_000) })
export const Recorded = z.object({ kind: z.literal('recorded'), missionId: MissionId, requestId: z.number().int(), firstIndex: z.number().int() })
export const RecordRefused = z.object({ kind: z.literal('record-refused'), missionId: MissionId, requestId: z.number().int(), fault: Fault })
/** Unstored news of a subtree, for watchers. */
export const Progress = z.object({ kind: z.literal('progress'), missionId: MissionId, notes: z.array(ProgressNote).max(256) })
/** From the owner down the tree. */
export const Control = z.object({ kind: z.literal('control'), missionId: MissionId, action: z.enum(['pause', 'resume', 'change', 'retry']), priority: Priority.optional(), taskId: TaskId.optional() })

// ---- bridges ⇄ owners -------------------------------------------------------------------------------------------

export const MissionOperation = z.discriminatedUnion('op', [
  /** `fork`: the request is that of the mission that is forked. */
  z.object({ op: z.literal('submit'), request: MissionRequest, key: z.string().max(256).optional(), fork: ForkSeed.optional() }),
  /** What a fork of it at this task begins with, and what it was asked for: a `ForkDraft`. */
  z.object({ op: z.literal('fork'), missionId: MissionId, taskId: TaskId, model: z.string().min(1).max(256).optional() }),
  z.object({ op: z.literal('view'), missionId: MissionId }),
  z.object({ op: z.literal('tasks'), missionId: MissionId }),
  z.object({ op: z.literal('result'), missionId: MissionId }),
  z.object({ op: z.literal('why'), missionId: MissionId, taskId: TaskId.optional() }),
  z.object({ op: z.literal('pause'), missionId: MissionId }),
  z.object({ op: z.literal('resume'), missionId: MissionId }),
  z.object({ op: z.literal('cancel'), missionId: MissionId, reason: z.string().max(500) }),
  z.object({ op: z.literal('retry'), missionId: MissionId, taskId: TaskId.optional() }),
  z.object({ op: z.literal('change'), missionId: MissionId, priority: Priority.optional(), limits: LimitChange.optional() }),
  /** By hand, on a node that has a copy: go on without the owner, which nobody can prove to be gone. */
  z.object({ op: z.literal('takeover'), missionId: MissionId }),
  z.object({ op: z.literal('drop-dead'), missionId: MissionId, taskId: TaskId }),
  z.object({ op: z.literal('list'), limit: z.number().int().min(1).max(1_000) }),
  z.object({ op: z.literal('dead') }),
  z.object({ op: z.literal('queue') }),
])
export type MissionOperation = z.infer<typeof MissionOperation>

/** Any bridge asks the owner. Answered by `mission-answer` with the same `requestId`. */
export const MissionAsk = z.object({ kind: z.literal('mission-ask'), requestId: z.string().max(64), principal: Principal, operation: MissionOperation })
export const MissionAnswer = z.object({ kind: z.literal('mission-answer'), requestId: z.string().max(64), answer: Payload.optional(), fault: Fault.optional() })
/** The node asked does not lead the mission: it names who does, if it knows. `subscriber`: of a watch; absent: of the question of this id. */
export const MissionElsewhere = z.object({ kind: z.literal('mission-elsewhere'), missionId: MissionId, leader: PeerId.optional(), requestId: z.string().max(64).optional(), subscriber: ActorAddress.optional() })

/** Follow a mission from a log index on. Answered by `watched` frames until `unwatch`. */
export const Watch = z.object({ kind: z.literal('watch'), missionId: MissionId, fromIndex: z.number().int().min(0), subscriber: ActorAddress })
export const Unwatch = z.object({ kind: z.literal('unwatch'), missionId: MissionId, subscriber: ActorAddress })
export const Watched = z.object({ kind: z.literal('watched'), missionId: MissionId, events: z.array(IndexedEvent), notes: z.array(ProgressNote), fault: Fault.optional(), /** The events up to this index are not kept: ask for the mission as it is. */ resetTo: z.number().int().min(0).optional() })

export const taskingMessages = [Attach, Attached, RecordEvents, Recorded, RecordRefused, Progress, Control, MissionAsk, MissionAnswer, MissionElsewhere, Watch, Unwatch, Watched] as const
export type TaskingMessage = z.infer<(typeof taskingMessages)[number]>
