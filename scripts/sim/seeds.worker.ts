/** A process of a sweep: see seed-pool.ts. */
import { createSimulation } from '../../sim/simulator.ts'
import { serveSeeds } from './serve-seeds.ts'

serveSeeds(createSimulation)
