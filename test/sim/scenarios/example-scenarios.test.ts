import { readdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import { loadScenario } from '../../../scripts/sim/scenario-file.ts'
import { runSimulation } from '../../../sim/simulator.ts'

test.each(readdirSync('examples/simulation'))('the example %s runs, and keeps the promises', { timeout: 60_000 }, async (file) => {
  const { scenario, traces } = loadScenario(`examples/simulation/${file}`, process.cwd())
  const { report } = await runSimulation({ scenario, traces, seed: 1, untilMs: 25_000 })
  expect(report.missions.submitted).toBeGreaterThan(10)
  expect(report.missions.unended).toBe(0)
  expect(report.violations).toEqual([])
})
