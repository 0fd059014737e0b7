/**
 * The LogStore port in LevelDB (`log-records.ts` says what is in it), with a watermark and a reserve beside its directory:
 * `<directory>.watermark`, `<directory>.reserve`.
 *
 * LevelDB is not an integrity layer: it can open with records missing anywhere. So the newest head of every live group is
 * kept a second time in the watermark, synced with the same write; a copy that does not agree with it is damaged.
 * Writes that come while one is being synced go to the disk together, as the next one.
 *
 * @packageDocumentation
 */
import { mkdir } from 'node:fs/promises'
import { Level } from 'level'
import type { GroupOnDisk, LogStore, StoreOnDisk } from '../../actors/ports/log-store.ts'
import { MeshError } from '../../protocols/kernel/errors.ts'
import type { Bytes } from '../../protocols/kernel/units.ts'
import { EndedMission, FormerCopy } from '../../protocols/replicated-log/schema.ts'
import { applyRecord } from '../../protocols/replicated-log/watermark.ts'
import { encodeValue } from '../../protocols/wire.ts'
import { openDiskReserve } from './disk-room.ts'
import { readCopy, readEntries, readHeads } from './log-copies.ts'
import { type EncodedBatch, encodeBatch, prepare } from './log-operations.ts'
import { codeOf, type Database, decodeStored, endedAtKey, endedAtPrefix, endedKey, formerKey, fullError, isDiskFull, keptUntilKey, keptUntilPrefix, messageOf, missionIn, startingWith, storageFormat, unreadable } from './log-records.ts'
import { type RecoveredLog, recoverLog, watermarkPathOf } from './log-recovery.ts'
import { openWatermarkFile, type WatermarkFile } from './watermark-file.ts'

const synced = { sync: true } as const
const confirmAfterMs = 20

export const reservePathOf = (directory: string): string => `${directory}.reserve`

export interface LevelLogStoreInit {
  /** Of the room on the disk; default as in `limits`. */
  readonly reserveBytes?: Bytes
  readonly lowBytes?: Bytes
  /** Default: as the file system says. */
  readonly freeBytes?: () => Promise<Bytes>
}

export interface LevelLogStore extends LogStore {
  /** Gives back the room of what was removed. The store goes on meanwhile, more slowly. */
  compact(): Promise<void>
  /** All archived missions that can be read, in no order. */
  archives(): AsyncIterable<EndedMission>
}

export function openError(directory: string, error: unknown): MeshError {
  if (error instanceof MeshError) return error
  const code = codeOf(error)
  if (code === 'LEVEL_LOCKED') {
    return new MeshError('wrong-state', `another skein node uses this data directory: ${directory} is locked`, { next: 'give this node its own directory with --data, or stop the other one' })
  }
  if (['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EEXIST', 'ENOENT', 'EISDIR'].includes(code)) {
    return new MeshError('storage-failed', `the log's directory ${directory} cannot be used: ${messageOf(error)}`, { next: 'check its owner and rights, or choose another directory with --data', retryable: false })
  }
  if (isDiskFull(error)) return fullError(directory)
  return new MeshError('storage-failed', `the log in ${directory} cannot be opened: ${messageOf(error)}`, {
    next: 'move it away and start again: what other nodes keep too is fetched from them, the rest needs a backup of the directory and of the watermark beside it',
    retryable: false,
  })
}

/**
 * Opens or creates the log in a directory of its own.
 * @throws MeshError `wrong-state` when another process has it open or another release wrote it, `storage-failed` when it cannot be read or written.
 */
export async function openLevelLogStore(directory: string, init: LevelLogStoreInit = {}): Promise<LevelLogStore> {
  const reserve = async () => await openDiskReserve({ path: reservePathOf(directory), reserveBytes: init.reserveBytes, lowBytes: init.lowBytes, freeBytes: init.freeBytes })
  try {
    return await openOnce(directory, reserve)
  } catch (error) {
    if (!isDiskFull(error)) throw openError(directory, error)
    // Opening writes too: what was kept back is for this.
    await (await reserve()).giveUp()
    return await openOnce(directory, reserve).catch((again: unknown) => {
      throw openError(directory, again)
    })
  }
}

type Reserve = Awaited<ReturnType<typeof openDiskReserve>>

async function openOnce(directory: string, openReserve: () => Promise<Reserve>): Promise<LevelLogStore> {
  // Before there is a Level, which opens itself in the next tick, and would make one that others can read.
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const database: Database = new Level<string, Uint8Array>(directory, { keyEncoding: 'utf8', valueEncoding: 'view' })
  await database.open()
  let watermark: WatermarkFile | undefined
  try {
    const opened = await recoverLog(database, directory)
    watermark = await openWatermarkFile(watermarkPathOf(directory), opened.incarnation, opened.number, opened.promises)
    if (opened.isNew) {
      await database.batch([
        { type: 'put', key: 'incarnation', value: encodeValue(opened.incarnation) },
        { type: 'put', key: 'written', value: encodeValue({ number: opened.number, wiped: [], removed: [] }) },
        { type: 'put', key: 'format', value: encodeValue(storageFormat) },
      ], synced)
    }
    return storeOver({ database, directory, watermark, reserve: await openReserve(), opened })
  } catch (error) {
    await watermark?.close().catch(() => undefined)
    await database.close()
    throw error
  }
}

/** LevelDB has it; the type that also stands for browsers does not. */
function compactRange(database: Database): Promise<void> {
  return (database as Database & { compactRange(start: string, end: string): Promise<void> }).compactRange('\0', '\uffff')
}

/** One that has rotted must not hide the others; whoever asks for it by name is told. */
function archiveIn(bytes: Uint8Array): EndedMission | undefined {
  try {
    return decodeStored(bytes, EndedMission, 'an archived mission')
  } catch {
    return undefined
  }
}

interface Parts {
  readonly database: Database
  readonly directory: string
  readonly watermark: WatermarkFile
  readonly reserve: Reserve
  readonly opened: RecoveredLog
}

interface Waiting {
  readonly batch: EncodedBatch
  readonly resolve: () => void
  readonly reject: (error: MeshError) => void
}

function storeOver({ database, directory, watermark, reserve, opened }: Parts): LevelLogStore {
  const { promises } = opened
  let { number } = opened
  let writeFailure: string | undefined
  let closed = false
  /** The newest write was not yet said to be in the database. */
  let unconfirmed = false
  let confirming: NodeJS.Timeout | undefined
  let queue: Waiting[] = []
  /** What writes, or must not be written under, one after the other. */
  let busy: Promise<unknown> = Promise.resolve()

  function inTurn<T>(task: () => Promise<T>): Promise<T> {
    const done = busy.then(task)
    busy = done.catch(() => undefined)
    return done
  }

  function assertOpen(): void {
    if (closed) throw new MeshError('wrong-state', `the log in ${directory} is closed`, { next: 'open it again' })
  }

  // After a failed sync nobody knows what the disk holds: a put can fail, read as absent and be there after reopening.
  const refused = (): MeshError => new MeshError('storage-failed', `the log in ${directory} takes no more writes, an earlier one failed: ${writeFailure}`, { next: 'restart the node; it recovers what was synced' })

  async function fail(error: unknown): Promise<MeshError> {
    writeFailure = messageOf(error)
    if (!isDiskFull(error)) return new MeshError('storage-failed', `the log in ${directory} could not be written: ${writeFailure}`, { next: 'check the disk, then restart the node; it recovers what was synced' })
    await reserve.giveUp()
    return fullError(directory)
  }

  async function writeWaiting(): Promise<void> {
    const taken = queue
    if (taken.length === 0) return
    queue = []
    try {
      if (writeFailure !== undefined) throw refused()
      await commit(taken.map(({ batch }) => batch))
    } catch (error) {
      const failure = error instanceof MeshError ? error : await fail(error)
      for (const { reject } of taken) reject(failure)
      return
    }
    for (const { resolve } of taken) resolve()
    await afterwards().catch(fail)
  }

  async function commit(batches: readonly EncodedBatch[]): Promise<void> {
    const { operations, record, heads } = await prepare(database, batches, number + 1)
    const outcomes = await Promise.allSettled([database.batch([...operations], synced), watermark.append(record, heads)])
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason as Error
    applyRecord(promises, record)
    number = record.number
    unconfirmed = true
  }

  async function afterwards(): Promise<void> {
    if (watermark.isLong()) await watermark.rewrite(number, promises)
    else confirmWhenIdle()
  }

  /** The next write says the same, so only the last one for a while is worth a word of its own, and no write waits for it. */
  function confirmWhenIdle(): void {
    confirming?.refresh()
    confirming ??= setTimeout(() => {
      confirming = undefined
      void inTurn(confirm)
    }, confirmAfterMs).unref()
  }

  async function confirm(): Promise<void> {
    clearTimeout(confirming)
    confirming = undefined
    if (writeFailure === undefined && unconfirmed) await watermark.confirm(number).catch(fail)
    unconfirmed = false
  }

  async function find(): Promise<StoreOnDisk> {
    const heads = new Map((await readHeads(database)).map(({ group, head }) => [group, head]))
    const groups: GroupOnDisk[] = []
    for (const [group, promised] of [...promises].sort(([left], [right]) => (left < right ? -1 : 1))) {
      const copy = await readCopy(database, group, promised, heads.get(group))
      if (copy !== undefined) groups.push(copy)
    }
    return { incarnation: opened.incarnation, lostEverything: opened.lostEverything, groups }
  }

  async function endedIn(range: { readonly gte?: string; readonly lt?: string; readonly reverse?: boolean }, max: number): Promise<EndedMission[]> {
    if (max <= 0) return []
    const missions = (await database.keys({ ...range, limit: max }).all()).map(missionIn)
    const found = await database.getMany(missions.map(endedKey))
    return found.flatMap((bytes) => (bytes === undefined ? [] : (archiveIn(bytes) ?? [])))
  }

  const reading = async <T>(what: string, read: () => Promise<T>): Promise<T> => {
    assertOpen()
    try {
      return await read()
    } catch (error) {
      throw error instanceof MeshError ? error : unreadable(what, messageOf(error))
    }
  }

  return {
    found: () => reading(`the log in ${directory}`, () => inTurn(find)),
    async write(batch) {
      assertOpen()
      if (writeFailure !== undefined) throw refused()
      const encoded = encodeBatch(batch)
      await new Promise<void>((resolve, reject) => {
        queue.push({ batch: encoded, resolve, reject })
        void inTurn(writeWaiting)
      })
    },
    async read(group, fromIndex, max) {
      const promised = promises.get(group)?.head
      return await reading(`the log of ${group}`, async () => (max <= 0 || promised === undefined ? [] : await readEntries(database, group, fromIndex, max, promised)))
    },
    ended: (beforeWallMs, max) => reading('the list of archived missions', () => endedIn({ gte: endedAtPrefix, lt: endedAtKey(Math.ceil(beforeWallMs)), reverse: true }, max)),
    endedMission: (missionId) =>
      reading(`the record of ${missionId}`, async () => {
        const bytes = await database.get(endedKey(missionId))
        return bytes === undefined ? undefined : decodeStored(bytes, EndedMission, `the record of ${missionId}`)
      }),
    endedUntil: (keptUntilWallMs, max) => reading('the list of archived missions', () => endedIn({ gte: keptUntilPrefix, lt: keptUntilKey(Math.floor(keptUntilWallMs) + 1) }, max)),
    formerCopy: (group) =>
      reading(`what is remembered of ${group}`, async () => {
        const bytes = await database.get(formerKey(group))
        return bytes === undefined ? undefined : decodeStored(bytes, FormerCopy, `what is remembered of ${group}`)
      }),
    room: () => reading('the room on the disk', () => reserve.room()),
    async *archives() {
      assertOpen()
      for await (const [, value] of database.iterator(startingWith(endedKey('')))) {
        const one = archiveIn(value)
        if (one !== undefined) yield one
      }
    },
    async compact() {
      assertOpen()
      await inTurn(() => compactRange(database))
    },
    async close() {
      if (closed) return
      closed = true
      await inTurn(confirm)
      await watermark.close()
      await database.close()
    },
  }
}
