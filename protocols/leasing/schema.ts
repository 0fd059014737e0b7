/** The right to run one award until a deadline. Durations are remaining milliseconds; a holder stops early, a grantor waits longer. */
import { z } from 'zod'
import { ActorAddress, AwardId, Epoch } from '../kernel/ids.ts'
import { Payload } from '../kernel/payload.ts'

/** Worker → manager: these awards' threads have given a pulse since the last renewal. The answer repeats `round`. */
export const Renew = z.object({
  kind: z.literal('renew'),
  round: z.number().int().min(0),
  leases: z.array(z.object({ awardId: AwardId, fraction: z.number().min(0).max(1).optional(), text: z.string().max(500).optional() })).min(1).max(1_024),
})
/** Manager → worker: the lease holds for this much longer, counted from when the renewal of this round was sent. */
export const Renewed = z.object({ kind: z.literal('renewed'), round: z.number().int().min(0), awardIds: z.array(AwardId).min(1).max(1_024), leaseMs: z.number().positive() })
/** A new owner or manager takes over a running award by its id. Answered by `holding` or `not-holding`. */
export const Adopt = z.object({ kind: z.literal('adopt'), awardId: AwardId, epoch: Epoch, manager: ActorAddress, orchestrator: ActorAddress, leaseMs: z.number().positive() })
export const Holding = z.object({ kind: z.literal('holding'), awardId: AwardId, worker: ActorAddress })
export const NotHolding = z.object({ kind: z.literal('not-holding'), awardId: AwardId })
/** The worker gives the award back unharmed (graceful stop). */
export const HandBack = z.object({ kind: z.literal('hand-back'), awardId: AwardId, reason: z.string().max(280) })
/** Worker → manager: the newest that the running skill has published to go on from. Sent again until `checkpoint-heard`. `number` grows with each that was published. */
export const Checkpoint = z.object({ kind: z.literal('checkpoint'), awardId: AwardId, number: z.number().int().min(1), checkpoint: Payload })
/** Manager → worker: that one is in the mission's log, or never will be. */
export const CheckpointHeard = z.object({ kind: z.literal('checkpoint-heard'), awardId: AwardId, number: z.number().int().min(1), /** It never will be, nor any other of this award. */ refused: z.boolean().optional() })

export const leasingMessages = [Renew, Renewed, Adopt, Holding, NotHolding, HandBack, Checkpoint, CheckpointHeard] as const
export type LeasingMessage = z.infer<(typeof leasingMessages)[number]>
