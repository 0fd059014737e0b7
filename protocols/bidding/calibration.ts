/**
 * What managers of this node have learned of other nodes' bids: how long the work took against what was promised,
 * and how often it ended well. A node that lies about its speed stops winning; one that keeps failing is left alone for a while.
 */
import type { PeerId } from '../kernel/ids.ts'
import type { DurationMs, InstantMs } from '../kernel/units.ts'

interface PeerHistory {
  /** Smoothed actual / promised finish; 1 is honest, 5 is a node that claims five times its speed. */
  ratio: number
  good: number
  bad: number
  failuresInRow: number
  openUntilMs: InstantMs
  /** Promises that were said to be first guesses. */
  guesses: number
}

export interface Assessment {
  readonly ratio: number
  /** In [0,1]: how often it ended well, less for a peer that is later than it promises. */
  readonly reliability: number
  readonly breakerOpen: boolean
}

export type Calibration = Map<PeerId, PeerHistory>

const smoothing = 0.35
const ratioMin = 0.5
const ratioMax = 20
/** Below this scheduling noise dwarfs the work, so promise and outcome are both padded by it. */
const noiseMs = 100
/** Being late by this much is nobody's fault; beyond it, reliability falls with the ratio. */
const ratioForgiven = 1.25
/** A node with many capabilities guesses often; one that calls every promise a guess is held to it all the same. */
const guessesForgiven = 32
const breakerThreshold = 3
const breakerMsMin = 2_000
const breakerMsMax = 60_000
/** Old successes and failures fade, so that a mended node is believed again. */
const memory = 40

function recordOf(calibration: Calibration, peer: PeerId): PeerHistory {
  let record = calibration.get(peer)
  if (record === undefined) calibration.set(peer, (record = { ratio: 1, good: 0, bad: 0, failuresInRow: 0, openUntilMs: -Infinity, guesses: 0 }))
  return record
}

/** @param samples how many runs the promise rested on; a first guess is not held against anyone. */
export function learnSuccess(calibration: Calibration, peer: PeerId, promisedMs: number, actualMs: number, samples: number): void {
  const record = recordOf(calibration, peer)
  record.failuresInRow = 0
  record.good = Math.min(memory, record.good + 1)
  record.bad = Math.max(0, record.bad - 0.25)
  if (samples === 0 && ++record.guesses <= guessesForgiven) return
  const observed = Math.min(ratioMax, Math.max(ratioMin, (actualMs + noiseMs) / (promisedMs + noiseMs)))
  record.ratio += smoothing * (observed - record.ratio)
}

export function learnFailure(calibration: Calibration, peer: PeerId, nowMs: InstantMs): void {
  const record = recordOf(calibration, peer)
  record.bad = Math.min(memory, record.bad + 1)
  record.failuresInRow += 1
  if (record.failuresInRow >= breakerThreshold) {
    record.openUntilMs = nowMs + Math.min(breakerMsMax, breakerMsMin * 2 ** (record.failuresInRow - breakerThreshold))
  }
}

export function assess(calibration: Calibration, peer: PeerId, nowMs: InstantMs): Assessment {
  const record = calibration.get(peer)
  if (record === undefined) return { ratio: 1, reliability: 1, breakerOpen: false }
  const punctuality = Math.min(1, ratioForgiven / record.ratio)
  return { ratio: record.ratio, reliability: (punctuality * (record.good + 2)) / (record.good + record.bad + 2), breakerOpen: record.openUntilMs > nowMs }
}

/** What a promise of this peer is worth: the inverse of how its ratio was measured. */
export function calibrate(promisedMs: DurationMs, assessment: Assessment): DurationMs {
  return Math.max(0, (promisedMs + noiseMs) * assessment.ratio - noiseMs)
}
