/** What is on a virtual disk for good: logs, heads and claims as bytes, in the order in which they were written. */
import type { Digest, MissionId } from '../../protocols/kernel/ids.ts'

export interface StoredEntry {
  readonly bytes: Uint8Array
  /** Counts the entries of the whole disk, whatever their mission: neighbours in a log file. */
  readonly order: number
  /** It was read back and found to keep to the schema. */
  checked: boolean
}

export interface MissionLog {
  readonly entries: Map<number, StoredEntry>
  lastIndex: number
  head: Uint8Array | undefined
}

/** An older state of a whole disk. Bytes are never changed in place, so a copy shares them. */
export interface DiskCopy {
  readonly logs: ReadonlyMap<MissionId, MissionLog>
  readonly claims: ReadonlyMap<string, Uint8Array>
  readonly blobs: ReadonlyMap<Digest, Uint8Array>
}

export interface Platter {
  readonly logs: Map<MissionId, MissionLog>
  readonly claims: Map<string, Uint8Array>
  putEntry(missionId: MissionId, index: number, bytes: Uint8Array): void
  putHead(missionId: MissionId, bytes: Uint8Array): void
  clear(): void
  copy(blobs: ReadonlyMap<Digest, Uint8Array>): DiskCopy
  /** @returns the missions that had entries which are not in the copy, sorted. */
  restore(copy: DiskCopy): MissionId[]
}

export function createPlatter(): Platter {
  const logs = new Map<MissionId, MissionLog>()
  const claims = new Map<string, Uint8Array>()
  let order = 0

  function logOf(missionId: MissionId): MissionLog {
    let log = logs.get(missionId)
    if (log === undefined) logs.set(missionId, (log = { entries: new Map(), lastIndex: 0, head: undefined }))
    return log
  }

  return {
    logs, claims,
    putEntry(missionId, index, bytes) {
      const log = logOf(missionId)
      log.entries.set(index, { bytes, order: order++, checked: false })
      log.lastIndex = Math.max(log.lastIndex, index)
    },
    putHead(missionId, bytes) {
      logOf(missionId).head = bytes
    },
    clear() {
      logs.clear()
      claims.clear()
    },
    copy: (blobs) => ({ logs: copyOf(logs), claims: new Map(claims), blobs: new Map(blobs) }),
    restore(copy) {
      const lost = [...logs].filter(([missionId, log]) => {
        const older = copy.logs.get(missionId)?.entries
        return [...log.entries].some(([index, { bytes }]) => older?.get(index)?.bytes !== bytes)
      })
      logs.clear()
      for (const [missionId, log] of copyOf(copy.logs)) logs.set(missionId, log)
      claims.clear()
      for (const [key, bytes] of copy.claims) claims.set(key, bytes)
      return lost.map(([missionId]) => missionId).sort()
    },
  }
}

function copyOf(logs: ReadonlyMap<MissionId, MissionLog>): Map<MissionId, MissionLog> {
  return new Map([...logs].map(([missionId, log]) => [missionId, { ...log, entries: new Map(log.entries) }]))
}
