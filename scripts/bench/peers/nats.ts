/** NATS: request and reply within a group of workers, and the same over a work queue of JetStream that is kept in files. */
import { tasksPerWorker, workerCount } from '../tasks/system.ts'
import type { Load, PeerInput, PeerPlace, PeerWorker, Submitter, Work } from './load.ts'

interface Message {
  readonly subject: string
  readonly data: Uint8Array
  json<Value>(): Value
  respond(payload: string): boolean
}
interface StreamMessage extends Message { ack(): void }
interface Connection {
  request(subject: string, payload: string, options: { timeout: number }): Promise<Message>
  publish(subject: string, payload: string): void
  subscribe(subject: string, options: { queue?: string; callback(error: Error | null, message: Message): void }): unknown
  flush(): Promise<void>
  close(): Promise<void>
}
interface Transport { connect(options: { servers: string }): Promise<Connection> }
interface JetStream {
  publish(subject: string, payload: string): Promise<unknown>
  readonly consumers: { get(stream: string, durable: string): Promise<{ consume(options: { max_messages: number; callback(message: StreamMessage): void }): Promise<{ close(): Promise<unknown> }> }> }
}
interface JetStreamPackage {
  jetstream(connection: Connection): JetStream
  jetstreamManager(connection: Connection): Promise<{
    readonly streams: { add(config: object): Promise<unknown>; info(name: string): Promise<unknown> }
    readonly consumers: { add(stream: string, config: object): Promise<unknown>; info(stream: string, durable: string): Promise<unknown> }
  }>
}

const subject = 'bench.task'
const group = 'workers'
const stream = 'BENCH'
const patienceMs = 60_000

const connectTo = ({ ports: [port = 0] }: PeerPlace, load: Load): Promise<Connection> => load<Transport>('@nats-io/transport-node').connect({ servers: `127.0.0.1:${port}` })

export async function submitTo(place: PeerPlace, load: Load): Promise<Submitter> {
  const connection = await connectTo(place, load)
  if (place.peer === 'nats') {
    return { submit: async (input) => Number((await connection.request(subject, JSON.stringify(input), { timeout: patienceMs })).json()), close: () => connection.close() }
  }
  const { jetstream, jetstreamManager } = load<JetStreamPackage>('@nats-io/jetstream')
  const manager = await jetstreamManager(connection)
  await manager.streams.add({ name: stream, subjects: [subject], storage: 'file', retention: 'workqueue' })
  await manager.consumers.add(stream, { durable_name: group, ack_policy: 'explicit', max_ack_pending: tasksPerWorker * workerCount })
  const queue = jetstream(connection)
  const inbox = `results.${crypto.randomUUID()}`
  const waiting = new Map<string, (value: number) => void>()
  connection.subscribe(`${inbox}.*`, {
    callback(_error, message) {
      const id = message.subject.slice(inbox.length + 1)
      waiting.get(id)?.(Number(message.json()))
      waiting.delete(id)
    },
  })
  await connection.flush()
  let tasks = 0
  return {
    async submit(input) {
      const id = String(++tasks)
      const result = new Promise<number>((resolve) => waiting.set(id, resolve))
      await queue.publish(subject, JSON.stringify({ ...input, replyTo: `${inbox}.${id}` }))
      return await result
    },
    close: () => connection.close(),
  }
}

export async function workFor(place: PeerPlace, load: Load, work: Work): Promise<PeerWorker> {
  const connection = await connectTo(place, load)
  if (place.peer === 'nats') {
    connection.subscribe(subject, { queue: group, callback: (_error, message) => void Promise.resolve(work(message.json<PeerInput>())).then((value) => message.respond(JSON.stringify(value))) })
    await connection.flush()
    return connection
  }
  const consumer = await load<JetStreamPackage>('@nats-io/jetstream').jetstream(connection).consumers.get(stream, group)
  await consumer.consume({
    max_messages: tasksPerWorker,
    callback(message) {
      const { replyTo, ...input } = message.json<PeerInput & { replyTo: string }>()
      void Promise.resolve(work(input)).then((value) => {
        connection.publish(replyTo, JSON.stringify(value))
        message.ack()
      })
    },
  })
  return connection
}
