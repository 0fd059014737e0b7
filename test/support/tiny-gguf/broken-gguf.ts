/** Files that a user may take for a model, and that are none. */
import { randomBytes } from 'node:crypto'
import { truncate, writeFile } from 'node:fs/promises'
import { writeHollowGguf, writeTinyGguf } from './tiny-gguf.ts'

/** Each writes one file. */
export const brokenGgufs = {
  empty: (path: string) => writeFile(path, ''),
  /** A page of an error message, saved under the model's name. */
  webPage: (path: string) => writeFile(path, '<!doctype html><title>404</title><p>Not found: model.gguf</p>'),
  noise: (path: string) => writeFile(path, randomBytes(64 * 1024)),
  wrongMagic: async (path: string) => {
    await writeFile(path, Buffer.concat([Buffer.from('GGML'), Buffer.alloc(64 * 1024)]))
  },
  /** Right in its first bytes only. */
  magicOnly: (path: string) => writeFile(path, Buffer.concat([Buffer.from('GGUF'), randomBytes(64 * 1024)])),
  /** A download that broke off within the header. */
  cutHeader: async (path: string) => {
    await writeTinyGguf(path)
    await truncate(path, 2_000)
  },
  /** A download that broke off within the weights. */
  cutWeights: async (path: string) => {
    const sizeBytes = await writeTinyGguf(path)
    await truncate(path, sizeBytes - 50_000)
  },
  /** One that broke off just before its end. */
  cutEnd: async (path: string) => {
    const sizeBytes = await writeTinyGguf(path)
    await truncate(path, sizeBytes - 1_000)
  },
} as const satisfies Record<string, (path: string) => Promise<void>>

/** A valid header of a model of about a terabyte, in a file that takes a few kilobytes. @returns the size it seems to have, in bytes. */
export function writeTerabyteGguf(path: string): Promise<number> {
  return writeHollowGguf(path, { layers: 6, width: 65_536, heads: 512, feedForward: 131_072, name: 'skein-terabyte' })
}
