/** Room on the disk under the log, and the file that keeps some of it back: given up when the disk is full, made again when there is room. */
import { open, rm, stat, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { DiskRoom } from '../../actors/ports/log-store.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { Bytes } from '../../protocols/kernel/units.ts'

export interface DiskReserve {
  room(): Promise<DiskRoom>
  /** The disk is full: what was kept back is there for whoever must write to go on. */
  giveUp(): Promise<void>
}

export interface DiskReserveInit {
  readonly path: string
  /** Default `limits.diskReserveBytes`. */
  readonly reserveBytes?: Bytes | undefined
  /** Default `limits.diskLowBytes`. */
  readonly lowBytes?: Bytes | undefined
  /** Default: as the file system says. */
  readonly freeBytes?: (() => Promise<Bytes>) | undefined
}

const pieceBytes = 1024 * 1024

/** Makes the reserve, where there is room for it and more. Does not fail for want of it. */
export async function openDiskReserve(init: DiskReserveInit): Promise<DiskReserve> {
  const { path, reserveBytes = limits.diskReserveBytes, lowBytes = limits.diskLowBytes } = init
  const free = init.freeBytes ?? (() => freeBytesAt(path))
  let isThere = await stat(path).then(({ size }) => size >= reserveBytes, () => false)

  async function make(): Promise<void> {
    try {
      const file = await open(path, 'w', 0o600)
      try {
        // Zeros that are written, not a hole: a hole takes no room.
        const zeros = Buffer.alloc(pieceBytes)
        for (let left = reserveBytes; left > 0; left -= pieceBytes) await file.writeFile(zeros.subarray(0, Math.min(left, pieceBytes)))
        await file.sync()
      } finally {
        await file.close()
      }
      isThere = true
    } catch {
      await giveUp()
    }
  }

  async function giveUp(): Promise<void> {
    isThere = false
    await rm(path, { force: true }).catch(() => undefined)
  }

  async function room(): Promise<DiskRoom> {
    const bytes = await free()
    if (!isThere && bytes >= reserveBytes + lowBytes) await make()
    if (isThere) return bytes < lowBytes ? 'low' : 'enough'
    return bytes < reserveBytes ? 'full' : 'low'
  }

  if (!isThere) await room().catch(() => undefined)
  return { room, giveUp }
}

async function freeBytesAt(path: string): Promise<Bytes> {
  const { bavail, bsize } = await statfs(dirname(path))
  return bavail * bsize
}
