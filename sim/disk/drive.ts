/** The disk of one machine, as both of its stores share it: how fast it is, whether it is full or stuck, and what waits to be synced. */
import type { Clock } from '../../actors/ports/clock.ts'
import { MeshError } from '../../protocols/kernel/errors.ts'
import type { DurationMs } from '../../protocols/kernel/units.ts'
import { createWriteQueue, type WriteQueue } from './write-queue.ts'

/** The world's clock, not a node's: a disk outlives processes. */
export interface DriveClock extends Pick<Clock, 'schedule'> {
  /** An adapter has resolved a promise. */
  stir?(): void
}

export interface DriveInit {
  /** With a clock, every write takes `syncMs`; without one it is synced at once. */
  readonly clock?: DriveClock
  /** Default 0.5 ms. */
  readonly syncMs?: DurationMs
}

/** How many of the unsynced writes get to the platter, and which half of the log's next one. */
export interface Kept {
  readonly log: number
  readonly half?: 'database' | 'watermark' | undefined
  readonly blobs: number
}

export interface Drive {
  /** The log's writes and the blobs': two files, so that a power cut may take of either what it likes. */
  readonly log: WriteQueue
  readonly blobs: WriteQueue
  isFull(): boolean
  setFull(full: boolean): void
  setSyncMs(syncMs: DurationMs): void
  /** Syncs take so many times as long; those under way take no longer than a new one would. */
  setSyncFactor(factor: number): void
  /** While it is stuck no write is completed. Reads are: what was read or written lately is in memory. */
  setStuck(stuck: boolean): void
  /** What to wait for while it is stuck. */
  unstuck(): Promise<void> | undefined
  /** The process that used it is gone, with all but the first of its unsynced writes. What it still meant to write is not written. */
  cut(kept: Kept): void
  /** How many processes that used it are gone. */
  cuts(): number
  stir(): void
}

export function createDrive({ clock, syncMs: syncMsAtFirst = 0.5 }: DriveInit = {}): Drive {
  let syncMs = syncMsAtFirst
  let factor = 1
  let isFull = false
  let isStuck = false
  let cuts = 0
  let waiting: (() => void)[] = []
  const stir = (): void => clock?.stir?.()
  const queue = (): WriteQueue =>
    createWriteQueue({ ...(clock === undefined ? {} : { schedule: (delayMs, callback) => void clock.schedule(delayMs, callback) }), syncMs: () => syncMs * factor, isStuck: () => isStuck, stir })
  const log = queue()
  const blobs = queue()

  return {
    log, blobs, stir,
    cuts: () => cuts,
    cut(kept) {
      cuts++
      log.cut(kept.log, kept.half)
      blobs.cut(kept.blobs)
    },
    isFull: () => isFull,
    setFull(full) {
      isFull = full
    },
    setSyncMs(duration) {
      syncMs = duration
    },
    setSyncFactor(times) {
      const isFaster = times < factor
      factor = times
      if (!isFaster) return
      log.hurry()
      blobs.hurry()
    },
    setStuck(stuck) {
      isStuck = stuck
      if (stuck) return
      log.unstick()
      blobs.unstick()
      const released = waiting
      waiting = []
      for (const release of released) release()
      if (released.length > 0) stir()
    },
    unstuck: () => (isStuck ? new Promise((resolve) => waiting.push(resolve)) : undefined),
  }
}

export function diskFull(what: string): MeshError {
  return new MeshError('storage-failed', `${what}: the virtual disk is full`, { next: 'free some space and start the node again' })
}
