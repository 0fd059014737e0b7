import { describe, expect, it } from 'vitest'
import { createLiveness, type Watched } from '../../../node/libp2p/liveness.ts'

const hungPeerMs = 3_000
/** How often `start` looks, with that. */
const lookMs = 500

/** A connection whose other side answers as it is told, and a clock that is moved by hand. */
function mesh() {
  let nowMs = 1_000
  const liveness = createLiveness({ hungPeerMs, nowMs: () => nowMs })
  return {
    liveness,
    /** Time passes, and the loop is free to look at it. */
    async pass(durationMs: number, meanwhile: () => void = () => undefined): Promise<number> {
      const untilMs = nowMs + durationMs
      while (nowMs < untilMs) {
        await settled()
        nowMs += Math.min(lookMs, untilMs - nowMs)
        meanwhile()
        liveness.look()
      }
      return nowMs
    },
    /** Time passes, and the loop does something else. */
    stall(durationMs: number): void {
      nowMs += durationMs
    },
    connect(answers: () => boolean = () => true) {
      const seen = { pings: 0, heard: 0, gaveUpAtMs: undefined as number | undefined, why: '' }
      const muxer: Watched & { status: 'open' | 'closed' } = {
        status: 'open',
        onData: () => void (seen.heard += 1),
        ping() {
          seen.pings += 1
          if (!answers()) return new Promise(() => undefined)
          muxer.onData(new Uint8Array(12))
          return Promise.resolve(1)
        },
      }
      liveness.watch(muxer, {
        abort({ message }) {
          seen.gaveUpAtMs = nowMs
          seen.why = message
          muxer.status = 'closed'
        },
      })
      return Object.assign(seen, { muxer })
    },
  }
}

/** Lets the promise of a ping that was answered settle. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('a connection', () => {
  it('over which something is heard is not pinged, but for the round trip now and then', async () => {
    const { connect, pass } = mesh()
    const peer = connect()
    await pass(25_000, () => peer.muxer.onData(new Uint8Array(1)))
    expect(peer.pings).toBe(1)
    await pass(10_000, () => peer.muxer.onData(new Uint8Array(1)))
    expect(peer.pings).toBe(2)
    expect(peer.gaveUpAtMs).toBeUndefined()
  })

  it('that is silent is pinged, and stays when that is answered', async () => {
    const { connect, pass } = mesh()
    const peer = connect()
    await pass(60_000)
    expect(peer.pings).toBeGreaterThan(20)
    expect(peer.gaveUpAtMs).toBeUndefined()
  })

  it('whose other side hangs is given up within twice the patience, and not before it', async () => {
    const { connect, pass } = mesh()
    let hangs = false
    const peer = connect(() => !hangs)
    const hungAtMs = await pass(5_000)
    hangs = true
    await pass(60_000)
    const tookMs = (peer.gaveUpAtMs ?? Infinity) - hungAtMs
    expect(tookMs).toBeGreaterThanOrEqual(hungPeerMs)
    expect(tookMs).toBeLessThanOrEqual(2 * hungPeerMs)
    expect(peer.why).toContain('nothing was heard')
  })

  it('is not blamed for the time in which this node itself stood still', async () => {
    const { connect, pass, stall, liveness } = mesh()
    let hangs = false
    const peers = Array.from({ length: 19 }, () => connect(() => !hangs))
    await pass(5_000)
    hangs = true
    for (let stalls = 0; stalls < 3; stalls++) {
      stall(20_000)
      liveness.look()
    }
    expect(peers.filter(({ gaveUpAtMs }) => gaveUpAtMs !== undefined)).toEqual([])
    // What had come in meanwhile is read now.
    for (const { muxer } of peers) muxer.onData(new Uint8Array(1))
    hangs = false
    await pass(60_000)
    expect(peers.filter(({ gaveUpAtMs }) => gaveUpAtMs !== undefined)).toEqual([])
  })

  it('gets more time from a node that was starved of its own, but no more than twice the patience', async () => {
    const tookMs = await Promise.all([false, true].map(async (isStarved) => {
      const { connect, pass, stall, liveness } = mesh()
      const peer = connect(() => false)
      const hungAtMs = await pass(0)
      if (isStarved) stall(5_000)
      liveness.look()
      await pass(60_000)
      return (peer.gaveUpAtMs ?? Infinity) - hungAtMs - (isStarved ? 5_000 - lookMs : 0)
    }))
    expect(tookMs[1]).toBeGreaterThan(tookMs[0] ?? Infinity)
    expect(tookMs[1]).toBeLessThanOrEqual(2 * hungPeerMs)
  })

  it('that has ended is forgotten', async () => {
    const { connect, pass } = mesh()
    const peer = connect(() => false)
    peer.muxer.status = 'closed'
    await pass(60_000)
    expect(peer.gaveUpAtMs).toBeUndefined()
  })

  it('goes on reading what comes in', () => {
    const { connect } = mesh()
    const peer = connect(() => false)
    peer.muxer.onData(new Uint8Array(1))
    expect(peer.heard).toBe(1)
  })
})
