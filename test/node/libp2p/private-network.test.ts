import { generateKeyPair } from '@libp2p/crypto/keys'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { preSharedKey } from '@libp2p/pnet'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { xsalsa20 } from '@noble/ciphers/salsa.js'
import { createLibp2p } from 'libp2p'
import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { createXorStream } from '../../../node/libp2p/private-network.ts'
import { createMeshKey, swarmKeyOf } from '../../../node/mesh-key.ts'
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import { note, textOf } from '../../contracts/transport.ts'
import { createTestMesh, waitUntil } from './mesh-fixture.ts'

describe('the private network', () => {
  it('gives one key stream, however the bytes are cut', () => {
    const key = new Uint8Array(32).fill(3)
    const nonce = new Uint8Array(24).fill(5)
    const random = seededRandom([2026, 1])
    const bytes = Uint8Array.from({ length: 200_000 }, () => random.below(256))
    const whole = xsalsa20(key, nonce, bytes)
    const encipher = createXorStream(key, nonce)
    const pieces: Uint8Array[] = []
    for (let start = 0; start < bytes.byteLength; ) {
      const size = random.below(random.next() < 0.5 ? 100 : 5_000)
      pieces.push(encipher(bytes.subarray(start, start + size)))
      start += size
    }
    expect(Buffer.concat(pieces).equals(whole)).toBe(true)
    const decipher = createXorStream(key, nonce)
    expect(Buffer.concat(pieces.map(decipher)).equals(bytes)).toBe(true)
  })

  it('speaks with the pnet of libp2p', async () => {
    const mesh = createTestMesh(createMeshKey())
    const host = await mesh.addHost()
    const other = await createLibp2p({
      privateKey: await generateKeyPair('Ed25519'),
      transports: [tcp()],
      connectionProtector: preSharedKey({ psk: swarmKeyOf(mesh.meshKey) }),
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      services: { ping: ping() },
    })
    try {
      expect(await other.services.ping.ping(host.addrs().map((addr) => multiaddr(addr)))).toBeGreaterThanOrEqual(0)
    } finally {
      await other.stop()
      await mesh.stop()
    }
  })

  it('outlives strangers that knock and leave', async () => {
    const mesh = createTestMesh()
    const host = await mesh.addHost()
    const port = Number(/tcp\/(\d+)/.exec(host.addrs()[0] ?? '')?.[1])
    try {
      for (let round = 0; round < 20; round++) {
        await Promise.all(
          Array.from({ length: 10 }, async () => {
            const socket = connect(port, '127.0.0.1')
            socket.on('error', () => undefined)
            await new Promise((resolve) => socket.once('connect', resolve))
            socket.write(Buffer.alloc(24 + round * 100, round))
            await new Promise((resolve) => socket.once('data', resolve))
            socket.destroy()
          }),
        )
      }
      const friend = await mesh.addHost()
      const texts: string[] = []
      host.transport.onReceive((received) => texts.push(textOf(received)))
      await waitUntil(() => friend.transport.connectedPeers().length === 1)
      friend.transport.send(host.peerId, note('still here?'))
      await waitUntil(() => texts.length === 1)
    } finally {
      await mesh.stop()
    }
  })
})
