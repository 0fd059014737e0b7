/**
 * Bit rot, as it was measured on LevelDB: with four corrupted bytes in the middle of its log it opened without an error,
 * and a run of synced records was simply gone. A worse file system gives back other bytes instead.
 *
 * Heads and claims are spared: a head is what tells that entries are missing.
 */
import type { MissionId } from '../../protocols/kernel/ids.ts'
import type { Random } from '../../protocols/kernel/prng.ts'
import { decodeValue, encodeValue } from '../../protocols/wire.ts'
import type { Platter } from './platter.ts'

const runLengthMax = 16

/** @returns the missions that were damaged, sorted; none when nothing is stored. */
export function rotEntries(platter: Platter, random: Random): MissionId[] {
  const written = [...platter.logs]
    .flatMap(([missionId, log]) => [...log.entries].map(([index, { order }]) => ({ missionId, index, order })))
    .sort((left, right) => left.order - right.order)
  const mode = random.below(3)
  const first = random.below(written.length)
  const length = mode === 0 ? 1 + random.below(Math.min(runLengthMax, Math.ceil(written.length / 4))) : 1
  const hit = written.slice(first, first + length)
  for (const { missionId, index } of hit) {
    const { entries } = platter.logs.get(missionId)!
    if (mode === 0) {
      entries.delete(index)
      continue
    }
    const former = entries.get(index)!
    entries.set(index, { bytes: mode === 1 ? encodeValue('rotten') : altered(former.bytes), order: former.order, checked: false })
  }
  return [...new Set(hit.map(({ missionId }) => missionId))].sort()
}

/** Still an entry by its schema; only the hash chain tells. */
function altered(bytes: Uint8Array): Uint8Array {
  const entry = decodeValue(bytes) as { readonly event?: { readonly atWallMs: number } }
  // What has rotted already cannot get worse.
  if (entry.event === undefined) return bytes
  return encodeValue({ ...entry, event: { ...entry.event, atWallMs: entry.event.atWallMs + 1 } })
}
