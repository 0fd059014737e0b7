/** Attempts: which failures count, how long to wait, when a task is poison. */
import type { Fault } from '../kernel/errors.ts'
import { limits } from '../kernel/limits.ts'
import type { DurationMs } from '../kernel/units.ts'
import type { RetryPolicy } from './schema.ts'

export type AttemptOutcome = 'refused' | 'lost' | 'failed'

export type RetryDecision = { readonly retry: true; readonly inMs: DurationMs } | { readonly retry: false; readonly reason: string }

/**
 * A refused award costs nothing; a lost worker costs no back-off; a failure backs off 1 s, 2 s, 4 s.
 * @param failures failed attempts, this one included. @param losses lost attempts, this one included.
 */
export function decideRetry(policy: RetryPolicy, outcome: AttemptOutcome, problem: Fault, failures: number, losses: number): RetryDecision {
  if (outcome === 'refused') return { retry: true, inMs: 0 }
  if (outcome === 'lost') {
    return losses < limits.lostWorkersMax ? { retry: true, inMs: 0 } : { retry: false, reason: `${losses} workers were lost while running it` }
  }
  if (!problem.retryable) return { retry: false, reason: problem.detail }
  if (failures >= policy.attemptsMax) return { retry: false, reason: `failed ${failures} times, last: ${problem.detail}` }
  return { retry: true, inMs: Math.min(policy.backoffMs * 2 ** (failures - 1), Math.max(policy.backoffMs, limits.retryBackoffMsMax)) }
}
