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
      const send = here.send.bind(here)
      here.send = (data) => {
        if (here.status !== 'open') throw new Error('Cannot write to a stream that is closed')
        return send(data)
      }
      const opening = Promise.resolve(muxer.createStream())
      // In the same turn, before the microtask that sends the stream's first frame.
      here.abort(new Error('the peer was killed'))
      const stream = await opening.catch((error: unknown) => error)
      await new Promise((resolve) => setImmediate(resolve))
      expect(thrown).toEqual([])
      expect(stream instanceof Error || (stream as { status: string }).status !== 'open').toBe(true)
    } finally {
      process.off('uncaughtException', onThrown)
    }
  })
})
