/** How often an actor may be restarted before it is given up. */
import { limits } from '../../protocols/kernel/limits.ts'
import type { InstantMs } from '../../protocols/kernel/units.ts'
import type { SupervisionStrategy } from './actor.ts'

export interface RestartHistory {
  readonly atMs: InstantMs[]
}

/**
 * @returns what to do now. Once there were too many failures within the window, `restart` and `resume` become `stop`: the
 *   parent is told and decides what that means. `escalate` makes the parent itself fail.
 */
export function decide(strategy: SupervisionStrategy, history: RestartHistory, nowMs: InstantMs): SupervisionStrategy {
  if (strategy !== 'restart' && strategy !== 'resume') return strategy
  while (history.atMs.length > 0 && (history.atMs[0] ?? 0) <= nowMs - limits.restartWindowMs) history.atMs.shift()
  history.atMs.push(nowMs)
  return history.atMs.length > limits.restartsMax ? 'stop' : strategy
}
