/** One process of a peer: it submits, or it works. Started by `systems.ts`, which tells it which over its arguments and asks it over IPC. */
import { tasksPerWorker, workerCount, expectedResult, taskInput } from '../tasks/system.ts'
import * as bullmq from './bullmq.ts'
import { requireFrom } from './folder.ts'
import type { Load, PeerAsk, PeerInput, PeerPlace, PeerReply, PeerRole, PeerWorker, Submitter, TaskPeer, Work } from './load.ts'
import * as moleculer from './moleculer.ts'
import * as nats from './nats.ts'

interface PeerModule {
  submitTo(place: PeerPlace, load: Load): Promise<Submitter>
  workFor(place: PeerPlace, load: Load, work: Work, number: number): Promise<PeerWorker>
}

const modules: Readonly<Record<TaskPeer, PeerModule>> = { bullmq, moleculer, nats, jetstream: nats }

const work: Work = ({ text, ms }) => (ms === undefined ? text.length : new Promise((resolve) => setTimeout(() => resolve(text.length), ms)))

function check(results: readonly number[], tasks: number): void {
  if (results.length !== tasks || results.some((result) => result !== expectedResult)) throw new Error(`${results.length} results of ${tasks}, or wrong ones`)
}

/** All at once where the peer has a way to do that, else as many under way as the workers have places. */
async function all(submitter: Submitter, inputs: readonly PeerInput[]): Promise<void> {
  if (submitter.submitAll !== undefined) {
    check(await submitter.submitAll(inputs), inputs.length)
    return
  }
  const results: number[] = []
  let next = 0
  const place = async (): Promise<void> => {
    for (let input = inputs[next++]; input !== undefined; input = inputs[next++]) results.push(await submitter.submit(input))
  }
  await Promise.all(Array.from({ length: tasksPerWorker * workerCount }, place))
  check(results, inputs.length)
}

async function timesOf(submitter: Submitter, ask: PeerAsk): Promise<number[]> {
  const startedAtMs = performance.now()
  switch (ask.op) {
    case 'await-workers':
      await submitter.workersKnown?.()
      return []
    case 'saturate':
      await all(submitter, Array.from({ length: ask.tasks }, taskInput))
      return [performance.now() - startedAtMs]
    case 'fan-out':
      await all(submitter, Array.from({ length: ask.tasks }, () => ({ ...taskInput(), ...(ask.ms === 0 ? {} : { ms: ask.ms }) })))
      return [performance.now() - startedAtMs]
    case 'one-by-one': {
      const timesMs: number[] = []
      for (let task = 0; task < ask.tasks; task++) {
        const begunAtMs = performance.now()
        check([await submitter.submit(taskInput())], 1)
        timesMs.push(performance.now() - begunAtMs)
      }
      return timesMs
    }
    case 'end':
      await submitter.close()
      return []
  }
}

const { place, number } = JSON.parse(process.argv[2] ?? '{}') as PeerRole
const load = requireFrom(place.folder)
const say = (reply: PeerReply): void => void process.send?.(reply)

// Nobody is left to be asked by.
process.once('disconnect', () => process.exit())
if (number === 0) {
  const submitter = await modules[place.peer].submitTo(place, load)
  process.on('message', (ask: PeerAsk) => {
    timesOf(submitter, ask).then((timesMs) => say({ timesMs }), (thrown: unknown) => say({ failed: thrown instanceof Error ? thrown.message : String(thrown) }))
  })
} else {
  const worker = await modules[place.peer].workFor(place, load, work, number)
  process.on('message', () => {
    worker.close().then(() => say({ timesMs: [] }), (thrown: unknown) => say({ failed: String(thrown) }))
  })
}
say({ ready: true })
