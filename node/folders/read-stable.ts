/** Reads a file and notices when somebody writes to it meanwhile. */
import { createHash } from 'node:crypto'
import type { Stats } from 'node:fs'
import type { Digest } from '../../protocols/kernel/ids.ts'
import type { FolderAccess, OpenFile } from './folder-access.ts'
import { folderLimits } from './schema.ts'

export interface StableRead {
  /** The whole file, or its head when the file is over `wholeFileBytesMax`. */
  readonly bytes: Uint8Array
  readonly sizeBytes: number
  readonly sha256: Digest
  readonly headOnly: boolean
  readonly changed: boolean
}

/**
 * Reads twice when the first reading saw the file change; `changed` when the second one did, too.
 * @throws what opening or reading throws.
 */
export async function readStable(access: FolderAccess, path: string): Promise<StableRead> {
  const first = await readOnce(access, path)
  return first.changed ? readOnce(access, path) : first
}

async function readOnce(access: FolderAccess, path: string): Promise<StableRead> {
  const file = await access.open(path)
  try {
    const before = await file.stat()
    if (!before.isFile()) throw Object.assign(new Error('no longer a file'), { code: 'ELOOP' })
    const read = before.size > folderLimits.wholeFileBytesMax ? await readHead(file) : await readWhole(file, before.size)
    const after = await file.stat()
    return { ...read, changed: differs(before, after) || read.sizeBytes !== after.size }
  } finally {
    await file.close()
  }
}

function differs(before: Stats, after: Stats): boolean {
  return before.size !== after.size || before.mtimeMs !== after.mtimeMs || before.ctimeMs !== after.ctimeMs
}

type Content = Omit<StableRead, 'changed'>

async function readWhole(file: OpenFile, sizeBytes: number): Promise<Content> {
  // One byte more than expected shows a file that grew; more than that is not wanted, it is read again anyway.
  const buffer = new Uint8Array(sizeBytes + 1)
  let filled = 0
  while (filled < buffer.byteLength) {
    const { bytesRead } = await file.read(buffer, filled, buffer.byteLength - filled, filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  const bytes = buffer.subarray(0, filled)
  return { bytes, sizeBytes: filled, sha256: createHash('sha256').update(bytes).digest('hex') as Digest, headOnly: false }
}

async function readHead(file: OpenFile): Promise<Content> {
  const hash = createHash('sha256')
  const buffer = new Uint8Array(1024 * 1024)
  let position = 0
  let head: Uint8Array = new Uint8Array(0)
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.byteLength, position)
    if (bytesRead === 0) break
    if (position === 0) head = buffer.slice(0, Math.min(bytesRead, folderLimits.headBytes))
    hash.update(buffer.subarray(0, bytesRead))
    position += bytesRead
  }
  return { bytes: head, sizeBytes: position, sha256: hash.digest('hex') as Digest, headOnly: true }
}
