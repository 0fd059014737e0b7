import { createHash } from 'node:crypto'
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { blobProtocol, createBlobProtocol } from '../../../node/libp2p/blob-protocol.ts'
import type { BlobSource } from '../../../node/libp2p/blob-protocol.ts'
import { frame } from '../../../node/libp2p/framer.ts'
import { digestOf } from '../../../protocols/kernel/hashing.ts'
import type { PeerId } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { encodeValue } from '../../../protocols/wire.ts'
import { createTestMesh, inventPeerId, waitUntil } from './mesh-fixture.ts'
import type { TestHost, TestMesh } from './mesh-fixture.ts'

const MiB = 1024 * 1024

function bytesOf(sizeBytes: number): Uint8Array {
  const bytes = new Uint8Array(sizeBytes)
  for (let index = 0; index < sizeBytes; index++) bytes[index] = (index * 31 + (index >> 8)) & 0xff
  return bytes
}

/** Serves from memory in odd pieces. */
function sourceOf(...blobs: readonly Uint8Array[]): BlobSource {
  const byDigest = new Map(blobs.map((bytes) => [digestOf(bytes), bytes]))
  return {
    async open(digest) {
      const bytes = byDigest.get(digest)
      if (bytes === undefined) return undefined
      return {
        sizeBytes: bytes.byteLength,
        async *read(offset = 0) {
          for (let start = offset; start < bytes.byteLength; start += 700_001) yield bytes.subarray(start, start + 700_001)
        },
      }
    },
  }
}

async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all)
}

describe('blobs', () => {
  let mesh: TestMesh
  let holder: TestHost
  let asker: TestHost
  const big = bytesOf(30 * MiB)
  const small = bytesOf(1_000)
  beforeEach(async () => {
    mesh = createTestMesh()
    holder = await mesh.addHost()
    asker = await mesh.addHost()
    await waitUntil(() => asker.transport.connectedPeers().length === 1)
  })
  afterEach(() => mesh.stop())

  it('of 30 MB arrive whole, in pieces of legal size', async () => {
    holder.blobs.serve(sourceOf(big))
    const hash = createHash('sha256')
    let sizeBytes = 0
    for await (const piece of asker.blobs.fetch(holder.peerId, digestOf(big))) {
      expect(piece.byteLength).toBeLessThanOrEqual(limits.blobChunkBytes)
      hash.update(piece)
      sizeBytes += piece.byteLength
    }
    expect(sizeBytes).toBe(big.byteLength)
    expect(hash.digest('hex')).toBe(digestOf(big))
  })

  it('wait for a slow consumer instead of piling up', async () => {
    let readBytes = 0
    const source = sourceOf(big)
    holder.blobs.serve({
      async open(digest) {
        const opened = await source.open(digest)
        return opened && { sizeBytes: opened.sizeBytes, async *read() { for await (const piece of opened.read()) { readBytes += piece.byteLength; yield piece } } }
      },
    })
    const pieces = asker.blobs.fetch(holder.peerId, digestOf(big))[Symbol.asyncIterator]()
    expect((await pieces.next()).done).toBe(false)
    // What lies between the two is bounded by windows and buffers, so reading comes to rest far from the end.
    let restedAt = -1
    while (restedAt !== readBytes) {
      restedAt = readBytes
      await new Promise((resolve) => setTimeout(resolve, 300))
    }
    expect(readBytes).toBeLessThan(20 * MiB)
    await pieces.return?.()
  })

  it('are read to the end by a consumer that begins when all has been sent', async () => {
    const bytes = bytesOf(1_700_000)
    let served = false
    holder.blobs.serve({ open: async () => ({ sizeBytes: bytes.byteLength, async *read() { yield bytes; served = true } }) })
    const pieces = asker.blobs.fetch(holder.peerId, digestOf(bytes))[Symbol.asyncIterator]()
    const first = await pieces.next()
    await waitUntil(() => served)
    await new Promise((resolve) => setTimeout(resolve, 200))
    const rest = await collect({ [Symbol.asyncIterator]: () => pieces })
    expect(Buffer.concat([first.value as Uint8Array, rest]).equals(bytes)).toBe(true)
  })

  it('go on from an offset, may be empty, and fit the limit exactly', async () => {
    holder.blobs.serve(sourceOf(small, new Uint8Array()))
    expect((await collect(asker.blobs.fetch(holder.peerId, digestOf(small), { offset: 990 }))).equals(small.subarray(990))).toBe(true)
    expect(await collect(asker.blobs.fetch(holder.peerId, digestOf(small), { offset: 1_000 }))).toHaveLength(0)
    await expect(collect(asker.blobs.fetch(holder.peerId, digestOf(small), { offset: 1_001 }))).rejects.toThrow(/beyond the end/)
    expect(await collect(asker.blobs.fetch(holder.peerId, digestOf(new Uint8Array())))).toHaveLength(0)
    expect(await collect(asker.blobs.fetch(holder.peerId, digestOf(small), { sizeBytesMax: 1_000 }))).toHaveLength(1_000)
    await expect(collect(asker.blobs.fetch(holder.peerId, digestOf(small), { sizeBytesMax: 999 }))).rejects.toMatchObject({ fault: { code: 'too-large' } })
  })

  it('that are not there are said to be unknown', async () => {
    await expect(collect(asker.blobs.fetch(holder.peerId, digestOf(small)))).rejects.toMatchObject({ fault: { code: 'unknown-blob' } })
    holder.blobs.serve(sourceOf(big))
    await expect(collect(asker.blobs.fetch(holder.peerId, digestOf(small)))).rejects.toMatchObject({ fault: { code: 'unknown-blob' } })
    await expect(collect(asker.blobs.fetch(await inventPeerId(), digestOf(small)))).rejects.toMatchObject({ fault: { code: 'lost-worker' } })
  })

  it('are fetched many at once', async () => {
    holder.blobs.serve(sourceOf(small, big))
    const all = await Promise.all(Array.from({ length: 100 }, () => collect(asker.blobs.fetch(holder.peerId, digestOf(small)))))
    expect(all.every((bytes) => bytes.equals(small))).toBe(true)
  })

  it('can be given up by a signal or by walking away', async () => {
    holder.blobs.serve(sourceOf(big))
    const giveUp = new AbortController()
    await expect(
      (async () => {
        for await (const piece of asker.blobs.fetch(holder.peerId, digestOf(big), { signal: giveUp.signal })) if (piece.byteLength > 0) giveUp.abort(new Error('enough'))
      })(),
    ).rejects.toThrow('enough')
    for (let round = 0; round < 12; round++) for await (const piece of asker.blobs.fetch(holder.peerId, digestOf(big))) if (piece.byteLength > 0) break
    expect(await collect(asker.blobs.fetch(holder.peerId, digestOf(big)))).toHaveLength(big.byteLength)
  })

  it('break off with a reason when the holder fails or dies', async () => {
    holder.blobs.serve({ open: async () => ({ sizeBytes: 10 * MiB, async *read() { yield bytesOf(MiB); throw new Error('the disk is gone') } }) })
    await expect(collect(asker.blobs.fetch(holder.peerId, digestOf(small)))).rejects.toMatchObject({ fault: { code: 'lost-worker' } })
    expect(holder.facts.find((fact) => fact.name === 'blob.serve-failed')?.fields.reason).toBe('the disk is gone')
    holder.blobs.serve({ open: async () => ({ sizeBytes: 10 * MiB, async *read() { yield bytesOf(MiB); await new Promise(() => undefined) } }) })
    const transfer = asker.blobs.fetch(holder.peerId, digestOf(small))[Symbol.asyncIterator]()
    await transfer.next()
    const rest = (async () => { while (!(await transfer.next()).done); })()
    await Promise.all([holder.stop(), expect(rest).rejects.toMatchObject({ fault: { code: 'lost-worker' } })])
  })

  it('from a holder that ends in the middle of a frame have broken off, and nobody is to blame', async () => {
    const raw = await mesh.addRawPeer()
    await raw.handle(blobProtocol, async (stream) => {
      stream.addEventListener('message', () => undefined)
      stream.send(frame(encodeValue({ found: true, sizeBytes: 300 })))
      stream.send(frame(bytesOf(300)).subarray(0, 100))
      await stream.close()
    })
    await raw.dial(asker.addrs().map((addr) => multiaddr(addr)))
    await waitUntil(() => asker.connections().some(({ peer }) => peer === raw.peerId.toString()))
    await expect(collect(asker.blobs.fetch(raw.peerId.toString() as PeerId, digestOf(small)))).rejects.toMatchObject({ fault: { code: 'lost-worker', detail: expect.stringContaining('middle of a frame') } })
  })

  it.each([
    ['more than it announced', [encodeValue({ found: true, sizeBytes: 3 }), bytesOf(4)], 'bad-request', /more than the size/],
    ['less than it announced', [encodeValue({ found: true, sizeBytes: 3 }), bytesOf(2)], 'lost-worker', /ended early/],
    ['nonsense', [Uint8Array.of(0xc1)], 'bad-request', /unreadable/],
    ['nothing', [], 'lost-worker', /ended early/],
    ['a size beyond every limit', [encodeValue({ found: true, sizeBytes: limits.blobBytesMax + 1 })], 'too-large', /over the limit/],
  ])('from a holder that sends %s are refused', async (_what, frames, code, detail) => {
    const raw = await mesh.addRawPeer()
    await raw.handle(blobProtocol, async (stream) => {
      stream.addEventListener('message', () => undefined)
      for (const body of frames) stream.send(frame(body))
      await stream.close()
    })
    await raw.dial(asker.addrs().map((addr) => multiaddr(addr)))
    await waitUntil(() => asker.connections().some(({ peer }) => peer === raw.peerId.toString()))
    await expect(collect(asker.blobs.fetch(raw.peerId.toString() as PeerId, digestOf(small)))).rejects.toMatchObject({ fault: { code, detail: expect.stringMatching(detail) } })
  })

  it('from a silent holder end in time', async () => {
    const [raw, silent] = await Promise.all([mesh.addRawPeer(), mesh.addRawPeer()])
    await silent.handle(blobProtocol, (stream) => stream.addEventListener('message', () => undefined))
    await raw.dial(silent.getMultiaddrs())
    const client = createBlobProtocol({ libp2p: raw, telemetry: { record: () => undefined }, silenceMsMax: 200 })
    await expect(collect(client.fetch(silent.peerId.toString() as PeerId, digestOf(small)))).rejects.toMatchObject({ fault: { code: 'timeout' } })
  })

  it('are not served to a malformed question', async () => {
    const raw = await mesh.addRawPeer()
    for (const bytes of [frame(Uint8Array.of(0xc1)), frame(encodeValue({ digest: 'x' })), Uint8Array.of(0xff, 0xff, 0xff, 0xff)]) {
      const stream = await raw.dialProtocol(holder.addrs().map((addr) => multiaddr(addr)), blobProtocol)
      stream.send(bytes)
      await waitUntil(() => stream.status !== 'open', 'the reset')
    }
    await waitUntil(() => holder.facts.filter((fact) => fact.name === 'blob.serve-failed').length === 3)
  })
})
