import { describe, expect, it } from 'vitest'
import { frameParts } from '../../../node/libp2p/frame-batch.ts'
import { encodeEnvelope } from '../../../node/libp2p/frame-batch.ts'
import { createFrameReader, frame } from '../../../node/libp2p/framer.ts'
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import { decodeFrame, encodeFrame } from '../../../protocols/wire.ts'
import { note } from '../../contracts/transport.ts'

describe('framer', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('finds the same frames however the stream is cut (seed %i)', (seed) => {
    const random = seededRandom([seed, 47])
    const bodies = Array.from({ length: 60 }, () => Uint8Array.from({ length: random.next() < 0.1 ? 0 : random.below(3_000) }, () => random.below(256)))
    const bytes = Buffer.concat(bodies.map((body) => frame(body).subarray()))
    const reader = createFrameReader(4_096)
    const found: Uint8Array[] = []
    for (let start = 0; start < bytes.byteLength; ) {
      const size = 1 + random.below(random.next() < 0.5 ? 3 : 8_000)
      found.push(...reader.push(bytes.subarray(start, start + size)))
      start += size
    }
    expect(found.map((body) => Buffer.from(body).toString('hex'))).toEqual(bodies.map((body) => Buffer.from(body).toString('hex')))
    expect(reader.bufferedBytes).toBe(0)
  })

  it.each([1, 2, 3, 4, 5, 6, 7, 8])('survives garbage, and never holds more than a frame (seed %i)', (seed) => {
    const random = seededRandom([seed, 11])
    for (let stream = 0; stream < 50; stream++) {
      const reader = createFrameReader(1_000)
      try {
        for (let piece = 0; piece < 50; piece++) {
          const bytes = Uint8Array.from({ length: random.below(200) }, () => (random.next() < 0.7 ? 0 : random.below(256)))
          for (const body of reader.push(bytes)) {
            expect(body.byteLength).toBeLessThanOrEqual(1_000)
            expect(() => decodeFrame(body)).toThrow()
          }
          expect(reader.bufferedBytes).toBeLessThanOrEqual(1_004)
        }
      } catch (error) {
        expect(error).toMatchObject({ fault: { code: 'too-large' } })
        expect(reader.bufferedBytes).toBe(0)
      }
    }
  })

  it('refuses an oversized frame by its prefix alone', () => {
    const reader = createFrameReader(100)
    expect(reader.push(Uint8Array.of(0, 0, 0))).toEqual([])
    expect(() => reader.push(Uint8Array.of(101))).toThrow(/101 bytes was announced/)
  })

  it('gives frames that do not change with the buffer they came in', () => {
    const bytes = frame(Uint8Array.of(1, 2, 3)).subarray()
    const [body] = createFrameReader(100).push(bytes)
    bytes.fill(0)
    expect([...(body ?? [])]).toEqual([1, 2, 3])
  })
})

describe('a batch of envelopes', () => {
  it.each([0, 1, 2, 15, 16, 17, 255, 256, 1_024])('of %i is byte for byte what the wire encodes', (count) => {
    const envelopes = Array.from({ length: count }, (_, index) => note(`message ${index}`))
    expect(Buffer.concat(frameParts(envelopes.map(encodeEnvelope))).equals(encodeFrame(envelopes))).toBe(true)
  })
})
