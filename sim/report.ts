/** What a run comes to: the numbers behind the terminal summary, `--json` and the page. Milliseconds are virtual. */
import type { InstantMs } from '../protocols/kernel/units.ts'
import type { Violation } from './history/history.ts'
import type { FaultKind } from './scenario/schema.ts'

/** Of a set of measurements. All zero, with `count` 0, when there were none. */
export interface Distribution5 {
  readonly count: number
  readonly mean: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly max: number
}

export interface NodeFigures {
  readonly node: string
  readonly conduct?: string
  readonly slots: number
  readonly speed: number
  /** Committed awards to this node, and how they ended. */
  readonly awards: number
  readonly accepted: number
  readonly failed: number
  readonly lost: number
  /** Share of all awards, in [0,1]. */
  readonly share: number
  /** Busy slot time over slot time while the node was up, in [0,1]. */
  readonly utilisation: number
  readonly messages: number
  readonly bytes: number
  readonly lives: number
}

/** One bucket of time, for the charts. Counts are of what happened in it, levels are at its end. */
export interface Bucket {
  readonly atMs: InstantMs
  readonly submitted: number
  readonly completed: number
  readonly failed: number
  /** Leaves running and leaves waiting for an award, at the end of the bucket. */
  readonly running: number
  readonly waiting: number
  readonly slotsBusy: number
  readonly slotsUp: number
  readonly nodesUp: number
  readonly messages: number
  readonly bytes: number
  readonly faults: number
}

export interface SimulationReport {
  readonly scenario: string
  readonly about: string
  readonly seed: number
  /** Same scenario, seed and release: same hash. 16 hex digits. */
  readonly traceHash: string
  readonly nodes: number
  readonly virtualMs: InstantMs
  readonly events: number
  readonly missions: { readonly submitted: number; readonly acknowledged: number; readonly completed: number; readonly failed: number; readonly cancelled: number; readonly refused: number; readonly unknown: number; readonly unended: number }
  readonly leaves: { readonly accepted: number; readonly dead: number; readonly cancelled: number; readonly awards: number; readonly repeated: number }
  /** Submission to end of a mission; its arrival to the first start of a leaf; a leaf's run. */
  readonly flowMs: Distribution5
  readonly waitMs: Distribution5
  readonly runMs: Distribution5
  /** Busy slot time over available slot time, all nodes, in [0,1]. */
  readonly utilisation: number
  readonly messages: {
    readonly total: number
    readonly bytes: number
    /** Per accepted leaf; undefined when there was none. */
    readonly perTask?: number
    readonly bytesPerTask?: number
    /** What a task adds: all messages on streams but greetings and adverts, and all transmissions of calls by gossip. */
    readonly addedPerTask?: number
    readonly perNode: Distribution5
    readonly bytesPerNode: Distribution5
    /** By message kind for streams (`propose`, …); `gossip`, `gossip-control`, `dht` and `connection` besides. */
    readonly byKind: Readonly<Record<string, number>>
  }
  /** What came back after a fault: `worker` (award lost to the next award), `manager`, `owner` (process gone to `took-over` committed). */
  readonly recoveryMs: Readonly<Record<'worker' | 'manager' | 'owner', Distribution5>>
  /** How often each kind of fault was injected. */
  readonly faults: Readonly<Partial<Record<FaultKind, number>>>
  readonly perNode: readonly NodeFigures[]
  readonly buckets: readonly Bucket[]
  /** The same workload under the omniscient scheduler; ratios are ours to its. Absent where the workload has none. */
  readonly clairvoyant?: { readonly flowMs: Distribution5; readonly ratioP50: number; readonly ratioP99: number }
  readonly promises: readonly { readonly promise: string; readonly says: string; readonly violations: number }[]
  /** At most 100; empty is good. */
  readonly violations: readonly Violation[]
}
