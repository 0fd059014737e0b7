/** The model of kad-dht: where records lie, when they end, what a lookup costs. */
import { describe, expect, it } from 'vitest'
import type { PeerId } from '../../protocols/kernel/ids.ts'
import { seededRandom } from '../../protocols/kernel/prng.ts'
import { createKeySpace, placeOf } from '../../sim/dht/key-space.ts'
import { lookupCost } from '../../sim/dht/lookup-cost.ts'
import { createVirtualDht, createVirtualDiscovery } from '../../sim/discovery-virtual-adapter.ts'
import { virtualPeerId } from '../../sim/identity-virtual-adapter.ts'
import { createVirtualClock } from '../../sim/virtual-clock.ts'
import { createVirtualNetwork } from '../../sim/virtual-network.ts'

async function world(count: number) {
  const clock = createVirtualClock()
  const network = createVirtualNetwork({ clock, random: seededRandom([3, 4]) })
  const dht = createVirtualDht()
  const nodes = Array.from({ length: count }, (_, index) => {
    const host = network.join(virtualPeerId(`n${index}`))
    return { host, peer: host.peer, discovery: createVirtualDiscovery(host, dht) }
  })
  for (const { peer } of nodes) network.connectNewcomer(peer, 100, true)
  await clock.runFor(2_000)
  async function find(index: number, key: string, max = 20): Promise<readonly PeerId[]> {
    let found: readonly PeerId[] | undefined
    void nodes[index]!.discovery.findProviders(key, max, 5_000).then((peers) => (found = peers))
    await clock.runUntil(() => found !== undefined)
    return found!
  }
  return { clock, network, dht, nodes, find }
}

describe('the key space', () => {
  it('gives the closest by XOR, whatever comes and goes', () => {
    const random = seededRandom([1, 1])
    const space = createKeySpace<{ readonly at: number }>()
    const items = Array.from({ length: 500 }, () => ({ at: random.below(0x1_0000_0000) }))
    for (const item of items) space.add(item)
    for (const item of items.splice(0, 200)) space.remove(item)
    expect(space.size).toBe(300)
    for (let round = 0; round < 50; round++) {
      const at = random.below(0x1_0000_0000)
      const expected = items.toSorted((left, right) => ((left.at ^ at) >>> 0) - ((right.at ^ at) >>> 0)).slice(0, 20)
      expect(space.closest(at, 20)).toEqual(expected)
    }
  })
})

describe('a lookup', () => {
  it('asks the k closest while tables hold everybody, and more in more rounds beyond', () => {
    expect(lookupCost(1)).toEqual({ asked: 0, rounds: 1 })
    expect(lookupCost(10)).toEqual({ asked: 9, rounds: 1 })
    expect(lookupCost(1_000)).toEqual({ asked: 20, rounds: 1 })
    expect(lookupCost(10_000).asked).toBeGreaterThan(lookupCost(3_000).asked)
    expect(lookupCost(10_000).rounds).toBeGreaterThan(1)
  })

  it('is counted: k requests and answers, then k records', async () => {
    const { clock, dht, nodes, find } = await world(60)
    const before = dht.totals()
    nodes[0]!.discovery.provide(['capability/x'])
    await clock.runFor(3_000)
    const told = dht.totals()
    expect(told.findNodeSent - before.findNodeSent).toBe(20)
    expect(told.addProviderSent - before.addProviderSent).toBe(20)
    expect(told.repliesSent - before.repliesSent).toBe(20)
    expect(dht.counters(nodes[0]!.peer).addProviderSent).toBe(20)
    expect(await find(1, 'capability/none')).toEqual([])
    expect(dht.totals().getProvidersSent - told.getProvidersSent).toBe(20)
    expect(dht.totals().dhtBytes).toBeGreaterThan(told.dhtBytes + 20 * 20 * 40)
  })

  it('is counted for what nobody asked for', async () => {
    const { clock, dht } = await world(30)
    const before = dht.totals().findNodeSent
    await clock.runFor(5 * 60_000)
    expect(dht.totals().findNodeSent - before).toBe(30 * 2 * 20)
  })
})

describe('a record', () => {
  it('lies with the k closest, outlives its provider and ends with its holders', async () => {
    const { clock, network, nodes, find } = await world(80)
    nodes[0]!.discovery.provide(['capability/x'])
    await clock.runFor(3_000)
    network.crash(nodes[0]!.peer)
    await clock.runFor(1_000)
    expect(await find(1, 'capability/x')).toEqual([nodes[0]!.peer])
    const at = placeOf('capability/x')
    const byDistance = nodes.slice(1).toSorted((left, right) => ((placeOf(left.peer) ^ at) >>> 0) - ((placeOf(right.peer) ^ at) >>> 0))
    const farthest = nodes.indexOf(byDistance.at(-1)!)
    for (const { peer } of byDistance.slice(0, 20)) network.crash(peer)
    await clock.runFor(1_000)
    expect(await find(farthest, 'capability/x')).toEqual([])
  })

  it('is told again in time, and ends an hour after it was told last', async () => {
    const { clock, network, nodes, find } = await world(30)
    nodes[0]!.discovery.provide(['capability/x'])
    await clock.runFor(2 * 60 * 60_000)
    expect(await find(1, 'capability/x')).toEqual([nodes[0]!.peer])
    network.crash(nodes[0]!.peer)
    await clock.runFor(45 * 60_000)
    expect(await find(1, 'capability/x')).toEqual([nodes[0]!.peer])
    await clock.runFor(20 * 60_000)
    expect(await find(1, 'capability/x')).toEqual([])
  })

  it('outlives its withdrawal as well', async () => {
    const { clock, nodes, find } = await world(30)
    nodes[0]!.discovery.provide(['capability/x'])
    await clock.runFor(3_000)
    nodes[0]!.discovery.provide([])
    expect(await find(1, 'capability/x')).toEqual([nodes[0]!.peer])
  })
})
