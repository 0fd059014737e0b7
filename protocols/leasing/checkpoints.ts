/**
 * The holder's side of checkpoints: the newest that its skill has published is sent to the manager, at most once per
 * `checkpointGapMs`, until it is heard. What a newer one has replaced is never sent.
 */
import type { z } from 'zod'
import type { AwardId } from '../kernel/ids.ts'
import { limits } from '../kernel/limits.ts'
import { samePayload, type Payload } from '../kernel/payload.ts'
import type { InstantMs } from '../kernel/units.ts'
import type { Checkpoint } from './schema.ts'

export interface Checkpoints {
  readonly awardId: AwardId
  /** What the work would start again from, if it started again now and everything was heard. */
  newest: Payload | undefined
  number: number
  heard: number
  sentAtMs: InstantMs
}

/** @param resumed what this attempt was given: publishing it again tells nothing new. */
export function newCheckpoints(awardId: AwardId, resumed: Payload | undefined): Checkpoints {
  return { awardId, newest: resumed, number: 0, heard: 0, sentAtMs: -Infinity }
}

export function publish(checkpoints: Checkpoints, value: Payload): void {
  if (checkpoints.newest !== undefined && samePayload(checkpoints.newest, value)) return
  checkpoints.newest = value
  checkpoints.number += 1
}

/** @returns the newest when it has not been heard and it is time to send it (again). `atOnce`: somebody waits for it, or the run is over. */
export function checkpointDue(checkpoints: Checkpoints, nowMs: InstantMs, atOnce = false): z.infer<typeof Checkpoint> | undefined {
  const { awardId, newest, number, heard, sentAtMs } = checkpoints
  if (newest === undefined || number <= heard || (!atOnce && nowMs - sentAtMs < limits.checkpointGapMs)) return undefined
  checkpoints.sentAtMs = nowMs
  return { kind: 'checkpoint', awardId, number, checkpoint: newest }
}

export function checkpointHeard(checkpoints: Checkpoints, number: number): void {
  // Nobody can have heard what was not said.
  if (number <= checkpoints.number) checkpoints.heard = Math.max(checkpoints.heard, number)
}

/** What was sent may have been lost with a connection or a manager: it is due at once. */
export function sayCheckpointAgain(checkpoints: Checkpoints): void {
  checkpoints.sentAtMs = -Infinity
}
