/** What a sweep's processes say to one another. */
import type { Violation } from '../../sim/history/history.ts'
import type { SimulationReport } from '../../sim/report.ts'
import type { Scenario } from '../../sim/scenario/schema.ts'

/** Sent once for each scenario of a sweep, before a seed of it. */
export interface ScenarioNews {
  readonly type: 'scenario'
  readonly index: number
  readonly scenario: Scenario
  readonly traces: readonly (readonly [file: string, text: string])[]
}

/** One run. */
export interface SeedJob {
  readonly type: 'run'
  readonly scenarioIndex: number
  readonly seed: number
  readonly untilMs?: number
}

/** A run that came to its end, or that threw: then there is no report, but the error's stack. */
export type SeedAnswer = { readonly type: 'ready' } | { readonly type: 'ended'; readonly report: SimulationReport } | { readonly type: 'threw'; readonly message: string; readonly stack: string }

/** What became of a job. `crash` is what the process or the run died of. */
export interface SeedResult {
  readonly scenarioIndex: number
  readonly seed: number
  readonly untilMs?: number
  readonly wallMs: number
  readonly report?: SimulationReport
  readonly crash?: { readonly message: string; readonly stack?: string; readonly timedOut?: true }
}

/** The promise that stands for a run that did not come to its end. */
export const crashed = 'crash'

/** The first broken promise of a run; undefined when all is well. */
export function firstFailure(result: Pick<SeedResult, 'report' | 'crash'>): Violation | undefined {
  if (result.crash !== undefined) return { promise: crashed, detail: result.crash.message, atMs: 0 }
  const { report } = result
  const [first] = report?.violations ?? []
  if (first !== undefined) return first
  const broken = report?.promises.find((entry) => entry.violations > 0)
  return broken === undefined ? undefined : { promise: broken.promise, detail: broken.says, atMs: report?.virtualMs ?? 0 }
}
