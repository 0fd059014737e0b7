/** Prints what identifies each run, `scenario seed hash events`, for same-seed.test.ts. Arguments: `scenario:seed:untilMs …`. */
import { loadScenario } from '../../scripts/sim/scenario-file.ts'
import { runSimulation } from '../../sim/simulator.ts'

for (const run of process.argv.slice(2)) {
  const [name = '', seed = '', untilMs = ''] = run.split(':')
  const { scenario, traces } = loadScenario(name, process.cwd())
  const { report } = await runSimulation({ scenario, traces, seed: Number(seed), untilMs: Number(untilMs) })
  console.log(JSON.stringify([run, report.traceHash, report]))
}
