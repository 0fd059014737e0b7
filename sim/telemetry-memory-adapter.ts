/** The Telemetry port that keeps its facts for a test or a checker to read. */
import type { Fact, Telemetry } from '../actors/ports/telemetry.ts'

export interface MemoryTelemetry extends Telemetry {
  /** In the order recorded; the oldest are dropped beyond `factsMax`. */
  readonly facts: readonly Fact[]
  named(name: string): readonly Fact[]
  /** Facts that were dropped. */
  dropped(): number
}

export function createMemoryTelemetry(factsMax = 100_000): MemoryTelemetry {
  const facts: Fact[] = []
  let dropped = 0
  return {
    facts,
    record(fact) {
      facts.push(fact)
      if (facts.length <= factsMax) return
      // A tenth at a time: dropping one by one would move the whole array for every fact.
      dropped += facts.splice(0, Math.ceil(factsMax / 10)).length
    },
    named: (name) => facts.filter((fact) => fact.name === name),
    dropped: () => dropped,
  }
}
