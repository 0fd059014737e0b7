import { describe, expect, it } from 'vitest'
import { cidOfKey } from '../../../node/libp2p/discovery-dht-adapter.ts'
import { discoveryContract } from '../../contracts/discovery.ts'
import { ask, createTestMesh } from './mesh-fixture.ts'

discoveryContract('discovery-dht-adapter', async () => {
  const mesh = createTestMesh()
  const nodes = [await mesh.addHost()]
  for (let more = 0; more < 4; more++) nodes.push(await mesh.addHost())
  const loner = createTestMesh()
  return {
    nodes,
    lone: (await loner.addHost()).discovery,
    ask,
    stop: async () => {
      await Promise.all([mesh.stop(), loner.stop()])
    },
  }
})

describe('discovery-dht-adapter', () => {
  it('is found by those who come later', async () => {
    const mesh = createTestMesh()
    try {
      const first = await mesh.addHost()
      first.discovery.provide(['capability/early'])
      await mesh.addHost()
      const late = await mesh.addHost()
      expect(await ask(() => late.discovery.findProviders('capability/early', 3, 2_000), (found) => found.length > 0)).toEqual([first.peerId])
    } finally {
      await mesh.stop()
    }
  })

  it('names a key by the CID of its SHA-256', () => {
    expect(cidOfKey('capability/repo.report').toString()).toMatch(/^bafkrei[a-z2-7]{52}$/)
    expect(cidOfKey('a').equals(cidOfKey('b'))).toBe(false)
  })
})
