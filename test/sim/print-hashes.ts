/** Prints what each run comes to, `[run, hash, report]`, for same-seed.test.ts. Arguments: `scenario:seed:untilMs …`. */
import { loadScenario } from '../../scripts/sim/scenario-file.ts'
import { runSimulation } from '../../sim/simulator.ts'

for (const run of process.argv.slice(2)) {
  const [name = '', seed = '', untilMs = ''] = run.split(':')
  const { scenario, traces } = loadScenario(name, process.cwd())
  // Whether everything ends in time is another test's question; this one must not wait for it.
  const { report } = await runSimulation({ scenario: { ...scenario, healWithinMs: 15_000 }, traces, seed: Number(seed), untilMs: Number(untilMs) })
  console.log(JSON.stringify([run, report.traceHash, report]))
}
