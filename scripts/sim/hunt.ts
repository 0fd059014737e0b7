/**
 * Runs the first seeds of scenarios until one breaks a promise: `hunt.ts SEEDS PROMISE SCENARIO…`, with `any` for whichever
 * promise. Prints one JSON object a line for each scenario.
 */
import { runSimulation } from '../../sim/simulator.ts'
import { loadScenario } from './scenario-file.ts'

export interface HuntResult {
  readonly scenario: string
  readonly seedsRun: number
  readonly found?: { readonly seed: number; readonly promise: string; readonly detail: string }
  /** Other promises that were broken on the way. */
  readonly others: readonly string[]
}

async function hunt(given: string, seeds: number, promise: string): Promise<HuntResult> {
  const { scenario, traces } = loadScenario(given, process.cwd())
  const others = new Set<string>()
  for (let seed = 1; seed <= seeds; seed++) {
    const { violations } = (await runSimulation({ scenario, traces, seed })).report
    const found = violations.find((violation) => promise === 'any' || violation.promise === promise)
    for (const violation of violations) if (violation.promise !== found?.promise) others.add(violation.promise)
    if (found !== undefined) return { scenario: given, seedsRun: seed, found: { seed, promise: found.promise, detail: found.detail }, others: [...others] }
  }
  return { scenario: given, seedsRun: seeds, others: [...others] }
}

const [seeds, promise, ...scenarios] = process.argv.slice(2)
if (seeds === undefined || promise === undefined || scenarios.length === 0) {
  console.error('usage: hunt.ts SEEDS PROMISE SCENARIO…')
  process.exitCode = 2
} else {
  for (const given of scenarios) console.log(JSON.stringify(await hunt(given, Number(seeds), promise)))
}
