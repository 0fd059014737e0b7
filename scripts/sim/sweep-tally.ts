/** What a sweep has seen so far. Reports are added up and let go: a sweep of thousands of seeds keeps only its failures. */
import type { Violation } from '../../sim/history/history.ts'
import { type FaultKind, faultKinds } from '../../sim/scenario/schema.ts'
import { type SeedResult, firstFailure } from './seed-job.ts'

export interface SeedFailure {
  readonly scenarioIndex: number
  readonly seed: number
  readonly violation: Violation
  /** How many violations that run had. */
  readonly violations: number
  readonly stack?: string
  /** It did not end in the time that a run may take: every try to make it shorter may take as long. */
  readonly timedOut: boolean
}

export interface SweepTally {
  add(result: SeedResult): void
  readonly seeds: number
  readonly virtualMs: number
  readonly events: number
  readonly missions: number
  readonly failures: readonly SeedFailure[]
  /** How often each kind of fault was injected. */
  readonly faults: ReadonlyMap<FaultKind, number>
  /** Kinds that no run injected of a scenario that asks for all of them. */
  neverInjected(): FaultKind[]
}

/** @param drawsAny the scenarios, by index, that ask for every kind of fault. */
export function sweepTally(drawsAny: ReadonlySet<number>): SweepTally {
  const failures: SeedFailure[] = []
  const faults = new Map<FaultKind, number>()
  const drawn = new Set<FaultKind>()
  let seeds = 0
  let virtualMs = 0
  let events = 0
  let missions = 0
  return {
    failures, faults,
    get seeds() { return seeds },
    get virtualMs() { return virtualMs },
    get events() { return events },
    get missions() { return missions },
    add(result) {
      seeds += 1
      const { report } = result
      if (report !== undefined) {
        virtualMs += report.virtualMs
        events += report.events
        missions += report.missions.submitted
        for (const kind of faultKinds) {
          const count = report.faults[kind] ?? 0
          if (count === 0) continue
          faults.set(kind, (faults.get(kind) ?? 0) + count)
          if (drawsAny.has(result.scenarioIndex)) drawn.add(kind)
        }
      }
      const violation = firstFailure(result)
      if (violation === undefined) return
      failures.push({
        scenarioIndex: result.scenarioIndex, seed: result.seed, violation, violations: Math.max(1, report?.violations.length ?? 1), timedOut: result.crash?.timedOut === true,
        ...(result.crash?.stack === undefined ? {} : { stack: result.crash.stack }),
      })
    },
    neverInjected: () => (drawsAny.size === 0 ? [] : faultKinds.filter((kind) => !drawn.has(kind))),
  }
}
