/** Uploads of any size in bounded memory: small ones stay there, longer ones wait in a temporary file until their hash is known. */
import { createHash } from 'node:crypto'
import { mkdtemp, open, readFile, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BlobStore } from '../../actors/ports/blob-store.ts'
import { fault, invariant } from '../../protocols/kernel/errors.ts'
import type { Digest } from '../../protocols/kernel/ids.ts'
import type { BlobRef } from '../../protocols/kernel/payload.ts'
import type { BridgeLimits } from './bridge-limits.ts'
import { HttpFault } from './problem.ts'
import { bodyChunks } from './request-body.ts'

export interface Uploader {
  /**
   * Reads the body, checks that it hashes to the digest and stores it (or only checks it when the store has it).
   * @throws HttpFault 422 for another hash, 413 over the limit, 429 when too many long uploads are under way. MeshError of the store.
   */
  receive(incoming: IncomingMessage, digest: Digest, about: { name?: string; mediaType?: string }): Promise<{ created: boolean; ref: BlobRef }>
}

export function createUploader(blobs: BlobStore, limits: BridgeLimits, folder: string = tmpdir()): Uploader {
  let longUploads = 0
  // The store takes whole blobs, so long ones are handed over one at a time: memory holds one of them, not all.
  let handingOver: Promise<unknown> = Promise.resolve()

  function oneAtATime<Value>(work: () => Promise<Value>): Promise<Value> {
    const done = handingOver.then(work)
    handingOver = done.catch(() => undefined)
    return done
  }

  return {
    async receive(incoming, digest, about) {
      const known = await blobs.has(digest)
      const hash = createHash('sha256')
      const memory: Buffer[] = []
      let sizeBytes = 0
      let spill: Spill | undefined
      try {
        for await (const chunk of bodyChunks(incoming, limits.uploadBytesMax, limits.stallMs)) {
          hash.update(chunk)
          sizeBytes += chunk.byteLength
          if (known) continue
          memory.push(chunk)
          if (sizeBytes <= limits.uploadInMemoryBytesMax) continue
          if (spill === undefined) {
            if (longUploads >= limits.uploadsMax) throw new HttpFault(fault('overloaded', `${longUploads} long uploads are under way`, { next: 'try again when one has ended', retryAfterMs: 2_000 }))
            longUploads += 1
            spill = await openSpill(folder).catch((thrown: unknown) => {
              longUploads -= 1
              throw storageFault(thrown)
            })
          }
          for (const part of memory.splice(0)) await spill.write(part)
        }
        const actual = hash.digest('hex')
        if (actual !== digest) {
          throw new HttpFault(fault('bad-input', `the ${sizeBytes} bytes hash to ${actual}, not to ${digest}`, { next: 'the content changed on the way or while it was read: hash it and send it again' }))
        }
        if (known) return { created: false, ref: { $blob: digest, sizeBytes, ...about } }
        const { path } = spill ?? {}
        const ref = path === undefined ? await blobs.put(Buffer.concat(memory), about) : await oneAtATime(async () => blobs.put(await readFile(path), about))
        invariant(ref.$blob === digest, 'the store names content by its SHA-256')
        return { created: true, ref }
      } finally {
        if (spill !== undefined) {
          longUploads -= 1
          await spill.discard()
        }
      }
    },
  }
}

interface Spill {
  readonly path: string
  write(part: Buffer): Promise<void>
  discard(): Promise<void>
}

async function openSpill(folder: string): Promise<Spill> {
  const own = await mkdtemp(join(folder, 'skein-upload-'))
  const path = join(own, 'content')
  const file: FileHandle = await open(path, 'wx', 0o600)
  return {
    path,
    async write(part) {
      for (let written = 0; written < part.byteLength;) {
        const { bytesWritten } = await file.write(part, written).catch((thrown: unknown) => {
          throw storageFault(thrown)
        })
        written += bytesWritten
      }
    },
    async discard() {
      await file.close().catch(() => undefined)
      await rm(own, { recursive: true, force: true }).catch(() => undefined)
    },
  }
}

function storageFault(thrown: unknown): HttpFault {
  return new HttpFault(fault('storage-failed', `the upload could not be kept: ${thrown instanceof Error ? thrown.message : String(thrown)}`, { next: 'free some disk space on the bridge\'s machine' }))
}
