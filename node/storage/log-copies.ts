/** Reading the copies of logs back from the database, and judging them by what was promised. */
import { setImmediate as turn } from 'node:timers/promises'
import { type Fault, MeshError } from '../../protocols/kernel/errors.ts'
import type { GroupId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { positionOf, verifyLog } from '../../protocols/replicated-log/chain.ts'
import { type CopyToVerify, copyToVerify, judged, type JudgedCopy, type Unreadable } from '../../protocols/replicated-log/copy-on-disk.ts'
import { LogEntry, type LogHead, LogSnapshot } from '../../protocols/replicated-log/schema.ts'
import type { Promised } from '../../protocols/replicated-log/watermark.ts'
import { type Database, decodeStored, entriesOf, entryKey, headKey, indexIn, messageOf, snapshotKey, startingWith, StoredHead, unreadable } from './log-records.ts'

/** Entries verified between two turns of the loop. */
const chunkEntries = Math.min(100, limits.foldChunkEntries)

export interface FoundHead {
  readonly group: GroupId
  readonly head: LogHead | Unreadable
  /** Of the write that set it. */
  readonly number: number
}

/** The heads of all groups, those that cannot be read included. */
export async function readHeads(database: Database): Promise<FoundHead[]> {
  const found: FoundHead[] = []
  for await (const [key, value] of database.iterator(startingWith('head!'))) {
    const group = key.slice('head!'.length) as GroupId
    const stored = orUnreadable(() => decodeStored(value, StoredHead, `the head of ${group}`))
    if ('unreadable' in stored) found.push({ group, head: stored, number: 0 })
    else if (stored.head.group !== group) found.push({ group, head: { unreadable: `it is the head of ${stored.head.group}` }, number: 0 })
    else found.push({ group, head: stored.head, number: stored.number })
  }
  return found
}

/** The copy of one group as it is, and whether that is what was promised. Undefined for a group that was removed. */
export async function readCopy(database: Database, group: GroupId, promised: Promised | undefined, head: LogHead | Unreadable | undefined): Promise<JudgedCopy | undefined> {
  const stored = await database.get(snapshotKey(group))
  const entries: LogEntry[] = []
  for await (const [key, value] of database.iterator(startingWith(entriesOf(group)))) {
    const entry = orUnreadable(() => decodeStored(value, LogEntry, 'an entry'))
    // What is missing among them, the chain tells.
    if (!('unreadable' in entry) && entry.index === indexIn(key)) entries.push(entry)
    if (entries.length % chunkEntries === 0) await turn()
  }
  const snapshot = stored === undefined ? undefined : orUnreadable(() => decodeStored(stored, LogSnapshot, 'its snapshot'))
  const found = copyToVerify({ group, promised, head, snapshot, entries })
  return found === undefined ? undefined : judged(found, found.damage === undefined ? await verifyInChunks(found) : undefined)
}

async function verifyInChunks({ group, rest: entries, from, head }: CopyToVerify): Promise<Fault | undefined> {
  let place = from
  let at = 0
  while (entries.length - at > chunkEntries) {
    const chunk = entries.slice(at, at + chunkEntries)
    const last = chunk.at(-1)!
    const damage = verifyLog(group, chunk, place, last)
    if (damage !== undefined) return damage
    place = positionOf(last)
    at += chunk.length
    await turn()
  }
  return verifyLog(group, entries.slice(at), place, head.last)
}

function orUnreadable<T extends object>(read: () => T): T | Unreadable {
  try {
    return read()
  } catch (error) {
    return { unreadable: error instanceof MeshError ? error.fault.detail.replace(/^.* cannot be read back: /, '') : messageOf(error) }
  }
}

/** Entries from an index on, up to the head. @throws MeshError `storage-failed` for one that should be there. */
export async function readEntries(database: Database, group: GroupId, fromIndex: number, max: number, promised: LogHead): Promise<LogEntry[]> {
  // One view of the log: a write or a removal in between would look like loss.
  const view = database.snapshot()
  const entries: LogEntry[] = []
  const lost = (index: number, why: string) => unreadable(`entry ${index} of ${group}`, why)
  let next = Math.max(1, fromIndex)
  try {
    const [headBytes, snapshotBytes] = await Promise.all([database.get(headKey(group), { snapshot: view }), database.get(snapshotKey(group), { snapshot: view })])
    const head = headBytes === undefined ? promised : decodeStored(headBytes, StoredHead, `the head of ${group}`).head
    // A snapshot stands for those before it: they may be there or not, but not some of them.
    const floor = snapshotBytes === undefined ? 0 : decodeStored(snapshotBytes, LogSnapshot, `the snapshot of ${group}`).at.index
    const range = { gte: entryKey(group, next), lte: entryKey(group, head.last.index), limit: max, snapshot: view }
    if (next <= head.last.index) {
      for await (const [key, value] of database.iterator(range)) {
        const index = indexIn(key)
        if (index !== next && (entries.length > 0 || index > floor + 1)) throw lost(Math.max(next, entries.length > 0 ? 0 : floor + 1), 'it is missing')
        const entry = decodeStored(value, LogEntry, `entry ${index} of ${group}`)
        if (entry.index !== index) throw lost(index, `it says that it is entry ${entry.index}`)
        entries.push(entry)
        next = index + 1
      }
    }
    const missing = Math.max(next, entries.length > 0 ? 0 : floor + 1)
    if (entries.length < max && missing <= head.last.index) throw lost(missing, `the log ends before its head, which is at ${head.last.index}`)
    return entries
  } catch (error) {
    throw error instanceof MeshError ? error : lost(next, messageOf(error))
  } finally {
    await view.close()
  }
}
