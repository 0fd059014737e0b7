/** What the simulator's benchmark asks of a process, and the mesh that it measures by. */
import { Scenario } from '../../../sim/scenario/schema.ts'

export type JobKind =
  | { readonly kind: 'pace' | 'messages'; readonly nodes: number }
  | { readonly kind: 'large' | 'liar' }
  | { readonly kind: 'foresight'; readonly load: number }
  | { readonly kind: 'sweep'; readonly seeds: number }

export type Job = JobKind & {
  readonly seed: number
  /** Work arrives until then. */
  readonly simulatedMs: number
}

export interface Measured {
  /** By name; each kind of job has its own. */
  readonly values: Readonly<Record<string, number>>
  /** Why the values should not be believed: missions failed, promises were broken. */
  readonly doubt?: string
}

/** One task a second for ten nodes, and every node does everything: whatever the size, a node has the same to do. */
export function meshOf(nodes: number, durationMs: number): Scenario {
  return Scenario.parse({
    name: `bench-${nodes}`, durationMs, healWithinMs: 60_000,
    nodes: [{ group: 'node', count: nodes, slots: 2, speed: { uniform: [0.5, 2] } }],
    skills: [{ capability: 'job.run', workMs: { lognormal: { median: 500, p99: 5_000 } } }],
    workload: [{ kind: 'poisson', perSecond: nodes / 10, principals: Math.min(100, nodes), mission: { capability: 'job.run', effort: { uniform: [0.5, 2] } } }],
  })
}
