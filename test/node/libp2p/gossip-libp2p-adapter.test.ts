import type { GossipSub } from '@libp2p/gossipsub'
import { multiaddr } from '@multiformats/multiaddr'
import { describe, expect, it } from 'vitest'
import { fingerprintOf } from '../../../node/mesh-key.ts'
import { encodeFrame } from '../../../protocols/wire.ts'
import { gossipContract } from '../../contracts/gossip.ts'
import { note, textOf } from '../../contracts/transport.ts'
import { createTestMesh, waitUntil } from './mesh-fixture.ts'

gossipContract('gossip-libp2p-adapter', async () => {
  const mesh = createTestMesh()
  const nodes = [await mesh.addHost()]
  for (let more = 0; more < 4; more++) nodes.push(await mesh.addHost())
  return { nodes, waitUntil, stop: () => mesh.stop() }
})

describe('gossip-libp2p-adapter among strangers', () => {
  it('passes on nothing that cannot be read', async () => {
    const mesh = createTestMesh()
    try {
      const host = await mesh.addHost()
      const heard: string[] = []
      host.gossip.onGossip((topic, received) => heard.push(`${topic}: ${textOf(received)}`))
      host.gossip.subscribe('news')
      const raw = await mesh.addRawPeer()
      await raw.dial(host.addrs().map((addr) => multiaddr(addr)))
      const gossip: GossipSub = raw.services.gossip
      const topic = `skein/${fingerprintOf(mesh.meshKey)}/news`
      await waitUntil(() => gossip.getSubscribers(topic).length === 1, 'the subscription')
      await gossip.publish(topic, Uint8Array.of(0xc1, 1, 2))
      await gossip.publish(topic, encodeFrame([note('readable')]))
      await waitUntil(() => heard.length > 0)
      expect(heard).toEqual(['news: readable'])
      expect(host.facts.filter((fact) => fact.name === 'gossip.rejected')).toMatchObject([{ fields: { publisher: raw.peerId.toString() } }])
    } finally {
      await mesh.stop()
    }
  })

  it('splits what one tick publishes into messages of legal size, and refuses what is too large alone', async () => {
    const mesh = createTestMesh()
    try {
      const host = await mesh.addHost()
      const heard: string[] = []
      host.gossip.onGossip((_topic, received) => heard.push(received.envelope.to))
      host.gossip.subscribe('reports')
      const report = (to: string, sizeBytes: number): Parameters<typeof host.gossip.publish>[1] => ({ ...note(''), to, message: { kind: 'node-report', requestId: to, report: 'r'.repeat(sizeBytes) } })
      for (let index = 0; index < 20; index++) host.gossip.publish('reports', report(`${index}`, 40_000))
      host.gossip.publish('reports', report('too large', 300_000))
      await waitUntil(() => heard.length === 20)
      expect(heard).toEqual(Array.from({ length: 20 }, (_, index) => `${index}`))
      expect(host.facts.filter((fact) => fact.name === 'gossip.publish-failed')).toMatchObject([{ fields: { reason: expect.stringMatching(/over the limit/) } }])
    } finally {
      await mesh.stop()
    }
  })
})
