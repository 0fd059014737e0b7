/**
 * Peers that send what cannot be read: a few times are forgiven, then the peer is cut off for a while.
 *
 * @packageDocumentation
 */
import type { PeerId } from '../../protocols/kernel/ids.ts'

export interface Offenders {
  /** @returns true when this was one too many and the peer is quarantined from now on. */
  offended(peer: PeerId): boolean
  isQuarantined(peer: PeerId): boolean
}

const forgiven = 2
const windowMs = 60_000
const quarantineMs = 60_000
const peersKept = 4_096

export function createOffenders(monotonicMs: () => number): Offenders {
  const offences = new Map<PeerId, number[]>()
  const quarantined = new Map<PeerId, number>()
  return {
    offended(peer) {
      const nowMs = monotonicMs()
      const recent = [...(offences.get(peer) ?? []).filter((atMs) => nowMs - atMs < windowMs), nowMs]
      offences.delete(peer)
      if (recent.length <= forgiven) {
        offences.set(peer, recent)
        if (offences.size > peersKept) drop(offences)
        return false
      }
      quarantined.set(peer, nowMs + quarantineMs)
      if (quarantined.size > peersKept) drop(quarantined)
      return true
    },
    isQuarantined(peer) {
      const untilMs = quarantined.get(peer)
      if (untilMs === undefined) return false
      if (monotonicMs() < untilMs) return true
      quarantined.delete(peer)
      return false
    },
  }
}

function drop(map: Map<PeerId, unknown>): void {
  const oldest = map.keys().next()
  if (!oldest.done) map.delete(oldest.value)
}
