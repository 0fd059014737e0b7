/**
 * The same scenario on 20 real libp2p nodes and on the simulator's: what gossipsub and kad-dht send, counted.
 *
 * `npm run bench:real-against-virtual [-- --runs 3] [--virtual-only]`. docs/decisions/2026-11-gossip-model.md reads the table.
 */
import { parseArgs } from 'node:util'
import { compare, meanOf, meanVirtual, tableOf } from './gossip/compare.ts'
import { runReal } from './gossip/real-run.ts'
import type { Counts } from './gossip/scenario.ts'

const { values: flags } = parseArgs({ options: { runs: { type: 'string', default: '1' }, 'virtual-only': { type: 'boolean', default: false } } })

const virtual = await meanVirtual()
if (flags['virtual-only']) {
  console.log(tableOf(compare(virtual, virtual)))
} else {
  const runs: Counts[] = []
  for (let run = 1; run <= Number(flags.runs); run++) runs.push(await runReal((text) => console.error(`run ${run}: ${text}`)))
  console.log(tableOf(compare(meanOf(runs), virtual)))
}
