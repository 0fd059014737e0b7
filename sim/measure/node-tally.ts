/** What each node did: its lives, its slots' time and the awards it got. */
import type { DurationMs, InstantMs } from '../../protocols/kernel/units.ts'
import type { NodeFigures } from '../report.ts'
import type { PlannedNode } from '../scenario/expand.ts'

export type AwardEnd = 'accepted' | 'failed' | 'lost'

export interface NodeTally {
  readonly planned: Pick<PlannedNode, 'name' | 'speed' | 'group'>
  lives: number
  slots: number
  upSinceMs: InstantMs | undefined
  /** Lives that ended. */
  readonly upTimes: { readonly fromMs: InstantMs; readonly toMs: InstantMs }[]
  /** When its process was gone last. */
  lastDownMs: InstantMs
  /** Slots times the time they were there, of lives that ended. */
  slotTimeMs: DurationMs
  busyTimeMs: DurationMs
  /** Leaves that run here: the run's id, when it started, what it runs. */
  readonly runs: Map<string, { readonly startedMs: InstantMs; readonly task: string }>
  awards: number
  accepted: number
  failed: number
  lost: number
}

export function newNodeTally(planned: NodeTally['planned']): NodeTally {
  return { planned, lives: 0, slots: planned.group.slots, upSinceMs: undefined, upTimes: [], lastDownMs: -Infinity, slotTimeMs: 0, busyTimeMs: 0, runs: new Map(), awards: 0, accepted: 0, failed: 0, lost: 0 }
}

export interface NodeTimes {
  readonly slotTimeMs: DurationMs
  readonly busyTimeMs: DurationMs
}

/** Including the life and the runs that are not over at the end. */
export function timesOf(node: NodeTally, endMs: InstantMs): NodeTimes {
  const busyTimeMs = [...node.runs.values()].reduce((sum, run) => sum + (endMs - run.startedMs), node.busyTimeMs)
  return { slotTimeMs: node.slotTimeMs + (node.upSinceMs === undefined ? 0 : (endMs - node.upSinceMs) * node.slots), busyTimeMs }
}

export function shareOfTime({ slotTimeMs, busyTimeMs }: NodeTimes): number {
  return slotTimeMs === 0 ? 0 : Math.min(1, busyTimeMs / slotTimeMs)
}

export function figuresOf(node: NodeTally, endMs: InstantMs, awardsOfAll: number, sent: { readonly messages: number; readonly bytes: number } | undefined): NodeFigures {
  const { planned, slots, awards, accepted, failed, lost, lives } = node
  return {
    node: planned.name, ...(planned.group.conduct === undefined ? {} : { conduct: planned.group.conduct.kind }), slots, speed: planned.speed, awards, accepted, failed, lost,
    share: awardsOfAll === 0 ? 0 : awards / awardsOfAll, utilisation: shareOfTime(timesOf(node, endMs)), messages: sent?.messages ?? 0, bytes: sent?.bytes ?? 0, lives,
  }
}
