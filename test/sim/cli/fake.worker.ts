/** A sweep's process over made-up simulations. */
import { serveSeeds } from '../../../scripts/sim/serve-seeds.ts'
import { createFakeSimulation } from './fake-simulation.ts'

serveSeeds(createFakeSimulation)
