/**
 * The LogStore port on a virtual disk. A write is staged at once and synced after `syncMs`; its promise resolves only then.
 * The disk outlives the stores that are opened on it, and everything that can go wrong with a disk goes wrong here;
 * the blobs of the same machine (`shelf`, `drive`) share its fate.
 */
import type { Clock } from '../actors/ports/clock.ts'
import type { Claim, LogBatch, LogStore } from '../actors/ports/log-store.ts'
import { MeshError } from '../protocols/kernel/errors.ts'
import type { Digest, MissionId } from '../protocols/kernel/ids.ts'
import { limits } from '../protocols/kernel/limits.ts'
import type { Random } from '../protocols/kernel/prng.ts'
import type { DurationMs } from '../protocols/kernel/units.ts'
import { LogEntry, type LogHead } from '../protocols/replicated-log/schema.ts'
import { decodeValue, encodeValue } from '../protocols/wire.ts'
import { createDrive, diskFull, type Drive, type DriveClock } from './disk/drive.ts'
import { createPlatter, type DiskCopy } from './disk/platter.ts'
import { rotEntries } from './disk/rot.ts'

export interface VirtualLogDiskInit {
  /** With a clock, every write takes `syncMs`; without one it is synced at once. The world's clock, not a node's. */
  readonly clock?: DriveClock & Pick<Clock, 'wallMs'>
  /** Default 0.5 ms. */
  readonly syncMs?: DurationMs
  /** The blobs on the same disk: wiped, rolled back and copied with the logs. */
  readonly shelf?: Map<Digest, Uint8Array>
}

export type SyncedListener = (missionId: MissionId, entries: readonly LogEntry[]) => void

export interface VirtualLogDisk {
  /** For the blob store of the same machine. */
  readonly drive: Drive
  /** @throws MeshError `wrong-state` while another store has it open. */
  open(): Promise<LogStore>
  /** The process is killed: what it had written gets to the platter all the same, as the system lives. */
  kill(): void
  /** The machine loses power: the open store is dead, and of the unsynced writes the first `unsyncedKept` (default 0) survive. */
  crash(unsyncedKept?: number): void
  /** The same with a drawn number of survivors. The write after them was torn, and the log drops a torn record as a whole. */
  powerCut(random: Random): void
  /** The next `count` writes fail with this reason; those in flight are not touched. */
  failWrites(count: number, reason?: string): void
  /** The next write's sync fails: nobody reads it, and after the store was opened again it may or may not be there. @returns a function that takes the failure back if nothing was written yet. */
  failNextSync(random: Random): () => void
  /** A full disk fails every write and goes on reading. */
  setFull(full: boolean): void
  setSyncMs(syncMs: DurationMs): void
  setSyncFactor(factor: number): void
  /** Writes do not end until it works again. */
  setStuck(stuck: boolean): void
  /** Loses or alters synced entries, as rot does; see `disk/rot.ts`. @returns the missions that were damaged. */
  rot(random: Random): MissionId[]
  /** A new, empty disk. An open store is dead. @returns the missions that were there. */
  wipe(): MissionId[]
  snapshot(): DiskCopy
  /** Back to an older copy. An open store is dead. @returns the missions that had entries which the copy has not. */
  restore(copy: DiskCopy): MissionId[]
  /** Overwrites what is stored under a mission's index, to play a rotten disk. @returns false when nothing is there. */
  corrupt(missionId: MissionId, index: number): boolean
  /** Removes one entry behind the store's back. */
  lose(missionId: MissionId, index: number): void
  /** Called with the entries of one mission that are on the platter for good, in order. */
  onSynced(listener: SyncedListener): void
  /** Called once, when the next write was staged. @returns a function that takes the listener back. */
  onNextWrite(listener: () => void): () => void
  missionsStored(): MissionId[]
  unsyncedWrites(): number
  entriesStored(missionId: MissionId): number
}

interface Life {
  state: 'open' | 'failed' | 'closed'
}

export function createVirtualLogDisk(init: VirtualLogDiskInit = {}): VirtualLogDisk {
  const drive = createDrive(init)
  const platter = createPlatter()
  const syncedListeners: SyncedListener[] = []
  let openLife: Life | undefined
  let failing = { count: 0, reason: '' }
  /** Written, never acknowledged, and found when the disk is opened again. */
  let limbo: readonly (() => void)[] = []

  function writingOf(batch: LogBatch): () => void {
    // Encoded when written: what the caller changes afterwards does not reach the disk.
    const entries = batch.entries.map(({ missionId, entry }) => ({ missionId, index: entry.index, bytes: encodeValue(entry) }))
    const heads = batch.heads.map((head) => ({ missionId: head.missionId, bytes: encodeValue(head) }))
    const claims = batch.claims.map((claim) => ({ key: JSON.stringify([claim.principal, claim.key]), bytes: encodeValue(claim) }))
    return () => {
      for (const { missionId, index, bytes } of entries) platter.putEntry(missionId, index, bytes)
      for (const { missionId, bytes } of heads) platter.putHead(missionId, bytes)
      for (const { key, bytes } of claims) platter.claims.set(key, bytes)
      if (syncedListeners.length === 0) return
      const byMission = Map.groupBy(entries, ({ missionId }) => missionId)
      for (const [missionId, ofMission] of byMission) tellSynced(missionId, ofMission.map(({ bytes }) => decodeValue(bytes) as LogEntry))
    }
  }

  function tellSynced(missionId: MissionId, entries: readonly LogEntry[]): void {
    for (const listener of syncedListeners) listener(missionId, entries)
  }

  function pruneClaims(): void {
    if (init.clock === undefined) return
    const oldest = init.clock.wallMs() - limits.idempotencyKeyKeptMs
    for (const [key, bytes] of platter.claims) if ((decodeValue(bytes) as Claim).atWallMs < oldest) platter.claims.delete(key)
  }

  function cut(kept: { readonly log: number; readonly blobs: number }): void {
    drive.cut(kept)
    if (openLife !== undefined) openLife.state = 'closed'
    openLife = undefined
  }

  function readEntries(missionId: MissionId, fromIndex: number, max: number): LogEntry[] {
    const lost = (index: number) => new MeshError('storage-failed', `entry ${index} of mission ${missionId} cannot be read back`, { retryable: false })
    const log = platter.logs.get(missionId)
    const entries: LogEntry[] = []
    if (log === undefined) return entries
    let index = Math.max(1, fromIndex)
    // What is missing at the beginning is for the reader to see; what is missing between two entries is not.
    while (index <= log.lastIndex && !log.entries.has(index)) index++
    for (; entries.length < max && index <= log.lastIndex; index++) {
      const stored = log.entries.get(index)
      if (stored === undefined) {
        if (hasAfter(log.entries, index, log.lastIndex)) throw lost(index)
        break
      }
      const decoded = decodeValue(stored.bytes) as LogEntry
      if (!stored.checked && (!LogEntry.safeParse(decoded).success || decoded.index !== index)) throw lost(index)
      stored.checked = true
      // As it was stored: fields that a newer minor release added stay, and with them the hash chain.
      entries.push(decoded)
    }
    const next = (entries.at(-1)?.index ?? Math.max(1, fromIndex) - 1) + 1
    if (entries.length < max && log.head !== undefined && next <= (decodeValue(log.head) as LogHead).index) throw lost(next)
    return entries
  }

  function openOnce(): LogStore {
    const life: Life = { state: 'open' }
    openLife = life

    function assertOpen(): void {
      // Every answer is a promise that was just resolved or rejected.
      drive.stir()
      if (life.state === 'closed') throw new MeshError('wrong-state', 'the log store is closed', { next: 'open it again' })
    }

    function assertWritable(): void {
      assertOpen()
      if (life.state === 'failed') throw new MeshError('storage-failed', 'an earlier write failed, so what is on the disk is not known', { next: 'close the store and open it again' })
    }

    async function commit(apply: () => void): Promise<void> {
      if (drive.isFull()) {
        life.state = 'failed'
        throw diskFull('the log could not be written')
      }
      if (failing.count > 0) {
        failing.count--
        life.state = 'failed'
        throw new MeshError('storage-failed', `the log could not be written: ${failing.reason}`, { next: 'close the store and open it again' })
      }
      await drive.log.stage(apply)
    }

    return {
      async write(batch) {
        assertWritable()
        await commit(writingOf(batch))
      },
      async heads() {
        assertOpen()
        return sortedValues(platter.logs).flatMap(({ head }) => (head === undefined ? [] : [decodeValue(head) as LogHead]))
      },
      async read(missionId, fromIndex, max) {
        assertOpen()
        return max <= 0 ? [] : readEntries(missionId, fromIndex, max)
      },
      async claims() {
        assertOpen()
        return sortedValues(platter.claims).map((bytes) => decodeValue(bytes) as Claim)
      },
      async remove(missionId) {
        assertWritable()
        await commit(() => void platter.logs.delete(missionId))
      },
      async close() {
        await drive.unstuck()
        if (life.state === 'closed') return
        life.state = 'closed'
        drive.log.flush()
        if (openLife === life) openLife = undefined
      },
    }
  }

  return {
    drive,
    async open() {
      drive.stir()
      if (openLife !== undefined) throw new MeshError('wrong-state', 'another node uses this virtual disk', { next: 'close or crash the other store first' })
      for (const apply of limbo) apply()
      limbo = []
      pruneClaims()
      return openOnce()
    },
    kill: () => cut({ log: Infinity, blobs: Infinity }),
    crash: (unsyncedKept = 0) => cut({ log: unsyncedKept, blobs: unsyncedKept }),
    powerCut: (random) => cut({ log: random.below(drive.log.waiting() + 1), blobs: random.below(drive.blobs.waiting() + 1) }),
    failWrites(count, reason = 'the virtual disk is full') {
      failing = { count, reason }
    },
    failNextSync(random) {
      return drive.log.failNext((lost) => {
        if (openLife !== undefined) openLife.state = 'failed'
        limbo = lost.slice(0, random.below(lost.length + 1))
        return new MeshError('storage-failed', 'the log could not be written: input/output error', { next: 'check the disk, then restart the node; it recovers what was synced' })
      })
    },
    setFull: drive.setFull,
    setSyncMs: drive.setSyncMs,
    setSyncFactor: drive.setSyncFactor,
    setStuck: drive.setStuck,
    rot: (random) => rotEntries(platter, random),
    wipe() {
      cut({ log: 0, blobs: 0 })
      limbo = []
      const missions = [...platter.logs.keys()].sort()
      platter.clear()
      init.shelf?.clear()
      return missions
    },
    snapshot: () => platter.copy(init.shelf ?? new Map()),
    restore(copy) {
      cut({ log: 0, blobs: 0 })
      limbo = []
      init.shelf?.clear()
      for (const [digest, bytes] of copy.blobs) init.shelf?.set(digest, bytes)
      return platter.restore(copy)
    },
    corrupt(missionId, index) {
      const log = platter.logs.get(missionId)
      const former = log?.entries.get(index)
      if (former === undefined) return false
      log?.entries.set(index, { bytes: encodeValue('rotten'), order: former.order, checked: false })
      return true
    },
    lose: (missionId, index) => void platter.logs.get(missionId)?.entries.delete(index),
    onSynced: (listener) => void syncedListeners.push(listener),
    onNextWrite: (listener) => drive.log.onNextStaged(listener),
    missionsStored: () => [...platter.logs.keys()].sort(),
    unsyncedWrites: () => drive.log.waiting(),
    entriesStored: (missionId) => platter.logs.get(missionId)?.entries.size ?? 0,
  }
}

function sortedValues<V>(map: ReadonlyMap<string, V>): V[] {
  return [...map].sort(([left], [right]) => (left < right ? -1 : 1)).map(([, value]) => value)
}

function hasAfter(entries: ReadonlyMap<number, unknown>, index: number, lastIndex: number): boolean {
  for (let later = index + 1; later <= lastIndex; later++) if (entries.has(later)) return true
  return false
}
