/**
 * How fast the simulator is, and what it says of the mesh: its figures beside what was aimed at. Printed, not asserted.
 *
 * `npm run bench:sim [-- --runs 3] [--only pace,large,messages,foresight,liar,sweep] [--large] [--seconds N] [--seeds 200] [--json]`.
 * Each run is a process of its own, and run n has seed n. `--large` adds what 10,000 nodes take, once; `--seconds` lets work arrive for N simulated seconds at most.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { type Figure, cellsOf, figureOf, ratios } from './sim/figures.ts'
import type { Job, JobKind, Measured } from './sim/jobs.ts'
import { machineLine, tableHead, tableRow } from './table.ts'

const { values: flags } = parseArgs({
  options: {
    runs: { type: 'string', default: '3' }, only: { type: 'string', default: 'pace,large,messages,foresight,liar,sweep' }, seeds: { type: 'string', default: '200' },
    seconds: { type: 'string', default: 'Infinity' }, large: { type: 'boolean', default: false }, json: { type: 'boolean', default: false },
  },
})
const runs = Number(flags.runs)
const seeds = Number(flags.seeds)
const cutMs = Number(flags.seconds) * 1_000
if (!Number.isInteger(runs) || runs < 1 || !Number.isInteger(seeds) || seeds < 1 || !(cutMs > 0)) throw new Error('--runs, --seeds and --seconds are numbers from 1')

const heap = '--max-old-space-size=16384'
const run = promisify(execFile)
const figures: Figure[] = []
const notes: string[] = []

/** @returns by the name of a value, one for each run */
async function measured(job: JobKind, simulatedMs: number, runsOfIt = runs): Promise<(name: string) => number[]> {
  const name = Object.values(job).join(' ')
  const all: Measured[] = []
  for (let seed = 1; seed <= runsOfIt; seed++) {
    console.error(`${name}: run ${seed} of ${runsOfIt} …`)
    const one = await inItsProcess({ ...job, seed, simulatedMs: Math.min(simulatedMs, cutMs) })
    if (one.doubt !== undefined) notes.push(`${name}, seed ${seed}: ${one.doubt}`)
    all.push(one)
  }
  // JSON has no NaN.
  return (value) => all.map(({ values }) => values[value] ?? Number.NaN)
}

/** A measurement that dies, say for want of memory, takes no other with it. */
async function inItsProcess(job: Job): Promise<Measured> {
  try {
    return JSON.parse((await run(process.execPath, [heap, fileURLToPath(new URL('./sim/measure.ts', import.meta.url)), JSON.stringify(job)])).stdout) as Measured
  } catch (thrown) {
    console.error(thrown)
    return { values: {}, doubt: 'it did not come to its end' }
  }
}

const measures: Readonly<Record<string, () => Promise<void>>> = {
  async pace() {
    const of = await measured({ kind: 'pace', nodes: 100 }, 60_000)
    figures.push(figureOf('100 nodes, 10 tasks/s: simulated seconds per second', '', of('simulatedPerWall'), { atLeast: true, target: 100, remarkable: 500 }))
  },
  async large() {
    if (!flags.large) {
      notes.push('10,000 nodes are not measured without --large')
      return
    }
    const of = await measured({ kind: 'large' }, 600_000, 1)
    figures.push(
      figureOf('10,000 nodes, 100 tasks/s (internet), 10 simulated minutes: wall time', 'min', of('wallMin'), { target: 20 }),
      figureOf('the same: peak memory', 'GiB', of('rssGiB'), { target: 8 }),
      figureOf('the same: messages that a task adds', '', of('addedPerTask')),
    )
  },
  async messages() {
    const simulatedMs = 20_000
    const hundred = (await measured({ kind: 'messages', nodes: 100 }, simulatedMs))('addedPerTask')
    figures.push(figureOf('messages that a task adds, 100 nodes', '', hundred))
    for (const nodes of flags.large ? [1_000, 10_000] : [1_000]) {
      const added = (await measured({ kind: 'messages', nodes }, simulatedMs, nodes > 1_000 ? 1 : runs))('addedPerTask')
      const size = nodes.toLocaleString('en-US')
      figures.push(figureOf(`messages that a task adds, ${size} nodes`, '', added), figureOf(`${size} nodes against 100`, '×', ratios(added, hundred), { target: 1.2, remarkable: 1.05 }))
    }
  },
  async foresight() {
    for (const load of [0.7, 0.9]) {
      const of = await measured({ kind: 'foresight', load }, 300_000)
      for (const [name, says] of [['p50', 'median'], ['p99', '99th percentile']] as const) {
        figures.push(figureOf(`llm-serving, load ${load}: ${says} of flow time against perfect foresight`, '×', of(name), { target: 1.3, remarkable: 1.1 }))
      }
    }
  },
  async liar() {
    const of = await measured({ kind: 'liar' }, 300_000)
    figures.push(figureOf('one-liar, says it is 5 × faster: its share of the committed awards after the first 50', '%', of('share').map((share) => share * 100), { target: 2, remarkable: 0.5 }))
  },
  async sweep() {
    const of = await measured({ kind: 'sweep', seeds }, 75_000)
    figures.push(
      figureOf(`all-faults, ${seeds} seeds on all cores: wall time`, 's', of('wallS')),
      figureOf('the same: seeds in 4 minutes', '', of('seedsInFourMin'), { atLeast: true, target: 200, remarkable: 1_000 }),
      figureOf('the same: simulated time of a seed', 's', of('simulatedS')),
      figureOf('the same: missions of a seed', '', of('missions')),
    )
  },
}

const wanted = flags.only.split(',')
const unknown = wanted.find((name) => measures[name] === undefined)
if (unknown !== undefined) throw new Error(`--only names "${unknown}"; there are ${Object.keys(measures).join(', ')}`)
const machine = machineLine()
for (const name of wanted) await measures[name]?.()
if (Number.isFinite(cutMs)) notes.push(`cut short to ${flags.seconds} simulated seconds: not the figures that the targets speak of`)

if (flags.json) {
  console.log(JSON.stringify({ machine, runs, figures, notes }, null, 1))
} else {
  console.log(`${machine}\n\n${tableHead(['figure', 'median', 'least–most', 'runs', 'target', 'remarkable', ''])}`)
  for (const figure of figures) console.log(tableRow(cellsOf(figure)))
  if (notes.length > 0) console.log(`\n${notes.join('\n')}`)
}
