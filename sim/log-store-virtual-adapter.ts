/**
 * The LogStore port on a virtual disk. A write is staged at once and synced after `syncMs`; its promise resolves only then.
 * A crash loses what was staged and not synced, or keeps the beginning of it, as a real disk may.
 */
import type { Clock } from '../actors/ports/clock.ts'
import type { Claim, LogBatch, LogStore } from '../actors/ports/log-store.ts'
import { MeshError } from '../protocols/kernel/errors.ts'
import type { MissionId } from '../protocols/kernel/ids.ts'
import { limits } from '../protocols/kernel/limits.ts'
import type { DurationMs } from '../protocols/kernel/units.ts'
import { LogEntry, type LogHead } from '../protocols/replicated-log/schema.ts'
import { decodeValue, encodeValue } from '../protocols/wire.ts'

export interface VirtualLogDiskInit {
  /** With a clock, every write takes `syncMs`; without one it is synced at once. The world's clock, not a node's. */
  readonly clock?: Pick<Clock, 'schedule' | 'wallMs'>
  /** Default 0.5 ms. */
  readonly syncMs?: DurationMs
}

export interface VirtualLogDisk {
  /** @throws MeshError `wrong-state` while another store has it open. */
  open(): Promise<LogStore>
  /** The machine loses power: the open store is dead, and of the unsynced writes the first `unsyncedKept` (default 0) survive. */
  crash(unsyncedKept?: number): void
  /** The next `count` writes fail with this reason; those in flight are not touched. */
  failWrites(count: number, reason?: string): void
  setSyncMs(syncMs: DurationMs): void
  /** Overwrites what is stored under a mission's index, to play a rotten disk. @returns false when nothing is there. */
  corrupt(missionId: MissionId, index: number): boolean
  /** Removes one entry behind the store's back. */
  lose(missionId: MissionId, index: number): void
  unsyncedWrites(): number
  entriesStored(missionId: MissionId): number
}

interface Platter {
  readonly entries: Map<MissionId, Map<number, Uint8Array>>
  readonly heads: Map<MissionId, Uint8Array>
  readonly claims: Map<string, Uint8Array>
}

interface Staged {
  readonly apply: () => void
}

export function createVirtualLogDisk(init: VirtualLogDiskInit = {}): VirtualLogDisk {
  const platter: Platter = { entries: new Map(), heads: new Map(), claims: new Map() }
  let syncMs = init.syncMs ?? 0.5
  let staged: Staged[] = []
  let openStore: { state: 'open' | 'failed' | 'closed' } | undefined
  let failing = { count: 0, reason: '' }

  function applyBatch(batch: LogBatch): () => void {
    // Encoded when written: what the caller changes afterwards does not reach the disk.
    const entries = batch.entries.map(({ missionId, entry }) => ({ missionId, index: entry.index, bytes: encodeValue(entry) }))
    const heads = batch.heads.map((head) => ({ missionId: head.missionId, bytes: encodeValue(head) }))
    const claims = batch.claims.map((claim) => ({ key: JSON.stringify([claim.principal, claim.key]), bytes: encodeValue(claim) }))
    return () => {
      for (const { missionId, index, bytes } of entries) {
        const log = platter.entries.get(missionId) ?? new Map<number, Uint8Array>()
        platter.entries.set(missionId, log.set(index, bytes))
      }
      for (const { missionId, bytes } of heads) platter.heads.set(missionId, bytes)
      for (const { key, bytes } of claims) platter.claims.set(key, bytes)
    }
  }

  function pruneClaims(): void {
    if (init.clock === undefined) return
    const oldest = init.clock.wallMs() - limits.idempotencyKeyKeptMs
    for (const [key, bytes] of platter.claims) if ((decodeValue(bytes) as Claim).atWallMs < oldest) platter.claims.delete(key)
  }

  function openOnce(): LogStore {
    const life: { state: 'open' | 'failed' | 'closed' } = { state: 'open' }
    openStore = life

    function assertOpen(): void {
      if (life.state === 'closed') throw new MeshError('wrong-state', 'the log store is closed', { next: 'open it again' })
    }

    function assertWritable(): void {
      assertOpen()
      if (life.state === 'failed') throw new MeshError('storage-failed', 'an earlier write failed, so what is on the disk is not known', { next: 'close the store and open it again' })
    }

    function commit(apply: () => void): Promise<void> {
      if (failing.count > 0) {
        failing.count--
        life.state = 'failed'
        return Promise.reject(new MeshError('storage-failed', `the log could not be written: ${failing.reason}`, { next: 'close the store and open it again' }))
      }
      const clock = init.clock
      if (clock === undefined) {
        apply()
        return Promise.resolve()
      }
      const one: Staged = { apply }
      staged.push(one)
      return new Promise((resolve) => {
        clock.schedule(syncMs, () => {
          // A crash took it: its promise stays open for ever, as its process is gone.
          if (!staged.includes(one)) return
          // Writes reach the platter in order, whatever their sync times were.
          const until = staged.indexOf(one) + 1
          for (const due of staged.splice(0, until)) due.apply()
          resolve()
        })
      })
    }

    return {
      async write(batch) {
        assertWritable()
        await commit(applyBatch(batch))
      },
      async heads() {
        assertOpen()
        return [...platter.heads].sort(([left], [right]) => (left < right ? -1 : 1)).map(([, bytes]) => decodeValue(bytes) as LogHead)
      },
      async read(missionId, fromIndex, max) {
        assertOpen()
        const log = platter.entries.get(missionId) ?? new Map<number, Uint8Array>()
        const indexes = [...log.keys()].filter((index) => index >= fromIndex).sort((left, right) => left - right).slice(0, Math.max(0, max))
        const lost = (index: number) => new MeshError('storage-failed', `entry ${index} of mission ${missionId} cannot be read back`, { retryable: false })
        const entries = indexes.map((index, at) => {
          if (at > 0 && index !== indexes[at - 1]! + 1) throw lost(indexes[at - 1]! + 1)
          const parsed = LogEntry.safeParse(decodeValue(log.get(index)!))
          if (!parsed.success || parsed.data.index !== index) throw lost(index)
          return parsed.data
        })
        const head = platter.heads.get(missionId)
        const next = (entries.at(-1)?.index ?? Math.max(1, fromIndex) - 1) + 1
        if (entries.length < max && head !== undefined && next <= (decodeValue(head) as LogHead).index) throw lost(next)
        return entries
      },
      async claims() {
        assertOpen()
        return [...platter.claims].sort(([left], [right]) => (left < right ? -1 : 1)).map(([, bytes]) => decodeValue(bytes) as Claim)
      },
      async remove(missionId) {
        assertWritable()
        await commit(() => {
          platter.entries.delete(missionId)
          platter.heads.delete(missionId)
        })
      },
      async close() {
        if (life.state === 'closed') return
        life.state = 'closed'
        for (const due of staged.splice(0)) due.apply()
        if (openStore === life) openStore = undefined
      },
    }
  }

  return {
    async open() {
      if (openStore !== undefined) throw new MeshError('wrong-state', 'another node uses this virtual disk', { next: 'close or crash the other store first' })
      pruneClaims()
      return openOnce()
    },
    crash(unsyncedKept = 0) {
      for (const due of staged.slice(0, unsyncedKept)) due.apply()
      staged = []
      if (openStore !== undefined) openStore.state = 'closed'
      openStore = undefined
    },
    failWrites(count, reason = 'the virtual disk is full') {
      failing = { count, reason }
    },
    setSyncMs(duration) {
      syncMs = duration
    },
    corrupt(missionId, index) {
      const log = platter.entries.get(missionId)
      if (log?.has(index) !== true) return false
      log.set(index, encodeValue('rotten'))
      return true
    },
    lose(missionId, index) {
      platter.entries.get(missionId)?.delete(index)
    },
    unsyncedWrites: () => staged.length,
    entriesStored: (missionId) => platter.entries.get(missionId)?.size ?? 0,
  }
}
