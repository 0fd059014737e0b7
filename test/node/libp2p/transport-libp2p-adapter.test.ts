import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { generateKeyPair, privateKeyFromRaw } from '@libp2p/crypto/keys'
import { frame } from '../../../node/libp2p/framer.ts'
import { meshProtocol } from '../../../node/libp2p/transport-libp2p-adapter.ts'
import type { MeshLibp2p } from '../../../node/libp2p/libp2p-node.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { encodeFrame, encodeValue, protocolMajor } from '../../../protocols/wire.ts'
import type { Received } from '../../../protocols/wire.ts'
import { note, textOf, transportContract } from '../../contracts/transport.ts'
import { createTestMesh, inventPeerId, waitUntil } from './mesh-fixture.ts'
import type { TestHost, TestMesh } from './mesh-fixture.ts'

transportContract('transport-libp2p-adapter', async () => {
  const mesh = createTestMesh()
  const first = await mesh.addHost()
  const second = await mesh.addHost()
  const third = await mesh.addHost()
  const all = [first, second, third]
  for (const host of all) for (const other of all) if (host !== other) await host.learnAddrs(other.peerId, other.addrs())
  return { nodes: all, nobody: await inventPeerId(), waitUntil, remove: (index) => all[index]?.stop(), stop: () => mesh.stop() }
})

describe('transport-libp2p-adapter among strangers and bad luck', () => {
  let mesh: TestMesh
  let host: TestHost
  let heard: Received[]
  beforeEach(async () => {
    mesh = createTestMesh()
    host = await mesh.addHost()
    heard = []
    host.transport.onReceive((received) => heard.push(received))
  })
  afterEach(() => mesh.stop())

  async function openMeshStream(peer: MeshLibp2p): Promise<Awaited<ReturnType<MeshLibp2p['dialProtocol']>>> {
    return await peer.dialProtocol(host.addrs().map((addr) => multiaddr(addr)), meshProtocol)
  }

  it.each([
    ['bytes that are not msgpack', frame(Uint8Array.of(0xc1, 0xc1, 0xc1)), /not msgpack/],
    ['an empty frame', frame(new Uint8Array()), /not/],
    ['an oversized frame', Uint8Array.of(0xff, 0xff, 0xff, 0xff, 1, 2, 3), /4294967295 bytes was announced/],
    ['an unknown major', frame(encodeValue([99, []])), /protocol major 99/],
    ['a message outside the schema', frame(encodeValue([protocolMajor, [{ to: 'a', from: 'b', message: { kind: 'nonsense' } }]])), /outside the schema/],
  ])('resets a stream of %s, records why, and goes on with the peer', async (_what, bytes, reason) => {
    const raw = await mesh.addRawPeer()
    const goodbyes: Uint8Array[] = []
    await raw.handle(meshProtocol, (stream) => stream.addEventListener('message', ({ data }) => goodbyes.push(data.subarray())))
    const stream = await openMeshStream(raw)
    stream.addEventListener('message', () => undefined)
    stream.send(bytes)
    await waitUntil(() => stream.status !== 'open', 'the reset')
    await waitUntil(() => host.facts.some((fact) => fact.name === 'transport.offence'), 'the fact')
    const offence = host.facts.find((fact) => fact.name === 'transport.offence')
    expect(offence?.fields).toMatchObject({ peer: raw.peerId.toString(), quarantined: false })
    expect(offence?.fields.reason).toMatch(reason)
    // It is told why…
    await waitUntil(() => Buffer.concat(goodbyes).includes('unreadable'), 'the goodbye')
    // …and may do better.
    const better = await openMeshStream(raw)
    better.send(frame(encodeFrame([note('sorry')])))
    await waitUntil(() => heard.length > 0, 'the better message')
    expect(heard.map(textOf)).toEqual(['sorry'])
    expect(host.connections().map(({ peer }) => peer)).toEqual([raw.peerId.toString()])
  })

  it('keeps what came before the garbage', async () => {
    const raw = await mesh.addRawPeer()
    const stream = await openMeshStream(raw)
    stream.send(frame(encodeFrame([note('good')])))
    stream.send(frame(Uint8Array.of(0xc1)))
    await waitUntil(() => host.facts.some((fact) => fact.name === 'transport.offence'))
    expect(heard.map(textOf)).toEqual(['good'])
  })

  it('cuts off a peer that does not stop', async () => {
    const raw = await mesh.addRawPeer()
    for (let round = 1; round <= 3; round++) {
      const stream = await openMeshStream(raw)
      stream.send(frame(Uint8Array.of(0xc1)))
      await waitUntil(() => host.facts.filter((fact) => fact.name === 'transport.offence').length === round)
    }
    await waitUntil(() => host.connections().length === 0, 'the disconnection')
    await expect(openMeshStream(raw)).rejects.toThrow()
    expect(host.transport.connectedPeers()).toEqual([])
    const undelivered: string[] = []
    host.transport.onUndelivered((_peer, _envelope, reason) => undelivered.push(reason))
    host.transport.send(raw.peerId.toString() as never, note('no'))
    await waitUntil(() => undelivered.length === 1)
    expect(undelivered[0]).toMatch(/unreadable messages/)
  })

  it('refuses a peer that speaks another major only, and says so', async () => {
    const raw = await mesh.addRawPeer()
    await raw.handle('/skein/mesh/9', () => undefined)
    await raw.dial(host.addrs().map((addr) => multiaddr(addr)))
    await waitUntil(() => host.dialFailures().length > 0, 'the failure')
    expect(host.dialFailures()).toMatchObject([{ peer: raw.peerId.toString(), kind: 'wrong-version', reason: expect.stringMatching(/speaks \/skein\/mesh\/9, this node speaks \/skein\/mesh\/2/) }])
    await expect(raw.dialProtocol(peerIdFromString(host.peerId), '/skein/mesh/9')).rejects.toThrow()
    const undelivered: string[] = []
    host.transport.onUndelivered((_peer, _envelope, reason) => undelivered.push(reason))
    host.transport.send(raw.peerId.toString() as never, note('hello'))
    await waitUntil(() => undelivered.length === 1)
    expect(undelivered[0]).toMatch(/same major release/)
    expect(host.transport.connectedPeers()).toEqual([])
  })

  it('refuses loudly when the queue to a slow peer is full, and delivers the rest', async () => {
    const small = await mesh.addHost({ peerQueueBytesMax: 20_000 })
    await waitUntil(() => small.transport.connectedPeers().includes(host.peerId))
    const refusedTexts: string[] = []
    small.transport.onUndelivered((_peer, envelope, reason) => {
      expect(reason).toBe('queue full')
      refusedTexts.push(textOf({ envelope }))
    })
    const texts = Array.from({ length: 400 }, (_, index) => `${index} ${'x'.repeat(200)}`)
    for (const text of texts) small.transport.send(host.peerId, note(text))
    await waitUntil(() => refusedTexts.length + heard.length === texts.length)
    expect(refusedTexts.length).toBeGreaterThan(0)
    expect([...heard.map(textOf), ...refusedTexts]).toEqual(texts)
  })

  it('carries far more than the windows of a stream, in order', async () => {
    const sender = await mesh.addHost()
    await waitUntil(() => sender.transport.connectedPeers().length === 1)
    const big = (index: number): ReturnType<typeof note> => ({ ...note(`${index}`), message: { kind: 'node-report', requestId: `${index}`, report: 'y'.repeat(900_000) } })
    for (let index = 0; index < 40; index++) sender.transport.send(host.peerId, big(index))
    await waitUntil(() => heard.length === 40, '40 messages of 0.9 MB')
    expect(heard.map(({ envelope }) => (envelope.message.kind === 'node-report' ? envelope.message.requestId : ''))).toEqual(Array.from({ length: 40 }, (_, index) => `${index}`))
  })

  it('refuses a message that no frame can hold', async () => {
    const sender = await mesh.addHost()
    const reasons: string[] = []
    sender.transport.onUndelivered((_peer, _envelope, reason) => reasons.push(reason))
    sender.transport.send(host.peerId, { ...note(''), message: { kind: 'node-report', requestId: 'r', report: 'z'.repeat(limits.frameBytesMax) } })
    await waitUntil(() => reasons.length === 1)
    expect(reasons[0]).toMatch(/over the limit/)
  })

  it('speaks to itself through the same encoding', async () => {
    host.transport.send(host.peerId, note('to myself'))
    expect(heard).toEqual([])
    await waitUntil(() => heard.length === 1)
    expect(heard).toMatchObject([{ peer: host.peerId }])
  })

  it('has one usable channel after both dialled at the same time', async () => {
    for (let round = 0; round < 3; round++) {
      const [left, right] = await Promise.all([mesh.addHost({ peers: [] }), mesh.addHost({ peers: [] })])
      const states: string[] = []
      left.transport.onPeer((peer, state) => peer === right.peerId && states.push(state))
      const toLeft: string[] = []
      const toRight: string[] = []
      left.transport.onReceive((received) => toLeft.push(textOf(received)))
      right.transport.onReceive((received) => toRight.push(textOf(received)))
      await Promise.all([left.dial(right.addrs()[0]!), right.dial(left.addrs()[0]!)])
      await waitUntil(() => left.transport.connectedPeers().length === 1 && right.transport.connectedPeers().length === 1)
      const texts = Array.from({ length: 50 }, (_, index) => `${index}`)
      for (const text of texts) {
        left.transport.send(right.peerId, note(text))
        right.transport.send(left.peerId, note(text))
      }
      await waitUntil(() => toLeft.length >= 50 && toRight.length >= 50)
      expect([toLeft, toRight]).toEqual([texts, texts])
      expect(states).toEqual(['up'])
      await right.stop()
      await waitUntil(() => states.length === 2)
      expect(states).toEqual(['up', 'down'])
    }
  })

  it('meets a restarted peer again at the same address, whoever dialled', async () => {
    const privateKey = await generateKeyPair('Ed25519')
    const before = await mesh.addHost({ privateKey })
    await waitUntil(() => host.transport.connectedPeers().length === 1)
    const states: string[] = []
    host.transport.onPeer((_peer, state) => states.push(state))
    const listen = before.addrs().map((addr) => addr.replace(/\/p2p\/.*/, ''))
    await before.stop()
    await waitUntil(() => states.includes('down'), 'down')
    const again = await mesh.addHost({ privateKey: privateKeyFromRaw(privateKey.raw), listen, peers: [] })
    await waitUntil(() => states.includes('up'), 'up again')
    const texts: string[] = []
    again.transport.onReceive((received) => texts.push(textOf(received)))
    host.transport.send(again.peerId, note('welcome back'))
    await waitUntil(() => texts.length === 1)
    expect(states).toEqual(['down', 'up'])
  })
})
