/**
 * What replication costs and how long its takeovers are. Printed, not asserted: these figures say as much about the machine as about Skein.
 *
 * `npm run bench:replication [-- --owner-killed] [--worker-killed] [--worker-hung] [--commit] [--throughput] [--restart]`: those figures; all without one.
 * `--runs 20` deaths of each kind, `--missions-at-once 4`; `--commits 1000`; `--groups 100`, `--seconds 10`, `--entries-per-append 1`, `--loads 3`;
 * `--finished 100000`, `--no-blobs`, `--starts 5`. `--directory PATH`: whose disk is measured by `--commit` and `--throughput`. `--json`: one object instead of a table.
 */
import { parseArgs } from 'node:util'
import { type Figure, numberOf, reportOf } from './figure.ts'
import { ownerKilled, workerLost } from './replication/deaths.ts'
import { commitTime, committedRate } from './replication/groups.ts'
import { restarts } from './replication/restart.ts'

const { values: flags } = parseArgs({
  allowNegative: true,
  options: {
    'owner-killed': { type: 'boolean', default: false }, 'worker-killed': { type: 'boolean', default: false }, 'worker-hung': { type: 'boolean', default: false },
    commit: { type: 'boolean', default: false }, throughput: { type: 'boolean', default: false }, restart: { type: 'boolean', default: false },
    runs: { type: 'string', default: '20' }, 'missions-at-once': { type: 'string', default: '4' }, commits: { type: 'string', default: '1000' },
    groups: { type: 'string', default: '100' }, seconds: { type: 'string', default: '10' }, 'entries-per-append': { type: 'string', default: '1' }, loads: { type: 'string', default: '3' },
    finished: { type: 'string', default: '100000' }, blobs: { type: 'boolean', default: true }, starts: { type: 'string', default: '5' }, directory: { type: 'string' }, json: { type: 'boolean', default: false },
  },
})

const say = (text: string): void => console.error(`${text} …`)
const deaths = { runs: numberOf('runs', flags.runs), missions: numberOf('missions-at-once', flags['missions-at-once']), say }
const groups = {
  groups: numberOf('groups', flags.groups), commits: numberOf('commits', flags.commits), seconds: numberOf('seconds', flags.seconds), runs: numberOf('loads', flags.loads),
  entriesPerAppend: numberOf('entries-per-append', flags['entries-per-append']), say, ...(flags.directory === undefined ? {} : { directory: flags.directory }),
}

const measures: readonly (readonly [asked: boolean, name: string, measure: () => Promise<Figure[]>])[] = [
  [flags['owner-killed'], 'owner-killed', () => ownerKilled(deaths)],
  [flags['worker-killed'], 'worker-killed', () => workerLost('killed', deaths)],
  [flags['worker-hung'], 'worker-hung', () => workerLost('hung', deaths)],
  [flags.commit, 'commit', () => commitTime(groups)],
  [flags.throughput, 'throughput', () => committedRate(groups)],
  [flags.restart, 'restart', () => restarts({ runs: numberOf('starts', flags.starts), missions: numberOf('finished', flags.finished), blobs: flags.blobs, say })],
]

const all = measures.every(([asked]) => !asked)
await reportOf('replication', flags.json, async ({ figures, notes }) => {
  for (const [asked, name, measure] of measures) {
    if (!asked && !all) continue
    try {
      figures.push(...await measure())
    } catch (thrown) {
      // One figure that cannot be had takes no other with it.
      console.error(thrown)
      notes.push(`${name} was not measured: ${thrown instanceof Error ? thrown.message : String(thrown)}`)
      process.exitCode = 1
    }
  }
})
