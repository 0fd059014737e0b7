/** Moleculer: services that call one another directly over its own TCP transporter, without a broker. */
import { until } from '../replication/figures.ts'
import { workerCount } from '../tasks/system.ts'
import type { Load, PeerInput, PeerPlace, PeerWorker, Submitter, Work } from './load.ts'

interface Broker {
  createService(schema: object): unknown
  start(): Promise<void>
  stop(): Promise<void>
  call(action: string, input: PeerInput): Promise<number>
  readonly registry: { getNodeList(options: { onlyAvailable: boolean; withServices: boolean }): readonly { readonly services?: readonly { readonly name: string }[] }[] }
}
interface Moleculer { readonly ServiceBroker: new (options: object) => Broker }

const nodeName = (number: number): string => `node-${number}`

function brokerOf({ ports }: PeerPlace, load: Load, number: number): Broker {
  const { ServiceBroker } = load<Moleculer>('moleculer')
  // Told where the others are: what is measured is calls, not discovery by multicast.
  const urls = ports.map((port, index) => `127.0.0.1:${port}/${nodeName(index)}`)
  return new ServiceBroker({ nodeID: nodeName(number), logger: false, metrics: false, tracing: false, requestTimeout: 0, transporter: { type: 'TCP', options: { udpDiscovery: false, port: ports[number], urls } } })
}

export async function submitTo(place: PeerPlace, load: Load): Promise<Submitter> {
  const broker = brokerOf(place, load, 0)
  await broker.start()
  return {
    async submit(input) {
      return await broker.call('bench.task', input)
    },
    // Without it all calls would go to the first worker that is found.
    async workersKnown() {
      await until('that the submitter knows all workers', () => broker.registry.getNodeList({ onlyAvailable: true, withServices: true }).filter(({ services = [] }) => services.some(({ name }) => name === 'bench')).length >= workerCount || undefined, 30_000)
    },
    close: () => broker.stop(),
  }
}

export async function workFor(place: PeerPlace, load: Load, work: Work, number: number): Promise<PeerWorker> {
  const broker = brokerOf(place, load, number)
  broker.createService({ name: 'bench', actions: { task: ({ params }: { params: PeerInput }) => work(params) } })
  await broker.start()
  return { close: () => broker.stop() }
}
