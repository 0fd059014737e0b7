/** The scenario on the simulator's network. */
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import { createVirtualDht, createVirtualDiscovery } from '../../../sim/discovery-virtual-adapter.ts'
import { createVirtualGossip } from '../../../sim/gossip-virtual-adapter.ts'
import { virtualPeerId } from '../../../sim/identity-virtual-adapter.ts'
import { createVirtualClock } from '../../../sim/virtual-clock.ts'
import { createVirtualGossipMesh } from '../../../sim/virtual-gossip.ts'
import { createVirtualNetwork } from '../../../sim/virtual-network.ts'
import { publications, scenario, type Counts } from './scenario.ts'

export async function runVirtual(seed: number): Promise<Counts> {
  const random = seededRandom([seed, 20])
  const clock = createVirtualClock()
  const network = createVirtualNetwork({ clock, random: random.split() })
  const dht = createVirtualDht()
  const mesh = createVirtualGossipMesh(network, random.split(), { nodesExpected: scenario.nodes, dht })
  const nodes = Array.from({ length: scenario.nodes }, (_, index) => {
    const host = network.join(virtualPeerId(`n${index}`))
    return { gossip: createVirtualGossip(host, mesh), discovery: createVirtualDiscovery(host, dht) }
  })
  network.connectAll()
  await clock.runFor(5_000)
  const dhtBefore = dht.totals()

  for (const index of scenario.subscribing) {
    for (const topic of scenario.subscribesTo(index)) nodes[index]!.gossip.subscribe(topic)
    await clock.runFor(scenario.subscribeEveryMs)
  }
  await clock.runFor(scenario.settleMs)

  for (const { atMs, node, topic, envelope } of publications) clock.schedule(atMs, () => nodes[node]!.gossip.publish(topic, envelope))
  await clock.runFor(publications.at(-1)!.atMs + scenario.drainMs)

  for (const [index, node] of nodes.entries()) node.discovery.provide(scenario.keysOf(index))
  await clock.runFor(5_000)
  for (const { node, key, max } of scenario.finds) {
    let isFound = false
    void nodes[node]!.discovery.findProviders(key, max, 5_000).then(() => (isFound = true))
    await clock.runUntil(() => isFound)
  }

  const gossip = mesh.totals()
  const told = dht.totals()
  return {
    subscriptions: gossip.subscriptionsSent, graft: gossip.graftSent, prune: gossip.pruneSent,
    messages: gossip.gossipSent, delivered: gossip.gossipReceived, duplicates: gossip.gossipDuplicates, messageBytes: gossip.gossipBytesReceived,
    ihave: gossip.ihaveSent, iwant: gossip.iwantSent, idontwant: gossip.idontwantSent,
    findNode: told.findNodeSent - dhtBefore.findNodeSent, addProvider: told.addProviderSent - dhtBefore.addProviderSent, getProviders: told.getProvidersSent - dhtBefore.getProvidersSent,
    dhtReplies: told.repliesSent - dhtBefore.repliesSent, dhtBytes: told.dhtBytes - dhtBefore.dhtBytes,
  }
}
