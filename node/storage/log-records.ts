/**
 * What the log's database holds, by key (`!` sorts before every character of an id):
 * `entry!<group>!<index, 16 digits>` · `head!<group>` · `snapshot!<group>` · `ended!<mission>` ·
 * `ended-at!<wall ms, 16 digits>!<mission>` · `kept-until!<wall ms, 16 digits>!<mission>` · `former!<group>` · `former-until!<wall ms, 16 digits>!<group>` · `written` · `incarnation` · `format`.
 */
import type { Level } from 'level'
import { z } from 'zod'
import { MeshError } from '../../protocols/kernel/errors.ts'
import { GroupId, type MissionId } from '../../protocols/kernel/ids.ts'
import type { WallMs } from '../../protocols/kernel/units.ts'
import { EndedMission, LogHead } from '../../protocols/replicated-log/schema.ts'
import { decodeValue } from '../../protocols/wire.ts'

export const storageFormat = 2

export type Database = Level<string, Uint8Array>
export type Operation = { readonly type: 'put'; readonly key: string; readonly value: Uint8Array } | { readonly type: 'del'; readonly key: string }

/** With the number of the write that set it. */
export const StoredHead = z.object({ number: z.number().int(), head: LogHead })
/** The newest write: with the heads of its number it is what the watermark's record of it says. */
export const Written = z.object({ number: z.number().int(), wiped: z.array(GroupId), removed: z.array(GroupId) })

/** What of an archived mission is in the index. */
export const IndexedMission = EndedMission.pick({ missionId: true, endedAtWallMs: true, keptUntilWallMs: true })
type IndexedMission = z.infer<typeof IndexedMission>

const digits = (value: number): string => String(Math.min(Math.max(0, Math.floor(value)), Number.MAX_SAFE_INTEGER)).padStart(16, '0')

export const entriesOf = (group: GroupId): string => `entry!${group}!`
export const entryKey = (group: GroupId, index: number): string => entriesOf(group) + digits(index)
export const indexIn = (entryKey: string): number => Number(entryKey.slice(-16))
export const headKey = (group: GroupId): string => `head!${group}`
export const snapshotKey = (group: GroupId): string => `snapshot!${group}`
export const endedKey = (missionId: MissionId | ''): string => `ended!${missionId}`
export const endedAtPrefix = 'ended-at!'
export const keptUntilPrefix = 'kept-until!'
export const endedAtKey = (wallMs: WallMs, missionId = ''): string => `${endedAtPrefix}${digits(wallMs)}!${missionId}`
export const keptUntilKey = (wallMs: WallMs, missionId = ''): string => `${keptUntilPrefix}${digits(wallMs)}!${missionId}`
export const indexKeysOf = ({ missionId, endedAtWallMs, keptUntilWallMs }: IndexedMission): string[] => [endedAtKey(endedAtWallMs, missionId), keptUntilKey(keptUntilWallMs, missionId)]
export const missionIn = (indexKey: string): MissionId => indexKey.slice(indexKey.lastIndexOf('!') + 1) as MissionId
export const formerKey = (group: GroupId): string => `former!${group}`
export const formerUntilPrefix = 'former-until!'
export const formerUntilKey = (wallMs: WallMs, group = ''): string => `${formerUntilPrefix}${digits(wallMs)}!${group}`
export const groupIn = (indexKey: string): GroupId => indexKey.slice(indexKey.lastIndexOf('!') + 1) as GroupId
/** Every key that starts with the prefix: `\uffff` sorts after all of them. */
export const startingWith = (prefix: string) => ({ gte: prefix, lt: `${prefix}\uffff` })

/** Checks a stored value against its schema. What was stored is returned as it is: fields that a newer minor release added stay, and with them the hash chain. */
export function decodeStored<T>(bytes: Uint8Array, schema: z.ZodType<T>, what: string): T {
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

export function unreadable(what: string, why: string): MeshError {
  return new MeshError('storage-failed', `${what} cannot be read back: ${why}`, {
    next: 'the disk or the file system under the data directory has lost data: check it; what other nodes keep too is fetched from them, the rest needs a backup',
    retryable: false,
  })
}

/** The system's own words, from under the layers that passed them on. */
export function messageOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  return cause instanceof Error ? cause.message : String(cause)
}

export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  const cause = (error as { cause?: unknown } | null)?.cause
  return cause === undefined ? String(code ?? '') : codeOf(cause) || String(code ?? '')
}

export function isDiskFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT'].includes(codeOf(error)) || /no space left|quota exceeded/i.test(messageOf(error))
}

export function fullError(directory: string): MeshError {
  return new MeshError('storage-failed', `the disk under ${directory} is full`, { next: 'free some space and start the node again' })
}
