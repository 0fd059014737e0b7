/**
 * Bit rot, as it was measured on LevelDB: with four corrupted bytes in the middle of its log it opened without an error,
 * and a run of synced records was simply gone. A worse file system gives back other bytes instead.
 *
 * One blow hits the database or the watermark, never both: they are two files, and each tells of the other's loss.
 */
import { canonicalJson } from '../../protocols/kernel/hashing.ts'
import type { GroupId } from '../../protocols/kernel/ids.ts'
import type { Random } from '../../protocols/kernel/prng.ts'
import { isUnreadable } from '../../protocols/replicated-log/copy-on-disk.ts'
import type { LogHead, LogSnapshot } from '../../protocols/replicated-log/schema.ts'
import { hasOtherVoters } from '../../protocols/replicated-log/watermark.ts'
import { decodeValue, encodeValue } from '../../protocols/wire.ts'
import type { Platter } from './platter.ts'

const runLengthMax = 16

/** @returns the groups whose copy is damaged now, sorted; none when nothing is stored. */
export function rotDisk(platter: Platter, random: Random): GroupId[] {
  const kind = random.below(8)
  const hit = kind === 4 || kind === 5 ? rotHead(platter, random, kind === 5) : kind === 6 ? rotSnapshot(platter, random) : kind === 7 ? rotWatermark(platter) : []
  return hit.length > 0 ? hit : rotEntries(platter, random)
}

function rotEntries(platter: Platter, random: Random): GroupId[] {
  const written = [...platter.logs()]
    .flatMap(([group, log]) => {
      // What a snapshot stands for may go unnoticed, and is missed by nobody.
      const snapshotAt = log.snapshot === undefined ? 0 : ((decodeValue(log.snapshot) as Partial<LogSnapshot>).at?.index ?? 0)
      return [...log.entries].filter(([index]) => index > snapshotAt).map(([index, { order }]) => ({ group, index, order }))
    })
    .sort((left, right) => left.order - right.order)
  const mode = random.below(3)
  const first = random.below(written.length)
  const length = mode === 0 ? 1 + random.below(Math.min(runLengthMax, Math.ceil(written.length / 4))) : 1
  const hit = written.slice(first, first + length)
  for (const { group, index } of hit) {
    const { entries } = platter.logOf(group)!
    if (mode === 0) {
      entries.delete(index)
      continue
    }
    const former = entries.get(index)!
    entries.set(index, { bytes: mode === 1 ? encodeValue('rotten') : altered(former.bytes), order: former.order, checked: false })
  }
  return namesOf(hit.map(({ group }) => group))
}

/** A head is gone, or an older one is there again: a vote may be forgotten. */
function rotHead(platter: Platter, random: Random, older: boolean): GroupId[] {
  const candidates = platter.groups().filter((group) => {
    const { head, formerHead } = platter.logOf(group)!
    if (head === undefined || isUnreadable(head) || platter.promised(group) === undefined) return false
    return !older || (formerHead !== undefined && canonicalJson(formerHead) !== canonicalJson(head))
  })
  const hit = candidates[random.below(candidates.length)]
  if (hit === undefined) return []
  const log = platter.logOf(hit)!
  log.head = older ? log.formerHead : random.below(2) === 0 ? undefined : { unreadable: 'it has rotted' }
  log.formerHead = undefined
  return [hit]
}

function rotSnapshot(platter: Platter, random: Random): GroupId[] {
  const candidates = platter.groups().filter((group) => platter.logOf(group)!.snapshot !== undefined)
  const hit = candidates[random.below(candidates.length)]
  if (hit === undefined) return []
  platter.logOf(hit)!.snapshot = encodeValue('rotten')
  return [hit]
}

/** Whoever has nobody but itself to keep its promises to is not damaged by it. What only the watermark still tells of is spared. */
function rotWatermark(platter: Platter): GroupId[] {
  const heads: LogHead[] = []
  for (const group of platter.promises().keys()) {
    const head = platter.logOf(group)?.head
    if (head === undefined || isUnreadable(head)) return []
    heads.push(head)
  }
  const hit = heads.filter(hasOtherVoters)
  if (hit.length > 0) platter.spoilWatermark()
  return namesOf(hit.map(({ group }) => group))
}

function namesOf(groups: readonly GroupId[]): GroupId[] {
  return [...new Set(groups)].sort()
}

/** Still an entry by its schema; only the hash chain tells. */
function altered(bytes: Uint8Array): Uint8Array {
  const entry = decodeValue(bytes) as { readonly event?: { readonly atWallMs: number } }
  // What has rotted already cannot get worse.
  if (entry.event === undefined) return bytes
  return encodeValue({ ...entry, event: { ...entry.event, atWallMs: entry.event.atWallMs + 1 } })
}
