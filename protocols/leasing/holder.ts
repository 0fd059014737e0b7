/**
 * The holder's side of one lease: renews while its executing thread gives pulses, keeps the outcome until it is
 * acknowledged, and changes its manager when another adopts it.
 */
import type { z } from 'zod'
import type { Award, Failure, Inform } from '../bidding/schema.ts'
import type { Adopt, Renew } from './schema.ts'
import { compareEpochs, type ActorAddress, type Epoch } from '../kernel/ids.ts'
import { limits } from '../kernel/limits.ts'
import type { InstantMs } from '../kernel/units.ts'

export type Outcome = z.infer<typeof Inform> | z.infer<typeof Failure>

export interface Holder {
  readonly award: Award
  manager: ActorAddress
  orchestrator: ActorAddress
  epoch: Epoch
  leaseEndsAtMs: InstantMs
  pulsed: boolean
  fraction: number | undefined
  text: string | undefined
  outcome: Outcome | undefined
  outcomeAtMs: InstantMs
  sentAtMs: InstantMs
}

export function newHolder(award: Award, nowMs: InstantMs): Holder {
  return { award, manager: award.manager, orchestrator: award.orchestrator, epoch: award.epoch, leaseEndsAtMs: nowMs + award.leaseMs, pulsed: true, fraction: undefined, text: undefined, outcome: undefined, outcomeAtMs: nowMs, sentAtMs: -Infinity }
}

export function pulse(holder: Holder, fraction: number | undefined, text: string | undefined): void {
  holder.pulsed = true
  holder.fraction = fraction ?? holder.fraction
  holder.text = text ?? holder.text
}

/** @returns the renewal to send now; undefined when the thread has been silent or the work is over. */
export function renewal(holder: Holder): z.infer<typeof Renew> | undefined {
  if (!holder.pulsed || holder.outcome !== undefined) return undefined
  holder.pulsed = false
  return { kind: 'renew', leases: [{ awardId: holder.award.awardId, ...(holder.fraction === undefined ? {} : { fraction: holder.fraction }), ...(holder.text === undefined ? {} : { text: holder.text.slice(0, 500) }) }] }
}

/** The holder counts from when it heard, less a margin, so that it stops before its grantor gives up. */
export function renewed(holder: Holder, leaseMs: number, nowMs: InstantMs): void {
  holder.leaseEndsAtMs = nowMs + leaseMs - limits.pulseMs
}

export function finish(holder: Holder, outcome: Outcome, nowMs: InstantMs): void {
  if (holder.outcome !== undefined) return
  holder.outcome = outcome
  holder.outcomeAtMs = nowMs
}

/** @returns the outcome when it is time to send it (again). */
export function outcomeDue(holder: Holder, nowMs: InstantMs): Outcome | undefined {
  if (holder.outcome === undefined || nowMs - holder.sentAtMs < limits.resultRetryMs) return undefined
  holder.sentAtMs = nowMs
  return holder.outcome
}

/** @returns false when the adopter is of an older epoch: it must not get the award. */
export function adopt(holder: Holder, message: z.infer<typeof Adopt>, nowMs: InstantMs): boolean {
  if (compareEpochs(message.epoch, holder.epoch) < 0) return false
  Object.assign(holder, { epoch: message.epoch, manager: message.manager, orchestrator: message.orchestrator, leaseEndsAtMs: nowMs + message.leaseMs, sentAtMs: -Infinity })
  return true
}

export function isForgettable(holder: Holder, nowMs: InstantMs): boolean {
  return holder.outcome !== undefined && nowMs - holder.outcomeAtMs > limits.resultKeptMs
}
