/** BullMQ: a queue in Redis. Results come by its stream of events, which is how a submitter elsewhere hears of them. */
import { tasksPerWorker } from '../tasks/system.ts'
import type { Load, PeerInput, PeerPlace, PeerWorker, Submitter, Work } from './load.ts'

interface Connection { readonly connection: { readonly host: string; readonly port: number; readonly maxRetriesPerRequest: null } }
interface JobOptions { readonly jobId: string; readonly removeOnComplete: true }
interface BullMq {
  readonly Queue: new (name: string, options: Connection) => {
    addBulk(jobs: readonly { name: string; data: PeerInput; opts: JobOptions }[]): Promise<unknown>
    add(name: string, data: PeerInput, options: JobOptions): Promise<unknown>
    close(): Promise<void>
  }
  readonly QueueEvents: new (name: string, options: Connection) => {
    waitUntilReady(): Promise<unknown>
    on(event: 'completed' | 'failed', listener: (args: { jobId: string; returnvalue: unknown; failedReason?: string }) => void): void
    close(): Promise<void>
  }
  readonly Worker: new (name: string, run: (job: { data: PeerInput }) => Promise<number>, options: Connection & { concurrency: number }) => { waitUntilReady(): Promise<unknown>; close(): Promise<void> }
}

const queueName = 'bench'

function connectionOf({ ports: [port = 0] }: PeerPlace): Connection {
  return { connection: { host: '127.0.0.1', port, maxRetriesPerRequest: null } }
}

export async function submitTo(place: PeerPlace, load: Load): Promise<Submitter> {
  const { Queue, QueueEvents } = load<BullMq>('bullmq')
  const queue = new Queue(queueName, connectionOf(place))
  const events = new QueueEvents(queueName, connectionOf(place))
  await events.waitUntilReady()
  const waiting = new Map<string, { resolve(value: number): void; reject(error: Error): void }>()
  const take = (jobId: string) => {
    const asker = waiting.get(jobId)
    waiting.delete(jobId)
    return asker
  }
  events.on('completed', ({ jobId, returnvalue }) => take(jobId)?.resolve(Number(returnvalue)))
  events.on('failed', ({ jobId, failedReason }) => take(jobId)?.reject(new Error(failedReason ?? 'failed')))
  let jobs = 0
  const next = (): { jobId: string; result: Promise<number> } => {
    const jobId = `task-${++jobs}`
    return { jobId, result: new Promise<number>((resolve, reject) => waiting.set(jobId, { resolve, reject })) }
  }
  return {
    async submit(data) {
      const { jobId, result } = next()
      await queue.add('task', data, { jobId, removeOnComplete: true })
      return await result
    },
    async submitAll(inputs) {
      const all = inputs.map((data) => ({ data, ...next() }))
      await queue.addBulk(all.map(({ data, jobId }) => ({ name: 'task', data, opts: { jobId, removeOnComplete: true } })))
      return await Promise.all(all.map(({ result }) => result))
    },
    async close() {
      await events.close()
      await queue.close()
    },
  }
}

export async function workFor(place: PeerPlace, load: Load, work: Work): Promise<PeerWorker> {
  const { Worker } = load<BullMq>('bullmq')
  const worker = new Worker(queueName, async ({ data }) => await work(data), { ...connectionOf(place), concurrency: tasksPerWorker })
  await worker.waitUntilReady()
  return worker
}
