/**
 * A scenario: a mesh, the work it is given and what goes wrong, in one document. With a seed it determines a run.
 *
 * Times are virtual milliseconds since the first work may arrive; before that the mesh warms up. Nodes are named `<group>-<n>` from 1 (`<group>` alone when the group has one).
 */
import { z } from 'zod'
import { Duty, Gpu } from '../../protocols/capability/schema.ts'
import { CapabilityName } from '../../protocols/kernel/ids.ts'
import { Acknowledgement, RetryPolicy } from '../../protocols/tasking/schema.ts'

const fraction = z.number().min(0).max(1)
/** Of what happens again and again: more often, planning a day of it takes longer than the run. */
const intervalMs = z.number().min(10, 'must be at least 10 ms: make it rarer')
const perSecond = z.number().positive().max(10_000, 'must be at most 10,000: lower it')
const nodesMax = 20_000

/** A number, or how it is drawn: evenly, exponentially (its mean), or log-normally (its median and 99th percentile). */
export const Distribution = z.union([
  z.number().min(0),
  z.object({ uniform: z.tuple([z.number().min(0), z.number().min(0)]).refine(([low, high]) => low <= high, { error: 'the low end comes first: swap the two numbers' }) }).strict(),
  z.object({ exponential: z.number().positive() }).strict(),
  z.object({ lognormal: z.object({ median: z.number().positive(), p99: z.number().positive() }).strict().refine(({ median, p99 }) => median <= p99, { error: '`p99` is below `median`: raise it, or write a plain number' }) }).strict(),
])
export type Distribution = z.infer<typeof Distribution>

/** How a node misbehaves on purpose. It has the mesh key: strangers are kept out by the wire. */
export const Conduct = z.discriminatedUnion('kind', [
  /** Bids `factor` times faster than it is. */
  z.object({ kind: z.literal('lies-about-speed'), factor: z.number().positive().default(5) }).strict(),
  /** Bids, takes the award, renews its lease and never finishes. */
  z.object({ kind: z.literal('bids-and-stalls') }).strict(),
  /** Bids, takes the award, and gives no sign of life any more. */
  z.object({ kind: z.literal('falls-silent') }).strict(),
  z.object({ kind: z.literal('wrong-results') }).strict(),
  z.object({ kind: z.literal('oversized-results') }).strict(),
  /** Publishes adverts that name other nodes. */
  z.object({ kind: z.literal('forges-adverts'), everyMs: intervalMs.default(2_000) }).strict(),
  /** Signs two different adverts under one sequence number. */
  z.object({ kind: z.literal('equivocates'), everyMs: intervalMs.default(5_000) }).strict(),
  z.object({ kind: z.literal('floods-gossip'), perSecond: perSecond.default(50) }).strict(),
  z.object({ kind: z.literal('sends-garbage'), everyMs: intervalMs.default(1_000) }).strict(),
])
export type Conduct = z.infer<typeof Conduct>

/** What a node can do. Skills are declared under `skills` of the scenario. */
export const NodeGroup = z.object({
  group: z.string().regex(/^[a-z][a-z0-9-]{0,39}$/, 'is not a group name (lower case letters, digits, dashes)'),
  count: z.number().int().min(1).max(nodesMax).default(1),
  duties: z.array(Duty).min(1).default(['worker', 'replica', 'bridge']),
  slots: z.number().int().min(0).max(1_024).default(2),
  /** 1 is the speed that the skills' times are stated for; drawn once per node. */
  speed: Distribution.default(1),
  /** Skills by name; absent: all. */
  skills: z.array(CapabilityName).optional(),
  cores: z.number().int().min(1).default(4),
  memoryGiB: z.number().positive().default(16),
  gpus: z.array(Gpu).default([]),
  /** Nodes of one site are near each other; see `network.sites`. */
  site: z.string().max(64).default('here'),
  conduct: Conduct.optional(),
  /** The node's monotonic clock gains (or loses) this share; drawn once per node between minus and plus it. */
  clockDriftFraction: z.number().min(0).max(0.2).default(0),
  /** The node's wall clock is off by up to this, either way. */
  clockSkewMs: z.number().min(0).max(3_600_000).default(0),
}).strict()
export type NodeGroup = z.infer<typeof NodeGroup>

/** The wires. Streams are ordered and lose nothing while they live: loss costs them a retransmission; gossip really loses. */
export const NetworkConditions = z.object({
  /** One way, in milliseconds; every pair draws a base, every frame a little jitter. */
  latencyMs: Distribution.default({ lognormal: { median: 0.5, p99: 4 } }),
  /** Between nodes of different sites, instead of `latencyMs`. */
  betweenSitesLatencyMs: Distribution.default({ lognormal: { median: 25, p99: 120 } }),
  lossFraction: fraction.default(0),
  duplicationFraction: fraction.default(0),
  reorderingFraction: fraction.default(0),
  /** Of a node's uplink; absent: no limit. */
  bandwidthBytesPerSecond: z.number().positive().optional(),
  /** How many peers a node keeps connections to, beyond those it needs for its topics. */
  connectionsAimed: z.number().int().min(4).max(1_000).default(128),
}).strict()
export type NetworkConditions = z.infer<typeof NetworkConditions>

/**
 * What a capability does here. A leaf takes `workMs × effort / speed`, or, when its input states `promptTokens` and `outputTokens`,
 * what a model of the stated rates takes. A composite capability plans `children` and adds their outputs up.
 */
export const ScenarioSkill = z.object({
  capability: CapabilityName,
  effects: z.enum(['none', 'external']).default('none'),
  workMs: Distribution.default(200),
  /** Runs that fail although nothing is wrong with the node. */
  failureFraction: fraction.default(0),
  costUsd: z.number().min(0).default(0),
  outputBytes: z.number().int().min(0).max(1_000_000).default(16),
  model: z.object({ promptTokensPerSecond: z.number().positive(), outputTokensPerSecond: z.number().positive(), usdPerThousandTokens: z.number().min(0).default(0) }).strict().optional(),
  children: z.object({ capability: CapabilityName, count: z.number().int().min(1).max(1_000) }).strict().optional(),
  /** Places of its own on every node that offers it; absent: it takes the node's. */
  slots: z.number().int().min(1).max(1_000).optional(),
  /** A leaf that has another capability executed first, so often, one after the other; each answer may have `maxTokens`. */
  calls: z.object({ capability: CapabilityName, count: z.number().int().min(1).max(100), maxTokens: z.number().int().min(1).default(100) }).strict().optional(),
}).strict()
export type ScenarioSkill = z.infer<typeof ScenarioSkill>

/** How missions look. `chain` tasks wait for each other, `fan` tasks do not, a `diamond` fans out between two single tasks. */
export const MissionShape = z.object({
  shape: z.enum(['single', 'fan', 'chain', 'diamond', 'composite']).default('single'),
  capability: CapabilityName,
  /** Leaves; a number is drawn for each mission and rounded, and cut to what one plan may have. Of `composite`, as many composite tasks as come nearest to it, at least one. */
  leaves: Distribution.default(1),
  /** Of each leaf; it scales the skill's time and is known to bidders. */
  effort: Distribution.default(1),
  retry: RetryPolicy.optional(),
  priority: z.number().int().min(1).max(10).default(5),
  budgetUsd: z.number().min(0).optional(),
  /** Of each leaf, for what it calls. */
  taskBudgetUsd: z.number().min(0).optional(),
  durationMs: z.number().int().min(1).optional(),
  /** How long one attempt of a task may run; absent: the skill's own limit. */
  timeLimitMs: z.number().int().min(1).optional(),
  /** Absent: `quorum`. */
  acknowledgement: Acknowledgement.optional(),
  /** Every leaf brings an acceptance check that only an honest result passes. */
  checked: z.boolean().default(false),
}).strict()
export type MissionShape = z.infer<typeof MissionShape>

const submission = {
  /** Groups whose bridges are used, in turn; absent: every node with the duty `bridge`. */
  submitters: z.array(z.string()).optional(),
  principals: z.number().int().min(1).max(100).default(1),
  fromMs: z.number().min(0).default(0),
  /** Absent: until the scenario's `durationMs`. */
  untilMs: z.number().positive().optional(),
}

export const Workload = z.discriminatedUnion('kind', [
  /** Missions that arrive at random (Poisson) at a mean rate. */
  z.object({ kind: z.literal('poisson'), perSecond, mission: MissionShape, ...submission }).strict(),
  /** The given number of missions, evenly spread. */
  z.object({ kind: z.literal('count'), missions: z.number().int().min(1).max(100_000, 'must be at most 100,000: lower it'), mission: MissionShape, ...submission }).strict(),
  /**
   * Requests of a trace: CSV with `TIMESTAMP,ContextTokens,GeneratedTokens`, one single-leaf mission each, with the input
   * `{ promptTokens, outputTokens }`. `load` stretches or squeezes time until the mesh would be that busy; absent: as recorded.
   */
  z.object({ kind: z.literal('trace'), file: z.string().min(1), capability: CapabilityName, load: z.number().positive().max(2).optional(), requestsMax: z.number().int().min(1).default(100_000), priority: z.number().int().min(1).max(10).default(5), ...submission }).strict(),
]).refine(({ fromMs, untilMs }) => untilMs === undefined || fromMs < untilMs, { error: '`fromMs` is not before `untilMs`: no work would arrive, move one of them', path: ['fromMs'] })
export type Workload = z.infer<typeof Workload>

/** What can go wrong, by kind. Parameters that a kind does not use are refused. */
export const faultKinds = [
  // processes
  'crash', 'crash-between-effects', 'restart-storm', 'pause', 'suspend', 'leave', 'old-protocol', 'owner-killed-for-good',
  // network
  'partition', 'one-way-partition', 'non-transitive-partition', 'isolate', 'leader-isolated', 'slow-link', 'loss', 'duplication', 'reordering', 'connection-reset',
  // disks
  'power-cut', 'torn-write', 'bit-rot', 'sync-error', 'disk-full', 'disk-slow', 'disk-stuck', 'disk-wiped', 'disk-rolled-back',
  // clocks
  'wall-jump', 'clock-drift',
] as const
export const FaultKind = z.enum(faultKinds)
export type FaultKind = z.infer<typeof FaultKind>

/** A fault at given instants, or again and again at random (mean time between two: `everyMs`), on nodes drawn from those named. */
export const FaultSpec = z.object({
  kind: FaultKind,
  /** Groups or node names; absent: any node. */
  nodes: z.array(z.string()).optional(),
  atMs: z.union([z.number().min(0), z.array(z.number().min(0)).min(1)]).optional(),
  everyMs: intervalMs.optional(),
  /** How long it lasts, or how long a process stays away; 0 for what happens in an instant. Infinity is written as `forever`. Absent: as long as is usual for the kind. */
  lastsMs: z.union([Distribution, z.literal('forever')]).optional(),
  /** How many nodes at once. */
  howMany: z.number().int().min(1).default(1),
  /** Of `loss`, `duplication`, `reordering`: the fraction. Of `slow-link`, `disk-slow`: times slower. Of `wall-jump`: milliseconds. Of `clock-drift`: the share. */
  amount: z.number().optional(),
}).strict().refine((fault) => (fault.atMs === undefined) !== (fault.everyMs === undefined), { message: 'a fault has either `atMs` or `everyMs`' })
export type FaultSpec = z.infer<typeof FaultSpec>

export const Scenario = z.object({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/, 'is not a scenario name (lower case letters, digits, dashes)'),
  about: z.string().max(1_000).default(''),
  /** Work arrives and faults happen until then. */
  durationMs: z.number().positive().max(24 * 60 * 60_000),
  /** After it everything heals, and within this time every mission must end. */
  healWithinMs: z.number().positive().max(24 * 60 * 60_000).default(300_000),
  nodes: z.array(NodeGroup).min(1).refine((groups) => groups.reduce((sum, { count }) => sum + count, 0) <= nodesMax, { error: 'the groups have more than 20,000 nodes together: lower a `count`' }),
  network: NetworkConditions.prefault({}),
  skills: z.array(ScenarioSkill).min(1),
  workload: z.array(Workload).min(1),
  faults: z.array(FaultSpec).default([]),
  /** Every fault kind at random, besides those listed: the mean time between two faults of any kind. */
  anyFaultEveryMs: intervalMs.optional(),
  /** The pace of replicated logs where it differs from the defaults: their names and units are those of `replication.*` in a node's configuration. `snapshotEntries` may be drawn, once for each run. */
  replication: z.object({
    groupPulseMs: z.number().min(20).max(10_000), electionMsMin: z.number().min(100).max(60_000), electionMsMax: z.number().min(200).max(120_000), lostLeaderMsMax: z.number().min(1).max(60_000),
    registrarShards: z.number().int().min(1).max(64), memberSilentMs: z.number().min(1_000), membersLookMs: z.number().min(100), missionRestMs: z.number().min(100), failedMissionRestMs: z.number().min(100), archiveKeptMs: z.number().min(1_000),
    uncitedKeptMs: z.number().min(1_000), blobIdleMs: z.number().min(1_000),
    snapshotEntries: z.union([z.number().int().min(8), z.array(z.number().int().min(8)).min(1)]), snapshotTailEntries: z.number().int().min(0),
  }).partial().strict().default({}),
  /** Limits of the nodes that differ from the defaults. */
  tuning: z.object({ leaseMs: z.number().min(1_000).max(600_000), bidWindowMs: z.number().min(1), noProviderMs: z.number().min(1) }).partial().strict().default({}),
}).strict()
export type Scenario = z.infer<typeof Scenario>
