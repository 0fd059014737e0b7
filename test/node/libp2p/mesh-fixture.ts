/** Real hosts on loopback for tests: ports given by the system, nothing on disk unless asked for. */
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Fact } from '../../../actors/ports/telemetry.ts'
import type { PeerId } from '../../../protocols/kernel/ids.ts'
import { createHost } from '../../../node/libp2p/host.ts'
import type { Host, HostOptions } from '../../../node/libp2p/host.ts'
import { createLibp2pNode } from '../../../node/libp2p/libp2p-node.ts'
import type { MeshLibp2p } from '../../../node/libp2p/libp2p-node.ts'
import { createMeshKey } from '../../../node/mesh-key.ts'
import type { MeshKey } from '../../../node/mesh-key.ts'

const patienceMs = 90_000

/** Polls until the condition holds. @throws Error with the `what` when it never does. */
export async function waitUntil(condition: () => boolean, what = 'the condition'): Promise<void> {
  const deadlineMs = performance.now() + patienceMs
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error(`waited in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Asks again until the answer satisfies. */
export async function ask<T>(question: () => Promise<T>, satisfies: (answer: T) => boolean): Promise<T> {
  const deadlineMs = performance.now() + patienceMs
  while (true) {
    const answer = await question()
    if (satisfies(answer)) return answer
    if (performance.now() > deadlineMs) throw new Error(`no answer satisfied, the last was ${JSON.stringify(answer)}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

export interface TestHost extends Host {
  readonly facts: readonly Fact[]
}

export interface TestMesh {
  readonly meshKey: MeshKey
  /** A host of this mesh that dials the first one; `options` override. */
  addHost(options?: Partial<HostOptions>): Promise<TestHost>
  /** A bare libp2p peer with this mesh's key, for misbehaving. */
  addRawPeer(): Promise<MeshLibp2p>
  stop(): Promise<void>
}

export function createTestMesh(meshKey: MeshKey = createMeshKey()): TestMesh {
  const stops: (() => unknown)[] = []
  let first: Host | undefined
  return {
    meshKey,
    async addHost(options = {}) {
      const facts: Fact[] = []
      const host = await createHost({
        privateKey: await generateKeyPair('Ed25519'),
        meshKey,
        telemetry: { record: (fact) => void facts.push(fact) },
        listen: ['/ip4/127.0.0.1/tcp/0'],
        mdns: false,
        peers: first?.addrs() ?? [],
        // These tests share a machine with others: a busy one is not a hung one.
        hungPeerMs: 10_000,
        ...options,
      })
      stops.push(() => host.stop())
      first ??= host
      return Object.assign(host, { facts })
    },
    async addRawPeer() {
      const peer = await createLibp2pNode({
        privateKey: await generateKeyPair('Ed25519'),
        meshKey,
        listen: ['/ip4/127.0.0.1/tcp/0'],
        announce: [],
        mdns: false,
        nodesExpected: 5,
        hungPeerMs: 10_000,
        connectionGater: {},
      })
      await peer.start()
      stops.push(() => peer.stop())
      return peer
    },
    async stop() {
      await Promise.all(stops.map((stop) => stop()))
    },
  }
}

export async function inventPeerId(): Promise<PeerId> {
  return (await generateKeyPair('Ed25519')).publicKey.toString() as PeerId
}
