/** What a stopped node need not keep any longer: archives whose time is over, the blobs that only they cite, and the room of what was removed. */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { MeshError } from '../../protocols/kernel/errors.ts'
import type { Digest } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { blobRefsIn, type Payload } from '../../protocols/kernel/payload.ts'
import type { Bytes, WallMs } from '../../protocols/kernel/units.ts'
import type { EndedMission } from '../../protocols/replicated-log/schema.ts'
import { type BlobFiles, openBlobFiles } from './blob-files.ts'
import { type LevelLogStore, openLevelLogStore } from './log-store-level-adapter.ts'
import { watermarkPathOf } from './log-recovery.ts'
import { assertStopped, blobDirectoryOf, logDirectoryOf, runsThere } from './store-verification.ts'

export interface StoreCompacted {
  readonly beforeBytes: Bytes
  readonly afterBytes: Bytes
  readonly archivesRemoved: number
  readonly blobsRemoved: number
  /** Why blobs were kept that may be of no use to anybody. */
  readonly blobsKept?: string
}

/** Records removed in one write. */
const pageRecords = 500

/** @throws MeshError `bad-request`, `wrong-state` (a node runs there, or another release wrote it), `storage-failed`. */
export async function compactStore(dataDir: string, nowWallMs: WallMs): Promise<StoreCompacted> {
  await assertStopped(dataDir)
  const beforeBytes = await sizeOf(dataDir)
  const compacted = await compactOpened(dataDir, nowWallMs)
  return { beforeBytes, afterBytes: await sizeOf(dataDir), ...compacted }
}

async function compactOpened(dataDir: string, nowWallMs: WallMs): Promise<Omit<StoreCompacted, 'beforeBytes' | 'afterBytes'>> {
  const store = await openLevelLogStore(logDirectoryOf(dataDir)).catch((error: unknown) => {
    throw error instanceof MeshError && error.fault.detail.startsWith('another skein node') ? runsThere(dataDir) : error
  })
  try {
    const blobs = await openBlobFiles(blobDirectoryOf(dataDir), Infinity)
    const expired: EndedMission[] = []
    const cited = new Set<Digest>()
    for await (const one of store.archives()) {
      if (one.keptUntilWallMs <= nowWallMs) expired.push(one)
      else for (const digest of blobsOf(one)) cited.add(digest)
    }
    const blobsKept = await citeLive(store, blobs, cited)
    // The blobs first: whoever is interrupted here finds the record again.
    const free = blobsKept === undefined ? [...new Set(expired.flatMap(blobsOf))].filter((digest) => !cited.has(digest) && blobs.sizeOf(digest) !== undefined) : []
    for (const digest of free) await blobs.remove(digest)
    if (blobsKept === undefined) for (let at = 0; at < expired.length; at += pageRecords) await forget(store, expired.slice(at, at + pageRecords), nowWallMs)
    await store.compact()
    return { archivesRemoved: blobsKept === undefined ? expired.length : 0, blobsRemoved: free.length, ...(blobsKept === undefined ? {} : { blobsKept }) }
  } finally {
    await store.close()
  }
}

async function forget(store: LevelLogStore, expired: readonly EndedMission[], nowWallMs: WallMs): Promise<void> {
  const removed = expired.map(({ missionId }) => missionId)
  await store.write({ writes: [], removed, former: removed.map((group) => ({ group, sinceWallMs: nowWallMs, untilWallMs: nowWallMs + limits.formerCopyKeptMs })) })
}

function blobsOf({ archive, cites }: EndedMission): Digest[] {
  return 'blob' in archive ? [archive.blob.$blob, ...cites] : [...cites]
}

/** Adds what live logs cite. @returns why that cannot be known for all of them. */
async function citeLive(store: LevelLogStore, blobs: BlobFiles, cited: Set<Digest>): Promise<string | undefined> {
  for (const { head, snapshot, entries, damage } of (await store.found()).groups) {
    if (damage !== undefined) return `${damage.detail}, so nobody knows which blobs it cites`
    for (const { $blob } of blobRefsIn(entries.map(({ event }) => event))) cited.add($blob)
    if (snapshot === undefined) continue
    const inside = await valueOf(snapshot.state, blobs)
    if (inside === undefined) return `the snapshot of ${head.group} is not here, so nobody knows which blobs it cites`
    for (const { $blob } of blobRefsIn([snapshot.state, inside.value])) cited.add($blob)
  }
  return undefined
}

async function valueOf(state: Payload, blobs: BlobFiles): Promise<{ readonly value: unknown } | undefined> {
  if ('inline' in state) return { value: state.inline }
  try {
    const pieces: Uint8Array[] = []
    for await (const piece of blobs.read(state.blob.$blob)) pieces.push(piece)
    return { value: JSON.parse(Buffer.concat(pieces).toString()) as unknown }
  } catch {
    return undefined
  }
}

async function sizeOf(dataDir: string): Promise<Bytes> {
  const paths = [watermarkPathOf(logDirectoryOf(dataDir))]
  for (const folder of [logDirectoryOf(dataDir), blobDirectoryOf(dataDir)]) {
    const found = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
    for (const file of found) if (file.isFile()) paths.push(join(file.parentPath, file.name))
  }
  let bytes = 0
  for (const path of paths) bytes += await stat(path).then(({ size }) => size, () => 0)
  return bytes
}
