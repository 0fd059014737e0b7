import { PassThrough } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { CliWorld } from '../../../node/cli/context.ts'
import { main } from '../../../scripts/sim.ts'
import { createFakeSimulation } from './fake-simulation.ts'

export interface Said {
  readonly code: number
  readonly out: string
  readonly err: string
}

export const scenarios = fileURLToPath(new URL('./scenarios', import.meta.url))

/** Runs a command of the simulator in this process, over made-up simulations; sweeps start processes of their own. */
export async function say(argv: readonly string[], world: Partial<CliWorld> = {}): Promise<Said> {
  let out = ''
  let err = ''
  const code = await main(argv, {
    stdin: new PassThrough(), env: {}, cwd: '/', bin: '',
    stdout: { write: (text) => { out += text } },
    stderr: { write: (text) => { err += text } },
    ...world,
  }, { createSimulation: createFakeSimulation, worker: new URL('./fake.worker.ts', import.meta.url), scenarios })
  return { code, out, err }
}
