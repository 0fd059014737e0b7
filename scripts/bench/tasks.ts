/**
 * What a task costs: a mission of many no-op children over three real nodes, and how long a fan-out takes. Printed, not asserted.
 *
 * `npm run bench:tasks [-- --ack ephemeral,local,quorum] [--load saturated,unloaded,fan-out] [--runs 3] [--tasks 2000] [--one-by-one 100] [--fan-outs 10] [--fan-out 100]`.
 * `--threads`: the no-op runs in a thread instead of on its node's loop; `--composite`: its skill plans the children, on a worker.
 * `--profiles DIR`: each node leaves a profile of its processor time there, which `npm run bench:profile -- FILE …` sums up. `--json`: one object instead of a table.
 */
import { mkdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { Acknowledgement } from '../../protocols/tasking/schema.ts'
import { type Yardstick, medianOf, numberOf, quantileOf, reportOf, text } from './figure.ts'
import { syncTimes } from './replication/disk.ts'
import { type Load, type TaskMeasures, figuresOf, loads, measureNames, measureTasks } from './tasks/measure.ts'
import { type SkeinOptions, startSkein } from './tasks/skein.ts'
import { tasksPerWorker, workerCount } from './tasks/system.ts'

const { values: flags } = parseArgs({
  options: {
    ack: { type: 'string', default: Acknowledgement.options.join(',') }, load: { type: 'string', default: loads.join(',') },
    runs: { type: 'string', default: '3' }, tasks: { type: 'string', default: '2000' }, 'one-by-one': { type: 'string', default: '100' }, 'fan-outs': { type: 'string', default: '10' }, 'fan-out': { type: 'string', default: '100' },
    threads: { type: 'boolean', default: false }, composite: { type: 'boolean', default: false }, profiles: { type: 'string' }, json: { type: 'boolean', default: false },
  },
})

const wanted = flags.load.split(',')
const unknown = wanted.find((load) => !loads.some((known) => known === load))
if (unknown !== undefined) throw new Error(`--load names "${unknown}"; there are ${loads.join(', ')}`)
const acknowledgements = flags.ack.split(',').map((level) => Acknowledgement.parse(level))
const fanOut = { tasks: numberOf('fan-out', flags['fan-out']), ms: 50 }
const options = {
  loads: wanted as Load[], runs: numberOf('runs', flags.runs), tasks: numberOf('tasks', flags.tasks), oneByOne: numberOf('one-by-one', flags['one-by-one']),
  fanOuts: numberOf('fan-outs', flags['fan-outs']), fanOutTasks: fanOut.tasks, fanOutMs: fanOut.ms, say: (what: string) => console.error(`${what} …`),
}
const profiles = flags.profiles === undefined ? undefined : resolve(flags.profiles)
if (profiles !== undefined) mkdirSync(profiles, { recursive: true })
const skeinOptions: SkeinOptions = { noop: flags.threads ? 'bench.noop.thread' : 'bench.noop', shape: flags.composite ? 'composite' : 'plan', ...(profiles === undefined ? {} : { profiles }) }

/** What no system of this cost on these processors, and no fan-out with these places, can be faster than. */
function limitsOf(measures: TaskMeasures): (measure: string) => Yardstick[] {
  const places = tasksPerWorker * workerCount
  const microsPerTask = medianOf(measures.get(measureNames.cpuOfAll)?.values ?? [])
  return (measure) => {
    if (measure === measureNames.rate && Number.isFinite(microsPerTask)) return [{ what: `${availableParallelism()} processors at this cost`, value: availableParallelism() * 1e6 / microsPerTask }]
    if (measure === measureNames.fanOut(fanOut.tasks, fanOut.ms)) return [{ what: `the tasks alone, ${places} at a time`, value: fanOut.ms * Math.ceil(fanOut.tasks / places) }]
    return []
  }
}

await reportOf('tasks', flags.json, async ({ figures, notes }) => {
  const skein = await startSkein(skeinOptions)
  try {
    const syncMs = quantileOf(await syncTimes(skein.mesh.folder, 200), 0.5)
    for (const acknowledgement of acknowledgements) {
      const system = skein.at(acknowledgement)
      const measures = await measureTasks(system, options)
      figures.push(...figuresOf(system.name, measures, limitsOf(measures)))
    }
    notes.push(
      `saturated: missions of ${options.tasks.toLocaleString('en-US')} no-op tasks of 200 bytes, ${tasksPerWorker} at a time in each of ${workerCount} workers, from the POST until every result is at the client; a first one warms up and is not counted.`,
      `unloaded: ${options.oneByOne} tasks, each after the one before it, as the client hears them accepted. A sync of this disk alone: median ${text(syncMs)} ms.`,
    )
  } finally {
    await skein.stop()
  }
})
