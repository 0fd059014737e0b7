/** Waiting for conditions, never for fixed times. */
import { setTimeout as sleep } from 'node:timers/promises'

export interface Patience {
  /** Words for the error: what was waited for. */
  readonly what: string
  /** Only to end a test that would hang: no test may depend on how fast a machine is. */
  readonly timeoutMs?: number
  readonly everyMs?: number
  /** Added to the error when the time is over. */
  readonly context?: () => string
}

/**
 * Asks again and again until the answer is neither undefined nor false.
 *
 * @returns that answer. @throws Error with what was waited for, the last error and the context.
 */
export async function until<T>(ask: () => T | Promise<T>, patience: Patience): Promise<Exclude<T, undefined | false>> {
  const { what, timeoutMs = 90_000, everyMs = 50, context } = patience
  const deadlineMs = performance.now() + timeoutMs
  let last: unknown
  for (;;) {
    try {
      const answer = await ask()
      if (answer !== undefined && answer !== false) return answer as Exclude<T, undefined | false>
      last = answer
    } catch (thrown) {
      last = thrown
    }
    if (performance.now() > deadlineMs) throw new Error(`waited ${timeoutMs / 1_000} s in vain for ${what}; last: ${last instanceof Error ? last.message : String(last)}${context === undefined ? '' : `\n${context()}`}`)
    await sleep(everyMs)
  }
}
