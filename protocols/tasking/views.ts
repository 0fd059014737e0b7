/** What a person or a program is shown of missions: the shapes behind HTTP and `--json`. */
import { z } from 'zod'
import { BidSummary, RefusalSummary, WinningBid, RunUnits } from '../bidding/schema.ts'
import { Fault } from '../kernel/errors.ts'
import { AwardId, CapabilityName, Epoch, MissionId, OfferId, PeerId, Principal, TaskId } from '../kernel/ids.ts'
import { BlobRef } from '../kernel/payload.ts'
import { Acknowledgement, MissionLimits, missionStates, taskStates } from './schema.ts'

export const TaskCounts = z.partialRecord(z.enum(taskStates), z.number().int())
export type TaskCounts = z.infer<typeof TaskCounts>

export const MissionView = z.object({
  id: MissionId,
  name: z.string(),
  state: z.enum(missionStates),
  /** Why it waits, in a sentence with what to do; absent when it does not. */
  waitingFor: z.string().optional(),
  principal: Principal,
  owner: PeerId,
  ownerName: z.string(),
  /** A lineage above 1: it was taken over by hand, and what its lost owner did that nobody had seen is lost. Absent from nodes of protocol 1.0. */
  epoch: Epoch.optional(),
  /** Who keeps its log. Those that vote decide what is committed; the others have a copy. */
  members: z.array(z.object({ peer: PeerId, name: z.string().optional(), votes: z.boolean() })).optional(),
  capability: CapabilityName.optional(),
  priority: z.number().int(),
  acknowledgement: Acknowledgement,
  limits: MissionLimits,
  submittedAtWallMs: z.number(),
  endedAtWallMs: z.number().optional(),
  tasks: TaskCounts,
  leaves: z.number().int(),
  spentUsd: z.number(),
  /** It continues another mission from this task on. */
  forkOf: z.object({ missionId: MissionId, taskId: TaskId }).optional(),
  lastIndex: z.number().int(),
  fault: Fault.optional(),
})
export type MissionView = z.infer<typeof MissionView>

export const AttemptView = z.object({
  awardId: AwardId,
  attempt: z.number().int(),
  worker: PeerId,
  workerName: z.string(),
  awardedAtWallMs: z.number(),
  endedAtWallMs: z.number().optional(),
  outcome: z.enum(['running', 'accepted', 'refused', 'lost', 'failed', 'cancelled']),
  fault: Fault.optional(),
  bid: WinningBid,
  offer: OfferId.optional(),
  bids: z.array(BidSummary),
  refusals: z.array(RefusalSummary),
  why: z.string(),
})
export type AttemptView = z.infer<typeof AttemptView>

/** One node of the tree, children nested. */
export interface TaskView {
  id: TaskId
  name: string
  kind: 'leaf' | 'composite'
  capability: string
  state: (typeof taskStates)[number]
  priority: number
  after: TaskId[]
  attempts: number
  worker?: PeerId | undefined
  workerName?: string | undefined
  tookMs?: number | undefined
  /** What it has cost, with all attempts that said so; of models, tokens. */
  costUsd?: number | undefined
  tokens?: RunUnits | undefined
  /** Its result is another mission's. */
  reusedFrom?: MissionId | undefined
  /** How often its plan was added to. */
  rounds?: number | undefined
  fault?: Fault | undefined
  children: TaskView[]
}
export const TaskView: z.ZodType<TaskView> = z.lazy(() => z.object({
  id: TaskId,
  name: z.string(),
  kind: z.enum(['leaf', 'composite']),
  capability: z.string(),
  state: z.enum(taskStates),
  priority: z.number().int(),
  after: z.array(TaskId),
  attempts: z.number().int(),
  worker: PeerId.optional(),
  workerName: z.string().optional(),
  tookMs: z.number().optional(),
  costUsd: z.number().optional(),
  tokens: RunUnits.optional(),
  reusedFrom: MissionId.optional(),
  rounds: z.number().int().optional(),
  fault: Fault.optional(),
  children: z.array(TaskView),
}))

/** `skein mission why`: for each task, every attempt with its bids and refusals, and what it waits for. */
export const WhyView = z.object({
  id: MissionId,
  tasks: z.array(z.object({
    id: TaskId,
    capability: z.string(),
    state: z.enum(taskStates),
    attempts: z.array(AttemptView),
    /** Of the call that is open now, if any. */
    open: z.object({ bids: z.array(BidSummary), refusals: z.array(RefusalSummary), announcements: z.number().int(), reason: z.string() }).optional(),
  })),
})
export type WhyView = z.infer<typeof WhyView>

export const ResultView = z.object({
  id: MissionId,
  state: z.enum(missionStates),
  result: z.unknown().optional(),
  artifacts: z.array(BlobRef),
  fault: Fault.optional(),
})
export type ResultView = z.infer<typeof ResultView>

export const DeadView = z.object({
  /** `missionId:taskId`, or `letter-N` for a message that reached nobody. */
  id: z.string(),
  kind: z.enum(['task', 'message']),
  missionId: MissionId.optional(),
  missionName: z.string().optional(),
  taskId: TaskId.optional(),
  capability: CapabilityName.optional(),
  /** When it died. */
  atWallMs: z.number(),
  reason: z.string(),
  fault: Fault.optional(),
  /** Everybody who tried: who, when, how it ended and why. */
  attempts: z.array(AttemptView).optional(),
})
export type DeadView = z.infer<typeof DeadView>

export const QueueView = z.object({
  node: PeerId,
  slots: z.number().int(),
  running: z.array(z.object({ awardId: AwardId, capability: z.string(), principal: Principal, runningMs: z.number() })),
  waiting: z.array(z.object({ callId: z.string(), capability: z.string(), principal: Principal, priority: z.number(), waitingMs: z.number() })),
})
export type QueueView = z.infer<typeof QueueView>
