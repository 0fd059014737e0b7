import { multiaddrConnectionPair } from '@libp2p/utils'
import { describe, expect, it } from 'vitest'
import { guardedYamux } from '../../../node/libp2p/guarded-yamux.ts'

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
