/** Reads the small files through which Linux describes itself; tests give it a tree of their own. */
import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'

const fileBytesMax = 64 * 1024

export interface SystemFiles {
  /** At most 64 KiB of the file, trimmed; undefined when it cannot be read. Never rejects. */
  read(path: string): Promise<string | undefined>
  /** Names in a folder, sorted; empty when it cannot be read. Never rejects. */
  list(path: string): Promise<readonly string[]>
}

/** @param root prefixed to every path: `/` for this machine, a fixture's folder in tests. */
export function createSystemFiles(root = '/'): SystemFiles {
  return {
    async read(path) {
      try {
        const file = await open(join(root, path), 'r')
        try {
          // Files in /proc and /sys have no size: they are read, not measured.
          const { buffer, bytesRead } = await file.read(Buffer.alloc(fileBytesMax), 0, fileBytesMax, null)
          return buffer.toString('utf8', 0, bytesRead).replaceAll('\0', '\n').trim()
        } finally {
          await file.close()
        }
      } catch {
        return undefined
      }
    },
    async list(path) {
      try {
        return (await readdir(join(root, path))).sort()
      } catch {
        return []
      }
    },
  }
}

/** A decimal number and nothing else; undefined otherwise (`max`, absent, garbage). */
export function numberIn(text: string | undefined): number | undefined {
  return text !== undefined && /^-?\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : undefined
}
