import { beforeEach, describe, expect, it } from 'vitest'
import type { Gossip } from '../../actors/ports/gossip.ts'
import type { Transport } from '../../actors/ports/transport.ts'
import type { PeerId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { seededRandom } from '../../protocols/kernel/prng.ts'
import type { Envelope } from '../../protocols/wire.ts'
import { createVirtualDht, createVirtualDiscovery } from '../../sim/discovery-virtual-adapter.ts'
import { createVirtualGossip } from '../../sim/gossip-virtual-adapter.ts'
import { virtualPeerId } from '../../sim/identity-virtual-adapter.ts'
import { createVirtualTransport } from '../../sim/transport-virtual-adapter.ts'
import { createVirtualClock, type VirtualClock } from '../../sim/virtual-clock.ts'
import { createVirtualGossipMesh, type VirtualGossip } from '../../sim/virtual-gossip.ts'
import { createVirtualNetwork, type VirtualHost, type VirtualNetwork } from '../../sim/virtual-network.ts'

const [a, b, c] = [virtualPeerId('a'), virtualPeerId('b'), virtualPeerId('c')]
const goodbye = (reason: string): Envelope => ({ to: 'gateway', from: 'test', message: { kind: 'goodbye', reason } })
const reasonOf = (envelope: Envelope): string => (envelope.message.kind === 'goodbye' ? envelope.message.reason : envelope.message.kind)

interface Station {
  readonly host: VirtualHost
  readonly transport: Transport
  readonly gossip: Gossip
  readonly heard: string[]
}

let world: VirtualClock
let network: VirtualNetwork
let mesh: VirtualGossip

function start(peer: PeerId): Station {
  const host = network.join(peer)
  const transport = createVirtualTransport(host)
  const gossip = createVirtualGossip(host, mesh)
  const heard: string[] = []
  const nameOf = (other: PeerId): string => other.split('-')[1]!
  transport.onPeer((other, state) => heard.push(`${state} ${nameOf(other)}`))
  transport.onReceive((received) => heard.push(`${nameOf(received.peer)}: ${reasonOf(received.envelope)}`))
  transport.onUndelivered((other, envelope, reason) => heard.push(`undelivered ${nameOf(other)}: ${reasonOf(envelope)} (${reason})`))
  gossip.onGossip((topic, received) => heard.push(`${topic} ${nameOf(received.peer)}: ${reasonOf(received.envelope)}`))
  return { host, transport, gossip, heard }
}

function build(seed: [number, number]): void {
  world = createVirtualClock()
  const random = seededRandom(seed)
  network = createVirtualNetwork({ clock: world, random: random.split() })
  mesh = createVirtualGossipMesh(network, random.split())
}

beforeEach(() => build([1, 2]))

describe('the virtual transport', () => {
  it('dials by itself, says up before the first message and keeps the order', async () => {
    const [left, right] = [start(a), start(b)]
    for (let at = 0; at < 50; at++) left.transport.send(b, goodbye(String(at)))
    await world.runFor(100)
    expect(right.heard).toEqual(['up a', ...Array.from({ length: 50 }, (_, at) => `a: ${at}`)])
    expect(left.transport.connectedPeers()).toEqual([b])
    expect(network.counters(a)).toMatchObject({ framesSent: 1, messagesSent: 50 })
    expect(network.counters(b)).toMatchObject({ framesReceived: 1, messagesReceived: 50, bytesReceived: network.counters(a).bytesSent })
  })

  it('delivers to itself', async () => {
    const left = start(a)
    left.transport.send(a, goodbye('note'))
    expect(left.heard).toEqual([])
    await world.runFor(1)
    expect(left.heard).toEqual(['a: note'])
  })

  it('reports what cannot be delivered', async () => {
    const left = start(a)
    left.transport.send(b, goodbye('nobody'))
    start(b)
    network.crash(b)
    await world.runFor(10_000)
    expect(left.heard).toEqual(['undelivered b: nobody (the connection was refused)'])
    network.disconnect(a, c)
    start(c)
    left.transport.send(c, goodbye('cut'))
    await world.runFor(10_000)
    expect(left.heard.slice(1)).toEqual(['undelivered c: cut (the dial timed out)'])
  })

  it('loses what was sent into a cut link, notices after the detection time, and comes back', async () => {
    const [left, right] = [start(a), start(b)]
    network.connect(a, b)
    await world.runFor(100)
    network.disconnect(a, b)
    left.transport.send(b, goodbye('lost'))
    await world.runFor(1_000)
    expect(left.heard).toEqual(['up b'])
    await world.runFor(1_001)
    expect([left.heard, right.heard]).toEqual([['up b', 'down b'], ['up a', 'down a']])
    network.connect(a, b)
    left.transport.send(b, goodbye('back'))
    await world.runFor(100)
    expect(right.heard).toEqual(['up a', 'down a', 'up a', 'a: back'])
  })

  it('tells the peers of a crashed node soon, and its next life starts anew', async () => {
    const [left, right] = [start(a), start(b)]
    network.connectAll()
    await world.runFor(100)
    network.crash(b)
    right.transport.send(a, goodbye('from the grave'))
    await world.runFor(10)
    expect(left.heard).toEqual(['up b', 'down b'])
    const again = start(b)
    again.transport.send(a, goodbye('born again'))
    await world.runFor(100)
    expect(left.heard.slice(2)).toEqual(['up b', 'b: born again'])
    expect(right.heard).toEqual(['up a'])
  })

  it('says down and up again when a new life calls before the old one was missed', async () => {
    const left = start(a)
    start(b)
    network.connectAll()
    await world.runFor(100)
    network.disconnect(a, b)
    network.crash(b)
    const again = start(b)
    network.connect(a, b)
    await world.runFor(100)
    expect(left.heard).toEqual(['up b', 'down b', 'up b'])
    await world.runFor(10_000)
    expect(left.heard).toEqual(['up b', 'down b', 'up b'])
    expect(again.heard).toEqual(['up a'])
  })

  it('isolates a node from everybody and lets it rejoin', async () => {
    const stations = [start(a), start(b), start(c)]
    network.connectAll()
    await world.runFor(100)
    network.isolate(c)
    await world.runFor(7_000)
    expect(stations[0]!.transport.connectedPeers()).toEqual([b])
    expect(stations[2]!.transport.connectedPeers()).toEqual([])
    expect([network.reaches(a, b), network.reaches(a, c)]).toEqual([true, false])
    network.rejoin(c)
    await world.runFor(100)
    expect(stations[2]!.transport.connectedPeers()).toEqual([a, b])
  })

  it('surfaces a message outside the schema', async () => {
    const left = start(a)
    start(b)
    left.transport.send(b, goodbye('x'.repeat(281)))
    await expect(world.runFor(100)).rejects.toThrow('outside the schema')
  })

  it('splits what is over the frame limit and gives back a message that can never fit', async () => {
    const [left, right] = [start(a), start(b)]
    const report = (bytes: number): Envelope => ({ to: 'x', from: 'y', message: { kind: 'node-report', requestId: '1', report: 'x'.repeat(bytes) } })
    for (let at = 0; at < 3; at++) left.transport.send(b, report(limits.frameBytesMax / 2))
    left.transport.send(b, report(limits.frameBytesMax))
    await world.runFor(100)
    expect(right.heard).toEqual(['up a', 'a: node-report', 'a: node-report', 'a: node-report'])
    expect(left.heard[1]).toMatch(/^undelivered b: node-report \(a message of \d+ bytes is over the frame limit/)
  })

  it('is the same for the same seed and another for another', async () => {
    const run = async (seed: [number, number]): Promise<number[]> => {
      build(seed)
      const [left, right] = [start(a), start(b)]
      const arrivalsMs: number[] = []
      right.transport.onReceive(() => arrivalsMs.push(world.nowMs()))
      for (let at = 0; at < 20; at++) world.schedule(at * 10, () => left.transport.send(b, goodbye('tick')))
      await world.runFor(1_000)
      return arrivalsMs
    }
    const first = await run([7, 7])
    expect(first).toHaveLength(20)
    expect(await run([7, 7])).toEqual(first)
    expect(await run([7, 8])).not.toEqual(first)
  })
})

describe('the virtual gossip', () => {
  it('reaches subscribers, its own publisher included, over any path', async () => {
    const [left, middle, right] = [start(a), start(b), start(c)]
    network.connect(a, b)
    network.connect(b, c)
    await world.runFor(100)
    left.gossip.subscribe('news')
    right.gossip.subscribe('news')
    left.gossip.publish('news', goodbye('hello'))
    await world.runFor(100)
    expect(left.heard).toContain('news a: hello')
    expect(right.heard).toContain('news a: hello')
    expect(middle.heard).not.toContain('news a: hello')
    right.gossip.unsubscribe('news')
    network.disconnect(a, b)
    middle.gossip.subscribe('news')
    left.gossip.publish('news', goodbye('again'))
    await world.runFor(100)
    expect(right.heard).not.toContain('news a: again')
    expect(middle.heard).not.toContain('news a: again')
    expect(mesh.subscribers('news')).toEqual([a, b])
  })
})

describe('the virtual discovery', () => {
  it('finds providers, also the record of one that died', async () => {
    const dht = createVirtualDht()
    const [left, right, third] = [start(a), start(b), start(c)]
    network.connectAll()
    await world.runFor(100)
    const discoveries = [left, right, third].map((station) => createVirtualDiscovery(station.host, dht))
    discoveries[1]!.provide(['capability/x'])
    discoveries[2]!.provide(['capability/x', 'gpu/24GiB'])
    const find = async (key: string, max = 20, timeoutMs = 1_000): Promise<readonly PeerId[]> => {
      let found: readonly PeerId[] | undefined
      void discoveries[0]!.findProviders(key, max, timeoutMs).then((peers) => (found = peers))
      await world.runUntil(() => found !== undefined)
      return [...found!].sort()
    }
    expect(await find('capability/x')).toEqual([b, c])
    expect(await find('capability/x', 1)).toHaveLength(1)
    expect(await find('capability/y')).toEqual([])
    expect(await find('capability/x', 20, 1)).toEqual([])
    network.crash(b)
    await world.runFor(1)
    expect(await find('capability/x')).toEqual([b, c])
  })
})
