import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { cidOfKey } from '../../../node/libp2p/discovery-dht-adapter.ts'
import { dhtProtocol, type MeshLibp2p } from '../../../node/libp2p/libp2p-node.ts'
import { recordsPerBatch, tellOfProviding } from '../../../node/libp2p/provider-records.ts'
import { ask, createTestMesh, type TestMesh } from './mesh-fixture.ts'

const keys = Array.from({ length: 3 * recordsPerBatch + 1 }, (_, index) => `capability/number.${index}`)

let mesh: TestMesh

beforeEach(() => {
  mesh = createTestMesh()
})

afterEach(() => mesh.stop())

/** What a node has been told itself: it asks nobody else, being connected to nobody that answers. */
async function providersKnownTo(libp2p: MeshLibp2p, key: string): Promise<string[]> {
  for await (const event of libp2p.services.dht.findProviders(cidOfKey(key), { signal: AbortSignal.timeout(10_000) })) {
    if (event.name === 'PROVIDER') return event.providers.map(({ id }) => id.toString())
  }
  return []
}

describe('records for one peer', () => {
  it('are all stored, though sent over one stream, and told of in batches', async () => {
    const [teller, listener] = [await mesh.addRawPeer(), await mesh.addRawPeer()]
    const connection = await teller.dial(listener.getMultiaddrs())
    const told: number[] = []
    let rests = 0
    let streams = 0
    await tellOfProviding({ newStream: (...args) => (streams++, connection.newStream(...args)) }, keys.map(cidOfKey), {
      protocol: dhtProtocol, peerId: teller.peerId, addrs: teller.getMultiaddrs(), signal: AbortSignal.timeout(60_000), onTold: (count) => void told.push(count),
      rest: () => Promise.resolve(void rests++),
    })
    expect(streams).toBe(1)
    expect(told).toEqual([recordsPerBatch, recordsPerBatch, recordsPerBatch, 1])
    expect(rests).toBe(3)
    await teller.stop()
    for (const key of keys) expect(await providersKnownTo(listener, key), key).toEqual([teller.peerId.toString()])
  })

  it('are known not to have been told when the peer does not take them', async () => {
    const [teller, listener] = [await mesh.addRawPeer(), await mesh.addRawPeer()]
    await listener.unhandle(dhtProtocol)
    await listener.handle('/deaf/1', (stream) => stream.abort(new Error('not now')))
    const connection = await teller.dial(listener.getMultiaddrs())
    const options = { peerId: teller.peerId, addrs: teller.getMultiaddrs(), signal: AbortSignal.timeout(60_000), onTold: () => expect.unreachable(), rest: () => Promise.resolve() }
    await expect(tellOfProviding(connection, keys.map(cidOfKey), { ...options, protocol: dhtProtocol })).rejects.toThrow(/protocol/i)
    await expect(tellOfProviding(connection, keys.map(cidOfKey), { ...options, protocol: '/deaf/1' })).rejects.toThrow()
  })
})

describe('a small mesh', () => {
  it('knows of everything that is offered without asking, also who comes later, and what is offered later', async () => {
    const host = await mesh.addHost()
    host.discovery.provide(keys.slice(1))
    const peers = [await mesh.addRawPeer(), await mesh.addRawPeer()]
    for (const peer of peers) {
      await host.dial(String(peer.getMultiaddrs()[0]))
      await ask(() => missingAt(peer, keys.slice(1), host.peerId), (missing) => missing.length === 0)
    }
    host.discovery.provide(keys)
    for (const peer of peers) await ask(() => missingAt(peer, keys, host.peerId), (missing) => missing.length === 0)
  })
})

async function missingAt(libp2p: MeshLibp2p, wanted: readonly string[], provider: string): Promise<string[]> {
  const missing: string[] = []
  for (const key of wanted) if (!(await stored(libp2p, key)).includes(provider)) missing.push(key)
  return missing
}

/** Of its own store alone: a query that may not go out. */
async function stored(libp2p: MeshLibp2p, key: string): Promise<string[]> {
  const found: string[] = []
  for await (const event of libp2p.services.dht.findProviders(cidOfKey(key), { signal: AbortSignal.timeout(5_000) })) {
    if (event.name === 'PROVIDER' && event.from.equals(libp2p.peerId)) {
      for (const { id } of event.providers) found.push(id.toString())
      break
    }
    if (event.name === 'SEND_QUERY') break
  }
  return found
}
