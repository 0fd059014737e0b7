/** The scenario on real libp2p nodes of one process, with sockets on loopback and the production settings and adapters. */
import { setTimeout as sleep } from 'node:timers/promises'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PeerId } from '@libp2p/interface'
import { createDhtDiscovery } from '../../../node/libp2p/discovery-dht-adapter.ts'
import { createLibp2pGossip } from '../../../node/libp2p/gossip-libp2p-adapter.ts'
import { createLibp2pNode, type MeshLibp2p } from '../../../node/libp2p/libp2p-node.ts'
import { fingerprintOf, type MeshKey } from '../../../node/mesh-key.ts'
import { deliveriesDue, publications, scenario, type Counts } from './scenario.ts'
import { emptyTally, tapNode } from './taps.ts'

const patienceMs = 300_000
const prefix = (meshKey: MeshKey): string => `skein/${fingerprintOf(meshKey)}/`

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + patienceMs
  while (!holds()) {
    if (performance.now() > deadlineMs) throw new Error(`${what} did not happen within ${patienceMs} ms`)
    await sleep(20)
  }
}

async function startNode(meshKey: MeshKey, tally: ReturnType<typeof emptyTally>) {
  const telemetry = { record: () => undefined }
  const libp2p = await createLibp2pNode({
    privateKey: await generateKeyPair('Ed25519'), meshKey, listen: ['/ip4/127.0.0.1/tcp/0'], announce: [], mdns: false, nodesExpected: scenario.nodes,
    // Twenty nodes share one loop: a slow answer is no hung peer here.
    hungPeerMs: 30_000, connectionGater: { denyDialMultiaddr: () => false },
  })
  tapNode(libp2p, tally)
  const gossip = createLibp2pGossip({ libp2p, telemetry, meshFingerprint: fingerprintOf(meshKey) })
  const discovery = createDhtDiscovery({ libp2p, telemetry })
  gossip.start()
  discovery.start()
  await libp2p.start()
  // A ping per connection and second says nothing about gossip, and takes most of a processor with 380 connection ends.
  await stopMonitor(libp2p)
  return {
    libp2p, gossip, discovery,
    async stop() {
      await discovery.stop()
      gossip.stop()
      await libp2p.stop()
    },
  }
}

/** @param say hears how far it is. */
export async function runReal(say: (text: string) => void = () => undefined): Promise<Counts> {
  const meshKey = 'b5'.repeat(32) as MeshKey
  const tally = emptyTally()
  const nodes: Awaited<ReturnType<typeof startNode>>[] = []
  let delivered = 0
  try {
    for (let index = 0; index < scenario.nodes; index++) {
      const node = await startNode(meshKey, tally)
      // One after the other: twenty at once on one loop are late for their own time limits, and try again ever later.
      for (const { libp2p } of nodes) await node.libp2p.dial(libp2p.getMultiaddrs()[0]!)
      const self = node.libp2p.peerId.toString()
      node.gossip.onGossip((_topic, { peer }) => void (peer === self ? 0 : delivered++))
      nodes.push(node)
    }
    const others = scenario.nodes - 1
    await until('that all are connected', () => nodes.every(({ libp2p }) => libp2p.getPeers().length === others && streams(libp2p.services.gossip) === others))
    await fillTables(nodes.map(({ libp2p }) => libp2p))
    say('all are connected')
    // Their searches for themselves are over then.
    await quiet(() => tally.findNode)
    const before = { ...tally }

    for (const index of scenario.subscribing) {
      for (const topic of scenario.subscribesTo(index)) nodes[index]!.gossip.subscribe(topic)
      await sleep(scenario.subscribeEveryMs)
    }
    await until('that all know the subscriptions', () => nodes.every((node, index) => scenario.topics.every((topic) => {
      const listeners = nodes.filter((_, other) => other !== index && scenario.subscribesTo(other).includes(topic)).length
      return node.libp2p.services.gossip.getSubscribers(prefix(meshKey) + topic).length === listeners
    })))
    await sleep(scenario.settleMs)

    const startMs = performance.now()
    for (const { atMs, node, topic, envelope } of publications) {
      await sleep(Math.max(0, startMs + atMs - performance.now()))
      nodes[node]!.gossip.publish(topic, envelope)
    }
    say(`published, ${Math.round(performance.now() - startMs)} ms`)
    await until('that all is delivered', () => delivered >= deliveriesDue())
    await sleep(scenario.drainMs)
    await quiet(() => tally.ihave + tally.messages)

    // One node at a time: when all ask at once, a busy loop is late for the DHT's own time limits, and late peers are not told.
    for (const [index, node] of nodes.entries()) {
      if (scenario.keysOf(index).length === 0) continue
      node.discovery.provide(scenario.keysOf(index))
      await quiet(() => tally.addProvider + tally.findNode, 500)
    }
    await quiet(() => tally.addProvider + tally.findNode)
    for (const { node, key, max } of scenario.finds) await nodes[node]!.discovery.findProviders(key, max, 30_000)
    await quiet(() => tally.dhtReplies)
    say('found')

    const counts = Object.fromEntries(Object.entries(tally).map(([name, count]) => [name, count - before[name as keyof typeof before]])) as typeof tally
    return { ...counts, delivered, duplicates: counts.messages - delivered }
  } finally {
    await Promise.allSettled(nodes.map((node) => node.stop()))
  }
}

async function stopMonitor(libp2p: unknown): Promise<void> {
  await (libp2p as { readonly components: { readonly connectionMonitor: { stop(): Promise<void> | void } } }).components.connectionMonitor.stop()
}

/** Until a count has stood still for some time. */
async function quiet(count: () => number, stillMs = 2_000): Promise<void> {
  let last = count()
  let sinceMs = performance.now()
  await until('quiet', () => {
    if (count() !== last) {
      last = count()
      sinceMs = performance.now()
    }
    return performance.now() - sinceMs > stillMs
  })
}

function streams(gossip: unknown): number {
  return (gossip as { readonly streamsOutbound: ReadonlyMap<string, unknown> }).streamsOutbound.size
}

/** A peer whose first ping was late is in nobody's table, on a busy machine: it is pinged again. */
async function fillTables(all: readonly MeshLibp2p[]): Promise<void> {
  for (const { services, peerId } of all) {
    const { routingTable } = services.dht as unknown as { readonly routingTable: { readonly size: number; add(peer: PeerId): Promise<void> } }
    for (let round = 0; routingTable.size < all.length - 1; round++) {
      if (round > 20) throw new Error(`the routing table of ${peerId.toString()} stays at ${routingTable.size} peers`)
      for (const other of all) if (!other.peerId.equals(peerId)) await routingTable.add(other.peerId)
    }
  }
}
