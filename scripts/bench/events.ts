/**
 * How long news takes from where it happens to a client of server-sent events at another node. Printed, not asserted.
 *
 * `npm run bench:events [-- --runs 3] [--seconds 8] [--tasks 4] [--json]`: so many tasks say how far they are nine times a second, on two workers.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { MissionRequestInput } from '../../node/http/client.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { medianOf, numberOf, quantileOf, reportOf } from './figure.ts'
import { type BenchMesh, createBenchMesh } from './replication/nodes.ts'

const { values: flags } = parseArgs({ options: { runs: { type: 'string', default: '3' }, seconds: { type: 'string', default: '8' }, tasks: { type: 'string', default: '16' }, json: { type: 'boolean', default: false } } })
const runs = numberOf('runs', flags.runs)
const seconds = numberOf('seconds', flags.seconds)
const tasks = numberOf('tasks', flags.tasks)
/** From one word to the next, at random within these: longer than a worker's pulse, so that none takes the place of another, and at no fixed distance from it. */
const gapMs = { least: limits.pulseMs * 1.2, most: limits.pulseMs * 2.8 }

/** Says when it said it, on the clock that all processes of a machine share. @returns the flags that load it. */
function progressSkill(folder: string): string[] {
  const file = join(folder, 'progress.skill.ts')
  writeFileSync(file, `import { defineSkill, z } from 'skein/skill'
export default defineSkill({
  capability: 'bench.progress', version: '1.0', summary: 'says how far it is', effects: 'none', input: z.object({ times: z.number() }), output: z.number(),
  async run({ times }, context) {
    for (let time = 0; time < times; time++) {
      context.progress(undefined, String(performance.timeOrigin + performance.now()))
      await new Promise((resolve) => setTimeout(resolve, ${gapMs.least} + Math.random() * ${gapMs.most - gapMs.least}))
    }
    return times
  },
})
`)
  return ['--skill', file]
}

async function startMesh(): Promise<BenchMesh> {
  const mesh = createBenchMesh()
  try {
    await mesh.start('submitter', ['--duties', 'replica,bridge'])
    for (const name of ['worker-1', 'worker-2']) await mesh.start(name, ['--slots', String(Math.ceil(tasks / 2)), ...progressSkill(mesh.folder)])
    await mesh.joined()
    return mesh
  } catch (thrown) {
    await mesh.stop()
    throw thrown
  }
}

const times = Math.round(seconds * 2_000 / (gapMs.least + gapMs.most))

/** What a client of the submitter's bridge hears of one mission. @returns milliseconds from the skill's word, and from the log's. */
async function latencies(mesh: BenchMesh): Promise<{ progressMs: number[]; loggedMs: number[] }> {
  const { client } = mesh.node('submitter')
  const plan = { tasks: Object.fromEntries(Array.from({ length: tasks }, (_, index) => [`task-${index + 1}`, { capability: 'bench.progress', input: { times } }])) }
  const { id } = await client.submit({ plan, limits: { leavesMax: tasks } } as MissionRequestInput)
  const progressMs: number[] = []
  const loggedMs: number[] = []
  const heard = new Set<string>()
  for await (const news of client.watch(id)) {
    const nowMs = performance.timeOrigin + performance.now()
    // A worker repeats the newest word with every pulse.
    if (news.type === 'progress' && news.note.note === 'progress' && news.note.text !== undefined && !heard.has(`${news.note.taskId} ${news.note.text}`)) {
      heard.add(`${news.note.taskId} ${news.note.text}`)
      progressMs.push(nowMs - Number(news.note.text))
    }
    // The first events are there before anybody can listen.
    if (news.type === 'event' && news.event.type === 'accepted') loggedMs.push(nowMs - news.event.atWallMs)
  }
  return { progressMs, loggedMs }
}

/** @returns milliseconds of a request to the bridge that asks no other node, one after the other. */
async function requestTimes(mesh: BenchMesh): Promise<number[]> {
  const timesMs: number[] = []
  for (let request = 0; request < 200; request++) {
    const startedAtMs = performance.now()
    await mesh.node('submitter').client.health()
    timesMs.push(performance.now() - startedAtMs)
  }
  return timesMs
}

await reportOf('events', flags.json, async ({ figures, notes }) => {
  const mesh = await startMesh()
  try {
    const progress: { p50: number[]; p95: number[] } = { p50: [], p95: [] }
    const logged: number[] = []
    const requests: number[] = []
    let heard = 0
    console.error('warming up …')
    await latencies(mesh)
    for (let run = 1; run <= runs; run++) {
      console.error(`run ${run} of ${runs} …`)
      requests.push(quantileOf(await requestTimes(mesh), 0.95))
      const { progressMs, loggedMs } = await latencies(mesh)
      heard += progressMs.length
      progress.p50.push(quantileOf(progressMs, 0.5))
      progress.p95.push(quantileOf(progressMs, 0.95))
      logged.push(quantileOf(loggedMs, 0.95))
    }
    const against = [{ what: 'a request to /healthz there, p95', value: medianOf(requests) }]
    figures.push(
      { name: 'a skill\'s progress on a worker → SSE client at the submitter, p50', unit: 'ms', values: progress.p50 },
      { name: 'the same, p95', unit: 'ms', values: progress.p95, against: [{ what: 'the pulse of a worker, with which progress leaves it', value: limits.pulseMs }, ...against] },
      { name: 'an acceptance as the log dates it → SSE client, p95', unit: 'ms', values: logged, against },
    )
    notes.push(`${heard} of ${runs * tasks * times} words of progress were heard. The log dates its events to the millisecond, before they are synced.`)
  } finally {
    await mesh.stop()
  }
})
