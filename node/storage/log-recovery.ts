/** What a log promised, by its database, its watermark, and by how far each of them got. Nothing is written here but for an empty log of an older release. */
import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { MeshError } from '../../protocols/kernel/errors.ts'
import { type GroupId, Incarnation } from '../../protocols/kernel/ids.ts'
import { isUnreadable } from '../../protocols/replicated-log/copy-on-disk.ts'
import type { LogHead } from '../../protocols/replicated-log/schema.ts'
import { type Promised, reconcile, unvouched } from '../../protocols/replicated-log/watermark.ts'
import { type FoundHead, readHeads } from './log-copies.ts'
import { type Database, decodeStored, startingWith, storageFormat, Written } from './log-records.ts'
import { readWatermark } from './watermark-file.ts'

export const watermarkPathOf = (directory: string): string => `${directory}.watermark`

export interface RecoveredLog {
  readonly incarnation: Incarnation
  readonly lostEverything: boolean
  /** The database has nothing yet. */
  readonly isNew: boolean
  readonly number: number
  readonly promises: Map<GroupId, Promised>
  readonly heads: readonly FoundHead[]
  /** What is wrong with the watermark, when it does not vouch for all of them. */
  readonly doubt: string | undefined
}

/** What was promised, by the two files and by how far each of them got. */
export async function recoverLog(database: Database, directory: string): Promise<RecoveredLog> {
  const isNew = !(await hasFormat(database, directory))
  const read = await readWatermark(watermarkPathOf(directory))
  const heads = await readHeads(database)
  const written = await stored(database, 'written', Written)
  const ofDatabase = { number: written?.number ?? 0, newest: { number: 0, wiped: [], removed: [], ...written, heads: readable(heads.filter(({ number }) => number === written?.number)) } }
  const incarnation = await stored(database, 'incarnation', z.custom<Incarnation>((value) => Incarnation.safeParse(value).success))
  const isOurs = read.state === 'read' && (incarnation === undefined || incarnation === read.watermark.incarnation)
  const { number, promises, isBehind } = isOurs ? reconcile(read.watermark, ofDatabase) : { number: ofDatabase.number, promises: new Map<GroupId, Promised>(), isBehind: true }
  const lostEverything = isNew && (read.state === 'unreadable' || number > 0)
  return {
    incarnation: lostEverything ? newIncarnation() : (incarnation ?? (isOurs ? read.watermark.incarnation : newIncarnation())),
    lostEverything, isNew, number, heads,
    doubt: isNew && read.state === 'absent' ? undefined : read.state === 'absent' ? 'it is gone' : read.state === 'unreadable' ? read.why : !isOurs ? 'it is of another log' : isBehind ? 'it is older than the database' : undefined,
    promises: isBehind ? unvouched(promises, readable(heads)) : promises,
  }
}

/** What the watermark alone tells, of a log whose database is gone. */
export async function readWatermarkAlone(directory: string): Promise<Pick<RecoveredLog, 'promises' | 'doubt'>> {
  const read = await readWatermark(watermarkPathOf(directory))
  return read.state === 'read' ? { promises: reconcile(read.watermark, { number: read.watermark.number, newest: { number: 0, heads: [], wiped: [], removed: [] } }).promises, doubt: undefined } : { promises: new Map(), doubt: read.state === 'unreadable' ? read.why : 'it is gone' }
}

function readable(heads: readonly FoundHead[]): LogHead[] {
  return heads.flatMap(({ head }) => (isUnreadable(head) ? [] : [head]))
}

async function stored<T>(database: Database, key: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const bytes = await database.get(key)
  try {
    return bytes === undefined ? undefined : decodeStored(bytes, schema, key)
  } catch {
    // The watermark tells what is missing.
    return undefined
  }
}

function newIncarnation(): Incarnation {
  return randomBytes(8).toString('hex') as Incarnation
}

/** @returns false for a directory that is new. @throws MeshError for one that another release wrote. */
async function hasFormat(database: Database, directory: string): Promise<boolean> {
  const bytes = await database.get('format')
  if (bytes === undefined) return (await database.keys({ limit: 1 }).all()).length > 0
  const format = decodeStored(bytes, z.number().int(), `the format of the log in ${directory}`)
  if (format > storageFormat) {
    throw new MeshError('wrong-state', `the log in ${directory} was written by a newer release (format ${format}, this release reads ${storageFormat})`, { next: 'start the newer release of Skein' })
  }
  if (format === storageFormat) return true
  if ((await database.keys({ ...startingWith('head!'), limit: 1 }).all()).length > 0) {
    throw new MeshError('wrong-state', `the log in ${directory} was written by an older release (format ${format}, this release reads ${storageFormat}), which kept missions on one node only`, {
      next: `finish its missions with the older release and keep their results; then move ${directory} away and start again`,
    })
  }
  // No mission is in it: nothing is lost with it.
  await database.clear()
  return false
}
