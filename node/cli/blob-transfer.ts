/** Content between this machine's disk and a bridge. */
import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream as WebStream } from 'node:stream/web'
import { MeshError } from '../../protocols/kernel/errors.ts'
import type { Digest } from '../../protocols/kernel/ids.ts'
import type { BlobRef } from '../../protocols/kernel/payload.ts'
import type { MeshClient } from '../http/client.ts'

/** @returns the reference to use in an input. */
export function upload(client: MeshClient, bytes: Uint8Array, about: { name?: string; mediaType?: string }, signal?: AbortSignal): Promise<BlobRef> {
  const digest = createHash('sha256').update(bytes).digest('hex') as Digest
  return client.putBlob(digest, bytes, { ...about, ...(signal === undefined ? {} : { signal }) })
}

/**
 * Saves the files of a result.
 *
 * @returns the paths written, in the order of the artifacts. Names come from elsewhere: only their last part counts, and
 *   a name that comes twice gets its content's hash in front.
 * @throws MeshError `bad-output` when what arrives is not what its hash says.
 */
export async function saveArtifacts(client: MeshClient, artifacts: readonly BlobRef[], folder: string): Promise<string[]> {
  await mkdir(folder, { recursive: true })
  const saved: string[] = []
  const taken = new Set<string>()
  for (const ref of artifacts) {
    const plain = basename(ref.name ?? '').replace(/[^A-Za-z0-9._-]+/g, '_').replace(/^\.+/, '').slice(-120)
    const name = plain === '' || taken.has(plain) ? `${ref.$blob.slice(0, 12)}${plain === '' ? '' : `-${plain}`}` : plain
    taken.add(name)
    const path = join(folder, name)
    await download(client, ref, path)
    saved.push(path)
  }
  return saved
}

async function download(client: MeshClient, ref: BlobRef, path: string): Promise<void> {
  const { stream } = await client.getBlob(ref)
  const hash = createHash('sha256')
  const hashing = new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      hash.update(chunk)
      done(null, chunk)
    },
  })
  const partial = `${path}.${process.pid}.partial`
  try {
    await pipeline(Readable.fromWeb(stream as WebStream), hashing, createWriteStream(partial))
    if (hash.digest('hex') !== ref.$blob) throw new MeshError('bad-output', `what arrived for ${path} is not what its hash says`, { next: 'try again, through another bridge with --url' })
    await rename(partial, path)
  } catch (thrown) {
    await rm(partial, { force: true })
    throw thrown
  }
}
