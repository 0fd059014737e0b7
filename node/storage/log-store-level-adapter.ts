/**
 * The LogStore port in LevelDB.
 *
 * Keys (`!` sorts before every character of an id):
 * `entry!<mission>!<index, 16 digits>` · `head!<mission>` · `claim!<principal>!<key>` · `removing!<mission>` · `format`.
 * LevelDB is not an integrity layer: it can open with records missing in the middle, so a read checks that nothing is
 * missing up to the head that was synced with the entries.
 *
 * @packageDocumentation
 */
import { Level } from 'level'
import { z } from 'zod'
import type { Claim, LogBatch, LogStore } from '../../actors/ports/log-store.ts'
import { invariant, MeshError } from '../../protocols/kernel/errors.ts'
import { MissionId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { WallMs } from '../../protocols/kernel/units.ts'
import { LogEntry, LogHead } from '../../protocols/replicated-log/schema.ts'
import { decodeValue, encodeValue } from '../../protocols/wire.ts'

const storageFormat = 1
const synced = { sync: true } as const

const StoredClaim = z.object({ principal: z.string(), key: z.string(), requestDigest: z.string(), missionId: MissionId, atWallMs: z.number() })

type Database = Level<string, Uint8Array>
type Operation = { type: 'put'; key: string; value: Uint8Array } | { type: 'del'; key: string }

const entriesOf = (missionId: MissionId): string => `entry!${missionId}!`
const entryKey = (missionId: MissionId, index: number): string => entriesOf(missionId) + String(index).padStart(16, '0')
const headKey = (missionId: MissionId): string => `head!${missionId}`
const claimKey = (claim: Pick<Claim, 'principal' | 'key'>): string => `claim!${claim.principal}!${claim.key}`
const removingKey = (missionId: MissionId): string => `removing!${missionId}`
/** Every key that starts with the prefix: `\uffff` sorts after all of them. */
const startingWith = (prefix: string) => ({ gte: prefix, lt: `${prefix}\uffff` })

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  const cause = (error as { cause?: unknown } | null)?.cause
  return cause === undefined ? String(code ?? '') : codeOf(cause) || String(code ?? '')
}

function messageOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  return cause instanceof Error ? cause.message : String(cause)
}

function openError(directory: string, error: unknown): MeshError {
  const code = codeOf(error)
  if (code === 'LEVEL_LOCKED') {
    return new MeshError('wrong-state', `another skein node uses this data directory: ${directory} is locked`, { next: 'give this node its own directory with --data, or stop the other one' })
  }
  if (['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EEXIST', 'ENOENT'].includes(code)) {
    return new MeshError('storage-failed', `the log's directory ${directory} cannot be used: ${messageOf(error)}`, { next: 'check its owner and rights, or choose another directory with --data', retryable: false })
  }
  if (code === 'ENOSPC' || /no space left/i.test(messageOf(error))) return fullError(directory)
  return new MeshError('storage-failed', `the log in ${directory} cannot be opened: ${messageOf(error)}`, {
    next: 'restore the directory from a backup, or move it away and start anew; missions kept only there are lost',
    retryable: false,
  })
}

function fullError(directory: string): MeshError {
  return new MeshError('storage-failed', `the disk under ${directory} is full`, { next: 'free some space and start the node again' })
}

export interface LevelLogStoreInit {
  /** The wall clock by which claims expire; default the system's. */
  readonly wallMs?: () => WallMs
}

/**
 * Opens or creates the log in a directory of its own. Drops claims older than `limits.idempotencyKeyKeptMs` and finishes removals that a crash cut short.
 * @throws MeshError `wrong-state` when another process has it open, `storage-failed` when it cannot be read or written.
 */
export async function openLevelLogStore(directory: string, init: LevelLogStoreInit = {}): Promise<LogStore> {
  const database: Database = new Level<string, Uint8Array>(directory, { keyEncoding: 'utf8', valueEncoding: 'view' })
  try {
    await database.open()
  } catch (error) {
    throw openError(directory, error)
  }
  try {
    await checkFormat(database, directory)
    await finishRemovals(database)
    await pruneClaims(database, (init.wallMs ?? Date.now)() - limits.idempotencyKeyKeptMs)
  } catch (error) {
    await database.close()
    throw error instanceof MeshError ? error : openError(directory, error)
  }
  return storeOver(database, directory)
}

async function checkFormat(database: Database, directory: string): Promise<void> {
  const stored = await database.get('format')
  if (stored === undefined) {
    await database.batch([{ type: 'put', key: 'format', value: encodeValue(storageFormat) }], synced)
    return
  }
  const format = decodeStored(stored, z.number().int(), `the format of the log in ${directory}`)
  if (format > storageFormat) {
    throw new MeshError('storage-failed', `the log in ${directory} was written by a newer release (format ${format}, this release reads ${storageFormat})`, { next: 'start the newer release of Skein', retryable: false })
  }
}

async function finishRemovals(database: Database): Promise<void> {
  for (const key of await database.keys(startingWith('removing!')).all()) await clearMission(database, key.slice('removing!'.length) as MissionId)
}

async function clearMission(database: Database, missionId: MissionId): Promise<void> {
  await database.clear(startingWith(entriesOf(missionId)))
  await database.batch([{ type: 'del', key: removingKey(missionId) }], synced)
}

async function pruneClaims(database: Database, oldestWallMs: WallMs): Promise<void> {
  const expired: Operation[] = []
  for await (const [key, value] of database.iterator(startingWith('claim!'))) {
    if (decodeStored(value, StoredClaim, 'a claim').atWallMs < oldestWallMs) expired.push({ type: 'del', key })
  }
  if (expired.length > 0) await database.batch(expired, synced)
}

/** Checks a stored value against its schema. What was stored is returned as it is: fields that a newer minor release added stay, and with them the hash chain. */
function decodeStored<T>(bytes: Uint8Array, schema: z.ZodType<T>, what: string): T {
  let decoded: unknown
  try {
    decoded = decodeValue(bytes)
  } catch {
    throw unreadable(what, 'it is not msgpack')
  }
  const parsed = schema.safeParse(decoded)
  if (!parsed.success) throw unreadable(what, z.prettifyError(parsed.error).slice(0, 300))
  return decoded as T
}

function unreadable(what: string, why: string): MeshError {
  return new MeshError('storage-failed', `${what} cannot be read back: ${why}`, {
    next: 'the disk or the file system under the data directory has lost data: check it, restore a backup, or remove this mission and submit it again',
    retryable: false,
  })
}

function storeOver(database: Database, directory: string): LogStore {
  let writeFailure: string | undefined
  let closed = false

  function assertOpen(): void {
    if (closed) throw new MeshError('wrong-state', `the log in ${directory} is closed`, { next: 'open it again' })
  }

  async function commit(operations: Operation[]): Promise<void> {
    assertOpen()
    // After a failed sync nobody knows what the disk holds: a put can fail, read as absent and be there after reopening.
    if (writeFailure !== undefined) {
      throw new MeshError('storage-failed', `the log in ${directory} takes no more writes, an earlier one failed: ${writeFailure}`, { next: 'restart the node; it recovers what was synced' })
    }
    if (operations.length === 0) return
    try {
      await database.batch(operations, synced)
    } catch (error) {
      writeFailure = messageOf(error)
      if (/no space left/i.test(writeFailure)) throw fullError(directory)
      throw new MeshError('storage-failed', `the log in ${directory} could not be written: ${writeFailure}`, { next: 'check the disk, then restart the node; it recovers what was synced' })
    }
  }

  async function readEntries(missionId: MissionId, fromIndex: number, max: number): Promise<LogEntry[]> {
    // One view of the log: a write or a removal in between would look like loss.
    const snapshot = database.snapshot()
    const entries: LogEntry[] = []
    const lost = (index: number, why: string) => unreadable(`entry ${index} of mission ${missionId}`, why)
    try {
      const range = { gte: entryKey(missionId, Math.max(1, fromIndex)), lt: `${entriesOf(missionId)}\uffff`, limit: max, snapshot }
      let expected: number | undefined
      for await (const [key, value] of database.iterator(range)) {
        const index = Number(key.slice(-16))
        if (expected !== undefined && index !== expected) throw lost(expected, 'it is missing in the middle of the log')
        const entry = decodeStored(value, LogEntry, `entry ${index} of mission ${missionId}`)
        if (entry.index !== index) throw lost(index, `it says that it is entry ${entry.index}`)
        entries.push(entry)
        expected = index + 1
      }
      if (entries.length < max) {
        const head = await database.get(headKey(missionId), { snapshot })
        const headIndex = head === undefined ? 0 : decodeStored(head, LogHead, `the head of mission ${missionId}`).index
        const next = expected ?? Math.max(1, fromIndex)
        if (next <= headIndex) throw lost(next, `the log ends before its head, which is at ${headIndex}`)
      }
      return entries
    } catch (error) {
      if (error instanceof MeshError) throw error
      throw lost((entries.at(-1)?.index ?? fromIndex - 1) + 1, messageOf(error))
    } finally {
      await snapshot.close()
    }
  }

  async function readAll<T>(prefix: string, schema: z.ZodType<T>, what: (key: string) => string): Promise<T[]> {
    const found: T[] = []
    try {
      for await (const [key, value] of database.iterator(startingWith(prefix))) found.push(decodeStored(value, schema, what(key)))
    } catch (error) {
      throw error instanceof MeshError ? error : unreadable(`the log in ${directory}`, messageOf(error))
    }
    return found
  }

  return {
    async write(batch: LogBatch) {
      const operations: Operation[] = []
      for (const { missionId, entry } of batch.entries) operations.push({ type: 'put', key: entryKey(missionId, entry.index), value: encodeValue(entry) })
      for (const head of batch.heads) operations.push({ type: 'put', key: headKey(head.missionId), value: encodeValue(head) })
      for (const claim of batch.claims) operations.push({ type: 'put', key: claimKey(claim), value: encodeValue(claim) })
      await commit(operations)
    },
    async heads() {
      assertOpen()
      return await readAll(`head!`, LogHead, (key) => `the head of mission ${key.slice('head!'.length)}`)
    },
    async read(missionId, fromIndex, max) {
      assertOpen()
      return max <= 0 ? [] : await readEntries(missionId, fromIndex, max)
    },
    async claims() {
      assertOpen()
      return await readAll('claim!', StoredClaim, (key) => `the claim ${key.slice('claim!'.length)}`)
    },
    async remove(missionId) {
      invariant(MissionId.safeParse(missionId).success, 'a mission id names the range to remove')
      await commit([{ type: 'del', key: headKey(missionId) }, { type: 'put', key: removingKey(missionId), value: encodeValue(true) }])
      try {
        await clearMission(database, missionId)
      } catch (error) {
        writeFailure = messageOf(error)
        throw new MeshError('storage-failed', `mission ${missionId} could not be removed from ${directory}: ${writeFailure}`, { next: 'restart the node; it finishes the removal' })
      }
    },
    async close() {
      if (closed) return
      closed = true
      await database.close()
    },
  }
}
