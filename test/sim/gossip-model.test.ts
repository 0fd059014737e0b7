/** The model of gossipsub: its overlay, what it repairs, what it counts, what it costs. */
import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../protocols/kernel/prng.ts'
import { encodeFrame, type Received } from '../../protocols/wire.ts'
import { createVirtualDht } from '../../sim/discovery-virtual-adapter.ts'
import { createVirtualGossip } from '../../sim/gossip-virtual-adapter.ts'
import { virtualPeerId } from '../../sim/identity-virtual-adapter.ts'
import { createVirtualClock } from '../../sim/virtual-clock.ts'
import { createVirtualGossipMesh } from '../../sim/virtual-gossip.ts'
import { createVirtualNetwork } from '../../sim/virtual-network.ts'
import { note, textOf } from '../contracts/transport.ts'

function world(count: number, options: { readonly seed?: number; readonly lossFraction?: number; readonly nodesExpected?: number } = {}) {
  const random = seededRandom([options.seed ?? 1, 2])
  const clock = createVirtualClock()
  const network = createVirtualNetwork({ clock, random: random.split(), gossipLossFraction: options.lossFraction ?? 0 })
  const dht = createVirtualDht()
  const mesh = createVirtualGossipMesh(network, random.split(), { dht, nodesExpected: options.nodesExpected ?? count })
  const nodes = Array.from({ length: count }, (_, index) => {
    const host = network.join(virtualPeerId(`n${index}`))
    const gossip = createVirtualGossip(host, mesh)
    const heard: string[] = []
    const received: Received[] = []
    gossip.onGossip((_topic, one) => {
      heard.push(textOf(one))
      received.push(one)
    })
    return { host, gossip, heard, received, peer: host.peer }
  })
  return { clock, network, dht, mesh, nodes }
}

async function connected(count: number, options: Parameters<typeof world>[1] = {}) {
  const made = world(count, options)
  made.network.connectAll()
  await made.clock.runFor(100)
  return made
}

describe('the overlay of a topic', () => {
  it('keeps every degree in its bounds, both ways', async () => {
    const { clock, mesh, nodes } = await connected(40)
    for (const { gossip } of nodes) gossip.subscribe('news')
    await clock.runFor(5_000)
    for (const { peer } of nodes) {
      const peers = mesh.meshPeers('news', peer)
      expect(peers.length).toBeGreaterThanOrEqual(4)
      expect(peers.length).toBeLessThanOrEqual(12)
      for (const other of peers) expect(mesh.meshPeers('news', other)).toContain(peer)
    }
    expect(mesh.totals().graftSent).toBeGreaterThan(40)
  })

  it('closes over those who leave and those who die', async () => {
    const { clock, network, mesh, nodes } = await connected(20)
    for (const { gossip } of nodes) gossip.subscribe('news')
    await clock.runFor(3_000)
    for (const node of nodes.slice(0, 5)) node.gossip.unsubscribe('news')
    for (const node of nodes.slice(5, 10)) network.crash(node.peer)
    await clock.runFor(3_000)
    expect(mesh.subscribers('news')).toEqual(nodes.slice(10).map(({ peer }) => peer).sort())
    for (const { peer } of nodes.slice(10)) {
      expect(mesh.meshPeers('news', peer).length).toBeGreaterThanOrEqual(3)
      for (const { peer: gone } of nodes.slice(0, 10)) expect(mesh.meshPeers('news', peer)).not.toContain(gone)
    }
    nodes[12]!.gossip.publish('news', note('after'))
    await clock.runFor(50)
    expect(nodes.filter(({ heard }) => heard.includes('after'))).toHaveLength(10)
  })

  it('does nothing while nothing is to be done', async () => {
    const { clock, nodes } = await connected(10)
    for (const { gossip } of nodes) gossip.subscribe('news')
    nodes[0]!.gossip.publish('news', note('one'))
    await clock.runFor(10_000)
    expect(await clock.step()).toBe(false)
  })
})

describe('a message', () => {
  it('comes once to everybody; what came again is counted', async () => {
    const { clock, mesh, nodes } = await connected(30)
    for (const { gossip } of nodes) gossip.subscribe('news')
    await clock.runFor(3_000)
    nodes[3]!.gossip.publish('news', note('one'))
    await clock.runFor(100)
    for (const { heard } of nodes) expect(heard).toEqual(['one'])
    const sum = mesh.totals()
    expect(sum).toMatchObject({ gossipPublished: 1, gossipReceived: 29, iwantSent: 0 })
    expect(sum.gossipDuplicates).toBeGreaterThan(29 * 3)
    expect(sum.gossipSent).toBe(sum.gossipReceived + sum.gossipDuplicates)
    expect(sum.gossipBytesSent).toBe(sum.gossipBytesReceived)
    // Flood publishing: its own messages go to every listener.
    expect(mesh.counters(nodes[3]!.peer).gossipSent).toBe(29)
  })

  it('is decoded once, whoever hears it', async () => {
    const { clock, nodes } = await connected(10)
    for (const { gossip } of nodes) gossip.subscribe('news')
    nodes[0]!.gossip.publish('news', note('one'))
    await clock.runFor(100)
    expect(new Set(nodes.map(({ received }) => received[0]))).toHaveProperty('size', 1)
  })

  it('that gets lost is fetched at a heartbeat', async () => {
    const { clock, mesh, nodes } = await connected(30, { lossFraction: 0.4 })
    for (const { gossip } of nodes) gossip.subscribe('news')
    await clock.runFor(3_000)
    for (let index = 0; index < 20; index++) nodes[index]!.gossip.publish('news', note(`text ${index}`))
    await clock.runFor(100)
    const soon = nodes.reduce((sum, { heard }) => sum + heard.length, 0)
    expect(soon).toBeLessThan(600)
    await clock.runFor(5_000)
    expect(nodes.reduce((sum, { heard }) => sum + new Set(heard).size, 0)).toBe(600)
    expect(nodes.reduce((sum, { heard }) => sum + heard.length, 0)).toBe(600)
    expect(mesh.totals().iwantSent).toBeGreaterThan(0)
  })

  it('of which mesh peers were told is not sent to them again', async () => {
    const { clock, network, mesh, nodes } = await connected(30)
    for (const { gossip } of nodes) gossip.subscribe('news')
    await clock.runFor(3_000)
    const publish = async (dataBytes: number): Promise<number> => {
      const before = mesh.totals().gossipSent
      nodes[0]!.gossip.publish('news', { ...note('large'), to: 'x'.repeat(dataBytes) })
      await clock.runFor(100)
      return mesh.totals().gossipSent - before
    }
    const small = await publish(100)
    expect(mesh.totals().idontwantSent).toBe(0)
    expect(await publish(700)).toBeLessThan(small)
    expect(mesh.totals().idontwantSent).toBeGreaterThan(29)
    expect(network.totals().gossipPublished).toBe(2)
  })

  it('waits for a process that sleeps, and is not passed on by it', async () => {
    const { clock, network, nodes } = await connected(10)
    for (const { gossip } of nodes) gossip.subscribe('news')
    await clock.runFor(3_000)
    network.pause(nodes[4]!.peer)
    nodes[0]!.gossip.publish('news', note('one'))
    await clock.runFor(1_000)
    expect(nodes[4]!.heard).toEqual([])
    network.resume(nodes[4]!.peer)
    await clock.runFor(1_000)
    expect(nodes[4]!.heard).toEqual(['one'])
  })

  it('does not cross a partition, and catches up if that heals within the window', async () => {
    const { clock, network, nodes } = await connected(10)
    for (const { gossip } of nodes) gossip.subscribe('news')
    await clock.runFor(3_000)
    const heal = network.partition(nodes.slice(0, 5).map(({ peer }) => peer), nodes.slice(5).map(({ peer }) => peer))
    nodes[0]!.gossip.publish('news', note('one'))
    await clock.runFor(1_200)
    expect(nodes.filter(({ heard }) => heard.length > 0)).toHaveLength(5)
    heal()
    await clock.runFor(4_000)
    expect(nodes.filter(({ heard }) => heard.length > 0)).toHaveLength(10)
  })

  it('goes the same way under the same seed', async () => {
    const run = async (seed: number): Promise<unknown> => {
      const { clock, mesh, nodes } = await connected(25, { seed, lossFraction: 0.2 })
      for (const { gossip } of nodes) gossip.subscribe('news')
      await clock.runFor(2_000)
      for (const { gossip, peer } of nodes) gossip.publish('news', note(peer))
      await clock.runFor(5_000)
      return [mesh.totals(), nodes.map(({ heard }) => heard)]
    }
    const first = await run(5)
    expect(await run(5)).toEqual(first)
    expect(await run(6)).not.toEqual(first)
  })
})

describe('a mesh in which nobody knows everybody', () => {
  async function sparse(count: number) {
    const made = world(count, { nodesExpected: 1_000 })
    for (const { peer } of made.nodes) made.network.connectNewcomer(peer, 8)
    await made.clock.runFor(1_000)
    return made
  }

  it('brings the subscribers of a topic together', async () => {
    const { clock, dht, mesh, nodes } = await sparse(200)
    const listeners = nodes.filter((_, index) => index % 10 === 0)
    for (const { gossip } of listeners) gossip.subscribe('shard')
    await clock.runFor(30_000)
    for (const { peer } of listeners) expect(mesh.meshPeers('shard', peer).length).toBeGreaterThanOrEqual(4)
    listeners[0]!.gossip.publish('shard', note('one'))
    await clock.runFor(3_000)
    for (const { heard } of listeners) expect(heard).toEqual(['one'])
    expect(dht.totals().addProviderSent).toBeGreaterThan(0)
  })

  it('finds listeners for who publishes where no neighbour listens', async () => {
    const { clock, nodes } = await sparse(200)
    const listeners = nodes.filter((_, index) => index % 40 === 0)
    for (const { gossip } of listeners) gossip.subscribe('shard')
    await clock.runFor(30_000)
    const stranger = nodes.find(({ host }) => !listeners.some(({ peer }) => host.isConnected(peer)))!
    stranger.gossip.publish('shard', note('from outside'))
    await clock.runFor(3_000)
    for (const { heard } of listeners) expect(heard).toEqual(['from outside'])
  })

  it('asks nobody while all are connected', async () => {
    const { clock, dht, nodes } = await connected(10)
    const before = dht.totals()
    for (const { gossip } of nodes.slice(0, 2)) gossip.subscribe('shard')
    nodes[5]!.gossip.publish('elsewhere', note('nobody'))
    await clock.runFor(10_000)
    expect(dht.totals()).toMatchObject({ finds: before.finds, provides: before.provides })
  })
})

describe('a frame outside the schema', () => {
  it('is refused by everybody who hears it', async () => {
    const { clock, network, mesh, nodes } = await connected(4)
    const refused: string[] = []
    const listener = createVirtualGossip(network.join(virtualPeerId('strict')), mesh, { onViolation: (from) => refused.push(from) })
    network.connect(virtualPeerId('strict'), nodes[0]!.peer)
    await clock.runFor(100)
    listener.subscribe('news')
    mesh.publish(nodes[0]!.host, 'news', encodeFrame([{ nonsense: true }] as never))
    await clock.runFor(100)
    expect(refused).toEqual([nodes[0]!.peer])
  })
})
