import type { Stream } from '@libp2p/interface'
import { multiaddrConnectionPair } from '@libp2p/utils'
import { describe, expect, it } from 'vitest'
import { guardedYamux } from '../../../node/libp2p/guarded-yamux.ts'
import { until } from '../../support/until.ts'

describe('a stream that is opened while its connection closes', () => {
  it('is aborted, and the process goes on', async () => {
    const thrown: unknown[] = []
    const onThrown = (error: unknown): void => void thrown.push(error)
    process.on('uncaughtException', onThrown)
    try {
      const [here] = multiaddrConnectionPair()
      const muxer = guardedYamux({ enableKeepAlive: false })().createStreamMuxer(here)
      // Closing, and the muxer has not heard of it yet: as between a peer's death and its news.
      here.send = () => {
        throw new Error('Cannot write to a stream that is closed')
      }
      const opening = Promise.resolve(muxer.createStream())
      const stream = await opening.catch((error: unknown) => error)
      await new Promise((resolve) => setImmediate(resolve))
      expect(thrown).toEqual([])
      expect(stream instanceof Error || (stream as { status: string }).status !== 'open').toBe(true)
    } finally {
      process.off('uncaughtException', onThrown)
    }
  })
})

describe('the window of a stream', () => {
  it('is opened again when half of it is used up, not after every frame', async () => {
    const [here, there] = multiaddrConnectionPair()
    const sender = guardedYamux({ enableKeepAlive: false })().createStreamMuxer(here)
    const receiver = guardedYamux({ enableKeepAlive: false })().createStreamMuxer(there)
    const accepted = new Promise<Stream>((resolve) => receiver.addEventListener('stream', ({ detail }) => resolve(detail)))
    const stream = await sender.createStream()
    const inbound = await accepted
    let received = 0
    inbound.addEventListener('message', ({ data }) => (received += data.byteLength))
    let answers = 0
    const send = there.send.bind(there)
    there.send = (data) => {
      answers += 1
      return send(data)
    }
    // Eight windows of 256 KiB, in pieces that are much smaller.
    const piece = new Uint8Array(1024)
    const pieces = 2048
    for (let sent = 0; sent < pieces; sent++) if (!stream.send(piece)) await new Promise((drained) => stream.addEventListener('drain', drained, { once: true }))
    await until(() => (received === pieces * piece.byteLength ? true : undefined), { what: 'all of it to arrive' })
    expect(answers).toBeGreaterThan(0)
    expect(answers).toBeLessThan(64)
  })
})
