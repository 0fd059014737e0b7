/** FIPA contract net (FIPA SC00029H): cfp → propose / refuse → accept-proposal / reject-proposal → inform / failure, cancel. */
import { z } from 'zod'
import { Attributes, Effects, SchemaVersion } from '../capability/schema.ts'
import { Fault } from '../kernel/errors.ts'
import { ActorAddress, AwardId, awardIdOf, CallId, callIdOf, CapabilityName, Epoch, MissionId, OfferId, PeerId, Principal, TaskId } from '../kernel/ids.ts'
import { limits } from '../kernel/limits.ts'
import { Payload } from '../kernel/payload.ts'

/** What goes in and at most comes out of a run, in the capability's own units (for a model, tokens): what a capability with a price is priced by. */
export const RunUnits = z.object({ input: z.number().min(0).max(limits.unitsMax), output: z.number().min(0).max(limits.unitsMax) })
export type RunUnits = z.infer<typeof RunUnits>

/** One task put out to tender. */
export const Call = z.object({
  callId: CallId,
  missionId: MissionId,
  taskId: TaskId,
  attempt: z.number().int().min(1),
  kind: z.enum(['leaf', 'composite']),
  capability: CapabilityName,
  version: SchemaVersion.optional(),
  attributes: Attributes.optional(),
  effects: Effects,
  priority: z.number().int().min(1).max(10),
  effort: z.number().positive(),
  inputBytes: z.number().int().min(0),
  units: RunUnits.optional(),
  /** Digests of how the input begins: who has that in memory is faster. */
  prefixes: z.array(z.string().max(64)).max(limits.prefixesMax).optional(),
  /** Peers that hold most of the input. */
  holders: z.array(PeerId).max(limits.blobHoldersMax),
  excluded: z.array(PeerId).max(64),
  budgetUsd: z.number().min(0),
  remainingMs: z.number(),
})
export type Call = z.infer<typeof Call>

/** Call for proposals, gossiped on the capability's topic; the calls of one tick travel together. */
export const Cfp = z.object({
  kind: z.literal('cfp'),
  initiator: ActorAddress,
  principal: Principal,
  /** Peers whose hash(peer, call) is below this answer; 1 asks all. */
  threshold: z.number().min(0).max(1),
  expiresInMs: z.number().positive(),
  calls: z.array(Call).min(1).max(limits.callsPerAnnouncementMax),
  /** So many more tasks like these will follow: bids that stand for them, too, are welcome. */
  standing: z.number().int().min(1).optional(),
})
export type Cfp = z.infer<typeof Cfp>

/** Where a bid's finish time comes from. Milliseconds, but for `slots…` and `price…`. */
export const BidBreakdown = z.object({
  queueMs: z.number().min(0),
  warmUpMs: z.number().min(0),
  transferMs: z.number().min(0),
  runMs: z.number().min(0),
  /** Completed runs the estimate rests on; 0 is a guess. */
  samples: z.number().int().min(0),
})
export type BidBreakdown = z.infer<typeof BidBreakdown>

/**
 * A bid that stands for further tasks of the same mission that ask for the same: they are awarded against it without a call. Like any
 * bid it reserves nothing; whoever made it tells when it changes, and withdraws it as soon as others wait for a place.
 */
export const StandingOffer = z.object({
  offerId: OfferId,
  /** So many of them at a time, those that run already included; 0 withdraws it. */
  slots: z.number().int().min(0),
  forMs: z.number().positive(),
})
export type StandingOffer = z.infer<typeof StandingOffer>

export const Bid = z.object({
  callId: CallId,
  version: SchemaVersion,
  estimatedFinishMs: z.number().min(0),
  breakdown: BidBreakdown,
  priceUsd: z.number().min(0).max(limits.usdMax),
  slotsFree: z.number().int().min(0),
  slots: z.number().int().min(0),
  /** Share of the input the bidder already holds, in [0,1]. */
  locality: z.number().min(0).max(1),
  /** True when the bidder's node hosts the mission's orchestrator. */
  hostsOrchestrator: z.boolean(),
  expiresInMs: z.number().positive(),
  /** Which of the bidder's places it would take: those of a capability that has its own; absent: the node's. */
  pool: z.string().max(400).optional(),
  standing: StandingOffer.optional(),
})
export type Bid = z.infer<typeof Bid>

export const refusalReasons = [
  'no-capability', 'version-mismatch', 'attributes-unmet', 'no-free-slot', 'excluded', 'leaving', 'stalled', 'over-budget',
  'too-late', 'quarantined', 'overloaded', 'not-asked', 'paused', 'closed', 'input-too-large', 'on-battery',
] as const
export const RefusalReason = z.enum(refusalReasons)
export type RefusalReason = z.infer<typeof RefusalReason>

export const Refusal = z.object({
  callId: CallId,
  reason: RefusalReason,
  detail: z.string().max(280),
  retryable: z.boolean(),
  /** The refuser keeps the call and will bid when a slot comes free. */
  waiting: z.boolean(),
})
export type Refusal = z.infer<typeof Refusal>

/** A refusal or a bid as the log and `why` keep it. */
export const RefusalSummary = z.object({ peer: PeerId, name: z.string().max(64), reason: RefusalReason, detail: z.string().max(280), retryable: z.boolean() })
export type RefusalSummary = z.infer<typeof RefusalSummary>

/** Each term in [0,1], 1 is best; `total` is their weighted mean. */
export const ScoreTerms = z.object({
  finish: z.number().min(0).max(1),
  price: z.number().min(0).max(1),
  reliability: z.number().min(0).max(1),
  headroom: z.number().min(0).max(1),
  spread: z.number().min(0).max(1),
})
export type ScoreTerms = z.infer<typeof ScoreTerms>

export const BidSummary = z.object({
  peer: PeerId,
  name: z.string().max(64),
  version: SchemaVersion,
  estimatedFinishMs: z.number().min(0),
  /** The estimate after what the manager has learned of this bidder's honesty. */
  calibratedFinishMs: z.number().min(0),
  priceUsd: z.number().min(0).max(limits.usdMax),
  slotsFree: z.number().int().min(0),
  breakdown: BidBreakdown,
  terms: ScoreTerms,
  total: z.number().min(0).max(1),
})
export type BidSummary = z.infer<typeof BidSummary>

/** The bid that won. What it was made of is left out of an award by a standing offer, but for the first one that cites that. */
export const WinningBid = BidSummary.partial({ breakdown: true, terms: true })
export type WinningBid = z.infer<typeof WinningBid>

export const Propose = z.object({ kind: z.literal('propose'), participant: ActorAddress, name: z.string().max(64), bids: z.array(Bid).min(1).max(limits.callsPerAnnouncementMax) })
export const Refuse = z.object({ kind: z.literal('refuse'), participant: ActorAddress, name: z.string().max(64), refusals: z.array(Refusal).min(1).max(limits.callsPerAnnouncementMax) })

/** What all awards of one message have in common. */
export const AwardTerms = z.object({
  missionId: MissionId,
  epoch: Epoch,
  kind: z.enum(['leaf', 'composite']),
  manager: ActorAddress,
  orchestrator: ActorAddress,
  principal: Principal,
  capability: CapabilityName,
  version: SchemaVersion,
  attributes: Attributes.optional(),
  effects: Effects,
  leaseMs: z.number().int().min(1),
  remainingMs: z.number(),
})
export type AwardTerms = z.infer<typeof AwardTerms>

/** One awarded task. Enough for the worker to start; everything else it fetches by content hash. */
export const AwardedTask = z.object({
  taskId: TaskId,
  attempt: z.number().int().min(1),
  /** The call that was bid for; absent for an award by a standing offer. */
  callId: CallId.optional(),
  effort: z.number().positive(),
  input: Payload,
  /** The newest that an earlier attempt has published: this one may go on from there. */
  checkpoint: Payload.optional(),
  priority: z.number().int().min(1).max(10),
  timeLimitMs: z.number().int().min(1),
  /** What it may spend on calls of its own, US dollars; absent: nothing that costs. */
  budgetUsd: z.number().min(0).max(limits.usdMax).optional(),
})
export type AwardedTask = z.infer<typeof AwardedTask>

/** The accepted proposal, as whoever runs it keeps it. */
export type Award = AwardTerms & Omit<AwardedTask, 'callId'> & { readonly awardId: AwardId; readonly callId: CallId }

export const AcceptProposal = z.object({ kind: z.literal('accept-proposal'), terms: AwardTerms, tasks: z.array(AwardedTask).min(1).max(limits.awardsPerMessageMax) })
export type AcceptProposal = z.infer<typeof AcceptProposal>

export function awardsIn({ terms, tasks }: Pick<AcceptProposal, 'terms' | 'tasks'>): Award[] {
  return tasks.map((task) => {
    const { missionId, epoch } = terms
    const { taskId, attempt } = task
    return { ...terms, ...task, awardId: awardIdOf(missionId, taskId, attempt, epoch), callId: task.callId ?? callIdOf(missionId, taskId, attempt, epoch) }
  })
}

/** The calls are over for this participant: another won, or they were withdrawn. */
export const RejectProposal = z.object({ kind: z.literal('reject-proposal'), callIds: z.array(CallId).min(1).max(4_096) })
/** The worker has the awards and will run them. Those by a standing offer need no such word. */
export const Confirm = z.object({ kind: z.literal('confirm'), awardIds: z.array(AwardId).min(1).max(limits.awardsPerMessageMax) })
/** The worker cannot take the award after all. */
export const RefuseAward = z.object({ kind: z.literal('refuse-award'), awardId: AwardId, refusal: Refusal })

export const RunStats = z.object({ queueMs: z.number().min(0), transferMs: z.number().min(0), runMs: z.number().min(0), memoryBytesMax: z.number().min(0).optional(), costUsd: z.number().min(0).max(limits.usdMax).default(0), /** Of models: what went in and came out. */ tokens: RunUnits.optional() })
export type RunStats = z.infer<typeof RunStats>

export const Result = z.object({ awardId: AwardId, result: Payload, cites: z.array(AwardId).max(limits.missionTasksMax), stats: RunStats })
export type Result = z.infer<typeof Result>
/** Results. Kept and sent again until `acknowledge`. */
export const Inform = z.object({ kind: z.literal('inform'), results: z.array(Result).min(1).max(limits.awardsPerMessageMax) })
export const Failure = z.object({ kind: z.literal('failure'), awardId: AwardId, fault: Fault, stats: RunStats })
/** The manager has committed these outcomes: the worker may forget them. */
export const Acknowledge = z.object({ kind: z.literal('acknowledge'), awardIds: z.array(AwardId).min(1).max(4_096) })
/** Participant → initiator: these offers stand for another number of tasks now. */
export const OffersChanged = z.object({ kind: z.literal('offers-changed'), offers: z.array(StandingOffer).min(1).max(1_024) })
/** Initiator → participant: it has no more tasks for these offers. */
export const OffersReleased = z.object({ kind: z.literal('offers-released'), offerIds: z.array(OfferId).min(1).max(1_024) })
export const Cancel = z.object({ kind: z.literal('cancel'), awardId: AwardId, reason: z.string().max(500), /** Under which its sender owns the mission: an older one than the holder has heard of is nobody's command any more. */ epoch: Epoch.optional() })

export const biddingMessages = [Cfp, Propose, Refuse, AcceptProposal, RejectProposal, Confirm, RefuseAward, Inform, Failure, Acknowledge, Cancel, OffersChanged, OffersReleased] as const
export type BiddingMessage = z.infer<(typeof biddingMessages)[number]>
