/** How long things take on the wires: latency, loss, bandwidth. */
import type { DurationMs, InstantMs } from '../../protocols/kernel/units.ts'
import { draw } from '../scenario/draw.ts'
import type { Distribution } from '../scenario/schema.ts'
import type { VirtualClock } from '../virtual-clock.ts'
import { laneTo, type Link, type Station } from './directory.ts'
import type { Hop, LinkConditions, VirtualNetworkInit } from './network.ts'
import { mixedSeed, nextFraction, randomFrom, type NoiseSource } from './noise.ts'

export interface Physics {
  conditions: LinkConditions
  /** Without jitter. */
  baseMs(link: Link): DurationMs
  frameMs(link: Link): DurationMs
  roundTripMs(link: Link): DurationMs
  /** Draws from a distribution with the link's own randomness. */
  drawn(link: Link, distribution: Distribution): number
  /** When bytes handed to the network now have left it towards `to`. */
  departureMs(link: Link, to: Station, bytes: number): InstantMs
  /** How long a stream waits for what was lost: 0 most of the time. RFC 6298: the timeout doubles with every loss. */
  retransmissionMs(link: Link): DurationMs
  /** The fate of a datagram; undefined: lost. */
  hop(link: Link, to: Station, bytes: number): Hop | undefined
}

const retransmissionMsMin = 200
/** After it, a stream is as good as dead. */
const retransmissionMsMax = 120_000
const latencyMsMin = 0.001

export function createPhysics(init: VirtualNetworkInit, clock: VirtualClock): Physics {
  const sameSite: Distribution = init.latencyMs ?? { uniform: [init.latencyMsMin ?? 0.2, Math.max(init.latencyMsMin ?? 0.2, init.latencyMsMax ?? 2)] }
  const betweenSites = init.betweenSitesLatencyMs ?? sameSite
  const bytesPerMs = init.bandwidthBytesPerSecond === undefined ? Infinity : init.bandwidthBytesPerSecond / 1_000
  const gossipLossFraction = init.gossipLossFraction ?? 0
  const baseSeed = init.random.below(0x1_0000_0000)
  const borrowed: NoiseSource = { noise: 0 }
  const borrowedRandom = randomFrom(borrowed)

  function drawn(link: Link, distribution: Distribution): number {
    borrowed.noise = link.noise
    const value = draw(distribution, borrowedRandom)
    link.noise = borrowed.noise
    return value
  }

  function baseMs(link: Link): DurationMs {
    if (link.baseMs < 0) {
      // From its ends alone: whatever else happened on the link, and whenever it is drawn again for a new site, it is the same.
      borrowed.noise = mixedSeed(link.low.hash, mixedSeed(link.high.hash, baseSeed))
      link.baseMs = Math.max(latencyMsMin, draw(link.low.site === link.high.site ? sameSite : betweenSites, borrowedRandom))
    }
    return link.baseMs * link.slowFactor
  }

  function departureMs(link: Link, to: Station, bytes: number): InstantMs {
    const nowMs = clock.nowMs()
    if (bytesPerMs === Infinity) return nowMs
    const from = link.low === to ? link.high : link.low
    from.uplinkFreeMs = Math.max(nowMs, from.uplinkFreeMs) + bytes / bytesPerMs
    if (link.slowFactor <= 1) return from.uplinkFreeMs
    const lane = laneTo(link, to)
    lane.freeMs = Math.max(nowMs, lane.freeMs) + (bytes * link.slowFactor) / bytesPerMs
    return Math.max(from.uplinkFreeMs, lane.freeMs)
  }

  const physics: Physics = {
    conditions: { lossFraction: 0, duplicationFraction: 0, reorderingFraction: 0 },
    baseMs, drawn, departureMs,
    frameMs: (link) => baseMs(link) * (1 + nextFraction(link) / 10),
    roundTripMs: (link) => physics.frameMs(link) + physics.frameMs(link),
    retransmissionMs(link) {
      const { lossFraction } = physics.conditions
      let waitedMs = 0
      if (lossFraction <= 0) return waitedMs
      for (let timeoutMs = Math.max(retransmissionMsMin, 4 * baseMs(link)); waitedMs < retransmissionMsMax && nextFraction(link) < lossFraction; timeoutMs *= 2) waitedMs += timeoutMs
      return waitedMs
    },
    hop(link, to, bytes) {
      const { lossFraction, duplicationFraction, reorderingFraction } = physics.conditions
      const sentMs = departureMs(link, to, bytes) - clock.nowMs()
      if (lossFraction > 0 && nextFraction(link) < lossFraction) return undefined
      if (gossipLossFraction > 0 && nextFraction(link) < gossipLossFraction) return undefined
      let delayMs = sentMs + physics.frameMs(link)
      // Late enough to be overtaken by several that were sent after it.
      if (reorderingFraction > 0 && nextFraction(link) < reorderingFraction) delayMs += nextFraction(link) * (5 + 8 * baseMs(link))
      return { delayMs, duplicate: duplicationFraction > 0 && nextFraction(link) < duplicationFraction }
    },
  }
  return physics
}
