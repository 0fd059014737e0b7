/** The grantor's side of leases: which awards run where, and until when silence is tolerated. */
import type { AwardId, PeerId } from '../kernel/ids.ts'
import { limits } from '../kernel/limits.ts'
import type { DurationMs, InstantMs } from '../kernel/units.ts'

export interface Lease {
  readonly worker: PeerId
  expiresAtMs: InstantMs
}

export type LeaseTable = Map<AwardId, Lease>

/** A grantor waits longer than it grants, so that it never ends a lease that its holder still believes in. */
const grantorMarginMs: DurationMs = limits.pulseMs

export function grantLease(table: LeaseTable, awardId: AwardId, worker: PeerId, leaseMs: DurationMs, nowMs: InstantMs): void {
  table.set(awardId, { worker, expiresAtMs: nowMs + leaseMs + grantorMarginMs })
}

/** @returns false when there is no such lease, or another peer holds it. */
export function renewLease(table: LeaseTable, awardId: AwardId, worker: PeerId, leaseMs: DurationMs, nowMs: InstantMs): boolean {
  const lease = table.get(awardId)
  if (lease === undefined || lease.worker !== worker) return false
  lease.expiresAtMs = nowMs + leaseMs + grantorMarginMs
  return true
}

export function expiredLeases(table: LeaseTable, nowMs: InstantMs): AwardId[] {
  return [...table].filter(([, lease]) => lease.expiresAtMs <= nowMs).map(([awardId]) => awardId)
}

export function leasesOf(table: LeaseTable, worker: PeerId): AwardId[] {
  return [...table].filter(([, lease]) => lease.worker === worker).map(([awardId]) => awardId)
}

/** When the next lease may run out; undefined when none is held. */
export function nextExpiryMs(table: LeaseTable): InstantMs | undefined {
  let next: InstantMs | undefined
  for (const lease of table.values()) if (next === undefined || lease.expiresAtMs < next) next = lease.expiresAtMs
  return next
}
