/** Runs a scenario: the production node code over the virtual world, a pure function of scenario and seed. */
import type { Simulation, SimulationInit, SimulationOutcome } from './simulation.ts'

/** @throws Error when the scenario contradicts itself (an unknown skill, a trace that was not given). */
export async function createSimulation(init: SimulationInit): Promise<Simulation> {
  throw new Error(`the scenario ${init.scenario.name} cannot be run yet`)
}

export async function runSimulation(init: SimulationInit): Promise<SimulationOutcome> {
  return (await createSimulation(init)).finish()
}
