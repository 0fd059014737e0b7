/** What the planner of faults must know of each kind. */
import type { Random } from '../../protocols/kernel/prng.ts'
import type { FaultKind } from '../scenario/schema.ts'

export interface FaultTraits {
  /** What is drawn: nodes, two nodes with the link between them, one side of the mesh, or the whole mesh. Who leads is known only when it happens. */
  readonly strikes: 'nodes' | 'pair' | 'side' | 'mesh' | 'leader'
  /** Its process is gone meanwhile. */
  readonly takesAway?: true
  /** What was synced is gone afterwards. */
  readonly losesData?: true
  /** It lasts no time. */
  readonly isInstant?: true
  /** It never heals. */
  readonly isForGood?: true
  /** Unless the scenario says how long it lasts, it is longer than anybody waits before asking for votes. */
  readonly outlastsElection?: true
  /** What is drawn when the scenario states no amount; absent: the kind has none. */
  readonly amount?: (random: Random) => number
  /** Legal amounts; absent: a scenario may not state one. */
  readonly amountBetween?: readonly [number, number]
}

const between = (low: number, high: number) => (random: Random): number => low + random.next() * (high - low)
const eitherWay = (high: number) => (random: Random): number => (2 * random.next() - 1) * high
const anyFraction = [0, 1] as const
const timesSlower = [1, 1_000_000] as const

/** The protocol that a node of another release speaks, as the amount of `old-protocol`. */
export const otherProtocols = ['newer-minor', 'other-major'] as const
export type OtherProtocol = (typeof otherProtocols)[number]

export const faultTraits: Readonly<Record<FaultKind, FaultTraits>> = {
  crash: { strikes: 'nodes', takesAway: true },
  'crash-between-effects': { strikes: 'nodes', takesAway: true },
  'restart-storm': { strikes: 'nodes', takesAway: true },
  pause: { strikes: 'nodes' },
  suspend: { strikes: 'nodes' },
  leave: { strikes: 'nodes', takesAway: true },
  'old-protocol': { strikes: 'nodes', takesAway: true, amount: (random) => random.below(otherProtocols.length) },
  'owner-killed-for-good': { strikes: 'leader', isForGood: true },

  partition: { strikes: 'side' },
  'one-way-partition': { strikes: 'side' },
  'non-transitive-partition': { strikes: 'pair' },
  isolate: { strikes: 'nodes' },
  'leader-isolated': { strikes: 'leader', outlastsElection: true },
  'slow-link': { strikes: 'pair', amount: between(5, 100), amountBetween: timesSlower },
  loss: { strikes: 'mesh', amount: between(0.02, 0.3), amountBetween: anyFraction },
  duplication: { strikes: 'mesh', amount: between(0.05, 0.5), amountBetween: anyFraction },
  reordering: { strikes: 'mesh', amount: between(0.05, 0.5), amountBetween: anyFraction },
  'connection-reset': { strikes: 'pair', isInstant: true },

  'power-cut': { strikes: 'nodes', takesAway: true },
  'torn-write': { strikes: 'nodes', takesAway: true },
  'bit-rot': { strikes: 'nodes', takesAway: true, losesData: true },
  'sync-error': { strikes: 'nodes', takesAway: true },
  'disk-full': { strikes: 'nodes', takesAway: true },
  // Up to a sync of two seconds: an owner's limit is one.
  'disk-slow': { strikes: 'nodes', amount: between(10, 4_000), amountBetween: timesSlower },
  'disk-stuck': { strikes: 'nodes' },
  'disk-wiped': { strikes: 'nodes', takesAway: true, losesData: true },
  'disk-rolled-back': { strikes: 'nodes', takesAway: true, losesData: true },

  // Up to more than the 60 s that signed expiry and deadlines forgive.
  'wall-jump': { strikes: 'nodes', amount: eitherWay(90_000), amountBetween: [-86_400_000, 86_400_000] },
  'clock-drift': { strikes: 'nodes', amount: eitherWay(0.05), amountBetween: [-0.2, 0.2] },
}
