/**
 * Whole missions of one task over HTTP: handed in, followed to their end, the result fetched. Printed, not asserted.
 *
 * `npm run bench:http [-- --ack ephemeral,local,quorum] [--runs 3] [--seconds 8] [--clients 32] [--rate 200] [--profiles DIR] [--json]`.
 * `--rate`: the missions a second at which the time of each is measured; half of the most that was reached, where that is less.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { MeshClient, MissionRequestInput } from '../../node/http/client.ts'
import { Acknowledgement } from '../../protocols/tasking/schema.ts'
import { medianOf, numberOf, quantileOf, reportOf } from './figure.ts'
import { cpuDuring } from './process-cpu.ts'
import { type SkeinUnderLoad, startSkein } from './tasks/skein.ts'
import { expectedResult, taskInput } from './tasks/system.ts'

const { values: flags } = parseArgs({
  options: {
    ack: { type: 'string', default: 'quorum' }, runs: { type: 'string', default: '3' }, seconds: { type: 'string', default: '8' }, clients: { type: 'string', default: '32' },
    rate: { type: 'string', default: '200' }, profiles: { type: 'string' }, json: { type: 'boolean', default: false },
  },
})
const runs = numberOf('runs', flags.runs)
const seconds = numberOf('seconds', flags.seconds)
const clients = numberOf('clients', flags.clients)
const rateAimed = numberOf('rate', flags.rate)
const acknowledgements = flags.ack.split(',').map((level) => Acknowledgement.parse(level))
const profiles = flags.profiles === undefined ? undefined : resolve(flags.profiles)
if (profiles !== undefined) mkdirSync(profiles, { recursive: true })
/** Requests of one mission: to hand it in, to follow it, to fetch its result. */
const requestsPerMission = 3

async function wholeMission(client: MeshClient, acknowledgement: Acknowledgement): Promise<void> {
  const { id } = await client.submit({ capability: 'bench.noop', input: taskInput(), acknowledgement } as MissionRequestInput, { key: crypto.randomUUID() })
  for await (const news of client.watch(id)) if (news.type === 'end' && news.state !== 'completed') throw new Error(`${id} is ${news.state}`)
  const { result } = await client.result(id)
  if (result !== expectedResult) throw new Error(`${id} has a wrong result: ${JSON.stringify(result)}`)
}

/** So many at a time, each begun when the one before it has ended. @returns how many were done a second. */
async function closedLoop(atOnce: number, once: () => Promise<unknown>): Promise<{ perSecond: number; done: number }> {
  const startedAtMs = performance.now()
  let done = 0
  await Promise.all(Array.from({ length: atOnce }, async () => {
    while (performance.now() - startedAtMs < seconds * 1_000) {
      await once()
      done += 1
    }
  }))
  return { perSecond: done / ((performance.now() - startedAtMs) / 1_000), done }
}

/** Begun at a fixed rate, however long those before take. @returns milliseconds of each, from when it was due. */
async function openLoop(perSecond: number, once: () => Promise<unknown>): Promise<number[]> {
  const startedAtMs = performance.now()
  const timesMs: number[] = []
  const running: Promise<void>[] = []
  for (let number = 0; number < perSecond * seconds; number++) {
    const dueAtMs = startedAtMs + number * 1_000 / perSecond
    const waitMs = dueAtMs - performance.now()
    if (waitMs > 0) await sleep(waitMs)
    running.push(once().then(() => void timesMs.push(performance.now() - dueAtMs)))
  }
  await Promise.all(running)
  return timesMs
}

async function measure({ mesh, at }: SkeinUnderLoad, acknowledgement: Acknowledgement, figures: Parameters<Parameters<typeof reportOf>[2]>[0]['figures']): Promise<void> {
  const { client } = mesh.node('submitter')
  const once = (): Promise<void> => wholeMission(client, acknowledgement)
  const rates: number[] = []
  const micros: number[] = []
  const ceilings: number[] = []
  console.error(`${acknowledgement}: warming up …`)
  await closedLoop(clients, once)
  for (let run = 1; run <= runs; run++) {
    console.error(`${acknowledgement}: run ${run} of ${runs} …`)
    ceilings.push((await closedLoop(clients, () => client.health())).perSecond / requestsPerMission)
    const { value, micros: used } = await cpuDuring(at(acknowledgement).processes, () => closedLoop(clients, once))
    rates.push(value.perSecond)
    micros.push([...used.values()].reduce((sum, one) => sum + one, 0) / value.done)
  }
  figures.push(
    { name: `${acknowledgement}: whole missions of one task, ${clients} clients`, unit: 'missions/s', values: rates, against: [{ what: `${requestsPerMission} requests to /healthz each`, value: medianOf(ceilings) }] },
    { name: `${acknowledgement}: processor time of a mission, all processes`, unit: 'µs', values: micros },
  )
  const rate = Math.max(1, Math.min(rateAimed, medianOf(rates) / 2))
  const quantiles: { p50: number[]; p95: number[] } = { p50: [], p95: [] }
  for (let run = 1; run <= runs; run++) {
    console.error(`${acknowledgement}: ${rate.toFixed(0)} a second, run ${run} of ${runs} …`)
    const timesMs = await openLoop(rate, once)
    quantiles.p50.push(quantileOf(timesMs, 0.5))
    quantiles.p95.push(quantileOf(timesMs, 0.95))
  }
  const at200 = `${acknowledgement}: a whole mission at ${rate.toFixed(0)} a second`
  figures.push({ name: `${at200}, p50`, unit: 'ms', values: quantiles.p50 }, { name: `${at200}, p95`, unit: 'ms', values: quantiles.p95 })
}

await reportOf('http', flags.json, async ({ figures, notes }) => {
  const skein = await startSkein(profiles === undefined ? {} : { profiles })
  try {
    for (const acknowledgement of acknowledgements) await measure(skein, acknowledgement, figures)
    notes.push('a mission is three requests: POST, its events to the end, its result. At a fixed rate its time counts from when it was due, so waiting for those before it counts too.')
  } finally {
    await skein.stop()
  }
})
