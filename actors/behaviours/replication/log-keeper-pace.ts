/**
 * How fast this node itself is: its disk, and its processor. Both can be short for a while, by neighbours or by its own work, and then what
 * is late says nothing of others. A mesh that elects anew whenever it is short of something spends on that what it lacks.
 */
import { limits } from '../../../protocols/kernel/limits.ts'
import type { DurationMs, InstantMs } from '../../../protocols/kernel/units.ts'
import { viewOf, type RaftState } from '../../../protocols/replicated-log/raft.ts'
import type { ActorContext } from '../../runtime/actor.ts'
import type { Effect } from '../../runtime/effects.ts'

export interface Pace {
  /** A moving mean of what syncs have taken. */
  usualSyncMs: DurationMs
  /** When the timer of the sync under way is due. */
  slowAtMs: InstantMs
  /** When the next pulses are due. */
  pulseAtMs: InstantMs
  /** How late this node has come to its pulses lately; it fades. */
  lateMs: DurationMs
}

export function newPace(): Pace {
  return { usualSyncMs: 0, slowAtMs: Infinity, pulseAtMs: Infinity, lateMs: 0 }
}

/** Share of the newest sync in the mean: after eight slow ones, slow is usual. */
const newestShare = 1 / 8
/** A sync that takes so many times as long as usual hangs. */
const hangsTimes = 16
/** What is left of a lateness one pulse later: after ten pulses in time, a tenth. */
const fading = 0.8

export function noteSync(pace: Pace, tookMs: DurationMs): void {
  pace.usualSyncMs += (tookMs - pace.usualSyncMs) * newestShare
}

/** Of the timer that tells when a sync takes too long. */
export const slowTimer = 'slow-sync'

export function watchSync(pace: Pace, nowMs: InstantMs): Effect {
  const delayMs = Math.max(limits.slowSyncMs, hangsTimes * pace.usualSyncMs)
  pace.slowAtMs = nowMs + delayMs
  return { type: 'set-timer', key: slowTimer, delayMs, message: { kind: 'tick', what: slowTimer } }
}

/** The timer came so late that the news of the sync may be waiting behind it. */
export function wasLate(pace: Pace, nowMs: InstantMs): boolean {
  return nowMs - pace.slowAtMs > limits.groupPulseMs
}

/** At every pulse. */
export function notePulse(pace: Pace, nowMs: InstantMs, nextInMs: DurationMs): void {
  const lateMs = Number.isFinite(pace.pulseAtMs) ? Math.max(0, nowMs - pace.pulseAtMs) : 0
  pace.lateMs = Math.max(lateMs, pace.lateMs * fading)
  pace.pulseAtMs = nowMs + nextInMs
}

/** So often in a row a silence is put down to this node. A leader whose process hangs, its connections open, is replaced that much later. */
const patienceMax = 3

/**
 * The timer of a group has fired. Timers come before what waits in the sockets, so when this node is late, what it has not heard may be
 * there already: it waits a little more before it gives up a leader, or the leading.
 * @param lateMs how late that timer came. @returns for how long; undefined when what is due is to be done.
 */
export function patienceWith(group: { readonly raft: RaftState; patience: number }, pace: Pace, lateMs: DurationMs, { nowMs, connected }: ActorContext): DurationMs | undefined {
  const { role, leader, electionAtMs } = viewOf(group.raft)
  const late = role === 'leader' ? lateMs : Math.max(lateMs, pace.lateMs)
  const givesUp = role === 'leader' || (role === 'follower' && leader !== undefined && connected(leader) && nowMs >= electionAtMs)
  if (!givesUp || late <= limits.groupPulseMs || group.patience >= patienceMax) {
    group.patience = 0
    return undefined
  }
  group.patience += 1
  return Math.min(late, limits.electionMsMin)
}
