/**
 * Blobs as files: `<directory>/ab/cdef…` by digest, written under `<directory>/incoming/` first and renamed when they are
 * whole, verified and synced. A file under its digest is therefore complete, unless the disk rots.
 */
import { createHash } from 'node:crypto'
import { mkdir, open, readdir, rename, rm, stat, unlink, utimes } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { MeshError } from '../../protocols/kernel/errors.ts'
import { Digest } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { createRecentUse, type LastUse } from '../../protocols/kernel/recent-use.ts'
import type { Bytes, DurationMs, InstantMs, WallMs } from '../../protocols/kernel/units.ts'
import { syncDirectory } from './sync-directory.ts'

export interface BlobFiles {
  sizeOf(digest: Digest): Bytes | undefined
  readonly count: number
  /** It is used now. The file's own time says so too, up to `blobUseNotedMs` late, so that the next process knows. */
  touch(digest: Digest): void
  /** How long it has surely not been used. */
  idleForMs(digest: Digest): DurationMs
  /** See `BlobStore.idle`. */
  idle(idleForMs: DurationMs, max: number, after?: LastUse): (LastUse & { readonly sizeBytes: Bytes })[]
  /** Bytes of all blobs, those being written included. */
  usedBytes(): Bytes
  /**
   * Writes and syncs what the chunks hold. Chunks are hashed and written one by one, so that the loop gets its turns.
   * @param check sees the digest and size before anything becomes visible; what it throws undoes the write.
   * @throws MeshError `too-large` beyond `bytesMax`, `storage-failed`; or what the chunks throw.
   */
  write(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, bytesMax: Bytes, check?: (digest: Digest) => void): Promise<{ digest: Digest; sizeBytes: Bytes }>
  /**
   * The content from `offset` on in pieces of at most `blobChunkBytes`. Read from the start, it is hashed on the way: a file that has rotted is
   * removed when its end is reached, and the reader is told. @throws MeshError `unknown-blob`, `storage-failed`.
   */
  read(digest: Digest, offset?: Bytes): AsyncIterable<Uint8Array>
  remove(digest: Digest): Promise<void>
}

const incoming = 'incoming'

/** Of the quota, made free besides what is needed. */
const spareShare = 1 / 20

/** The system's error as one of ours. */
function storageError(directory: string, error: unknown): MeshError {
  if (error instanceof MeshError) return error
  const code = (error as NodeJS.ErrnoException).code
  const detail = error instanceof Error ? error.message : String(error)
  if (code === 'ENOSPC' || code === 'EDQUOT') return new MeshError('storage-failed', `the disk under ${directory} is full`, { next: 'free some space, or choose another directory with --data' })
  if (code === 'EMFILE' || code === 'ENFILE') return new MeshError('storage-failed', `too many open files: ${detail}`, { next: 'raise the limit of open files (ulimit -n) and start the node again' })
  return new MeshError('storage-failed', `the blob directory ${directory} cannot be used: ${detail}`, { next: 'check its owner and rights and the disk, or choose another directory with --data' })
}

/** The files under their digests. What is in them is not looked at. A directory that is not there has none. */
export async function* listBlobFiles(directory: string): AsyncGenerator<{ readonly digest: Digest; readonly path: string; readonly sizeBytes: Bytes; readonly usedAtWallMs: WallMs }> {
  const folders = await readdir(directory).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  })
  for (const folder of folders) {
    if (!/^[0-9a-f]{2}$/.test(folder)) continue
    // All of a folder at once: a node with a hundred thousand of them waits for this when it starts.
    const found = await Promise.all((await readdir(join(directory, folder))).map(async (name) => {
      const digest = Digest.safeParse(folder + name)
      const path = join(directory, folder, name)
      if (!digest.success) return []
      const { size, mtimeMs } = await stat(path)
      return [{ digest: digest.data, path, sizeBytes: size, usedAtWallMs: mtimeMs }]
    }))
    yield* found.flat()
  }
}

/**
 * Opens or creates the directory, removes what a crash left half written and counts what is there.
 * @param makeRoom is waited for when something does not fit into the quota; told how many bytes should go.
 * @throws MeshError `storage-failed`.
 */
export async function openBlobFiles(directory: string, quotaBytes: Bytes, makeRoom: (bytes: Bytes) => Promise<void> = () => Promise.resolve()): Promise<BlobFiles> {
  const sizes = new Map<Digest, Bytes>()
  const uses = createRecentUse()
  /** When the use of a file was last written down in its own time. */
  const notedAtMs = new Map<Digest, InstantMs>()
  /** Digests whose files are just being put in their place, by how many at once, and those whose files are just being taken away. */
  const publishing = new Map<Digest, number>()
  const removing = new Map<Digest, Promise<void>>()
  let storedBytes = 0
  let arrivingBytes = 0
  let written = 0

  const folderOf = (digest: Digest): string => join(directory, digest.slice(0, 2))
  const pathOf = (digest: Digest): string => join(folderOf(digest), digest.slice(2))

  async function scan(): Promise<void> {
    await rm(join(directory, incoming), { recursive: true, force: true })
    await mkdir(join(directory, incoming), { recursive: true, mode: 0o700 })
    const [nowMs, nowWallMs] = [performance.now(), Date.now()]
    const found: LastUse[] = []
    for await (const { digest, sizeBytes, usedAtWallMs } of listBlobFiles(directory)) {
      sizes.set(digest, sizeBytes)
      storedBytes += sizeBytes
      // From here on it is measured on the monotonic clock: a wall clock that is set ages nothing.
      found.push({ digest, usedAtMs: Math.min(nowMs, nowMs - (nowWallMs - usedAtWallMs) + limits.blobUseNotedMs) })
    }
    for (const { digest, usedAtMs } of found.sort((left, right) => left.usedAtMs - right.usedAtMs)) uses.touch(digest, usedAtMs)
  }

  function forget(digest: Digest): void {
    storedBytes -= sizes.get(digest) ?? 0
    sizes.delete(digest)
    uses.forget(digest)
    notedAtMs.delete(digest)
  }

  function touch(digest: Digest): void {
    if (!sizes.has(digest)) return
    const nowMs = performance.now()
    uses.touch(digest, nowMs)
    if (nowMs - (notedAtMs.get(digest) ?? -Infinity) < limits.blobUseNotedMs) return
    notedAtMs.set(digest, nowMs)
    const now = new Date()
    // One that cannot be written down is known to this process, and that is enough until the next.
    void utimes(pathOf(digest), now, now).catch(() => undefined)
  }

  async function remove(digest: Digest): Promise<void> {
    // What is just being stored again is wanted.
    if (publishing.has(digest)) return
    forget(digest)
    const gone = rm(pathOf(digest), { force: true })
    removing.set(digest, gone)
    try {
      await gone
    } catch (error) {
      throw storageError(directory, error)
    } finally {
      removing.delete(digest)
    }
  }

  async function countArriving(bytes: Bytes): Promise<void> {
    let used = storedBytes + arrivingBytes + bytes
    if (used > quotaBytes) {
      // A little more than is needed now, so that the next one need not wait.
      await makeRoom(used - quotaBytes + Math.floor(quotaBytes * spareShare))
      used = storedBytes + arrivingBytes + bytes
    }
    if (used > quotaBytes) {
      throw new MeshError('storage-failed', `the blobs in ${directory} would take ${used} bytes, their quota is ${quotaBytes}`, { next: 'what it holds is in use or cited: keep archives for a shorter time (replication.archiveKeptMs), or raise the quota (limits.blobsBytesMax)' })
    }
    arrivingBytes += bytes
  }

  async function publish(temporary: string, digest: Digest, sizeBytes: Bytes): Promise<void> {
    publishing.set(digest, (publishing.get(digest) ?? 0) + 1)
    try {
      // Or the old file's removal would take the new one.
      await removing.get(digest)?.catch(() => undefined)
      await place(temporary, digest, sizeBytes)
    } finally {
      const others = (publishing.get(digest) ?? 1) - 1
      if (others === 0) publishing.delete(digest)
      else publishing.set(digest, others)
    }
  }

  async function place(temporary: string, digest: Digest, sizeBytes: Bytes): Promise<void> {
    // Also over a file that is already there: it may have rotted, this one has not.
    const made = await mkdir(folderOf(digest), { recursive: true, mode: 0o700 })
    await rename(temporary, pathOf(digest))
    await syncDirectory(folderOf(digest))
    if (made !== undefined) await syncDirectory(directory)
    forget(digest)
    sizes.set(digest, sizeBytes)
    storedBytes += sizeBytes
    uses.touch(digest, performance.now())
    notedAtMs.set(digest, performance.now())
  }

  async function write(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, bytesMax: Bytes, check?: (digest: Digest) => void): Promise<{ digest: Digest; sizeBytes: Bytes }> {
    const temporary = join(directory, incoming, `${process.pid}-${++written}`)
    const hash = createHash('sha256')
    let sizeBytes = 0
    let handle: FileHandle | undefined
    let fromSource = false
    try {
      handle = await open(temporary, 'wx', 0o600)
      fromSource = true
      for await (const chunk of chunks) {
        fromSource = false
        if (sizeBytes + chunk.byteLength > bytesMax) throw new MeshError('too-large', `the content is over the limit of ${bytesMax} bytes`)
        await countArriving(chunk.byteLength)
        sizeBytes += chunk.byteLength
        for (let at = 0; at < chunk.byteLength; at += limits.blobChunkBytes) {
          const piece = chunk.subarray(at, at + limits.blobChunkBytes)
          hash.update(piece)
          await handle.writeFile(piece)
        }
        fromSource = true
      }
      fromSource = false
      const digest = hash.digest('hex') as Digest
      check?.(digest)
      await handle.sync()
      await handle.close()
      handle = undefined
      await publish(temporary, digest, sizeBytes)
      return { digest, sizeBytes }
    } catch (error) {
      // What the source throws is the source's to explain; only the disk's own errors are ours.
      throw fromSource ? error : storageError(directory, error)
    } finally {
      arrivingBytes -= sizeBytes
      await handle?.close().catch(() => undefined)
      await unlink(temporary).catch(() => undefined)
    }
  }

  async function* read(digest: Digest, offset: Bytes = 0): AsyncGenerator<Uint8Array> {
    let handle: FileHandle
    try {
      handle = await open(pathOf(digest), 'r')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw storageError(directory, error)
      forget(digest)
      throw new MeshError('unknown-blob', `the content ${digest} is not here`)
    }
    const hash = offset === 0 ? createHash('sha256') : undefined
    try {
      for (let position = offset; ; ) {
        const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(limits.blobChunkBytes), 0, limits.blobChunkBytes, position).catch((error: unknown) => {
          throw storageError(directory, error)
        })
        if (bytesRead === 0) break
        position += bytesRead
        const piece = buffer.subarray(0, bytesRead)
        hash?.update(piece)
        yield piece
      }
    } finally {
      await handle.close()
    }
    if (hash !== undefined && hash.digest('hex') !== digest) {
      await remove(digest)
      throw new MeshError('storage-failed', `the file of ${digest} had rotted and was removed`, { next: 'it is fetched again from another holder when it is next needed; check the disk' })
    }
  }

  try {
    await scan()
  } catch (error) {
    throw storageError(directory, error)
  }
  return {
    sizeOf: (digest) => sizes.get(digest),
    get count() {
      return sizes.size
    },
    touch,
    idleForMs: (digest) => uses.idleForMs(digest, performance.now()),
    idle: (idleForMs, max, after) => uses.unusedSince(performance.now() - idleForMs, max, after).map((use) => ({ ...use, sizeBytes: sizes.get(use.digest) ?? 0 })),
    usedBytes: () => storedBytes + arrivingBytes,
    write,
    read,
    remove,
  }
}
