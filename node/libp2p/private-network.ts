/**
 * The mesh key on the wire: libp2p's private network protocol (pnet). Both sides send a random nonce of 24 bytes; from
 * then on everything either says is XORed with XSalsa20(mesh key, its nonce). Whoever lacks the key sees and says noise.
 *
 * Same bytes as `@libp2p/pnet`, not its code: the cipher under it (`xsalsa20`, WebAssembly) never gives its slots back and
 * multiplies its memory once it has grown, so that a peer without the key ends the process with some 5,000 connections,
 * and a peer with it by a few large messages (both measured, xsalsa20 1.2.0).
 *
 * @see https://github.com/libp2p/specs/blob/master/pnet/Private-Networks-PSK-V1.md
 * @packageDocumentation
 */
import { randomBytes } from 'node:crypto'
import { AbstractMultiaddrConnection, byteStream } from '@libp2p/utils'
import type { SendResult } from '@libp2p/utils'
import type { AbortOptions, ConnectionProtector, Logger, MultiaddrConnection } from '@libp2p/interface'
import { xsalsa20 } from '@noble/ciphers/salsa.js'
import type { Uint8ArrayList } from 'uint8arraylist'

const nonceBytes = 24
const blockBytes = 64
/** The cipher counts blocks in 32 bits: a connection is ended long before the key stream could repeat. */
const streamBytesMax = (2 ** 32 - 2 ** 16) * blockBytes
/** What is ciphered in one go; bounds the time one write holds the loop. */
const chunkBytes = 64 * 1024

/** What every libp2p node says first (multistream-select): with another key it comes out as noise. */
const greeting = new TextEncoder().encode('\u0013/multistream/1.0.0\n')

/**
 * @param key the 32 bytes of the mesh key.
 * @param onStranger called with the remote multiaddr when somebody connects here and does not have the key.
 */
export function privateNetwork(key: Uint8Array, onStranger: (remoteAddr: string) => void = () => undefined): () => ConnectionProtector {
  return () => ({
    async protect(connection, options) {
      const ownNonce = new Uint8Array(randomBytes(nonceBytes))
      // libp2p protects connections before it encrypts them: what comes here is always one.
      const inner = connection as MultiaddrConnection
      const bytes = byteStream(inner)
      const [theirNonce] = await Promise.all([bytes.read({ ...options, bytes: nonceBytes }), bytes.write(ownNonce, options)])
      const decipher = createXorStream(key, theirNonce.subarray())
      const heard = inner.direction === 'inbound' ? expectGreeting(decipher, () => onStranger(inner.remoteAddr.toString())) : decipher
      return new PrivateConnection(bytes.unwrap(), heard, createXorStream(key, ownNonce))
    },
  })
}

/**
 * One direction's key stream.
 *
 * @returns a function that ciphers (or deciphers) the next bytes; it throws when the stream is used up.
 */
export function createXorStream(key: Uint8Array, nonce: Uint8Array): (bytes: Uint8Array) => Uint8Array {
  let offset = 0
  return (bytes) => {
    if (offset + bytes.byteLength > streamBytesMax) throw new Error('the key stream of this connection is used up')
    // Blocks are whole: begin at the last block's start and drop what of it was used before.
    const used = offset % blockBytes
    const padded = new Uint8Array(used + bytes.byteLength)
    padded.set(bytes, used)
    const ciphered = xsalsa20(key, nonce, padded, padded, Math.floor(offset / blockBytes))
    offset += bytes.byteLength
    return ciphered.subarray(used)
  }
}

/** Deciphers, and throws at the first byte of the greeting that is another one. */
function expectGreeting(decipher: (bytes: Uint8Array) => Uint8Array, onStranger: () => void): (bytes: Uint8Array) => Uint8Array {
  let heardBytes = 0
  return (bytes) => {
    const plain = decipher(bytes)
    for (let i = 0; i < plain.byteLength && heardBytes < greeting.byteLength; i++, heardBytes++) {
      if (plain[i] === greeting[heardBytes]) continue
      onStranger()
      throw new Error('the other side does not have the mesh key')
    }
    return plain
  }
}

class PrivateConnection extends AbstractMultiaddrConnection {
  readonly #inner: MultiaddrConnection
  readonly #encipher: (bytes: Uint8Array) => Uint8Array

  constructor(inner: MultiaddrConnection, decipher: (bytes: Uint8Array) => Uint8Array, encipher: (bytes: Uint8Array) => Uint8Array) {
    const log: Logger = inner.log.newScope('pnet')
    super({ log, remoteAddr: inner.remoteAddr, direction: inner.direction })
    this.#inner = inner
    this.#encipher = encipher
    this.maxMessageSize = chunkBytes
    inner.addEventListener('message', ({ data }) => {
      try {
        for (const piece of data instanceof Uint8Array ? [data] : data) this.onData(decipher(piece))
      } catch (error) {
        this.abort(error instanceof Error ? error : new Error(String(error)))
      }
    })
    inner.addEventListener('drain', () => this.onMuxerDrain())
    inner.addEventListener('close', (event) => {
      if (event.error === undefined) this.onTransportClosed()
      else if ('local' in event && event.local === true) this.abort(event.error)
      else this.onRemoteReset()
    })
  }

  async sendClose(options?: AbortOptions): Promise<void> {
    await this.#inner.close(options)
  }

  sendData(bytes: Uint8ArrayList): SendResult {
    return { sentBytes: bytes.byteLength, canSendMore: this.#inner.send(this.#encipher(bytes.subarray())) }
  }

  sendReset(error: Error): void {
    this.#inner.abort(error)
  }

  sendPause(): void {
    this.#inner.pause()
  }

  sendResume(): void {
    this.#inner.resume()
  }
}
