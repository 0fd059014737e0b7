/**
 * The watermark beside the log's directory: an append-only journal of the newest heads, synced with every write of the log.
 *
 * A record is `magic (4) · length (4, little-endian) · CRC-32 of the body (4) · body (msgpack)`. The first one holds everything
 * (`start`), the others one write each (`write`), or the number of the write that the database is known to have as well
 * (`confirmed`, not synced by itself: the next write says the same). The file is replaced, by renaming, when it is opened and
 * when it has grown.
 */
import { open, readFile, rename, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import { z } from 'zod'
import { GroupId, Incarnation } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { LogHead } from '../../protocols/replicated-log/schema.ts'
import { applyRecord, type Promised, type Watermark, type WatermarkRecord } from '../../protocols/replicated-log/watermark.ts'
import { decodeValue, encodeValue, packFields, packList } from '../../protocols/wire.ts'
import { syncDirectory } from './sync-directory.ts'

const magic = Buffer.from('SKwm')
const frameBytes = 12

const Start = z.object({ type: z.literal('start'), incarnation: Incarnation, number: z.number().int(), promises: z.array(z.object({ head: LogHead, suspect: z.boolean() })) })
const Write = z.object({ type: z.literal('write'), number: z.number().int(), heads: z.array(LogHead), wiped: z.array(GroupId), removed: z.array(GroupId) })
const Confirmed = z.object({ type: z.literal('confirmed'), number: z.number().int() })
const Body = z.discriminatedUnion('type', [Start, Write, Confirmed])
type Body = z.infer<typeof Body>

const encodeBody = (body: Body): Uint8Array => encodeValue(body)
const encodedWrite = encodeValue('write')

/** `absent`: there is none. `unreadable`: there is one, and it vouches for nothing. */
export type WatermarkRead = { readonly state: 'absent' } | { readonly state: 'unreadable'; readonly why: string } | { readonly state: 'read'; readonly watermark: Watermark }

export interface WatermarkFile {
  /** Resolves when the record is synced. One at a time. @param heads the record's, as bytes (`encodeValue`). */
  append(record: WatermarkRecord, heads: readonly Uint8Array[]): Promise<void>
  /** The database has this write too. Not synced. */
  confirm(number: number): Promise<void>
  /** True when it has grown so much that it should be written anew. */
  isLong(): boolean
  /** Replaces what is in the file. Not while something is appended. */
  rewrite(number: number, promises: ReadonlyMap<GroupId, Promised>): Promise<void>
  close(): Promise<void>
}

function frameOf(bytes: Uint8Array): Buffer {
  const frame = Buffer.alloc(frameBytes + bytes.byteLength)
  magic.copy(frame)
  frame.writeUInt32LE(bytes.byteLength, 4)
  frame.writeUInt32LE(crc32(bytes), 8)
  frame.set(bytes, frameBytes)
  return frame
}

/** @returns undefined when no whole record begins there. */
function recordAt(bytes: Buffer, at: number): { readonly body: Body; readonly next: number } | undefined {
  if (bytes.length - at < frameBytes || !bytes.subarray(at, at + 4).equals(magic)) return undefined
  const next = at + frameBytes + bytes.readUInt32LE(at + 4)
  if (next > bytes.length) return undefined
  const body = bytes.subarray(at + frameBytes, next)
  if (crc32(body) !== bytes.readUInt32LE(at + 8)) return undefined
  const decoded = decodeValue(body)
  // Fields that a newer minor release added stay: a head is compared with the database's whole.
  return Body.safeParse(decoded).success ? { body: decoded as Body, next } : undefined
}

/** A crash tears the last record; whatever is followed by a whole one was whole itself once. */
function hasRecordAfter(bytes: Buffer, at: number): boolean {
  for (let next = bytes.indexOf(magic, at + 1); next >= 0; next = bytes.indexOf(magic, next + 1)) if (recordAt(bytes, next) !== undefined) return true
  return false
}

function parse(bytes: Buffer): WatermarkRead {
  const first = recordAt(bytes, 0)
  if (first?.body.type !== 'start') return { state: 'unreadable', why: 'it does not begin with a whole record' }
  const promises = new Map(first.body.promises.map((promise) => [promise.head.group, promise]))
  let { number } = first.body
  let unconfirmed: WatermarkRecord | undefined
  const confirm = (): void => {
    if (unconfirmed === undefined) return
    applyRecord(promises, unconfirmed)
    number = unconfirmed.number
    unconfirmed = undefined
  }
  for (let at = first.next; at < bytes.length; ) {
    const record = recordAt(bytes, at)
    if (record === undefined) {
      if (hasRecordAfter(bytes, at)) return { state: 'unreadable', why: `it holds garbage at byte ${at}` }
      break
    }
    const { body } = record
    if (body.type === 'start') return { state: 'unreadable', why: `it begins again at byte ${at}` }
    // A write begins when the one before it is in both files.
    confirm()
    if (body.type === 'write') {
      if (body.number !== number + 1) return { state: 'unreadable', why: `write ${number + 1} is missing in it` }
      unconfirmed = body
    } else if (body.number !== number) return { state: 'unreadable', why: `it confirms write ${body.number} after write ${number}` }
    at = record.next
  }
  return { state: 'read', watermark: { incarnation: first.body.incarnation, number, promises, unconfirmed } }
}

/** @throws the system's error when the file is there and cannot be opened. */
export async function readWatermark(path: string): Promise<WatermarkRead> {
  let bytes: Buffer
  try {
    bytes = await readFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { state: 'absent' }
    throw error
  }
  return parse(bytes)
}

/** Writes the file anew and keeps it open. @throws the system's error. */
export async function openWatermarkFile(path: string, incarnation: Incarnation, number: number, promises: ReadonlyMap<GroupId, Promised>): Promise<WatermarkFile> {
  let handle: FileHandle | undefined
  let sizeBytes = 0
  let startBytes = 0

  async function rewrite(newest: number, promised: ReadonlyMap<GroupId, Promised>): Promise<void> {
    const frame = frameOf(encodeBody({ type: 'start', incarnation, number: newest, promises: [...promised.values()] }))
    const temporary = `${path}.new`
    await rm(temporary, { force: true })
    const fresh = await open(temporary, 'ax', 0o600)
    try {
      await fresh.writeFile(frame)
      await fresh.sync()
      await rename(temporary, path)
      await syncDirectory(dirname(path))
    } catch (error) {
      await fresh.close().catch(() => undefined)
      throw error
    }
    // The handle follows the file through its renaming.
    await handle?.close()
    handle = fresh
    startBytes = sizeBytes = frame.byteLength
  }

  async function put(body: Uint8Array): Promise<FileHandle> {
    if (handle === undefined) throw new Error('the watermark file is closed')
    const frame = frameOf(body)
    await handle.appendFile(frame)
    sizeBytes += frame.byteLength
    return handle
  }

  await rewrite(number, promises)
  return {
    rewrite,
    async append({ number: written, wiped, removed }, heads) {
      await (await put(packFields({ type: encodedWrite, number: encodeValue(written), heads: packList(heads), wiped: encodeValue(wiped), removed: encodeValue(removed) }))).datasync()
    },
    confirm: async (confirmed) => void (await put(encodeBody({ type: 'confirmed', number: confirmed }))),
    isLong: () => sizeBytes - startBytes > Math.max(limits.watermarkBytesMax, startBytes),
    async close() {
      await handle?.datasync().catch(() => undefined)
      await handle?.close()
      handle = undefined
    },
  }
}
