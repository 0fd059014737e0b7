/** `skein sim` over made-up simulations, as a program: for what only a process shows. */
import { fileURLToPath } from 'node:url'
import { thisWorld } from '../../../node/cli/context.ts'
import { main } from '../../../scripts/sim.ts'
import { createFakeSimulation } from './fake-simulation.ts'

process.exitCode = await main(process.argv.slice(2), thisWorld(), {
  createSimulation: createFakeSimulation, worker: new URL('./fake.worker.ts', import.meta.url), scenarios: fileURLToPath(new URL('./scenarios', import.meta.url)),
})
