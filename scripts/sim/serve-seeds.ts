/** The side of a sweep that runs simulations, in a process of its own, one after the other. */
import { setImmediate } from 'node:timers/promises'
import type { Scenario } from '../../sim/scenario/schema.ts'
import type { Simulation, SimulationInit } from '../../sim/simulation.ts'
import type { ScenarioNews, SeedAnswer, SeedJob } from './seed-job.ts'

/** Answers the process that forked this one, until it goes away. */
export function serveSeeds(createSimulation: (init: SimulationInit) => Promise<Simulation>): void {
  const scenarios = new Map<number, { readonly scenario: Scenario; readonly traces: ReadonlyMap<string, string> }>()
  const parent = process.ppid
  // A run may not let the event loop turn, so that it would not hear of a closed channel.
  const endWithParent = (): void => {
    if (process.ppid !== parent) process.exit(1)
  }
  process.once('disconnect', () => process.exit(0))
  // Ctrl-C reaches the whole group: the sweep says what it found so far and then ends its processes.
  process.on('SIGINT', () => undefined)
  process.on('message', (message: ScenarioNews | SeedJob) => {
    if (message.type === 'scenario') {
      scenarios.set(message.index, { scenario: message.scenario, traces: new Map(message.traces) })
      return
    }
    void runOne(message).then((answer) => process.send?.(answer))
  })
  process.send?.({ type: 'ready' } satisfies SeedAnswer)

  async function runOne({ scenarioIndex, seed, untilMs }: SeedJob): Promise<SeedAnswer> {
    const known = scenarios.get(scenarioIndex)
    if (known === undefined) return { type: 'threw', message: `there is no scenario ${scenarioIndex}`, stack: '' }
    try {
      const simulation = await createSimulation({ ...known, seed, ...(untilMs === undefined ? {} : { untilMs }), onProgress: endWithParent })
      const { report } = await simulation.finish()
      // A rejection that nobody awaited is this run's, not the next one's.
      await setImmediate()
      return { type: 'ended', report }
    } catch (thrown) {
      return thrown instanceof Error ? { type: 'threw', message: thrown.message, stack: thrown.stack ?? '' } : { type: 'threw', message: String(thrown), stack: '' }
    }
  }
}
