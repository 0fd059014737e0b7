/** What is on the platter, as the store reads it back: what was found sound once is not looked at again. */
import { positionOf, verifyLog } from '../../protocols/replicated-log/chain.ts'
import type { Unreadable, VerifyChain } from '../../protocols/replicated-log/copy-on-disk.ts'
import { LogEntry, LogSnapshot } from '../../protocols/replicated-log/schema.ts'
import { decodeValue } from '../../protocols/wire.ts'
import type { GroupLog } from './platter.ts'

const snapshotsRead = new WeakMap<Uint8Array, LogSnapshot | Unreadable>()

export function snapshotIn({ snapshot }: GroupLog): LogSnapshot | Unreadable | undefined {
  if (snapshot === undefined) return undefined
  let read = snapshotsRead.get(snapshot)
  if (read === undefined) {
    const decoded = decodeValue(snapshot)
    read = LogSnapshot.safeParse(decoded).success ? (decoded as LogSnapshot) : { unreadable: 'it is outside the schema' }
    snapshotsRead.set(snapshot, read)
  }
  return read
}

/** Those that can be read, in order. */
export function entriesIn(log: GroupLog): LogEntry[] {
  const found: LogEntry[] = []
  for (const [index, stored] of [...log.entries].sort(([left], [right]) => left - right)) {
    const decoded = decodeValue(stored.bytes) as LogEntry
    if (!stored.checked && (!LogEntry.safeParse(decoded).success || decoded.index !== index)) continue
    stored.checked = true
    found.push(decoded)
  }
  return found
}

/** Verifies from the first entry on that was not found sound after the one before it. */
export function verifyStored(log: GroupLog): VerifyChain {
  return (group, entries, from, head) => {
    let place = from
    let known = 0
    for (; known < entries.length; known++) {
      const entry = entries[known]!
      if (entry.index !== place.index + 1 || log.entries.get(entry.index)?.soundAfter !== place.chain) break
      place = positionOf(entry)
    }
    const rest = entries.slice(known)
    const damage = verifyLog(group, rest, place, head)
    if (damage !== undefined) return damage
    for (const entry of rest) {
      log.entries.get(entry.index)!.soundAfter = place.chain
      place = positionOf(entry)
    }
    return undefined
  }
}
