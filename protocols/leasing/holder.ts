/**
 * The holder's side of one lease: renews while its executing thread gives pulses, keeps the outcome until it is
 * acknowledged, and changes its manager when another adopts it.
 */
import type { z } from 'zod'
import type { Award, Failure, Result } from '../bidding/schema.ts'
import type { Adopt, Renew } from './schema.ts'
import { compareEpochs, type ActorAddress, type Epoch } from '../kernel/ids.ts'
import { limits } from '../kernel/limits.ts'
import type { InstantMs } from '../kernel/units.ts'

/** What came of an award, as it is told. */
export type Outcome = ({ readonly kind: 'result' } & Result) | z.infer<typeof Failure>

/** One award in a renewal. */
export type RenewedLease = z.infer<typeof Renew>['leases'][number]

export interface Holder {
  readonly award: Award
  readonly startedAtMs: InstantMs
  manager: ActorAddress
  orchestrator: ActorAddress
  epoch: Epoch
  leaseEndsAtMs: InstantMs
  /** When the renewals left that have not been answered yet, by round. */
  readonly sentRounds: Map<number, InstantMs>
  /** Last sign of life of its manager. */
  heardAtMs: InstantMs
  /** When it last asked the mission's owner whether it is still wanted. */
  askedAtMs: InstantMs
  pulsed: boolean
  fraction: number | undefined
  text: string | undefined
  outcome: Outcome | undefined
  outcomeAtMs: InstantMs
  sentAtMs: InstantMs
  /** How often the outcome was sent without an acknowledgement. */
  sends: number
}

export function newHolder(award: Award, nowMs: InstantMs): Holder {
  return { award, startedAtMs: nowMs, heardAtMs: nowMs, askedAtMs: nowMs, sends: 0, manager: award.manager, orchestrator: award.orchestrator, epoch: award.epoch, leaseEndsAtMs: nowMs + award.leaseMs - limits.pulseMs, sentRounds: new Map(), pulsed: true, fraction: undefined, text: undefined, outcome: undefined, outcomeAtMs: nowMs, sentAtMs: -Infinity }
}

export function pulse(holder: Holder, fraction: number | undefined, text: string | undefined): void {
  holder.pulsed = true
  holder.fraction = fraction ?? holder.fraction
  holder.text = text ?? holder.text
}

/**
 * @param round of the renewal that it leaves in.
 * @returns its part of that renewal; undefined when the thread has been silent or the work is over.
 */
export function renewal(holder: Holder, round: number, nowMs: InstantMs): RenewedLease | undefined {
  if (!holder.pulsed || holder.outcome !== undefined) return undefined
  holder.pulsed = false
  for (const [sent, sentAtMs] of holder.sentRounds) if (nowMs - sentAtMs >= holder.award.leaseMs) holder.sentRounds.delete(sent)
  holder.sentRounds.set(round, nowMs)
  return { awardId: holder.award.awardId, ...(holder.fraction === undefined ? {} : { fraction: holder.fraction }), ...(holder.text === undefined ? {} : { text: holder.text.slice(0, 500) }) }
}

/**
 * The holder counts from when it sent the renewal that is answered here, less a margin: the grantor has counted from when
 * that arrived, so the holder stops before the grantor gives up, however long either message took.
 */
export function renewed(holder: Holder, round: number, leaseMs: number, nowMs: InstantMs): void {
  holder.heardAtMs = nowMs
  const sentAtMs = holder.sentRounds.get(round)
  if (sentAtMs === undefined) return
  holder.sentRounds.delete(round)
  holder.leaseEndsAtMs = Math.max(holder.leaseEndsAtMs, sentAtMs + leaseMs - limits.pulseMs)
}

export function finish(holder: Holder, outcome: Outcome, nowMs: InstantMs): void {
  if (holder.outcome !== undefined) return
  holder.outcome = outcome
  holder.outcomeAtMs = nowMs
}

/** @returns the outcome when it is time to send it (again), more and more seldom to a manager that does not answer. */
export function outcomeDue(holder: Holder, nowMs: InstantMs): Outcome | undefined {
  const waitMs = Math.min(limits.resultRetryMsMax, limits.resultRetryMs * 2 ** Math.max(0, holder.sends - 1))
  if (holder.outcome === undefined || nowMs - holder.sentAtMs < waitMs) return undefined
  holder.sentAtMs = nowMs
  holder.sends += 1
  return holder.outcome
}

/** An outcome that was sent may have been lost: it is due at once. */
export function sayAgain(holder: Holder): void {
  Object.assign(holder, { sentAtMs: -Infinity, sends: 0 })
}

/**
 * A holder that hears nothing of its manager asks the mission's owner whether the award is still wanted: the manager may be
 * gone with the mission.
 * @returns the question to the owner's missions desk, once per lease; undefined while the manager is heard.
 */
export function stillWanted(holder: Holder, nowMs: InstantMs): z.infer<typeof Renew> | undefined {
  const patienceMs = holder.award.leaseMs + limits.pulseMs
  if (nowMs - holder.heardAtMs < patienceMs || nowMs - holder.askedAtMs < holder.award.leaseMs) return undefined
  holder.askedAtMs = nowMs
  return { kind: 'renew', round: 0, leases: [{ awardId: holder.award.awardId }] }
}

/** @returns false when the adopter is of an older epoch: it must not get the award. */
export function adopt(holder: Holder, message: z.infer<typeof Adopt>, nowMs: InstantMs): boolean {
  if (compareEpochs(message.epoch, holder.epoch) < 0) return false
  holder.sentRounds.clear()
  Object.assign(holder, { epoch: message.epoch, manager: message.manager, orchestrator: message.orchestrator, leaseEndsAtMs: nowMs + message.leaseMs - limits.pulseMs, heardAtMs: nowMs, sentAtMs: -Infinity, sends: 0 })
  return true
}

/** A command of an owner that was followed by another counts no more. */
export function isFenced(holder: Holder, epoch: Epoch | undefined): boolean {
  return epoch !== undefined && compareEpochs(epoch, holder.epoch) < 0
}

export function isForgettable(holder: Holder, nowMs: InstantMs): boolean {
  return holder.outcome !== undefined && nowMs - holder.outcomeAtMs > limits.resultKeptMs
}
