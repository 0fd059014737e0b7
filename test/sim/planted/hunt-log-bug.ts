/** Runs the first seeds of the log's harnesses until one of them breaks something: `hunt-log-bug.ts SEEDS`. Prints one JSON object. */
import { chaos } from '../../protocols/replicated-log/raft-chaos.ts'
import { roughLog } from './rough-log.ts'
import { stagedLog } from './staged-log.ts'

const seeds = Number(process.argv[2])
let found: { seed: number; detail: string } | undefined
for (let seed = 1; seed <= seeds && found === undefined; seed++) {
  try {
    stagedLog(seed)
    roughLog(seed)
    chaos(seed)
  } catch (error) {
    found = { seed, detail: (error as Error).message }
  }
}
console.log(JSON.stringify({ seedsRun: found?.seed ?? seeds, ...(found === undefined ? {} : { found }) }))
