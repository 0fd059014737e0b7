/**
 * How late things come: this node's syncs, its own timers, and the signs of life of its peers. A disk or a processor can be short for a while,
 * by neighbours or by a node's own work, and then silence does not say that anybody is gone. A mesh that elects anew whenever it is short of something spends on that what it lacks.
 */
import type { PeerId } from '../../../protocols/kernel/ids.ts'
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
  /** By peer: when it gave its last sign of life, and the longest time between two of them lately; it fades. */
  readonly heard: Map<PeerId, { lastAtMs: InstantMs; gapMs: DurationMs }>
}

export function newPace(): Pace {
  return { usualSyncMs: 0, slowAtMs: Infinity, pulseAtMs: Infinity, lateMs: 0, heard: new Map() }
}

/** Share of the newest sync in the mean: after eight slow ones, slow is usual. */
const newestShare = 1 / 8
/** A sync that takes so many times as long as usual hangs. */
const hangsTimes = 16
/** What is left of a lateness one pulse later: after ten pulses in time, a tenth. */
const fading = 0.8

/** One that hung says little of the next: it counts as one that is just too long. */
export function noteSync(pace: Pace, tookMs: DurationMs): void {
  pace.usualSyncMs += (Math.min(tookMs, limits.slowSyncMs) - pace.usualSyncMs) * newestShare
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

/** What is left of a gap after the next pulse: a half after some seven seconds. */
const gapFading = 0.97
/** Who was silent for so long lately may be silent for so many times as long. */
const gapTimes = 3
/** And for no longer than so many of the longest times that an election waits. */
const silenceTimesMax = 2

/** A pulse of this peer has come, or its answer to one. */
export function noteHeard({ heard }: Pace, peer: PeerId, nowMs: InstantMs): void {
  const known = heard.get(peer)
  if (known === undefined) heard.set(peer, { lastAtMs: nowMs, gapMs: 0 })
  else Object.assign(known, { lastAtMs: nowMs, gapMs: Math.max(nowMs - known.lastAtMs, known.gapMs * gapFading) })
}

/** How long it may be silent, by how late it and this node have come lately. A node that is short of a processor, or asleep at its disk, is not gone: its connections would have closed. */
export function silenceOf({ heard, lateMs }: Pace, peer: PeerId, electionMsMax: DurationMs): DurationMs {
  return Math.min(silenceTimesMax * electionMsMax, gapTimes * Math.max(lateMs, heard.get(peer)?.gapMs ?? 0))
}

/** So often in a row a silence is put down to this node. A leader whose process hangs, its connections open, is replaced that much later. */
const patienceMax = 3

/**
 * The timer of a group has fired. Timers come before what waits in the sockets, so when this node is late, what it has not heard may be
 * there already: it waits a little more before it gives up a leader, or the leading.
 * @param lateMs how late that timer came. @returns for how long; undefined when what is due is to be done.
 */
export function patienceWith(group: { readonly raft: RaftState; patience: number; patientUntilMs: InstantMs }, pace: Pace, lateMs: DurationMs, { nowMs, connected }: ActorContext): DurationMs | undefined {
  const { role, leader, electionAtMs } = viewOf(group.raft)
  const late = role === 'leader' ? lateMs : Math.max(lateMs, pace.lateMs)
  const givesUp = role === 'leader' || (role === 'follower' && leader !== undefined && connected(leader) && nowMs >= electionAtMs)
  if (givesUp && nowMs < group.patientUntilMs) return group.patientUntilMs - nowMs
  if (!givesUp || late <= limits.groupPulseMs || group.patience >= patienceMax) {
    group.patience = 0
    return undefined
  }
  const waitMs = Math.min(late, limits.electionMsMin)
  group.patience += 1
  group.patientUntilMs = nowMs + waitMs
  return waitMs
}
