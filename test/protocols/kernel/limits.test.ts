import { describe, expect, it } from 'vitest'
import { limits } from '../../../protocols/kernel/limits.ts'

describe('limits', () => {
  it('are positive whole numbers that nobody can change', () => {
    for (const [name, value] of Object.entries(limits)) expect(Number.isSafeInteger(value) && value > 0, name).toBe(true)
    expect(Object.isFrozen(limits)).toBe(true)
    expect(() => {
      Object.assign(limits, { leaseMs: 1 })
    }).toThrow(TypeError)
  })

  // What other rooms count on, apart from the relations that are asserted where the limits are written.
  it.each<[string, number, number]>([
    ['an advert survives two lost refreshes', limits.advertRefreshMs * 3, limits.advertTtlMs],
    ['a lease survives three lost pulses', limits.pulseMs * 4, limits.leaseMs],
    ['an adopted award is asked for within its lease', limits.adoptTimeoutMs, limits.leaseMs],
    ['an outcome is sent again before its holder forgets it', limits.resultRetryMsMax, limits.resultKeptMs],
    ['a call is announced twice before a participant forgets it', limits.reannounceMsMax * 2, limits.callExpiryMs],
    ['a bid lives until the call is announced again', limits.reannounceMsMax, limits.bidExpiryMs],
    ['retries end within a mission’s default time', limits.retryBackoffMsMax * limits.attemptsHardMax, limits.missionDurationMsDefault],
    ['a frame of calls fits in one gossip message', limits.callsPerAnnouncementMax * 4_000, limits.gossipBytesMax],
    ['a full list of recorded bids and refusals fits in a frame', (limits.bidsRecordedMax + limits.refusalsRecordedMax) * 2_000, limits.frameBytesMax],
    ['an inline payload fits in a gossip message', limits.payloadInlineBytesMax, limits.gossipBytesMax],
    ['a frame fits in a peer’s queue', limits.frameBytesMax, limits.peerQueueBytesMax],
    ['a blob’s chunk fits in a frame', limits.blobChunkBytes, limits.frameBytesMax],
    ['a blob can be uploaded', limits.httpUploadBytesMax, limits.blobBytesMax],
    ['a plan’s tasks fit in a mission', limits.planTasksMax, limits.missionTasksMax],
    ['a legal input fits in a message that carries it', limits.jsonDepthMax, limits.frameDepthMax],
  ])('%s', (_what, smaller, larger) => {
    expect(smaller).toBeLessThanOrEqual(larger)
  })
})
