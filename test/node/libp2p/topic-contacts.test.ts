/** Listeners that find each other through the DHT, over real libp2p. */
import { afterEach, beforeEach, expect, it } from 'vitest'
import { note, textOf } from '../../contracts/transport.ts'
import { until } from '../../support/until.ts'
import { createTestMesh, type TestHost, type TestMesh } from './mesh-fixture.ts'

let mesh: TestMesh

beforeEach(() => {
  mesh = createTestMesh()
})
afterEach(() => mesh.stop())

function listen(host: TestHost, topic: string): string[] {
  const heard: string[] = []
  host.gossip.onGossip((_topic, received) => heard.push(textOf(received)))
  host.gossip.subscribe(topic)
  return heard
}

const soughtBy = (host: TestHost): number => host.facts.filter(({ name }) => name === 'gossip.contacts-sought').length

/** A hub and some nodes that dial nobody but it: whoever wants more must look for them. */
async function star(points: number, connectionsAimed: number): Promise<TestHost[]> {
  const hosts = [await mesh.addHost({ connectionsAimed })]
  for (let point = 0; point < points; point++) hosts.push(await mesh.addHost({ connectionsAimed }))
  await until(() => hosts.slice(1).every((host) => host.connections().length > 0), { what: 'that all have dialled the hub' })
  return hosts
}

it('brings a publication from where no neighbour listens to those who do', async () => {
  const hosts = await star(3, 1)
  const listeners = hosts.slice(1, 3).map((host) => ({ host, heard: listen(host, 'shard') }))
  await until(async () => (await hosts[0]!.discovery.findProviders('topic/shard', 10, 5_000)).length === 2, { what: 'that the listeners are in the DHT' })
  const publisher = hosts[3]!
  let count = 0
  await until(() => {
    publisher.gossip.publish('shard', note(`text ${++count}`))
    return listeners.every(({ heard }) => heard.length > 0)
  }, { what: 'that the listeners hear', everyMs: 200 })
  await until(() => listeners.every(({ host }) => soughtBy(host) > 0), { what: 'that the listeners looked for each other' })
})

it('does nothing in a mesh where all can be connected', async () => {
  const hosts = await star(2, 128)
  const heard = listen(hosts[1]!, 'shard')
  let count = 0
  await until(() => {
    hosts[2]!.gossip.publish('shard', note(`text ${++count}`))
    hosts[2]!.gossip.publish('nobody listens', note('hello?'))
    return heard.length > 0
  }, { what: 'that the listener hears', everyMs: 200 })
  expect(await hosts[0]!.discovery.findProviders('topic/shard', 10, 2_000)).toEqual([])
  expect(hosts.map(soughtBy)).toEqual([0, 0, 0])
})
