import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadIdentityKey, openNodeDatastore } from '../../../node/identity.ts'
import { mdnsServiceTag } from '../../../node/libp2p/libp2p-node.ts'
import { adoptMeshKey, createMeshKey } from '../../../node/mesh-key.ts'
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import { note, textOf } from '../../contracts/transport.ts'
import { ask, createTestMesh, waitUntil } from './mesh-fixture.ts'
import type { TestMesh } from './mesh-fixture.ts'

describe('a host', () => {
  let mesh: TestMesh
  let dataDir: string
  beforeEach(async () => {
    mesh = createTestMesh()
    dataDir = await mkdtemp(join(tmpdir(), 'skein-host-'))
  })
  afterEach(async () => {
    await mesh.stop()
    await rm(dataDir, { recursive: true, force: true })
  })

  it('says what it is connected to, and how to reach it', async () => {
    const first = await mesh.addHost()
    const second = await mesh.addHost()
    await waitUntil(() => first.connections().length === 1)
    expect(first.addrs()).toEqual([expect.stringMatching(new RegExp(`^/ip4/127\\.0\\.0\\.1/tcp/\\d+/p2p/${first.peerId}$`))])
    expect(first.identity.peerId).toBe(first.peerId)
    expect(first.connections()).toEqual([{ peer: second.peerId, addr: expect.stringContaining('/ip4/127.0.0.1/'), direction: 'inbound' }])
    expect(second.connections()).toEqual([{ peer: first.peerId, addr: expect.stringContaining('/ip4/127.0.0.1/'), direction: 'outbound' }])
  })

  it('finds the rest of the mesh through one member', async () => {
    const hosts = [await mesh.addHost()]
    for (let more = 0; more < 4; more++) hosts.push(await mesh.addHost())
    await waitUntil(() => hosts.every((host) => host.transport.connectedPeers().length === 4), 'a full mesh of five')
  })

  it('answers several pings at once: the monitor and the DHT both ping, and one must not cost the other its connection', async () => {
    const host = await mesh.addHost()
    const raw = await mesh.addRawPeer()
    const connection = await raw.dial(multiaddr(host.addrs()[0] ?? ''))
    const [target] = raw.getPeers()
    if (target === undefined) throw new Error('not connected')
    await Promise.all(Array.from({ length: 12 }, () => raw.services.ping.ping(target)))
    expect(connection.status).toBe('open')
  })

  it('announces other addresses when told to', async () => {
    const host = await mesh.addHost({ announce: ['/dns4/box.example/tcp/4747'] })
    expect(host.addrs()).toEqual([`/dns4/box.example/tcp/4747/p2p/${host.peerId}`])
  })

  it('recognises another mesh, in one clear sentence per address, and hears nothing of it', async () => {
    const ours = await mesh.addHost()
    const theirs = createTestMesh()
    try {
      const stranger = await theirs.addHost()
      const [addr = ''] = stranger.addrs()
      await expect(ours.dial(addr)).rejects.toMatchObject({ fault: { code: 'owner-unreachable', detail: expect.stringContaining('does not have this mesh key') } })
      await waitUntil(() => (ours.dialFailures()[0]?.attempts ?? 0) >= 2, 'a second attempt')
      expect(ours.dialFailures()).toMatchObject([{ addr, peer: stranger.peerId, kind: 'wrong-mesh-key' }])
      expect(ours.dialFailures()[0]?.atWallMs).toBeGreaterThan(0)
      expect([ours.connections(), stranger.connections()]).toEqual([[], []])
      // The side that was dialled says so, too: once per machine, however often it knocks.
      expect(stranger.dialFailures()).toMatchObject([{ addr: '/ip4/127.0.0.1', kind: 'wrong-mesh-key', reason: expect.stringContaining('without this mesh key') }])
      expect(stranger.dialFailures()[0]?.attempts).toBeGreaterThan(1)
      expect(stranger.facts.filter(({ name }) => name === 'transport.stranger')).toMatchObject([{ level: 'warn', fields: { from: '/ip4/127.0.0.1' } }])
    } finally {
      await theirs.stop()
    }
  })

  it('says why an address does not answer, and forgets it once it does', async () => {
    const host = await mesh.addHost()
    const other = await mesh.addHost({ peers: [] })
    const [addr = ''] = other.addrs()
    const vacant = addr.replace(/\/p2p\/.*/, '').replace(/\d+$/, '1')
    await expect(host.dial(vacant)).rejects.toMatchObject({ fault: { detail: expect.stringContaining('nothing listens there') } })
    await expect(host.dial('not an address')).rejects.toMatchObject({ fault: { code: 'bad-request' } })
    await expect(host.dial(addr.replace(other.peerId, (await mesh.addHost({ peers: [] })).peerId))).rejects.toMatchObject({ fault: { detail: expect.stringContaining('another node answers') } })
    expect(host.dialFailures().map(({ kind }) => kind)).toEqual(['refused', 'other-identity'])
    await host.dial(addr)
    expect(host.dialFailures().some((failure) => failure.addr === addr)).toBe(false)
  })

  it('keeps trying an address it was given until somebody is there', async () => {
    const reserved = createServer().listen(0, '127.0.0.1')
    await once(reserved, 'listening')
    const bound = reserved.address()
    const port = typeof bound === 'object' && bound !== null ? bound.port : 0
    reserved.close()
    const early = await mesh.addHost({ peers: [`/ip4/127.0.0.1/tcp/${port}`] })
    await waitUntil(() => (early.dialFailures()[0]?.attempts ?? 0) >= 2, 'some failures')
    expect(early.dialFailures()).toMatchObject([{ addr: `/ip4/127.0.0.1/tcp/${port}`, kind: 'refused' }])
    const late = await mesh.addHost({ listen: [`/ip4/127.0.0.1/tcp/${port}`], peers: [] })
    await waitUntil(() => early.transport.connectedPeers().includes(late.peerId))
    expect(early.dialFailures()).toEqual([])
  })

  it('finds those who wait for the same absent member, as soon as it is there', async () => {
    const reserved = createServer().listen(0, '127.0.0.1')
    await once(reserved, 'listening')
    const bound = reserved.address()
    const port = typeof bound === 'object' && bound !== null ? bound.port : 0
    reserved.close()
    const peers = [`/ip4/127.0.0.1/tcp/${port}`]
    const early = [await mesh.addHost({ peers }), await mesh.addHost({ peers })]
    // So many failures take longer than it takes to look around for the first time, in vain.
    await waitUntil(() => early.every((host) => (host.dialFailures()[0]?.attempts ?? 0) >= 4), 'some failures')
    const late = await mesh.addHost({ listen: peers, peers: [] })
    await waitUntil(() => [...early, late].every((host) => host.transport.connectedPeers().length === 2), 'a full mesh of three')
  })

  it('refuses a port that was asked for and is taken, and passes over a default one', async () => {
    const first = await mesh.addHost()
    const [listen = ''] = first.addrs().map((addr) => addr.replace(/\/p2p\/.*/, ''))
    await expect(mesh.addHost({ listen: [listen], peers: [] })).rejects.toMatchObject({ fault: { code: 'wrong-state', detail: expect.stringContaining(listen), next: expect.stringContaining('another port') } })
    const next = await Promise.all([1, 2, 3].map(() => mesh.addHost({ listen: [listen], portIsDefault: true, peers: [] })))
    const ports = [first, ...next].map((host) => host.addrs()[0]?.replace(/\/p2p\/.*/, ''))
    expect(new Set(ports).size).toBe(4)
    await expect(mesh.addHost({ listen: ['/ip4/127.0.0.1/udp/1'] })).rejects.toMatchObject({ fault: { code: 'bad-request' } })
    await expect(mesh.addHost({ listen: ['/ip4/192.0.2.1/tcp/0'] })).rejects.toThrow()
  })

  it('remembers where the others were, over a restart without being told', async () => {
    const first = await mesh.addHost()
    async function startRemembering(peers: readonly string[]): Promise<{ stop(): Promise<void>; peersNow(): readonly string[] }> {
      const store = await openNodeDatastore(dataDir)
      const host = await mesh.addHost({ privateKey: await loadIdentityKey(store), datastore: store.datastore, peers })
      return { peersNow: () => host.transport.connectedPeers(), stop: () => host.stop().then(() => store.close()) }
    }
    const before = await startRemembering(first.addrs())
    await waitUntil(() => before.peersNow().length === 1)
    await before.stop()
    await waitUntil(() => first.connections().length === 0)
    const after = await startRemembering([])
    await waitUntil(() => after.peersNow().includes(first.peerId), 'the peer it knew')
    await after.stop()
  })

  it('leaves its store alone when it has stopped, whatever libp2p still wants to write', async () => {
    const store = await openNodeDatastore(dataDir)
    const host = await mesh.addHost({ privateKey: await loadIdentityKey(store), datastore: store.datastore })
    await host.stop()
    await store.close()
    await host.learnAddrs(host.peerId, ['/ip4/127.0.0.1/tcp/4747'])
    expect(host.facts.filter(({ name }) => name === 'libp2p.hints-not-kept')).toEqual([])
  })

  it('stops twice without complaint, and what waits is told', async () => {
    const first = await mesh.addHost()
    const second = await mesh.addHost()
    await waitUntil(() => first.transport.connectedPeers().length === 1)
    const heard: string[] = []
    second.transport.onReceive((received) => heard.push(textOf(received)))
    first.transport.send(second.peerId, note('farewell'))
    await first.stop()
    await first.stop()
    await waitUntil(() => heard.includes('farewell'), 'the last message')
    const undelivered: string[] = []
    first.transport.onUndelivered((_peer, _envelope, reason) => undelivered.push(reason))
    first.transport.send(second.peerId, note('after the end'))
    await waitUntil(() => undelivered.length === 1)
  })

  it('has an mDNS service for each mesh', () => {
    const key = createMeshKey()
    expect(mdnsServiceTag(key)).toMatch(/^_skein-[0-9a-f]{12}\._udp\.local$/)
    expect(mdnsServiceTag(key)).not.toBe(mdnsServiceTag(createMeshKey()))
  })

  it('comes through a storm of joining and leaving', async () => {
    const random = seededRandom([4747, 1])
    const first = await mesh.addHost()
    for (let round = 0; round < 6; round++) {
      const passing = await mesh.addHost()
      if (random.next() < 0.7) await waitUntil(() => passing.transport.connectedPeers().length > 0)
      await passing.stop()
    }
    await waitUntil(() => first.connections().length === 0 && first.transport.connectedPeers().length === 0)
  })
})

describe('a host in a process of its own', () => {
  let mesh: TestMesh
  let dataDir: string
  const children: ChildProcess[] = []
  beforeEach(async () => {
    mesh = createTestMesh()
    dataDir = await mkdtemp(join(tmpdir(), 'skein-host-'))
    await adoptMeshKey(dataDir, mesh.meshKey)
  })
  afterEach(async () => {
    for (const child of children.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    await mesh.stop()
    await rm(dataDir, { recursive: true, force: true })
  })

  async function startProcess(listen: string, peers: readonly string[]): Promise<{ child: ChildProcess; peerId: string; addrs: string[] }> {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'host-process.ts'), dataDir, listen, ...peers], { stdio: ['ignore', 'pipe', 'inherit'] })
    children.push(child)
    const lines = createInterface({ input: child.stdout! })
    const [ready] = (await once(lines, 'line')) as [string]
    return { child, ...(JSON.parse(ready) as { peerId: string; addrs: string[] }) }
  }

  it('killed without warning it is seen as down at once, and met again when it is back', async () => {
    const host = await mesh.addHost()
    const other = await startProcess('/ip4/127.0.0.1/tcp/0', host.addrs())
    await waitUntil(() => host.transport.connectedPeers().includes(other.peerId as never))
    const echoes: string[] = []
    host.transport.onReceive((received) => echoes.push(textOf(received)))
    host.transport.send(other.peerId as never, note('are you there'))
    await waitUntil(() => echoes.length === 1)
    const states: string[] = []
    host.transport.onPeer((_peer, state) => states.push(state))
    other.child.kill('SIGKILL')
    await waitUntil(() => states.includes('down'), 'down')
    expect(host.connections()).toEqual([])
    const again = await startProcess((other.addrs[0] ?? '').replace(/\/p2p\/.*/, ''), [])
    expect(again.peerId).toBe(other.peerId)
    await waitUntil(() => states.includes('up'), 'up again')
    host.transport.send(other.peerId as never, note('welcome back'))
    await waitUntil(() => echoes.length === 2)
    again.child.kill('SIGTERM')
    await once(again.child, 'exit')
    // It left by itself: nothing kept its process alive.
    expect(again.child.exitCode).toBe(0)
  })

  it('hung it is seen as down without waiting for TCP', async () => {
    const host = await mesh.addHost({ hungPeerMs: 1_000 })
    const other = await startProcess('/ip4/127.0.0.1/tcp/0', host.addrs())
    await waitUntil(() => host.transport.connectedPeers().includes(other.peerId as never))
    const down = new Promise<void>((resolve) => host.transport.onPeer((_peer, state) => state === 'down' && resolve()))
    other.child.kill('SIGSTOP')
    await down
    expect(await ask(async () => host.transport.connectedPeers(), (peers) => peers.length === 0)).toEqual([])
  })
})
