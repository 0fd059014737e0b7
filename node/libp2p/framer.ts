/**
 * Frames on a stream: an unsigned 32-bit big-endian length, then that many bytes.
 *
 * @packageDocumentation
 */
import { Uint8ArrayList } from 'uint8arraylist'
import { MeshError } from '../../protocols/kernel/errors.ts'

const prefixBytes = 4

/** @returns the prefix and the body, as one list without copying the body. */
export function frame(...parts: readonly Uint8Array[]): Uint8ArrayList {
  const prefix = new Uint8Array(prefixBytes)
  let sizeBytes = 0
  for (const part of parts) sizeBytes += part.byteLength
  new DataView(prefix.buffer).setUint32(0, sizeBytes)
  return new Uint8ArrayList(prefix, ...parts)
}

export interface FrameReader {
  /**
   * Takes the next bytes of the stream.
   *
   * @returns every frame they complete, in order; each is a copy of its own.
   * @throws MeshError `too-large` as soon as a prefix announces more than the limit, before any of it is kept.
   *   The reader is spent after that.
   */
  push(bytes: Uint8Array | Uint8ArrayList): Uint8Array[]
  /** Bytes of an incomplete frame held back. */
  readonly bufferedBytes: number
}

/** Cuts a stream into frames whatever pieces it arrives in. Never holds more than one frame and one piece. */
export function createFrameReader(frameBytesMax: number): FrameReader {
  const buffered = new Uint8ArrayList()
  return {
    push(bytes) {
      buffered.append(bytes)
      const frames: Uint8Array[] = []
      while (buffered.byteLength >= prefixBytes) {
        const sizeBytes = buffered.getUint32(0)
        if (sizeBytes > frameBytesMax) {
          buffered.consume(buffered.byteLength)
          throw new MeshError('too-large', `a frame of ${sizeBytes} bytes was announced, the limit is ${frameBytesMax}`)
        }
        if (buffered.byteLength < prefixBytes + sizeBytes) break
        frames.push(buffered.slice(prefixBytes, prefixBytes + sizeBytes))
        buffered.consume(prefixBytes + sizeBytes)
      }
      return frames
    },
    get bufferedBytes() {
      return buffered.byteLength
    },
  }
}
