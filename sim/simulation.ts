/** What a simulation is given and what it gives: the face that the command line, the tests and the benchmarks know. */
import type { InstantMs } from '../protocols/kernel/units.ts'
import type { History } from './history/history.ts'
import type { SimulationReport } from './report.ts'
import type { Scenario } from './scenario/schema.ts'

export interface SimulationInit {
  readonly scenario: Scenario
  readonly seed: number
  /** The text of every trace that the workload names, by its `file`. */
  readonly traces?: ReadonlyMap<string, string>
  /** Cuts the scenario short: work arrives and faults happen until then. For finding the shortest failing prefix. */
  readonly untilMs?: InstantMs
  /** Check the promises on the history; default true. Without it no history is kept, which is what thousands of nodes need. */
  readonly checks?: boolean
  /** Decode and schema-check every frame, or only one in so many; default 1. Whatever it is, frames are really encoded. */
  readonly decodeEvery?: number
  /** Called about every simulated second. */
  readonly onProgress?: (progress: SimulationProgress) => void
}

export interface SimulationProgress {
  readonly atMs: InstantMs
  readonly endMs: InstantMs
  readonly events: number
  readonly submitted: number
  readonly ended: number
  readonly leavesAccepted: number
  readonly nodesUp: number
  readonly faults: number
  readonly phase: 'faults' | 'healing' | 'done'
}

export interface SimulationOutcome {
  readonly report: SimulationReport
  /** Empty when `checks` is false. */
  readonly history: History
}

/** One node as `sim replay` prints it. */
export interface NodeState {
  readonly node: string
  readonly state: 'up' | 'down' | 'paused'
  readonly clockMs: number
  readonly connections: number
  readonly slots: number
  readonly running: readonly { readonly task: string; readonly capability: string; readonly forMs: number }[]
  readonly waitingCalls: number
  readonly missionsOwned: readonly { readonly mission: string; readonly state: string; readonly lastIndex: number }[]
  readonly deadLetters: number
}

/** A simulation that can be stopped on the way. */
export interface Simulation {
  /** Events that have happened so far. */
  readonly events: number
  readonly nowMs: InstantMs
  /** Runs until so many events have happened, or until an instant; false when the run has ended before. */
  runTo(stop: { readonly event: number } | { readonly atMs: InstantMs }): Promise<boolean>
  /** The last events before now, newest last, for people: `12,345.678 ms  home-1 → home-2  propose`. */
  recentEvents(max: number): readonly string[]
  states(): Promise<readonly NodeState[]>
  /** Runs to the end. */
  finish(): Promise<SimulationOutcome>
}
