import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Peer, PeerData, PeerId } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { beforeEach, describe, expect, it } from 'vitest'
import { makeFrugal, type MergingStore } from '../../../node/libp2p/frugal-peer-store.ts'
import { createTestMesh } from './mesh-fixture.ts'

const here = multiaddr('/ip4/127.0.0.1/tcp/4747')
const elsewhere = multiaddr('/ip4/192.168.1.20/tcp/4747')

let nowMs: number
/** Of libp2p's own store, those that got through to it. */
let written: string[]
let store: MergingStore & { get(id: PeerId): Promise<Peer> }
let peer: PeerId
/** This node's own name. */
let self: PeerId
let stop: () => Promise<void>

beforeEach(async () => {
  nowMs = 0
  written = []
  const mesh = createTestMesh()
  const { peerStore } = await mesh.addRawPeer()
  // Below the one that every node has, so that what is new to the test's is new to it.
  const own = Object.getPrototypeOf(peerStore) as MergingStore
  const counted = (name: 'save' | 'patch' | 'merge') => (id: PeerId, data: PeerData): Promise<Peer> => {
    written.push(name)
    return own[name].call(peerStore, id, data)
  }
  store = { save: counted('save'), patch: counted('patch'), merge: counted('merge'), delete: (id) => own.delete.call(peerStore, id), get: (id) => peerStore.get(id) }
  self = peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
  makeFrugal(store, self, () => nowMs)
  peer = peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
  stop = () => mesh.stop()
  return () => stop()
})

describe('a merge', () => {
  it('that says nothing new is not written, and answered with what is stored', async () => {
    await store.merge(peer, { multiaddrs: [here], protocols: ['/a/1', '/b/1'] })
    const answer = await store.merge(peer, { protocols: ['/b/1'] })
    expect(await store.merge(peer, { multiaddrs: [here] })).toEqual(answer)
    expect(answer).toEqual(await store.get(peer))
    expect(written).toEqual(['merge'])
  })

  it('with the same address under the name of its peer says nothing new', async () => {
    await store.merge(peer, { multiaddrs: [here] })
    await store.merge(peer, { multiaddrs: [here.encapsulate(`/p2p/${peer}`)] })
    expect(written).toEqual(['merge'])
  })

  it.each([
    ['a new protocol', { protocols: ['/a/1', '/c/1'] }], ['a new address', { multiaddrs: [here, elsewhere] }], ['a tag', { protocols: ['/a/1'], tags: { kept: { value: 1 } } }], ['the end of a tag', { tags: { kept: undefined } }],
  ] as const)('with %s is written', async (_, data) => {
    await store.merge(peer, { multiaddrs: [here], protocols: ['/a/1'] })
    await store.merge(peer, data as unknown as PeerData)
    expect(written).toEqual(['merge', 'merge'])
  })

  it('is measured by the last change, whoever made it', async () => {
    await store.merge(peer, { protocols: ['/a/1'] })
    await store.patch(peer, { protocols: ['/b/1'] })
    await store.merge(peer, { protocols: ['/a/1'] })
    expect((await store.get(peer)).protocols).toEqual(['/a/1', '/b/1'])
    await store.delete(peer)
    await store.merge(peer, { protocols: ['/a/1'] })
    expect((await store.get(peer)).protocols).toEqual(['/a/1'])
  })

  it('of what this node says of itself is always written: who connects is told what is in there', async () => {
    for (let i = 0; i < 3; i++) await store.merge(self, { protocols: ['/a/1'] })
    expect(written).toEqual(['merge', 'merge', 'merge'])
  })

  it('is done again after a while', async () => {
    await store.merge(peer, { multiaddrs: [here] })
    nowMs += 60 * 60_000
    await store.merge(peer, { multiaddrs: [here] })
    expect(written).toEqual(['merge', 'merge'])
  })

  it('that fails is not taken for done', async () => {
    await store.merge(peer, { protocols: ['/a/1'] })
    await expect(store.merge(peer, { multiaddrs: ['no address'] } as unknown as PeerData)).rejects.toThrow()
    await store.merge(peer, { protocols: ['/a/1'] })
    expect(written).toEqual(['merge', 'merge', 'merge'])
  })
})

it('is what every node has', async () => {
  const mesh = createTestMesh()
  try {
    const { peerStore } = await mesh.addRawPeer()
    const first = await peerStore.merge(peer, { protocols: ['/a/1'] })
    expect(await peerStore.merge(peer, { protocols: ['/a/1'] })).toBe(first)
  } finally {
    await mesh.stop()
  }
})
